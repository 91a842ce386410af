//! One binary for all integration tests.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it expects"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "tests count to small numbers and compare values that must be equal to the bit"
)]
#![allow(
    clippy::format_push_string,
    clippy::similar_names,
    reason = "a test's text is read once, by who wonders why it is red"
)]

mod acts;
mod alert_generator;
mod alert_receiver;
mod alertmanager;
mod alertmanager_faults;
mod alerts;
mod announce;
mod attest;
mod backtest;
mod binary;
mod body;
mod canary;
mod checklist;
mod command;
mod config;
mod crash;
mod criteria;
mod daemon;
mod demo_parts;
mod deploy;
mod differential;
mod discovery;
mod dry_run;
mod engine;
mod episodes;
mod exposition;
mod fault_server;
mod found;
mod generator;
mod history;
mod http;
mod incidents;
mod init;
mod kill_sweep;
mod layering;
mod ledger;
mod mail;
mod notation;
mod observed;
mod peers;
mod phases;
mod post_office;
mod probe;
mod probe_local;
mod probe_web;
mod prometheus_api;
mod prometheus_rules;
mod promql;
mod readme;
mod ready;
mod receivers;
mod reference;
mod reports;
mod rule_groups;
mod rule_tests;
mod rules_files;
mod runbook;
mod scrape;
mod scrape_pages;
mod scrape_tls;
mod shadow;
mod show;
mod sources;
mod stories;
mod storm;
mod template;
mod templates;
mod thirty_days;
mod webhook;
mod window;
mod world;
