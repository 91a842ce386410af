//! One binary for all integration tests.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it expects"
)]

mod alertmanager;
mod demo_parts;
mod exposition;
mod http;
mod layering;
mod ledger;
mod notation;
mod peers;
mod promql;
mod show;
mod webhook;
mod window;
