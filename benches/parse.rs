//! Bytes of exposition text per second: a page never seen, a page like the last one, and one with a series more, with
//! one line in ten wanted and with all. Pages have 100 to 110 bytes a line: 60 % HTTP counters and 12-bucket histograms,
//! 40 % node and container gauges. Set-up makes the pages; only reading is timed.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gated::model::{Labels, Timestamp};
use gated::source::exposition::{Fate, Format, Limits, Reader};

const SERIES: usize = 10_000;
const LIMITS: Limits = Limits {
    samples: 1 << 20,
    labels: 64,
    label_name_bytes: 1 << 10,
    label_value_bytes: 1 << 12,
};
const BOUNDS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
];

/// A page of about [`SERIES`] series; `tick` moves every value.
fn page(tick: usize) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments| text.write_fmt(args).expect("memory");
    let endpoints = SERIES * 6 / 10 / 18;
    let endpoint = |n: usize| {
        let method = ["GET", "POST", "DELETE"][n % 3];
        let area = ["orders", "users", "items", "carts"][n % 4];
        format!(
            "method=\"{method}\",path=\"/api/v1/{area}/{n}\",instance=\"10.0.{}.7:8080\"",
            n % 200
        )
    };
    line(format_args!(
        "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n"
    ));
    for n in 0..endpoints {
        for (status, share) in [(200, 97), (404, 2), (500, 1), (503, 0)] {
            let value = tick * share + n * 17;
            let labels = endpoint(n);
            line(format_args!(
                "http_requests_total{{{labels},status=\"{status}\"}} {value}\n"
            ));
        }
    }
    line(format_args!(
        "# HELP http_request_duration_seconds Latency.\n"
    ));
    line(format_args!(
        "# TYPE http_request_duration_seconds histogram\n"
    ));
    for n in 0..endpoints {
        let labels = endpoint(n);
        for (at, le) in BOUNDS.iter().enumerate() {
            let value = tick * 8 * at + n;
            line(format_args!(
                "http_request_duration_seconds_bucket{{{labels},le=\"{le}\"}} {value}\n"
            ));
        }
        let value = tick * 8 * 11 + n;
        line(format_args!(
            "http_request_duration_seconds_sum{{{labels}}} {value}.25\n"
        ));
        line(format_args!(
            "http_request_duration_seconds_count{{{labels}}} {value}\n"
        ));
    }
    line(format_args!(
        "# TYPE container_memory_working_set_bytes gauge\n"
    ));
    for n in 0..SERIES / 5 {
        let id = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let value = 250_000_000 + n * 4096 + tick * 512;
        line(format_args!(
            "container_memory_working_set_bytes{{container=\"app\",id=\"/pod{id:011x}\",namespace=\"prod-{}\",pod=\"app-{n}\"}} {value}\n",
            n % 17
        ));
    }
    line(format_args!("# TYPE node_filesystem_avail_bytes gauge\n"));
    for n in 0..SERIES / 5 {
        let value = 400_000_000_000 - 8192 * n;
        line(format_args!(
            "node_filesystem_avail_bytes{{device=\"/dev/nvme{n}n1p1\",fstype=\"ext4\",mountpoint=\"/var/lib/data/{n}\"}} {value:e}\n"
        ));
    }
    text
}

/// Wants one series in `nth`, as a rule's selector would: by looking at the labels.
fn fate(nth: usize) -> impl FnMut(Labels) -> Fate {
    let mut count = 0;
    move |labels| {
        count += 1;
        if black_box(&labels).get("__name__").is_some() && count % nth == 0 {
            Fate::Wanted(labels)
        } else {
            Fate::Unwanted
        }
    }
}

fn read(reader: &mut Reader, page: &str, format: Format, nth: usize) {
    let read = reader.read(
        page.as_bytes(),
        format,
        Timestamp::EPOCH,
        false,
        &mut fate(nth),
    );
    black_box(read.expect("the page is valid"));
}

fn parse(criterion: &mut Criterion) {
    let pages = [page(1_000), page(1_001)];
    println!("{} bytes a line", pages[0].len() / pages[0].lines().count());
    let open = pages
        .clone()
        .map(|page| page.replace("requests_total R", "requests R"));
    let open =
        open.map(|page| page.replace("TYPE http_requests_total", "TYPE http_requests") + "# EOF\n");
    for (name, format, pages) in [
        ("text", Format::Text, &pages),
        ("openmetrics", Format::OpenMetrics, &open),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(pages[0].len() as u64));
        for (share, nth) in [("10%", 10), ("100%", 1)] {
            group.bench_function(format!("new/{share}"), |bencher| {
                bencher.iter_batched_ref(
                    || Reader::new(LIMITS),
                    |reader| read(reader, &pages[0], format, nth),
                    BatchSize::LargeInput,
                );
            });
            let mut reader = Reader::new(LIMITS);
            read(&mut reader, &pages[0], format, nth);
            let mut tick = 0;
            group.bench_function(format!("known/{share}"), |bencher| {
                bencher.iter(|| {
                    tick += 1;
                    read(&mut reader, &pages[tick % 2], format, nth);
                });
            });
            // Each page has a series in its middle that the last one had not.
            let middle =
                pages[0].len() / 2 + pages[0][pages[0].len() / 2..].find('\n').expect("lines") + 1;
            let churned: Vec<String> = (0..2)
                .map(|n| {
                    let (before, after) = pages[0].split_at(middle);
                    format!("{before}churn_{n} 1\n{after}")
                })
                .collect();
            if format == Format::Text {
                group.bench_function(format!("one_more/{share}"), |bencher| {
                    bencher.iter(|| {
                        tick += 1;
                        read(&mut reader, &churned[tick % 2], format, nth);
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
