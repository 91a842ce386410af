//! TLS faults, each named, and the client's own certificate.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use gated::engine::ScrapeFault;
use gated::source::{ScrapeConfig, Tls, Tuning};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::scrape::{Rig, config, first};

/// An authority that signs whatever a case needs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

pub struct Signed {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    certificate_pem: String,
    key_pem: String,
}

impl Signed {
    /// As `openssl req -x509` makes one, which is an authority's unless somebody says otherwise.
    pub fn by_itself(host: &str, is_ca: IsCa) -> Self {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let signed = params.self_signed(&key).unwrap();
        Self {
            certificate: signed.der().clone(),
            key: key.serialize_der(),
            certificate_pem: signed.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    pub fn pem(&self) -> &str {
        &self.certificate_pem
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub fn sign(&self, host: &str, expired: bool) -> Signed {
        self.sign_until(host, expired.then_some((2002, 1, 1)))
    }

    /// Valid until the beginning of that day, in UTC.
    pub fn sign_until(&self, host: &str, until: Option<(i32, u8, u8)>) -> Signed {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        if let Some((year, month, day)) = until {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(year, month, day);
        }
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        Signed {
            certificate: signed.der().clone(),
            key: key.serialize_der(),
            certificate_pem: signed.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    pub fn write(&self, path: PathBuf) -> PathBuf {
        std::fs::write(&path, self.issuer.pem()).unwrap();
        path
    }
}

/// Serves one page over TLS; with `clients` only to those whom that authority signed. The URL has `host` in it.
pub fn serve(host: &str, own: &Signed, clients: Option<&Authority>) -> String {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(authority) => {
            let roots = Arc::new(authority.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.key.clone()));
    let tls = Arc::new(
        builder
            .with_single_cert(vec![own.certificate.clone()], key)
            .unwrap(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let tls = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = StreamOwned::new(tls, tcp.unwrap());
            // A handshake that fails is what most cases are about. The answer ends its connection.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\na 1\n",
                );
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    format!("https://{host}:{port}/metrics")
}

fn with(url: &str, tls: Tls) -> ScrapeConfig {
    ScrapeConfig { tls, ..config(url) }
}

async fn fault(config: ScrapeConfig) -> String {
    let error = first(config).await.unwrap_err();
    assert_eq!(error.fault, ScrapeFault::Tls, "{error}");
    error.text
}

#[tokio::test]
async fn s11_each_fault_of_a_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let ca_file = Some(ours.write(folder.path().join("ca.pem")));
    let trusting = Tls {
        ca_file,
        ..Tls::default()
    };
    let good = ours.sign("localhost", false);
    let url = serve("localhost", &good, None);
    assert!(first(with(&url, trusting.clone())).await.is_ok());

    let strange = serve("localhost", &theirs.sign("localhost", false), None);
    let elsewhere = serve("localhost", &ours.sign("elsewhere.example", false), None);
    for (url, tls, words) in [
        (
            &url,
            Tls::default(),
            "an authority that is not trusted here",
        ),
        (
            &strange,
            trusting.clone(),
            "an authority that is not trusted here",
        ),
        (&elsewhere, trusting.clone(), "for another name"),
        (
            &serve("localhost", &ours.sign("localhost", true), None),
            trusting.clone(),
            "expired",
        ),
    ] {
        let text = fault(with(url, tls)).await;
        assert!(text.contains(words), "{text}");
    }
    // One that is its own authority, and what the words advise.
    let own = |is_ca, name: &str| {
        let own = Signed::by_itself("localhost", is_ca);
        let ca_file = folder.path().join(name);
        std::fs::write(&ca_file, own.pem()).unwrap();
        let tls = Tls {
            ca_file: Some(ca_file),
            ..Tls::default()
        };
        with(&serve("localhost", &own, None), tls)
    };
    let text = fault(own(IsCa::Ca(BasicConstraints::Unconstrained), "own.pem")).await;
    assert!(
        text.contains("is an authority's own (CA:TRUE)") && text.ends_with("with CA:FALSE"),
        "{text}"
    );
    assert!(first(own(IsCa::ExplicitNoCa, "leaf.pem")).await.is_ok());
    // Only who asks for it goes without.
    let blind = Tls {
        insecure_skip_verify: true,
        ..Tls::default()
    };
    assert!(first(with(&strange, blind)).await.is_ok());
    // Another name to expect, and to ask for, under the same address.
    let named = Tls {
        server_name: Some("elsewhere.example".into()),
        ..trusting.clone()
    };
    assert!(first(with(&elsewhere, named.clone())).await.is_ok());
    assert!(
        first(with(&elsewhere.replace("localhost", "127.0.0.1"), named))
            .await
            .is_ok()
    );
    let missing = Tls {
        ca_file: Some(folder.path().join("none.pem")),
        ..Tls::default()
    };
    assert!(fault(with(&url, missing)).await.contains("none.pem"));
    // Plain HTTP at the other end, and TLS where HTTP is spoken.
    let plain = crate::fault_server::FaultServer::always(crate::fault_server::Answer::Hang);
    let mut config = with(&plain.url().replace("http:", "https:"), trusting);
    config.timeout = std::time::Duration::from_millis(200);
    assert_eq!(first(config).await.unwrap_err().fault, ScrapeFault::Timeout);
}

fn write_pair(folder: &Path, signed: &Signed) {
    std::fs::write(folder.join("cert.pem"), &signed.certificate_pem).unwrap();
    std::fs::write(folder.join("key.pem"), &signed.key_pem).unwrap();
}

#[tokio::test]
async fn s13_the_clients_certificate_is_sent_and_follows_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let url = serve("localhost", &ours.sign("localhost", false), Some(&ours));
    let anonymous = Tls {
        ca_file: Some(ours.write(folder.path().join("ca.pem"))),
        ..Tls::default()
    };
    fault(with(&url, anonymous.clone())).await;

    write_pair(folder.path(), &theirs.sign("client", false));
    let known = Tls {
        cert_file: Some(folder.path().join("cert.pem")),
        key_file: Some(folder.path().join("key.pem")),
        ..anonymous
    };
    let mut rig = Rig::start(vec![with(&url, known)], Tuning::default());
    assert_eq!(rig.outcome().await.unwrap_err().fault, ScrapeFault::Tls);
    write_pair(folder.path(), &ours.sign("client", false));
    rig.until(Result::is_ok).await.unwrap();
}
