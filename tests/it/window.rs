//! The window and the plans over it against a naive memory: every sample in a list, every question by a scan.

use std::collections::BTreeMap;
use std::time::Duration;

use gated::model::{Labels, STALE, Slot, TargetId, Timestamp, is_stale};
use gated::promql::{Expr, Output, Plan, RawRange};
use gated::store::Window;
use proptest::prelude::*;

const SERIES: usize = 6;
/// By series: how far back it is needed, in seconds.
const SPANS: [u64; SERIES] = [0, 5, 5, 20, 20, 60];
/// By series: whether its samples carry timestamps always, never, or now and then.
const STAMPS: [Option<bool>; SERIES] = [
    Some(false),
    Some(false),
    Some(true),
    Some(false),
    Some(true),
    None,
];
const TARGET: TargetId = TargetId(7);

/// One scrape.
#[derive(Clone, Debug)]
enum Page {
    Failed,
    /// By series: nothing, a value, or a value with a timestamp so many milliseconds before the scrape ([`STAMPS`]).
    Good([Option<(f64, Option<i64>)>; SERIES]),
}

fn pages() -> impl Strategy<Value = Vec<(i64, Page)>> {
    let value = prop_oneof![
        8 => (0..20i32).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(1e300),
    ];
    let stamp = prop_oneof![6 => Just(None), 1 => (0..1500i64).prop_map(Some)];
    let sample = prop::option::weighted(0.8, (value, stamp));
    let good = prop::array::uniform6(sample).prop_map(|mut page| {
        for (sample, stamps) in page.iter_mut().zip(STAMPS) {
            if let (Some((_, before)), Some(always)) = (sample, stamps) {
                *before = always.then(|| before.unwrap_or(100));
            }
        }
        Page::Good(page)
    });
    let page = prop_oneof![1 => Just(Page::Failed), 6 => good];
    prop::collection::vec((500..3000i64, page), 1..60)
}

/// What a source does: it keeps which series stands at which slot and says what is born and gone.
#[derive(Default)]
struct Source {
    slots: BTreeMap<usize, u32>,
    free: Vec<u32>,
    next: u32,
}

fn labels(series: usize) -> Labels {
    let number = series.to_string();
    let name = format!("m{series}");
    Labels::new([("__name__", &*name), ("job", "api"), ("n", &*number)])
}

impl Source {
    fn scrape(&mut self, window: &mut Window, at: i64, page: &[Option<(f64, Option<i64>)>]) {
        let time = Timestamp::from_millis(at);
        for (series, sample) in page.iter().enumerate() {
            if sample.is_none()
                && let Some(slot) = self.slots.remove(&series)
            {
                window.gone(TARGET, Slot(slot), time);
                self.free.push(slot);
            }
        }
        for (series, sample) in page.iter().enumerate() {
            if sample.is_some() && !self.slots.contains_key(&series) {
                let slot = self.free.pop().unwrap_or_else(|| {
                    self.next += 1;
                    self.next - 1
                });
                let span = Duration::from_secs(SPANS[series]);
                window.born(TARGET, Slot(slot), labels(series), span);
                self.slots.insert(series, slot);
            }
        }
        let mut values = vec![STALE; self.next as usize];
        let mut stamped = Vec::new();
        for (series, slot) in &self.slots {
            let (value, before) = page[*series].unwrap();
            values[*slot as usize] = value;
            if let Some(before) = before {
                stamped.push((Slot(*slot), Timestamp::from_millis(at - before)));
            }
        }
        window.append(TARGET, time, &values, &stamped);
    }
}

/// Every sample and marker of one series, as Prometheus would have stored it.
#[derive(Clone, Default)]
struct Memory {
    samples: Vec<(i64, f64)>,
    stamped: bool,
}

impl Memory {
    fn push(&mut self, at: i64, value: f64, stamped: bool) {
        if self.samples.last().is_none_or(|(newest, _)| *newest < at) {
            self.samples.push((at, value));
            self.stamped = stamped;
        }
    }

    fn end(&mut self, at: i64) {
        if self
            .samples
            .last()
            .is_some_and(|(_, value)| !is_stale(*value))
        {
            self.push(at, STALE, self.stamped);
        }
    }

    fn take(&mut self, at: i64, page: &Page, series: usize) {
        match page {
            Page::Failed => self.end(at),
            Page::Good(page) => match page[series] {
                Some((value, before)) => {
                    self.push(at - before.unwrap_or(0), value, before.is_some());
                }
                None if self.stamped => {}
                None => self.end(at),
            },
        }
    }

    fn newest(&self, at: i64) -> Option<f64> {
        let (time, value) = *self.samples.iter().rfind(|(time, _)| *time <= at)?;
        (time > at - 300_000 && !is_stale(value)).then_some(value)
    }

    fn range(&self, at: i64, range: i64) -> Vec<(i64, f64)> {
        let samples = self.samples.iter().copied();
        samples
            .filter(|(time, value)| *time > at - range && *time <= at && !is_stale(*value))
            .collect()
    }
}

/// `rate`, from its definition.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn rate(samples: &[(i64, f64)], at: i64, range: i64) -> Option<f64> {
    let (&(first, start), &(last, end)) = (samples.first()?, samples.last()?);
    if samples.len() < 2 {
        return None;
    }
    let falls = samples.windows(2).filter(|pair| pair[1].1 < pair[0].1);
    let increase = falls.fold(end - start, |sum, pair| sum + pair[0].1);
    let secs = |millis: i64| millis as f64 / 1000.0;
    let covered = secs(last - first);
    let average = covered / (samples.len() - 1) as f64;
    let half = |gap: f64| {
        if gap >= average * 1.1 {
            average / 2.0
        } else {
            gap
        }
    };
    let mut before = half(secs(first - (at - range)));
    if increase > 0.0 && start >= 0.0 {
        before = before.min(covered * (start / increase));
    }
    let factor = (covered + before + half(secs(at - last))) / covered;
    Some(increase * factor / secs(range))
}

fn single(plan: &mut Plan, window: &Window, at: i64) -> Option<f64> {
    match plan.eval(window, Timestamp::from_millis(at)) {
        Ok(Output::Vector(vector)) => vector.iter().map(|(_, value)| value).next(),
        other => panic!("{other:?}"),
    }
}

fn alike(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs()
        }
        (a, b) => a == b,
    }
}

type Held = Vec<(Labels, Vec<(Timestamp, u64)>)>;

/// Every sample in the window, by its bits.
fn holds(window: &Window, at: i64) -> Held {
    let range = RawRange::parse(r#"{job="api"}[60s]"#).unwrap().unwrap();
    let found = range.samples(window, Timestamp::from_millis(at));
    let bits =
        |samples: Vec<(Timestamp, f64)>| samples.into_iter().map(|(at, v)| (at, v.to_bits()));
    found
        .into_iter()
        .map(|(labels, samples)| (labels, bits(samples).collect()))
        .collect()
}

fn plan(text: &str) -> Plan {
    Plan::new(&Expr::parse(text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_window_remembers_what_a_naive_memory_does(pages in pages()) {
        let mut window = Window::default();
        window.add_target(TARGET, Duration::from_secs(2));
        let mut source = Source::default();
        let mut memories = vec![Memory::default(); SERIES];
        let mut kept: Vec<[Plan; 4]> = (0..SERIES)
            .map(|i| {
                let span = SPANS[i].max(1);
                [
                    plan(&format!("m{i}")),
                    plan(&format!("count_over_time(m{i}[{span}s])")),
                    plan(&format!("rate(m{i}[{span}s])")),
                    plan(&format!("sum(rate(m{i}[{span}s])) or vector(0)")),
                ]
            })
            .collect();
        let mut all = plan(r#"sum(rate({job="api",__name__=~"m[345]"}[20s]))"#);
        let mut at = 1_000_000;
        // A copy of the window, the moment it was taken, and what it held then.
        let mut copy: Option<(Window, i64, Held)> = None;
        for (pause, page) in &pages {
            at += pause;
            match page {
                Page::Failed => window.fail(TARGET, Timestamp::from_millis(at)),
                Page::Good(page) => source.scrape(&mut window, at, page),
            }
            for (series, memory) in memories.iter_mut().enumerate() {
                memory.take(at, page, series);
            }
            // Judged a little after the scrape began, as a daemon does.
            let now = at + 40;
            let (mut total, mut plain) = (None, true);
            for (series, memory) in memories.iter().enumerate() {
                let [instant, count, rated, summed] = &mut kept[series];
                prop_assert!(
                    alike(single(instant, &window, now), memory.newest(now)),
                    "m{series} at {now}: {:?}", memory.samples
                );
                if SPANS[series] == 0 {
                    continue;
                }
                let range = i64::try_from(SPANS[series]).unwrap() * 1000;
                let samples = memory.range(now, range);
                let counted = (!samples.is_empty()).then_some(samples.len() as f64);
                let wanted = rate(&samples, now, range);
                prop_assert!(
                    alike(single(count, &window, now), counted),
                    "m{series} at {now}: {:?}", memory.samples
                );
                prop_assert!(alike(single(rated, &window, now), wanted), "rate of m{series}");
                prop_assert!(alike(single(summed, &window, now), wanted.or(Some(0.0))));
                if series >= 3
                    && let Some(rate) = rate(&memory.range(now, 20_000), now, 20_000)
                {
                    total = Some(total.unwrap_or(0.0) + rate);
                    plain &= rate.abs() < 1e200;
                }
            }
            // A compensated sum of such jumps has digits that the plain one has lost.
            let sum = single(&mut all, &window, now);
            prop_assert!(!plain || alike(sum, total), "sum at {now}: {sum:?} {total:?}");
            prop_assert!(window.series() <= SERIES);
            if let Some((copy, then, held)) = &copy {
                prop_assert_eq!(&holds(copy, *then), held, "a copy changed after {}", then);
            }
            if copy.as_ref().is_none_or(|(_, then, _)| now - then > 9_000) {
                copy = Some((window.clone(), now, holds(&window, now)));
            }
        }
    }
}
