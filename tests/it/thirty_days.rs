//! A go-live of thirty days on a virtual clock, under the shipped rules: one bad hour (a P2), the clock of Berlin going
//! forward, two restarts. Phases are entered when the wall says, reports fall due and hold the numbers that this test
//! counts by itself, and the criteria of the exit turn met on the right day.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gated::engine::{
    Call, CriterionOutcome, Effect, Engine, Event, Input, ItemState, Observed, Record, ReportPlan,
    Reported, Scrape, Settings, TargetInfo, Word, look_back,
};
use gated::model::calendar::TimeOfDay;
use gated::model::{Labels, NoticeReport, Status, TargetId, Timestamp, Verdict};
use gated::report::Kind;
use gated::runbook::{Source, load};
use gated::sink::Ledger;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::binary::gated;
use crate::rules_files::shared;
use crate::world::{columns, settings as small};

const MINUTE: i64 = 60_000;
const DAYS: i64 = 30;
/// The go-live: midnight in Berlin. On 2026-03-29, day 29, the clock goes from 02:00 to 03:00.
const GO_LIVE: &str = "2026-03-01T00:00:00+01:00";
/// Of the bad hour, in minutes from the go-live: the third day, from 10:00.
const BAD: std::ops::Range<i64> = 2 * 1440 + 600..2 * 1440 + 660;
const ERRORS: f64 = 0.05;

fn go_live() -> i64 {
    GO_LIVE.parse::<Timestamp>().unwrap().millis()
}

fn zone() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

/// The shipped rules with ranges for one scrape a minute. Averages over days and weeks of the uptime are figures that
/// nobody waits for: over hours they take less of this test's minute.
fn rules() -> String {
    shared("rules/day1.toml")
        .text
        .replace("[20s]", "[3m]")
        .replace("[1m]", "[3m]")
        .replace("[7d]", "[6h]")
        .replace("[1d]", "[2h]")
}

/// Requests in the minute that ends `minute` minutes after the go-live, and how many of them fail.
fn traffic(minute: i64) -> (f64, f64) {
    let requests = if minute.rem_euclid(1440) < 480 {
        300.0
    } else {
        1200.0
    };
    let failed = if BAD.contains(&minute) {
        requests * ERRORS
    } else {
        0.0
    };
    (requests, failed)
}

struct Service {
    slots: Vec<Labels>,
    counters: BTreeMap<&'static str, f64>,
}

impl Service {
    fn page(&mut self, minute: i64) -> Vec<(Labels, f64)> {
        let (requests, failed) = traffic(minute);
        let mut add = |name, by| {
            let counter = self.counters.entry(name).or_default();
            *counter += by;
            *counter
        };
        let ok = add("200", requests - failed);
        let bad = add("500", failed);
        // Nine in ten within 50 ms, all within 100 ms: p95 lies in the middle of the second bucket.
        let (fast, all) = (add("0.05", requests * 0.9), add("0.1", requests));
        let seconds = add("sum", requests * 0.04);
        let series = |name: &str, labels: &[(&str, &str)]| {
            let own = [("__name__", name), ("job", "api"), ("instance", "a:80")];
            Labels::new(own.into_iter().chain(labels.iter().copied()))
        };
        let le = |le| ("http_request_duration_seconds_bucket", [("le", le)]);
        let day = minute / 1440;
        let mut page = vec![
            (series("http_requests_total", &[("status", "200")]), ok),
            (series("http_requests_total", &[("status", "500")]), bad),
            (series("http_request_duration_seconds_sum", &[]), seconds),
            (series("http_request_duration_seconds_count", &[]), all),
        ];
        for (bound, value) in [("0.05", fast), ("0.1", all), ("0.5", all), ("+Inf", all)] {
            let (name, labels) = le(bound);
            page.push((series(name, &labels), value));
        }
        for (name, value) in [
            ("cpu_utilization_ratio", 0.3),
            ("memory_utilization_ratio", 0.5),
            ("smoke_test_failures", 0.0),
            ("app_active_users", 20.0 + day as f64),
            ("app_registered_users", 400.0),
            ("ml_data_drift", 0.0),
            ("ml_prediction_accuracy_ratio", 0.942),
            ("ml_prediction_latency_avg_seconds", 0.045),
        ] {
            page.push((series(name, &[]), value));
        }
        page
    }
}

fn configured() -> Settings {
    let source = Source {
        path: "day1.toml".into(),
        text: rules(),
    };
    let rules = load(&[source]).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let plan = |kind, at, on: &[jiff::civil::Weekday]| ReportPlan {
        kind,
        due: TimeOfDay::new(at, on.to_vec()).unwrap(),
        hooks: vec!["people".into()],
    };
    let mut settings = small("[signals.up]\nexpr = 'up'\n");
    settings.rules = Arc::new(rules);
    settings.zone = zone();
    settings.rollout.go_live = Some(Timestamp::from_millis(go_live()));
    settings.rollout.version_from = None;
    settings.alerting = None;
    settings.reports = vec![
        plan(Kind::Day, "20:00", &[]),
        plan(Kind::Status, "17:00", &[]),
        plan(Kind::Week, "16:00", &[jiff::civil::Weekday::Friday]),
        plan(Kind::Hypercare, "09:00", &[]),
    ];
    settings
}

/// One life after another over one ledger.
struct World {
    engine: Option<Engine>,
    ledger: Option<Ledger>,
    path: PathBuf,
    service: Service,
    /// Not yet in the ledger: an hour is committed at once, or the disk would take longer than the thirty days.
    records: Vec<Record>,
    /// When each phase was entered, in the order in which they were.
    entered: Vec<(String, Timestamp)>,
    reports: Vec<(Kind, String, Timestamp)>,
    decided: Vec<(Timestamp, String)>,
    token: u64,
}

impl World {
    fn begin(path: PathBuf, at: i64) -> Self {
        let mut world = Self {
            engine: None,
            ledger: None,
            path,
            service: Service {
                slots: Vec::new(),
                counters: BTreeMap::new(),
            },
            records: Vec::new(),
            entered: Vec::new(),
            reports: Vec::new(),
            decided: Vec::new(),
            token: 0,
        };
        world.start(at);
        world
    }

    fn start(&mut self, at: i64) {
        let at = Timestamp::from_millis(at);
        let (ledger, mut restored) = Ledger::open(&self.path, at).unwrap();
        restored.minutes = ledger.minutes(&look_back(&configured(), at)).unwrap();
        self.ledger = Some(ledger);
        let mut out = Vec::new();
        self.engine = Some(Engine::new(Arc::new(configured()), restored, at, &mut out));
        self.service.slots.clear();
        self.take(out, at);
        self.input(
            at.millis() + 1,
            Input::Target(TargetInfo {
                id: TargetId(0),
                job: "api".into(),
                instance: "a:80".into(),
                url: "http://a/metrics".into(),
                labels: Labels::new([("job", "api"), ("instance", "a:80")]),
                interval: Duration::from_secs(60),
                timeout: Duration::from_secs(10),
            }),
        );
    }

    fn end(&mut self) {
        self.commit();
        self.engine = None;
        self.ledger.take().unwrap().close().unwrap();
    }

    fn commit(&mut self) {
        let records = std::mem::take(&mut self.records);
        let ledger = self.ledger.as_mut().unwrap();
        ledger.commit(&records, |_, _| b"{}".to_vec()).unwrap();
    }

    fn input(&mut self, at: i64, input: Input) {
        let mut out = Vec::new();
        let at = Timestamp::from_millis(at);
        self.engine.as_mut().unwrap().apply(at, input, &mut out);
        self.take(out, at);
    }

    fn take(&mut self, out: Vec<Effect>, at: Timestamp) {
        for effect in out {
            match effect {
                Effect::Record(record) => {
                    if let Record::Decision(it) = &record {
                        self.decided.push((it.at, it.trigger.clone()));
                    }
                    self.records.push(record);
                }
                Effect::Tell(Event::PhaseEntered { phase, .. }) => self.entered.push((phase, at)),
                Effect::Report(due) => {
                    self.reports
                        .push((due.kind, due.date.to_string(), due.made_at));
                    let report = NoticeReport {
                        kind: due.kind.word().into(),
                        date: due.date.to_string(),
                        status: Status::Green,
                        title: "made".into(),
                        markdown: String::new(),
                        html: String::new(),
                    };
                    let reported = Reported {
                        kind: due.kind,
                        date: due.date,
                        outcome: Ok(report),
                        unkept: None,
                    };
                    self.input(at.millis() + 1, Input::Reported(reported));
                }
                Effect::Send { .. }
                | Effect::Alerts(_)
                | Effect::Answer { .. }
                | Effect::Tell(_) => {}
            }
        }
    }

    fn call(&mut self, at: i64, call: Call) {
        self.token += 1;
        let token = self.token;
        self.input(at, Input::Operator { token, call });
    }

    fn attest(&mut self, at: i64, item: &str, note: &str) {
        let said = Word {
            by: "ada".into(),
            reason: note.into(),
        };
        let item = item.to_owned();
        self.call(
            at,
            Call::Attest {
                item,
                said,
                done: true,
            },
        );
    }

    fn observe(&mut self, at: i64, name: &str, value: f64) {
        let labels = Labels::new([("__name__", name)]);
        let call = Call::Observe {
            values: vec![Observed { labels, value }],
            lifetime: Duration::from_secs(2 * 86_400),
            by: "support".into(),
        };
        self.call(at, call);
    }

    /// The scrape of a minute lands five seconds into it, and then the minute ends.
    fn minute(&mut self, minute: i64) {
        let at = go_live() + minute * MINUTE + 5000;
        let page = self.service.page(minute);
        let columns = columns(&mut self.service.slots, &page);
        self.input(
            at,
            Input::Scraped(Scrape {
                target: TargetId(0),
                at: Timestamp::from_millis(at),
                duration: Duration::from_millis(3),
                outcome: Ok(columns),
            }),
        );
        if minute % 60 == 59 {
            self.commit();
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }
}

fn shown(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap();
    zone().to_datetime(at).strftime("%m-%d %H:%M").to_string()
}

/// Of the minutes from `from` until `until` after the go-live, how many were down, counted without gated: errors of the
/// last two minutes, which a range of three minutes over samples a minute apart sees, above 1 %.
fn down(from: i64, until: i64) -> i64 {
    let bad = (from..until).filter(|minute| {
        let (a, b) = (traffic(*minute), traffic(minute - 1));
        (a.1 + b.1) / (a.0 + b.0) > 0.01
    });
    i64::try_from(bad.count()).unwrap()
}

#[test]
#[allow(clippy::too_many_lines, reason = "thirty days in their order")]
fn thirty_days_from_the_go_live_to_business_as_usual() {
    let mut folder = tempfile::tempdir().unwrap();
    // To look at afterwards: `gated report …` with the files there.
    if let Some(kept) = std::env::var_os("GATED_THIRTY_DAYS") {
        std::fs::create_dir_all(&kept).unwrap();
        folder = tempfile::Builder::new()
            .prefix("go-live-")
            .tempdir_in(kept)
            .unwrap();
        folder.disable_cleanup(true);
    }
    let path = folder.path().join("gated.db");
    // Watched for a quarter of an hour before.
    let mut world = World::begin(path, go_live() - 15 * MINUTE);
    let restarts = [4 * 1440 + 90, 20 * 1440 + 700];
    let mut uptime_met = None;
    let mut calm_met = None;
    for minute in -14..DAYS * 1440 + 120 {
        let at = go_live() + minute * MINUTE;
        if restarts.contains(&minute) {
            world.end();
            world.start(at);
        }
        world.minute(minute);
        // Support looks at the queue each morning and asks ten users; nobody keeps order better than that.
        if minute.rem_euclid(1440) == 7 * 60 {
            let day = minute / 1440;
            world.observe(
                at + 6000,
                "support_tickets_open",
                10.0 + f64::from((day % 3) as i32),
            );
            world.observe(at + 6001, "user_satisfaction_score", 4.3);
        }
        if minute == 18 * 60 {
            world.attest(
                at + 6000,
                "report/achievement",
                "No ticket was older than an hour",
            );
            world.attest(at + 6001, "report/focus", "Look at the queue at noon");
        }
        if minute == 29 * 1440 {
            for (n, item) in [
                "operations-team-fully-trained",
                "all-runbooks-documented-and-tested",
                "continuous-improvement-process-established",
            ]
            .iter()
            .enumerate()
            {
                world.attest(at + 6000 + n as i64, &format!("exit/{item}"), "");
            }
        }
        if minute % 60 == 0 {
            let now = Timestamp::from_millis(at + 7000);
            let snapshot = world.engine().snapshot(now);
            let outcome = |words: &str| {
                let found = snapshot
                    .criteria
                    .iter()
                    .find(|it| it.text.starts_with(words));
                found.unwrap().outcome
            };
            if outcome("Uptime") == CriterionOutcome::Met {
                uptime_met.get_or_insert(minute);
            }
            if outcome("Zero P1") == CriterionOutcome::Met {
                calm_met.get_or_insert(minute);
            }
        }
    }
    // Phases, by the wall of Berlin, whatever hour the clock left out.
    let entered: Vec<String> = world
        .entered
        .iter()
        .map(|(phase, at)| format!("{} {phase}", shown(*at)))
        .collect();
    let mut expected = vec![
        "03-01 00:00 preflight",
        "03-01 01:00 deployment",
        "03-01 03:00 access",
        "03-01 05:00 business-hours",
        "03-01 09:00 peak",
        "03-01 13:00 sustained",
        "03-02 00:00 week-1",
        // A restart says where it is.
        "03-05 01:30 week-1",
        "03-08 00:00 stabilization",
        "03-15 00:00 transition",
        "03-21 11:40 transition",
        "03-31 00:00 exit",
    ];
    assert_eq!(entered, expected);
    expected.clear();

    // The bad hour opened one P2 and nothing was rolled back.
    let now = Timestamp::from_millis(go_live() + (DAYS * 1440 + 119) * MINUTE + 50_000);
    let snapshot = world.engine().snapshot(now);
    let incidents: Vec<(String, String)> = snapshot
        .incidents
        .iter()
        .map(|it| {
            (
                it.incident.severity.to_string(),
                shown(it.incident.opened_at),
            )
        })
        .collect();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert!(
        incidents[0].0 == "P2" && incidents[0].1.starts_with("03-03 10:0"),
        "{incidents:?}"
    );
    assert!(
        world
            .decided
            .iter()
            .all(|(_, trigger)| !trigger.starts_with("smoke"))
    );

    // Exit: two weeks after the last bad minute, and two weeks after gated began to watch. The hour that the clock left
    // out is no minute of either.
    let last_bad = (BAD.start..BAD.end + 5)
        .rev()
        .find(|it| down(*it, it + 1) > 0)
        .unwrap();
    let fortnight = 14 * 1440;
    let uptime_met = uptime_met.expect("uptime turned met");
    // More than 99.9 % of 20160 minutes: 20 of the bad hour may still be in the window.
    let earliest = last_bad + 1 + fortnight - 20;
    assert!(
        (earliest..earliest + 61).contains(&uptime_met),
        "{uptime_met}, not {earliest}"
    );
    let calm_met = calm_met.expect("two weeks without a P1");
    assert!(
        (fortnight - 15..fortnight + 61).contains(&calm_met),
        "{calm_met}"
    );
    for it in snapshot.criteria.iter() {
        assert_eq!(it.outcome, CriterionOutcome::Met, "{it:?}");
    }
    assert_eq!(
        snapshot.verdict.verdict,
        Verdict::Go,
        "{:?}",
        snapshot.verdict.reasons
    );
    let morning = snapshot
        .checklist
        .iter()
        .find(|it| it.id == "week-1/check-incident-log");
    assert_eq!(
        morning.unwrap().state,
        ItemState::Open,
        "the last morning of the week was not attested"
    );

    // Reports fell due, each once: 30 evenings, 30 mails, Fridays, and the one at the end.
    let of = |kind| world.reports.iter().filter(move |it| it.0 == kind);
    assert_eq!((of(Kind::Day).count(), of(Kind::Status).count()), (30, 30));
    let fridays: Vec<&str> = of(Kind::Week).map(|it| it.1.as_str()).collect();
    assert_eq!(
        fridays,
        ["2026-03-06", "2026-03-13", "2026-03-20", "2026-03-27"]
    );
    for (kind, date, made_at) in &world.reports {
        let hour = match kind {
            Kind::Day => "20:00",
            Kind::Status => "17:00",
            Kind::Week => "16:00",
            Kind::Hypercare => "09:00",
        };
        assert_eq!(
            shown(*made_at),
            format!("{} {hour}", &date[5..]),
            "{kind:?}"
        );
    }
    // People were told of each morning of the first week, by the wall.
    let mornings = world
        .decided
        .iter()
        .filter(|(_, trigger)| trigger == "due:Every morning");
    let mornings: Vec<String> = mornings.map(|(at, _)| shown(*at)).collect();
    assert_eq!(mornings.len(), 7, "{mornings:?}");
    assert!(
        mornings.iter().all(|it| it.ends_with("08:00")),
        "{mornings:?}"
    );
    world.end();
    numbers(&folder);
}

/// What the program says of the same ledger.
fn report(folder: &tempfile::TempDir, kind: &str, date: &str) -> Value {
    let data = folder.path().to_str().unwrap();
    let config = folder.path().join("gated.toml");
    let rules = folder.path().join("day1.toml");
    std::fs::write(
        &config,
        format!("[service]\nname = \"api\"\nenvironment = \"production\"\ntimezone = \"Europe/Berlin\"\nproject = \"Atlas\"\n[rollout]\ngo_live = \"{GO_LIVE}\"\n"),
    )
    .unwrap();
    std::fs::write(&rules, crate::thirty_days::rules()).unwrap();
    // That of the thirty days has no date.
    let dated: &[&str] = if kind == "hypercare" {
        &[]
    } else {
        &["--date", date]
    };
    let out = gated(&["report", kind, "--format", "json"])
        .args(dated)
        .args([
            "--config",
            config.to_str().unwrap(),
            "--rules",
            rules.to_str().unwrap(),
        ])
        .args(["--data", data, "--listen", "127.0.0.1:1"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{errors}");
    serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out:?}"))
}

fn signal<'a>(report: &'a Value, name: &str) -> &'a Value {
    let signals = report["signals"].as_array().unwrap();
    let found = signals.iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {signals:#?}"))
}

/// The day with the bad hour, its week, the day of 23 hours, and all thirty days.
fn numbers(folder: &tempfile::TempDir) {
    for (kind, date, from, until, incidents) in [
        ("day", "2026-03-01", 0, 1440, 0),
        ("day", "2026-03-03", 2 * 1440, 3 * 1440, 1),
        ("day", "2026-03-29", 28 * 1440, 29 * 1440 - 60, 0),
        // The week began before the go-live, its report with it.
        ("week", "2026-03-06", 0, 6 * 1440, 1),
        ("week", "2026-03-13", 6 * 1440, 13 * 1440, 0),
        ("hypercare", "2026-03-31", 0, 30 * 1440 - 60, 1),
    ] {
        let made = report(folder, kind, date);
        let about = |what: &str| format!("{kind} {date}: {what}: {made:#}");
        let down = down(from, until) as f64;
        let known = (until - from) as f64;
        let begins = Timestamp::from_millis(go_live() + from * MINUTE);
        assert_eq!(made["period"]["from"], begins.to_string());
        assert_eq!(made["period"]["seconds"], (until - from) * 60);
        let uptime = signal(&made, "uptime");
        let value = uptime["value"]
            .as_f64()
            .unwrap_or_else(|| panic!("{}", about("uptime")));
        let expected = 1.0 - down / known;
        assert!(
            (value - expected).abs() < 3.0 / known,
            "{}, not {expected}",
            about("uptime")
        );
        let calls: f64 = (from..until).map(|it| traffic(it).0).sum();
        let value = signal(&made, "throughput")["value"].as_f64().unwrap();
        assert!((value / calls - 1.0).abs() < 0.01, "{value}, not {calls}");
        let failed: f64 = (from..until).map(|it| traffic(it).1).sum();
        let value = signal(&made, "error_rate")["value"].as_f64().unwrap();
        assert!(
            (value - failed / calls).abs() < 0.0005,
            "{value}, not {}",
            failed / calls
        );
        let p95 = signal(&made, "api_latency_p95")["value"].as_f64().unwrap();
        assert!((p95 - 0.075).abs() < 0.001, "{p95}");
        assert_eq!(
            made["incidents_opened"]["P2"],
            incidents,
            "{}",
            about("incidents")
        );
        assert_eq!(made["incidents_opened"]["P1"], 0);
        let satisfaction = signal(&made, "user_satisfaction")["value"]
            .as_f64()
            .unwrap();
        assert!((satisfaction - 4.3).abs() < 1e-9);
    }
    let day = report(folder, "day", "2026-03-01");
    assert!(
        day.to_string().contains("Look at the queue at noon"),
        "{day:#}"
    );
    let whole = report(folder, "hypercare", "2026-03-31").to_string();
    assert!(
        whole.contains("No ticket was older than an hour"),
        "{whole}"
    );
    // The budget is that of thirty days, whatever day the report is about.
    let later = report(folder, "day", "2026-03-10").to_string();
    assert!(later.contains("1 h 1 min of 43 min used"), "{later}");
    let short = report(folder, "day", "2026-03-29");
    assert_eq!(short["period"]["seconds"], 23 * 3600);
}
