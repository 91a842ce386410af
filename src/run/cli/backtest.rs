//! `gated backtest`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use crate::model::{Timestamp, time};
use crate::run::backtest::Expect;

pub(super) const BACKTEST_USAGE: &str = "\
gated backtest --openmetrics FILE… [OPTIONS]
       gated backtest --prometheus URL --start T [OPTIONS]
       gated backtest --journal DIR [OPTIONS]";

pub(super) const BACKTEST_EXAMPLES: &str = "\
Examples:
  promtool tsdb dump-openmetrics --min-time=… --max-time=… data/ |
    gated backtest --openmetrics - --rollout 1.9.0..2.0.0@2026-04-01T13:11:00Z
  gated backtest --openmetrics april.om.gz may.om.zst
  gated backtest --prometheus http://prom:9090 --start 2026-04-01T12:00:00Z
  gated backtest --openmetrics day.om --compare rules-next
  gated backtest --journal /var/lib/gated/journal        what was decided, and why
  gated backtest --journal journal --rules rules-next    what other rules had decided
  gated backtest --openmetrics day.om --sweep error_rate=0.5%..3%
  gated backtest --openmetrics incident.om.gz --rollout 2.0.0@1775049060 \\
    --expect rollback@2026-04-01T13:13:50Z+-30s            a regression test
  gated backtest --openmetrics day.om --format html >day.html

The engine that runs live judges what was recorded, with every `for`, guard and
retry, as if rollbacks were armed; receivers answer 200. Nothing is sent. The
recorded service was not rolled back: what comes after a rollback is what was,
not what would have been. Probes and observations are not in a recording; all
that a daemon is given is in its journal ([journal] path).

Files hold OpenMetrics text with timestamps, plain, gzip or zstd, several are
merged. What lies before --start is judged too and not shown: give ten minutes
or more before a rollout.

Exit codes: 0; with --expect 0 as expected, 1 not, 2 where nothing was judged;
2 bad usage, configuration, rules or data.";

#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("source").required(true))]
pub struct Backtest {
    /// Recorded series: OpenMetrics text with timestamps (\"-\": standard input); several files are merged
    #[arg(long, value_name = "FILE", num_args = 1.., group = "source")]
    pub openmetrics: Vec<PathBuf>,

    #[arg(
        help = "A Prometheus-compatible server, or the name of a [[prometheus]] of the configuration",
        long,
        value_name = "URL",
        group = "source",
        requires = "start"
    )]
    pub prometheus: Option<String>,

    #[arg(
        help = "The folder of a journal: what a gated with [journal] was given, and what it decided of that. With --rules \
                or --compare: what these would have decided",
        long, value_name = "DIR", group = "source",
        conflicts_with_all = ["interval", "rollout", "go_live", "sweep"])]
    pub journal: Option<PathBuf>,

    /// Judge from here on: RFC 3339 or Unix seconds [default: where the data begins]
    #[arg(long, value_name = "T")]
    pub start: Option<Timestamp>,

    /// Up to here [default: where the data ends; now, of a server]
    #[arg(long, value_name = "T")]
    pub end: Option<Timestamp>,

    #[arg(
        help = "A rollout: [PREVIOUS..]VERSION@T; may be repeated [default: found from the version label that \
                version_from of [rollout] names]",
        long,
        value_name = "V@T"
    )]
    pub rollout: Vec<Told>,

    #[arg(
        help = "The go-live, for rules that count from it [default: go_live of [rollout]]",
        long,
        value_name = "T"
    )]
    pub go_live: Option<Timestamp>,

    /// How often it is looked at [default: as often as was recorded]
    #[arg(long, value_name = "D", value_parser = interval)]
    pub interval: Option<Duration>,

    /// Other rules, a file or a folder; may be repeated: what would they have decided instead?
    #[arg(long, value_name = "RULES")]
    pub compare: Vec<PathBuf>,

    /// SIGNAL=FROM..TO or for=FROM..TO: how often and when first with other thresholds; may be repeated
    #[arg(long, value_name = "NAME=FROM..TO", conflicts_with = "compare")]
    pub sweep: Vec<String>,

    /// rollback, none or escalate, and when: exit 1 where it is otherwise
    #[arg(long, value_name = "WHAT[@T+-D]", conflicts_with_all = ["compare", "sweep"])]
    pub expect: Option<Expect>,

    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub format: BacktestFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BacktestFormat {
    Table,
    Json,
    Markdown,
    Html,
}

/// A rollout that the command line tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub version: String,
    pub previous_version: Option<String>,
    pub at: Timestamp,
}

/// `[PREVIOUS..]VERSION@T`, split at the last `@`.
impl std::str::FromStr for Told {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        rollout(text)
    }
}

fn rollout(text: &str) -> Result<Told, String> {
    let help = "write VERSION@T or PREVIOUS..VERSION@T, such as 2.0.0@2026-04-01T13:11:00Z";
    let (versions, at) = text.rsplit_once('@').ok_or(help)?;
    let at = at
        .parse()
        .map_err(|_| format!("`{at}` is no moment: {help}"))?;
    let (previous, version) = match versions.split_once("..") {
        Some((previous, version)) => (Some(previous), version),
        None => (None, versions),
    };
    if version.trim().is_empty() || previous.is_some_and(|it| it.trim().is_empty()) {
        return Err(help.to_owned());
    }
    Ok(Told {
        version: version.to_owned(),
        previous_version: previous.map(str::to_owned),
        at,
    })
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_millis(100) || time::millis(interval) > 86_400_000 {
        return Err("write a duration from 100ms to 1day".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_split_at_its_last_at() {
        let told = |previous: Option<&str>, version: &str, at: i64| Told {
            version: version.to_owned(),
            previous_version: previous.map(str::to_owned),
            at: Timestamp::from_millis(at),
        };
        for (text, expected) in [
            ("2.0.0@1775049060", told(None, "2.0.0", 1_775_049_060_000)),
            (
                "1.9..2.0@2026-04-01T13:11:00Z",
                told(Some("1.9"), "2.0", 1_775_049_060_000),
            ),
            (
                "api@sha256:ab@1775049060.5",
                told(None, "api@sha256:ab", 1_775_049_060_500),
            ),
        ] {
            assert_eq!(rollout(text), Ok(expected), "{text}");
        }
        for text in ["", "2.0", "@1", "2.0@", "2.0@soon", "..2.0@1", "1.0..@1"] {
            assert!(rollout(text).is_err(), "{text}");
        }
    }
}
