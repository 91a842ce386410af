//! The hall: clock, configuration, command line; wires everything.

pub mod demo;
