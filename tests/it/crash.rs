//! `kill -9` of the real binary: at random moments while a fault is present and the receiver fails half of the time,
//! and at the moments of FAULTS that can be told apart from outside. One decision, one id, at least one delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use gated::model::{Action, DeliveryState};
use gated::sink::ledger;

use crate::binary::{
    Exporter, House, Posted, RULES, Receiver, Said, config, eventually, send_signal, told,
};
use crate::fault_server::{Answer, FaultServer};

const HOUSES: usize = 25;
const KILLS_EACH: usize = 4;
/// Houses that are killed at the same time; they wait more than they work.
const AT_ONCE: usize = 5;

/// What a kill came upon.
#[derive(Default)]
struct Moments {
    /// Nothing was decided yet.
    before: usize,
    /// Decided, and no answer recorded.
    between: usize,
    /// Delivered.
    after: usize,
}

/// Small and seeded: which moments are tried is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[test]
fn killed_a_hundred_times_it_decides_once_and_delivers_under_one_id() {
    let mut all = Moments::default();
    let seeds: Vec<usize> = (0..HOUSES).collect();
    for some in seeds.chunks(AT_ONCE) {
        let running: Vec<_> = some
            .iter()
            .map(|seed| {
                let seed = *seed as u64;
                thread::spawn(move || one_house(seed))
            })
            .collect();
        for house in running {
            let moments = house.join().unwrap();
            all.before += moments.before;
            all.between += moments.between;
            all.after += moments.after;
        }
    }
    let Moments {
        before,
        between,
        after,
    } = all;
    println!(
        "kills before the decision {before}, between decision and answer {between}, after delivery {after}"
    );
    assert_eq!(before + between + after, HOUSES * KILLS_EACH);
    assert!(before >= 10, "only {before} kills came before the decision");
    assert!(
        between >= 10,
        "only {between} kills came between decision and answer"
    );
}

/// One ledger's life: some kills, then it may run until the rollback is delivered.
fn one_house(seed: u64) -> Moments {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(move |number, _| {
        let mut dice = Dice(seed * 1000 + number as u64);
        dice.roll(2);
        // Answers take a while, so that kills come upon requests that nobody has answered.
        thread::sleep(Duration::from_millis(dice.roll(200)));
        match dice.roll(4) {
            0 | 1 => Said::Status(200),
            2 => Said::Status(503),
            _ => Said::Nothing,
        }
    });
    let house = House::new(
        &config(&[&exporter.url()], &receiver.url(), &told("2")),
        RULES,
    );
    let mut dice = Dice(seed);
    dice.roll(2);
    let mut moments = Moments::default();
    for kill in 0..KILLS_EACH {
        let seen = receiver.posted().len();
        let mut daemon = house.spawn();
        // Half of the kills come at any moment, half soon after something was sent.
        if kill % 2 == 1 {
            for _ in 0..100 {
                if receiver.posted().len() > seen {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
            thread::sleep(Duration::from_millis(dice.roll(150)));
        } else {
            thread::sleep(Duration::from_millis(dice.roll(500)));
        }
        daemon.kill();
        drop(daemon);
        note(&house, &receiver, &mut moments);
    }
    let mut daemon = house.start();
    eventually("the delivery", || {
        let decisions = daemon.decisions();
        decisions
            .iter()
            .any(|it| it["deliveries"][0]["state"] == "delivered")
    });
    daemon.kill();
    let ledger = house.ledger();
    assert_eq!(ledger.decisions.len(), 1, "house {seed}");
    assert_eq!(ledger.decisions[0].action, Action::Rollback);
    assert_eq!(ledger.deliveries.len(), 1, "house {seed}");
    assert!(receiver.taken() >= 1, "house {seed}");
    one_id(&receiver.posted(), ledger.decisions[0].id.as_str());
    moments
}

/// Which moment the kill came upon. What is not recorded must not have been sent.
fn note(house: &House, receiver: &Receiver, moments: &mut Moments) {
    // A kill may come before there is a whole ledger; afterwards there always is one.
    let found = ledger::read(&house.database());
    let decided_before = moments.between + moments.after > 0;
    let ledger = match found {
        Ok(ledger) => ledger,
        Err(error) => {
            assert!(!decided_before, "the ledger is lost: {error}");
            gated::engine::Restored::default()
        }
    };
    match ledger.deliveries.first().map(|it| &it.state) {
        None => {
            assert!(
                !decided_before && ledger.decisions.is_empty(),
                "a decision is lost"
            );
            assert!(receiver.posted().is_empty(), "sent what was not recorded");
            moments.before += 1;
        }
        Some(DeliveryState::Owed { .. } | DeliveryState::UnderWay { .. }) => moments.between += 1,
        Some(DeliveryState::Delivered { .. }) => moments.after += 1,
        Some(other) => panic!("{other:?}"),
    }
    assert!(ledger.decisions.len() <= 1, "decided twice");
    assert_eq!(
        ledger.decisions.len(),
        ledger.deliveries.len(),
        "a decision and what it owes are one"
    );
}

/// All attempts are one delivery: one id, one key, one body.
fn one_id(posted: &[Posted], decision: &str) {
    assert!(!posted.is_empty());
    let first = &posted[0];
    assert!(first.id.starts_with("msg_"), "{first:?}");
    for it in posted {
        assert_eq!((&it.id, &it.body), (&first.id, &first.body));
        assert_eq!(it.key, decision);
    }
}

/// The request was written and gated dies before it reads the answer.
#[test]
fn k7_killed_with_the_request_under_way_it_sends_the_same_again() {
    let exporter = Exporter::start(true);
    let process = Arc::new(AtomicU32::new(0));
    let victim = Arc::clone(&process);
    let receiver = Receiver::start(move |number, _| {
        if number > 0 {
            return Said::Status(200);
        }
        eventually("the id of the process", || {
            victim.load(Ordering::SeqCst) > 0
        });
        send_signal(victim.load(Ordering::SeqCst), "KILL");
        Said::Status(200)
    });
    let house = House::new(
        &config(&[&exporter.url()], &receiver.url(), &told("2")),
        RULES,
    );
    let mut daemon = house.start();
    process.store(daemon.id(), Ordering::SeqCst);
    assert!(!daemon.ended().success());
    let dead = house.ledger();
    assert_eq!(dead.decisions.len(), 1);
    assert!(matches!(
        dead.deliveries[0].state,
        DeliveryState::UnderWay { .. }
    ));
    let daemon = house.start();
    eventually("the delivery", || {
        daemon.decisions()[0]["deliveries"][0]["state"] == "delivered"
    });
    assert_eq!(receiver.posted().len(), 2);
    one_id(&receiver.posted(), dead.decisions[0].id.as_str());
    assert_eq!(daemon.decisions()[0]["deliveries"][0]["attempts"], 2);
}

/// The ledger as a kill leaves it: nothing attempted yet, an attempt noted whose request never left or whose 200 was
/// never recorded. What is owed goes out before the first scrape, under its old id.
#[test]
fn k5_k6_k8_what_is_owed_goes_out_at_the_start_and_before_the_first_scrape() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let rollout = told("2");
    let house = House::new(
        &config(&[&exporter.url()], &receiver.url(), &rollout),
        RULES,
    );
    let mut daemon = house.start();
    eventually("the delivery", || {
        daemon
            .decisions()
            .iter()
            .any(|it| it["deliveries"][0]["state"] == "delivered")
    });
    daemon.kill();
    let decision = house.ledger().decisions[0].id.clone();
    // From here on no scrape is ever answered.
    let silent = FaultServer::always(Answer::Hang);
    house.configure(&config(&[&silent.url()], &receiver.url(), &rollout));
    for (row, attempts) in [("K5", 0), ("K6", 1), ("K8", 1)] {
        let before = receiver.posted().len();
        let db = rusqlite::Connection::open(house.database()).unwrap();
        let owed = "UPDATE deliveries SET state = 'owed', attempts = ?1, next_at = created_at, \
                    settled_at = NULL, status = NULL";
        assert_eq!(db.execute(owed, [attempts]).unwrap(), 1, "{row}");
        drop(db);
        let mut daemon = house.start();
        eventually(row, || receiver.posted().len() > before);
        eventually(row, || {
            daemon.decisions()[0]["deliveries"][0]["state"] == "delivered"
        });
        let decisions = daemon.decisions();
        assert_eq!(decisions.len(), 1, "{row}");
        assert_eq!(
            decisions[0]["deliveries"][0]["attempts"],
            attempts + 1,
            "{row}"
        );
        assert_eq!(receiver.posted().len(), before + 1, "{row}");
        daemon.kill();
    }
    one_id(&receiver.posted(), decision.as_str());
}

/// Killed before anything was decided, again and again: nothing is sent, and a fault that has gone is not decided upon.
#[test]
fn k1_k2_what_was_pending_is_judged_afresh_after_a_kill() {
    let exporter = Exporter::start(true);
    let receiver = Receiver::start(|_, _| Said::Status(200));
    let rules = RULES.replace("for = \"200ms\"", "for = \"1h\"");
    let house = House::new(
        &config(&[&exporter.url()], &receiver.url(), &told("2")),
        &rules,
    );
    for _ in 0..3 {
        let mut daemon = house.start();
        eventually("pending", || {
            let verdict = daemon.verdict();
            let checks = verdict["checks"].as_array().unwrap();
            checks.iter().any(|it| it["outcome"] == "pending")
        });
        daemon.kill();
        assert!(house.ledger().decisions.is_empty());
    }
    exporter.set(false);
    house.rule(RULES);
    let daemon = house.start();
    daemon.wait_for("green");
    assert!(daemon.decisions().is_empty());
    assert!(receiver.posted().is_empty());
}
