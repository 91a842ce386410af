//! Commands with which people look after a running gated: freeze, thaw, veto, explain, status, deliveries.

use std::time::Duration;

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;

pub(super) const FREEZE_EXAMPLES: &str = "\
Examples:
  gated freeze --for 1h --reason 'database failover until noon'
  gated freeze --for 30m --reason 'load test' --by ci

Nothing is rolled back meanwhile: what trips calls people instead, and a request
that is not sent yet ends cancelled. A freeze ends by itself, 31 days later at
most; what still fires then is judged again. A second freeze replaces the first.";

pub(super) const THAW_EXAMPLES: &str = "\
Examples:
  gated thaw
  gated thaw --reason 'failover done, looked at the dashboards'

Ends a freeze before its time. It also ends the hold after a damaged ledger was
moved aside: say so only after a look at what was rolled back before.";

pub(super) const ANNOUNCE_EXAMPLES: &str = "\
Examples:
  gated announce --dry-run               what users would read, and what is blank
  gated announce --by ada
  gated announce --force                 whatever stands against it

[announcement] of the configuration fills the runbook's text and names who gets
it. It goes out once for a go-live, while the gate says go and nothing is blank;
--force sends it all the same, also a second time.";

pub(super) const VETO_EXAMPLES: &str = "\
Examples:
  gated veto dec_3f9a --reason 'known: the cache is cold'
  gated veto 3f9a --reason 'we fix forward'

ID may be any of `gated explain`, shortened while one decision begins so. The
rollout that it belongs to is not rolled back: a request that is not sent yet
ends cancelled, and no trigger asks again. With [rollback] veto = \"2m\" there is
time to say so; what was delivered already has to be undone where it was done.";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  gated explain                          the newest decision
  gated explain dec_3f9a                 or 3f9a: while one begins so
  gated explain 3f9a --format json | jq '.guards[] | select(.passed | not)'
  curl -H 'Accept: text/plain' http://127.0.0.1:9755/explain/3f9a

What was asked and what was done, expression, reading and threshold, the
rollout, every guard's answer, every delivery with its attempts, and what came
afterwards. What a running gated does not know (any more), and everything where
none runs, is read from the ledger that --config or --data names, unchanged.

Where the configuration has a [journal], the minutes around the decision are
redrawn from it: every signal that was compared, from two minutes before until
one after, and what happened then. In JSON they are the key `minutes`.";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  gated status
  gated status --watch                   until Ctrl-C

Exit code 0 whatever the verdict: to let a pipeline stop, ask /gate, or look
with `gated --dry-run`.";

pub(super) const DELIVERIES_EXAMPLES: &str = "\
Examples:
  gated deliveries --open
  gated deliveries ack msg_51c0 --reason 'the deployment is at 1.4.1'
  gated deliveries resend 51c0 --reason 'nothing arrived'

A delivery is held where its answer was lost and sending it twice might undo
what it did. Look at the receiver, then say which of the two it is.";

#[derive(Args, Clone, Debug)]
pub struct Announce {
    /// Print it, and send nothing
    #[arg(long = "dry-run", id = "announce_dry_run")]
    pub look: bool,
    /// Send it although the gate does not say go, something is blank, or it went out before
    #[arg(long, conflicts_with = "announce_dry_run")]
    pub force: bool,
    #[command(flatten)]
    pub speaker: Speaker,
}

/// Who speaks, and why.
#[derive(Args, Clone, Debug)]
pub struct Said {
    /// Why: it stands in the audit trail and in every explanation
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub speaker: Speaker,
}

#[derive(Args, Clone, Debug)]
pub struct Speaker {
    /// Who says so [default: $USER, else the login name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub struct Freeze {
    /// How long, such as 1h or 30m
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub hold: Duration,
    #[command(flatten)]
    pub said: Said,
}

#[derive(Args, Clone, Debug)]
pub struct Thaw {
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    pub reason: String,
    #[command(flatten)]
    pub speaker: Speaker,
}

#[derive(Args, Clone, Debug)]
pub struct Veto {
    /// The decision, or the beginning of its id
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub said: Said,
}

#[derive(Args, Clone, Debug)]
pub struct Explain {
    /// The decision, or the beginning of its id [default: the newest]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub format: ExplainFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    Text,
    Json,
}

#[derive(Args, Clone, Debug)]
pub struct Status {
    /// Draw it again every two seconds
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Deliveries {
    /// Only those that are not settled
    #[arg(long)]
    pub open: bool,
    #[command(subcommand)]
    pub word: Option<DeliveryWord>,
}

/// What a person says of a held delivery.
#[derive(Clone, Debug, Subcommand)]
pub enum DeliveryWord {
    /// It arrived and was acted on
    Ack(Settle),
    /// It did not arrive: send it again
    Resend(Settle),
}

#[derive(Args, Clone, Debug)]
pub struct Settle {
    /// The delivery, or the beginning of its id
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub said: Said,
}
