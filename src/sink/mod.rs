//! Where effects go: the `SQLite` ledger, webhooks, Alertmanager. Deliberately absent: when to retry (the engine's
//! decision) and any clock (moments are passed in).

pub mod alertmanager;
pub mod body;
mod http;
pub mod ledger;
pub mod metrics;
mod secret;
pub mod webhook;

pub use alertmanager::{AlertmanagerError, Alertmanagers, Credentials, PeerFault, Posted, Taken};
pub use body::render;
pub use ledger::{CommitError, Ledger, LedgerError, Quarantine, StoredBody};
pub use secret::{Secret, SecretUrl};
pub use webhook::{Webhook, WebhookConfig, WebhookError};
