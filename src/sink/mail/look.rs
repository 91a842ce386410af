//! One look at a mail's server before anything is owed: files, name, connection, certificate, login. A mail goes out only
//! to who says that it takes tests.

use tokio::time::Instant;

use super::line::{Failure, Line};
use super::{Mail, MailConfig};
use crate::engine::Attempted;
use crate::model::{DecisionId, DeliveryKey, Timestamp};
use crate::sink::look::{Found, LOOK_MAX, Steps, test_id};
use crate::sink::template::test_event;

/// A `[[mail]]` to be looked at.
#[derive(Clone, Debug)]
pub struct MailLook {
    pub config: MailConfig,
    /// Whether it takes a `gated.test` event.
    pub accepts_test: bool,
    /// What the event says of whom it is about.
    pub service: String,
    pub environment: String,
}

impl MailLook {
    /// Looks. `now` is the wall's time: certificates are judged by it.
    pub async fn look(self, now: Timestamp) -> Found {
        let mut found = Found::default();
        let steps = Steps {
            end: Instant::now() + LOOK_MAX,
            each: self.config.smtp.timeout,
        };
        let mail = Mail::new(self.config.clone());
        let talked = self.talk(&mail, now, &mut found);
        if let Ok(Err(why)) | Err(why) = steps.step("the conversation", talked).await {
            found.broken.push(why);
        }
        if self.accepts_test && found.broken.is_empty() {
            let tried = self.test(&mail, now);
            match steps.step("the test", tried).await {
                Ok(Ok(())) => found.notes.push("took a gated.test event".to_owned()),
                Ok(Err(why)) | Err(why) => found.broken.push(why),
            }
        }
        found
    }

    /// As an attempt, up to where a mail would begin.
    async fn talk(&self, mail: &Mail, now: Timestamp, found: &mut Found) -> Result<(), String> {
        let held = mail.held().await?;
        let smtp = &self.config.smtp;
        let opened = Line::open(smtp, held.ca.as_deref(), now).await;
        let mut line = opened.map_err(|failure| match failure {
            Failure::Said { .. } => {
                format!("it does not let gated in: {failure}: mend the server, or `host` of [smtp]")
            }
            Failure::Lost(why) => why,
        })?;
        line.reached.tell(found);
        let mut talked = Ok(());
        if let Some((user, password)) = &held.login {
            talked = line.log_in(user, password).await.map_err(|failure| {
                format!("{failure}: mend `username` of [smtp], or what is in `password_file`")
            });
        }
        if talked.is_ok() {
            let listens = line.listens().await;
            talked = listens.map_err(|failure| format!("{failure}: mend the server"));
        }
        line.close().await;
        if talked.is_ok() {
            let note = if held.login.is_some() {
                "logged in"
            } else {
                "listens"
            };
            found.notes.push(note.to_owned());
        }
        talked
    }

    async fn test(&self, mail: &Mail, now: Timestamp) -> Result<(), String> {
        let id = test_id(mail.name(), now);
        let decision = DecisionId(format!("test_{id}"));
        let notice = test_event(decision, &self.service, &self.environment, now);
        let key = DeliveryKey(format!("msg_test_{id}"));
        match mail.attempt(&key, mail.render(&notice).into(), now).await {
            Attempted::Replied {
                code: 200..=299, ..
            } => Ok(()),
            Attempted::Replied { code, text } => Err(format!(
                "it answered {code} {text} to a test: mend `from` and `to`, or remove `accepts_test`"
            )),
            Attempted::NoAnswer { reason, .. } => Err(format!(
                "it gave no answer to a test: {reason}: mend the server"
            )),
            Attempted::Answered { .. } | Attempted::Ran { .. } => {
                unreachable!("a mail is neither posted nor run")
            }
        }
    }
}
