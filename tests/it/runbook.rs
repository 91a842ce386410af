//! RUNBOOK.md, line by line: each is judged by a machine, attested by a person, told at its time, reported, stands in the
//! configuration, or is out of reach for a stated reason. Nothing is left over, and nothing stands here that it does not say.

use std::collections::BTreeSet;
use std::fs;

use gated::model::calendar::TimeOfDay;
use gated::runbook::{Back, Condition, Phase, Rules, Sight, SightKind, When, load};

use crate::rules_files::shared;

/// Where gated has a line that the rules do not hold in its own words.
enum Way {
    /// `[phase.targets]` or `[phase.expected]`: phase, signal, as written.
    Target(&'static str, &'static str, &'static str),
    /// A trigger of the phase that rolls back: as written.
    Rollback(&'static str, &'static str),
    /// A trend or a figure of the reports: the signal.
    Reported(&'static str),
    /// These words stand in config/day1.toml, and not in a comment.
    Configured(&'static str),
    /// The activity of this title in this phase, at the time that the line says.
    At(&'static str, &'static str),
    /// What a dry run looks at: the test that shows it.
    Shown(&'static str),
    /// A step of an incident's clock: its title, from, until.
    Clock(&'static str, &'static str),
    /// What stands below it is looked at by itself.
    Heading,
    /// Nothing of gated's: why.
    Out(&'static str),
}

use Way::{At, Clock, Configured, Heading, Out, Reported, Rollback, Shown, Target};

/// Every line that holds no item, activity, step or criterion in its own words.
const LINES: &[(&str, Way)] = &[
    // Hour 0
    (
        "Backup and rollback procedures tested",
        Shown("a_rollback_hook_that_is_not_ready_is_no_go_and_says_why"),
    ),
    // Hours 1-2
    ("**Execute Final Deployment**", Heading),
    ("**Verify Key Components**", Heading),
    (
        "**Execute Smoke Tests**",
        Target("preflight", "smoke_test_failures", "== 0"),
    ),
    ("**Monitor Initial Metrics**", Heading),
    (
        "API latency: Target <100ms p95",
        Target("deployment", "api_latency_p95", "< 100ms"),
    ),
    (
        "CPU utilization: Target <40%",
        Target("deployment", "cpu_utilization", "< 40%"),
    ),
    (
        "Memory utilization: Target <60%",
        Target("deployment", "memory_utilization", "< 60%"),
    ),
    (
        "Error rate: Target 0%",
        Target("deployment", "error_rate", "== 0%"),
    ),
    (
        "Throughput: Baseline established",
        Target("deployment", "throughput", "> 50% of baseline"),
    ),
    (
        "Any smoke test failure",
        Rollback("deployment", "smoke_test_failures > 0"),
    ),
    ("Error rate >1%", Rollback("deployment", "error_rate > 1%")),
    (
        "API latency >500ms",
        Rollback("deployment", "api_latency_p95 > 500ms"),
    ),
    (
        "Critical component failure",
        Rollback("deployment", "components_down > 0"),
    ),
    // Hours 3-4
    ("**Enable User Access**", Heading),
    ("**Send Go-Live Communication**", Heading),
    ("**Monitor User Activity**", Heading),
    (
        "Concurrent users: 10-50 (pilot users)",
        Target("access", "active_users", "between 10 and 50"),
    ),
    (
        "API calls: 100-500",
        Target("access", "api_calls_per_hour", "between 100 and 500"),
    ),
    (
        "Error rate: <0.5%",
        Target("access", "error_rate", "< 0.5%"),
    ),
    (
        "User satisfaction: >4/5",
        Target("access", "user_satisfaction", "> 4"),
    ),
    // Hours 5-8
    (
        "**Stakeholder Briefing (8:30 AM)**",
        At("business-hours", "Stakeholder briefing"),
    ),
    ("**Proactive User Engagement**", Heading),
    (
        "Active users: Growing steadily",
        Target("business-hours", "active_users_growth", "> 0/h"),
    ),
    (
        "Support tickets: <5 per hour",
        Target("business-hours", "support_tickets_per_hour", "< 5/h"),
    ),
    (
        "Average ticket resolution: <30 minutes",
        Target("business-hours", "ticket_resolution_time", "< 30m"),
    ),
    (
        "User sentiment: Positive (>80%)",
        Target("business-hours", "user_sentiment", "> 80%"),
    ),
    // Hours 9-12
    ("**Scale Monitoring**", Heading),
    ("**Issue Triage**", Heading),
    (
        "**ML Model Performance**",
        Target("peak", "data_drift", "== 0"),
    ),
    (
        "API latency stable (<150ms p95)",
        Target("peak", "api_latency_p95", "< 150ms"),
    ),
    (
        "Zero critical errors",
        Target("peak", "critical_alerts", "== 0"),
    ),
    (
        "User engagement increasing",
        Target("peak", "active_users_growth", "> 0/h"),
    ),
    (
        "Support volume manageable",
        Target("peak", "support_tickets_per_hour", "< 5/h"),
    ),
    // Hours 13-24
    (
        "**Afternoon Review (14:00)**",
        At("sustained", "Afternoon review"),
    ),
    (
        "**Evening Transition (17:00)**",
        At("sustained", "Evening transition"),
    ),
    (
        "**End of Day Report (20:00)**",
        Configured("at     = \"20:00\""),
    ),
    // Days 1-7
    (
        "**Every Morning (8:00 AM):**",
        At("week-1", "Every morning"),
    ),
    (
        "**Daily Standup (9:00 AM - 15 min):**",
        At("week-1", "Daily standup"),
    ),
    (
        "**Every Afternoon (14:00):**",
        At("week-1", "Every afternoon"),
    ),
    ("**Every Evening (17:00):**", At("week-1", "Every evening")),
    (
        "System uptime (target: >99.5%)",
        Target("week-1", "uptime_week", "> 99.5%"),
    ),
    (
        "API latency p95 (target: <150ms)",
        Target("week-1", "api_latency_p95", "< 150ms"),
    ),
    (
        "Error rate (target: <1%)",
        Target("week-1", "error_rate", "< 1%"),
    ),
    (
        "User adoption rate (target: 80% of pilot users)",
        Target("week-1", "user_adoption", ">= 80%"),
    ),
    (
        "Support ticket volume trend",
        Reported("support_tickets_opened"),
    ),
    (
        "Model prediction accuracy",
        Target("week-1", "model_accuracy", "within 5% of baseline"),
    ),
    (
        "User satisfaction score",
        Target("week-1", "user_satisfaction", "> 4"),
    ),
    // Dashboards
    ("URL: [Your monitoring URL]", Configured("external_url")),
    ("Purpose: High-level system health", Reported("uptime")),
    (
        "Metrics: Uptime, users, transactions, errors",
        Reported("transactions"),
    ),
    (
        "Refresh: Real-time",
        Out("the status page is live; who draws dashboards asks Prometheus' API of gated"),
    ),
    (
        "Purpose: Detailed system metrics",
        Reported("cpu_utilization"),
    ),
    (
        "Metrics: CPU, memory, latency, throughput",
        Reported("memory_utilization"),
    ),
    ("Refresh: 1 minute", Out("the status page is live")),
    (
        "Purpose: Model performance tracking",
        Reported("model_accuracy"),
    ),
    (
        "Metrics: Predictions, accuracy, drift, latency",
        Reported("predictions"),
    ),
    ("Refresh: 5 minutes", Out("the status page is live")),
    (
        "Purpose: User behavior and adoption",
        Reported("user_adoption"),
    ),
    (
        "Metrics: Active users, features used, session duration",
        Reported("session_duration"),
    ),
    // Channels
    (
        "🚨 **P1 Hotline:** [Phone number]",
        Configured("name     = \"pager\""),
    ),
    (
        "💬 **Teams/Slack:** #[channel-name]",
        Configured("name     = \"chat\""),
    ),
    ("📧 **Operations Email:** [email]", Configured("email  = ")),
    (
        "**URL:** [Ticketing system URL]",
        Out("gated opens no tickets: a webhook of the ticketing system is called for an incident"),
    ),
    (
        "📋 **Categories:** Technical, User Support, Enhancement",
        Out("how tickets are sorted is the ticketing system's"),
    ),
    (
        "**SLA:** P1: 15 min, P2: 1 hour, P3: 4 hours, P4: 24 hours",
        Configured("acknowledge_within = \"15m\""),
    ),
    // P1
    (
        "**Alert Received** (0-5 min)",
        Clock("Alert received", "0m-5m"),
    ),
    (
        "**Initial Assessment** (5-10 min)",
        Clock("Initial assessment", "5m-10m"),
    ),
    (
        "**Communication** (10-15 min)",
        Clock("Communication", "10m-15m"),
    ),
    (
        "**Triage & Resolution** (15+ min)",
        Clock("Triage & resolution", "15m-"),
    ),
    (
        "**Post-Incident** (After resolution)",
        Clock("Post-mortem", "0m-48h"),
    ),
    (
        "On-call Engineer → 2. Operations Manager → 3. Technical Lead → 4. CTO",
        Configured("{ role = \"CTO\",                hooks"),
    ),
    // Contacts
    (
        "Role | Name | Phone | Email | Backup |",
        Configured("backup = "),
    ),
    ("------|------|-------|-------|--------|", Heading),
    (
        "**Operations Manager** | [Name] | [Phone] | [Email] | [Backup Name] |",
        Configured("[contacts.\"operations manager\"]"),
    ),
    (
        "**On-Call Engineer** | [Name] | [Phone] | [Email] | [Backup Name] |",
        Configured("[contacts.\"on-call engineer\"]"),
    ),
    (
        "**Product Owner** | [Name] | [Phone] | [Email] | [Backup Name] |",
        Configured("[contacts.\"product owner\"]"),
    ),
    (
        "**Technical Lead** | [Name] | [Phone] | [Email] | [Backup Name] |",
        Configured("[contacts.\"technical lead\"]"),
    ),
    (
        "**Support Lead** | [Name] | [Phone] | [Email] | [Backup Name] |",
        Configured("[contacts.\"support lead\"]"),
    ),
];

/// What stands between fences, by what opens them, and where it is.
const FENCES: &[(&str, usize, &str)] = &[
    (
        "bash",
        2,
        "people run these; a [[probe]] with `http` or `command` sees what comes of them",
    ),
    (
        "python",
        1,
        "deploy/sql_exporter.yml exports what these queries give",
    ),
    (
        "markdown",
        5,
        "the go-live announcement and the four reports: tests of `report` compare them",
    ),
    (
        "",
        4,
        "the dashboard of the day: the figures of every report",
    ),
];

fn runbook() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/runbook/RUNBOOK.md");
    fs::read_to_string(path).unwrap()
}

fn rules() -> Rules {
    load(&[shared("rules/day1.toml")]).unwrap_or_else(|faults| panic!("{}", faults.render(false)))
}

/// Small letters and digits alone: emphasis, arrows and quotes are how it is set.
fn words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|it| !it.is_empty()).map(str::to_lowercase);
    words.collect::<Vec<_>>().join(" ")
}

/// Everything that the rules say in words of the document.
fn said(rules: &Rules) -> BTreeSet<String> {
    let mut said = BTreeSet::new();
    for phase in &rules.phases {
        said.extend(phase.checklist.iter().map(|it| words(&it.text)));
        said.extend(phase.criteria.iter().map(|it| words(&it.text)));
        for activity in &phase.activities {
            said.insert(words(&activity.title));
            said.extend(activity.text.lines().map(words));
        }
    }
    for response in &rules.responses {
        said.insert(words(&response.title));
        said.extend(response.steps.iter().map(|it| words(it)));
    }
    said
}

fn phase<'a>(rules: &'a Rules, name: &str) -> &'a Phase {
    let found = rules.phases.iter().find(|it| it.name == name);
    found.unwrap_or_else(|| panic!("there is no phase {name}"))
}

/// A list's line without its mark, a table's row without its first bar; `None` for prose.
fn entry(line: &str) -> Option<&str> {
    let line = line.trim();
    let numbered = line
        .split_once(". ")
        .filter(|(n, _)| n.parse::<u32>().is_ok());
    let rest = line
        .strip_prefix("- [ ] ")
        .or_else(|| line.strip_prefix("- "))
        .or_else(|| line.strip_prefix('|').map(str::trim_start))
        .or_else(|| numbered.map(|(_, rest)| rest));
    let telling =
        |it: &&str| it.contains(['<', '>', '%']) || it.split([' ', '(', '-']).any(is_time);
    rest.or_else(|| Some(line).filter(telling))
}

fn is_time(word: &str) -> bool {
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let word = word.trim_matches(|c: char| !c.is_ascii_digit());
    word.split_once(':')
        .is_some_and(|(hour, minute)| digits(hour) && digits(minute))
}

#[test]
fn no_line_of_the_runbook_is_left_over() {
    let (rules, text) = (rules(), runbook());
    let said = said(&rules);
    let (mut fence, mut fences) = (None, Vec::new());
    let mut left = Vec::new();
    let mut used = BTreeSet::new();
    let mut seen = 0;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(kind) = line.trim().strip_prefix("```") {
            if fence.take().is_none() {
                fence = Some(kind.to_owned());
                fences.push(kind.to_owned());
            }
            continue;
        }
        if fence.is_some() || line.starts_with('#') || line.starts_with("---") {
            continue;
        }
        let Some(entry) = entry(line) else { continue };
        seen += 1;
        let by_hand = LINES.iter().position(|(it, _)| *it == entry);
        match by_hand {
            Some(place) => {
                used.insert(place);
                holds(&rules, entry, &LINES[place].1);
            }
            None if said.contains(&words(entry)) => {}
            None => left.push(format!("{number}: {line}")),
        }
    }
    assert!(left.is_empty(), "nobody knows of:\n{}", left.join("\n"));
    let unused: Vec<&str> = (0..LINES.len())
        .filter(|it| !used.contains(it))
        .map(|it| LINES[it].0)
        .collect();
    assert!(unused.is_empty(), "the runbook does not say: {unused:#?}");
    assert!(seen > 250, "{seen} lines");
    for (kind, count, why) in FENCES {
        let found = fences.iter().filter(|it| it == kind).count();
        assert_eq!(found, *count, "```{kind}: {why}");
    }
}

fn holds(rules: &Rules, line: &str, way: &Way) {
    match way {
        Target(name, signal, text) => {
            let targets = phase(rules, name).targets.iter();
            let found = targets.filter(|it| rules.signals[it.signal].name == *signal);
            let texts: Vec<&str> = found.map(|it| it.text.as_str()).collect();
            assert_eq!(texts, [*text], "{line}");
        }
        Rollback(name, when) => {
            let phase = phase(rules, name);
            let found = phase.triggers.iter().find(|it| it.text == *when);
            let found = found.unwrap_or_else(|| panic!("{line}: {when}"));
            assert!(
                phase.armed && found.action == gated::model::Action::Rollback,
                "{line}"
            );
        }
        Reported(signal) => {
            let known = *signal == "uptime" || rules.signals.iter().any(|it| it.name == *signal);
            assert!(known, "{line}: {signal}");
        }
        Configured(text) => {
            let config = shared("config/day1.toml").text;
            let live = |it: &str| it.split('#').next().unwrap().contains(text);
            assert!(config.lines().any(live), "{line}: {text}");
        }
        At(name, title) => {
            let activities = &phase(rules, name).activities;
            let found = activities.iter().find(|it| it.title == *title);
            let mut words = line.split([' ', '(']);
            let time = words.rfind(|it| is_time(it)).expect("the line says a time");
            let time = time.trim_matches(|c: char| !c.is_ascii_digit());
            let due = TimeOfDay::new(time, Vec::new()).unwrap();
            assert_eq!(found.map(|it| &it.due), Some(&due), "{line}");
        }
        Shown(test) => {
            let tests = shared("tests/it/ready.rs").text;
            assert!(tests.contains(&format!("fn {test}(")), "{line}: {test}");
        }
        Clock(title, span) => {
            let found = rules.responses.iter().find(|it| it.title == *title);
            let found = found.unwrap_or_else(|| panic!("{line}"));
            let minutes = |it: std::time::Duration| it.as_secs() / 60;
            let until = found.until.map_or(String::new(), |it| match minutes(it) {
                long if long >= 60 => format!("{}h", long / 60),
                short => format!("{short}m"),
            });
            assert_eq!(format!("{}m-{until}", minutes(found.from)), *span, "{line}");
        }
        Heading => {}
        Out(why) => assert!(!why.is_empty()),
    }
}

/// "Hour 5-8 (05:00-09:00)" and "Days 8-14": the phases begin and end when the headings say.
#[test]
fn phases_are_when_the_headings_say() {
    let (rules, text) = (rules(), runbook());
    let names = [
        "preflight",
        "deployment",
        "access",
        "business-hours",
        "peak",
        "sustained",
    ];
    let hours: Vec<&str> = text
        .lines()
        .filter(|it| it.starts_with("### Hour "))
        .collect();
    assert_eq!(hours.len(), names.len());
    for (heading, name) in hours.into_iter().zip(names) {
        let (_, times) = heading.split_once('(').unwrap();
        let (from, until) = times.split_once(')').unwrap().0.split_once('-').unwrap();
        let hour = |it: &str| it.split(':').next().unwrap().parse::<u64>().unwrap() * 3600;
        let phase = phase(&rules, name);
        assert_eq!(phase.from.as_secs(), hour(from), "{heading}");
        assert_eq!(phase.until.unwrap().as_secs(), hour(until), "{heading}");
    }
    let days: Vec<&str> = text
        .lines()
        .filter(|it| it.starts_with("### Days "))
        .collect();
    for (heading, name) in days
        .into_iter()
        .zip(["week-1", "stabilization", "transition"])
    {
        let (from, rest) = heading["### Days ".len()..].split_once('-').unwrap();
        let until: u64 = rest.split(':').next().unwrap().parse().unwrap();
        let phase = phase(&rules, name);
        assert_eq!(
            phase.from.as_secs() / 86_400,
            from.parse::<u64>().unwrap() - 1,
            "{heading}"
        );
        assert_eq!(phase.until.unwrap().as_secs() / 86_400, until, "{heading}");
    }
    assert_eq!(phase(&rules, "exit").from.as_secs() / 86_400, 30);
}

/// The eight criteria, and how each is seen.
#[test]
fn the_exit_has_the_eight_criteria() {
    let rules = rules();
    let exit = phase(&rules, "exit");
    let fortnight = std::time::Duration::from_secs(14 * 86_400);
    let seen: Vec<String> = exit
        .criteria
        .iter()
        .map(|it| match &it.seen {
            None => "attested".to_owned(),
            Some(Sight { kind, back }) => {
                let how = match kind {
                    SightKind::Uptime(threshold) => format!("uptime {}", threshold.text),
                    SightKind::NoIncidents(severity) => format!("no {severity}"),
                    SightKind::Held(Condition::Compare { signal, threshold }) => {
                        format!("{} {}", rules.signals[*signal].name, threshold.text)
                    }
                    SightKind::Held(other) => format!("{other:?}"),
                    SightKind::Stable(signal) => format!("{} stable", rules.signals[*signal].name),
                };
                match back {
                    Back::Now => format!("{how} now"),
                    Back::Over(over) if *over == fortnight => format!("{how} over 14 days"),
                    other => panic!("{how}: {other:?}"),
                }
            }
        })
        .collect();
    assert_eq!(
        seen,
        [
            "uptime > 99.9% over 14 days",
            "no P1 over 14 days",
            "support_tickets_open stable over 14 days",
            "user_satisfaction > 4 now",
            "data_drift == 0 over 14 days",
            "attested",
            "attested",
            "attested",
        ]
    );
}

/// Rollbacks are armed in hours 1-2 alone; elsewhere a trigger escalates.
#[test]
fn nothing_rolls_back_outside_of_hours_one_and_two() {
    let rules = rules();
    for phase in &rules.phases {
        let rolls_back = |it: &gated::runbook::Trigger| it.action == gated::model::Action::Rollback;
        let rolls_back = phase.triggers.iter().any(rolls_back);
        assert_eq!(
            (phase.armed, rolls_back),
            (phase.name == "deployment", phase.name == "deployment"),
            "{}",
            phase.name
        );
        assert!(
            phase
                .triggers
                .iter()
                .all(|it| matches!(it.when, When::Condition(_)))
        );
    }
}

/// The SQL of hours 9 to 12: what the example exports is what the rules read.
#[test]
fn the_exporters_metrics_are_those_that_the_rules_read() {
    let exporter = shared("deploy/sql_exporter.yml").text;
    let rules = shared("rules/day1.toml").text;
    let names = exporter
        .lines()
        .filter_map(|it| it.trim().strip_prefix("- metric_name: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let read = |line: &str| line.starts_with("expr") && line.contains(name);
        assert!(rules.lines().any(read), "no signal reads {name}");
    }
}

/// A probe, an Alertmanager, a source and an observation are no components of the service: one that goes away is gated's
/// own blindness, and rolls nothing back.
#[test]
fn what_gated_makes_itself_is_no_component() {
    let rules = shared("rules/day1.toml").text;
    let own = [
        gated::source::PROBE_JOB,
        "alertmanager",
        gated::source::SOURCE_JOB,
        gated::engine::OBSERVED_JOB,
    ];
    let excluded = format!("up{{job!~\"{}\"}}", own.join("|"));
    let told = rules.lines().filter(|it| it.starts_with("expr"));
    let asked: usize = told.clone().map(|it| it.matches("up{").count()).sum();
    let excluding: usize = told.map(|it| it.matches(&excluded).count()).sum();
    assert!(asked == excluding && asked >= 4, "{asked} {excluding}");
}
