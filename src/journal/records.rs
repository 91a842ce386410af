//! What is recorded, as bytes: the words of `model` and the records of the engine.

use super::wire::{Bytes, Malformed, Wire, choice, put_signed, record, spelled, take_text};
use crate::engine::{Record, RestoredAlert, RestoredGroup, RestoredTrigger};
use crate::model::{
    Acknowledgement, Action, AttemptLine, Attestation, Audit, Cause, Decision, DecisionId, Deed,
    Delivery, DeliveryKey, DeliveryState, Guard, GuardAnswer, Helped, Incident, IncidentId, Labels,
    Metadata, MetricKind, Minute, Minutes, Notice, NoticeIncident, NoticeKind, NoticeReport,
    Observation, Past, PhaseOutcome, PhaseRun, Rollout, RolloutEnd, RolloutId, Said, Seen,
    Severity, Sight, Slot, Status, TargetId, Timestamp, Unit, Verification, WallClock,
};

/// The end of the year 9999: later is no moment.
const MILLIS_MAX: i64 = 253_402_300_799_999;

impl Wire for Timestamp {
    fn put(&self, to: &mut Vec<u8>) {
        put_signed(self.millis(), to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        moment(from.signed()?)
    }
}

/// Whatever a clock may show; and what stands for "before" and "after everything".
pub fn moment(millis: i64) -> Result<Timestamp, Malformed> {
    let clock = (-MILLIS_MAX..=MILLIS_MAX).contains(&millis);
    if clock || [i64::MIN, i64::MAX].contains(&millis) {
        Ok(Timestamp::from_millis(millis))
    } else {
        Err(Malformed::Number)
    }
}

impl Wire for WallClock {
    fn put(&self, to: &mut Vec<u8>) {
        put_signed(self.ahead_millis(), to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let ahead = moment(from.signed()?)?;
        Ok(Self::ahead_by(ahead.millis()))
    }
}

impl Wire for Labels {
    fn put(&self, to: &mut Vec<u8>) {
        self.len().put(to);
        for (name, value) in self {
            super::wire::put_text(name, to);
            super::wire::put_text(value, to);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let count = from.count()?;
        let pairs = (0..count).map(|_| Ok((take_text(from)?, take_text(from)?)));
        Ok(Self::new(pairs.collect::<Result<Vec<_>, Malformed>>()?))
    }
}

macro_rules! names {
    ($($name:ident),+) => { $(
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                self.0.put(to);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
                Wire::take(from).map(Self)
            }
        }
    )+ };
}
names!(
    Slot,
    TargetId,
    RolloutId,
    DecisionId,
    DeliveryKey,
    IncidentId
);

spelled!(
    Severity,
    Action,
    Guard,
    Unit,
    Status,
    NoticeKind,
    Deed,
    Helped,
    PhaseOutcome,
    RolloutEnd
);

choice!(MetricKind {
    0 => Untyped,
    1 => Counter,
    2 => Gauge,
    3 => Histogram,
    4 => Summary,
});
record!(Metadata { name, kind, help });

record!(Rollout {
    id,
    service,
    environment,
    version,
    previous_version,
    started_at,
    seen_at,
    told,
    irreversible,
    baseline,
    turned_red,
    end,
    past,
    vetoed,
});
record!(Past { change, readings });
record!(Sight { at, seen });
choice!(Seen { 0 => Blind, 1 => Value(value), 2 => Series(series) });
record!(Said { at, by, reason });
record!(Audit {
    deed,
    said,
    subject,
    until
});
record!(Verification {
    decision,
    since,
    outcome
});
record!(PhaseRun {
    phase,
    from,
    entered_at,
    end
});
record!(Decision {
    id,
    at,
    action,
    asked,
    refused_by,
    guards,
    trigger,
    rollout,
    phase,
    severity,
    signal,
    value,
    unit,
    condition,
    expr,
    held_for,
    reason,
});
record!(GuardAnswer {
    guard,
    passed,
    note
});
record!(Notice {
    kind,
    at,
    decision,
    rollout,
    service,
    environment,
    labels,
    expires_at,
    external_url,
    incident,
    report,
});
record!(NoticeReport {
    kind,
    date,
    status,
    title,
    markdown,
    html
});
record!(NoticeIncident {
    id,
    sequence,
    level,
    role,
    acknowledged_by
});
record!(Delivery {
    key,
    decision,
    rollout,
    incident,
    receiver,
    kind,
    created_at,
    attempts,
    last_error,
    state,
    log,
});
record!(AttemptLine {
    attempt,
    at,
    outcome
});
choice!(DeliveryState {
    0 => Owed { next },
    1 => UnderWay { since },
    2 => Unconfirmed { until, status },
    3 => Held { at, why },
    4 => Delivered { at, status },
    5 => Cancelled { at, why },
    6 => GivenUp { at, why },
});

record!(Incident {
    id,
    rollout,
    signal,
    severity,
    opened_at,
    since,
    rounds,
    reason,
    decisions,
    causes,
    reached,
    called_at,
    repeats,
    hooks,
    acknowledged,
    resolved,
    breached_at,
});
record!(Acknowledgement { at, by, note });
choice!(Cause {
    0 => Trigger { name, series },
    1 => Alert { labels },
    2 => Blind { signal },
    3 => Verification,
    4 => Unseen { what },
});

record!(Observation {
    labels,
    value,
    at,
    until,
    by
});
record!(Attestation {
    item,
    at,
    by,
    note,
    done
});
record!(Minute { at, values });

/// Times and values apart: a minute follows the other, and the values are what they are.
impl Wire for Minutes {
    fn put(&self, to: &mut Vec<u8>) {
        let Self {
            signal,
            since,
            until,
            values,
        } = self;
        signal.put(to);
        since.put(to);
        until.put(to);
        values.len().put(to);
        let mut before = 0;
        for (at, _) in values {
            put_signed(at.millis().wrapping_sub(before), to);
            before = at.millis();
        }
        for (_, value) in values {
            value.put(to);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (signal, since, until) = (Wire::take(from)?, Wire::take(from)?, Wire::take(from)?);
        let count = from.count()?;
        let mut before: i64 = 0;
        let times = (0..count).map(|_| {
            before = before.wrapping_add(from.signed()?);
            moment(before)
        });
        let times = times.collect::<Result<Vec<_>, _>>()?;
        let values = times.into_iter().map(|at| Ok((at, f64::take(from)?)));
        Ok(Self {
            signal,
            since,
            until,
            values: values.collect::<Result<_, Malformed>>()?,
        })
    }
}

record!(RestoredTrigger {
    name,
    series,
    condition,
    rollout,
    active_at,
    fired_at
});
record!(RestoredAlert {
    file,
    group,
    rule,
    labels,
    active_at,
    since,
    seen_at
});
record!(RestoredGroup {
    file,
    group,
    seen_at
});
choice!(Record {
    0 => Rollout(it),
    1 => Decision(it),
    2 => Owed(delivery, notice),
    3 => Delivery(it),
    4 => Incident(it),
    5 => Trigger(it),
    6 => Alert(it),
    7 => AlertGone(it),
    8 => AlertsSeen(it),
    9 => Audit(it),
    10 => PhaseRun(it),
    11 => Observation(it),
    12 => Attestation(it),
    13 => Minute(it),
    14 => Verification(it),
    15 => TriggerGone { name, series },
});
