//! What reports reckon with.

pub mod trend;
