//! `gated init`: what is asked on the command line.

use std::path::PathBuf;

use clap::Args;

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  gated init                             asks what it has to know
  gated init --service shop --metrics http://127.0.0.1:8080/metrics \\
             --hook https://deploy.example.com/rollback
  gated init --rules day1 --go-live 2026-12-01T00:00:00+01:00 \\
             --timezone Europe/Berlin    the runbook of a go-live
  gated init --dir /etc/gated </dev/null defaults, no questions

It writes config/gated.toml and rules/rollout.toml (a team that ships often) or
rules/day1.toml (a go-live and its first 30 days), with comments that say what
else there is. --rules rollout, the default without --go-live, or --rules day1
chooses. Nothing is armed: in \"shadow\" a rollback is decided and shown only.

Where --metrics answers, its page is compared with the rules: metrics that are
missing from it are named, with those that have similar names.

Exit code: 0 written, 1 a file stands in the way, 2 a value cannot be used.";

#[derive(Args, Clone, Debug)]
pub struct Init {
    /// The service's name [default: api]
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    #[arg(
        long,
        value_name = "URL",
        help = "Its page of metrics [default: http://127.0.0.1:8080/metrics]"
    )]
    pub metrics: Option<String>,
    #[arg(
        long,
        value_name = "URL",
        help = "What is asked for a rollback [default: $ROLLBACK_URL when gated starts]"
    )]
    pub hook: Option<String>,
    #[arg(
        long,
        value_name = "URL",
        help = "Who calls people [default: http://127.0.0.1:9093]"
    )]
    pub alertmanager: Option<String>,
    /// For reports and times of day [default: UTC]
    #[arg(long, value_name = "TZ")]
    pub timezone: Option<String>,
    #[arg(
        long,
        value_name = "T",
        help = "From when the phases of day1 count [default: $GO_LIVE when gated starts]"
    )]
    pub go_live: Option<String>,
    /// Where config/ and rules/ are made
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Overwrite what is there
    #[arg(long)]
    pub force: bool,
}
