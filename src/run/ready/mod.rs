//! The ways out of a dry run's answer, looked at while the metrics are: does each hook stand ready, would people be told,
//! which critical alerts are there already? Nothing is fired. Deliberately absent: one look at one receiver (`sink`).

mod weigh;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::clock::Clock;
use super::config::Alertmanager;
use super::config::Config;
use super::config::Held;
use super::config::Mail;
use super::config::Webhook;
use crate::engine::AlertPost;
use crate::engine::Check;
use crate::engine::Outcome;
use crate::engine::PostedAlert;
use crate::engine::Role;
use crate::engine::VerdictState;
use crate::model::NoticeKind;
use crate::model::Reading;
use crate::model::Severity;
use crate::model::Status;
use crate::model::Timestamp;
use crate::model::Unit;
use crate::sink::ActiveAlert;
use crate::sink::Alertmanagers;
use crate::sink::Command;
use crate::sink::Found;
use crate::sink::MailLook;
use crate::sink::Own;
use crate::sink::PeerSeen;
use crate::sink::WebhookLook;
use crate::source::AlertInbox;
use weigh::Condition;
use weigh::Part;
use weigh::Piece;
use weigh::Weight;

/// One request to an Alertmanager takes this long at most.
const ALERTMANAGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than [`ASKED_REPEAT`] and what is added to it.
const HEARD_AFTER: Duration = Duration::from_millis(10);
/// Who is asked tells everything at once.
pub(super) const ASKED_REPEAT: Duration = Duration::from_millis(1);
/// More critical alerts than these are counted.
const ALERTS_NAMED_MAX: usize = 20;
/// Longest name of an alert that is shown.
const NAME_CHARS_MAX: usize = 200;

/// What is said where nothing was looked at.
pub(super) const SKIPPED: &str = "hooks and Alertmanagers were not looked at: --skip-hooks";

/// One thing that was looked at.
#[derive(Debug)]
pub(super) struct Seen {
    piece: Piece,
    name: String,
    condition: &'static str,
    reading: Reading,
    unit: Unit,
    /// One sentence each; of what is well, one that says so.
    said: Vec<String>,
}

/// Looks at everything side by side. Ends within seconds, whatever receivers do.
/// `inbox` takes the alerts that are active, so that rules see them too.
pub(super) async fn look(config: Config, clock: Clock, inbox: Arc<AlertInbox>) -> Vec<Seen> {
    // Those that load only; the daemon and `check` say what is wrong with the others.
    let mut templates = config.templates(false).unwrap_or_default();
    let now = clock.now();
    let mut looks: Vec<BoxFuture<'_, Vec<Seen>>> = Vec::new();
    for hook in &config.webhooks {
        let own = templates.remove(&hook.name);
        let config = &config;
        looks.push(Box::pin(async move {
            vec![webhook(config, hook, own, now).await]
        }));
    }
    for command in &config.commands {
        let name = &command.config.name;
        let found = Command::new(&command.config)
            .map_err(|error| super::chain(&error))
            .and_then(|it| it.found());
        let found = match found {
            Ok(path) => noted(path.display().to_string()),
            Err(why) => Found {
                broken: vec![why],
                ..Found::default()
            },
        };
        let subject = Subject {
            // A command is run for rollbacks alone.
            part: Part::Rollback,
            called: false,
            name: format!("hook:{name}"),
            condition: "can be run",
        };
        let seen = subject.seen(&found, Instant::now());
        looks.push(Box::pin(async move { vec![seen] }));
    }
    for it in &config.mails {
        let config = &config;
        looks.push(Box::pin(async move { vec![mail(config, it, now).await] }));
    }
    if let Some(configured) = &config.alertmanager {
        let called = through_alertmanager(&config);
        looks.push(Box::pin(alertmanagers(configured, called, now, &inbox)));
    }
    join_all(looks).await.into_iter().flatten().collect()
}

async fn webhook(config: &Config, hook: &Webhook, own: Option<Own>, now: Timestamp) -> Seen {
    let is_hook = config.rollback.hook.as_ref() == Some(&hook.name);
    let subject = Subject {
        part: if is_hook {
            Part::Rollback
        } else {
            Part::People
        },
        called: called_for_p1(config, &hook.name, &hook.events),
        name: format!("hook:{}", hook.name),
        condition: "can be reached",
    };
    let held = Held {
        own,
        ..Held::default()
    };
    let look = WebhookLook {
        config: hook.sender(held),
        url_file: hook.url_file.clone(),
        secret_file: hook.secret_file.clone(),
        ca_file: hook.ca_file.clone(),
        health: hook.health.clone(),
        accepts_test: hook.accepts_test,
        service: config.service.name.clone(),
        environment: config.service.environment.clone(),
    };
    let began = Instant::now();
    let found = look.look(now).await;
    subject.seen(&found, began)
}

async fn mail(config: &Config, mail: &Mail, now: Timestamp) -> Seen {
    let subject = Subject {
        part: Part::People,
        called: called_for_p1(config, &mail.config.name, &mail.events),
        name: format!("hook:{}", mail.config.name),
        condition: "can be reached",
    };
    let look = MailLook {
        config: mail.config.clone(),
        accepts_test: mail.accepts_test,
        service: config.service.name.clone(),
        environment: config.service.environment.clone(),
    };
    let began = Instant::now();
    let found = look.look(now).await;
    subject.seen(&found, began)
}

/// Whether a P1 calls somebody through this hook: its levels, else every hook for people where there is no Alertmanager.
fn called_for_p1(config: &Config, name: &String, events: &[NoticeKind]) -> bool {
    let levels = &config.people.paths.of(Severity::P1).levels;
    if !levels.is_empty() {
        return levels.iter().any(|it| it.hooks.contains(name));
    }
    let told = events.is_empty() || events.contains(&NoticeKind::EscalationRaised);
    let is_hook = config.rollback.hook.as_ref() == Some(name);
    config.alertmanager.is_none() && told && !is_hook
}

fn through_alertmanager(config: &Config) -> bool {
    let levels = &config.people.paths.of(Severity::P1).levels;
    config.alertmanager.is_some() && levels.is_empty()
}

async fn alertmanagers(
    configured: &Alertmanager,
    called: bool,
    now: Timestamp,
    inbox: &AlertInbox,
) -> Vec<Seen> {
    let urls = configured.urls.iter().map(|it| it.expose().to_owned());
    let urls: Vec<String> = urls.collect();
    let subject = |name: String| Subject {
        part: Part::Alertmanager,
        called,
        name,
        condition: "answers",
    };
    let began = Instant::now();
    let peers = match Alertmanagers::new(&urls, ALERTMANAGER_TIMEOUT) {
        Ok(peers) => peers.authorized(configured.credentials.clone()),
        Err(error) => {
            let found = Found {
                broken: vec![super::chain(&error)],
                ..Found::default()
            };
            return vec![subject("alertmanager".to_owned()).seen(&found, began)];
        }
    };
    let peers = peers.look(&configured.critical, now).await;
    hear(&peers, inbox).await;
    let alerts = alerts(&peers);
    let peers = peers.into_iter().map(|it| {
        let subject = subject(format!("alertmanager:{}", it.place));
        subject.seen(&it.found, began)
    });
    peers.chain([alerts]).collect()
}

/// Tells rules of the alerts that are active, as a post of Alertmanager would.
async fn hear(peers: &[PeerSeen], inbox: &AlertInbox) {
    let told: Vec<&Vec<ActiveAlert>> = peers.iter().filter_map(|it| it.active.as_ref()).collect();
    if told.is_empty() {
        return;
    }
    let labels: BTreeSet<&BTreeMap<String, String>> =
        told.into_iter().flatten().map(|it| &it.labels).collect();
    let alerts = labels
        .into_iter()
        .enumerate()
        .map(|(n, labels)| PostedAlert {
            fingerprint: n.to_string(),
            firing: true,
            labels: labels.clone(),
            ends_at: None,
        });
    let post = AlertPost {
        group: "asked".to_owned(),
        whole: true,
        alerts: alerts.collect(),
    };
    // Once more when it has been heard for long enough.
    inbox.take(post.clone()).await;
    tokio::time::sleep(HEARD_AFTER).await;
    inbox.take(post).await;
}

/// What the Alertmanagers that answer list, each alert once.
fn alerts(peers: &[PeerSeen]) -> Seen {
    let answers = peers.iter().filter_map(|it| it.critical.as_ref());
    let mut told = false;
    let mut by_labels: BTreeMap<&BTreeMap<String, String>, &ActiveAlert> = BTreeMap::new();
    for listed in answers {
        told = true;
        by_labels.extend(listed.iter().map(|it| (&it.labels, it)));
    }
    let mut said: Vec<String> = by_labels
        .values()
        .take(ALERTS_NAMED_MAX)
        .map(|it| sentence(it))
        .collect();
    let more = by_labels.len() - said.len();
    if more > 0 {
        said.push(format!("{more} more critical alerts are active"));
    }
    if !told {
        said.push(
            "critical alerts: no Alertmanager told of its alerts: see why each of them did not"
                .to_owned(),
        );
    }
    let condition = match (told, by_labels.is_empty()) {
        (false, _) => Condition::Untold,
        (true, true) => Condition::Well,
        (true, false) => Condition::Broken,
    };
    #[allow(clippy::cast_precision_loss, reason = "a count of alerts")]
    let count = by_labels.len() as f64;
    Seen {
        piece: Piece {
            part: Part::Alerts,
            called: false,
            condition,
        },
        name: "critical alerts".to_owned(),
        condition: "== 0",
        reading: if told {
            Reading::Value(count)
        } else {
            Reading::SourceError
        },
        unit: Unit::Count,
        said,
    }
}

fn sentence(alert: &ActiveAlert) -> String {
    let label = |name: &str| alert.labels.get(name).map_or("", String::as_str);
    let name: String = label("alertname").chars().take(NAME_CHARS_MAX).collect();
    let since = match alert.since.as_str() {
        "" => String::new(),
        since => format!(" since {since}"),
    };
    format!("critical alert `{name}` is active{since}: resolve it, or silence it in Alertmanager")
}

fn noted(note: String) -> Found {
    Found {
        notes: vec![note],
        ..Found::default()
    }
}

/// What is looked at, before it was.
struct Subject {
    part: Part,
    called: bool,
    name: String,
    condition: &'static str,
}

impl Subject {
    fn seen(self, found: &Found, began: Instant) -> Seen {
        let condition = if !found.broken.is_empty() {
            Condition::Broken
        } else if !found.soon.is_empty() {
            Condition::Soon
        } else {
            Condition::Well
        };
        let name = &self.name;
        let all = found.broken.iter().chain(&found.soon);
        let mut said: Vec<String> = all.map(|it| format!("{name}: {it}")).collect();
        if said.is_empty() {
            said = vec![found.notes.join(", ")];
        }
        let reading = match condition {
            Condition::Well | Condition::Soon => Reading::Value(began.elapsed().as_secs_f64()),
            Condition::Broken | Condition::Untold => Reading::SourceError,
        };
        Seen {
            piece: Piece {
                part: self.part,
                called: self.called,
                condition,
            },
            name: self.name,
            condition: self.condition,
            reading,
            unit: Unit::Seconds,
            said,
        }
    }
}

/// Puts what was seen into the verdict: a check for each, and a reason for what is wrong.
pub(super) fn add(state: &mut VerdictState, seen: Vec<Seen>, gate: Status) {
    let pieces: Vec<Piece> = seen.iter().map(|it| it.piece).collect();
    let weights = weigh::weigh(&pieces);
    let before = (state.verdict, state.status);
    (state.verdict, state.status) = weigh::conclude(before, &weights, gate);
    let mut reasons = Vec::new();
    for (it, weight) in seen.into_iter().zip(&weights) {
        let alone = *weight == Weight::NoGo && it.piece.part == Part::People;
        let mut said = it.said;
        if alone {
            for sentence in &mut said {
                sentence.push_str("; nobody would be told of a P1");
            }
        }
        if *weight != Weight::Nothing {
            reasons.extend(said.iter().map(|it| (*weight, it.clone())));
        }
        state.checks.push(Check {
            name: it.name,
            signal: String::new(),
            role: Role::Component,
            reading: it.reading,
            unit: it.unit,
            condition: it.condition.to_owned(),
            thresholds: BTreeMap::new(),
            expected: false,
            shadow: false,
            outcome: match weight {
                Weight::Nothing => Outcome::Met,
                Weight::Amber | Weight::NoGo => Outcome::Missed,
                Weight::Unknown => Outcome::Unknown,
            },
            reason: said.join("; "),
        });
    }
    reasons.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let reasons = reasons.into_iter().map(|(_, text)| text);
    state.reasons.extend(reasons);
}
