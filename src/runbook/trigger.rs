//! `[[phase.trigger]]`: what must not happen, for how long, and what is then done.

use std::time::Duration;

use super::fault::Place;
use super::file::Loading;
use super::reader::{Section, Text};
use super::{Hold, NoData, Trigger, When};
use crate::model::{Action, Severity};

/// `after` counts within this many readings at most.
const AFTER_MAX: u32 = 1000;

impl<'r> Loading<'r> {
    pub(super) fn unique_trigger(
        &self,
        known: &[Trigger],
        places: &[Place],
        trigger: &Trigger,
        place: &Place,
    ) {
        if let Some(first) = known.iter().position(|it| it.name == trigger.name) {
            let message = format!("trigger `{}` is defined twice in this phase", trigger.name);
            let help = "give one another name";
            self.reader
                .clash(place, message, help, &places[first], "first here");
        }
    }

    /// The trigger and the place of its name. `shadow`: what its file says.
    pub(super) fn trigger(
        &mut self,
        mut section: Section<'r>,
        place: Place,
        shadow: bool,
    ) -> Option<(Trigger, Place)> {
        let reader = self.reader;
        let title = section.title.clone();
        let name = section.required("name", "\"latency\"");
        let judged = section.has("when") || section.has("expr");
        let when = section.text("when");
        let expr = section.text("expr");
        let hold = hold(&mut section);
        let keep_firing_for = section.duration("keep_firing_for").unwrap_or_default();
        if !section.has("do") {
            let message = format!("`do` is missing in {}", section.title);
            let help = "write do = \"rollback\", \"escalate\" or \"notify\"";
            reader.missing(&place, message, help);
        }
        let actions: Vec<(&str, Action)> = Action::ALL.iter().map(|it| (it.word(), *it)).collect();
        let action = section.word("do", &actions).unwrap_or(Action::Notify);
        let severities: Vec<(&str, Severity)> =
            Severity::ALL.iter().map(|it| (it.word(), *it)).collect();
        let severity = section
            .word("severity", &severities)
            .unwrap_or(match action {
                Action::Rollback => Severity::P1,
                Action::Escalate => Severity::P2,
                Action::Notify => Severity::P3,
            });
        let no_data_place = section.key_place("no_data");
        let policies = [
            ("hold", NoData::Hold),
            ("pass", NoData::Pass),
            ("trip", NoData::Trip),
        ];
        let no_data = section.word("no_data", &policies).unwrap_or(NoData::Hold);
        if no_data == NoData::Trip && action == Action::Rollback {
            let message =
                "`no_data = \"trip\"` with `do = \"rollback\"`: missing data never rolls back";
            let help = "write no_data = \"hold\", or a trigger of its own with do = \"escalate\"";
            reader.fault(&no_data_place, message, help);
        }
        let each = section.flag("each").unwrap_or(false);
        let quorum = quorum(&mut section, each);
        let own_place = section.key_place("mode");
        let own = section.word("mode", &[("shadow", true), ("live", false)]);
        if shadow && own == Some(false) {
            let message = "this trigger would be live, and its file is in shadow";
            let help = "move it to a file that is live";
            reader.fault(&own_place, message, help);
        }
        drop(section);
        let text = when.as_ref().or(expr.as_ref()).cloned();
        if !judged {
            let message = format!("`when` or `expr` is missing in {title}");
            let help = "write when = \"error_rate > 1%\", or expr = '<PromQL>'";
            reader.missing(&place, message, help);
        }
        let when = self.when(when, expr);
        let name_place = name.as_ref().map_or(place, |it| it.place.clone());
        Some((
            Trigger {
                name: name?.value,
                when: when?,
                text: text?.value.trim().to_owned(),
                hold,
                keep_firing_for,
                action,
                severity,
                no_data,
                each,
                quorum,
                shadow: shadow || own == Some(true),
            },
            name_place,
        ))
    }

    fn when(&mut self, when: Option<Text>, expr: Option<Text>) -> Option<When> {
        match (when, expr) {
            (Some(when), Some(expr)) => {
                let message = "a trigger has either `when` or `expr`, not both".to_owned();
                let help = "remove one of them";
                self.reader
                    .clash(&expr.place, message, help, &when.place, "the other");
                None
            }
            (None, None) => None,
            (None, Some(expr)) => self.expression(&expr, true).map(When::Expr),
            (Some(when), None) => self.condition(&when).map(When::Condition),
        }
    }
}

/// `for` or `after = "3 of 5"`; neither means at once.
fn hold(section: &mut Section) -> Hold {
    let (for_place, after_place) = (section.key_place("for"), section.key_place("after"));
    let given = section.duration("for");
    let after = section.text("after");
    if let (Some(_), Some(_)) = (given, &after) {
        let message = "`for` and `after` do not go together".to_owned();
        let help = "keep `for` to count time, or `after` to count readings";
        section
            .reader
            .clash(&after_place, message, help, &for_place, "the other");
    }
    let Some(after) = after else {
        return Hold::For(given.unwrap_or_default());
    };
    let counts = after.value.split_once(" of ");
    let counts = counts.and_then(|(need, of)| Some((number(need)?, number(of)?)));
    match counts {
        Some((need, of)) if (1..=of).contains(&need) && of <= AFTER_MAX => Hold::After { need, of },
        _ => {
            let message = format!(
                "`{}` does not say how many of how many readings",
                after.shown()
            );
            let help = format!("write \"3 of 5\": at least 1, of {AFTER_MAX} at most");
            section.reader.fault(&after.place, message, help);
            Hold::For(Duration::ZERO)
        }
    }
}

fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}

fn quorum(section: &mut Section, each: bool) -> Option<f64> {
    let place = section.key_place("quorum");
    let quorum = section.share("quorum")?.get();
    if !each {
        let message = "`quorum` counts series, and this trigger judges one value";
        section
            .reader
            .fault(&place, message, "write each = true beside it");
    }
    if quorum <= 0.0 || quorum > 1.0 {
        let message = format!("a quorum of {}% cannot be", quorum * 100.0);
        section
            .reader
            .fault(&place, message, "write a share above 0% and up to 100%");
    }
    Some(quorum)
}
