//! The command line: a typed value for `run` to match on. Deliberately absent: commands that do not exist yet.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::CommandFactory as _;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap::error::ErrorKind;

use crate::model::Timestamp;

/// Judges a release against its runbook from Prometheus metrics, and asks for
/// the rollback: once, with the reason written down.
///
/// Without a command gated runs as a daemon.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gated",
    version,
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

const EXAMPLES: &str = "\
Examples:
  gated demo                           see it work, no set-up
  gated check config                   is the configuration sound?
  gated --dry-run                      one look: exit 0 go, 1 no go, 2 usage or
                                       configuration, 3 unknown
  gated --dry-run --format junit >gate.xml
  gated --config /etc/gated/gated.toml --rules /etc/gated/rules
  gated rollout start --version 1.4.2  tell a running gated of a release
  curl -f http://127.0.0.1:9755/gate   ask it whether the release may stay

Nothing is rolled back until the configuration says [rollback] mode = \"armed\".";

/// Flags that may stand before or after a command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Configuration: what is scraped, who is told
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GATED_CONFIG",
        default_value = "config/gated.toml",
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
        default_value = "rules",
        hide_env_values = true
    )]
    pub rules: Vec<PathBuf>,

    /// Folder of the database (overrides [storage] path)
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "GATED_DATA",
        hide_env_values = true
    )]
    pub data: Option<PathBuf>,

    /// Address to serve on or to ask (overrides [server] listen)
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

    /// What is logged: error, warn, info, debug, trace, or filters as in
    /// RUST_LOG [default: RUST_LOG, else info]
    #[arg(
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

    /// How long to look [default: the longest range judged, 2m at most]
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
    /// Check files without running: exit 0 sound, 1 faults
    #[command(subcommand, after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Tell a running gated of a release, or list what it knows
    #[command(subcommand, after_help = ROLLOUT_EXAMPLES)]
    Rollout(Rollout),
    /// A simulated service, a bad version, a rollback; needs no set-up
    Demo(Demo),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  gated check config
  gated check rules rules/*.toml
  curl -s http://127.0.0.1:8080/metrics | gated check metrics";

const ROLLOUT_EXAMPLES: &str = "\
Examples:
  gated rollout start --version 1.4.2 --previous 1.4.1
  gated rollout list
  gated rollout finish

gated must be running on --listen; the token is found beside its database, or
where [server] token_file says.";

#[derive(Clone, Debug, Subcommand)]
pub enum Check {
    /// The configuration, and the rules that go with it
    Config,
    /// Rules files
    Rules {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
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
        let cli = Self::try_parse_from(arguments)?;
        if cli.look.dry_run && cli.command.is_some() {
            let text = "--dry-run stands alone: it cannot be combined with a command";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        }
        Ok(cli)
    }
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
