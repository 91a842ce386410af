//! A day replayed: 200 series every 5 s, of one target or of four, thirty rules, from an `OpenMetrics` file as `promtool` dumps it.
//! Prints CPU seconds of one core and the most memory that was resident; no statistics, since a run takes seconds.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use gated::engine::Settings;
use gated::run::backtest::{Play, play, reads};
use gated::runbook::{Source, load};
use gated::source::recording::{MEMORY_BYTES, Recording, openmetrics};

const START: i64 = 1_775_001_600;
const SECONDS: i64 = 86_400;
const INTERVAL: i64 = 5;
const BUCKETS: [&str; 8] = ["0.01", "0.05", "0.1", "0.25", "0.5", "1", "5", "+Inf"];

/// Signals of five paths and one of each instance's gauges: thirty, each with a trigger.
fn rules() -> String {
    let mut text = "clock = \"rollout\"\n".to_owned();
    let mut triggers = String::new();
    let mut signal = |name: &str, expr: &str, unit: &str, when: &str| {
        let _ = writeln!(text, "[signals.{name}]\nexpr = '{expr}'\nunit = \"{unit}\"");
        let _ = writeln!(
            triggers,
            "[[phase.trigger]]\nname = \"{name}\"\nwhen = \"{name} {when}\"\nfor = \"30s\"\ndo = \"rollback\""
        );
    };
    for path in 0..2 {
        for (range, of) in [
            ("15s", "15s"),
            ("30s", "30s"),
            ("1m", "1m"),
            ("2m", "2m"),
            ("5m", "5m"),
        ] {
            let total =
                format!("sum(rate(http_requests_total{{job=\"api\",path=\"{path}\"}}[{range}]))");
            let failed = format!(
                "sum(rate(http_requests_total{{job=\"api\",path=\"{path}\",status=~\"5..\"}}[{range}]))"
            );
            signal(
                &format!("errors_{path}_{of}"),
                &format!("{failed} / {total}"),
                "ratio",
                "> 50%",
            );
            let p95 = format!(
                "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{job=\"api\",path=\"{path}\"}}[{range}])))"
            );
            signal(&format!("p95_{path}_{of}"), &p95, "seconds", "> 30s");
        }
    }
    for gauge in 0..10 {
        let expr = format!("max(gauge_{gauge}{{job=\"api\"}})");
        signal(&format!("gauge_{gauge}"), &expr, "none", "> 1000");
    }
    format!("{text}\n[[phase]]\nname = \"watch\"\nfrom = \"0s\"\nrollback = \"armed\"\n{triggers}")
}

/// Each target: two paths with four statuses and eight buckets, sum and count, and the rest gauges; 200 of all.
fn series(targets: usize) -> Vec<(String, Kind)> {
    let mut all = Vec::new();
    for target in 0..targets {
        let own = format!("instance=\"10.0.0.{target}:8080\",job=\"api\"");
        for path in 0..2 {
            for status in ["200", "404", "500", "503"] {
                let head =
                    format!("http_requests_total{{{own},path=\"{path}\",status=\"{status}\"}}");
                all.push((head, Kind::Counter(if status == "200" { 400 } else { 1 })));
            }
            for (place, le) in (0..).zip(BUCKETS) {
                let head = format!(
                    "http_request_duration_seconds_bucket{{{own},le=\"{le}\",path=\"{path}\"}}"
                );
                all.push((head, Kind::Counter(50 * (place + 1))));
            }
            for part in ["sum", "count"] {
                let head = format!("http_request_duration_seconds_{part}{{{own},path=\"{path}\"}}");
                all.push((head, Kind::Counter(400)));
            }
        }
        all.push((format!("up{{{own}}}"), Kind::One));
        let left = 200 / targets * (target + 1) - all.len();
        for gauge in 0..left {
            all.push((
                format!("gauge_{}{{{own},n=\"{}\"}}", gauge % 10, gauge / 10),
                Kind::Gauge,
            ));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[derive(Clone, Copy)]
enum Kind {
    Counter(u64),
    Gauge,
    One,
}

fn write(path: &std::path::Path, targets: usize) -> u64 {
    let mut out = std::io::BufWriter::new(fs::File::create(path).expect("a file"));
    let mut samples = 0;
    for (head, kind) in series(targets) {
        let (mut value, mut dice) = (1_000_000_u64, 12_345_u64);
        for at in (START..START + SECONDS).step_by(usize::try_from(INTERVAL).expect("small")) {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let chance = dice >> 33;
            let shown = match kind {
                Kind::Counter(step) => {
                    value += step + chance % (step / 4 + 1);
                    value.to_string()
                }
                Kind::Gauge => format!("{}.{:03}", chance % 90, dice % 1000),
                Kind::One => "1".to_owned(),
            };
            writeln!(out, "{head} {shown} {at}.{:03}", 100).expect("space");
            samples += 1;
        }
    }
    out.write_all(b"# EOF\n").expect("space");
    samples
}

/// User and system time of this process, in seconds.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind = stat.rsplit_once(')').expect("a name in parentheses").1;
    let fields: Vec<f64> = behind
        .split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect();
    // Of the fields behind the name and the state: utime is the 11th, stime the 12th; ticks of 10 ms.
    (fields[10] + fields[11]) / 100.0
}

fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|it| it.starts_with("VmHWM"))
        .expect("Linux");
    let kb: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .expect("kB");
    kb / 1024.0
}

#[allow(clippy::cast_precision_loss, reason = "megabytes for people")]
fn main() {
    let rules = Source {
        path: "rules.toml".into(),
        text: rules(),
    };
    let rules = load(&[rules]).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    assert_eq!(rules.signals.len(), 30);
    let settings = Arc::new(Settings::plain("api", Arc::new(rules)).armed("deployer"));
    for targets in [1, 4] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("day.om");
        let samples = write(&path, targets);
        let bytes = fs::metadata(&path).expect("it is there").len();
        println!(
            "{targets} targets, {} series, {samples} samples, {:.0} MB of text",
            series(targets).len(),
            bytes as f64 / 1e6
        );
        replay(&path, &settings);
    }
}

#[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
fn replay(path: &std::path::Path, settings: &Arc<Settings>) {
    let began = cpu();
    let mut recording = Recording::new(vec![reads(settings)], MEMORY_BYTES);
    let file = fs::File::open(path).expect("it is there");
    openmetrics::read(file, &mut recording).expect("it is sound");
    recording.sort().expect("space");
    let read = cpu();
    let it = Play {
        recording: &recording,
        rollouts: &["2.0.0@1775005200".parse().expect("a rollout")],
        interval: None,
        start: None,
        end: None,
        draw: false,
    };
    let outcome = play(&it, Arc::clone(settings), &mut |_| ()).expect("it is played");
    let judged = cpu();
    println!(
        "  read {:.2} s, judged {:.2} s, together {:.2} s of CPU; {:.0} MB resident at most so far",
        read - began,
        judged - read,
        judged - began,
        resident_mb()
    );
    println!(
        "  {} readings, {} decisions; {:.0} times as fast as it was recorded",
        outcome.evaluations,
        outcome.decisions.len(),
        SECONDS as f64 / (judged - began)
    );
}
