//! `gated.toml`, typed. Deliberately absent: what the rules say (`runbook` reads them) and opening any file that is named here.
//!
//! Paths are relative to the working directory. Secrets come from files or the environment and are never printed.

mod announcement;
mod command;
mod files;
mod journal;
mod mail;
mod notify;
mod people;
mod policy;
mod probe;
mod prometheus;
mod report;
mod scrape;
mod service;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use announcement::Announcement;
pub use command::Command;
pub use files::{Unread, environment, read_config, read_rules, read_what_can_be};
pub use mail::Mail;
pub use notify::{Alertmanager, Held, Webhook};
pub use probe::Probe;
pub use report::ReportConfig;
pub use service::Form;

use crate::engine::DUE_SEVERITY;
use crate::engine::PROBE_INTERVAL_QUICK_MAX;
use crate::engine::{Judging, People, Receiver, RollbackPolicy, RolloutPolicy, Settings};
use crate::model::{Action, NoticeKind, Severity};
use crate::runbook::{
    Clock, Component, Env, Fault, Faults, Grade, Known, Place, Reader, Rules, Section, Source,
    Text, nearest,
};
use crate::sink::JournalConfig;
use crate::source::{PROBE_JOB, ProbeConfig, PrometheusConfig, ScrapeConfig, SignalQuery};

/// The database's name in `--data DIR`.
pub const DATABASE: &str = "gated.db";

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub service: Service,
    pub server: Server,
    pub scrapes: Vec<ScrapeConfig>,
    /// `[[probe]]`, in the order of the file.
    pub probes: Vec<Probe>,
    /// `[[prometheus]]`, in the order of the file.
    pub sources: Vec<PrometheusConfig>,
    pub rollout: RolloutPolicy,
    pub judging: Judging,
    pub rollback: RollbackPolicy,
    /// In the order of the file.
    pub webhooks: Vec<Webhook>,
    /// In the order of the file.
    pub commands: Vec<Command>,
    /// In the order of the file.
    pub mails: Vec<Mail>,
    pub people: People,
    /// `[[report]]`, in the order of the file.
    pub reports: Vec<ReportConfig>,
    pub announcement: Option<Announcement>,
    pub alertmanager: Option<Alertmanager>,
    /// `[alertmanager] repeat`: how often one that posts to gated repeats what fires.
    pub alerts_repeat: Duration,
    /// `[window] retain`; `None` keeps only what rules need.
    pub retain: Option<Duration>,
    /// The database.
    pub storage: PathBuf,
    /// What is settled is kept in it for this long.
    pub retention: Duration,
    /// `[journal]`; without it nothing is recorded.
    pub journal: Option<JournalConfig>,
    /// What loads and still is likely not meant, or is not enforced by this version: to be shown at start.
    pub warnings: Faults,
}

/// `[service]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub environment: String,
    /// Everything else: `owner`, links, …
    pub labels: BTreeMap<String, String>,
    /// An IANA name; `UTC` unless said otherwise.
    pub timezone: String,
}

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `host:port`.
    pub listen: String,
    /// `None`: a token is made beside the database.
    pub token_file: Option<PathBuf>,
    /// Without a slash at the end.
    pub external_url: Option<String>,
}

impl Config {
    /// Reads the text of one `gated.toml`; `env` gives `${NAME}` its value. Needs no file that is named in it.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn load(source: Source, env: Env<'_>) -> Result<Self, Faults> {
        let (config, faults) = Self::as_far_as_it_goes(source, env);
        let refused = |it: &Fault| it.grade == Grade::Error;
        match config {
            Some(mut config) if !faults.faults.iter().any(refused) => {
                config.warnings = faults;
                Ok(config)
            }
            _ => Err(faults),
        }
    }

    /// What could be read, with defaults where something is wrong, and what is; nothing where a section's head is broken.
    pub fn as_far_as_it_goes(source: Source, env: Env<'_>) -> (Option<Self>, Faults) {
        let sources = [source];
        let reader = Reader::new(&sources, env);
        let config = reader.root(0).map(|root| read(&reader, root));
        let text = reader.shown(0);
        let faults = reader.into_faults();
        let [mut source] = sources;
        source.text = text;
        let faults = Faults {
            sources: vec![source],
            faults,
        };
        (config, faults)
    }

    /// What the engine is configured with.
    #[must_use]
    pub fn settings(&self, rules: Arc<Rules>) -> Settings {
        Settings {
            service: self.service.name.clone(),
            environment: self.service.environment.clone(),
            labels: self.service.labels.clone(),
            rules: self.watched(rules),
            judging: self.judging,
            rollback: self.rollback.clone(),
            rollout: self.rollout.clone(),
            people: self.people.clone(),
            announcement: self.announcement.as_ref().map(Announcement::filled),
            receivers: {
                let webhooks = self.webhooks.iter().map(Webhook::receiver);
                let commands = self.commands.iter().map(Command::receiver);
                let mails = self.mails.iter().map(Mail::receiver);
                webhooks.chain(commands).chain(mails).collect()
            },
            alerting: self.alertmanager.as_ref().map(Alertmanager::alerting),
            reports: self.reports.iter().map(|it| it.plan.clone()).collect(),
            zone: self.zone(),
            external_url: self.server.external_url.clone(),
            retain: self.retain,
            alerts_repeat: self.alerts_repeat,
            preview: None,
        }
    }

    /// A zone that is not there has been reported, or there is no list of zones: UTC is then all there is.
    #[must_use]
    pub fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.service.timezone).unwrap_or(jiff::tz::TimeZone::UTC)
    }

    /// The rules with what the configuration adds: each probe's component.
    fn watched(&self, rules: Arc<Rules>) -> Arc<Rules> {
        if self.probes.is_empty() {
            return rules;
        }
        let components: Vec<Component> = self.probes.iter().map(Probe::component).collect();
        Arc::new(Arc::unwrap_or_clone(rules).watching(&components))
    }

    /// How each probe asks.
    #[must_use]
    pub fn probing(&self) -> Vec<ProbeConfig> {
        self.probes.iter().map(|it| it.config.clone()).collect()
    }

    /// The longest that the engine may hear of nothing while all is well; `None` where nothing is scraped, probed or asked.
    #[must_use]
    pub fn longest_silence(&self) -> Option<Duration> {
        let probes = self.probes.iter().map(|it| &it.config);
        let (quick, seldom): (Vec<_>, Vec<_>) =
            probes.partition(|it| it.interval <= PROBE_INTERVAL_QUICK_MAX);
        let quick = quick.iter().map(|it| it.interval + it.timeout);
        let scrapes = self.scrapes.iter().map(|it| it.interval + it.timeout);
        let sources = self.sources.iter().map(|it| it.interval + it.timeout);
        let seldom = seldom.iter().map(|it| it.heard_every() * 2).max();
        scrapes.chain(quick).chain(sources).max().or(seldom)
    }

    /// What each source is asked: every signal of the rules that names one.
    #[must_use]
    pub fn asking(&self, rules: &Rules) -> Vec<SignalQuery> {
        let sources: Vec<Arc<PrometheusConfig>> =
            self.sources.iter().cloned().map(Arc::new).collect();
        let asked = rules.signals.iter().filter_map(|signal| {
            let remote = signal.remote.as_ref()?;
            let source = sources.iter().find(|it| it.name == remote.source)?;
            Some(SignalQuery {
                source: Arc::clone(source),
                signal: signal.name.clone(),
                expr: remote.expr.clone(),
                enough: remote.enough.clone(),
            })
        });
        asked.collect()
    }

    /// The shortest scrape interval; `None` when nothing is scraped.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        self.scrapes.iter().map(|it| it.interval).min()
    }

    /// What rules can be checked against.
    #[must_use]
    pub fn known(&self) -> Known<'static> {
        let scrapes = self.scrapes.iter().map(|it| (it.job.clone(), it.interval));
        let probes = self.probes.iter().map(|it| &it.config);
        let components = probes.clone().map(|it| it.component.clone()).collect();
        let probes = probes.map(|it| (PROBE_JOB.to_owned(), it.heard_every()));
        Known {
            scrapes: scrapes.chain(probes).collect(),
            components: Some(components),
            sources: Some(self.sources.iter().map(|it| it.name.clone()).collect()),
            ..Known::default()
        }
    }

    /// `--data DIR`.
    pub fn store_in(&mut self, dir: &Path) {
        self.storage = dir.join(DATABASE);
    }

    /// Who is called when, one line for each severity that says so.
    #[must_use]
    pub fn calls_in_words(&self) -> Vec<String> {
        people::described(&self.people)
    }

    /// Whether anybody is called for an incident of this severity.
    fn calls(&self, severity: Severity) -> bool {
        let takes = |it: &Webhook| {
            self.rollback.hook.as_ref() != Some(&it.name)
                && it.receiver().takes(NoticeKind::EscalationRaised)
        };
        let named = !self.people.paths.of(severity).levels.is_empty();
        let mailed = |it: &Mail| it.receiver().takes(NoticeKind::EscalationRaised);
        named
            || self.alertmanager.is_some()
            || self.webhooks.iter().any(takes)
            || self.mails.iter().any(mailed)
    }

    /// Rules that this configuration leaves without what they need, one sentence each.
    #[must_use]
    pub fn lacks(&self, rules: &Rules) -> Vec<String> {
        let waits = |clock: Clock| rules.phases.iter().find(|it| it.clock == clock);
        let mut lacks = Vec::new();
        let waiting = waits(Clock::GoLive).or(waits(Clock::Wall));
        if let (Some(phase), None) = (waiting, self.rollout.go_live) {
            lacks.push(format!(
                "phase `{}` counts from the go-live, and [rollout] go_live is not set: it never begins",
                phase.name
            ));
        }
        let triggers = rules.phases.iter().flat_map(|it| &it.triggers);
        let people = triggers.filter(|it| it.action != Action::Notify && !it.shadow);
        let severities: BTreeSet<Severity> = people.map(|it| it.severity).collect();
        for severity in severities.into_iter().filter(|it| !self.calls(*it)) {
            lacks.push(format!(
                "a {severity} would call nobody: [severity.{severity}] has no levels, and there is no Alertmanager and no webhook for people that takes gated.escalation.raised"
            ));
        }
        lacks.extend(self.never_due(rules));
        lacks.extend(self.tells_nobody(rules));
        lacks
    }

    /// What the rules would have people told without any receiver to tell, in one sentence.
    fn tells_nobody(&self, rules: &Rules) -> Option<String> {
        let settings = self.settings(Arc::default());
        let triggers = rules.phases.iter().flat_map(|it| &it.triggers);
        let notifying = triggers.filter(|it| it.action == Action::Notify && !it.shadow);
        let notifying = notifying.map(|it| (it.severity, format!("trigger `{}`", it.name)));
        let activities = rules.phases.iter().flat_map(|it| &it.activities);
        let activities = activities.filter(|it| it.notify);
        let activities = activities.map(|it| (DUE_SEVERITY, format!("activity `{}`", it.title)));
        let all = activities.chain(notifying);
        let mut unheard = all.filter(|(severity, _)| !settings.notifies(*severity));
        let (severity, first) = unheard.next()?;
        let more = match unheard.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(format!(
            "{first}{more} would be told to nobody: there is no Alertmanager and no webhook for people that takes gated.notification; write [alertmanager] urls = [\"http://127.0.0.1:9093\"], a [[webhook]] without `events` or with \"gated.notification\" among them, or [severity.{severity}] levels"
        ))
    }
}

fn read<'r>(reader: &'r Reader<'r>, mut root: Section<'r>) -> Config {
    root.later(&[("flagger", "[flagger]")]);
    let service = service(&mut root);
    let server = server(&mut root);
    let probes = probe::probes(&mut root);
    let sources = prometheus::sources(&mut root);
    let alone = probes.is_empty() && sources.is_empty();
    let scrapes = scrape::scrapes(&mut root, alone);
    let rollout = policy::rollout(&mut root);
    let judging = policy::judging(&mut root);
    let rollback = policy::rollback(&mut root);
    let hook = rollback.as_ref().and_then(policy::Written::hook);
    let hooks = notify::webhooks(&mut root, hook);
    let commands = command::commands(&mut root);
    let mails = mail::mails(&mut root);
    let (alertmanager, alerts_repeat) = notify::alertmanager(&mut root);
    let retain = retain(&mut root);
    let (storage, retention) = storage(&mut root);
    let journal = journal::journal(&mut root);
    let allowed = rollback
        .as_ref()
        .map_or(Vec::new(), |it| it.allowed.clone());
    let mut receivers: Vec<Receiver> = hooks.iter().map(|(it, _)| it.receiver()).collect();
    receivers.extend(commands.iter().map(|(it, _)| it.receiver()));
    receivers.extend(mails.iter().map(|(it, _)| it.receiver()));
    let (rollback, rollback_place) = policy::hooked(reader, &root.place, rollback, &receivers);
    let hook = rollback.hook.as_deref();
    command::who_may_undo(reader, hook, &allowed, &hooks, &commands);
    mail::who_is_written_to(reader, hook, &mails, &hooks, &commands);
    let webhooks: Vec<Webhook> = hooks.into_iter().map(|(hook, _)| hook).collect();
    let commands = commands.into_iter().map(|(it, _)| it).collect();
    let mails: Vec<Mail> = mails.into_iter().map(|(it, _)| it).collect();
    let known = people::Hooks {
        all: &receivers,
        rollback: rollback.hook.as_deref(),
        timezone: &service.timezone,
    };
    let people = people::people(&mut root, &known);
    let reports = report::reports(&mut root, &receivers, rollback.hook.as_deref());
    let announcement = announcement::announcement(&mut root, &receivers, known.rollback);
    somebody_is_told(
        reader,
        &rollback_place,
        &rollback,
        &receivers,
        alertmanager.as_ref(),
    );
    Config {
        service,
        server,
        scrapes,
        probes,
        sources,
        rollout,
        judging,
        rollback,
        webhooks,
        commands,
        mails,
        people,
        reports,
        announcement,
        alertmanager,
        alerts_repeat,
        retain,
        storage,
        retention,
        journal,
        warnings: Faults::default(),
    }
}

/// Where the ledger is, and how long it keeps what is settled.
fn storage(root: &mut Section) -> (PathBuf, Duration) {
    let unsaid = (PathBuf::from(DATABASE), Duration::from_secs(90 * 86_400));
    let Some(mut section) = root.section("storage") else {
        return unsaid;
    };
    let file = path(&mut section, "path").unwrap_or(unsaid.0);
    let place = section.key_place("retention");
    let retention = section.duration("retention").unwrap_or(unsaid.1);
    if retention < Duration::from_secs(86_400) {
        let message = "the budget of a day looks back a day, and the ledger would forget it";
        section
            .reader
            .fault(&place, message, "write \"90d\"; \"1d\" at least");
    }
    (file, retention)
}

fn service(root: &mut Section) -> Service {
    let Some(mut section) = root.section("service") else {
        let help = "write [service] and below it name = \"api\"";
        root.reader
            .missing(&root.place, "`[service]` with its `name` is missing", help);
        return Service::default();
    };
    let name = section.required("name", "\"api\"");
    if let Some(name) = name.as_ref().filter(|it| it.value.trim().is_empty()) {
        let help = "write name = \"api\"";
        section
            .reader
            .fault(&name.place, "the service's name is empty", help);
    }
    let environment = section
        .text("environment")
        .map_or(String::new(), |it| it.value);
    let timezone = section.told("timezone").map_or("UTC".to_owned(), |it| {
        zone(section.reader, &it);
        it.value
    });
    let mut labels = BTreeMap::new();
    for (name, link) in section.pairs("links") {
        labels.insert(format!("link_{}", name.value), link.value);
    }
    for (label, text) in section.rest() {
        label_name(section.reader, &label, &text.place);
        labels.insert(label, text.value);
    }
    Service {
        name: name.map_or(String::new(), |it| it.value),
        environment,
        labels,
        timezone,
    }
}

/// The system's list of zones, else the one that is built in: an image made `FROM scratch` has none.
fn zone(reader: &Reader, text: &Text) {
    if jiff::tz::db().get(&text.value).is_err() {
        let message = format!("there is no time zone `{}`", text.shown());
        let help = "write an IANA name, such as \"Europe/Berlin\" or \"UTC\"";
        reader.fault(&text.place, message, help);
    }
}

fn server(root: &mut Section) -> Server {
    let mut server = Server {
        listen: "127.0.0.1:9755".to_owned(),
        token_file: None,
        external_url: None,
    };
    let Some(mut section) = root.section("server") else {
        return server;
    };
    if let Some(listen) = section.text("listen") {
        let (host, port) = listen.value.rsplit_once(':').unwrap_or_default();
        if host.is_empty() || port.parse::<u16>().is_err() {
            let message = format!("`{}` is no address to listen on", listen.shown());
            let help =
                "write host and port: \"127.0.0.1:9755\", or \"0.0.0.0:9755\" for every address";
            section.reader.fault(&listen.place, message, help);
        }
        server.listen = listen.value;
    }
    server.token_file = path(&mut section, "token_file");
    let external = section.told("external_url");
    server.external_url = external.map(|it| {
        notify::http_url(section.reader, &it);
        it.value.trim_end_matches('/').to_owned()
    });
    server
}

fn retain(root: &mut Section) -> Option<Duration> {
    let mut section = root.section("window")?;
    section.duration_unless("retain", "rules")
}

/// A path that is not empty.
fn path(section: &mut Section, key: &'static str) -> Option<PathBuf> {
    section.told(key).map(|it| PathBuf::from(it.value))
}

/// `targets = { VERSION = "target" }`.
fn targets(section: &mut Section) -> Vec<(String, String)> {
    let pairs = section.pairs("targets").into_iter();
    let told = pairs.filter(|(version, target)| {
        let bare = |text: &Text| text.value.trim().is_empty() || text.value.starts_with('-');
        let bad = bare(version) || bare(target) || target.value.contains(char::is_control);
        if bad {
            let message = format!("`{}` cannot be a target", target.shown());
            let help = "write a revision or an id: { \"1.9.0\" = \"41\" }";
            section.reader.fault(&target.place, message, help);
        }
        !bad
    });
    told.map(|(version, target)| (version.value, target.value))
        .collect()
}

/// A label of everything sent: as Prometheus has names, and none that it keeps for itself.
fn label_name(reader: &Reader, name: &str, place: &Place) {
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !name.starts_with("__")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !good {
        let message = format!("`{name}` cannot be a label");
        let help = "write letters, digits and `_`, beginning with a letter";
        reader.fault(place, message, help);
    }
}

/// A rollback nobody hears of, and a trigger that calls nobody, are found out too late.
fn somebody_is_told(
    reader: &Reader,
    place: &Place,
    rollback: &RollbackPolicy,
    receivers: &[Receiver],
    alertmanager: Option<&Alertmanager>,
) {
    // A command is the hook, or a fault that has been reported.
    let for_people = |it: &Receiver| {
        rollback.hook.as_ref() != Some(&it.name) && it.events != [NoticeKind::RollbackRequested]
    };
    if alertmanager.is_none() && !receivers.iter().any(for_people) {
        reader.warn(
            place,
            "nobody would be told: there is no Alertmanager and no webhook besides the rollback hook",
            "write [alertmanager] urls = [\"http://127.0.0.1:9093\"], or a [[webhook]] for people",
        );
    }
}
