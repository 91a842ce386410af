//! Mail as a receiver: one attempt to hand one stored message to one SMTP server. Deliberately absent: whether and when to
//! try again (the engine's decision), and what the message says (`letter` writes it once, when it is recorded).

mod letter;
mod line;
mod look;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lettre::Address;
use tracing::warn;

use super::look::text_of;
use super::secret::Secret;
use crate::engine::Attempted;
use crate::model::{DeliveryKey, Notice, Timestamp};

use line::{Failure, Line};
pub use look::MailLook;

/// Somebody who is written to, or who writes: `ops@example.com`, `Operations <ops@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    pub name: Option<String>,
    address: Address,
}

/// What is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no mail address")]
pub struct NoMailbox;

impl Mailbox {
    pub fn address(&self) -> &str {
        self.address.as_ref()
    }

    pub fn domain(&self) -> &str {
        self.address.domain()
    }
}

impl FromStr for Mailbox {
    type Err = NoMailbox;

    /// ASCII alone stands in an address: not every server takes more.
    fn from_str(text: &str) -> Result<Self, NoMailbox> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>') {
            Some(rest) => rest.rsplit_once('<').ok_or(NoMailbox)?,
            None => ("", text),
        };
        let name = name.trim().trim_matches('"').trim();
        if name.chars().any(char::is_control) || !address.is_ascii() {
            return Err(NoMailbox);
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address: address.parse().map_err(|_| NoMailbox)?,
        })
    }
}

/// How the way to the server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// A plain beginning that must become TLS before anything is said.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    None,
}

/// `[smtp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// Who gated is there, and the file that holds the password: read before every attempt, since such files are replaced.
    pub login: Option<(String, PathBuf)>,
    /// Of one attempt, connecting included.
    pub timeout: Duration,
    /// The server's certificate authorities, in PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What gated calls itself; `None`: its own address.
    pub hello: Option<String>,
}

/// A `[[mail]]` as configured.
#[derive(Clone, Debug)]
pub struct MailConfig {
    pub name: String,
    pub from: Mailbox,
    /// At least one.
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub smtp: SmtpConfig,
}

/// A receiver that is written to.
#[derive(Debug)]
pub struct Mail {
    config: MailConfig,
}

/// What is known of the server before an attempt.
struct Held {
    login: Option<(String, Secret)>,
    ca: Option<Vec<u8>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Mail {
    #[must_use]
    pub fn new(config: MailConfig) -> Self {
        Self { config }
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The whole message, as it is stored and sent.
    #[must_use]
    pub fn render(&self, notice: &Notice) -> Vec<u8> {
        letter::of(&self.config, notice)
    }

    /// Hands over `stored` once. `now` is the wall's time: certificates are judged by it.
    pub async fn attempt(&self, key: &DeliveryKey, stored: Bytes, now: Timestamp) -> Attempted {
        let handed = AtomicBool::new(false);
        let name = self.name();
        // What was recorded for a receiver of another kind under this name is written into a letter, the same each time.
        let letter = if letter::is_one(&stored) {
            stored
        } else {
            letter::around(&self.config, key, &stored).into()
        };
        let sending = async {
            let held = self.held().await.map_err(Failure::Lost)?;
            let secrets = held.login.as_ref().map(|(_, it)| it.clone());
            let mut line = Line::open(&self.config.smtp, held.ca.as_deref(), now).await?;
            let sent = self.converse(&mut line, &held, &letter, &handed).await;
            line.close().await;
            sent.map_err(|failure| failure.without(secrets.as_ref()))
        };
        let sent = tokio::time::timeout(self.config.smtp.timeout, sending).await;
        let reached = handed.load(Ordering::Relaxed);
        match sent {
            Ok(Ok(said)) => {
                for (address, why) in &said.refused {
                    warn!(receiver = name, address, %why, "the server takes no mail for one of several addresses");
                }
                said.attempted()
            }
            Ok(Err(Failure::Said { code, text })) => Attempted::Replied { code, text },
            Ok(Err(Failure::Lost(reason))) => Attempted::NoAnswer { reason, reached },
            Err(_) => Attempted::NoAnswer {
                reason: "timed out".to_owned(),
                reached,
            },
        }
    }

    async fn held(&self) -> Result<Held, String> {
        let smtp = &self.config.smtp;
        let login = match &smtp.login {
            Some((user, file)) => {
                let password = text_of("password_file", file).await?;
                Some((user.clone(), Secret::new(password)))
            }
            None => None,
        };
        let ca = match &smtp.ca_file {
            Some(file) => Some(text_of("ca_file", file).await?.into_bytes()),
            None => None,
        };
        Ok(Held { login, ca })
    }

    /// From the login to the server's last word.
    async fn converse(
        &self,
        line: &mut Line,
        held: &Held,
        letter: &[u8],
        handed: &AtomicBool,
    ) -> Result<Taken, Failure> {
        if let Some((user, password)) = &held.login {
            line.log_in(user, password).await?;
        }
        let config = &self.config;
        line.from(&config.from).await?;
        let mut refused = Vec::new();
        let everybody = config.to.iter().chain(&config.cc);
        for mailbox in everybody.clone() {
            match line.to(mailbox).await {
                Ok(()) => {}
                Err(Failure::Lost(why)) => return Err(Failure::Lost(why)),
                Err(why) => refused.push((mailbox.address().to_owned(), why)),
            }
        }
        if refused.len() == everybody.count() {
            // One that may be taken later is worth another attempt.
            let later = |(_, it): &(String, Failure)| {
                matches!(
                    it,
                    Failure::Said {
                        code: 400..=499,
                        ..
                    }
                )
            };
            let place = refused.iter().position(later).unwrap_or(0);
            return Err(refused.swap_remove(place).1);
        }
        line.begin().await?;
        handed.store(true, Ordering::Relaxed);
        let (code, text) = line.hand_over(letter).await?;
        Ok(Taken {
            code,
            text,
            refused,
        })
    }
}

/// The server has taken it, for some or for all.
#[derive(Debug)]
struct Taken {
    code: u16,
    text: String,
    /// Who does not get it.
    refused: Vec<(String, Failure)>,
}

impl Taken {
    fn attempted(self) -> Attempted {
        let mut text = self.text;
        for (address, why) in self.refused {
            text = format!("{text}; not taken for {address}: {why}");
        }
        Attempted::Replied {
            code: self.code,
            text: line::shown(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        let of = |text: &str| {
            let it: Mailbox = text.parse().ok()?;
            Some((it.name.clone(), it.address().to_owned()))
        };
        let some =
            |name: Option<&str>, address: &str| Some((name.map(str::to_owned), address.to_owned()));
        let bare = some(None, "ops@example.com");
        assert_eq!(of("ops@example.com"), bare);
        assert_eq!(of(" <ops@example.com> "), bare);
        let named = some(Some("Öps, all"), "ops@example.com");
        assert_eq!(of("Öps, all <ops@example.com>"), named);
        assert_eq!(of("\"Öps, all\" <ops@example.com>"), named);
        for bad in [
            "",
            "ops",
            "ops@",
            "@example.com",
            "a@b@c",
            "ops@example.com>",
            "x <ops@example.com",
            "a\r\nBcc: x <ops@example.com>",
            "ops@example.com\r\nRCPT TO:<x@example.com>",
            "ops@exämple.com",
            "ops@example.com, x@example.com",
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
