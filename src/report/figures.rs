//! The figures of a period: each signal of the table, measured, compared with the period before, with its trend and
//! its targets. Deliberately absent: the templates.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::tz::TimeZone;

use super::facts::Facts;
use super::facts::Kind;
use super::facts::SignalHistory;
use super::facts::Target;
use super::measure::Measure;
use super::measure::Track;
use super::measure::float;
use super::measure::is_enough;
use super::minutes::Minutes;
use super::overall::MISSED_SHARE_MAX;
use super::signals::How;
use super::signals::Known;
use super::signals::THROUGHPUT;
use super::signals::UPTIME;
use super::signals::known;
use super::trend::Better;
use super::trend::Trend;
use super::trend::trend;
use super::when::midnights;
use crate::model::Timestamp;
use crate::model::Unit;

/// Signals that a report takes; rules files have some dozens.
const SIGNALS_MAX: usize = 200;
/// Days of the longest period, and one for the cut.
const DAYS_MAX: usize = 63;
/// A bucket takes part in a trend from this share of its minutes known.
const BUCKET_KNOWN_MIN: f64 = 0.5;
/// Targets of one signal that are looked at: one a phase.
const TARGETS_MAX: usize = 32;

/// One signal of the period.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub name: String,
    pub title: String,
    pub unit: Unit,
    /// `None`: no template asks for it.
    pub known: Option<&'static Known>,
    pub measure: Measure,
    /// The figure of the period before, where it compares.
    pub earlier: Option<f64>,
    pub trend: Trend,
    pub targets: Vec<Fared>,
}

/// How a target fared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fared {
    pub target: Target,
    /// Known minutes in which it applied, and those that missed it. An uptime target is about the whole, and counts
    /// minutes that were down.
    pub known: usize,
    pub missed: usize,
    /// All minutes in which it applied.
    pub total: usize,
    /// The figure of the known ones.
    pub figure: Option<f64>,
    /// Whether that figure meets it. A miss that was seen is one; that it is met takes nearly all of the minutes known.
    pub is_met: Option<bool>,
}

impl Fared {
    pub fn share(&self) -> f64 {
        if self.known == 0 {
            return 0.0;
        }
        float(self.missed) / float(self.known)
    }
}

/// All of them, and the parts of the period that trends compare.
#[derive(Debug)]
pub(super) struct Figures {
    pub rows: Vec<Row>,
    pub tracks: Vec<Track>,
    places: BTreeMap<String, usize>,
    /// `hours` or `days`.
    pub bucket: &'static str,
}

impl Figures {
    /// Measures `facts` up to `until`.
    pub fn of(facts: &Facts, until: Timestamp) -> Self {
        let bucket = match facts.kind {
            Kind::Day | Kind::Status => "hours",
            Kind::Week | Kind::Hypercare => "days",
        };
        let mut figures = Self {
            rows: Vec::new(),
            tracks: Vec::new(),
            places: BTreeMap::new(),
            bucket,
        };
        let earlier = facts.earlier.as_ref();
        let before = |signal: &str| {
            earlier.and_then(|it| it.signals.iter().find(|other| other.name == signal))
        };
        let calls = facts.signals.iter().find(|it| it.name == THROUGHPUT);
        let lay = |it: Option<&SignalHistory>, from, until| {
            Minutes::lay(it.map_or(&[][..], |it| &it.minutes), from, until)
        };
        let weights = lay(calls, facts.from, until);
        let old_weights = earlier.map(|it| lay(before(THROUGHPUT), it.from, it.until));
        for signal in facts.signals.iter().take(SIGNALS_MAX) {
            if figures.places.contains_key(&signal.name) {
                continue;
            }
            let minutes = lay(Some(signal), facts.from, until);
            let old = earlier.map(|it| lay(before(&signal.name), it.from, it.until));
            let ago = earlier.map(|it| lay(before(&signal.name), it.from, facts.from));
            let ago = ago.as_ref().and_then(last);
            let track = track(signal, minutes, ago, &weights, &facts.zone);
            let earlier = old.and_then(|it| {
                let weights = old_weights.as_ref()?;
                let old = self::track(signal, it, None, weights, &facts.zone);
                comparable(signal, &old.measure(), &track.measure())
            });
            let place = figures.rows.len();
            figures.places.insert(signal.name.clone(), place);
            figures
                .rows
                .push(row(facts, until, signal, &track, earlier));
            figures.tracks.push(track);
        }
        figures
    }

    /// The signal of that name, where it has a reading.
    pub fn get(&self, name: &str) -> Option<&Row> {
        let row = &self.rows[*self.places.get(name)?];
        row.measure.value.map(|_| row)
    }

    /// Its minutes.
    pub fn track(&self, name: &str) -> Option<&Track> {
        Some(&self.tracks[*self.places.get(name)?])
    }
}

fn how(name: &str) -> (How, Better, f64) {
    known(name).map_or((How::Mean, Better::Neither, 0.0), |it| {
        (it.how, it.better, it.matters)
    })
}

fn unit(signal: &SignalHistory) -> Unit {
    let meant = known(&signal.name).map_or(Unit::None, |it| it.unit);
    signal.unit.unwrap_or(meant)
}

fn track(
    signal: &SignalHistory,
    minutes: Minutes,
    before: Option<(Timestamp, f64)>,
    weights: &Minutes,
    zone: &TimeZone,
) -> Track {
    let (how, better, _) = how(&signal.name);
    let mut track = Track::new(minutes, (how, better), unit(signal), before, zone);
    track.weigh(weights);
    track
}

/// The figure of the earlier period where this one's compares with it: sums do where nearly all of both is known.
fn comparable(signal: &SignalHistory, then: &Measure, now: &Measure) -> Option<f64> {
    let is_sum = matches!(how(&signal.name).0, How::Total | How::SinceMidnight);
    let compares = !is_sum || (then.is_enough() && now.is_enough());
    then.value.filter(|_| compares)
}

/// The last reading of a period.
fn last(minutes: &Minutes) -> Option<(Timestamp, f64)> {
    let place = minutes.values.iter().rposition(Option::is_some)?;
    Some((minutes.at(place), minutes.values[place]?))
}

fn row(
    facts: &Facts,
    until: Timestamp,
    signal: &SignalHistory,
    track: &Track,
    earlier: Option<f64>,
) -> Row {
    let (_, better, matters) = how(&signal.name);
    let parts = buckets(facts, until, &track.minutes);
    let values: Vec<Option<f64>> = parts
        .iter()
        .map(|places| {
            let share = float(track.known(places)) / float(places.len().max(1));
            (share >= BUCKET_KNOWN_MIN).then(|| track.part(places))?
        })
        .collect();
    let applies = |it: &&Target| {
        let within = |(start, end): (Timestamp, Timestamp)| start < until && facts.from < end;
        it.signal == signal.name && it.during.is_none_or(within)
    };
    let targets = facts.targets.iter().filter(applies);
    let known = known(&signal.name);
    let title = if signal.title.is_empty() {
        known.map_or(signal.name.as_str(), |it| it.label)
    } else {
        &signal.title
    };
    Row {
        name: signal.name.clone(),
        title: title.to_owned(),
        unit: unit(signal),
        known,
        measure: track.measure(),
        earlier,
        trend: trend(&values, better, matters),
        targets: targets
            .take(TARGETS_MAX)
            .map(|it| fared(it, track))
            .collect(),
    }
}

/// Hours of a day from its start, or the zone's days; a cut one at an end takes part from half of its length.
fn buckets(facts: &Facts, until: Timestamp, minutes: &Minutes) -> Vec<Range<usize>> {
    match facts.kind {
        Kind::Day | Kind::Status => {
            let all = minutes.values.len();
            let starts = (0..all).step_by(60);
            let hours = starts.map(|start| start..(start + 60).min(all));
            hours.filter(|it| it.len() >= 30).collect()
        }
        Kind::Week | Kind::Hypercare => {
            let mut edges = vec![facts.from];
            edges.extend(midnights(facts.from, until, &facts.zone, DAYS_MAX));
            edges.push(until);
            let days = edges.windows(2).map(|it| minutes.places(it[0], it[1]));
            days.filter(|it| it.len() >= 720).collect()
        }
    }
}

fn fared(target: &Target, track: &Track) -> Fared {
    let all = 0..track.minutes.values.len();
    let places = target
        .during
        .map_or(all, |(from, until)| track.minutes.places(from, until));
    let values = &track.minutes.values[places.clone()];
    let whole = target.signal == UPTIME;
    let is_missed = |value: f64| {
        if whole {
            value < 1.0
        } else {
            !target.comparison.is_met(value, target.bound)
        }
    };
    let mut fared = Fared {
        known: values.iter().flatten().count(),
        missed: values.iter().flatten().filter(|it| is_missed(**it)).count(),
        total: values.len(),
        figure: track.figure(&places),
        is_met: None,
        target: target.clone(),
    };
    let is_met = match how(&target.signal).0 {
        // A sum is nothing that a bound of single minutes compares with.
        How::Total | How::SinceMidnight => {
            (fared.known > 0).then(|| fared.share() <= MISSED_SHARE_MAX)
        }
        How::Up
        | How::Median
        | How::Mean
        | How::Weighted
        | How::Last
        | How::LastAndMost
        | How::Ever => (fared.figure).map(|it| target.comparison.is_met(it, target.bound)),
    };
    fared.is_met = is_met.filter(|it| !it || is_enough(fared.known, fared.total));
    fared
}
