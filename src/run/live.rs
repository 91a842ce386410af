//! The daemon: source, engine, sink and serve wired together, reloaded and stopped in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tracing::error;
use tracing::warn;

use super::clock::Clock;
use super::config::Config;
use super::config::Held;
use super::config::environment;
use super::config::read_config;
use super::config::read_rules;
use super::core::Core;
use super::core::Receivers;
use super::core::Start;
use super::core::Tap;
use super::core::Threads;
use super::report::ReportError;
use super::report::Reporter;
use super::token;
use crate::engine::AlertPost;
use crate::engine::Answer;
use crate::engine::Answered;
use crate::engine::Call;
use crate::engine::Observed;
use crate::engine::Question;
use crate::engine::Restored;
use crate::engine::Settings;
use crate::engine::look_back;
use crate::model::Timestamp;
use crate::report::Kind;
use crate::report::Report;
use crate::runbook::Rules;
use crate::runbook::load_knowing;
use crate::serve;
use crate::serve::ActError;
use crate::serve::AskFailure;
use crate::serve::Desk;
use crate::serve::Server;
use crate::serve::Service;
use crate::serve::Token;
use crate::serve::Unreported;
use crate::sink::Alertmanagers;
use crate::sink::Command;
use crate::sink::Hook;
use crate::sink::Journal;
use crate::sink::Ledger;
use crate::sink::Mail;
use crate::sink::Own;
use crate::sink::Secret;
use crate::sink::Webhook;
use crate::sink::ledger;
use crate::sink::ledger::LedgerError;
use crate::source::AlertInbox;
use crate::source::Prober;
use crate::source::Querier;
use crate::source::Scraper;
use crate::source::Tuning;

/// One post to an Alertmanager takes this long at most.
const ALERTMANAGER_TIMEOUT: Duration = Duration::from_secs(10);
/// Deliveries under way may end within this long when gated is asked to stop; Kubernetes waits 30 s.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);
/// Requests under way may end within this long.
const SERVER_GRACE: Duration = Duration::from_secs(2);
/// An evaluation older than this many intervals is no verdict.
const STALE_INTERVALS: u32 = 3;
/// … and older than this: a machine that was busy for a moment takes no answer away.
const STALE_MIN: Duration = Duration::from_secs(60);

/// Where the files are, and what the command line says over them.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub config: PathBuf,
    pub rules: Vec<PathBuf>,
    pub data: Option<PathBuf>,
}

/// The configuration and its rules, checked together.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub config: Config,
    pub rules: Arc<Rules>,
    /// What loads and is likely not meant, rendered.
    pub warnings: String,
    /// The same, one line each.
    pub warned: Vec<String>,
}

impl Files {
    /// Reads and checks everything; the error is every fault, rendered.
    pub fn load(&self, colour: bool) -> Result<Loaded, String> {
        let source = read_config(&self.config).map_err(|error| {
            format!("error: {error}\n  help: name another with --config, or copy config/gated.toml of gated's repository")
        })?;
        let mut config =
            Config::load(source, &environment).map_err(|faults| faults.render(colour))?;
        config.templates(colour)?;
        if let Some(announcement) = &mut config.announcement {
            announcement.read()?;
        }
        if let Some(folder) = &self.data {
            config.store_in(folder);
        }
        let sources = read_rules(&self.rules).map_err(|error| {
            format!("error: {error}\n  help: name files or folders with --rules; gated's repository has some in rules/")
        })?;
        let known = config.known();
        let (rules, lints) =
            load_knowing(&sources, &environment, &known).map_err(|faults| faults.render(colour))?;
        let lints = config.heeded(lints);
        let mut warnings: Vec<String> = Vec::new();
        let mut warned: Vec<String> = Vec::new();
        for faults in [&config.warnings, &lints]
            .into_iter()
            .filter(|faults| !faults.is_empty())
        {
            warnings.push(faults.render(colour));
            warned.extend(faults.lines());
        }
        let lacks = config.lacks(&rules);
        warnings.extend(lacks.iter().map(|sentence| format!("warning: {sentence}")));
        warned.extend(lacks);
        Ok(Loaded {
            config,
            rules: Arc::new(rules),
            warnings: warnings.join("\n"),
            warned,
        })
    }
}

impl Loaded {
    /// Logs what is likely not meant.
    pub fn warn(&self) {
        for line in &self.warned {
            warn!(line, "configuration");
        }
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::new(self.config.settings(Arc::clone(&self.rules)))
    }

    /// What posts to whom; every webhook and Alertmanager that cannot be used is named.
    fn receivers(&self) -> Result<Receivers, String> {
        let mut faults = Vec::new();
        let mut hooks = BTreeMap::new();
        let mut templates = self.config.templates(false)?;
        for hook in &self.config.webhooks {
            match connect(hook, templates.remove(&hook.name)) {
                Ok(webhook) => {
                    hooks.insert(
                        hook.name.clone(),
                        Arc::new(Hook::Webhook(Box::new(webhook))),
                    );
                }
                Err(fault) => faults.push(fault),
            }
        }
        for command in &self.config.commands {
            match Command::new(&command.config) {
                Ok(it) => {
                    hooks.insert(it.name().to_owned(), Arc::new(Hook::Command(it)));
                }
                Err(error) => faults.push(super::chain(&error)),
            }
        }
        for mail in &self.config.mails {
            let mail = Mail::new(mail.config.clone());
            hooks.insert(mail.name().to_owned(), Arc::new(Hook::Mail(mail)));
        }
        let mut alertmanagers = None;
        if let Some(configured) = &self.config.alertmanager {
            let urls = configured.urls.iter().map(|it| it.expose().to_owned());
            let urls: Vec<String> = urls.collect();
            match Alertmanagers::new(&urls, ALERTMANAGER_TIMEOUT) {
                Ok(peers) => {
                    let peers = peers.labelled(configured.labels.clone());
                    let peers = peers.authorized(configured.credentials.clone());
                    alertmanagers = Some(Arc::new(peers));
                }
                Err(error) => faults.push(super::chain(&error)),
            }
        }
        if faults.is_empty() {
            Ok(Receivers {
                hooks,
                alertmanagers,
            })
        } else {
            Err(faults.join("\n"))
        }
    }
}

/// Why gated did not start: what decides its exit code.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("{0}")]
    Configuration(String),
    #[error("{0}")]
    Store(String),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// A running daemon.
pub(super) struct Live {
    pub core: Core,
    pub address: SocketAddr,
    threads: Threads,
    front: Arc<Front>,
    server: Server,
}

impl Live {
    /// Opens the ledger, starts the core, then serving, then scraping. `files`: where a reload reads from.
    pub async fn start(
        loaded: Loaded,
        listen: Option<SocketAddr>,
        files: Option<Files>,
        clock: Clock,
        tap: Option<Tap>,
    ) -> Result<Self, StartError> {
        let config = &loaded.config;
        let receivers = loaded.receivers().map_err(StartError::Configuration)?;
        let unreadable = config.unreadable();
        if !unreadable.is_empty() {
            return Err(StartError::Configuration(unreadable.join("\n")));
        }
        let address = resolve(&config.server.listen, listen).await?;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}; is another gated running?"))?;
        let store = |error: &dyn std::error::Error| StartError::Store(super::chain(error));
        let settings = loaded.settings();
        let (ledger, restored) =
            open(&config.storage, &settings, clock.now()).map_err(|error| store(&error))?;
        let journal = config.journal.clone().map(Journal::open).transpose();
        let journal = journal.map_err(|error| store(&error))?;
        let token = token::keep(config.server.token_file.as_deref(), &config.storage)
            .map_err(|error| store(&error))?;
        let token = Token::new(&token).context("the token cannot be used")?;
        tell_of_damage(&ledger);
        let receivers = Arc::new(ArcSwap::from_pointee(receivers));
        let reporter = Reporter::new(config.clone(), Arc::clone(&loaded.rules));
        let reporter = Arc::new(reporter);
        let start = Start {
            settings,
            ledger,
            storage: config.storage.clone(),
            journal,
            retention: config.retention,
            restored,
            receivers: Arc::clone(&receivers),
            reporter: Arc::clone(&reporter),
            clock,
            tap,
        };
        let (core, threads) =
            Core::start(start, &Handle::current()).map_err(anyhow::Error::from)?;
        let now: crate::source::Now = Arc::new(move || clock.now());
        let scraper = Scraper::start(
            config.scrapes.clone(),
            Tuning::default(),
            Arc::clone(&core.interest),
            Arc::clone(&now),
            core.inputs.clone(),
        );
        let prober = Prober::start(
            config.probing(),
            &Tuning::default(),
            Arc::clone(&core.interest),
            Arc::clone(&now),
            core.inputs.clone(),
        );
        let querier = Querier::start(
            config.asking(&loaded.rules),
            &Tuning::default(),
            Arc::clone(&core.interest),
            Arc::clone(&now),
            core.inputs.clone(),
        );
        let inbox = AlertInbox::start(
            config.alerts_repeat,
            Arc::clone(&core.interest),
            Arc::clone(&now),
            core.inputs.clone(),
        );
        let front = Arc::new(Front {
            core: core.clone(),
            receivers,
            reporter,
            scraper,
            prober,
            querier,
            inbox,
            files,
            reloading: tokio::sync::Mutex::default(),
            clock,
            names_targets: AtomicBool::new(names_targets(&loaded)),
        });
        super::metrics::loaded(true, clock);
        let interval = config.longest_silence();
        let service = Service {
            snapshot: Arc::clone(&core.snapshot),
            desk: Arc::clone(&front) as Arc<dyn Desk>,
            token,
            now,
            stale_after: interval.map_or(STALE_MIN, |it| STALE_MIN.max(it * STALE_INTERVALS)),
            hosts: hosts(config.server.external_url.as_deref()),
        };
        let server = serve::start(listener, service).context("cannot serve")?;
        let address = server.address();
        Ok(Self {
            core,
            address,
            threads,
            front,
            server,
        })
    }

    /// Reads the files again; on any fault the old configuration goes on.
    pub async fn reload(&self) -> Result<(), String> {
        self.front.reload().await
    }

    /// Stops taking requests and scrapes, lets deliveries under way end, closes the ledger.
    pub async fn stop(self) {
        let Self {
            core,
            threads,
            front,
            server,
            address: _,
        } = self;
        server.shutdown(SERVER_GRACE).await;
        if let Some(front) = Arc::into_inner(front) {
            front.scraper.stop().await;
            front.prober.stop().await;
            front.querier.stop().await;
        } else {
            warn!("a request still holds the scraper; it ends with the process");
        }
        core.stop(threads, SHUTDOWN_GRACE).await;
    }
}

/// The ledger, with the minutes that these settings look back on.
fn open(
    storage: &Path,
    settings: &Settings,
    now: Timestamp,
) -> Result<(Ledger, Restored), LedgerError> {
    let (ledger, mut restored) = Ledger::open(storage, now)?;
    restored.minutes = ledger.minutes(&look_back(settings, now))?;
    Ok((ledger, restored))
}

fn tell_of_damage(ledger: &Ledger) {
    if let Some(quarantine) = ledger.quarantine() {
        error!(
            moved_to = %quarantine.moved_to.display(),
            reason = quarantine.reason,
            "the ledger was damaged and moved aside; rollbacks are held"
        );
    }
}

/// What the HTTP server asks of the hall.
struct Front {
    core: Core,
    receivers: Arc<ArcSwap<Receivers>>,
    reporter: Arc<Reporter>,
    scraper: Scraper,
    prober: Prober,
    querier: Querier,
    inbox: AlertInbox,
    files: Option<Files>,
    /// One reload at a time: of two, the later reads the files after the earlier has taken effect.
    reloading: tokio::sync::Mutex<()>,
    clock: Clock,
    /// Whether the configuration names targets: they are on their way to the engine while it has none.
    names_targets: AtomicBool,
}

fn names_targets(loaded: &Loaded) -> bool {
    let config = &loaded.config;
    let asks = !config.asking(&loaded.rules).is_empty();
    asks || !config.probes.is_empty() || config.scrapes.iter().any(|it| !it.targets.is_empty())
}

impl Front {
    async fn read_again(&self) -> Result<(), String> {
        let _alone = self.reloading.lock().await;
        let files = self
            .files
            .clone()
            .ok_or("this gated has no files to read again")?;
        let loaded = tokio::task::spawn_blocking(move || files.load(false))
            .await
            .map_err(|error| format!("reading the files broke off: {error}"))??;
        let receivers = loaded.receivers()?;
        loaded.warn();
        self.receivers.store(Arc::new(receivers));
        let rules = Arc::clone(&loaded.rules);
        self.reporter.reload(loaded.config.clone(), rules);
        let settings = loaded.settings();
        self.core.reload(Arc::clone(&settings)).await;
        self.recall(&settings, loaded.config.storage.clone()).await;
        let named = names_targets(&loaded);
        self.names_targets.store(named, Ordering::Relaxed);
        self.inbox.reload(loaded.config.alerts_repeat).await;
        self.prober.reload(loaded.config.probing()).await;
        let asking = loaded.config.asking(&loaded.rules);
        self.querier.reload(asking).await;
        self.scraper.reload(loaded.config.scrapes).await;
        Ok(())
    }
}

impl Front {
    /// What new rules look back on may be in the ledger, and not in the window.
    async fn recall(&self, settings: &Settings, storage: PathBuf) {
        let from = look_back(settings, self.clock.now());
        let until = Timestamp::MAX;
        let read = move || ledger::read_minutes(&storage, &from, until);
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(restored)) => self.core.recall(restored.minutes).await,
            Ok(Err(error)) => warn!(
                error = super::chain(&error),
                "the ledger cannot be read: new rules look back on what comes from now on"
            ),
            Err(error) => warn!(%error, "reading the ledger broke off"),
        }
    }
}

impl Desk for Front {
    fn act(&self, call: Call) -> BoxFuture<'_, Result<Answer, ActError>> {
        Box::pin(self.core.call(call))
    }

    fn ask(
        &self,
        question: Question,
        timeout: Option<Duration>,
    ) -> BoxFuture<'_, Result<Answered, AskFailure>> {
        Box::pin(self.core.ask(question, timeout))
    }

    fn receive(&self, post: AlertPost) -> BoxFuture<'_, Result<(), ActError>> {
        Box::pin(async {
            let taken = self.inbox.take(post).await;
            taken.then_some(()).ok_or(ActError::Unavailable)
        })
    }

    fn read_page(&self, page: &[u8], openmetrics: bool) -> Result<Vec<Observed>, String> {
        super::posted::observed(page, openmetrics)
    }

    fn report(
        &self,
        kind: Kind,
        date: Option<String>,
    ) -> BoxFuture<'_, Result<Report, Unreported>> {
        let (reporter, snapshot) = (Arc::clone(&self.reporter), self.core.snapshot.load_full());
        let made_at = self.clock.wall().shows(self.clock.now());
        Box::pin(async move {
            let asked = move || reporter.asked(kind, date.as_deref(), made_at, &snapshot);
            let made = tokio::task::spawn_blocking(asked).await;
            let made = made.map_err(|error| Unreported::Failed(error.to_string()))?;
            made.map_err(|error| {
                let text = super::chain(&error);
                match error {
                    ReportError::NoGoLive
                    | ReportError::Dateless
                    | ReportError::NoDate(_)
                    | ReportError::Unfit(_) => Unreported::Asked(text),
                    ReportError::Ledger(_) | ReportError::Kept { .. } => Unreported::Failed(text),
                }
            })
        })
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let outcome = self.read_again().await;
            super::metrics::loaded(outcome.is_ok(), self.clock);
            if let Err(faults) = &outcome {
                error!(%faults, "the configuration was not reloaded; the old one goes on");
            }
            outcome
        })
    }

    fn ready(&self) -> Result<(), String> {
        // What is judged at the start, before any target was asked, is no answer about the service.
        let snapshot = self.core.snapshot.load();
        let asked = snapshot.targets.iter().any(|target| target.last.is_some());
        let none = snapshot.targets.is_empty() && !self.names_targets.load(Ordering::Relaxed);
        match snapshot.verdict.evaluated_at {
            Some(_) if asked || none => Ok(()),
            Some(_) | None => Err("nothing was evaluated yet".into()),
        }
    }
}

/// What posts to a `[[webhook]]`. Reads the files that it names.
fn connect(hook: &super::config::Webhook, own: Option<Own>) -> Result<Webhook, String> {
    let read = |what: &str, path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            let (name, path) = (&hook.name, path.display());
            format!("the {what} of webhook `{name}` cannot be read: {path}: {error}")
        })
    };
    let secret = |what: &str, path: &Option<PathBuf>| {
        let bytes = path.as_ref().map(|path| read(what, path)).transpose()?;
        let text = |bytes| {
            String::from_utf8(bytes)
                .map_err(|_| format!("the {what} of webhook `{}` is no text", hook.name))
        };
        let text = bytes.map(text).transpose()?;
        Ok::<_, String>(text.map(|text| Secret::new(text.trim())))
    };
    let held = Held {
        secret: secret("secret", &hook.secret_file)?,
        url: secret("url", &hook.url_file)?,
        ca: hook
            .ca_file
            .as_ref()
            .map(|path| read("ca_file", path))
            .transpose()?,
        own,
    };
    Webhook::new(&hook.sender(held)).map_err(|error| super::chain(&error))
}

async fn resolve(configured: &str, said: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
    if let Some(said) = said {
        return Ok(said);
    }
    let mut found = tokio::net::lookup_host(configured)
        .await
        .with_context(|| format!("[server] listen = {configured:?} is no address to listen on"))?;
    found
        .next()
        .with_context(|| format!("[server] listen = {configured:?} has no address"))
}

fn hosts(external_url: Option<&str>) -> Vec<String> {
    let url = external_url.and_then(|url| reqwest::Url::parse(url).ok());
    url.and_then(|url| url.host_str().map(str::to_owned))
        .into_iter()
        .collect()
}
