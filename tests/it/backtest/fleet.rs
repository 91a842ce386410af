//! A simulated service as Prometheus would have recorded it: instances that are deployed, restart, fail and are not reached;
//! Poisson arrivals, log-normal latency, slow drift. The metrics are those of the example scenarios. Times are seconds
//! from the rollout on, negative before it.

use std::collections::BTreeMap;

use gated::model::Labels;

use super::luck::{Luck, below};

/// The rollout's moment in every recording, in milliseconds: 2026-04-01T12:00:00Z.
pub const ROLLOUT: i64 = 1_775_044_800_000;

const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Of the latency in an ordinary second.
const MEDIAN: f64 = 0.04;
const STATUSES: [&str; 3] = ["200", "404", "500"];
/// The version before the first deploy.
pub const OLD: &str = "1.9.0";
/// Arrivals are drawn this often.
const STEP: f64 = 1.0;

/// What one instance meets at one moment.
#[derive(Copy, Clone, Debug)]
pub struct Weather {
    /// Requests, as a multiple of the usual.
    pub load: f64,
    /// The share that fails.
    pub errors: f64,
    /// Latency, as a multiple of the usual.
    pub slower: f64,
}

/// Where and when: seconds, which instance, and which version it runs (the newest is the highest).
#[derive(Copy, Clone, Debug)]
pub struct Spot {
    pub t: f64,
    pub place: usize,
    pub version: usize,
}

#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Deploy {
    /// Instances restart where they are, one after the other within so many seconds: counters go back to zero.
    InPlace(f64),
    /// New instances take the place of old ones, one after the other.
    Replaced(f64),
    /// The processes stay, as where a feature is switched on.
    Switched,
}

/// What an instance meets.
pub type Meets = Box<dyn Fn(Spot) -> Weather + Send + Sync>;
/// Whether something is so at a moment.
pub type When = Box<dyn Fn(Spot) -> bool + Send + Sync>;

/// A service and what becomes of it.
pub struct Story {
    /// Between scrapes.
    pub interval: f64,
    /// Each scrape is late by up to so much.
    pub jitter: f64,
    /// All instances are scraped at the same instant, but for what `late` says of each.
    pub together: bool,
    pub late: Box<dyn Fn(usize) -> f64 + Send + Sync>,
    pub instances: usize,
    /// Requests a second of the whole service.
    pub rps: f64,
    /// The share that fails in ordinary times.
    pub base: f64,
    /// Of the logarithm of latency.
    pub spread: f64,
    /// When the recording begins and ends.
    pub from: f64,
    pub until: f64,
    /// Deploys of the versions after the first: when, and how.
    pub deploys: Vec<(f64, &'static str, Deploy)>,
    pub meets: Meets,
    /// Scrapes that fail: `up` is 0.
    pub unreachable: When,
    /// The recorder itself was away.
    pub silent: When,
    /// A restart at these moments, beside those of deploys.
    pub restarts: Vec<(f64, usize)>,
    /// A status has no series before its first request.
    pub lazy: bool,
    /// Series that end are marked by a value that is no number, as an export shows Prometheus' staleness markers.
    pub marked: bool,
}

/// One series: its labels and samples, oldest first.
pub type Recorded = (Labels, Vec<(i64, f64)>);

/// One process: which instance it is, since when, from when on it answers, and until when it runs.
#[derive(Clone, Debug)]
struct Life {
    instance: String,
    from: f64,
    ready: f64,
    until: f64,
    /// Another instance takes its place.
    replaced: bool,
}

/// What a process has counted.
#[derive(Default)]
struct Counters {
    by_status: [u64; STATUSES.len()],
    by_bucket: [u64; BUCKETS.len() + 1],
    seconds: f64,
}

/// What was recorded, and what stood on the last page of each instance.
#[derive(Default)]
struct Book {
    ids: BTreeMap<Labels, usize>,
    series: Vec<Recorded>,
    pages: BTreeMap<String, Vec<usize>>,
}

impl Book {
    fn write(&mut self, labels: &Labels, at: i64, value: f64) -> usize {
        let known = self.ids.get(labels).copied();
        let id = known.unwrap_or_else(|| {
            self.series.push((labels.clone(), Vec::new()));
            self.ids.insert(labels.clone(), self.series.len() - 1);
            self.series.len() - 1
        });
        self.series[id].1.push((at, value));
        id
    }

    /// The page of an instance; what stood on the one before and does not on this one ends, and is marked or not.
    fn page(&mut self, instance: &str, at: i64, page: &[usize], marked: bool) {
        let before = self
            .pages
            .insert(instance.to_owned(), page.to_vec())
            .unwrap_or_default();
        for id in before.into_iter().filter(|id| marked && !page.contains(id)) {
            self.series[id].1.push((at, f64::NAN));
        }
    }
}

impl Story {
    /// Every series, sorted by labels, with its samples, oldest first.
    pub fn record(&self, luck: &mut Luck) -> Vec<Recorded> {
        let mut book = Book::default();
        let weights: Vec<f64> = (0..self.instances)
            .map(|_| luck.between(0.85, 1.15))
            .collect();
        let whole: f64 = weights.iter().sum();
        let (phase, period) = (luck.between(0.0, 6.0), luck.between(200.0, 700.0));
        let drift = |t: f64| 1.0 + 0.1 * (t / period + phase).sin();
        for (place, weight) in weights.iter().enumerate() {
            let rate = self.rps * weight / whole;
            let share = if self.together { 0.5 } else { luck.share() };
            let offset = share * self.interval + (self.late)(place);
            let scrapes = Scrapes {
                place,
                rate,
                offset,
                drift: &drift,
            };
            for life in self.lives(place, luck) {
                self.live(&life, &scrapes, luck, &mut book);
            }
        }
        book.series.sort_by(|a, b| a.0.cmp(&b.0));
        book.series
    }

    /// When a deploy reaches an instance.
    fn reached(&self, deploy: usize, place: usize) -> f64 {
        let (at, _, how) = self.deploys[deploy];
        let over = match how {
            Deploy::InPlace(over) | Deploy::Replaced(over) => over,
            Deploy::Switched => 0.0,
        };
        at + over * place as f64 / self.instances as f64
    }

    /// How many deploys have reached an instance.
    fn version(&self, place: usize, t: f64) -> usize {
        (0..self.deploys.len())
            .filter(|it| self.reached(*it, place) <= t)
            .count()
    }

    fn lives(&self, place: usize, luck: &mut Luck) -> Vec<Life> {
        let name = |generation: usize| format!("10.0.{}.{}:8080", place + 1, generation + 1);
        let mut ends: Vec<(f64, bool)> = Vec::new();
        for (n, (_, _, how)) in self.deploys.iter().enumerate() {
            if *how != Deploy::Switched {
                ends.push((self.reached(n, place), matches!(how, Deploy::Replaced(_))));
            }
        }
        ends.extend(
            self.restarts
                .iter()
                .filter(|it| it.1 == place)
                .map(|it| (it.0, false)),
        );
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut lives = vec![Life {
            instance: name(0),
            from: self.from,
            ready: self.from,
            until: self.until,
            replaced: false,
        }];
        let mut generation = 0;
        for (at, replaced) in ends {
            let last = lives.last_mut().expect("there is one");
            (last.until, last.replaced) = (at, replaced);
            generation += usize::from(replaced);
            lives.push(Life {
                instance: name(generation),
                from: at,
                // A process that takes the place of another is ready before it does.
                ready: if replaced {
                    at
                } else {
                    at + luck.between(0.2, 1.5)
                },
                until: self.until,
                replaced: false,
            });
        }
        lives
    }

    fn live(&self, life: &Life, scrapes: &Scrapes<'_>, luck: &mut Luck, book: &mut Book) {
        let names = Names::of(&life.instance);
        let mut counters = Counters::default();
        let mut seen = life.ready;
        if life.from <= self.from {
            // It had run for a while.
            self.arrive(&mut counters, (seen - 90.0, seen), scrapes, luck);
        }
        let mut k = ((life.from - scrapes.offset) / self.interval).ceil();
        loop {
            let due = scrapes.offset + k * self.interval;
            let t = due + self.jitter * luck.share();
            if t >= life.until {
                if life.replaced && self.marked {
                    // Prometheus waits for the next scrapes before it ends the series of a target that is gone.
                    let later = stamp(t + 2.0 * self.interval);
                    book.page(&life.instance, later, &[], true);
                }
                break;
            }
            k += 1.0;
            let spot = Spot {
                t,
                place: scrapes.place,
                version: self.version(scrapes.place, t),
            };
            self.arrive(&mut counters, (seen, t), scrapes, luck);
            seen = t.max(seen);
            if (self.silent)(spot) {
                continue;
            }
            let at = stamp(t);
            let answers = t >= life.ready && !(self.unreachable)(spot);
            let mut page = vec![book.write(&names.up, at, f64::from(u8::from(answers)))];
            if answers {
                self.write(&names, &counters, (at, spot), luck, book, &mut page);
            }
            book.page(&life.instance, at, &page, self.marked);
        }
    }

    fn write(
        &self,
        names: &Names,
        counters: &Counters,
        (at, spot): (i64, Spot),
        luck: &mut Luck,
        book: &mut Book,
        page: &mut Vec<usize>,
    ) {
        let mut put = |labels: &Labels, value: f64| page.push(book.write(labels, at, value));
        for (labels, count) in names.statuses.iter().zip(counters.by_status) {
            if count > 0 || !self.lazy {
                put(labels, count as f64);
            }
        }
        let mut so_far = 0;
        for (labels, count) in names.buckets.iter().zip(counters.by_bucket) {
            so_far += count;
            put(labels, so_far as f64);
        }
        put(&names.count, so_far as f64);
        put(&names.sum, counters.seconds);
        let busy = 0.2 + 0.03 * luck.normal() + 0.1 * (self.meets)(spot).load;
        put(&names.cpu, busy.clamp(0.01, 1.0));
        put(&names.memory, 2.2e8 + 5e6 * luck.normal());
        let version = match spot.version {
            0 => OLD,
            n => self.deploys[n - 1].1,
        };
        put(&names.version(version), 1.0);
    }

    /// What arrives between two moments.
    fn arrive(
        &self,
        counters: &mut Counters,
        (from, until): (f64, f64),
        scrapes: &Scrapes<'_>,
        luck: &mut Luck,
    ) {
        let mut t = from;
        while t < until {
            let step = STEP.min(until - t);
            let middle = t + step / 2.0;
            let spot = Spot {
                t: middle,
                place: scrapes.place,
                version: self.version(scrapes.place, middle),
            };
            let weather = (self.meets)(spot);
            let swing = (scrapes.drift)(middle);
            let expected = scrapes.rate * weather.load * swing * step;
            let median = (MEDIAN * weather.slower * (2.0 - swing)).ln();
            let mut lower = 0.0;
            let mut all = 0;
            for (n, count) in counters.by_bucket.iter_mut().enumerate() {
                let upper = BUCKETS
                    .get(n)
                    .map_or(1.0, |le| below((le.ln() - median) / self.spread));
                let came = luck.poisson(expected * (upper - lower));
                lower = upper;
                *count += came;
                all += came;
                let le = BUCKETS.get(n).or(BUCKETS.last()).expect("there are some");
                counters.seconds += came as f64 * le * 0.7;
            }
            let failed = luck.binomial(all, (self.base + weather.errors).min(1.0));
            let unknown = luck.binomial(all - failed, 0.01);
            for (count, came) in
                counters
                    .by_status
                    .iter_mut()
                    .zip([all - failed - unknown, unknown, failed])
            {
                *count += came;
            }
            t += step;
        }
    }
}

/// How one place is scraped, and what arrives there.
struct Scrapes<'a> {
    place: usize,
    rate: f64,
    offset: f64,
    drift: &'a dyn Fn(f64) -> f64,
}

/// The labels of one instance's series.
struct Names {
    up: Labels,
    statuses: Vec<Labels>,
    buckets: Vec<Labels>,
    count: Labels,
    sum: Labels,
    cpu: Labels,
    memory: Labels,
}

impl Names {
    fn of(instance: &str) -> Self {
        let series = |name: &str, more: Option<(&str, &str)>| {
            let own = [("__name__", name), ("job", "api"), ("instance", instance)];
            Labels::new(own.into_iter().chain(more))
        };
        let les = BUCKETS
            .iter()
            .map(|le| format!("{le:?}"))
            .chain(["+Inf".to_owned()]);
        let bucket = |le: String| series("http_request_duration_seconds_bucket", Some(("le", &le)));
        let status = |it: &&str| series("http_requests_total", Some(("status", it)));
        Self {
            up: series("up", None),
            statuses: STATUSES.iter().map(status).collect(),
            buckets: les.map(bucket).collect(),
            count: series("http_request_duration_seconds_count", None),
            sum: series("http_request_duration_seconds_sum", None),
            cpu: series("cpu_utilization_ratio", None),
            memory: series("process_resident_memory_bytes", None),
        }
    }

    fn version(&self, version: &str) -> Labels {
        self.up
            .with("__name__", "app_build_info")
            .with("version", version)
    }
}

/// A moment in milliseconds since the epoch.
pub fn stamp(t: f64) -> i64 {
    ROLLOUT + (t * 1000.0).round() as i64
}
