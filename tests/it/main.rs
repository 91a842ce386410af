//! Integration tests, one binary.

mod alertmanager;
mod ledger;
mod peers;
mod webhook;
