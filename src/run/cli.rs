//! The command line: a typed value for `run` to match on.

mod backtest;
mod init;
mod people;
mod report;
#[cfg(test)]
mod tests;
mod told;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::ArgMatches;
use clap::Args;
use clap::CommandFactory as _;
use clap::FromArgMatches as _;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap::error::ErrorKind;
use clap::parser::ValueSource;

use crate::model::Timestamp;

pub use backtest::{Backtest, BacktestFormat, Told};
pub use init::Init;
pub use people::Announce;
pub use people::Deliveries;
pub use people::DeliveryWord;
pub use people::Explain;
pub use people::ExplainFormat;
pub use people::Freeze;
pub use people::Said;
pub use people::Settle;
pub use people::Speaker;
pub use people::Status;
pub use people::Thaw;
pub use people::Veto;
pub use report::Report;
pub use report::ReportFormat;
pub use told::Attest;
pub use told::Checklist;
pub use told::Observe;

/// Judges a release against its runbook from Prometheus metrics, and asks for
/// the rollback: once, with the reason written down.
///
/// Without a command gated runs as a daemon.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gated",
    version,
    long_version = long_version(),
    max_term_width = 80,
    after_help = EXAMPLES,
    subcommand_help_heading = "Commands",
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub look: Look,
    #[command(subcommand)]
    pub command: Option<Command>,
}

fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}\nSQLite {}",
            env!("CARGO_PKG_VERSION"),
            crate::sink::ledger::sqlite_version()
        )
    });
    TEXT.as_str()
}

/// Where rules are looked for unless somebody says.
pub const RULES: &str = "rules";
/// The configuration, unless another is named.
pub const CONFIG: &str = "config/gated.toml";

const EXAMPLES: &str = "\
Examples:
  gated demo                           see it work, no set-up
  gated init                           a configuration to start from
  gated check config                   is the configuration sound?
  gated --dry-run                      one look: exit 0 go, 1 no go, 2 usage or
                                       configuration, 3 unknown
  gated --dry-run --format junit >gate.xml
  gated --config /etc/gated/gated.toml --rules /etc/gated/rules
  gated rollout start --version 1.4.2  tell a running gated of a release
  gated ack 3f2a                       take the incident that calls you
  gated status                         what it sees
  gated explain                        why it decided what it decided last
  gated freeze --for 1h --reason …     no rollbacks for a while
  curl -f http://127.0.0.1:9755/gate   ask it whether the release may stay

Nothing is rolled back until the configuration says [rollback] mode = \"armed\".";

/// Flags that may stand before or after a command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Configuration: what is scraped, who is told
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GATED_CONFIG",
        default_value = CONFIG,
        hide_env_values = true
    )]
    pub config: PathBuf,

    /// Rules files, or folders of them; may be repeated
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "GATED_RULES",
        value_delimiter = ',',
        default_value = RULES,
        hide_env_values = true
    )]
    pub rules: Vec<PathBuf>,

    /// Whether the command line itself names them, and not the environment
    #[arg(skip)]
    pub rules_named: bool,

    /// Folder of the database (overrides `path` of `[storage]`)
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "GATED_DATA",
        hide_env_values = true
    )]
    pub data: Option<PathBuf>,

    /// Address to serve on or to ask (overrides `listen` of `[server]`)
    #[arg(
        long,
        global = true,
        value_name = "ADDR",
        env = "GATED_LISTEN",
        hide_env_values = true,
        alias = "web.listen-address",
        value_parser = address
    )]
    pub listen: Option<SocketAddr>,

    /// How log lines look [default: text on a terminal, else json]
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "GATED_LOG_FORMAT",
        hide_env_values = true,
        value_enum
    )]
    pub log_format: Option<LogFormat>,

    #[arg(
        help = "What is logged: error, warn, info, debug, trace, or filters as in RUST_LOG \
                [default: RUST_LOG, else info]",
        long,
        global = true,
        value_name = "LEVEL",
        env = "GATED_LOG_LEVEL",
        hide_env_values = true
    )]
    pub log_level: Option<String>,
}

/// `--dry-run` and what belongs to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dry run")]
pub struct Look {
    /// Look once, print the verdict, change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// The phase to judge [default: the one marked preflight, else the first]
    #[arg(long, value_name = "NAME", requires = "dry_run")]
    pub phase: Option<String>,

    /// How long to look [default and at least: as long as the rules need, four scrapes or more]
    #[arg(long = "for", value_name = "DURATION", requires = "dry_run", value_parser = humantime::parse_duration)]
    pub look_for: Option<Duration>,

    /// How the verdict is printed
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        requires = "dry_run"
    )]
    pub format: Format,

    /// Amber is no go
    #[arg(long, requires = "dry_run")]
    pub strict: bool,

    /// Do not look at hooks and Alertmanagers: where production is out of reach
    #[arg(long, requires = "dry_run")]
    pub skip_hooks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// How a verdict is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Junit,
    Markdown,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write a commented configuration and rules to start from
    #[command(after_help = init::INIT_EXAMPLES)]
    Init(Init),
    /// Check files without running: exit 0 sound, 1 faults
    #[command(subcommand, after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Run unit tests of rules, promtool's and gated's own: exit 0 passed, 1 failed
    #[command(after_help = TEST_EXAMPLES)]
    Test(Test),
    /// What would gated have done? Replays recorded metrics through rules
    #[command(after_help = backtest::BACKTEST_EXAMPLES, override_usage = backtest::BACKTEST_USAGE)]
    Backtest(Backtest),
    /// Tell a running gated of a release, or list what it knows
    #[command(subcommand, after_help = ROLLOUT_EXAMPLES)]
    Rollout(Rollout),
    /// Incidents of a running gated: who must act by when
    #[command(after_help = INCIDENTS_EXAMPLES)]
    Incidents(Incidents),
    /// Take an incident: nobody else is called for it
    #[command(after_help = ACK_EXAMPLES)]
    Ack(Ack),
    /// What a running gated sees and has done
    #[command(after_help = people::STATUS_EXAMPLES)]
    Status(Status),
    /// Why something was decided, or why not, and what came of it
    #[command(after_help = people::EXPLAIN_EXAMPLES)]
    Explain(Explain),
    /// No rollbacks for a while
    #[command(after_help = people::FREEZE_EXAMPLES)]
    Freeze(Freeze),
    /// Rollbacks are decided again
    #[command(after_help = people::THAW_EXAMPLES)]
    Thaw(Thaw),
    /// This rollout is not to be rolled back
    #[command(after_help = people::VETO_EXAMPLES)]
    Veto(Veto),
    /// A value that no exporter has
    #[command(after_help = told::OBSERVE_EXAMPLES)]
    Observe(Observe),
    /// A line of the runbook's checklist is done
    #[command(after_help = told::ATTEST_EXAMPLES)]
    Attest(Attest),
    /// The runbook's checklist: what is done and what is open
    #[command(after_help = told::CHECKLIST_EXAMPLES)]
    Checklist(Checklist),
    /// The runbook's reports, filled from what was measured
    #[command(after_help = report::REPORT_EXAMPLES)]
    Report(Report),
    /// Tell users that it is live, once, while the gate says go
    #[command(after_help = people::ANNOUNCE_EXAMPLES)]
    Announce(Announce),
    /// What is owed to receivers; what became of one that is held
    #[command(after_help = people::DELIVERIES_EXAMPLES)]
    Deliveries(Deliveries),
    /// A simulated service, a bad version, a rollback; needs no set-up
    Demo(Demo),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  gated check config
  gated check rules rules/*.toml
  curl -s http://127.0.0.1:8080/metrics | gated check rules rules --page -
  curl -s http://127.0.0.1:8080/metrics | gated check metrics";

const CHECK_RULES_EXAMPLES: &str = "\
Examples:
  gated check rules rules/*.toml
  gated check rules /etc/prometheus/rules
  gated check rules --config config/gated.toml alerts.yml
  curl -s http://127.0.0.1:8080/metrics | gated check rules --page - alerts.yml

What Prometheus would refuse is a fault, shown with its place and what to write
instead. What loads and is likely not meant is a warning:
  a range shorter than three scrapes, or longer than the `for` of its trigger
  a threshold that is never, or always, true
  a small share of events without a traffic guard
  a `for` shorter than the group's interval

Scrape intervals come from --config, where there is one; --rules, --data and
--listen are for other commands.

Exit codes: 0 loads, warnings or not; 1 faults; 2 a file cannot be read";

const TEST_EXAMPLES: &str = "\
Examples:
  gated test tests/*.yml
  gated test --run 'bad release' tests/rollout.yml      only what matches
  gated test --junit result.xml tests/*.yml             for a pipeline

A file names its rules in rule_files, gives input_series in the notation of
promtool, and says what alert_rule_test and promql_expr_test expect. A
gated_test block runs the series through the engine that runs live, on a
simulated clock, and says what must have been decided:

  rule_files: [../rules/rollout.toml]
  evaluation_interval: 5s                   # and of scrapes
  tests:
  - name: a bad release is rolled back
    input_series:                           # of one job and instance: a target
    - series: http_requests_total{job=\"api\",instance=\"a\",status=\"200\"}
      values: 0+500x60 30000+450x120        # from 5m on every tenth fails
    - series: http_requests_total{job=\"api\",instance=\"a\",status=\"500\"}
      values: 0x60 0+50x120
    gated_test:                             # also: armed: false, settle,
      rollouts:                             # version_from, go_live
      - {at: 5m, version: \"2.0\", previous_version: \"1.0\"}
      expect:                               # what is left out may be anything
      - at: 6m10s
        phase: canary
        verdict: no_go                      # go, no_go, unknown
        status: red                         # green, amber, red, unknown
        decisions:                          # all of them, the oldest first
        - {do: rollback, trigger: errors}   # also: refused_by, severity, phase

A backtest block plays a recording instead, as gated backtest does. Its moments
are RFC 3339, Unix seconds, or count from the recording's start:

    backtest:                               # also: start, end, interval, armed,
      openmetrics: incident.om.gz           # settle, version_from, go_live
      rollouts: [{at: 11m, version: \"2.0.0\"}]
      expect: rollback@14m+-30s             # none, escalate, or a list as above

Exit code: 0 all passed, 1 one failed, 2 a file that cannot be run.";

const ROLLOUT_EXAMPLES: &str = "\
Examples:
  gated rollout start --version 1.4.2 --previous 1.4.1
  gated rollout list
  gated rollout finish

gated must be running on --listen; the token is found beside its database, or
where [server] token_file says.";

const INCIDENTS_EXAMPLES: &str = "\
Examples:
  gated incidents                      what is open
  gated incidents --all --format json  resolved ones too, for a script

gated must be running on --listen.";

const ACK_EXAMPLES: &str = "\
Examples:
  gated ack inc_3f2a
  gated ack 3f2a --note 'rolling back by hand' --by ada

It stops the levels that were still to be called, and the repeats. Whoever was
told of the incident hears who has it. It ends when what opened it is over.

gated must be running on --listen; the token is found beside its database, or
where [server] token_file says.";

#[derive(Args, Clone, Debug)]
pub struct Incidents {
    /// How they are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub format: ListFormat,

    /// Resolved ones too
    #[arg(long)]
    pub all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Table,
    Json,
}

#[derive(Args, Clone, Debug)]
pub struct Ack {
    /// Its id, or as much of it as no other begins with
    #[arg(value_name = "ID")]
    pub id: String,

    /// What you are doing about it
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,

    #[command(flatten)]
    pub speaker: Speaker,
}

#[derive(Args, Clone, Debug)]
pub struct Test {
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Run only tests whose name this regular expression matches
    #[arg(long, value_name = "REGEX", value_parser = regex::Regex::new)]
    pub run: Option<regex::Regex>,

    /// Write the outcome to this file, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Check {
    /// The configuration, and the rules that go with it
    Config,
    /// Rules files, gated's own and Prometheus'
    #[command(after_help = CHECK_RULES_EXAMPLES)]
    Rules {
        /// Rules files or folders of them: *.toml are gated's own; *.yml, *.yaml and *.rules are Prometheus rule files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A page of a target ("-": standard input): selectors that match nothing on it, rates of its gauges, quantiles
        /// above its highest bucket
        #[arg(long, value_name = "PAGE")]
        page: Option<PathBuf>,
    },
    /// A page of metrics on standard input
    Metrics {
        /// How the page is written [default: as its last line says]
        #[arg(long, value_enum, value_name = "FORMAT")]
        format: Option<PageFormat>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PageFormat {
    Text,
    Openmetrics,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Rollout {
    /// A version goes live
    Start(Start),
    /// The rollout is over: nothing is rolled back for it any more
    Finish {
        /// Its id [default: the current rollout]
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
    /// Rollouts that gated knows, oldest first
    List,
}

#[derive(Args, Clone, Debug)]
pub struct Start {
    /// The version that goes live
    #[arg(long, value_name = "V")]
    pub version: String,
    /// The version to go back to
    #[arg(long, value_name = "P")]
    pub previous: Option<String>,
    /// It cannot be undone (a migration ran): gated escalates instead
    #[arg(long)]
    pub irreversible: bool,
    /// Its id, for instance the pipeline's; telling it twice changes nothing
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// When it began: RFC 3339 or Unix seconds [default: when gated hears of it]
    #[arg(long, value_name = "T")]
    pub started_at: Option<Timestamp>,
}

#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Leave it running afterwards, to look at its pages
    #[arg(long)]
    pub keep: bool,

    /// Record what it is given in this folder, for `gated backtest --journal`
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
}

impl Cli {
    /// Reads the process' arguments; prints help, version or what is wrong with them, and exits (0, 0, 2).
    #[must_use]
    pub fn from_process() -> Self {
        Self::read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads `arguments`, the program's name first.
    pub fn read<T: Into<std::ffi::OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(arguments)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        cli.global.rules_named = is_named(&matches, "rules");
        if cli.look.dry_run && cli.command.is_some() {
            let text = "--dry-run stands alone: it cannot be combined with a command";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        }
        Ok(cli)
    }
}

/// Whether somebody wrote this flag, before or after a command.
fn is_named(matches: &ArgMatches, flag: &str) -> bool {
    let here = matches.value_source(flag) == Some(ValueSource::CommandLine);
    here || matches
        .subcommand()
        .is_some_and(|(_, within)| is_named(within, flag))
}

/// Whether to colour what goes to standard output: a terminal, and nobody said `NO_COLOR`.
#[must_use]
pub fn colour() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an address and a port, such as 127.0.0.1:9755 or [::1]:9755".to_owned())
}
