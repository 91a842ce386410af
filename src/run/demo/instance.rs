//! One instance of the demo's service: what it counts, and the page that shows it.

use std::collections::BTreeMap;
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

/// One running process. Its counters begin at zero with it.
#[derive(Debug)]
pub struct Instance {
    pub version: String,
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
    pub fn new(version: &str, health: Health) -> Self {
        Self {
            version: version.to_owned(),
            health,
            requests: BTreeMap::new(),
            latency: [Histogram::default(); ROUTES.len()],
            cpu: 0.2,
            memory: 0.38,
        }
    }

    pub fn serve(&mut self, dice: &mut Dice) {
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
    pub fn breathe(&mut self, by: Duration, dice: &mut Dice) {
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

    pub fn page(&self) -> String {
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
