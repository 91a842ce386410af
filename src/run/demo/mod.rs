//! What `gated demo` plays with: a service with traffic and a receiver that rolls it back, both over real sockets.

pub mod dice;
pub mod fleet;
pub mod instance;
pub mod receiver;
pub mod service;
mod story;

pub use story::run;
