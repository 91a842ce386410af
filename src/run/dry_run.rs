//! `gated --dry-run`: one look through the live engine with other ends. Nothing is fired and nothing on disk changes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::bar::{drawn, percent};
use super::cli::Look;
use super::clock::Clock;
use super::config::Config;
use super::live::Loaded;
use super::ready;
use crate::engine::Engine;
use crate::engine::Input;
use crate::engine::PROBE_INTERVAL_QUICK_MAX;
use crate::engine::Restored;
use crate::engine::Snapshot;
use crate::model::Status;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::runbook::Rules;
use crate::runbook::When;
use crate::source::AlertInbox;
use crate::source::Prober;
use crate::source::Querier;
use crate::source::Scraper;
use crate::source::Tuning;

/// The longest range that is waited for unless `--for` says more; a few scrapes come on top.
const LOOK_MAX: Duration = Duration::from_secs(120);
/// A probe or a source that may take so long is given a little more: its answer is on its way.
const ANSWER_MARGIN: Duration = Duration::from_secs(3);
/// A `[[prometheus]]` is asked at least this often.
const ASKED_EVERY: Duration = Duration::from_secs(5);
/// Alerts that an Alertmanager listed stand as long as any look takes.
const ALERTS_KEPT: Duration = Duration::from_secs(86_400);
/// A condition must have held in this many readings to count as firing.
const READINGS_MIN: u32 = 3;

/// Looks, and gives what was seen; the verdict in it is final.
pub(super) async fn look(
    loaded: &Loaded,
    look: &Look,
    restored: Restored,
    clock: Clock,
) -> Result<Snapshot, String> {
    let phase = phase(&loaded.rules, look.phase.as_deref())?;
    let mut settings = loaded.config.settings(Arc::clone(&loaded.rules));
    settings.preview = Some(phase.clone());
    // Everything on the pages is kept, so that a name that is missing can be told from one that is nearly right.
    let needed = span(loaded, &phase);
    let span = needed.max(look.look_for.unwrap_or_default());
    if let Some(asked) = look.look_for.filter(|asked| *asked < needed) {
        let text = too_short(asked, needed);
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    let mut unheard = Unheard::new(loaded);
    settings.retain = Some(span.max(unheard.longest) + Duration::from_secs(10));
    settings.alerts_repeat = ready::ASKED_REPEAT;
    let mut effects = Vec::new();
    let mut engine = Engine::new(Arc::new(settings), restored, clock.now(), &mut effects);
    let interest = Arc::new(ArcSwap::new(engine.interest()));
    let (inputs, mut received) = mpsc::channel(1024);
    let now: crate::source::Now = Arc::new(move || clock.now());
    let scraper = Scraper::start(
        loaded.config.scrapes.clone(),
        Tuning::default(),
        Arc::clone(&interest),
        Arc::clone(&now),
        inputs.clone(),
    );
    let prober = Prober::start(
        loaded.config.probing(),
        &Tuning::default(),
        Arc::clone(&interest),
        Arc::clone(&now),
        inputs.clone(),
    );
    let asking = hurried(loaded.config.clone()).asking(&loaded.rules);
    let querier = Querier::start(
        asking,
        &Tuning::default(),
        Arc::clone(&interest),
        Arc::clone(&now),
        inputs.clone(),
    );
    // Longer than any look, so that nothing it heard lapses.
    let inbox = AlertInbox::start(ALERTS_KEPT, Arc::clone(&interest), now, inputs);
    let inbox = Arc::new(inbox);
    let looking = ready::look(loaded.config.clone(), clock, Arc::clone(&inbox));
    let ways_out = (!look.skip_hooks).then(|| tokio::spawn(looking));
    let begun = tokio::time::Instant::now();
    let end = begun + span;
    let mut progress = Progress::new(span);
    let mut floor = Timestamp::EPOCH;
    loop {
        let now = tokio::time::Instant::now();
        if now >= end && (unheard.is_empty() || now >= begun + unheard.longest) {
            break;
        }
        let pause = now + Duration::from_millis(200);
        let pause = if now < end { pause.min(end) } else { pause };
        tokio::select! {
            input = received.recv() => {
                let Some(input) = input else { break };
                floor = clock.now().max(floor);
                unheard.hear(&input);
                engine.apply(floor, input, &mut effects);
                interest.store(engine.interest());
                effects.clear();
            }
            () = tokio::time::sleep_until(pause) => progress.show(end, &unheard),
        }
    }
    progress.clear();
    scraper.stop().await;
    prober.stop().await;
    querier.stop().await;
    let seen = match ways_out {
        None => None,
        Some(looking) => Some(
            looking
                .await
                .map_err(|died| format!("a look at the hooks broke off: {died}"))?,
        ),
    };
    // What the last look has told rules.
    while let Ok(input) = received.try_recv() {
        floor = clock.now().max(floor);
        engine.apply(floor, input, &mut effects);
    }
    drop(inbox);
    let mut snapshot = engine.snapshot(clock.now());
    let state = Arc::make_mut(&mut snapshot.verdict);
    match seen {
        None => state.reasons.push(ready::SKIPPED.to_owned()),
        Some(seen) => ready::add(state, seen, gate(&loaded.rules, &phase)),
    }
    Ok(snapshot)
}

/// The worst status of the phase that still lets it say go.
fn gate(rules: &Rules, phase: &str) -> Status {
    let mut phases = rules.phases.iter();
    phases
        .find(|it| it.name == phase)
        .map_or(Status::Green, |it| it.gate)
}

/// `--strict`: what is not green is no go, in what is printed as in the exit code.
pub(super) fn be_strict(snapshot: &mut Snapshot) {
    let status = snapshot.verdict.status;
    if snapshot.verdict.verdict == Verdict::Go && status != Status::Green {
        let state = Arc::make_mut(&mut snapshot.verdict);
        state.verdict = Verdict::NoGo;
        state
            .reasons
            .push(format!("with --strict {status} is no go"));
    }
}

/// The phase to judge: the one asked for, else the one marked `preflight`, else the first.
fn phase(rules: &Rules, asked: Option<&str>) -> Result<String, String> {
    let names = || rules.phases.iter().map(|phase| phase.name.as_str());
    match asked {
        Some(asked) if names().any(|name| name == asked) => Ok(asked.to_owned()),
        Some(asked) => {
            let known: Vec<&str> = names().collect();
            Err(format!(
                "there is no phase `{asked}`; the rules have: {}",
                known.join(", ")
            ))
        }
        None => {
            let preflight = rules
                .phases
                .iter()
                .find(|phase| phase.preflight)
                .or_else(|| rules.phases.first());
            preflight
                .map(|phase| phase.name.clone())
                .ok_or_else(|| "the rules have no phase to judge".into())
        }
    }
}

/// Probes that have not answered yet: each is waited for once, however long its command runs.
struct Unheard {
    components: BTreeSet<String>,
    ids: BTreeMap<TargetId, String>,
    /// The longest that any of them may take.
    longest: Duration,
}

impl Unheard {
    fn new(loaded: &Loaded) -> Self {
        let probes = loaded.config.probes.iter().map(|it| &it.config);
        let longest = probes.clone().map(|it| it.timeout).max();
        Self {
            components: probes.map(|it| it.component.clone()).collect(),
            ids: BTreeMap::new(),
            longest: longest.unwrap_or_default() + ANSWER_MARGIN,
        }
    }

    fn hear(&mut self, input: &Input) {
        match input {
            Input::Target(info) if info.id >= TargetId::PROBES => {
                let component = info.labels.get("component").unwrap_or_default();
                self.ids.insert(info.id, component.to_owned());
            }
            Input::Scraped(scrape) => {
                if let Some(component) = self.ids.remove(&scrape.target) {
                    self.components.remove(&component);
                }
            }
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.components.is_empty()
    }
}

/// A source has its history already: it is asked more often than a daemon needs to, so that three readings come soon.
fn hurried(mut config: Config) -> Config {
    for source in &mut config.sources {
        source.interval = source.interval.min(ASKED_EVERY);
    }
    config
}

/// What is said of a `--for` that would leave the rules without their readings.
fn too_short(asked: Duration, needed: Duration) -> String {
    let in_words = |it: Duration| humantime::format_duration(it).to_string();
    let (asked, needed) = (in_words(asked), in_words(needed));
    format!(
        "--for {asked} is too short: looking for {needed}, which is how long the rules need to be judged"
    )
}

/// As long as the longest range that the phase judges, and long enough for three readings of all that is asked often and
/// for the slowest answer.
fn span(loaded: &Loaded, phase: &str) -> Duration {
    let config = hurried(loaded.config.clone());
    let probes = config.probes.iter().map(|it| it.config.interval);
    let quick = probes.filter(|it| *it <= PROBE_INTERVAL_QUICK_MAX);
    let scrapes = config.scrapes.iter().map(|it| it.interval);
    let sources = config.sources.iter().map(|it| it.interval);
    let interval = scrapes.chain(quick).chain(sources).max();
    let readings = interval.unwrap_or_default() * (READINGS_MIN + 1);
    let answer = config.sources.iter().map(|it| it.timeout).max();
    let answer = answer.map_or(Duration::ZERO, |it| it + ANSWER_MARGIN);
    let readings = readings.max(answer);
    let rules = &loaded.rules;
    let judged = rules.phases.iter().filter(|it| it.name == phase);
    let mut signals = BTreeSet::new();
    let mut longest = Duration::ZERO;
    for it in judged {
        signals.extend(it.targets.iter().map(|target| target.signal));
        for trigger in &it.triggers {
            match &trigger.when {
                When::Condition(condition) => signals.extend(crate::rules::signals_of(condition)),
                When::Expr(expr) => longest = longest.max(expr.longest_range()),
            }
        }
    }
    for signal in signals {
        let signal = &rules.signals[signal];
        let exprs = std::iter::once(&signal.expr).chain(&signal.enough);
        longest = exprs
            .map(crate::promql::Expr::longest_range)
            .max()
            .unwrap_or_default()
            .max(longest);
    }
    // The first scrape comes within an interval, the range is full one range later, three readings after that.
    longest.min(LOOK_MAX) + readings
}

/// A bar on a terminal, nothing elsewhere.
struct Progress {
    span: Duration,
    shown: bool,
}

impl Progress {
    fn new(span: Duration) -> Self {
        Self {
            span,
            shown: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, end: tokio::time::Instant, unheard: &Unheard) {
        let over = end <= tokio::time::Instant::now();
        if let Some(component) = unheard.components.first().filter(|_| self.shown && over) {
            // Short enough to be wiped out afterwards.
            let component: String = component.chars().take(30).collect();
            let text = format!("waiting for {}", component.escape_debug());
            let _ = write!(std::io::stderr(), "\r{text:60}");
        } else if self.shown {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let done = 1.0 - left.as_secs_f64() / self.span.as_secs_f64().max(0.001);
            let bar = drawn(percent(done));
            let _ = write!(
                std::io::stderr(),
                "\rlooking [{bar}] {:>3} s left ",
                left.as_secs()
            );
        }
    }

    fn clear(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
    }
}
