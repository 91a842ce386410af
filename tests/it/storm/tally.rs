//! What happened in all storms together: a storm that has gone calm proves nothing.

use gated::engine::Record;
use gated::model::{Action, DeliveryState, Helped, NoticeKind};

macro_rules! tally {
    ($($name:ident),+ $(,)?) => {
        #[derive(Debug, Default, Clone, Copy)]
        pub struct Tally { $(pub $name: u64),+ }

        impl Tally {
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }

            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}

tally!(
    crashes,
    commits_failed,
    inputs,
    rollbacks,
    escalations,
    requests_sent,
    requests_resent,
    delivered,
    unconfirmed,
    held,
    cancelled,
    given_up,
    verified,
    ineffective,
    unverified,
    vetoes,
    freezes,
    went_go,
);

impl Tally {
    pub fn committed(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Decision(it) if it.action == Action::Rollback => self.rollbacks += 1,
                Record::Decision(_) => self.escalations += 1,
                Record::Delivery(it) if it.kind == NoticeKind::RollbackRequested => {
                    match it.state {
                        DeliveryState::Owed { .. } => {}
                        DeliveryState::UnderWay { .. } if it.attempts > 1 => {
                            self.requests_resent += 1;
                        }
                        DeliveryState::UnderWay { .. } => self.requests_sent += 1,
                        DeliveryState::Unconfirmed { .. } => self.unconfirmed += 1,
                        DeliveryState::Held { .. } => self.held += 1,
                        DeliveryState::Delivered { .. } => self.delivered += 1,
                        DeliveryState::Cancelled { .. } => self.cancelled += 1,
                        DeliveryState::GivenUp { .. } => self.given_up += 1,
                    }
                }
                Record::Verification(it) => match it.outcome.map(|(_, helped)| helped) {
                    None => {}
                    Some(Helped::Verified) => self.verified += 1,
                    Some(Helped::Ineffective) => self.ineffective += 1,
                    Some(Helped::Unverified) => self.unverified += 1,
                },
                Record::Audit(it) => match it.deed {
                    gated::model::Deed::Veto => self.vetoes += 1,
                    gated::model::Deed::Freeze => self.freezes += 1,
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

/// Records in short, for who reads a storm.
pub fn names(records: &[Record]) -> String {
    let name = |record: &Record| match record {
        Record::Rollout(it) => format!(
            "rollout {} ended {:?} vetoed {}",
            it.id,
            it.end,
            it.vetoed.is_some()
        ),
        Record::Decision(it) => format!("decision {} {} {}", it.id, it.action, it.trigger),
        Record::Owed(it, _) => format!("owed {} {} {}", it.key, it.kind, it.receiver),
        Record::Delivery(it) => format!("delivery {} #{} {:?}", it.key, it.attempts, it.state),
        other => format!("{other:?}"),
    };
    records.iter().map(name).collect::<Vec<_>>().join("; ")
}
