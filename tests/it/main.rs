//! Integration tests, one binary.

mod alertmanager;
mod peers;
mod webhook;
