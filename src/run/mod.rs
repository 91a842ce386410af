//! The hall: clock, configuration, command line; wires everything.

pub mod check;
pub mod config;
