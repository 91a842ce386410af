//! Settings and what the ledger remembers, as bytes. Rules are written as the texts that they were read from, and read again.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::wire::{Bytes, Malformed, UTC, Wire, choice, put_text, record, take_text};
use crate::engine::{
    Alerting, Announcement, Contact, Judging, OnDoubt, People, PredatesPolicy, Receiver,
    ReportPlan, Restored, RollbackMode, RollbackPolicy, RolloutPolicy, Settings, ToldRollout,
    UnknownPast,
};
use crate::incident::{Level, Path, Paths, QuietHours};
use crate::model::calendar::TimeOfDay;
use crate::runbook::{Component, Rules, Source, Texts};

record!(Settings {
    service,
    environment,
    labels,
    rules,
    judging,
    rollback,
    rollout,
    receivers,
    people,
    announcement,
    alerting,
    reports,
    zone,
    external_url,
    retain,
    alerts_repeat,
    preview,
});

impl Wire for Rules {
    fn put(&self, to: &mut Vec<u8>) {
        self.texts.put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let texts = Texts::take(from)?;
        let lines = |faults: crate::runbook::Faults| faults.lines().join("; ");
        texts.load().map_err(|it| Malformed::Rules(lines(it)))
    }
}
record!(Texts {
    files,
    variables,
    components
});
record!(Source { path, text });
record!(Component { name, critical });

record!(Judging {
    settle,
    hold_for,
    blind_after,
    coverage
});
choice!(RollbackMode { 0 => Shadow, 1 => Armed });
record!(RollbackPolicy {
    mode,
    hook,
    give_up_after,
    cooldown,
    max_per_day,
    predates,
    verify_within,
    veto,
});
record!(PredatesPolicy {
    window,
    margin,
    unknown
});
choice!(UnknownPast { 0 => Allow, 1 => Refuse });
record!(RolloutPolicy {
    told,
    version_from,
    go_live,
    baseline
});
record!(ToldRollout {
    version,
    previous_version,
    started_at
});
record!(Receiver {
    name,
    give_up_after,
    events,
    on_doubt,
    confirm_within
});
choice!(OnDoubt { 0 => Resend, 1 => Hold });
record!(People { contacts, paths });
record!(Contact {
    name,
    phone,
    email,
    backup
});
record!(Paths { p1, p2, p3, p4 });
record!(Path {
    acknowledge_within,
    repeat,
    levels,
    quiet
});
record!(Level { role, hooks, after });
record!(Announcement {
    hooks,
    text,
    blanks
});

impl Wire for Alerting {
    fn put(&self, to: &mut Vec<u8>) {
        let Self { resend } = self;
        resend.put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let resend = Duration::take(from)?;
        if resend.is_zero() {
            return Err(Malformed::Order("alerts that are resent without a pause"));
        }
        Ok(Self { resend })
    }
}
record!(ReportPlan { kind, due, hooks });

/// By its name in the table of zones: a configuration names no other.
impl Wire for TimeZone {
    fn put(&self, to: &mut Vec<u8>) {
        let name = self.iana_name().unwrap_or(UTC);
        put_text(name, to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let name = take_text(from)?;
        from.zone(name)
    }
}

impl Wire for TimeOfDay {
    fn put(&self, to: &mut Vec<u8>) {
        let (time, days) = self.parts();
        format!("{:02}:{:02}", time.hour(), time.minute()).put(to);
        let days = days.iter().map(|it| i32::from(it.to_monday_one_offset()));
        days.collect::<Vec<i32>>().put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let time = take_text(from)?;
        let wrong = || Malformed::Word {
            what: "time of day",
            word: time.to_owned(),
        };
        let days = Vec::<i32>::take(from)?.into_iter().map(|it| {
            let day = i8::try_from(it).ok();
            day.and_then(|it| Weekday::from_monday_one_offset(it).ok())
        });
        let days = days.collect::<Option<_>>().ok_or_else(wrong)?;
        Self::new(time, days).ok_or_else(wrong)
    }
}

impl Wire for QuietHours {
    fn put(&self, to: &mut Vec<u8>) {
        let (from, until, zone, wall) = self.parts();
        for time in [from, until] {
            format!("{:02}:{:02}", time.hour(), time.minute()).put(to);
        }
        zone.put(to);
        wall.put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (begin, end) = (take_text(from)?, take_text(from)?);
        let (zone, wall) = (Wire::take(from)?, Wire::take(from)?);
        let hours = Self::new(begin, end, zone).ok_or_else(|| Malformed::Word {
            what: "quiet hours",
            word: format!("{begin}-{end}"),
        });
        let mut hours = hours?;
        hours.set_wall(wall);
        Ok(hours)
    }
}

record!(Restored {
    rollouts,
    decisions,
    deliveries,
    triggers,
    alerts,
    groups,
    audit,
    verifications,
    phase_runs,
    incidents,
    attestations,
    observations,
    minutes,
    held,
});
