//! What the 30-day report claims, and what a table calls met: only where nearly all of the minutes are known.

use crate::model::Severity;
use crate::report::compose;
use crate::report::facts::Comparison;
use crate::report::facts::Facts;
use crate::report::facts::Kind;
use crate::report::facts::Target;
use crate::report::sample;
use crate::report::sample::at;
use crate::report::sample::facts;
use crate::report::signals as s;

/// Thirty days.
const ALL: usize = 43_200;

fn text(facts: &Facts) -> String {
    compose(facts).expect("a fit period").markdown()
}

#[track_caller]
fn check(facts: &Facts, lines: &[&str]) {
    let text = text(facts);
    for line in lines {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
}

/// Says what `signal` reads in each minute since the go-live.
fn read(facts: &mut Facts, signal: &str, value: impl Fn(usize) -> Option<f64>) {
    let history = facts.signals.iter_mut().find(|it| it.name == signal);
    let minutes = (0..ALL).map(|minute| {
        let after = std::time::Duration::from_mins(minute as u64);
        (at(sample::LIVE) + after, value(minute))
    });
    history.expect("a signal").minutes = minutes.collect();
}

fn accuracy(text: &str, bound: f64, until: &str) -> Target {
    Target {
        during: Some((at(sample::LIVE), at(until))),
        ..sample::target(s::MODEL_ACCURACY, text, bound, Comparison::AtLeast)
    }
}

#[test]
fn one_known_minute_achieves_nothing() {
    let mut blind = facts(Kind::Hypercare);
    for signal in [s::UPTIME, s::USER_ADOPTION, s::MODEL_ACCURACY] {
        let value = sample::reading(signal, 0);
        read(&mut blind, signal, |it| (it == 0).then_some(value));
    }
    let unknown = "43,199 of 43,200 minutes unknown";
    check(
        &blind,
        &[
            &format!("1. Zero P1 incidents ([fill in: P1 incidents, {unknown}])"),
            &format!("2. 99.9%+ uptime achieved ([fill in: uptime, {unknown}])"),
            &format!("3. User adoption exceeded target ([fill in: adoption, {unknown}])"),
            &format!("4. Model accuracy maintained ([fill in: accuracy, {unknown}])"),
            &format!("&gt; 99%: not known, {unknown}"),
            &format!("&gt; 80%: not known, {unknown}"),
        ],
    );
    let json = compose(&blind).expect("a fit period").json();
    let signals = json["signals"].as_array().expect("signals");
    let uptime = signals.iter().find(|it| it["name"] == "uptime");
    assert!(uptime.expect("it")["targets"][0]["met"].is_null());
    blind.signals.clear();
    let line = "1. Zero P1 incidents ([fill in: P1 incidents, nothing was read])";
    check(&blind, &[line]);
}

/// 5 % of the minutes are 2160.
#[test]
fn a_twentieth_may_be_unknown() {
    for (unknown, lines) in [
        (
            2160,
            [
                "1. Zero P1 incidents\n",
                "2. 99.9%+ uptime achieved\n",
                "3. User adoption exceeded target (83%)\n",
                "4. Model accuracy maintained (94.2%)\n",
                "&gt; 99%: met",
            ],
        ),
        (
            2161,
            [
                "1. Zero P1 incidents ([",
                "2. 99.9%+ uptime achieved ([",
                "3. User adoption exceeded target ([",
                "4. Model accuracy maintained ([",
                "&gt; 99%: not known, 2,161 of",
            ],
        ),
    ] {
        let mut month = facts(Kind::Hypercare);
        for signal in [s::UPTIME, s::USER_ADOPTION, s::MODEL_ACCURACY] {
            let value = sample::reading(signal, 0);
            read(&mut month, signal, |it| (it >= unknown).then_some(value));
        }
        check(&month, &lines);
    }
}

#[test]
fn a_miss_that_was_seen_is_one_however_blind() {
    let mut bad = facts(Kind::Hypercare);
    for (signal, value) in [(s::UPTIME, 0.0), (s::USER_ADOPTION, 0.6)] {
        read(&mut bad, signal, |it| (it < 10).then_some(value));
    }
    let few = |it: usize| (it < 10).then_some(if it < 5 { 0.94 } else { 0.55 });
    read(&mut bad, s::MODEL_ACCURACY, few);
    let p1 = sample::incident(Severity::P1, "2026-12-05T10:00:00+01:00", "down");
    bad.incidents.push(sample::fact(p1, "Uptime"));
    check(
        &bad,
        &[
            "1. Zero P1 incidents: not achieved, there were 1",
            "2. 99.9%+ uptime achieved: not achieved, it was 0%",
            "3. User adoption exceeded target: not achieved, it was 60% (target &gt; 80%)",
            "4. Model accuracy maintained: not achieved, it fell from 94% to 55%",
            "&gt; 99%: missed",
            "&gt; 80%: missed in 10 of 10 min (100%)",
        ],
    );
}

#[test]
fn a_target_is_exceeded_only_above_it() {
    let week = "2026-12-08T00:00:00+01:00";
    let mut month = facts(Kind::Hypercare);
    let target = month.targets.last_mut().expect("the adoption's");
    target.comparison = Comparison::AtLeast;
    target.during = Some((at(sample::LIVE), at(week)));
    let first = 7 * 1440;
    for (then, later, line) in [
        (0.83, 0.83, "3. User adoption exceeded target (83%)"),
        (0.8, 0.8, "3. User adoption met its target (80%)"),
        (0.8, 0.9, "3. User adoption met its target (90%)"),
        (
            0.9,
            0.5,
            "3. User adoption exceeded target: not achieved, it was 50%",
        ),
        (
            0.6,
            0.9,
            "3. User adoption exceeded target: not achieved, it was 60% (target &gt; 80%), and at the end 90%",
        ),
    ] {
        let value = |it| Some(if it < first { then } else { later });
        read(&mut month, s::USER_ADOPTION, value);
        check(&month, &[line]);
    }
    // What lies behind the target's time may be unknown.
    let value = |it| (it < first).then_some(0.83);
    read(&mut month, s::USER_ADOPTION, value);
    check(&month, &["3. User adoption exceeded target (83%)"]);
    month.targets.pop();
    check(
        &month,
        &["3. User adoption exceeded target: there is no target for it (83%)"],
    );
}

#[test]
fn accuracy_is_maintained_against_its_target_or_its_first_value() {
    let week = "2026-12-08T00:00:00+01:00";
    let within = || accuracy("within 5% of baseline (>= 89.3%)", 0.893, week);
    let fell = "4. Model accuracy maintained: not achieved, it fell from 94% to 55%";
    let low =
        "4. Model accuracy maintained: not achieved, it was as low as 55% at 2026-12-11 00:00";
    let (begin, end) = (10 * 1440, 29 * 1440);
    for (target, from, until, line) in [
        (None, ALL, ALL, "4. Model accuracy maintained (94%)\n"),
        (None, end, ALL, fell),
        (None, begin, end, low),
        // Three hours of thirty days.
        (
            None,
            begin,
            begin + 180,
            "4. Model accuracy maintained (94%)\n",
        ),
        (
            Some(within()),
            ALL,
            ALL,
            "4. Model accuracy maintained (94%)\n",
        ),
        // Its time is over, and the model is worse all the same.
        (Some(within()), end, ALL, fell),
        (
            Some(accuracy(">= 95%", 0.95, week)),
            ALL,
            ALL,
            "it was as low as 94% at 2026-12-01 00:00 (target &gt;= 95%)",
        ),
    ] {
        let mut month = facts(Kind::Hypercare);
        month.targets.extend(target);
        let value = |it| {
            Some(if (from..until).contains(&it) {
                0.55
            } else {
                0.94
            })
        };
        read(&mut month, s::MODEL_ACCURACY, value);
        check(&month, &[line]);
    }
    // A model that got better than a range around its baseline is no worse for it.
    let mut month = facts(Kind::Hypercare);
    month.targets.push(Target {
        comparison: Comparison::AtMost,
        ..accuracy("within 5% of baseline (<= 90%)", 0.9, week)
    });
    check(&month, &["4. Model accuracy maintained (94.2%)\n"]);
}
