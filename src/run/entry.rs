//! The command line carried out: from arguments to an exit code.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing::info;

use super::check;
use super::cli;
use super::cli::Check;
use super::cli::Cli;
use super::cli::Command;
use super::cli::PageFormat;
use super::cli::Test;
use super::cli::colour;
use super::clock::Clock;
use super::config::environment;
use super::dry_run;
use super::init;
use super::live::Files;
use super::live::Live;
use super::live::StartError;
use super::logging;
use super::people;
use super::reach::Reach;
use super::remote::RemoteError;
use super::rule_test;
use super::show;
use super::watch::Watch;
use crate::engine::Input;
use crate::engine::look_back;
use crate::model::Timestamp;
use crate::model::Verdict;
use crate::model::WallClock;
use crate::sink::ledger;
use crate::sink::ledger::LedgerError;
use crate::source::exposition::Format;

const NO_GO: u8 = 1;
const USAGE: u8 = 2;
const UNKNOWN: u8 = 3;
const STORE: u8 = 5;
pub(super) const BUG: u8 = 70;
/// As a shell tells of what a signal has ended.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// How often the wall clock is compared with gated's own.
const DRIFT_EVERY: Duration = Duration::from_secs(30);

/// The parser recurses; what checks and looks runs on a stack of its own.
pub(super) const STACK_BYTES: usize = 16 << 20;

/// Reads the command line, does what it says, gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::from_process();
    // Only an installed provider keeps rustls from guessing; a second install is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let work = std::thread::Builder::new()
        .name("main".into())
        .stack_size(STACK_BYTES)
        .spawn(move || carry_out(&cli));
    let code = work.map_err(anyhow::Error::from).and_then(|thread| {
        thread.join().map_err(|_| {
            anyhow::anyhow!("gated broke: this is a bug; please report what stands above")
        })
    });
    match code {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => fail(&format!("{error:#}"), NO_GO),
        Err(error) => fail(&format!("{error:#}"), BUG),
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {text}");
    ExitCode::from(code)
}

fn carry_out(cli: &Cli) -> anyhow::Result<u8> {
    let clock = Clock::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("cannot start the runtime")?;
    match &cli.command {
        Some(Command::Init(flags)) => runtime.block_on(init::run(flags, &cli.global.rules)),
        Some(Command::Check(which)) => Ok(checked(cli, which)),
        Some(Command::Test(test)) => tested(test),
        Some(Command::Backtest(flags)) => super::backtest::run(flags, &cli.global, &runtime),
        Some(Command::Demo(demo)) => runtime.block_on(super::demo::run(demo, clock)),
        Some(
            command @ (Command::Rollout(_)
            | Command::Incidents(_)
            | Command::Ack(_)
            | Command::Status(_)
            | Command::Explain(_)
            | Command::Freeze(_)
            | Command::Thaw(_)
            | Command::Veto(_)
            | Command::Report(_)
            | Command::Observe(_)
            | Command::Attest(_)
            | Command::Checklist(_)
            | Command::Announce(_)
            | Command::Deliveries(_)),
        ) => runtime.block_on(remote(cli, command)),
        None if cli.look.dry_run => runtime.block_on(dry(cli, clock)),
        None => runtime.block_on(daemon(cli, clock)),
    }
}

fn files(cli: &Cli) -> Files {
    let (config, rules, data) = (
        cli.global.config.clone(),
        cli.global.rules.clone(),
        cli.global.data.clone(),
    );
    Files {
        config,
        rules,
        data,
    }
}

/// Prints, and does not mind that whoever reads has gone (`gated … | head`).
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// On a thread of its own: expressions recurse.
fn tested(test: &Test) -> anyhow::Result<u8> {
    let run = || rule_test::run(&test.files, test.run.as_ref(), &environment);
    let outcomes = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let running = thread.spawn_scoped(scope, run)?;
        match running.join() {
            Ok(outcomes) => Ok(outcomes),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
    .map_err(|error: std::io::Error| error)
    .context("cannot start a thread")?;
    if let Some(path) = &test.junit {
        std::fs::write(path, rule_test::junit(&outcomes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let report = rule_test::report(&outcomes);
    print(&report.text);
    Ok(report.code)
}

fn page_of(from: impl std::io::Read, path: &Path) -> Result<Vec<u8>, String> {
    let mut page = Vec::new();
    let mut from = std::io::Read::take(from, check::PAGE_BYTES_MAX);
    let read = std::io::Read::read_to_end(&mut from, &mut page);
    read.map_err(|error| unread(path, &error))?;
    Ok(page)
}

fn unread(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    format!("error: the page cannot be read: {path}: {error}\n")
}

fn checked(cli: &Cli, which: &Check) -> u8 {
    // Who names none may check a configuration that has no rules yet; what is named must be there.
    let rules = &cli.global.rules[..];
    let unnamed = rules == [Path::new(cli::RULES)] && !rules[0].exists();
    // The same holds for the configuration that rules are checked with.
    let config = Some(cli.global.config.as_path());
    let config = config.filter(|it| *it != Path::new(cli::CONFIG) || it.exists());
    let report = match which {
        Check::Config => check::config(
            &cli.global.config,
            if unnamed { &[] } else { rules },
            &environment,
            colour(),
        ),
        Check::Rules { files, page } => {
            let page = page.as_deref().map(|path| {
                if path == Path::new("-") {
                    page_of(std::io::stdin(), path)
                } else {
                    let file = std::fs::File::open(path);
                    let file = file.map_err(|error| unread(path, &error));
                    page_of(file?, path)
                }
            });
            match page.transpose() {
                Ok(page) => check::rules(files, config, page.as_deref(), &environment, colour()),
                Err(text) => {
                    print(&text);
                    return USAGE;
                }
            }
        }
        Check::Metrics { format } => {
            let page = match page_of(std::io::stdin(), Path::new("-")) {
                Ok(page) => page,
                Err(text) => {
                    print(&text);
                    return USAGE;
                }
            };
            let format = match format {
                Some(PageFormat::Openmetrics) => Format::OpenMetrics,
                Some(PageFormat::Text) => Format::Text,
                None => check::format_of(&page),
            };
            check::metrics(format, &page)
        }
    };
    print(&report.text);
    report.code
}

/// What talks to a running daemon.
async fn remote(cli: &Cli, command: &Command) -> anyhow::Result<u8> {
    let reach = Reach::new(&cli.global).await?;
    match people::carry_out(&reach, command, &cli.global).await {
        Ok(()) => Ok(0),
        Err(error) if is_store(&error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            Ok(STORE)
        }
        Err(error) => Err(error),
    }
}

/// Whether the store could not be used, here or at the daemon.
fn is_store(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<RemoteError>()
        .is_some_and(RemoteError::is_store)
        || error.downcast_ref::<LedgerError>().is_some()
}

async fn dry(cli: &Cli, clock: Clock) -> anyhow::Result<u8> {
    let loaded = match files(cli).load(colour()) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let _ = writeln!(std::io::stderr(), "{faults}");
            return Ok(USAGE);
        }
    };
    if !loaded.warnings.is_empty() {
        let _ = writeln!(std::io::stderr(), "{}", loaded.warnings);
    }
    // Never written: what was decided before is read where there is a ledger.
    let storage = &loaded.config.storage;
    let read = storage
        .exists()
        .then(|| {
            let from = look_back(&loaded.settings(), clock.now());
            ledger::read_minutes(storage, &from, Timestamp::MAX)
        })
        .transpose();
    let restored = read.unwrap_or_else(|error| {
        let reason = super::chain(&error);
        let _ = writeln!(std::io::stderr(), "warning: {reason}; judged without it");
        None
    });
    let restored = restored.unwrap_or_default();
    let mut terminate = signal(SignalKind::terminate())?;
    let looked = tokio::select! {
        looked = dry_run::look(&loaded, &cli.look, restored, clock) => looked,
        // What probes have started ends with them, and they end with the runtime.
        _ = tokio::signal::ctrl_c() => return Ok(INTERRUPTED),
        _ = terminate.recv() => return Ok(TERMINATED),
    };
    let mut snapshot = match looked {
        Ok(snapshot) => snapshot,
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "error: {fault}");
            return Ok(USAGE);
        }
    };
    if cli.look.strict {
        dry_run::be_strict(&mut snapshot);
    }
    print(&show::render(&snapshot, cli.look.format, colour()));
    Ok(match snapshot.verdict.verdict {
        Verdict::Go => 0,
        Verdict::NoGo => NO_GO,
        Verdict::Unknown => UNKNOWN,
    })
}

async fn daemon(cli: &Cli, clock: Clock) -> anyhow::Result<u8> {
    logging::start(
        cli.global.log_format,
        cli.global.log_level.as_deref(),
        clock,
    )?;
    super::metrics::install();
    let files = files(cli);
    let loaded = match files.load(false) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let _ = writeln!(std::io::stderr(), "{faults}");
            return Ok(USAGE);
        }
    };
    loaded.warn();
    let mut watch = Watch::new(files.clone());
    let live = match Live::start(loaded, cli.global.listen, Some(files), clock, None).await {
        Ok(live) => live,
        Err(StartError::Configuration(faults)) => {
            let _ = writeln!(std::io::stderr(), "error: {faults}");
            return Ok(USAGE);
        }
        Err(StartError::Store(fault)) => {
            let _ = writeln!(std::io::stderr(), "error: {fault}");
            return Ok(STORE);
        }
        Err(StartError::Other(error)) => return Err(error),
    };
    let armed = live.core.snapshot.load().rollback_armed;
    info!(address = %live.address, rollback_armed = armed, version = env!("CARGO_PKG_VERSION"), "gated runs");
    let mut reload = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut upkeep = std::pin::pin!(crate::serve::metrics::upkeep());
    let mut drift = tokio::time::interval(DRIFT_EVERY);
    let mut wall = WallClock::default();
    loop {
        tokio::select! {
            () = &mut upkeep => {}
            _ = drift.tick() => {
                let shown = clock.wall();
                super::metrics::drift(shown);
                if Clock::is_set(wall, shown) {
                    wall = shown;
                    let _ = live.core.inputs.send(Input::ClockSet(wall)).await;
                }
            }
            _ = reload.recv() => {
                // What is wrong stands in the log and on /metrics; the old configuration goes on.
                let _ = live.reload().await;
            }
            () = watch.changed() => {
                let _ = live.reload().await;
            }
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    info!("stopping: deliveries under way may end, the rest stays owed");
    tokio::select! {
        () = live.stop() => {}
        // A second signal ends it at once; the ledger stays consistent.
        _ = terminate.recv() => {}
    }
    Ok(0)
}
