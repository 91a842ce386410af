//! Text → typed rules. Deliberately absent: reading files and the environment (`run` does).

use std::time::Duration;

use super::condition::{condition, find_signal, signal_help, target};
use super::fault::{Fault, Faults, Grade, Place, Source};
use super::lint::{self, Known, Placed, Written};
use super::prometheus;
use super::quantity::Wrong;
use super::reader::{Env, Reader, Section, Text};
use super::remote::Evaluated;
use super::uptime::UPTIME;
use super::{Clock, Condition, Phase, Rules, Signal, Target};
use crate::model::{Status, Unit};
use crate::promql::Expr;

/// One rules file as read.
pub type RulesText = Source;

/// All rules files together, with an empty environment and without lints.
///
/// # Errors
/// Every fault of every file.
pub fn load(files: &[RulesText]) -> Result<Rules, Faults> {
    load_with(files, &|_| None, None).map(|(rules, _)| rules)
}

/// All rules files together, and the lints' warnings. `env` gives `${NAME}` its value; `interval` is the shortest
/// scrape interval, where a configuration is known.
///
/// # Errors
/// Every fault of every file.
pub fn load_with(
    files: &[RulesText],
    env: Env<'_>,
    interval: Option<Duration>,
) -> Result<(Rules, Faults), Faults> {
    let known = Known {
        fastest: interval,
        ..Known::default()
    };
    load_knowing(files, env, &known)
}

/// As [`load_with`], with all that is known of where the samples come from.
///
/// # Errors
/// Every fault of every file.
pub fn load_knowing(
    files: &[RulesText],
    env: Env<'_>,
    known: &Known<'_>,
) -> Result<(Rules, Faults), Faults> {
    let reader = Reader::new(files, env);
    let mut loading = Loading {
        reader: &reader,
        rules: Rules::default(),
        placed: Placed::default(),
        uptime: None,
        components: known.components.as_deref(),
        sources: known.sources.as_deref(),
    };
    let of_prometheus = |it: &usize| super::is_rule_file(&files[*it].path);
    let (yaml, toml): (Vec<usize>, Vec<usize>) = (0..files.len()).partition(of_prometheus);
    let roots: Vec<_> = toml.into_iter().filter_map(|it| reader.root(it)).collect();
    loading.files(roots);
    let Loading {
        mut rules,
        mut placed,
        ..
    } = loading;
    for source in yaml {
        let (groups, written) = prometheus::groups(&reader, source, &files[source]);
        rules.groups.extend(groups);
        placed.expressions.extend(written);
    }
    lint::lint(&reader, &rules, &placed, known);
    let faults = Faults {
        sources: files.to_vec(),
        faults: reader.into_faults(),
    };
    let refused = |it: &Fault| it.grade == Grade::Error;
    if faults.faults.iter().any(refused) {
        Err(faults)
    } else {
        Ok((rules, faults))
    }
}

pub(super) struct Loading<'r> {
    pub reader: &'r Reader<'r>,
    pub rules: Rules,
    pub placed: Placed,
    /// Where `[uptime]` stands.
    pub uptime: Option<Place>,
    /// Those of the configuration, where one is known.
    components: Option<&'r [String]>,
    /// Every `[[prometheus]]` of the configuration, where one is known.
    pub sources: Option<&'r [String]>,
}

impl<'r> Loading<'r> {
    /// Signals of all files come first: a phase may name any of them.
    fn files(&mut self, mut roots: Vec<Section<'r>>) {
        for root in &mut roots {
            for (name, section) in root.named("signals") {
                self.signal(&name, section);
            }
        }
        for root in &mut roots {
            let clock = root.word(
                "clock",
                &[
                    ("go_live", Clock::GoLive),
                    ("wall", Clock::Wall),
                    ("rollout", Clock::Rollout),
                ],
            );
            let modes = [("shadow", true), ("live", false)];
            let shadow = root.word("mode", &modes).unwrap_or(false);
            if shadow {
                self.nothing_for_people(root);
            }
            root.later(&[("groups", "groups")]);
            for section in root.sections("response") {
                self.response(section);
            }
            if let Some(section) = root.section("uptime") {
                self.read_uptime(section);
            }
            for section in root.sections("phase") {
                self.phase(clock.unwrap_or(Clock::Rollout), shadow, section);
            }
        }
        self.one_preflight();
        self.no_shadow_over_live();
    }

    /// What a person is to do is done or not: there is no trying it.
    fn nothing_for_people(&self, root: &Section<'r>) {
        for key in ["response", "uptime"] {
            if root.has(key) {
                let message = format!("`{key}` in a file with mode = \"shadow\"");
                let help = "write it in a file that is live: a file in shadow is only tried";
                self.reader.fault(&root.key_place(key), message, help);
            }
        }
    }

    /// Of triggers with one name that of the shortest band counts: one in shadow would take a live one's place.
    fn no_shadow_over_live(&self) {
        let phases = || self.rules.phases.iter().zip(&self.placed.triggers);
        let named = |(phase, places): (&'_ Phase, &Vec<Place>)| -> Vec<(String, Place)> {
            let names = phase.triggers.iter().map(|it| it.name.clone());
            names.zip(places.iter().cloned()).collect()
        };
        let live: Vec<(String, Place)> =
            phases().filter(|it| !it.0.shadow).flat_map(named).collect();
        for (name, place) in phases().filter(|it| it.0.shadow).flat_map(named) {
            if let Some((_, other)) = live.iter().find(|it| it.0 == name) {
                let message = format!("trigger `{name}` is in shadow here and live elsewhere");
                let help = "give it another name: of triggers with one name only one counts";
                self.reader.clash(&place, message, help, other, "live here");
            }
        }
    }

    fn signal(&mut self, name: &Text, mut section: Section<'r>) {
        let reader = self.reader;
        if let Some(first) = self
            .rules
            .signals
            .iter()
            .position(|it| it.name == name.value)
        {
            let message = format!("signal `{}` is defined twice", name.value);
            let other = &self.placed.signals[first];
            reader.clash(
                &name.place,
                message,
                "give one another name",
                other,
                "first here",
            );
        }
        let word = name
            .value
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':'))
            && !matches!(name.value.as_str(), "and" | "or" | "not");
        if name.value == UPTIME {
            let message = "`uptime` is the signal that gated makes itself, once a minute";
            let help = "give this one another name; what counts as down stands in [uptime]";
            reader.fault(&name.place, message, help);
        }
        if !word {
            let message = format!("`{}` cannot be a signal's name", name.value);
            let help =
                "write letters, digits and `_`, beginning with a letter; and, or, not are taken";
            reader.fault(&name.place, message, help);
        }
        let title = section
            .text("title")
            .map_or(name.value.clone(), |it| it.value);
        let expr = section.required("expr", "'sum(rate(http_requests_total[1m]))'");
        let units: Vec<(&str, Unit)> = Unit::ALL.iter().map(|it| (it.word(), *it)).collect();
        let with_unit = section.has("unit");
        let unit = section.word("unit", &units);
        let empty = section.number("empty");
        let enough = section.text("enough");
        let source = section.text("source").filter(|_| word);
        let Evaluated {
            expr,
            enough,
            remote,
        } = match source {
            Some(source) => self.asked(&name.value, &source, expr.as_ref(), enough.as_ref()),
            None => Evaluated {
                enough: enough.and_then(|it| self.expression(&it, false)),
                expr: expr.and_then(|it| self.expression(&it, false)),
                remote: None,
            },
        };
        if with_unit && unit.is_none() {
            // No threshold on it can be read, but its name is known.
            self.placed.unparsed.push(name.value.clone());
            return;
        }
        self.placed.signals.push(name.place.clone());
        self.rules.signals.push(Signal {
            name: name.value.clone(),
            title,
            // A file with a fault is never run: this stands in, so that thresholds on the signal are checked too.
            expr: expr.unwrap_or_else(|| Expr::parse("0").expect("a number is an expression")),
            unit: unit.unwrap_or(Unit::None),
            empty,
            enough,
            remote,
        });
    }

    fn phase(&mut self, clock: Clock, shadow: bool, mut section: Section<'r>) {
        let reader = self.reader;
        let place = section.place.clone();
        for key in ["checklist", "activity", "criterion", "preflight"] {
            if shadow && section.has(key) {
                let message = format!("`{key}` in a file with mode = \"shadow\"");
                let help = "write it in a file that is live: a file in shadow is only tried";
                reader.fault(&section.key_place(key), message, help);
            }
        }
        let name = section.required("name", "\"canary\"");
        let name_place = name.as_ref().map_or(place.clone(), |it| it.place.clone());
        let name = name.map_or(String::new(), |it| it.value);
        let title = section.text("title").map_or(name.clone(), |it| it.value);
        let from_place = section.key_place("from");
        let from = section.duration("from").unwrap_or_default();
        let until = section.duration("until");
        if until.is_some_and(|until| until <= from) {
            let message = format!("phase `{name}` ends before it begins");
            reader.fault(
                &from_place,
                message,
                "write a `from` that is shorter than `until`",
            );
        }
        let armed = section.word("rollback", &[("armed", true), ("off", false)]);
        let gates = [
            ("green", Status::Green),
            ("amber", Status::Amber),
            ("red", Status::Red),
        ];
        let gate = section.word("gate", &gates).unwrap_or(Status::Amber);
        let preflight = section.flag("preflight").unwrap_or(false);
        let mut known = Vec::new();
        let mut checklist = self.items(&name, &mut section, (None, None), &mut known);
        let activities = self.activities(&name, &mut section, &mut known, &mut checklist);
        let criteria = self.criteria(&name, &mut section, &mut known);
        let mut judged = Vec::new();
        for (key, expected) in [("targets", false), ("expected", true)] {
            for (name, text) in &section.pairs(key) {
                judged.extend(self.target(name, text, expected));
            }
        }
        let mut triggers = Vec::new();
        let mut trigger_places = Vec::new();
        for trigger in section.sections("trigger") {
            let place = trigger.place.clone();
            if let Some((trigger, place)) = self.trigger(trigger, place, shadow) {
                self.unique_trigger(&triggers, &trigger_places, &trigger, &place);
                triggers.push(trigger);
                trigger_places.push(place);
            }
        }
        drop(section);
        let same = |it: &Phase| it.name == name && !name.is_empty();
        if let Some(first) = self.rules.phases.iter().position(same) {
            let message = format!("phase `{name}` is defined twice");
            let other = &self.placed.phases[first];
            reader.clash(
                &name_place,
                message,
                "give one another name",
                other,
                "first here",
            );
        }
        self.placed.phases.push(name_place);
        self.placed.triggers.push(trigger_places);
        self.rules.phases.push(Phase {
            name,
            title,
            clock,
            from,
            until,
            armed: armed.unwrap_or(false),
            gate,
            preflight,
            shadow,
            targets: judged,
            triggers,
            checklist,
            activities,
            criteria,
        });
    }

    fn one_preflight(&self) {
        let marked = |it: &(usize, &Phase)| it.1.preflight;
        let mut marked = self.rules.phases.iter().enumerate().filter(marked);
        if let (Some((first, _)), Some((second, phase))) = (marked.next(), marked.next()) {
            let message = format!(
                "phase `{}` is a second one with `preflight = true`",
                phase.name
            );
            let places = &self.placed.phases;
            self.reader.clash(
                &places[second],
                message,
                "mark the one that a dry run judges",
                &places[first],
                "the first",
            );
        }
    }

    /// The index of the signal that is named.
    pub(super) fn signal_of(&mut self, name: &Text) -> Option<usize> {
        let signal = find_signal(&name.value, &mut self.rules.signals, self.components);
        self.place_signals(&name.place);
        if signal.is_none() && !self.placed.unparsed.contains(&name.value) {
            let message = format!("there is no signal `{}`", name.value);
            let help = signal_help(&name.value, &self.rules.signals);
            self.reader.missing(&name.place, message, help);
        }
        signal
    }

    fn target(&mut self, name: &Text, text: &Text, expected: bool) -> Option<Target> {
        let signal = self.signal_of(name)?;
        match target(&text.value, signal, &mut self.rules.signals) {
            Ok(condition) => Some(Target {
                signal,
                condition,
                text: text.value.trim().to_owned(),
                expected,
            }),
            Err(wrong) => {
                self.reader
                    .fault(&text.at(wrong.span.clone()), wrong.message, wrong.help);
                None
            }
        }
    }

    pub(super) fn condition(&mut self, text: &Text) -> Option<Condition> {
        let read = condition(&text.value, &mut self.rules.signals, self.components);
        self.place_signals(&text.place);
        let wrongs = match read {
            Ok(condition) => return Some(condition),
            Err(wrongs) => wrongs,
        };
        for wrong in wrongs {
            self.condition_fault(text, wrong);
        }
        None
    }

    /// Signals that were made because they are named here stand here.
    fn place_signals(&mut self, place: &Place) {
        let made = self.rules.signals.len();
        self.placed.signals.resize(made, place.clone());
    }

    /// `PromQL`, with the fault at its place inside the string.
    pub(super) fn expression(&mut self, text: &Text, alert: bool) -> Option<Expr> {
        let spot = text.spot();
        match Expr::parse(&text.value) {
            Ok(expr) => {
                self.placed.expressions.push(Written {
                    expr: expr.clone(),
                    spot,
                    alert,
                });
                Some(expr)
            }
            Err(error) => {
                let place = error.span.clone();
                let place = place.map_or_else(|| text.place.clone(), |span| spot.at(span));
                self.reader
                    .fault(&place, error.message.clone(), error.help());
                None
            }
        }
    }

    /// A signal whose own expression is faulty is not also called unknown.
    fn condition_fault(&self, when: &Text, wrong: Wrong) {
        let unknown = wrong.message.starts_with("there is no signal");
        let name = when.value.get(wrong.span.clone()).unwrap_or_default();
        let name = name.trim_matches('"');
        if !unknown {
            self.reader
                .fault(&when.at(wrong.span), wrong.message, wrong.help);
        } else if !self.placed.unparsed.iter().any(|it| it == name) {
            self.reader
                .missing(&when.at(wrong.span), wrong.message, wrong.help);
        }
    }
}
