//! Which series were scraped together, and how often: what a recording no longer says. Series of one job and instance
//! that have samples at the same moments are one page; what has moments of its own (a rule's series, samples with
//! timestamps of the application) goes its own way beside it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::{Reads, Recording, SeriesId, target};
use crate::engine::TargetInfo;
use crate::model::labels::{ABOUT_THE_SCRAPE, NAME};
use crate::model::{Labels, TargetId};

/// Where a recording does not say how often its targets were scraped: Prometheus' own default is a minute, what is
/// recorded for judging releases is faster.
const INTERVAL_UNKNOWN: Duration = Duration::from_secs(15);
/// Past so many ways of its own beside a page each series of a target goes alone: looking for company costs more.
const COMPANIES_MAX: usize = 64;

/// Series that come together.
#[derive(Debug)]
pub(super) struct Cycle {
    pub info: Arc<TargetInfo>,
    /// The page, by slot.
    pub series: Vec<SeriesId>,
    /// What was recorded of the scrape itself, in the order of [`ABOUT_THE_SCRAPE`].
    pub about: [Option<SeriesId>; ABOUT_THE_SCRAPE.len()],
    /// Milliseconds between the samples in the recording; the target's interval is this or longer.
    pub spacing: i64,
}

/// What belongs to one target, before it is told apart by its moments.
#[derive(Default)]
struct Group {
    series: Vec<SeriesId>,
    about: [Option<SeriesId>; ABOUT_THE_SCRAPE.len()],
}

/// Every page of a sorted recording, in the order of the targets' names. `interval`: of every target, where it is
/// longer than what the recording shows.
pub(super) fn cycles(
    recording: &Recording,
    reads: &Reads,
    interval: Option<Duration>,
) -> io::Result<Vec<Cycle>> {
    let mut found: Vec<(Labels, Found)> = Vec::new();
    for (labels, group) in groups(recording, reads) {
        let read = |id: &SeriesId| reads.takes(recording.labels(*id));
        if group.series.is_empty() && !group.about.iter().flatten().any(read) {
            continue;
        }
        let together = companies(recording, group)?;
        found.extend(together.into_iter().map(|it| (labels.clone(), it)));
    }
    let shortest = found.iter().filter_map(|(_, it)| it.spacing).min();
    let unknown = i64::try_from(INTERVAL_UNKNOWN.as_millis()).expect("seconds");
    let mut cycles = Vec::with_capacity(found.len());
    let (mut pages, mut beside) = (0, TargetId::BESIDE.0);
    for (labels, found) in found {
        let next = if found.beside {
            &mut beside
        } else {
            &mut pages
        };
        let id = TargetId(*next);
        *next += 1;
        let spacing = found.spacing.or(shortest).unwrap_or(unknown);
        let recorded = Duration::from_millis(spacing.unsigned_abs());
        let interval = interval.map_or(recorded, |it| it.max(recorded));
        let named = |name: &str| labels.get(name).unwrap_or_default().to_owned();
        cycles.push(Cycle {
            info: Arc::new(TargetInfo {
                id,
                job: named("job"),
                instance: named("instance"),
                url: named("instance"),
                labels,
                interval,
                timeout: interval,
            }),
            series: found.series,
            about: found.about,
            spacing,
        });
    }
    Ok(cycles)
}

/// Series by the labels of their target: those of an `up` that they hold all of, else job and instance.
fn groups(recording: &Recording, reads: &Reads) -> BTreeMap<Labels, Group> {
    let mut groups: BTreeMap<Labels, Group> = BTreeMap::new();
    let mut ups: BTreeMap<Labels, Vec<Labels>> = BTreeMap::new();
    for id in recording.ids().filter(|id| recording.len(*id) > 0) {
        let labels = recording.labels(id);
        if let Some(about) = ABOUT_THE_SCRAPE.iter().position(|it| *it == labels.name()) {
            let own = labels.filter(|name| name != NAME);
            ups.entry(target(labels)).or_default().push(own.clone());
            groups.entry(own).or_default().about[about] = Some(id);
        }
    }
    for id in recording.ids().filter(|id| recording.len(*id) > 0) {
        let labels = recording.labels(id);
        if ABOUT_THE_SCRAPE.contains(&labels.name()) || !reads.takes(labels) {
            continue;
        }
        let own = target(labels);
        let holds = |up: &&Labels| {
            up.iter()
                .all(|(name, value)| labels.get(name) == Some(value))
        };
        let known = ups.get(&own).into_iter().flatten().filter(holds);
        let up = known.max_by_key(|up| up.len()).cloned().unwrap_or(own);
        groups.entry(up).or_default().series.push(id);
    }
    groups
}

/// A page or what comes beside it.
struct Found {
    series: Vec<SeriesId>,
    about: [Option<SeriesId>; ABOUT_THE_SCRAPE.len()],
    /// `None` where there are not two samples.
    spacing: Option<i64>,
    beside: bool,
}

/// Tells apart what does not come at the same moments. The page is what comes with `up`, else the longest series and
/// its company.
fn companies(recording: &Recording, group: Group) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut left = group.series;
    let mut about = group.about;
    while !left.is_empty() || about[0].is_some() {
        let longest = left.iter().copied().max_by_key(|id| recording.len(*id));
        let Some(lead) = about[0].or(longest) else {
            break;
        };
        let moments = moments(recording, lead)?;
        if found.len() >= COMPANIES_MAX {
            for id in left {
                found.push(Found {
                    series: vec![id],
                    about: [None; ABOUT_THE_SCRAPE.len()],
                    spacing: spacing(&self::moments(recording, id)?),
                    beside: true,
                });
            }
            break;
        }
        let mut together = Vec::new();
        let mut others = Vec::new();
        for id in left {
            let comes = id == lead || comes_with(recording, id, &moments)?;
            if comes { &mut together } else { &mut others }.push(id);
        }
        left = others;
        // In whatever order the recording gave them, sums come out alike.
        together.sort_by(|a, b| recording.labels(*a).cmp(recording.labels(*b)));
        found.push(Found {
            series: together,
            about: std::mem::take(&mut about),
            spacing: spacing(&moments),
            beside: !found.is_empty(),
        });
    }
    Ok(found)
}

fn moments(recording: &Recording, id: SeriesId) -> io::Result<Vec<i64>> {
    let mut samples = Vec::with_capacity(recording.len(id));
    for (from, count) in &recording.series[id.0 as usize].runs {
        recording.spool.read(*from, *count as usize, &mut samples)?;
    }
    Ok(samples.into_iter().map(|(at, _)| at).collect())
}

/// Whether the series has samples at these moments alone, as far as they reach: a single one of its own would be a page
/// on which everything else is missing.
fn comes_with(recording: &Recording, id: SeriesId, moments: &[i64]) -> io::Result<bool> {
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
        return Ok(true);
    };
    let mut cursor = Cursor::new(id);
    let mut place = 0;
    while let (Some((at, _)), _) = cursor.peek(recording)? {
        cursor.skip();
        if at < *first || at > *last {
            continue;
        }
        while moments[place] < at {
            place += 1;
        }
        if moments[place] != at {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Three quarters of the gaps are no longer: two servers that recorded the same target are not evenly apart, and a scrape
/// is missing now and then.
fn spacing(moments: &[i64]) -> Option<i64> {
    let mut gaps: Vec<i64> = moments.windows(2).map(|it| it[1] - it[0]).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() * 3 / 4).copied()
}
