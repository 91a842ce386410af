//! Bodies that undo a release: GitHub, GitLab, Argo CD, Argo Rollouts. Each names where to go back to; "the previous
//! one" is never said, since by the time it is read it may be another.

use serde_json::{Value, json};

use super::{Refused, TargetMap, plain};
use crate::model::Notice;

const TEXT_BYTES_MAX: usize = 1000;

/// What stands for a version at the receiver: a revision, an id of its history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    map: TargetMap,
    /// The receiver knows versions by their own names, so one that is not in the map stands for itself.
    by_version: bool,
}

impl Targets {
    /// Versions that are not listed stand for themselves.
    #[must_use]
    pub fn or_version(map: TargetMap) -> Self {
        Self {
            map,
            by_version: true,
        }
    }

    /// Versions that are not listed have no target.
    #[must_use]
    pub fn listed(map: TargetMap) -> Self {
        Self {
            map,
            by_version: false,
        }
    }

    /// The target of the version to go back to.
    pub(in crate::sink) fn of(&self, previous: Option<&str>) -> Result<String, Refused> {
        let previous = previous.filter(|it| !it.is_empty());
        let version = previous.ok_or(Refused::NoPrevious)?;
        let listed = self.map.get(version).or_else(|| {
            let mut alike = self.map.iter();
            alike
                .find(|(listed, _)| bare(listed) == bare(version))
                .map(|(_, target)| target)
        });
        match listed {
            Some(target) => Ok(target.clone()),
            None if self.by_version => Ok(version.to_owned()),
            None => Err(Refused::NoTarget(version.to_owned())),
        }
    }

    fn for_notice(&self, notice: &Notice) -> Result<String, Refused> {
        let rollout = notice.rollout.as_ref();
        self.of(rollout.and_then(|it| it.previous_version.as_deref()))
    }
}

/// `v2.0` and `2.0` are one version.
fn bare(version: &str) -> &str {
    let rest = version.strip_prefix(['v', 'V']).unwrap_or(version);
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        rest
    } else {
        version
    }
}

/// Repository dispatch: ten keys at most in its payload.
pub(super) fn github_dispatch(
    event_type: &str,
    targets: &Targets,
    notice: &Notice,
) -> Result<Value, Refused> {
    let mut payload = inputs(targets, notice)?;
    payload["service"] = plain(&notice.service, TEXT_BYTES_MAX).into();
    payload["environment"] = plain(&notice.environment, TEXT_BYTES_MAX).into();
    if let Some(at) = notice.expires_at {
        payload["expires_at"] = at.to_string().into();
    }
    Ok(json!({"event_type": event_type, "client_payload": payload}))
}

/// Workflow dispatch: the workflow must declare these inputs, all strings, and GitHub refuses others.
pub(super) fn github_workflow(
    reference: &str,
    targets: &Targets,
    notice: &Notice,
) -> Result<Value, Refused> {
    Ok(json!({"ref": reference, "inputs": inputs(targets, notice)?}))
}

fn inputs(targets: &Targets, notice: &Notice) -> Result<Value, Refused> {
    let target = targets.for_notice(notice)?;
    Ok(json!({
        "target": target,
        "version": version(notice),
        "reason": plain(&notice.decision.reason, TEXT_BYTES_MAX),
        "decision": notice.decision.id.as_str(),
    }))
}

fn version(notice: &Notice) -> String {
    let version = notice.rollout.as_ref().map(|it| it.version.as_str());
    plain(version.unwrap_or(""), TEXT_BYTES_MAX)
}

/// A pipeline with its variables. The token is part of the body by that contract: the sender puts it in.
pub(super) fn gitlab(
    reference: &str,
    targets: &Targets,
    notice: &Notice,
) -> Result<Value, Refused> {
    let target = targets.for_notice(notice)?;
    let variables = json!({
        "GATED_TARGET": target,
        "GATED_VERSION": version(notice),
        "GATED_REASON": plain(&notice.decision.reason, TEXT_BYTES_MAX),
        "GATED_DECISION": notice.decision.id.as_str(),
    });
    Ok(json!({"ref": reference, "variables": variables}))
}

/// The id is a number of the application's history. Nothing is pruned: what the bad version added stays.
pub(super) fn argo_cd(
    application: &str,
    [namespace, project]: [&Option<String>; 2],
    targets: &Targets,
    notice: &Notice,
) -> Result<Value, Refused> {
    let target = targets.for_notice(notice)?;
    let id: u64 = target.parse().map_err(|_| Refused::NoTarget(target))?;
    let mut body = json!({"name": application, "id": id, "dryRun": false, "prune": false});
    for (key, value) in [("appNamespace", namespace), ("project", project)] {
        if let Some(value) = value {
            body[key] = value.as_str().into();
        }
    }
    Ok(body)
}

/// A merge patch of the rollout's status: its controller goes back to the stable version.
pub(super) fn argo_rollouts() -> Value {
    json!({"status": {"abort": true}})
}
