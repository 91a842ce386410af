//! Commands with which people tell a running gated what no machine knows: observe, attest, checklist.

use std::time::Duration;

use clap::Args;

use super::ListFormat;
use super::people::Speaker;

pub(super) const OBSERVE_EXAMPLES: &str = "\
Examples:
  gated observe support_tickets_open 12
  gated observe user_satisfaction_score 4.3 --for 7d --label survey=week-1
  curl -H \"Authorization: Bearer $TOKEN\" --data-binary @page.txt \\
       -H 'Content-Type: text/plain' 'http://127.0.0.1:9755/api/v1/observations?for=1h'

The value becomes a series that rules read as any other, with job=\"observed\". It
stands for as long as --for says, over restarts; then its readings are stale, as
if a target did not answer. Observing it again replaces it.";

pub(super) const ATTEST_EXAMPLES: &str = "\
Examples:
  gated attest preflight/on-call-team-confirmed-and-ready --by ada
  gated attest preflight/on-call --note 'ada first, bob second'
  gated attest week-1/review-overnight --undo
  gated attest report/achievement --note 'no ticket was older than an hour'

ITEM is a line of `gated checklist`, shortened while one begins so. A line that
comes again every day counts for that day. report/FIELD fills what a report
leaves blank; say it again for a second line.";

pub(super) const CHECKLIST_EXAMPLES: &str = "\
Examples:
  gated checklist                        of the phase that is active
  gated checklist --phase preflight
  gated checklist --all --format json | jq '.items[] | select(.state == \"open\")'

[x] done, [ ] open, [?] not known, [-] its time has not come.";

#[derive(Args, Clone, Debug)]
pub struct Observe {
    /// The metric's name
    #[arg(value_name = "NAME")]
    pub name: String,

    /// A number
    #[arg(value_name = "VALUE", allow_negative_numbers = true, value_parser = finite)]
    pub value: f64,

    /// How long it is good for
    #[arg(long = "for", value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    pub lasts: Duration,

    /// A label; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,

    #[command(flatten)]
    pub speaker: Speaker,
}

#[derive(Args, Clone, Debug)]
pub struct Attest {
    /// The line's name, or as much of it as no other begins with
    #[arg(value_name = "ITEM")]
    pub item: String,

    /// What there is to say about it
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,

    /// It was not done after all
    #[arg(long)]
    pub undo: bool,

    #[command(flatten)]
    pub speaker: Speaker,
}

#[derive(Args, Clone, Debug)]
pub struct Checklist {
    /// Of this phase alone
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub phase: Option<String>,

    /// Of every phase
    #[arg(long)]
    pub all: bool,

    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub format: ListFormat,
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|it: &f64| it.is_finite());
    number.ok_or_else(|| "write a finite number, such as 12 or 4.3".to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("write NAME=VALUE, such as survey=week-1")?;
    Ok((name.to_owned(), value.to_owned()))
}
