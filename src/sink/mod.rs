//! Where effects go: the `SQLite` ledger, webhooks, commands, mail, Alertmanager. Deliberately absent: when to retry (the engine's
//! decision) and any clock (moments are passed in).

pub mod alertmanager;
pub mod body;
pub mod command;
mod deny;
mod hook;
mod http;
pub mod journal;
pub mod ledger;
mod lock;
mod look;
pub mod mail;
mod matcher;
pub mod metrics;
mod secret;
mod service;
pub mod template;
pub mod webhook;

pub use alertmanager::{
    ActiveAlert, AlertmanagerError, Alertmanagers, Credentials, PeerFault, PeerSeen, Posted, Taken,
};
pub use body::render;
pub use command::{Command, CommandConfig, CommandError};
pub use deny::{Cidr, Denied, DenyList};
pub use hook::Hook;
pub use journal::{Journal, JournalConfig, JournalError, Keep, Recorder};
pub use ledger::{CommitError, Ledger, LedgerError, Quarantine, StoredBody};
pub use look::{Found, WebhookLook};
pub use mail::{Mail, MailConfig, MailLook, MailTls, Mailbox, NoMailbox, SmtpConfig};
pub use matcher::{Matcher, matchers};
pub use secret::{Secret, SecretUrl};
pub use template::{Own, Targets, Template, TemplateFault};
pub use webhook::{Webhook, WebhookConfig, WebhookError};
