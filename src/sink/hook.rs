//! Whoever is told, in one way or another: a webhook, a command or a mail. What it is told is made once, when it is recorded.

use bytes::Bytes;
use tracing::error;

use super::body;
use super::command::Command;
use super::mail::Mail;
use super::metrics::{TEMPLATE_FAILURES, WEBHOOK_ATTEMPTS};
use super::template::Unrendered;
use super::webhook::Webhook;
use crate::engine::Attempted;
use crate::model::{DecisionId, DeliveryKey, Notice, Timestamp};

/// A receiver by its name in the configuration.
#[derive(Debug)]
pub enum Hook {
    Webhook(Box<Webhook>),
    Command(Command),
    Mail(Mail),
}

impl Hook {
    pub fn name(&self) -> &str {
        match self {
            Self::Webhook(it) => it.name(),
            Self::Command(it) => it.name(),
            Self::Mail(it) => it.name(),
        }
    }

    /// The bytes to be stored. A template that fails costs the receiver its own form, never the message; where a
    /// template must not guess, what is stored is refused when it is to be sent.
    pub fn render(&self, notice: &Notice) -> Vec<u8> {
        let webhook = match self {
            Self::Webhook(webhook) => webhook,
            Self::Command(_) => return body::render(notice),
            Self::Mail(mail) => return mail.render(notice),
        };
        let (receiver, template) = (self.name(), webhook.template());
        match template.render(notice) {
            Ok(body) => body,
            Err(Unrendered::Failed(fault)) => {
                error!(receiver, %fault, "a template failed; the generic body is sent instead");
                metrics::counter!(TEMPLATE_FAILURES, "receiver" => receiver.to_owned())
                    .increment(1);
                body::render(notice)
            }
            Err(Unrendered::Refused(refused)) => {
                error!(receiver, template = template.word(), %refused, "this cannot be sent");
                body::render(notice)
            }
        }
    }

    /// One attempt to deliver what was stored, counted.
    pub async fn attempt(
        &self,
        key: &DeliveryKey,
        decision: &DecisionId,
        body: Bytes,
        now: Timestamp,
    ) -> Attempted {
        let outcome = match self {
            Self::Webhook(it) => it.attempt(key, decision, body, now).await,
            Self::Command(it) => it.attempt(key, decision, body).await,
            Self::Mail(it) => it.attempt(key, body, now).await,
        };
        let class = match &outcome {
            Attempted::Answered { status, .. } => format!("{}xx", status / 100),
            Attempted::Replied { code, .. } => format!("{}xx", code / 100),
            Attempted::NoAnswer { .. } => "no_answer".to_owned(),
            Attempted::Ran { code, .. } => format!("exit_{code}"),
        };
        let name = self.name().to_owned();
        metrics::counter!(WEBHOOK_ATTEMPTS, "receiver" => name, "outcome" => class).increment(1);
        outcome
    }
}
