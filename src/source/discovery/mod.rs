//! Where targets come from besides the configuration: files and DNS. What fails keeps the targets it found before.

mod dns;
mod file;

pub(super) use dns::watch as watch_dns;
pub(super) use file::watch as watch_files;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A target as it was found: `host:port` (or a URL), and labels for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) address: String,
    pub(super) labels: Vec<(String, String)>,
}

/// One discovery may find this many targets; more are a mistake in it, and change nothing.
const TARGETS_MAX: usize = 100_000;

/// What one discovery found last, for whoever scrapes.
#[derive(Debug)]
pub(super) struct Board {
    found: Mutex<Vec<Found>>,
    changed: Arc<Notify>,
}

impl Board {
    /// `changed` is told of each change; several boards may share it.
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        Self {
            found: Mutex::default(),
            changed,
        }
    }

    pub(super) fn read(&self) -> Vec<Found> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    fn publish(&self, targets: Vec<Found>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if *found != targets {
            *found = targets;
            self.changed.notify_one();
        }
    }
}
