//! The demo's receiver of webhooks: verifies the signature, remembers what came, and rolls back when it is asked to.
//! It does what a real receiver should: a repeat of a known `Idempotency-Key` is answered and not acted on.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::service::serve;
use crate::model::Timestamp;

/// A request whose `webhook-timestamp` lies further away than this is refused, as Standard Webhooks asks.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Requests remembered; the oldest are forgotten first.
const REMEMBERED: usize = 1000;

const DRAIN: Duration = Duration::from_secs(2);

/// One request as it came and how it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// `webhook-id`: the same on every attempt of one delivery.
    pub id: String,
    /// `Idempotency-Key`: the decision.
    pub key: String,
    /// The body's `type`; empty when the body is not what it should be.
    pub kind: String,
    pub body: Value,
    /// The status it was answered with.
    pub status: u16,
    /// The key was known: answered, not acted on.
    pub repeat: bool,
}

/// What the receiver is made with.
pub struct Setup {
    /// The key as Standard Webhooks writes it: `whsec_` and base64; anything else is taken as it stands.
    pub secret: String,
    /// So many authentic rollback requests are answered 503 first, so that the retry is seen.
    pub fail_first: usize,
    /// Reads the time against which `webhook-timestamp` is checked.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Called once per key with the version to go back to. It must not ask this receiver anything: it is waited for.
    pub on_rollback: Box<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("fail_first", &self.fail_first)
            .finish_non_exhaustive()
    }
}

/// A running receiver. [`Receiver::stop`] ends it.
#[derive(Debug)]
pub struct Receiver {
    desk: Arc<Desk>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(setup: Setup) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk {
            key: key(&setup.secret),
            setup,
            book: Mutex::default(),
        });
        let router = Router::new()
            .route("/rollback", post(receive))
            .with_state(Arc::clone(&desk));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, router, stopped));
        Ok(Self {
            desk,
            address,
            stop,
            task,
        })
    }

    /// Where webhooks go: `http://127.0.0.1:PORT/rollback`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/rollback", self.address)
    }

    /// Everything that came, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.desk.book).received.clone()
    }

    /// Ends the listener, and waits until answers under way are out.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(DRAIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

struct Desk {
    key: hmac::Key,
    setup: Setup,
    book: Mutex<Book>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Book {
    received: Vec<Received>,
    acted_on: BTreeSet<String>,
    failed: usize,
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(secret: &str) -> hmac::Key {
    let decoded = secret
        .strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok());
    hmac::Key::new(
        hmac::HMAC_SHA256,
        decoded.as_deref().unwrap_or(secret.as_bytes()),
    )
}

async fn receive(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    desk.take(&headers, &body)
}

impl Desk {
    fn take(&self, headers: &HeaderMap, bytes: &[u8]) -> (StatusCode, &'static str) {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
        };
        let (id, decision) = (header("webhook-id"), header("idempotency-key"));
        let authentic = self.authentic(
            id,
            header("webhook-timestamp"),
            header("webhook-signature"),
            bytes,
        );
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let kind = body["type"].as_str().unwrap_or_default().to_owned();
        let mut book = lock(&self.book);
        let repeat = book.acted_on.contains(decision);
        let answer = match authentic {
            Err(why) => (StatusCode::UNAUTHORIZED, why),
            Ok(()) if repeat => (StatusCode::OK, "known already\n"),
            Ok(()) if kind == "gated.rollback.requested" => {
                self.roll_back(decision, &body, &mut book)
            }
            Ok(()) if kind.is_empty() => (StatusCode::BAD_REQUEST, "the body has no type\n"),
            Ok(()) => (StatusCode::OK, "noted\n"),
        };
        if book.received.len() == REMEMBERED {
            book.received.remove(0);
        }
        let (id, key) = (id.to_owned(), decision.to_owned());
        book.received.push(Received {
            id,
            key,
            kind,
            body,
            status: answer.0.as_u16(),
            repeat,
        });
        answer
    }

    fn roll_back(
        &self,
        decision: &str,
        body: &Value,
        book: &mut Book,
    ) -> (StatusCode, &'static str) {
        if decision.is_empty() {
            return (StatusCode::BAD_REQUEST, "no Idempotency-Key\n");
        }
        let Some(version) = body["data"]["rollout"]["previous_version"].as_str() else {
            return (
                StatusCode::UNPROCESSABLE_ENTITY,
                "no version to go back to\n",
            );
        };
        if book.failed < self.setup.fail_first {
            book.failed += 1;
            return (StatusCode::SERVICE_UNAVAILABLE, "not this time\n");
        }
        book.acted_on.insert(decision.to_owned());
        (self.setup.on_rollback)(version);
        (StatusCode::OK, "rolling back\n")
    }

    /// Standard Webhooks: one of the `v1,…` signatures is the MAC of `id.timestamp.body`, and the time is ours.
    fn authentic(
        &self,
        id: &str,
        stamp: &str,
        signatures: &str,
        body: &[u8],
    ) -> Result<(), &'static str> {
        let sent = stamp.parse::<i64>().map_err(|_| "no webhook-timestamp\n")?;
        let sent = Timestamp::from_millis(sent.saturating_mul(1000));
        let now = (self.setup.now)();
        if now.since(sent).max(sent.since(now)) > TOLERANCE {
            return Err("webhook-timestamp is too far away\n");
        }
        let message = [id.as_bytes(), b".", stamp.as_bytes(), b".", body].concat();
        let signed = |signature: &str| {
            let mac = signature
                .strip_prefix("v1,")
                .and_then(|text| STANDARD.decode(text).ok());
            mac.is_some_and(|mac| hmac::verify(&self.key, &message, &mac).is_ok())
        };
        if id.is_empty() || !signatures.split(' ').any(signed) {
            return Err("the signature is not ours\n");
        }
        Ok(())
    }
}
