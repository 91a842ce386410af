//! Three instances of a service and the traffic they take, advanced in steps of time. No clock and no sockets:
//! `service.rs` advances it and serves its pages.

use std::collections::VecDeque;
use std::time::Duration;

use super::dice::Dice;
use super::instance::Health;
use super::instance::Instance;

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
