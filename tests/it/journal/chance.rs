//! Inputs of every kind from a seed: all variants, all fields, values of every sort.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gated::engine::{
    Announce, Announcement, Attempted, Call, Columns, Contact, Input, Observed, Record, ReportPlan,
    Reported, RestoredAlert, RestoredGroup, RestoredTrigger, Scrape, ScrapeError, ScrapeFault,
    Settings, TargetInfo, ToldRollout, UnknownPast, Word,
};
use gated::incident::QuietHours;
use gated::model::calendar::TimeOfDay;
use gated::model::{
    Acknowledgement, Action, AttemptLine, Attestation, Audit, Cause, Decision, DecisionId, Deed,
    Delivery, DeliveryKey, DeliveryState, Guard, GuardAnswer, Helped, Incident, IncidentId, Labels,
    Metadata, MetricKind, Minute, Minutes, Notice, NoticeIncident, NoticeKind, NoticeReport,
    Observation, Past, PhaseOutcome, PhaseRun, Rollout, RolloutEnd, RolloutId, STALE, Said, Seen,
    Severity, Sight, Slot, Status, TargetId, Timestamp, Unit, Verification, WallClock,
};
use gated::report::Kind;
use jiff::civil::Weekday;

use crate::storm::Dice;
use crate::world;

pub struct Chance(pub Dice);

/// Kinds of inputs: each comes from [`Chance::input_of`].
pub const KINDS: usize = 11;

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(Dice::new(seed))
    }

    fn flag(&mut self) -> bool {
        self.0.one_in(2)
    }

    fn small(&mut self) -> usize {
        self.0.below(4)
    }

    fn number(&mut self) -> u32 {
        *self.0.pick(&[0, 1, 2, 127, 128, 100_000, u32::MAX])
    }

    fn text(&mut self) -> String {
        (*self.0.pick(&[
            "",
            "a",
            "api",
            "ü\n\"quoted\"\u{0}",
            "a sentence of many words",
        ]))
        .into()
    }

    fn word<T: Copy>(&mut self, all: &[T]) -> T {
        *self.0.pick(all)
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    fn some<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.small()).map(|_| make(self)).collect()
    }

    fn at(&mut self) -> Timestamp {
        let at = self.0.between(-1_000_000, 1_000_000) + world::START;
        *self.0.pick(&[
            Timestamp::from_millis(at),
            Timestamp::EPOCH,
            Timestamp::MAX,
            Timestamp::from_millis(i64::MIN),
        ])
    }

    fn time(&mut self) -> Duration {
        *self.0.pick(&[
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1500),
            Duration::from_secs(86_400),
            Duration::MAX,
        ])
    }

    pub fn value(&mut self) -> f64 {
        let bits = self.0.between(0, i64::MAX).cast_unsigned();
        let bits = bits << 1 | u64::from(self.flag());
        let near = self.0.between(-2000, 2000);
        *self.0.pick(&[
            0.0,
            -0.0,
            1.0,
            near as f64,
            near as f64 / 100.0,
            STALE,
            f64::NAN,
            f64::INFINITY,
            f64::from_bits(bits),
        ])
    }

    fn labels(&mut self) -> Labels {
        let count = self.small();
        let pairs = (0..count).map(|place| (format!("label{place}"), self.text()));
        Labels::new(pairs.collect::<Vec<_>>())
    }

    fn rollout_id(&mut self) -> RolloutId {
        RolloutId(self.text())
    }

    fn decision_id(&mut self) -> DecisionId {
        DecisionId(self.text())
    }

    fn key(&mut self) -> DeliveryKey {
        DeliveryKey(self.text())
    }

    fn incident_id(&mut self) -> IncidentId {
        IncidentId(self.text())
    }

    pub fn input_of(&mut self, kind: usize) -> Input {
        match kind {
            0 => Input::Target(self.target()),
            1 => Input::TargetGone(TargetId(self.number())),
            2 => Input::Scraped(self.scrape()),
            3 => Input::Operator {
                token: self.0.between(0, i64::MAX).cast_unsigned(),
                call: self.call(),
            },
            4 => Input::Attempted {
                key: self.key(),
                outcome: self.attempted(),
            },
            5 => Input::CommitFailed {
                records: self.some(Self::record),
                reason: self.text(),
            },
            6 => Input::Reported(Reported {
                kind: self.word(Kind::ALL),
                date: "2026-12-01".parse().unwrap(),
                outcome: if self.flag() {
                    Ok(self.report())
                } else {
                    Err(self.text())
                },
                unkept: self.maybe(Self::text),
            }),
            7 => Input::Slept { until: self.at() },
            8 => Input::ClockSet(WallClock::ahead_by(self.0.between(-90_000, 90_000))),
            9 => Input::Reload(Arc::new(self.settings())),
            _ => Input::Recalled(self.some(Self::minutes)),
        }
    }

    fn target(&mut self) -> TargetInfo {
        TargetInfo {
            id: TargetId(self.number()),
            job: self.text(),
            instance: self.text(),
            url: self.text(),
            labels: self.labels(),
            interval: Duration::from_millis(1 + u64::from(self.number())),
            timeout: self.time(),
        }
    }

    fn scrape(&mut self) -> Scrape {
        Scrape {
            target: TargetId(self.0.below(2) as u32),
            at: Timestamp::from_millis(world::START + self.0.between(-5000, 5000)),
            duration: self.time(),
            outcome: if self.0.one_in(4) {
                Err(ScrapeError {
                    fault: self.word(&ScrapeFault::ALL),
                    text: self.text(),
                })
            } else {
                Ok(self.page())
            },
        }
    }

    fn page(&mut self) -> Columns {
        let slots = self.0.below(30);
        let values: Vec<f64> = (0..slots).map(|_| self.value()).collect();
        let slot = |it: &mut Self| Slot(it.0.below(slots.max(1)) as u32);
        let on_page = |it: &mut Self, slots: usize| if slots == 0 { 0 } else { it.small() };
        Columns {
            born: (0..on_page(self, slots))
                .map(|_| (slot(self), self.labels()))
                .collect(),
            gone: self.some(slot),
            stamped: (0..on_page(self, slots))
                .map(|_| (slot(self), self.at()))
                .collect(),
            values,
            samples_scraped: self.number(),
            samples_kept: self.number(),
            series_added: self.number(),
            metadata: self.maybe(|it| {
                let all = it.some(|it| Metadata {
                    name: it.text(),
                    kind: it.word(&[
                        MetricKind::Counter,
                        MetricKind::Gauge,
                        MetricKind::Histogram,
                        MetricKind::Summary,
                        MetricKind::Untyped,
                    ]),
                    help: it.text(),
                });
                all.into()
            }),
            note: self.maybe(|it| it.text().into()),
            notes: self.some(Self::text),
        }
    }

    fn said(&mut self) -> Word {
        Word {
            by: self.text(),
            reason: self.text(),
        }
    }

    fn call(&mut self) -> Call {
        match self.0.below(10) {
            0 => Call::StartRollout {
                id: self.maybe(Self::rollout_id),
                version: self.text(),
                previous_version: self.maybe(Self::text),
                started_at: self.maybe(Self::at),
                irreversible: self.flag(),
            },
            1 => Call::FinishRollout(self.rollout_id()),
            2 => Call::Observe {
                values: self.some(|it| Observed {
                    labels: it.labels(),
                    value: it.value(),
                }),
                lifetime: self.time(),
                by: self.text(),
            },
            3 => Call::Attest {
                item: self.text(),
                said: self.said(),
                done: self.flag(),
            },
            4 => Call::Announce(Announce {
                by: self.text(),
                look: self.flag(),
                forced: self.flag(),
            }),
            5 => Call::Acknowledge {
                incident: self.incident_id(),
                by: self.text(),
                note: self.maybe(Self::text),
            },
            6 => Call::Freeze {
                said: self.said(),
                hold: self.time(),
            },
            7 => Call::Thaw(self.said()),
            8 => Call::Veto {
                decision: self.decision_id(),
                said: self.said(),
            },
            _ => Call::Settle {
                delivery: self.key(),
                arrived: self.flag(),
                said: self.said(),
            },
        }
    }

    fn attempted(&mut self) -> Attempted {
        match self.0.below(4) {
            0 => Attempted::Answered {
                status: 503,
                retry_after: self.maybe(Self::time),
            },
            1 => Attempted::Replied {
                code: 451,
                text: self.text(),
            },
            2 => Attempted::NoAnswer {
                reason: self.text(),
                reached: self.flag(),
            },
            _ => Attempted::Ran {
                code: self.word(&[0, 1, -9, i32::MIN]),
                output: self.text(),
            },
        }
    }

    fn record(&mut self) -> Record {
        match self.0.below(16) {
            0 => Record::Rollout(self.rollout()),
            1 => Record::Decision(Box::new(self.decision())),
            2 => Record::Owed(Box::new(self.delivery()), Box::new(self.notice())),
            3 => Record::Delivery(Box::new(self.delivery())),
            4 => Record::Incident(Box::new(self.incident())),
            5 => Record::Trigger(RestoredTrigger {
                name: self.text(),
                series: self.text(),
                condition: self.text(),
                rollout: self.maybe(Self::text),
                active_at: self.at(),
                fired_at: self.at(),
            }),
            6 => Record::Alert(self.alert()),
            7 => Record::AlertGone(self.alert()),
            8 => Record::AlertsSeen(RestoredGroup {
                file: self.text(),
                group: self.text(),
                seen_at: self.at(),
            }),
            9 => Record::Audit(Box::new(Audit {
                deed: self.word(Deed::ALL),
                said: self.spoken(),
                subject: self.text(),
                until: self.maybe(Self::at),
            })),
            10 => Record::PhaseRun(PhaseRun {
                phase: self.text(),
                from: self.at(),
                entered_at: self.maybe(Self::at),
                end: self.maybe(|it| (it.at(), it.word(PhaseOutcome::ALL))),
            }),
            11 => Record::Observation(Observation {
                labels: self.labels(),
                value: self.value(),
                at: self.at(),
                until: self.at(),
                by: self.text(),
            }),
            12 => Record::Attestation(Attestation {
                item: self.text(),
                at: self.at(),
                by: self.text(),
                note: self.maybe(Self::text),
                done: self.flag(),
            }),
            13 => Record::Minute(Minute {
                at: self.at(),
                values: self.some(|it| (it.text(), it.value())),
            }),
            14 => Record::Verification(Verification {
                decision: self.decision_id(),
                since: self.at(),
                outcome: self.maybe(|it| (it.at(), it.word(Helped::ALL))),
            }),
            _ => Record::TriggerGone {
                name: self.text(),
                series: self.text(),
            },
        }
    }

    fn alert(&mut self) -> RestoredAlert {
        RestoredAlert {
            file: self.text(),
            group: self.text(),
            rule: self.text(),
            labels: self.text(),
            active_at: self.at(),
            since: self.at(),
            seen_at: self.at(),
        }
    }

    fn spoken(&mut self) -> Said {
        Said {
            at: self.at(),
            by: self.text(),
            reason: self.text(),
        }
    }

    fn rollout(&mut self) -> Rollout {
        Rollout {
            id: self.rollout_id(),
            service: self.text(),
            environment: self.text(),
            version: self.text(),
            previous_version: self.maybe(Self::text),
            started_at: self.at(),
            seen_at: self.at(),
            told: self.flag(),
            irreversible: self.flag(),
            baseline: self.pairs(Self::value),
            turned_red: self.flag(),
            end: self.maybe(|it| (it.at(), it.word(RolloutEnd::ALL))),
            past: Arc::new(Past {
                change: self.at(),
                readings: self.pairs(|it| {
                    it.some(|it| Sight {
                        at: it.at(),
                        seen: match it.0.below(3) {
                            0 => Seen::Blind,
                            1 => Seen::Value(it.value()),
                            _ => Seen::Series(it.some(|it| (it.text(), it.value()))),
                        },
                    })
                }),
            }),
            vetoed: self.maybe(Self::spoken),
        }
    }

    fn pairs<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> BTreeMap<String, T> {
        (0..self.small())
            .map(|place| (format!("name{place}"), make(self)))
            .collect()
    }

    fn decision(&mut self) -> Decision {
        Decision {
            id: self.decision_id(),
            at: self.at(),
            action: self.word(Action::ALL),
            asked: self.word(Action::ALL),
            refused_by: self.maybe(|it| it.word(Guard::ALL)),
            guards: self.some(|it| GuardAnswer {
                guard: it.word(Guard::ALL),
                passed: it.flag(),
                note: it.text(),
            }),
            trigger: self.text(),
            rollout: self.maybe(Self::rollout_id),
            phase: self.text(),
            severity: self.word(Severity::ALL),
            signal: self.maybe(Self::text),
            value: self.maybe(Self::value),
            unit: self.word(Unit::ALL),
            condition: self.text(),
            expr: self.text(),
            held_for: self.time(),
            reason: self.text(),
        }
    }

    fn delivery(&mut self) -> Delivery {
        Delivery {
            key: self.key(),
            decision: self.decision_id(),
            rollout: self.maybe(Self::rollout_id),
            incident: self.maybe(Self::incident_id),
            receiver: self.text(),
            kind: self.word(NoticeKind::ALL),
            created_at: self.at(),
            attempts: self.number(),
            last_error: self.maybe(Self::text),
            state: self.state(),
            log: self.some(|it| AttemptLine {
                attempt: it.number(),
                at: it.at(),
                outcome: it.text(),
            }),
        }
    }

    fn state(&mut self) -> DeliveryState {
        let (at, why) = (self.at(), self.text());
        match self.0.below(7) {
            0 => DeliveryState::Owed { next: at },
            1 => DeliveryState::UnderWay { since: at },
            2 => DeliveryState::Unconfirmed {
                until: at,
                status: 202,
            },
            3 => DeliveryState::Held { at, why },
            4 => DeliveryState::Delivered { at, status: 200 },
            5 => DeliveryState::Cancelled { at, why },
            _ => DeliveryState::GivenUp { at, why },
        }
    }

    fn notice(&mut self) -> Notice {
        Notice {
            kind: self.word(NoticeKind::ALL),
            at: self.at(),
            decision: self.decision(),
            rollout: self.maybe(Self::rollout),
            service: self.text(),
            environment: self.text(),
            labels: self.pairs(Self::text),
            expires_at: self.maybe(Self::at),
            external_url: self.maybe(Self::text),
            incident: self.maybe(|it| NoticeIncident {
                id: it.incident_id(),
                sequence: it.small(),
                level: it.maybe(Self::number),
                role: it.maybe(Self::text),
                acknowledged_by: it.maybe(Self::text),
            }),
            report: self.maybe(|it| Arc::new(it.report())),
        }
    }

    fn report(&mut self) -> NoticeReport {
        NoticeReport {
            kind: self.text(),
            date: self.text(),
            status: self.word(Status::ALL),
            title: self.text(),
            markdown: self.text(),
            html: self.text(),
        }
    }

    fn incident(&mut self) -> Incident {
        Incident {
            id: self.incident_id(),
            rollout: self.maybe(Self::rollout_id),
            signal: self.text(),
            severity: self.word(Severity::ALL),
            opened_at: self.at(),
            since: self.at(),
            rounds: self.number(),
            reason: self.text(),
            decisions: self.some(Self::decision_id),
            causes: self.some(Self::cause).into_iter().collect(),
            reached: self.number(),
            called_at: self.maybe(Self::at),
            repeats: self.number(),
            hooks: self.some(Self::text).into_iter().collect::<BTreeSet<_>>(),
            acknowledged: self.maybe(|it| Acknowledgement {
                at: it.at(),
                by: it.text(),
                note: it.maybe(Self::text),
            }),
            resolved: self.maybe(|it| (it.at(), it.text())),
            breached_at: self.maybe(Self::at),
        }
    }

    fn cause(&mut self) -> Cause {
        match self.0.below(5) {
            0 => Cause::Trigger {
                name: self.text(),
                series: self.text(),
            },
            1 => Cause::Alert {
                labels: self.text(),
            },
            2 => Cause::Blind {
                signal: self.text(),
            },
            3 => Cause::Verification,
            _ => Cause::Unseen { what: self.text() },
        }
    }

    fn minutes(&mut self) -> Minutes {
        Minutes {
            signal: self.text(),
            since: self.at(),
            until: self.at(),
            values: self.some(|it| (it.at(), it.value())),
        }
    }

    /// Settings with everything in them.
    pub fn settings(&mut self) -> Settings {
        let mut settings = world::settings(world::RULES);
        settings.environment = self.text();
        settings.labels = self.pairs(Self::text);
        settings.judging.settle = self.time();
        settings.judging.coverage = 0.25;
        settings.rollback.hook = self.maybe(Self::text);
        settings.rollback.veto = self.time();
        settings.rollback.max_per_day = self.small();
        settings.rollback.predates.unknown =
            self.maybe(|it| it.word(&[UnknownPast::Allow, UnknownPast::Refuse]));
        settings.rollout.told = self.maybe(|it| ToldRollout {
            version: it.text(),
            previous_version: it.maybe(Self::text),
            started_at: it.maybe(Self::at),
        });
        settings.rollout.go_live = self.maybe(Self::at);
        settings.receivers[0].events = self.some(|it| it.word(NoticeKind::ALL));
        settings.receivers[0].confirm_within = self.maybe(Self::time);
        settings.people.contacts = self.pairs(|it| Contact {
            name: it.maybe(Self::text),
            phone: it.maybe(Self::text),
            email: it.maybe(Self::text),
            backup: it.maybe(Self::text),
        });
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        let path = settings.people.paths.of_mut(Severity::P3);
        path.quiet = QuietHours::new("22:00", "07:30", berlin.clone());
        path.repeat = self.maybe(Self::time);
        settings.announcement = self.maybe(|it| Announcement {
            hooks: it.some(Self::text),
            text: it.text(),
            blanks: it.some(Self::text),
        });
        settings.alerting = settings.alerting.filter(|_| self.flag());
        let days = self.some(|it| it.word(&[Weekday::Monday, Weekday::Friday, Weekday::Sunday]));
        settings.reports = vec![ReportPlan {
            kind: self.word(Kind::ALL),
            due: TimeOfDay::new("20:05", days).unwrap(),
            hooks: self.some(Self::text),
        }];
        settings.zone = berlin;
        settings.external_url = self.maybe(Self::text);
        settings.retain = self.maybe(Self::time);
        settings.alerts_repeat = self.time();
        settings.preview = self.maybe(Self::text);
        settings
    }
}
