//! TLS for scrapes: authorities, the client's own certificate, read again when the files change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::{Client, ClientBuilder};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::Mutex;

use super::config::Tls;
use super::resolve::ResolveFor;

/// Shared by the targets of one configuration.
#[derive(Debug)]
pub(in crate::source) struct TlsFiles {
    tls: Tls,
    read: Mutex<Option<Read>>,
}

/// What tells one version of a file from the next: its number, its length, when it changed.
type Stamps = Vec<Option<(u64, u64, i64, i64)>>;

#[derive(Debug)]
struct Read {
    stamps: Stamps,
    edition: u64,
    config: ClientConfig,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::source) enum TlsError {
    #[error("{path}: {cause}")]
    File { path: PathBuf, cause: String },
    #[error("cert_file needs key_file, and key_file cert_file")]
    HalfAPair,
    #[error(transparent)]
    Refused(#[from] rustls::Error),
}

/// How targets and components are asked: no redirects, no proxy from the environment, no retries, HTTP/1.1.
pub(in crate::source) fn client(files: ClientConfig, resolve: ResolveFor) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(files)
        .dns_resolver(Arc::new(resolve))
        .user_agent(concat!("gated/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .tcp_nodelay(true)
}

impl TlsFiles {
    pub(in crate::source) fn new(tls: Tls) -> Self {
        Self {
            tls,
            read: Mutex::new(None),
        }
    }

    /// The configuration of the files as they are, with a number that changes when it does.
    pub(in crate::source) async fn current(&self) -> Result<(u64, ClientConfig), TlsError> {
        let mut read = self.read.lock().await;
        let stamps = self.stamps().await;
        if let Some(read) = read.as_ref().filter(|read| read.stamps == stamps) {
            return Ok((read.edition, read.config.clone()));
        }
        let tls = self.tls.clone();
        let config = tokio::task::spawn_blocking(move || build(&tls))
            .await
            .map_err(|died| rustls::Error::General(died.to_string()))??;
        let edition = read.as_ref().map_or(1, |read| read.edition + 1);
        *read = Some(Read {
            stamps,
            edition,
            config: config.clone(),
        });
        Ok((edition, config))
    }

    async fn stamps(&self) -> Stamps {
        let tls = &self.tls;
        let mut stamps = Vec::new();
        for path in [&tls.ca_file, &tls.cert_file, &tls.key_file]
            .into_iter()
            .flatten()
        {
            let meta = tokio::fs::metadata(path).await.ok();
            stamps.push(meta.map(|m| (m.ino(), m.len(), m.mtime(), m.mtime_nsec())));
        }
        stamps
    }
}

/// For targets over plain HTTP: trusts nobody and is never asked.
pub(in crate::source) fn none() -> ClientConfig {
    builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers TLS 1.2 and 1.3")
}

fn build(tls: &Tls) -> Result<ClientConfig, TlsError> {
    let builder = if tls.insecure_skip_verify {
        let anyone = Anyone(ring::default_provider());
        builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(anyone))
    } else {
        builder().with_root_certificates(roots(tls.ca_file.as_deref())?)
    };
    Ok(match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| at(key, &cause))?;
            builder.with_client_auth_cert(certificates(cert)?, key)?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(TlsError::HalfAPair),
    })
}

/// The file's authorities, else the system's, else (in an image without any) Mozilla's as compiled in.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in certificates(path)? {
            roots.add(certificate)?;
        }
        return Ok(roots);
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|cause| at(path, &cause))?
        .collect();
    let read = read.map_err(|cause| at(path, &cause))?;
    if read.is_empty() {
        return Err(at(path, &"holds no certificate"));
    }
    Ok(read)
}

fn at(path: &Path, cause: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}

/// `insecure_skip_verify`: takes any certificate, and only checks that the server holds its key.
#[derive(Debug)]
struct Anyone(CryptoProvider);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
