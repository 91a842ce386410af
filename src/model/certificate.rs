//! What is wrong with a certificate that was refused, and the way out, for people. Deliberately absent: judging one, and
//! what somebody else calls the file of authorities or the name.

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::Timestamp;

/// What is wrong, to be read after "the certificate", and after a colon what to do. `named`: where its host is written.
#[must_use]
pub fn refused(error: &CertificateError, named: &str) -> String {
    let said = |what: &str, remedy: &str| format!("{what}: {remedy}");
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("has expired ({}): renew it", shown(*not_after))
        }
        CertificateError::Expired => said("has expired", "renew it"),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "is not valid before {}: set the clock, here or where it was issued, or wait",
            shown(*not_before)
        ),
        CertificateError::NotValidYet => said(
            "is not valid yet",
            "set the clock, here or where it was issued, or wait",
        ),
        CertificateError::UnknownIssuer => said(
            "comes from an authority that is not trusted here",
            "name that authority in `ca_file`",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("is for another name: write the name that it is for in {named}")
        }
        CertificateError::BadSignature => said(
            "is not signed with the key of the authority in `ca_file`",
            "name the one that signed it; two may have one name",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => said(
            "is not meant for servers",
            "issue one with the extended key usage serverAuth",
        ),
        CertificateError::Revoked => said("was revoked", "replace it"),
        CertificateError::BadEncoding => said("cannot be read", "issue it anew"),
        CertificateError::UnhandledCriticalExtension => said(
            "has a critical extension that is not known here",
            "issue it without",
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => said(
            "is signed in a way that is not supported",
            "issue one with ECDSA or RSA (2048 bits) and SHA-256",
        ),
        CertificateError::Other(other) => rarer(&other.0.to_string()),
        other => rarer(&format!("{other:?}")),
    }
}

/// Of those that have no variant of their own the name is all that there is.
fn rarer(error: &str) -> String {
    let is_word = |c: &char| c.is_ascii_alphanumeric();
    let name: String = error.chars().take_while(is_word).collect();
    match name.as_str() {
        "CaUsedAsEndEntity" => {
            "is an authority's own (CA:TRUE), as self-signed ones often are: issue one for the server that it signs, or a self-signed one with CA:FALSE".to_owned()
        }
        "EndEntityUsedAsCa" => {
            "is signed by one that is no authority: let the server send the right chain".to_owned()
        }
        "UnsupportedCertVersion" => {
            "is of an old version of X.509: issue one of version 3, with a subjectAltName".to_owned()
        }
        _ => {
            let words = words(&name);
            format!("is refused ({words}): issue another")
        }
    }
}

/// `NameConstraintViolation` as `name constraint violation`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn shown(time: UnixTime) -> Timestamp {
    let millis = i64::try_from(time.as_secs().saturating_mul(1000));
    Timestamp::from_millis(millis.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Named(&'static str);

    #[test]
    fn each_refusal_has_its_sentence_and_no_name_of_a_type() {
        let other = |name| CertificateError::Other(OtherError(Arc::new(Named(name))));
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        for (error, what, remedy) in [
            (CertificateError::Expired, "has expired", "renew it"),
            (
                CertificateError::NotValidYetContext {
                    time: at(0),
                    not_before: at(86_400),
                },
                "is not valid before 1970-01-02",
                "set the clock",
            ),
            (
                CertificateError::UnknownIssuer,
                "not trusted here",
                "name that authority in `ca_file`",
            ),
            (
                CertificateError::NotValidForName,
                "for another name",
                "in its URL",
            ),
            (
                CertificateError::BadSignature,
                "not signed with the key",
                "the one that signed it",
            ),
            (
                CertificateError::InvalidPurpose,
                "not meant for servers",
                "serverAuth",
            ),
            (CertificateError::Revoked, "was revoked", "replace it"),
            (CertificateError::BadEncoding, "cannot be read", "anew"),
            (
                CertificateError::UnhandledCriticalExtension,
                "critical extension",
                "issue it without",
            ),
            (
                other("CaUsedAsEndEntity"),
                "an authority's own (CA:TRUE)",
                "with CA:FALSE",
            ),
            (
                other("EndEntityUsedAsCa"),
                "by one that is no authority",
                "the right chain",
            ),
            (
                other("UnsupportedCertVersion"),
                "old version",
                "subjectAltName",
            ),
            (
                other("NameConstraintViolation"),
                "is refused (name constraint violation)",
                "issue another",
            ),
            (
                CertificateError::UnknownRevocationStatus,
                "is refused (unknown revocation status)",
                "issue another",
            ),
        ] {
            let text = refused(&error, "its URL");
            let (before, after) = text.split_once(": ").unwrap();
            assert!(before.contains(what) && after.contains(remedy), "{text}");
            assert!(!text.contains("Other") && text.len() < 170, "{text}");
        }
    }
}
