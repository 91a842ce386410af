//! How an evaluation that nobody waits for any more is ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to end, shared between who evaluates and who has stopped waiting. The default is never asked.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<Arc<AtomicBool>>);

impl Stop {
    /// One that may be asked.
    #[must_use]
    pub fn possible() -> Self {
        Self(Some(Arc::default()))
    }

    pub fn ask(&self) {
        if let Some(asked) = &self.0 {
            asked.store(true, Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn asked(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|asked| asked.load(Ordering::Relaxed))
    }
}
