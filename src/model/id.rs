//! Names for things. Ids that are recorded come from content, so that a replay or a second replica gives the same.

use std::fmt;

/// One scraped target for as long as it is configured or discovered. Given by the source, never reused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u32);

impl TargetId {
    /// What Alertmanager posts, from here: another each time it is heard again. Scraped targets are numbered from zero.
    pub const ALERTS: Self = Self(1 << 28);
    /// What a recording has beside the pages of its targets, from here: series with moments of their own.
    pub const BESIDE: Self = Self(1 << 27);
    /// Probes are numbered from here.
    pub const PROBES: Self = Self(1 << 29);
    /// What is asked of a Prometheus, from here: one for each signal that has a source.
    pub const ASKED: Self = Self((1 << 29) + (1 << 27));
    /// What people observed, from here: one for each series.
    pub const OBSERVED: Self = Self((1 << 29) + (1 << 28));
    /// What the engine keeps of each signal, from here. Above are the bits that it keeps for rules.
    pub const HISTORY: Self = Self((1 << 29) + (1 << 28) + (1 << 27));

    /// Whether it stands for an Alertmanager that posts.
    #[must_use]
    pub const fn is_alerts(self) -> bool {
        self.0 >= Self::ALERTS.0 && self.0 < Self::PROBES.0
    }

    /// Whether it stands for recorded series that stood on no page: whether their target was up is not known.
    #[must_use]
    pub const fn is_beside(self) -> bool {
        self.0 >= Self::BESIDE.0 && self.0 < Self::ALERTS.0
    }

    /// Whether it stands for what is asked of a Prometheus.
    #[must_use]
    pub const fn is_asked(self) -> bool {
        self.0 >= Self::ASKED.0 && self.0 < Self::OBSERVED.0
    }

    /// Whether it stands for a series that somebody observed.
    #[must_use]
    pub const fn is_observed(self) -> bool {
        self.0 >= Self::OBSERVED.0 && self.0 < Self::HISTORY.0
    }

    /// Whether it stands for the history of a signal.
    #[must_use]
    pub const fn is_history(self) -> bool {
        self.0 >= Self::HISTORY.0 && self.0 < 1 << 30
    }

    /// Whether gated itself makes its samples, and no source.
    #[must_use]
    pub const fn is_own(self) -> bool {
        self.is_observed() || self.is_history()
    }

    /// Whether its samples come from pages: those alone say whether a series that is not there could be.
    #[must_use]
    pub const fn is_scraped(self) -> bool {
        self.0 < Self::ALERTS.0
    }
}

/// The place of one wanted series in its target's columns: dense from 0, reused after the series is gone.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// One rollout: the id it was given, `service@version@start` when told, `service@version#n` when inferred.
    RolloutId
}
text_id! {
    /// One decision: `dec_` and a hash of what it decides about.
    DecisionId
}
text_id! {
    /// One delivery, the wire's `webhook-id`: `msg_` and a hash of decision, event and receiver.
    DeliveryKey
}

text_id! {
    /// One incident: `inc_` and a hash of what it is about and when it opened.
    IncidentId
}

impl DecisionId {
    /// The page that explains it, below where people reach gated.
    #[must_use]
    pub fn page(&self, external_url: &str) -> String {
        format!("{external_url}/explain/{self}")
    }

    /// The once-only id of a rollout's rollback: nothing but service, environment and rollout goes into it,
    /// so no second ledger and no second replica that knows the rollout can give another.
    #[must_use]
    pub fn rollback(service: &str, environment: &str, rollout: &RolloutId) -> Self {
        Self(format!(
            "dec_{}",
            digest(&[service, environment, rollout.as_str(), "rollback"])
        ))
    }

    /// The id of anything else: one per trigger, rollout (or none), deed and episode.
    #[must_use]
    pub fn other(parts: &[&str]) -> Self {
        Self(format!("dec_{}", digest(parts)))
    }
}

impl IncidentId {
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        Self(format!("inc_{}", digest(parts)))
    }
}

impl DeliveryKey {
    #[must_use]
    pub fn new(decision: &DecisionId, event: &str, receiver: &str) -> Self {
        Self(format!(
            "msg_{}",
            digest(&[decision.as_str(), event, receiver])
        ))
    }
}

/// 128 bits of SHA-256 over length-prefixed parts, in hex.
fn digest(parts: &[&str]) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finish().as_ref()[..16]
        .iter()
        .fold(String::with_capacity(32), |mut hex, byte| {
            use fmt::Write as _;
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let id = |service, environment| {
            DecisionId::rollback(service, environment, &RolloutId("r".into()))
        };
        assert_eq!(id("api", "prod"), id("api", "prod"));
        assert_ne!(id("api", "prod"), id("apip", "rod"));
    }
}
