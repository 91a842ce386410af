//! `process_*` from `/proc`, as Prometheus' own clients name them. What cannot be read is left out.

use std::fs;

use super::text::Kind;
use super::text::Page;

pub fn write(page: &mut Page) {
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory size.",
            resident_bytes(),
        ),
        (
            "process_open_fds",
            "Open file descriptors.",
            fs::read_dir("/proc/self/fd")
                .ok()
                .map(|it| float(it.count() as u64)),
        ),
        (
            "process_max_fds",
            "Most file descriptors that may be open.",
            max_fds(),
        ),
        (
            "process_start_time_seconds",
            "When the process started, in Unix seconds.",
            start_time_seconds(),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            page.single(Kind::Gauge, name, help, value);
        }
    }
    if let Some(seconds) = cpu_seconds() {
        let help = "User and system time spent.";
        page.single(Kind::Counter, "process_cpu_seconds_total", help, seconds);
    }
}

/// Field `number` of `/proc/self/stat`, counted from 1 as in proc(5), past the command's name (field 2).
fn stat(number: usize) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name stands in parentheses and may hold spaces and parentheses itself.
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(number - 3)?.trim().parse().ok()
}

fn ticks_per_second() -> f64 {
    float(rustix::param::clock_ticks_per_second())
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / ticks_per_second())
}

fn resident_bytes() -> Option<f64> {
    Some(stat(24)? * float(rustix::param::page_size() as u64))
}

fn start_time_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + stat(22)? / ticks_per_second())
}

fn max_fds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts and sizes of one process stay below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_all_of_it() {
        let mut page = Page::default();
        write(&mut page);
        let text = page.finish();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is missing"))
                .rsplit_once(' ')
                .unwrap()
                .1
                .parse()
                .unwrap()
        };
        assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") >= 64.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_start_time_seconds") > 1.5e9);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
