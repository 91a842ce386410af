//! A recording as files: how exports differ though they say the same.

use std::fmt::Write as _;

use gated::source::recording::{Recording, openmetrics};

use super::fleet::Recorded;
use super::luck::Luck;

/// How a recording reaches gated.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Packed {
    /// Sample by sample, with no text between.
    Pushed,
    /// A file, series after series.
    Whole,
    /// A twentieth of the samples twice, with another value the second time.
    Repeated,
    /// Neighbouring samples of a series out of order, and some far behind.
    Late,
    /// By time instead of series after series.
    ByTime,
    /// Two files, each with half of the series.
    BySeries,
    /// Two files that overlap by two minutes.
    Overlapping,
}

impl Packed {
    /// Everything as this packing brings it, sorted.
    pub fn unpack(self, series: &[Recorded], luck: &mut Luck, recording: &mut Recording) {
        let files = match self {
            Self::Pushed => {
                for (labels, samples) in series {
                    match recording.series(labels.clone()) {
                        None => samples.iter().for_each(|_| recording.skip()),
                        Some(id) => {
                            for (at, value) in samples {
                                recording.push(id, *at, *value).unwrap();
                            }
                        }
                    }
                }
                Vec::new()
            }
            Self::Whole => vec![text(&lines(series))],
            Self::Repeated => vec![text(&repeated(lines(series), luck))],
            Self::Late => {
                let late = |it: &Recorded| (it.0.clone(), late(it.1.clone(), luck));
                let series: Vec<Recorded> = series.iter().map(late).collect();
                vec![text(&lines(&series))]
            }
            Self::ByTime => {
                let mut lines = lines(series);
                lines.sort_by_key(|it| it.0);
                vec![text(&lines)]
            }
            Self::BySeries => {
                let half = |n: usize| -> Vec<Recorded> {
                    let mine = series.iter().enumerate().filter(|it| it.0 % 2 == n);
                    mine.map(|it| it.1.clone()).collect()
                };
                vec![text(&lines(&half(0))), text(&lines(&half(1)))]
            }
            Self::Overlapping => {
                let lines = lines(series);
                let part = |from: i64, until: i64| {
                    let mut part = lines.clone();
                    part.retain(|it| (from..until).contains(&it.0));
                    text(&part)
                };
                let middle = super::fleet::ROLLOUT;
                // The later one first.
                vec![
                    part(middle - 60_000, i64::MAX),
                    part(i64::MIN, middle + 60_000),
                ]
            }
        };
        for file in files {
            openmetrics::read(file.as_bytes(), recording).unwrap();
        }
        recording.sort().unwrap();
    }
}

type Line = (i64, String);

fn lines(series: &[Recorded]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (labels, samples) in series {
        let mut head = format!("{}{{", labels.name());
        let pairs = labels.iter().filter(|it| it.0 != "__name__");
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        head += &pairs.join(",");
        for (at, value) in samples {
            let at = *at;
            lines.push((
                at,
                format!("{head}}} {value} {}.{:03}", at / 1000, at % 1000),
            ));
        }
    }
    lines
}

fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    for (_, line) in lines {
        writeln!(text, "{line}").unwrap();
    }
    text + "# EOF\n"
}

fn repeated(lines: Vec<Line>, luck: &mut Luck) -> Vec<Line> {
    let mut out = Vec::with_capacity(lines.len());
    for line in lines {
        let again = luck.happens(0.05).then(|| {
            let parts: Vec<&str> = line.1.rsplitn(3, ' ').collect();
            (line.0, format!("{} 7777777 {}", parts[2], parts[0]))
        });
        out.push(line);
        out.extend(again);
    }
    out
}

fn late(mut samples: Vec<(i64, f64)>, luck: &mut Luck) -> Vec<(i64, f64)> {
    for n in 1..samples.len() {
        if luck.happens(0.1) {
            samples.swap(n - 1, n);
        }
    }
    let far = luck.whole(0, samples.len() - 1);
    let moved = samples.remove(far);
    samples.push(moved);
    samples
}
