//! One binary for all integration tests.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it expects"
)]

mod alertmanager;
mod config;
mod demo_parts;
mod deploy;
mod discovery;
mod exposition;
mod fault_server;
mod http;
mod layering;
mod ledger;
mod notation;
mod peers;
mod promql;
mod rules_files;
mod scrape;
mod scrape_pages;
mod scrape_tls;
mod show;
mod webhook;
mod window;
