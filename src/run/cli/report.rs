//! `gated report`.

use clap::Args;
use clap::ValueEnum;

use crate::report::Kind;

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  gated report day                          today so far, as Markdown
  gated report day --date 2026-12-01 --format html >day.html
  gated report week
  gated report hypercare --format json | jq .status

The runbook's own templates, filled from one reading a minute. What no machine
knows is a marked blank; `gated attest report/FIELD --note …` fills it: see
`gated attest --help`. [[report]] of the configuration sends them by themselves.
Without a running gated the ledger is read, which --config or --data names.";

#[derive(Args, Clone, Debug)]
pub struct Report {
    /// day, status (the daily mail), week or hypercare (30 days from the go-live)
    #[arg(value_name = "KIND", value_parser = kind)]
    pub kind: Kind,

    /// The day, or the last day of the week; hypercare has none [default: today]
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,

    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "markdown")]
    pub format: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Markdown,
    Html,
    Json,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_word(text).ok_or_else(|| "write day, status, week or hypercare".to_owned())
}
