//! Whether an address can be reached, and for how long its certificate is good: name, connection, handshake. Nothing is
//! requested.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::Name;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Found, place};
use crate::model::Timestamp;
use crate::model::certificate::refused;
use crate::sink::deny::DenyList;

/// A certificate that ends within this is to be renewed.
const SOON: Duration = Duration::from_secs(14 * 86_400);
const DAY: u64 = 86_400;
/// Further ahead than any certificate goes.
const CENTURY: u64 = 100 * 365 * DAY;

/// Which authorities are trusted.
#[derive(Clone, Copy, Debug)]
pub(in crate::sink) enum Trust<'a> {
    /// The system's, else those compiled in.
    System,
    /// In PEM.
    These(&'a [u8]),
}

/// What is known of an address that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum Reached {
    Plain,
    /// Over TLS; when the first certificate of its chain ends, and how long that is ahead.
    Tls {
        ends: Timestamp,
        left: Duration,
    },
}

impl Reached {
    pub fn tell(self, found: &mut Found) {
        let Self::Tls { ends, left } = self else {
            return;
        };
        let days = left.as_secs() / DAY;
        let days = match days {
            1 => "1 day".to_owned(),
            _ => format!("{days} days"),
        };
        if left < SOON {
            let text = format!("its certificate ends in {days} ({ends}): renew it");
            found.soon.push(text);
        } else {
            found.notes.push(format!("certificate good for {days}"));
        }
    }
}

/// Connects and, for https, shakes hands, then closes; the error says what to do.
pub(in crate::sink) async fn reach(
    url: &Url,
    deny: &DenyList,
    trust: Trust<'_>,
    now: Timestamp,
) -> Result<Reached, String> {
    let addresses = resolve(url, deny).await?;
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) if url.scheme() == "https" => {
                let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
                let secured = secured(tcp, host, "its URL", trust, now).await;
                return secured.map(|(_, reached)| reached);
            }
            Ok(_) => return Ok(Reached::Plain),
            Err(error) => refused = error,
        }
    }
    let place = place(url);
    Err(format!(
        "no connection to {place}: {refused}: start what should listen there, let gated's network reach it, or mend its URL"
    ))
}

async fn resolve(url: &Url, deny: &DenyList) -> Result<Vec<SocketAddr>, String> {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(80);
    if let Some(denied) = deny.literal(url) {
        return Err(denied.to_string());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = Name::from_str(host).map_err(|error| format!("{host} is no name: {error}"))?;
    let found = deny.resolver(None).resolve(name).await;
    let found = found.map_err(|error| {
        format!("{host}: {error}: mend its URL, or the name's entry, or `deny_cidr`")
    })?;
    Ok(found
        .map(|address| SocketAddr::new(address.ip(), port))
        .collect())
}

/// Shakes hands with `host`, which is written in `named`; the error says what to do.
pub(in crate::sink) async fn secured(
    tcp: TcpStream,
    host: &str,
    named: &str,
    trust: Trust<'_>,
    now: Timestamp,
) -> Result<(TlsStream<TcpStream>, Reached), String> {
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots(trust).await?, Arc::clone(&provider))
            .build()
            .map_err(|error| {
                format!("no authority is known to trust: {error}: name one in `ca_file`")
            })?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| format!("{host} cannot have a certificate: {error}"))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers TLS 1.2 and 1.3")
        .with_webpki_verifier(Arc::clone(&verifier))
        .with_no_client_auth();
    let connected = TlsConnector::from(Arc::new(config)).connect(name.clone(), tcp);
    let stream = connected.await.map_err(|error| fault(&error, named))?;
    let (_, connection) = stream.get_ref();
    let Some([own, others @ ..]) = connection.peer_certificates() else {
        return Err("it shows no certificate: mend the receiver".to_owned());
    };
    let seconds = u64::try_from(now.millis() / 1000).unwrap_or(0);
    // Asked of the verifier, which knows the whole chain: when does it stop to be good?
    let ends_by = |ahead: u64| {
        let then = UnixTime::since_unix_epoch(Duration::from_secs(seconds.saturating_add(ahead)));
        let judged = verifier.verify_server_cert(own, others, &name, &[], then);
        match judged {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            })) => Some(not_after.as_secs()),
            Ok(_) | Err(_) => None,
        }
    };
    let ends = ends_by(SOON.as_secs()).or_else(|| ends_by(CENTURY));
    let ends = ends.unwrap_or(seconds.saturating_add(CENTURY));
    let millis = i64::try_from(ends.saturating_mul(1000)).unwrap_or(i64::MAX);
    let reached = Reached::Tls {
        ends: Timestamp::from_millis(millis),
        left: Duration::from_secs(ends.saturating_sub(seconds)),
    };
    Ok((stream, reached))
}

async fn roots(trust: Trust<'_>) -> Result<Arc<RootCertStore>, String> {
    static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(roots)
    });
    let Trust::These(pem) = trust else {
        let loaded = tokio::task::spawn_blocking(|| Arc::clone(&SYSTEM)).await;
        return loaded.map_err(|died| format!("the system's authorities cannot be read: {died}"));
    };
    authorities(pem).map(Arc::new)
}

/// Those of a `ca_file`, all of which must be readable.
pub(super) fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let mut bad = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.is_ok_and(|it| roots.add(it).is_ok());
        bad += usize::from(!added);
    }
    if roots.is_empty() || bad > 0 {
        let what = "its `ca_file` holds no certificates, or some that cannot be read";
        return Err(format!("{what}: write them in PEM"));
    }
    Ok(roots)
}

/// Why there is no TLS, and what to do.
fn fault(error: &io::Error, named: &str) -> String {
    let inner = error.get_ref().and_then(|it| it.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(certificate)) = inner else {
        return format!("no TLS: {error}: mend the receiver, or {named}");
    };
    format!("its certificate {}", refused(certificate, named))
}
