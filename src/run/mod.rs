//! The hall: clock, command line, logging; wires everything.

pub mod cli;
pub mod clock;
pub mod logging;
pub mod remote;
pub mod show;
pub mod token;
