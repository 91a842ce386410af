//! Reports: the facts of a period → the runbook's four templates, as Markdown, one self-contained page and JSON.
//!
//! [`compose()`] takes [`Facts`] and gives a [`Report`], whose faces are [`Report::markdown`], [`Report::html`] and
//! [`Report::json`]. The headings and bullets are the runbook's own, in its order; behind them stand the dashboard, the
//! charts and how the figures were made. What no machine knows is a marked blank (`[fill in: …]`), or what a person
//! said ([`Note`]) with who said it. A signal without a reading gives a blank that names it, never a number.
//!
//! Deliberately absent: where facts come from, when a report is due, and to whom it goes.
//!
//! # Which signals fill the templates
//!
//! By name, and in this unit. The figure of a period is made of one reading a minute as the third column says
//! ([`How`]); minutes without one are left out and counted beside it. The last two columns are for trends: which way is
//! better, and the smallest change that matters, in the unit. Any other signal is shown by its mean.
//!
//! | signal | unit | figure of a period | better | matters |
//! |---|---|---|---|---|
//! | `uptime` | `ratio` | share of known minutes up | higher | 0.0005 |
//! | `api_latency_p95` | `seconds` | median, and the worst minute | lower | 0.005 |
//! | `api_latency_avg` | `seconds` | mean weighted by throughput | lower | 0.005 |
//! | `error_rate` | `ratio` | mean weighted by throughput | lower | 0.001 |
//! | `throughput` | `per_second` | rate added up | neither | 0 |
//! | `cpu_utilization` | `ratio` | mean | neither | 0.02 |
//! | `memory_utilization` | `ratio` | mean | neither | 0.02 |
//! | `active_users` | `count` | last, and the highest | neither | 1 |
//! | `total_users` | `count` | last | neither | 1 |
//! | `new_users` | `count` | increases added up | neither | 0 |
//! | `transactions` | `count` | increases added up | neither | 0 |
//! | `session_duration` | `seconds` | mean | neither | 10 |
//! | `user_adoption` | `ratio` | last | higher | 0.02 |
//! | `support_tickets_open` | `count` | last | lower | 1 |
//! | `support_tickets_opened` | `count` | increases added up | lower | 0 |
//! | `support_tickets_resolved` | `count` | increases added up | neither | 0 |
//! | `ticket_resolution_time` | `seconds` | last | lower | 60 |
//! | `user_satisfaction` | `score` | last | higher | 0.1 |
//! | `user_sentiment` | `ratio` | last | higher | 0.02 |
//! | `predictions` | `count` | increases added up | neither | 0 |
//! | `prediction_latency` | `seconds` | mean | lower | 0.005 |
//! | `model_accuracy` | `ratio` | last | higher | 0.005 |
//! | `data_drift` | `none` | any minute at 1 | lower | 0 |
//! | `cost_savings` | `count` | last | higher | 0 |
//! | `time_saved` | `seconds` | last | higher | 3600 |
//! | `revenue_increase` | `count` | last | higher | 0 |
//! | `user_productivity` | `ratio` | last | higher | 0.01 |
//!
//! An uptime of a minute is 1 or 0; less than 1 is down. Counts whose increases are added up begin at zero each midnight
//! of the service's zone; one that never begins again would be counted whole each day. What stands over midnight
//! unchanged is a reading of the day before, and counts when it changes. `cost_savings`, `revenue_increase` (in dollars) and
//! `time_saved` are a month's.

mod chart;
mod compose;
mod document;
mod facts;
mod figures;
mod html;
mod json;
mod markdown;
mod measure;
mod minutes;
mod note;
mod number;
mod overall;
mod period;
#[cfg(test)]
mod sample;
pub mod signals;
mod svg;
#[cfg(test)]
mod tests;
pub mod trend;
mod when;

pub use compose::{Unfit, compose};
pub use document::Report;
pub use facts::{
    ChecklistItem, Comparison, Criterion, Earlier, Facts, IncidentFact, Kind, PhaseFact,
    SignalHistory, Standing, Target, UptimeBudget,
};
pub use note::{Field, Note, PARTS};
pub use overall::{MISSED_SHARE_MAX, Overall, Reason, UNKNOWN_SHARE_MAX};
pub use period::{HYPERCARE_DAYS, before, from_go_live, hypercare_day, period};
pub use signals::{Group, How, Known, SIGNALS, known};
pub use trend::Better;
