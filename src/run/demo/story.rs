//! The story of `gated demo`: a good release, a bad one, a rollback; everything over real sockets, told as it happens.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::timeout_at;

use super::fleet::Traffic;
use super::instance::Health;
use super::receiver::Receiver;
use super::receiver::Setup;
use super::service::Service;
use crate::engine::Event;
use crate::model::Action;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::run::cli::Demo;
use crate::run::cli::colour;
use crate::run::clock::Clock;
use crate::run::config::Config;
use crate::run::live::Live;
use crate::run::live::Loaded;
use crate::runbook::Source;
use crate::runbook::load;
use crate::sink::JournalConfig;

const RULES: &str = include_str!("rules.toml");
const SECRET: &str = "whsec_Z2F0ZWQgZGVtbyBzZWNyZXQsIG5vdCBhIHNlY3JldA==";
const GOOD: &str = "1.4.2";
const BAD: &str = "1.5.0";
const BEFORE: &str = "1.4.1";
/// Every act of the story ends within this.
const ACT_MAX: Duration = Duration::from_secs(30);

/// Runs the demo; 0 when the story went as told.
pub async fn run(demo: &Demo, clock: Clock) -> anyhow::Result<u8> {
    crate::run::metrics::install();
    let folder = tempfile::Builder::new().prefix("gated-demo-").tempdir()?;
    tell(demo, clock, folder.path()).await
}

#[allow(
    clippy::too_many_lines,
    reason = "a story is read from its beginning to its end"
)]
async fn tell(demo: &Demo, clock: Clock, folder: &std::path::Path) -> anyhow::Result<u8> {
    let service = Service::start(BEFORE, Traffic::default()).await?;
    let deployer = service.deployer();
    let setup = Setup {
        secret: SECRET.into(),
        fail_first: 1,
        now: Box::new(move || clock.now()),
        on_rollback: Box::new(move |version| deployer.deploy(version, Health::Good)),
    };
    let receiver = Receiver::start(setup).await?;
    let mut loaded = configured(&service.targets(), &receiver.url(), folder)?;
    loaded.config.journal = demo.journal.clone().map(JournalConfig::at);
    let (tap, events) = mpsc::unbounded_channel();
    let live = Live::start(loaded, None, None, clock, Some(tap)).await?;
    let mut screen = Screen {
        events,
        clock,
        start: clock.now(),
        colour: colour(),
    };
    let address = live.address;
    screen.say(
        "gated demo: a shop of three instances, 150 requests a second, scraped twice a second.",
    );
    screen.say(
        "The runbook is shortened: seconds where a real one has minutes. Everything else is real:",
    );
    screen.say("HTTP scrapes, PromQL, a SQLite ledger, a signed webhook to a deployer that answers 503 at first.");
    screen.act(&format!("version {BEFORE} runs; gated watches"));
    tokio::time::sleep(Duration::from_secs(4)).await;

    screen.act(&format!(
        "a good release: {GOOD} is deployed, one instance after another"
    ));
    service.deploy(GOOD, Health::Good);
    let good = screen
        .until(|event| {
            matches!(
                event,
                Event::VerdictChanged {
                    to: (Verdict::Go, _),
                    ..
                }
            )
        })
        .await;

    screen.act(&format!(
        "a bad release: {BAD} fails one request in eight and is slow"
    ));
    service.deploy(
        BAD,
        Health::Bad {
            error_share: 0.12,
            latency_factor: 14.0,
        },
    );
    let decided = screen
        .until(|event| matches!(event, Event::Decided(decision) if decision.action == Action::Rollback))
        .await;
    let delivered = screen
        .until(|event| matches!(event, Event::DeliverySucceeded { .. }))
        .await;

    screen.act("the deployer undoes it; gated watches the version that came back");
    let recovered = screen
        .until(|event| {
            matches!(
                event,
                Event::VerdictChanged {
                    to: (Verdict::Go, _),
                    ..
                }
            )
        })
        .await;
    let helped = screen
        .until(|event| matches!(event, Event::RollbackWatched { .. }))
        .await;
    let rolled_back = service.current_version() == GOOD;
    let well = good && decided && delivered && recovered && helped && rolled_back;

    screen.act(if well {
        "done: one rollback, decided once and taken once; the good version runs again"
    } else {
        "the story did not go as told"
    });
    let requests = receiver.received();
    screen.say(&format!(
        "the deployer got {} requests, all under one webhook-id:",
        requests.len()
    ));
    for request in &requests {
        let repeat = if request.repeat {
            ", known already"
        } else {
            ""
        };
        screen.say(&format!(
            "  {} {} → {}{repeat}",
            request.id, request.kind, request.status
        ));
    }
    screen.say("Where to look next:");
    screen.say("  gated check config && gated --dry-run      your own service, nothing is fired");
    screen.say("  config/gated.toml, rules/rollout.toml       commented, to start from");
    if let Some(journal) = &demo.journal {
        screen.say(&format!(
            "  gated backtest --journal {}      this story again, from what was recorded",
            journal.display()
        ));
    }
    if demo.keep {
        screen.say(&format!(
            "  http://{address}/            the page of this demo"
        ));
        screen.say(&format!(
            "  http://{address}/gate        the gate: 200 go, 403 no go, 503 unknown"
        ));
        screen.say(&format!(
            "  http://{address}/api/v1/decisions   every decision and why"
        ));
        screen.say(&format!(
            "  http://{address}/metrics     signals beside their thresholds"
        ));
        screen.say("It runs until you press Ctrl-C.");
        let _ = tokio::signal::ctrl_c().await;
    } else {
        screen.say("  gated demo --keep                           leave this one running and look at its pages");
    }
    live.stop().await;
    receiver.stop().await;
    service.stop().await;
    Ok(u8::from(!well))
}

/// The configuration a person would write for this shop, read as any other.
fn configured(targets: &[String], hook: &str, folder: &std::path::Path) -> anyhow::Result<Loaded> {
    let secret = folder.join("hook.key");
    std::fs::write(&secret, SECRET)?;
    let database = folder.join("gated.db");
    let (secret, database) = (secret.display(), database.display());
    let text = format!(
        r#"
[service]
name = "shop"
environment = "demo"

[server]
listen = "127.0.0.1:0"

[[scrape]]
job = "shop"
targets = {targets:?}
interval = "500ms"
timeout = "400ms"

[rollout]
version_from = "app_build_info"

[judging]
settle = "3s"

[rollback]
mode = "armed"
hook = "deployer"
predates = "6s"
verify_within = "30s"

[[webhook]]
name = "deployer"
url = {hook:?}
secret_file = '{secret}'

[storage]
path = '{database}'
"#,
    );
    let source = |path: &str, text: String| Source {
        path: path.into(),
        text,
    };
    let broken = |faults: crate::runbook::Faults| anyhow::anyhow!("{}", faults.render(false));
    let config = Config::load(source("demo/gated.toml", text), &|_| None).map_err(broken)?;
    let rules = load(&[source("demo/rules.toml", RULES.into())]).map_err(broken)?;
    Ok(Loaded {
        config,
        rules: Arc::new(rules),
        warnings: String::new(),
        warned: Vec::new(),
    })
}

/// What a person sees.
struct Screen {
    events: mpsc::UnboundedReceiver<(Timestamp, Event)>,
    clock: Clock,
    start: Timestamp,
    colour: bool,
}

impl Screen {
    fn say(&self, text: &str) {
        self.line(self.clock.now(), "", text);
    }

    fn act(&self, text: &str) {
        let text = if self.colour {
            format!("\x1b[1m== {text}\x1b[0m")
        } else {
            format!("== {text}")
        };
        self.line(self.clock.now(), "", &text);
    }

    fn line(&self, at: Timestamp, who: &str, text: &str) {
        let seconds = at.since(self.start).as_secs_f64();
        let _ = writeln!(std::io::stdout(), "{seconds:5.1}s  {who}{text}");
    }

    /// Tells what happens until `end` does; whether it did in time.
    async fn until(&mut self, end: impl Fn(&Event) -> bool) -> bool {
        let deadline = Instant::now() + ACT_MAX;
        while let Ok(Some((at, event))) = timeout_at(deadline, self.events.recv()).await {
            if let Some(text) = told(&event) {
                self.line(at, "gated  ", &text);
            }
            if end(&event) {
                return true;
            }
        }
        false
    }
}

/// An event in a person's words; `None` where the story has better.
fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::RolloutBegan(rollout) => {
            let previous = rollout.previous_version.as_deref().unwrap_or("unknown");
            format!(
                "sees {} on most instances: a rollout (before it: {previous}); lets it settle",
                rollout.version
            )
        }
        Event::Settled { .. } => "judges from here on".into(),
        Event::ReadingChanged {
            signal, to, why, ..
        } if to.value().is_none() => {
            format!("has no value for {signal}: {why}")
        }
        Event::TriggerPending {
            trigger,
            value,
            condition,
            hold,
            ..
        } => {
            let value = value.map_or_else(String::new, |value| format!(" ({value:.3})"));
            format!(
                "pending: {trigger}: {condition}{value}; fires after {}",
                humantime::format_duration(*hold)
            )
        }
        Event::TriggerCalmed { trigger, .. } => format!("calm again: {trigger}"),
        Event::TriggerFiring {
            trigger, condition, ..
        } => format!("FIRING: {trigger}: {condition}"),
        Event::TriggerResolved { trigger, .. } => format!("resolved: {trigger}"),
        Event::Decided(decision) => {
            let refused = decision
                .refused_by
                .map_or_else(String::new, |guard| format!(" (rollback refused: {guard})"));
            format!(
                "DECIDES: {}{refused}: {} [{}]",
                decision.action, decision.reason, decision.id
            )
        }
        Event::DeliveryAttempt {
            receiver, attempt, ..
        } => format!("asks {receiver}, attempt {attempt}"),
        Event::DeliverySucceeded {
            receiver, status, ..
        } => format!("{receiver} answered {status}: delivered"),
        Event::DeliveryFailed {
            receiver,
            reason,
            next: Some(_),
            ..
        } => {
            format!("{receiver}: {reason}; tries again under the same id")
        }
        Event::DeliveryFailed {
            receiver,
            reason,
            next: None,
            ..
        } => format!("{receiver}: {reason}"),
        Event::DeliveryCancelled { why, .. } => format!("does not send it any more: {why}"),
        Event::VerdictChanged {
            to: (verdict, status),
            reasons,
            ..
        } => {
            let reason = reasons
                .first()
                .map_or_else(String::new, |reason| format!(": {reason}"));
            format!("verdict {verdict} ({status}){reason}")
        }
        Event::TargetDown { instance, error } => format!("cannot scrape {instance}: {error}"),
        Event::RollbackWatched { reason, .. } => reason.clone(),
        Event::IncidentOpened(incident) => {
            format!("opens incident {} ({})", incident.id, incident.severity)
        }
        Event::IncidentResolved { id, how } => format!("resolves incident {id}: {how}"),
        Event::IncidentWorse(_)
        | Event::IncidentCalled { .. }
        | Event::IncidentAcknowledged { .. }
        | Event::IncidentBreached { .. }
        | Event::TargetUp { .. }
        | Event::Said(_)
        | Event::Observed(_)
        | Event::ReportFailed { .. }
        | Event::Attested(_)
        | Event::FreezeEnded
        | Event::RolloutEnded(_)
        | Event::PhaseEntered { .. }
        | Event::PhaseEnded { .. }
        | Event::ClockSet(_)
        | Event::ReceiverGone { .. }
        | Event::ReadingChanged { .. }
        | Event::NotRecorded { .. }
        | Event::RuleFailed { .. }
        | Event::RuleWell { .. }
        | Event::SlotsMissed { .. }
        | Event::Reloaded => return None,
    })
}
