//! The hall: clock, configuration, command line; wires everything.

mod announce;
mod at_hand;
pub mod backtest;
mod bar;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
mod core;
pub mod demo;
mod dry_run;
mod entry;
mod explain;
mod gated_test;
mod init;
mod live;
pub mod logging;
mod metrics;
mod people;
mod posted;
mod reach;
mod ready;
pub mod remote;
mod report;
pub mod rule_test;
pub mod show;
mod standing;
mod tell;
pub mod token;
mod told;
mod watch;

pub use entry::main;

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// `2 rollbacks`, `1 group`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A duration as the files write it: `1h30m`.
pub(crate) fn spelled(duration: std::time::Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}
