//! The rules that a backtest judges by, and how: as the configuration says where there is one, armed, with nothing that
//! needs the world outside.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Interest, Settings};
use crate::model::Timestamp;
use crate::promql::Expr;
use crate::run::cli;
use crate::run::config::read_rules;
use crate::run::config::{Config, environment};
use crate::run::live::Files;
use crate::runbook::{GroupRuleKind, Hold, Rules, load_with};
use crate::source::recording::Reads;

/// The receiver of rollbacks where the configuration names none.
pub(super) const HOOK: &str = "rollback";
/// At most between two readings that count, before it is known how often was scraped.
const READING: Duration = Duration::from_secs(60);
/// The service's name without a configuration.
const SERVICE: &str = "service";

/// Settings that a recording can be judged by, and what is likely not meant, for people.
#[derive(Clone, Debug)]
pub struct Judge {
    pub settings: Settings,
    /// `None` where there is no configuration.
    pub config: Option<Config>,
    pub warnings: Vec<String>,
}

/// The rules of these files under the configuration of `config`, where that is there or was asked for.
///
/// # Errors
/// Every fault of the files, rendered.
pub fn judge(config: &Path, rules: &[PathBuf], colour: bool) -> Result<Judge, String> {
    let unnamed = config == Path::new(cli::CONFIG) && !config.exists();
    let mut warnings = Vec::new();
    let mut known = None;
    let mut settings = if unnamed {
        Settings::plain(SERVICE, Arc::new(self::rules(rules, colour)?))
    } else {
        let files = Files {
            config: config.to_owned(),
            rules: rules.to_vec(),
            data: None,
        };
        let loaded = files.load(colour)?;
        if !loaded.config.probes.is_empty() {
            let text = "probes are not in a recording: their components are not judged";
            warnings.push(text.to_owned());
        }
        // Not the rules that the configuration's probes add to.
        let mut settings = loaded.config.settings(Arc::clone(&loaded.rules));
        settings.rules = Arc::clone(&loaded.rules);
        known = Some(loaded.config);
        settings
    };
    settings.rules = Arc::new(local(&settings.rules)?);
    settings.reports = Vec::new();
    settings.announcement = None;
    settings.alerts_repeat = Duration::ZERO;
    let settings = settings.armed(HOOK);
    Ok(Judge {
        settings,
        config: known,
        warnings,
    })
}

/// The rules of files, without a configuration.
///
/// # Errors
/// Every fault of the files, rendered.
pub fn rules(paths: &[PathBuf], colour: bool) -> Result<Rules, String> {
    let sources = read_rules(paths)
        .map_err(|error| format!("error: {error}\n  help: name files or folders with --rules"))?;
    let loaded = load_with(&sources, &environment, None);
    let rules = loaded.map(|(rules, _)| rules);
    rules.map_err(|faults| faults.render(colour))
}

impl Judge {
    /// With the rollouts that the command line tells of instead of those that the configuration tells of or infers.
    #[must_use]
    pub fn told(mut self, rollouts: bool, go_live: Option<Timestamp>) -> Self {
        self.settings.rollout.told = None;
        if rollouts {
            self.settings.rollout.version_from = None;
        }
        self.settings.rollout.go_live = go_live.or(self.settings.rollout.go_live);
        self
    }
}

/// How far before a moment samples say something about what comes after it: the longest range, what is compared with
/// before a rollout, and how long conditions must hold.
#[must_use]
pub fn past(settings: &Settings) -> Duration {
    let before = settings
        .rollback
        .predates
        .window
        .max(settings.rollout.baseline);
    let phases = settings.rules.phases.iter();
    let triggers = phases.flat_map(|it| &it.triggers);
    let holds = triggers.map(|it| match it.hold {
        Hold::For(hold) => hold + it.keep_firing_for,
        Hold::After { of, .. } => READING * of + it.keep_firing_for,
    });
    Interest::of(settings).longest() + before + holds.max().unwrap_or_default()
}

/// What these settings take of a recording.
#[must_use]
pub fn reads(settings: &Settings) -> Reads {
    let mut reads = Reads {
        interest: Interest::of(settings),
        ..Reads::default()
    };
    for rule in settings.rules.groups.iter().flat_map(|it| &it.rules) {
        match rule.kind {
            GroupRuleKind::Record => reads.written.push(rule.name.clone()),
            GroupRuleKind::Alert(_) => reads.raised.push(rule.name.clone()),
        }
    }
    reads
}

/// What a `[[prometheus]]` evaluates live is evaluated here: the recording holds what it was made of.
///
/// # Errors
/// What is not evaluated here, rendered.
pub fn local(rules: &Rules) -> Result<Rules, String> {
    let mut rules = rules.clone();
    let mut faults = Vec::new();
    for signal in &mut rules.signals {
        let Some(remote) = signal.remote.take() else {
            continue;
        };
        let mut parsed = |text: &str| {
            let parsed = Expr::parse(text);
            parsed.map_err(|error| faults.push(format!(
                "error: signal `{}` is asked of {} and cannot be evaluated from a recording: {error}",
                signal.name, remote.source
            )))
        };
        let expr = parsed(&remote.expr);
        let enough = remote.enough.as_deref().map(&mut parsed).transpose();
        if let (Ok(expr), Ok(enough)) = (expr, enough) {
            signal.expr = expr;
            signal.enough = enough;
        }
    }
    if faults.is_empty() {
        Ok(rules)
    } else {
        Err(faults.join("\n"))
    }
}
