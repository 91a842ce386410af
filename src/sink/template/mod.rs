//! What a receiver is sent: gated's own body, those of well-known services, or one from a template file. Deliberately
//! absent: addresses, methods and secrets (`webhook` has them), so that none of it can end in a stored body.

mod deploy;
mod own;
mod pagerduty;
mod people;
mod sample;
mod test_event;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::body;
use crate::model::text::acts;
use crate::model::{Notice, NoticeKind};

pub use deploy::Targets;
pub use own::{Own, TemplateFault};
pub(super) use test_event::{says_so, test_event};

/// How a notice becomes a body.
#[derive(Clone, Debug)]
pub enum Template {
    /// gated's own body.
    Generic,
    Slack,
    /// An Adaptive Card for a workflow of Microsoft Teams.
    Teams,
    /// Events API v2, without the routing key.
    PagerDuty,
    /// GitHub `repository_dispatch`.
    GithubDispatch {
        event_type: String,
        targets: Targets,
    },
    /// GitHub `workflow_dispatch`.
    GithubWorkflow {
        reference: String,
        targets: Targets,
    },
    /// GitLab's pipeline trigger, without the token.
    Gitlab {
        reference: String,
        targets: Targets,
    },
    /// Argo CD's rollback to an id of the application's history.
    ArgoCd {
        application: String,
        namespace: Option<String>,
        project: Option<String>,
        targets: Targets,
    },
    /// Argo Rollouts: the update under way is aborted.
    ArgoRollouts,
    /// A file of the user's.
    Own(Own),
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum Unrendered {
    #[error(transparent)]
    Failed(#[from] TemplateFault),
    #[error("{0}")]
    Refused(#[from] Refused),
}

/// Why an undo is not asked for, although it is owed: what it would undo is a guess.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it undoes a release, and `{0}` does not ask for that")]
    NotARollback(String),
    #[error("the version to go back to is not known")]
    NoPrevious,
    #[error("`targets` says nothing for version `{}`, the one to go back to", .0.escape_debug())]
    NoTarget(String),
}

impl Template {
    /// Its name in the configuration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::PagerDuty => "pagerduty",
            Self::GithubDispatch { .. } => "github-dispatch",
            Self::GithubWorkflow { .. } => "github-workflow",
            Self::Gitlab { .. } => "gitlab",
            Self::ArgoCd { .. } => "argocd",
            Self::ArgoRollouts => "argo-rollouts",
            Self::Own(_) => "template_file",
        }
    }

    /// Whether its receiver changes what runs, whatever the notice says: it must get rollback requests alone.
    pub fn undoes(&self) -> bool {
        match self {
            Self::GithubDispatch { .. }
            | Self::GithubWorkflow { .. }
            | Self::Gitlab { .. }
            | Self::ArgoCd { .. }
            | Self::ArgoRollouts => true,
            Self::Generic | Self::Slack | Self::Teams | Self::PagerDuty | Self::Own(_) => false,
        }
    }

    /// Whether its receiver does something about whatever it is sent, so that nothing can be tried on it.
    pub fn acts(&self) -> bool {
        // PagerDuty has no test mode: every event calls somebody.
        self.undoes() || matches!(self, Self::PagerDuty)
    }

    /// The bytes that tell of `notice`, one JSON document.
    pub fn render(&self, notice: &Notice) -> Result<Vec<u8>, Unrendered> {
        if self.undoes() && notice.kind != NoticeKind::RollbackRequested {
            return Err(Refused::NotARollback(notice.kind.word().to_owned()).into());
        }
        let value = match self {
            Self::Generic => return Ok(body::render(notice)),
            Self::Own(own) => return Ok(own.render(notice)?),
            Self::Slack => people::slack(notice),
            Self::Teams => people::teams(notice),
            Self::PagerDuty => pagerduty::event(notice),
            Self::GithubDispatch {
                event_type,
                targets,
            } => deploy::github_dispatch(event_type, targets, notice)?,
            Self::GithubWorkflow { reference, targets } => {
                deploy::github_workflow(reference, targets, notice)?
            }
            Self::Gitlab { reference, targets } => deploy::gitlab(reference, targets, notice)?,
            Self::ArgoCd {
                application,
                namespace,
                project,
                targets,
            } => deploy::argo_cd(application, [namespace, project], targets, notice)?,
            Self::ArgoRollouts => deploy::argo_rollouts(),
        };
        Ok(serde_json::to_vec(&value).expect("its keys are strings"))
    }

    /// Renders samples of these kinds, each with everything that a notice may say and with as little as it may say.
    pub fn check(&self, takes: impl Fn(NoticeKind) -> bool) -> Result<(), TemplateFault> {
        let kinds = NoticeKind::ALL.iter().copied().filter(|kind| takes(*kind));
        for notice in kinds.flat_map(sample::notices) {
            match self.render(&notice) {
                Ok(_) | Err(Unrendered::Refused(_)) => {}
                Err(Unrendered::Failed(fault)) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Why a stored body must not go to this receiver: it undoes, and the body is the generic one, which is what is
    /// stored where nothing else could be rendered.
    pub fn refuses(&self, stored: &[u8]) -> Option<Refused> {
        if !self.undoes() {
            return None;
        }
        let Facts { r#type, data } = Facts::read(stored)?;
        if r#type != NoticeKind::RollbackRequested.word() {
            return Some(Refused::NotARollback(r#type));
        }
        Some(match data.previous_version() {
            Some(version) => Refused::NoTarget(version.to_owned()),
            None => Refused::NoPrevious,
        })
    }
}

/// What a stored generic body says, as far as it is needed again.
#[derive(Debug, Deserialize)]
pub(super) struct Facts {
    pub r#type: String,
    pub data: FactsData,
}

#[derive(Debug, Deserialize)]
pub(super) struct FactsData {
    pub service: String,
    pub environment: String,
    pub reason: String,
    pub rollout: Option<FactsRollout>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FactsRollout {
    pub id: String,
    pub version: String,
    pub previous_version: Option<String>,
}

impl Facts {
    /// `None` for anything but a generic body.
    pub fn read(stored: &[u8]) -> Option<Self> {
        let facts: Self = serde_json::from_slice(stored).ok()?;
        NoticeKind::from_word(&facts.r#type).map(|_| facts)
    }
}

impl FactsData {
    pub fn previous_version(&self) -> Option<&str> {
        self.rollout.as_ref()?.previous_version.as_deref()
    }
}

/// Text of others in a message for people: characters that act on the text around them become spaces.
pub(super) fn plain(text: &str, bytes_max: usize) -> String {
    let shown = text.chars().map(|c| if acts(c) { ' ' } else { c });
    body::cut(&shown.collect::<String>(), bytes_max)
}

/// What has happened, in a few words.
fn title(notice: &Notice) -> String {
    let incident = notice.incident.as_ref();
    match notice.kind {
        NoticeKind::RollbackRequested => "Rollback requested".to_owned(),
        NoticeKind::RollbackAnnounced => "Rollback announced".to_owned(),
        NoticeKind::RollbackCancelled => "Rollback cancelled".to_owned(),
        NoticeKind::RollbackVerified => "The rollback helped".to_owned(),
        NoticeKind::RollbackIneffective => "The rollback did not help".to_owned(),
        NoticeKind::RollbackUnverified => "No value shows whether the rollback helped".to_owned(),
        NoticeKind::EscalationRaised => match incident.and_then(|it| it.role.as_deref()) {
            Some(role) => format!("Calling the {}", plain(role, NAME_BYTES_MAX)),
            None => "Somebody is needed".to_owned(),
        },
        NoticeKind::IncidentResolved => "Resolved".to_owned(),
        NoticeKind::Notification => match incident.and_then(|it| it.acknowledged_by.as_deref()) {
            Some(by) => format!("Acknowledged by {}", plain(by, NAME_BYTES_MAX)),
            None => "Notice".to_owned(),
        },
        NoticeKind::ReportReady => "A report is ready".to_owned(),
        NoticeKind::Test => "A test, nothing has happened".to_owned(),
    }
}

/// Longest name in a message for people.
const NAME_BYTES_MAX: usize = 100;

/// Severity, what has happened, and to what: `P1 Rollback requested: api 2.0.0 (production)`.
pub(super) fn headline(notice: &Notice) -> String {
    let name = |text: &str| plain(text, NAME_BYTES_MAX);
    let mut text = format!(
        "{} {}: {}",
        notice.decision.severity.word(),
        title(notice),
        name(&notice.service)
    );
    if let Some(rollout) = &notice.rollout {
        text.push(' ');
        text.push_str(&name(&rollout.version));
    }
    if !notice.environment.is_empty() {
        let _ = write!(text, " ({})", name(&notice.environment));
    }
    text
}

/// The facts beside the reason, in the order in which people ask for them.
pub(super) fn facts(notice: &Notice) -> Vec<(&'static str, String)> {
    let decision = &notice.decision;
    let rollout = notice.rollout.as_ref();
    let incident = notice.incident.as_ref();
    let previous = rollout.and_then(|it| it.previous_version.as_ref());
    let told = [
        ("Phase", Some(&decision.phase)),
        ("Trigger", Some(&decision.trigger)),
        ("Condition", Some(&decision.condition)),
        ("Version", rollout.map(|it| &it.version)),
        ("Before it", previous),
        (
            "Acknowledged by",
            incident.and_then(|it| it.acknowledged_by.as_ref()),
        ),
    ];
    let mut facts: Vec<(&'static str, String)> = told
        .into_iter()
        .filter_map(|(name, text)| Some((name, plain(text?, FACT_BYTES_MAX))))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    if decision.asked != decision.action {
        let mut asked = decision.asked.word().to_owned();
        if let Some(guard) = decision.refused_by {
            let _ = write!(asked, ", refused: {}", guard.word());
        }
        facts.push(("Asked for", asked));
    }
    facts.push(("Decision", decision.id.to_string()));
    facts
}

const FACT_BYTES_MAX: usize = 300;

/// Where people read more.
pub(super) fn explained(notice: &Notice) -> Option<String> {
    let url = notice.external_url.as_ref()?;
    Some(notice.decision.id.page(url))
}

/// The map behind `targets = { … }`, as read.
pub type TargetMap = BTreeMap<String, String>;
