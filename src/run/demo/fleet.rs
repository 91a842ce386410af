//! Three instances of a service and the traffic they take, advanced in steps of time. No clock and no sockets:
//! `service.rs` advances it and serves its pages.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use super::dice::Dice;

/// Upper bounds of the latency histogram in seconds; `+Inf` is the twelfth bucket.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
];

/// Deviation of the logarithm of a request's latency: the 95th percentile lies at 2.1 times the median.
const SPREAD: f64 = 0.45;

const MEMORY_LIMIT_BYTES: f64 = 512.0 * 1024.0 * 1024.0;

/// What is asked for, how often, and the median latency of a healthy version in seconds.
const ROUTES: [Route; 3] = [
    Route {
        method: "GET",
        path: "/api/orders",
        share: 0.55,
        median: 0.022,
        success: "200",
    },
    Route {
        method: "GET",
        path: "/api/catalogue",
        share: 0.30,
        median: 0.014,
        success: "200",
    },
    Route {
        method: "POST",
        path: "/api/orders",
        share: 0.15,
        median: 0.038,
        success: "201",
    },
];

#[derive(Debug)]
struct Route {
    method: &'static str,
    path: &'static str,
    share: f64,
    median: f64,
    success: &'static str,
}

/// How a version behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Health {
    /// No server errors, the 95th percentile of the latency well under 100 ms.
    Good,
    /// This share of the requests ends with 500 or 503, and every request takes this many times as long.
    Bad {
        error_share: f64,
        latency_factor: f64,
    },
}

/// How much traffic there is and how a deployment goes.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    pub seed: u64,
    /// Over all instances.
    pub requests_per_second: f64,
    /// Between one instance's restart and the next one's.
    pub step: Duration,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            seed: 1,
            requests_per_second: 150.0,
            step: Duration::from_millis(1500),
        }
    }
}

/// Three instances behind an even load balancer.
#[derive(Debug)]
pub struct Fleet {
    traffic: Traffic,
    dice: Dice,
    instances: [Instance; Self::SIZE],
    /// Instances still to be restarted, and into what.
    rolling: VecDeque<usize>,
    wanted: (String, Health),
    until_next_step: Duration,
    /// Seconds until the next request arrives.
    until_next_request: f64,
}

impl Fleet {
    pub const SIZE: usize = 3;

    #[must_use]
    pub fn new(version: &str, traffic: Traffic) -> Self {
        let mut dice = Dice::new(traffic.seed);
        Self {
            until_next_request: dice.gap(traffic.requests_per_second),
            instances: std::array::from_fn(|_| Instance::new(version, Health::Good)),
            rolling: VecDeque::new(),
            wanted: (version.to_owned(), Health::Good),
            until_next_step: Duration::ZERO,
            dice,
            traffic,
        }
    }

    /// Begins to restart the instances one after another with this version. One that is under way is left where it
    /// stands: its instances are restarted with the others.
    pub fn deploy(&mut self, version: &str, health: Health) {
        self.wanted = (version.to_owned(), health);
        self.rolling = (0..Self::SIZE).collect();
        self.until_next_step = Duration::ZERO;
    }

    /// Lets this much time pass.
    pub fn advance(&mut self, by: Duration) {
        self.roll(by);
        self.until_next_request -= by.as_secs_f64();
        while self.until_next_request < 0.0 {
            self.until_next_request += self.dice.gap(self.traffic.requests_per_second);
            let instance = self.dice.pick(Self::SIZE);
            self.instances[instance].serve(&mut self.dice);
        }
        for instance in &mut self.instances {
            instance.breathe(by, &mut self.dice);
        }
    }

    fn roll(&mut self, by: Duration) {
        self.until_next_step = self.until_next_step.saturating_sub(by);
        if self.until_next_step.is_zero()
            && let Some(next) = self.rolling.pop_front()
        {
            self.instances[next] = Instance::new(&self.wanted.0, self.wanted.1);
            self.until_next_step = self.traffic.step;
        }
    }

    /// The version each instance runs.
    #[must_use]
    pub fn versions(&self) -> [&str; Self::SIZE] {
        std::array::from_fn(|at| self.instances[at].version.as_str())
    }

    /// The version that most instances run; of three different ones the first instance's.
    #[must_use]
    pub fn current_version(&self) -> &str {
        let versions = self.versions();
        if versions[1] == versions[2] {
            versions[1]
        } else {
            versions[0]
        }
    }

    /// What `GET /metrics` of one instance answers: text format 0.0.4.
    #[must_use]
    pub fn page(&self, instance: usize) -> String {
        self.instances[instance].page()
    }
}

/// One running process. Its counters begin at zero with it.
#[derive(Debug)]
struct Instance {
    version: String,
    health: Health,
    /// By status and route, in the order of the page.
    requests: BTreeMap<(&'static str, usize), u64>,
    latency: [Histogram; ROUTES.len()],
    cpu: f64,
    memory: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Histogram {
    /// Not cumulative; the last holds what is above every bound.
    buckets: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Instance {
    fn new(version: &str, health: Health) -> Self {
        Self {
            version: version.to_owned(),
            health,
            requests: BTreeMap::new(),
            latency: [Histogram::default(); ROUTES.len()],
            cpu: 0.2,
            memory: 0.38,
        }
    }

    fn serve(&mut self, dice: &mut Dice) {
        let (error_share, latency_factor) = match self.health {
            Health::Good => (0.0, 1.0),
            Health::Bad {
                error_share,
                latency_factor,
            } => (error_share, latency_factor),
        };
        let mut left = dice.share();
        let index = ROUTES
            .iter()
            .position(|route| {
                left -= route.share;
                left <= 0.0
            })
            .unwrap_or(0);
        let route = &ROUTES[index];
        let status = match dice.share() {
            share if share <= error_share * 0.7 => "500",
            share if share <= error_share => "503",
            // People ask for what is not there, of healthy versions too.
            share if share > 0.99 => "404",
            _ => route.success,
        };
        *self.requests.entry((status, index)).or_default() += 1;
        let seconds = dice.log_normal(route.median * latency_factor, SPREAD);
        let bucket = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        self.latency[index].buckets[bucket] += 1;
        self.latency[index].sum += seconds;
    }

    /// Gauges wander around where the load holds them.
    fn breathe(&mut self, by: Duration, dice: &mut Dice) {
        let busy = if self.health == Health::Good {
            0.22
        } else {
            0.34
        };
        let pull = (by.as_secs_f64() * 0.5).min(1.0);
        let wander = by.as_secs_f64().sqrt() * 0.012;
        self.cpu += (busy - self.cpu) * pull + wander * dice.normal();
        self.memory += (0.41 - self.memory) * pull + wander * 0.2 * dice.normal();
        self.cpu = self.cpu.clamp(0.02, 0.98);
        self.memory = self.memory.clamp(0.05, 0.95);
    }

    fn page(&self) -> String {
        let mut page = String::with_capacity(8 * 1024);
        head(
            &mut page,
            "app_build_info",
            "gauge",
            "The version that runs.",
        );
        line(
            &mut page,
            format_args!("app_build_info{{version=\"{}\"}}", escape(&self.version)),
            1,
        );
        head(
            &mut page,
            "http_requests_total",
            "counter",
            "Requests answered.",
        );
        for ((status, route), count) in &self.requests {
            let Route { method, path, .. } = &ROUTES[*route];
            let labels =
                format_args!("{{status=\"{status}\",method=\"{method}\",path=\"{path}\"}}");
            line(
                &mut page,
                format_args!("http_requests_total{labels}"),
                count,
            );
        }
        head(
            &mut page,
            "http_request_duration_seconds",
            "histogram",
            "Time to answer a request.",
        );
        for (route, histogram) in ROUTES.iter().zip(&self.latency) {
            histogram.write(&mut page, route);
        }
        head(
            &mut page,
            "cpu_utilization_ratio",
            "gauge",
            "Share of the processor time in use.",
        );
        line(&mut page, format_args!("cpu_utilization_ratio"), self.cpu);
        head(
            &mut page,
            "memory_utilization_ratio",
            "gauge",
            "Share of the memory limit in use.",
        );
        line(
            &mut page,
            format_args!("memory_utilization_ratio"),
            self.memory,
        );
        head(
            &mut page,
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory in bytes.",
        );
        let resident = (self.memory * MEMORY_LIMIT_BYTES).round();
        line(
            &mut page,
            format_args!("process_resident_memory_bytes"),
            resident,
        );
        page
    }
}

impl Histogram {
    fn write(&self, page: &mut String, route: &Route) {
        let name = "http_request_duration_seconds";
        let labels = format!("method=\"{}\",path=\"{}\"", route.method, route.path);
        let mut count = 0;
        for (index, in_bucket) in self.buckets.iter().enumerate() {
            count += in_bucket;
            let le = BOUNDS
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            line(
                page,
                format_args!("{name}_bucket{{{labels},le=\"{le}\"}}"),
                count,
            );
        }
        line(page, format_args!("{name}_sum{{{labels}}}"), self.sum);
        line(page, format_args!("{name}_count{{{labels}}}"), count);
    }
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(page: &mut String, series: std::fmt::Arguments<'_>, value: impl std::fmt::Display) {
    let _ = writeln!(page, "{series} {value}");
}

/// A label's value as the text format writes it.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(50);

    fn run(fleet: &mut Fleet, seconds: u32) {
        for _ in 0..seconds * 20 {
            fleet.advance(TICK);
        }
    }

    /// Sum of a family's samples over all instances, of the lines that hold `part`.
    fn sum(fleet: &Fleet, name: &str, part: &str) -> f64 {
        (0..Fleet::SIZE)
            .flat_map(|at| {
                fleet
                    .page(at)
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter(|line| line.starts_with(name) && line.contains(part))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    fn above(fleet: &Fleet, le: &str) -> f64 {
        let all = sum(fleet, "http_request_duration_seconds_count", "");
        let below = sum(
            fleet,
            "http_request_duration_seconds_bucket",
            &format!("le=\"{le}\""),
        );
        (all - below) / all
    }

    #[test]
    fn a_good_version_meets_its_targets() {
        let mut fleet = Fleet::new("1.0.0", Traffic::default());
        run(&mut fleet, 60);
        let requests = sum(&fleet, "http_requests_total", "");
        assert!(
            (8_600.0..9_400.0).contains(&requests),
            "{requests} requests in a minute"
        );
        assert!(sum(&fleet, "http_requests_total", "status=\"5").abs() < 0.5);
        assert!(above(&fleet, "0.1") < 0.05, "p95 above 100 ms");
        assert!(sum(&fleet, "cpu_utilization_ratio", "") / 3.0 < 0.4);
        assert!(sum(&fleet, "memory_utilization_ratio", "") / 3.0 < 0.6);
    }

    #[test]
    fn a_bad_version_misses_them() {
        let mut fleet = Fleet::new(
            "1.0.0",
            Traffic {
                step: Duration::ZERO,
                ..Traffic::default()
            },
        );
        fleet.deploy(
            "1.1.0",
            Health::Bad {
                error_share: 0.08,
                latency_factor: 14.0,
            },
        );
        run(&mut fleet, 60);
        let share = sum(&fleet, "http_requests_total", "status=\"5")
            / sum(&fleet, "http_requests_total", "");
        assert!(
            (0.07..0.09).contains(&share),
            "{share} of the requests failed"
        );
        assert!(above(&fleet, "0.5") > 0.05, "p95 not above 500 ms");
    }

    #[test]
    fn arrivals_vary_as_a_poisson_process_does() {
        let mut fleet = Fleet::new("1.0.0", Traffic::default());
        let mut before = 0.0;
        let mut seconds = Vec::new();
        for _ in 0..300 {
            run(&mut fleet, 1);
            let all = sum(&fleet, "http_requests_total", "");
            seconds.push(all - before);
            before = all;
        }
        let mean = seconds.iter().sum::<f64>() / 300.0;
        let variance = seconds.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 300.0;
        assert!((145.0..155.0).contains(&mean), "mean {mean}");
        assert!(
            (110.0..195.0).contains(&variance),
            "variance {variance}, the mean is {mean}"
        );
    }

    #[test]
    fn a_deployment_restarts_one_instance_after_another() {
        let mut fleet = Fleet::new(
            "1.0.0",
            Traffic {
                step: Duration::from_secs(2),
                ..Traffic::default()
            },
        );
        run(&mut fleet, 5);
        fleet.deploy("1.1.0", Health::Good);
        let mut seen = vec![];
        for _ in 0..6 {
            fleet.advance(TICK);
            seen.push((
                fleet.versions().map(str::to_owned),
                fleet.current_version().to_owned(),
            ));
            run(&mut fleet, 1);
        }
        let row = |a: &str, b: &str, c: &str, now: &str| {
            ([a.to_owned(), b.to_owned(), c.to_owned()], now.to_owned())
        };
        seen.dedup();
        assert_eq!(
            seen,
            [
                row("1.1.0", "1.0.0", "1.0.0", "1.0.0"),
                row("1.1.0", "1.1.0", "1.0.0", "1.1.0"),
                row("1.1.0", "1.1.0", "1.1.0", "1.1.0"),
            ]
        );
    }

    #[test]
    fn a_restart_begins_counting_at_zero() {
        let mut fleet = Fleet::new("1.0.0", Traffic::default());
        run(&mut fleet, 30);
        let before = sum(&fleet, "http_requests_total", "");
        fleet.deploy("1.1.0", Health::Good);
        run(&mut fleet, 5);
        assert!(sum(&fleet, "http_requests_total", "") < before / 2.0);
    }

    #[test]
    fn a_second_deployment_takes_over() {
        let mut fleet = Fleet::new("1.0.0", Traffic::default());
        fleet.deploy("1.1.0", Health::Good);
        run(&mut fleet, 2);
        fleet.deploy("1.0.0", Health::Good);
        run(&mut fleet, 6);
        assert_eq!(fleet.versions(), ["1.0.0"; 3]);
    }

    #[test]
    fn the_same_seed_gives_the_same_pages() {
        let pages = |seed| {
            let mut fleet = Fleet::new(
                "1.0.0",
                Traffic {
                    seed,
                    ..Traffic::default()
                },
            );
            run(&mut fleet, 10);
            (0..Fleet::SIZE)
                .map(|at| fleet.page(at))
                .collect::<String>()
        };
        assert_eq!(pages(3), pages(3));
        assert_ne!(pages(3), pages(4));
    }

    #[test]
    fn a_version_cannot_break_the_page() {
        let fleet = Fleet::new("a\"b\\c\nd", Traffic::default());
        assert!(
            fleet
                .page(0)
                .contains(r#"app_build_info{version="a\"b\\c\nd"} 1"#)
        );
    }
}
