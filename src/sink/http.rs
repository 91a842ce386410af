//! How the sinks speak HTTP: no redirects, no proxy from the environment, no retries, TLS by ring.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect, retry};
use rustls::{CertificateError, RootCertStore};
use tracing::warn;

use crate::model::certificate::refused;

/// A client whose requests end after `timeout`, connecting included. Half of it may go into connecting: a connection
/// that never came about is then told from an answer that was lost.
pub(super) fn client(timeout: Duration) -> reqwest::Result<Client> {
    built(|| builder(timeout))
}

/// The same, with names resolved by `resolver`, and trusting `ca` (PEM) instead of the system's authorities.
pub(super) fn guarded(
    timeout: Duration,
    resolver: &Arc<dyn Resolve>,
    ca: Option<&[u8]>,
) -> reqwest::Result<Client> {
    let begun = || builder(timeout).dns_resolver(Arc::clone(resolver));
    match ca {
        Some(pem) => {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let ca = Certificate::from_pem_bundle(pem)?;
            begun().tls_certs_only(ca).build()
        }
        None => built(begun),
    }
}

fn built(begun: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    // A provider that somebody chose before stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    begun().build().or_else(|error| {
        // An image made `FROM scratch` has no certificates of its own.
        warn!(%error, "no usable system certificates; using the built-in ones");
        let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        begun().tls_backend_preconfigured(tls).build()
    })
}

fn builder(timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("gated/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .timeout(timeout)
        .connect_timeout(timeout / 2)
        // A connection kept open may have died meanwhile; whether the request arrived would then be a guess.
        .pool_max_idle_per_host(0)
}

/// Why there was no answer, for people: the chain of causes, without the URL.
pub(super) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        let connected = !error.is_connect();
        let text = if connected {
            "timed out"
        } else {
            "no connection within half of `timeout`"
        };
        return text.to_owned();
    }
    let mut text = error.to_string();
    let mut cause = Error::source(&error);
    while let Some(inner) = cause {
        if let Some(certificate) = certificate_of(inner) {
            let why = refused(certificate, "the URL");
            return format!("{text}: its certificate {why}");
        }
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// What an error of a handshake wraps, where the certificate is why.
fn certificate_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    let mut inner = error;
    // `source` of a wrapping `io::Error` skips what it wraps, and one may wrap another.
    while let Some(wrapped) = inner.downcast_ref().and_then(io::Error::get_ref) {
        inner = wrapped;
    }
    match inner.downcast_ref() {
        Some(rustls::Error::InvalidCertificate(certificate)) => Some(certificate),
        _ => None,
    }
}

/// The beginning of a reply in one line without control characters, for the log. Only for peers that are not given
/// secrets: others may echo them.
pub(super) async fn excerpt(mut response: Response, bytes_max: usize) -> String {
    let mut taken = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = bytes_max - taken.len();
        taken.extend_from_slice(&chunk[..room.min(chunk.len())]);
        if taken.len() == bytes_max {
            break;
        }
    }
    String::from_utf8_lossy(&taken).escape_debug().to_string()
}
