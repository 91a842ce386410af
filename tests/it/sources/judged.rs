//! What the engine makes of a source's answers and of its silence; what rules may say of one; rule tests.

use std::fs;
use std::time::Duration;

use gated::engine::{Input, Scrape, ScrapeError, ScrapeFault, Settings, SignalState, TargetInfo};
use gated::model::{Labels, Reading, TargetId};
use gated::run::check;
use gated::run::rule_test;
use gated::runbook::{Known, RulesText, load, load_knowing};

use crate::world::{RULES, World, columns, settings};

const EXPR: &str = "sum(rate(errors[5m])) default 0";

/// `remote` is asked elsewhere; nothing of it may be read as nought.
fn rules(expr: &str, more: &str) -> Settings {
    settings(&format!(
        "{RULES}\n[signals.remote]\nexpr = '{expr}'\nsource = \"thanos\"\nunit = \"count\"\nempty = 0\n{more}\n"
    ))
}

/// The series of an answer: labels and value.
fn answer(name: &str, labels: &[(&str, &str)], value: f64) -> (Labels, f64) {
    let own = [
        ("__name__", name),
        ("source", "thanos"),
        ("signal", "remote"),
    ];
    (
        Labels::new(own.into_iter().chain(labels.iter().copied())),
        value,
    )
}

struct Remote {
    world: World,
    slots: Vec<Labels>,
    id: TargetId,
}

impl Remote {
    fn new(settings: Settings) -> Self {
        let mut world = World::new(settings);
        world.rounds(10);
        Self {
            world,
            slots: Vec::new(),
            id: TargetId::ASKED,
        }
    }

    fn begin(&mut self, id: u32, expr: &str, enough: &str) {
        self.id = TargetId(TargetId::ASKED.0 + id);
        self.slots.clear();
        let labels = [
            ("job", "source"),
            ("source", "thanos"),
            ("signal", "remote"),
            ("query", expr),
            ("enough", enough),
        ];
        self.world.input(Input::Target(TargetInfo {
            id: self.id,
            job: "source".into(),
            instance: "thanos/remote".into(),
            url: "http://thanos/api/v1/query#remote".into(),
            labels: Labels::new(labels),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
        }));
    }

    fn lands(&mut self, page: Option<&[(Labels, f64)]>) {
        let failed = || ScrapeError {
            fault: ScrapeFault::Query,
            text: "422 execution: too many samples".into(),
        };
        let outcome = match page {
            Some(page) => {
                let mut columns = columns(&mut self.slots, page);
                columns.notes = vec!["PromQL info: x".into()];
                Ok(columns)
            }
            None => Err(failed()),
        };
        let scrape = Scrape {
            target: self.id,
            at: self.world.at(),
            duration: Duration::from_millis(20),
            outcome,
        };
        self.world.input(Input::Scraped(scrape));
    }

    fn state(&self) -> SignalState {
        let snapshot = self.world.snapshot();
        let found = snapshot.signals.iter().find(|it| it.name == "remote");
        found.unwrap().clone()
    }

    fn reading(&self) -> (Reading, String) {
        let state = self.state();
        (state.reading, state.why)
    }
}

#[test]
fn silence_is_neither_nought_nor_the_last_value() {
    let mut remote = Remote::new(rules(EXPR, ""));
    let value = [answer("gated_source", &[], 7.0)];
    assert_eq!(
        remote.reading(),
        (Reading::Stale, "thanos has not answered yet".into())
    );
    remote.begin(0, EXPR, "");
    remote.world.rounds(10);
    assert_eq!(
        remote.reading(),
        (Reading::Stale, "thanos has not answered yet".into())
    );
    let failed = "thanos: query: 422 execution: too many samples";
    remote.lands(None);
    assert_eq!(remote.reading(), (Reading::SourceError, failed.into()));
    remote.lands(Some(&value));
    assert_eq!(remote.reading(), (Reading::Value(7.0), String::new()));
    remote.lands(None);
    // Scrapes of other targets and the deadlines of a minute change nothing.
    remote.world.rounds(70);
    assert_eq!(remote.reading(), (Reading::SourceError, failed.into()));
    remote.lands(Some(&value));
    assert_eq!(remote.reading().0, Reading::Value(7.0));
    // An answer that is empty is one: `empty = 0` speaks.
    remote.lands(Some(&[]));
    assert_eq!(remote.reading().0, Reading::Value(0.0));
    remote.lands(Some(&[answer("gated_source", &[], f64::NAN)]));
    assert_eq!(remote.reading().0, Reading::Nan);
    let two =
        [("a", 1.0), ("b", 2.0)].map(|(zone, it)| answer("gated_source", &[("zone", zone)], it));
    remote.lands(Some(&two));
    assert_eq!(remote.reading().0, Reading::Ambiguous);
    remote.world.input(Input::TargetGone(remote.id));
    assert_eq!(
        remote.reading(),
        (Reading::Stale, "thanos has not answered yet".into())
    );
}

#[test]
fn what_is_shown_is_the_text_that_was_asked_and_what_was_said_beside() {
    let mut remote = Remote::new(rules(EXPR, ""));
    remote.begin(0, EXPR, "");
    assert_eq!(remote.state().notes, [] as [String; 0]);
    remote.lands(Some(&[answer("gated_source", &[], 7.0)]));
    let state = remote.state();
    assert_eq!(state.expr, format!("{EXPR}  # asked of thanos"));
    assert_eq!(state.notes, ["PromQL info: x"]);
}

/// Until the source was told of other rules it goes on answering what was asked before.
#[test]
fn after_a_reload_answers_to_the_old_question_are_nobodys() {
    let mut remote = Remote::new(rules("sum(a)", ""));
    remote.begin(0, "sum(a)", "");
    let value = [answer("gated_source", &[], 7.0)];
    remote.lands(Some(&value));
    let same = rules("sum(a)", "title = \"Another\"");
    remote.world.input(Input::Reload(same.into()));
    assert_eq!(remote.reading().0, Reading::Value(7.0));
    remote
        .world
        .input(Input::Reload(rules("sum(b)", "").into()));
    assert_eq!(remote.reading().0, Reading::Stale);
    remote.lands(Some(&value));
    assert_eq!(remote.reading().0, Reading::Stale);
    remote.world.input(Input::TargetGone(remote.id));
    remote.begin(1, "sum(b)", "");
    remote.lands(Some(&[answer("gated_source", &[], 8.0)]));
    assert_eq!(remote.reading().0, Reading::Value(8.0));
    // The source may hear of other rules before the engine does.
    remote.world.input(Input::TargetGone(remote.id));
    remote.begin(2, "sum(c)", "");
    remote.lands(Some(&[answer("gated_source", &[], 9.0)]));
    assert_eq!(remote.reading().0, Reading::Stale);
    remote
        .world
        .input(Input::Reload(rules("sum(c)", "").into()));
    assert_eq!(remote.reading().0, Reading::Value(9.0));
}

#[test]
fn enough_is_asked_there_too_and_judged_per_series() {
    let mut remote = Remote::new(rules("sum(a)", "enough = 'sum(b) > 100'"));
    remote.begin(0, "sum(a)", "");
    remote.lands(Some(&[answer("gated_source", &[], 7.0)]));
    assert_eq!(
        remote.reading().0,
        Reading::Stale,
        "that was another question"
    );
    remote.world.input(Input::TargetGone(remote.id));
    remote.begin(1, "sum(a)", "sum(b) > 100");
    let value = answer("gated_source", &[], 7.0);
    remote.lands(Some(std::slice::from_ref(&value)));
    assert_eq!(remote.reading().0, Reading::Thin);
    remote.lands(Some(&[value, answer("gated_source_enough", &[], 101.0)]));
    assert_eq!(remote.reading().0, Reading::Value(7.0));
    let zone = |name, value| answer(name, &[("zone", "a")], value);
    let (here, there) = (zone("gated_source", 1.0), zone("gated_source_enough", 1.0));
    remote.lands(Some(&[here.clone(), there]));
    assert_eq!(remote.reading().0, Reading::Value(1.0));
    let elsewhere = answer("gated_source_enough", &[("zone", "b")], 1.0);
    remote.lands(Some(&[
        here,
        elsewhere,
        answer("gated_source_enough", &[("zone", "c")], 1.0),
    ]));
    assert_eq!(remote.reading().0, Reading::Thin);
}

#[test]
fn each_series_of_an_answer_is_judged_by_its_own_labels() {
    let each = "[[phase]]\nname = \"zones\"\nfrom = \"0s\"\n[[phase.trigger]]\nname = \"zone\"\nwhen = \"remote > 5\"\neach = true\nfor = \"0s\"\ndo = \"notify\"\n";
    let mut remote = Remote::new(rules("sum by (zone) (a)", each));
    remote.world.deploy("2.0.0", 0.0);
    remote.world.rounds(60);
    remote.begin(0, "sum by (zone) (a)", "");
    let zones =
        [("a", 1.0), ("b", 9.0)].map(|(zone, it)| answer("gated_source", &[("zone", zone)], it));
    remote.lands(Some(&zones));
    let firing = |remote: &Remote| -> Vec<String> {
        let snapshot = remote.world.snapshot();
        let firing = snapshot.triggers.iter().filter(|it| it.fired_at.is_some());
        firing.map(|it| it.series.clone()).collect()
    };
    assert_eq!(firing(&remote), ["{zone=\"b\"}"]);
}

#[test]
fn rules_name_sources_that_are_there() {
    let text = |signal: &str| RulesText {
        path: "r.toml".into(),
        text: format!("[signals.a]\nunit = \"count\"\n{signal}\n"),
    };
    let known = |names: &[&str]| Known {
        sources: Some(names.iter().map(|it| (*it).to_owned()).collect()),
        ..Known::default()
    };
    let told =
        |signal: &str, known: &Known<'_>| match load_knowing(&[text(signal)], &|_| None, known) {
            Ok((_, warnings)) => warnings.lines().join("\n"),
            Err(faults) => format!("refused: {}", faults.lines().join("\n")),
        };
    let (there, any) = (known(&["thanos", "mimir"]), Known::default());
    assert_eq!(told("expr = 'sum(x)'\nsource = \"thanos\"", &there), "");
    for (signal, known, said) in [
        (
            "expr = 'sum(x)'\nsource = \"thanso\"",
            &there,
            &[
                "refused: ",
                "no [[prometheus]] `thanso`",
                "did you mean `thanos`?",
            ][..],
        ),
        (
            "expr = 'sum(x)'\nsource = \"other\"",
            &there,
            &["refused: ", "write [[prometheus]] with name = \"other\""],
        ),
        ("expr = 'sum(x)'\nsource = \"other\"", &any, &[]),
        (
            "expr = 'sum(x)'\nsource = \"a b\"",
            &any,
            &["refused: ", "`a b` cannot be the name of a source"],
        ),
        (
            "expr = ''\nsource = \"thanos\"",
            &there,
            &["refused: ", "a query has 1 to 65536 bytes"],
        ),
        (
            "source = \"thanos\"",
            &there,
            &["refused: ", "`expr` is missing"],
        ),
        (
            "expr = 'x'\nenough = ' '\nsource = \"thanos\"",
            &there,
            &["refused: ", "a query has 1 to 65536 bytes"],
        ),
        (
            "expr = 'sum(x) default 0'\nsource = \"thanos\"",
            &there,
            &["gated does not read this as PromQL"],
        ),
        (
            "expr = 'x'\nenough = 'sum(x) default 0'\nsource = \"thanos\"",
            &there,
            &["gated does not read this as PromQL"],
        ),
        ("expr = 'sum(x) default 0'", &there, &["refused: "]),
    ] {
        let told = told(signal, known);
        assert!(said.iter().all(|it| told.contains(it)), "{signal}: {told}");
        assert!(!said.is_empty() || told.is_empty(), "{signal}: {told}");
        assert!(
            said.contains(&"refused: ") || !told.contains("refused"),
            "{signal}: {told}"
        );
    }
    let loaded = load(&[text("expr = 'x[5m]  # why'\nsource = \"thanos\"")]).unwrap();
    assert_eq!(loaded.signals[0].shown(), "x[5m]  # why\n# asked of thanos");
}

#[test]
fn a_check_of_the_configuration_counts_sources() {
    let folder = tempfile::tempdir().unwrap();
    let (config, rules) = (
        folder.path().join("gated.toml"),
        folder.path().join("r.toml"),
    );
    let text = "[service]\nname = \"api\"\n[[prometheus]]\nname = \"thanos\"\nurl = \"https://thanos/prom\"\nbearer_token_file = \"/no/such\"\n";
    fs::write(&config, text).unwrap();
    fs::write(
        &rules,
        "[signals.a]\nexpr = 'sum(x)'\nsource = \"thanos\"\nunit = \"count\"\n",
    )
    .unwrap();
    let report = check::config(&config, std::slice::from_ref(&rules), &|_| None, false);
    assert_eq!(report.code, 0, "{}", report.text);
    assert!(
        report.text.contains("0 jobs, 1 source, "),
        "{}",
        report.text
    );
    assert!(
        !report.text.contains("nothing is scraped"),
        "{}",
        report.text
    );
    fs::write(
        &rules,
        "[signals.a]\nexpr = 'sum(x)'\nsource = \"thanks\"\nunit = \"count\"\n",
    )
    .unwrap();
    let report = check::rules(
        std::slice::from_ref(&rules),
        Some(&config),
        None,
        &|_| None,
        false,
    );
    assert!(
        report.code == 1 && report.text.contains("did you mean `thanos`?"),
        "{}",
        report.text
    );
}

/// A rule test has no server to ask: the series of the answers stand in it.
#[test]
fn a_rule_test_writes_the_answers_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rules = "clock = \"rollout\"\n[signals.errors]\nexpr = 'sum(x) default 0'\nenough = 'sum(y)'\nsource = \"thanos\"\nunit = \"count\"\n\
        [[phase]]\nname = \"watch\"\nfrom = \"0s\"\nrollback = \"armed\"\n[[phase.trigger]]\nname = \"errors\"\nwhen = \"errors > 5\"\nfor = \"1m\"\ndo = \"rollback\"\n";
    fs::write(path("r.toml"), rules).unwrap();
    let test = r#"
rule_files: [r.toml]
evaluation_interval: 30s
tests:
- interval: 30s
  input_series:
  - {series: 'gated_source{source="thanos",signal="errors"}', values: '0x9 9x20'}
  - {series: 'gated_source_enough{source="thanos",signal="errors"}', values: '1x40'}
  gated_test:
    rollouts:
    - {at: 1m, version: "2"}
    expect:
    - {at: 4m, verdict: go, decisions: []}
    - at: 9m
      verdict: no_go
      decisions:
      - {do: rollback, trigger: errors}
"#;
    fs::write(path("t.yml"), test).unwrap();
    let outcomes = rule_test::run(&[path("t.yml")], None, &|_| None);
    let failures = &outcomes[0].tests[0].failures;
    assert!(failures.is_empty(), "{failures:#?}");
}
