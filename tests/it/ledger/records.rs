//! Any records that are written come back as they were.

use super::*;

prop_compose! {
    fn times()(millis in prop_oneof![
        0..4_000_000_000_000_i64,
        // Before 1970, before year 0, and what no calendar has.
        Just(-1), Just(-70_000_000_000_000), Just(i64::MAX), Just(i64::MIN),
    ]) -> Timestamp {
        Timestamp::from_millis(millis)
    }
}

/// Few, so that records meet; odd, so that nothing is lost on the way.
fn names() -> impl Strategy<Value = String> {
    select(vec![
        "",
        "a",
        "b",
        "'; DROP TABLE decisions; --",
        "größe\n\u{0}\"\\",
    ])
    .prop_map(String::from)
}

fn floats() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn maybe<T: Strategy>(some: T) -> impl Strategy<Value = Option<T::Value>>
where
    T::Value: Clone,
{
    proptest::option::of(some)
}

prop_compose! {
    fn rollouts()(
        id in names(), texts in [names(), names(), names()], previous_version in maybe(names()),
        at in [times(), times(), times()], flags: [bool; 3],
        baseline in proptest::collection::btree_map(names(), floats(), 0..3),
        end in maybe(select(RolloutEnd::ALL)), past in pasts(), vetoed in maybe(said()),
    ) -> Record {
        let [service, environment, version] = texts;
        let [started_at, seen_at, ended_at] = at;
        let [told, irreversible, turned_red] = flags;
        Record::Rollout(Rollout {
            id: RolloutId(id), service, environment, version, previous_version, started_at, seen_at,
            told, irreversible, baseline, turned_red, end: end.map(|end| (ended_at, end)),
            past: Arc::new(past), vetoed,
        })
    }
}

prop_compose! {
    fn said()(at in times(), by in names(), reason in names()) -> Said { Said { at, by, reason } }
}

fn sight() -> impl Strategy<Value = Seen> {
    let finite = any::<i32>().prop_map(f64::from);
    prop_oneof![
        Just(Seen::Blind),
        finite.prop_map(Seen::Value),
        proptest::collection::vec((names(), 0.0..9.0), 0..3).prop_map(Seen::Series),
    ]
}

prop_compose! {
    fn pasts()(
        change in times(),
        readings in proptest::collection::btree_map(names(),
            proptest::collection::vec((times(), sight()), 0..4), 0..3),
    ) -> Past {
        let sights = |it: Vec<(Timestamp, Seen)>| it.into_iter().map(|(at, seen)| Sight { at, seen }).collect();
        Past { change, readings: readings.into_iter().map(|(name, it)| (name, sights(it))).collect() }
    }
}

prop_compose! {
    fn words()(
        said in said(), deed in select(Deed::ALL), subject in names(), until in maybe(times()),
        helped in maybe((times(), select(Helped::ALL))), since in times(), audits: bool,
    ) -> Record {
        if audits { return Record::Audit(Box::new(Audit { deed, said, subject, until })) }
        Record::Verification(Verification { decision: DecisionId(subject), since, outcome: helped })
    }
}

prop_compose! {
    fn decisions()(
        texts in [names(), names(), names(), names(), names(), names()], at in times(),
        actions in [select(Action::ALL), select(Action::ALL)], refused_by in maybe(select(Guard::ALL)),
        guards in proptest::collection::vec((select(Guard::ALL), any::<bool>(), names()), 0..4),
        rollout in maybe(names()), severity in select(Severity::ALL), unit in select(Unit::ALL),
        signal in maybe(names()), value in maybe(floats()), held_ms in 0..1_000_000_000_000_u64,
    ) -> Record {
        let [id, trigger, phase, condition, expr, reason] = texts;
        let [action, asked] = actions;
        Record::Decision(Box::new(Decision {
            id: DecisionId(id), at, action, asked, refused_by,
            guards: guards.into_iter()
                .map(|(guard, passed, note)| GuardAnswer { guard, passed, note }).collect(),
            trigger, rollout: rollout.map(RolloutId), phase, severity, signal, value, unit,
            condition, expr, held_for: Duration::from_millis(held_ms), reason,
        }))
    }
}

fn states() -> impl Strategy<Value = DeliveryState> {
    prop_oneof![
        times().prop_map(|next| DeliveryState::Owed { next }),
        times().prop_map(|since| DeliveryState::UnderWay { since }),
        (times(), any::<u16>())
            .prop_map(|(until, status)| DeliveryState::Unconfirmed { until, status }),
        (times(), names()).prop_map(|(at, why)| DeliveryState::Held { at, why }),
        (times(), any::<u16>()).prop_map(|(at, status)| DeliveryState::Delivered { at, status }),
        (times(), names()).prop_map(|(at, why)| DeliveryState::Cancelled { at, why }),
        (times(), names()).prop_map(|(at, why)| DeliveryState::GivenUp { at, why }),
    ]
}

prop_compose! {
    fn deliveries()(
        texts in [names(), names(), names()], rollout in maybe(names()), created_at in times(),
        kind in select(NoticeKind::ALL), attempts: u32, last_error in maybe(names()), state in states(),
        log in proptest::collection::vec((any::<u32>(), times(), names()), 0..3),
        incident in maybe(names()), owed: bool,
    ) -> Record {
        let [key, decided, receiver] = texts;
        let it = Box::new(Delivery {
            key: DeliveryKey(key), decision: DecisionId(decided), rollout: rollout.map(RolloutId),
            incident: incident.map(IncidentId), receiver, kind, created_at, attempts, last_error, state,
            log: log.into_iter()
                .map(|(attempt, at, outcome)| AttemptLine { attempt, at, outcome }).collect(),
        });
        if owed { Record::Owed(it, Box::new(notice(decision("dec_1")))) } else { Record::Delivery(it) }
    }
}

prop_compose! {
    fn triggers()(
        name in names(), series in names(), condition in names(), rollout in maybe(names()),
        at in [times(), times()], gone: bool,
    ) -> Record {
        let [active_at, fired_at] = at;
        if gone { return Record::TriggerGone { name, series } }
        Record::Trigger(RestoredTrigger { name, series, condition, rollout, active_at, fired_at })
    }
}

prop_compose! {
    fn alerts()(
        texts in [names(), names(), names(), names()], at in [times(), times(), times()], gone: bool,
    ) -> Record {
        let ([file, group, rule, labels], [active_at, since, seen_at]) = (texts, at);
        let it = RestoredAlert { file, group, rule, labels, active_at, since, seen_at };
        if gone { Record::AlertGone(it) } else { Record::Alert(it) }
    }
}

prop_compose! {
    fn seen()(texts in [names(), names()], seen_at in times()) -> Record {
        let [file, group] = texts;
        Record::AlertsSeen(RestoredGroup { file, group, seen_at })
    }
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![
        (names(), names()).prop_map(|(name, series)| Cause::Trigger { name, series }),
        names().prop_map(|labels| Cause::Alert { labels }),
        names().prop_map(|signal| Cause::Blind { signal }),
        Just(Cause::Verification),
        names().prop_map(|what| Cause::Unseen { what }),
    ]
}

prop_compose! {
    fn incidents()(
        texts in [names(), names(), names()], rollout in maybe(names()), at in [times(), times()],
        severity in select(Severity::ALL), counts: [u32; 3], called_at in maybe(times()),
        decisions in proptest::collection::vec(names(), 1..3),
        causes in proptest::collection::btree_set(causes(), 0..3),
        hooks in proptest::collection::btree_set(names(), 0..3),
        taken in maybe((times(), names(), maybe(names()))), resolved in maybe((times(), names())),
        breached_at in maybe(times()),
    ) -> Record {
        let ([id, signal, reason], [opened_at, since], [rounds, reached, repeats]) = (texts, at, counts);
        Record::Incident(Box::new(Incident {
            id: IncidentId(id), rollout: rollout.map(RolloutId), signal, severity, opened_at, since, rounds,
            reason, decisions: decisions.into_iter().map(DecisionId).collect(), causes, reached, called_at,
            repeats, hooks, acknowledged: taken.map(|(at, by, note)| Acknowledgement { at, by, note }),
            resolved, breached_at,
        }))
    }
}

prop_compose! {
    fn phase_runs()(
        phase in names(), from in times(), entered_at in maybe(times()),
        end in maybe((times(), select(PhaseOutcome::ALL))),
    ) -> Record {
        Record::PhaseRun(PhaseRun { phase, from, entered_at, end })
    }
}

prop_compose! {
    fn minutes()(second in 1..4_000_000_000_i64, values in proptest::collection::vec((names(), floats()), 1..4))
    -> Record {
        Record::Minute(Minute { at: Timestamp::from_millis(second * 1000), values })
    }
}

prop_compose! {
    fn told()(
        texts in [names(), names()], note in maybe(names()), value in floats(), at in [times(), times()], done: bool,
        observed: bool,
    ) -> Record {
        let ([item, by], [at, until]) = (texts, at);
        if observed {
            let labels = Labels::new([("__name__", "tickets"), ("queue", item.as_str())]);
            return Record::Observation(Observation { labels, value, at, until, by });
        }
        Record::Attestation(Attestation { item, at, by, note, done })
    }
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let any_record = prop_oneof![
        rollouts().boxed(),
        decisions().boxed(),
        deliveries().boxed(),
        triggers().boxed(),
        words().boxed(),
        alerts().boxed(),
        seen().boxed(),
        incidents().boxed(),
        phase_runs().boxed(),
        minutes().boxed(),
        told().boxed(),
    ];
    proptest::collection::vec(any_record, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What was committed is what a restart remembers, to the bit, and what a reader sees meanwhile.
    #[test]
    fn commits_come_back_as_they_were(commits in proptest::collection::vec(records(), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let mut memory = Restored::default();
        let (mut ledger, _) = open(&path);
        for commit in commits {
            // Nothing is owed without a decision.
            let decided = commit.into_iter().flat_map(|record| {
                let of = match &record {
                    Record::Owed(it, _) => Some(Record::Decision(Box::new(decision(it.decision.as_str())))),
                    _ => None,
                };
                of.into_iter().chain([record])
            });
            let commit: Vec<Record> = decided.collect();
            let mut after = memory.clone();
            for record in &commit {
                remember(&mut after, record.clone());
            }
            // A change of a delivery that was never owed fails the commit whole.
            let mut owed: BTreeSet<&DeliveryKey> = memory.deliveries.iter().map(|it| &it.key).collect();
            let sound = commit.iter().all(|record| match record {
                Record::Owed(it, _) => { owed.insert(&it.key); true }
                Record::Delivery(it) => owed.contains(&it.key),
                Record::Rollout(_) | Record::Decision(_) | Record::Trigger(_) | Record::TriggerGone { .. }
                | Record::Audit(_) | Record::Verification(_) | Record::PhaseRun(_) | Record::Minute(_) | Record::Observation(_) | Record::Attestation(_) | Record::Incident(_)
                | Record::Alert(_) | Record::AlertGone(_) | Record::AlertsSeen(_) => true,
            });
            let outcome = ledger.commit(&commit, body);
            if sound {
                prop_assert!(outcome.is_ok(), "{outcome:?}");
                memory = after;
            } else {
                prop_assert!(matches!(outcome, Err(CommitError::NoSuchDelivery(_))), "{outcome:?}");
            }
        }
        assert_same(&read_all(&path), &memory);
        ledger.close().unwrap();
        assert_same(&read_all(&path), &memory);
        assert_same(&open(&path).1, &memory);
    }
}
