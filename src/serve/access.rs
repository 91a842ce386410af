//! Who may ask, and who may change something. Deliberately absent: where the token is kept (`run/token.rs`).

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header;
use ring::hmac;
use ring::rand::SystemRandom;

/// The shortest token that is accepted, in bytes: guessing it over HTTP is then out of reach, so failed
/// attempts need no ledger per address (which a neighbour on loopback could use to lock people out).
const TOKEN_BYTES_MIN: usize = 16;

/// The bearer token that writers must present. Only a keyed digest is kept; nothing prints it.
#[derive(Clone)]
pub struct Token {
    key: hmac::Key,
    tag: hmac::Tag,
}

#[derive(Debug, thiserror::Error)]
pub enum WeakToken {
    #[error("the token has {0} bytes; it needs at least {TOKEN_BYTES_MIN} (openssl rand -hex 32)")]
    Short(usize),
    #[error("the system gives no random bytes")]
    NoRandomness,
}

impl Token {
    /// Space around `text` is not part of the token: files end with a newline.
    pub fn new(text: &str) -> Result<Self, WeakToken> {
        let text = text.trim();
        if text.len() < TOKEN_BYTES_MIN {
            return Err(WeakToken::Short(text.len()));
        }
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| WeakToken::NoRandomness)?;
        let tag = hmac::sign(&key, text.as_bytes());
        Ok(Self { key, tag })
    }

    /// Compares digests under a random key, so the time taken tells nothing about the token.
    fn is(&self, presented: &str) -> bool {
        hmac::verify(&self.key, presented.as_bytes(), self.tag.as_ref()).is_ok()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(<secret>)")
    }
}

/// Why a writer was turned away.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    NoToken,
    WrongToken,
    /// A browser sent it on behalf of another site.
    CrossSite,
}

/// Whether the request with these headers may change something.
pub fn may_write(headers: &HeaderMap, token: &Token) -> Result<(), Denied> {
    of_no_other_site(headers)?;
    let presented = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Denied::NoToken)?;
    if token.is(presented) {
        Ok(())
    } else {
        Err(Denied::WrongToken)
    }
}

/// The same of a form, into which a person has typed the token.
pub fn may_write_by_form(
    headers: &HeaderMap,
    presented: &str,
    token: &Token,
) -> Result<(), Denied> {
    of_no_other_site(headers)?;
    match presented {
        "" => Err(Denied::NoToken),
        presented if token.is(presented) => Ok(()),
        _ => Err(Denied::WrongToken),
    }
}

fn of_no_other_site(headers: &HeaderMap) -> Result<(), Denied> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return Err(Denied::CrossSite);
    }
    Ok(())
}

/// Whether a server on loopback may answer to this `Host`: a name that somebody's DNS points at 127.0.0.1 lets a
/// foreign page read what is here, while addresses and `localhost` cannot be pointed elsewhere.
pub fn known_host(headers: &HeaderMap, extra: &[String]) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true; // HTTP/1.0; browsers always send it
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || extra.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_the_whole_token_writes() {
        let token = Token::new("0123456789abcdef\n").unwrap();
        let ask = |value: &str| may_write(&headers(&[("authorization", value)]), &token);
        assert_eq!(ask("Bearer 0123456789abcdef"), Ok(()));
        assert_eq!(ask("bearer  0123456789abcdef"), Ok(()));
        for wrong in [
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdeff",
            "Bearer 0123456789ABCDEF",
        ] {
            assert_eq!(ask(wrong), Err(Denied::WrongToken), "{wrong}");
        }
        for none in ["", "Bearer", "Basic 0123456789abcdef", "0123456789abcdef"] {
            assert_eq!(ask(none), Err(Denied::NoToken), "{none}");
        }
        assert_eq!(may_write(&headers(&[]), &token), Err(Denied::NoToken));
        assert_eq!(format!("{token:?}"), "Token(<secret>)");
        assert!(Token::new(" short\n").is_err());
    }

    #[test]
    fn a_browser_on_another_site_writes_nothing() {
        let token = Token::new("0123456789abcdef").unwrap();
        let from = |site: &str| {
            let pairs = [
                ("authorization", "Bearer 0123456789abcdef"),
                ("sec-fetch-site", site),
            ];
            may_write(&headers(&pairs), &token)
        };
        assert_eq!((from("same-origin"), from("none")), (Ok(()), Ok(())));
        for site in ["cross-site", "same-site", ""] {
            assert_eq!(from(site), Err(Denied::CrossSite), "{site}");
        }
    }

    #[test]
    fn names_that_dns_could_point_here_are_refused() {
        let extra = ["gated.example.com".to_owned()];
        for host in [
            "127.0.0.1:9755",
            "[::1]:9755",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "10.0.0.7:80",
            "gated.example.com",
            "Gated.Example.com:443",
        ] {
            assert!(known_host(&headers(&[("host", host)]), &extra), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:9755",
            "127.0.0.1.nip.io",
            "",
        ] {
            assert!(!known_host(&headers(&[("host", host)]), &extra), "{host}");
        }
    }
}
