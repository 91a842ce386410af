//! What a runbook asks of people: lines of a checklist, activities at times of the day, and the criteria of the exit.
//! Absent: who has done what (the engine knows).

use std::time::Duration;

use super::file::Loading;
use super::reader::{Item, Section, Text};
use super::uptime::OVER_MAX;
use super::{Condition, Place, Threshold};
use crate::model::calendar::TimeOfDay;
use crate::model::{Severity, Unit};

/// How a machine may see something, for people.
const SIGHTS: &str = "uptime = \"> 99.9%\", no_incidents = \"P1\", when = \"user_satisfaction > 4\", \
                      stable = \"support_tickets_open\"";
/// Words of an item's name are cut here.
const NAME_BYTES_MAX: usize = 80;

/// A line of a checklist: somebody attests it, or a condition does.
#[derive(Clone, Debug)]
pub struct ChecklistItem {
    /// `PHASE/words-of-the-item`: unique.
    pub id: String,
    /// As written.
    pub text: String,
    /// What a machine can see of it.
    pub seen: Option<Sight>,
    /// While it is open, and its time has come, the gate does not say go.
    pub required: bool,
    /// Title and time of its activity; without one it belongs to the whole phase.
    pub activity: Option<String>,
    pub due: Option<TimeOfDay>,
}

/// Something that people do at a time of the day.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Unique within its phase.
    pub title: String,
    pub due: TimeOfDay,
    /// Only the first time in its phase.
    pub once: bool,
    /// People are told when its time has come.
    pub notify: bool,
    /// What they are told beside the title; its items follow by themselves.
    pub text: String,
}

/// One of the criteria for the end of hypercare.
#[derive(Clone, Debug)]
pub struct Criterion {
    /// `PHASE/words-of-the-criterion`: unique, also among the items.
    pub id: String,
    pub text: String,
    /// Without it somebody must attest it.
    pub seen: Option<Sight>,
}

/// How a machine sees whether something is so.
#[derive(Clone, Debug)]
pub struct Sight {
    pub kind: SightKind,
    pub back: Back,
}

/// How far back something looks, from now or from the end of its phase, whichever is earlier.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// It looks at what is now.
    Now,
    Over(Duration),
    /// To when the phase's clock began: the go-live, or the rollout.
    GoLive,
}

#[derive(Clone, Debug)]
pub enum SightKind {
    /// The share of known minutes that were up.
    Uptime(Threshold),
    /// No incident of this severity, nor a graver one, was opened or was open.
    NoIncidents(Severity),
    /// The condition held in every known minute, or holds [now](Back::Now).
    Held(Condition),
    /// The signal (its index) shows no trend for the worse.
    Stable(usize),
}

impl<'r> Loading<'r> {
    /// The `checklist` of a phase or an activity.
    pub(super) fn items(
        &mut self,
        phase: &str,
        section: &mut Section<'r>,
        (activity, due): (Option<&str>, Option<&TimeOfDay>),
        known: &mut Vec<(String, Place)>,
    ) -> Vec<ChecklistItem> {
        let mut items = Vec::new();
        for entry in section.items("checklist") {
            let (text, seen, required) = match entry {
                Item::Text(text) => (text, None, false),
                Item::Section(mut section) => {
                    let text = section.required("item", "\"Smoke tests passed\"");
                    let (seen, _) = self.sight(&mut section);
                    let required = section.flag("required").unwrap_or(false);
                    let Some(text) = text else { continue };
                    (text, seen, required)
                }
            };
            let Some(id) = self.item_id(phase, &text, known) else {
                continue;
            };
            items.push(ChecklistItem {
                id,
                text: text.value,
                seen,
                required,
                activity: activity.map(str::to_owned),
                due: due.cloned(),
            });
        }
        items
    }

    fn item_id(
        &self,
        phase: &str,
        text: &Text,
        known: &mut Vec<(String, Place)>,
    ) -> Option<String> {
        let words = words(&text.value);
        if words.is_empty() {
            let message = format!("`{}` has no words to be called by", text.shown());
            let help = "write what is to be done: \"On-call team confirmed\"";
            self.reader.fault(&text.place, message, help);
            return None;
        }
        let id = format!("{phase}/{words}");
        if let Some((_, first)) = known.iter().find(|(it, _)| *it == id) {
            let message = format!("`{id}` stands twice");
            let help = "give one of them other words: people attest an item by them";
            (self.reader).clash(&text.place, message, help, first, "first here");
            return None;
        }
        known.push((id.clone(), text.place.clone()));
        Some(id)
    }

    /// `[[phase.activity]]`, with the items that belong to each.
    pub(super) fn activities(
        &mut self,
        phase: &str,
        section: &mut Section<'r>,
        known: &mut Vec<(String, Place)>,
        items: &mut Vec<ChecklistItem>,
    ) -> Vec<Activity> {
        let mut activities: Vec<(Activity, Place)> = Vec::new();
        for mut section in section.sections("activity") {
            let title = section.required("title", "\"Daily standup\"");
            let on = weekdays(&mut section);
            let at = section.required("at", "\"09:00\"");
            let due = at.and_then(|at| {
                let due = TimeOfDay::new(&at.value, on);
                if due.is_none() {
                    let message = format!("`{}` is no time of day", at.shown());
                    let help = "write at = \"09:00\", in the time zone of [service]";
                    self.reader.fault(&at.place, message, help);
                }
                due
            });
            let once = section.flag("once").unwrap_or(false);
            let notify = section.flag("notify").unwrap_or(true);
            let text = section.text("text").map_or(String::new(), |it| it.value);
            let named = title.as_ref().map(|it| it.value.as_str());
            let mine = self.items(phase, &mut section, (named, due.as_ref()), known);
            items.extend(mine);
            let (Some(title), Some(due)) = (title, due) else {
                continue;
            };
            if let Some((_, first)) = activities.iter().find(|(it, _)| it.title == title.value) {
                let message = format!("activity `{}` stands twice in this phase", title.value);
                let help = "give one another title";
                (self.reader).clash(&title.place, message, help, first, "first here");
            }
            let activity = Activity {
                title: title.value,
                due,
                once,
                notify,
                text,
            };
            activities.push((activity, title.place));
        }
        activities.into_iter().map(|(it, _)| it).collect()
    }

    /// `[[phase.criterion]]`.
    pub(super) fn criteria(
        &mut self,
        phase: &str,
        section: &mut Section<'r>,
        known: &mut Vec<(String, Place)>,
    ) -> Vec<Criterion> {
        let mut criteria = Vec::new();
        for section in section.sections("criterion") {
            criteria.extend(self.criterion(phase, section, known));
        }
        criteria
    }

    fn criterion(
        &mut self,
        phase: &str,
        mut section: Section<'r>,
        known: &mut Vec<(String, Place)>,
    ) -> Option<Criterion> {
        let place = section.place.clone();
        let text = section.required("title", "\"Zero P1 incidents in last 2 weeks\"");
        let attested = section.flag("attested") == Some(true);
        let (seen, said) = self.sight(&mut section);
        if said + u32::from(attested) != 1 {
            let message = "a criterion is either attested or seen by a machine";
            let help = format!("write attested = true, or one of {SIGHTS}");
            self.reader.missing(&place, message, help);
        }
        let text = text?;
        let id = self.item_id(phase, &text, known)?;
        Some(Criterion {
            id,
            text: text.value,
            seen,
        })
    }

    /// How a machine sees it, and how many ways were given.
    fn sight(&mut self, section: &mut Section<'r>) -> (Option<Sight>, u32) {
        let place = section.place.clone();
        let over_place = section.key_place("over");
        let back = if section.has("over") {
            match section.duration_unless("over", "go_live") {
                Some(over) => Back::Over(over),
                None => Back::GoLive,
            }
        } else {
            Back::Now
        };
        if matches!(back, Back::Over(over) if over > OVER_MAX) {
            let message = "the history of signals goes back 40 days";
            (self.reader).fault(&over_place, message, "write over = \"14d\"");
        }
        let mut kinds: Vec<SightKind> = Vec::new();
        let mut said = 0;
        if let Some(text) = section.text("uptime") {
            said += 1;
            kinds.extend(self.share_threshold(&text).map(SightKind::Uptime));
        }
        let severities: Vec<(&str, Severity)> =
            Severity::ALL.iter().map(|it| (it.word(), *it)).collect();
        if section.has("no_incidents") {
            said += 1;
            let severity = section.word("no_incidents", &severities);
            kinds.extend(severity.map(SightKind::NoIncidents));
        }
        if let Some(text) = section.text("when") {
            said += 1;
            kinds.extend(self.condition(&text).map(SightKind::Held));
        }
        if let Some(text) = section.text("stable") {
            said += 1;
            kinds.extend(self.signal_of(&text).map(SightKind::Stable));
        }
        if said > 1 {
            let message = "a machine sees it in one way";
            (self.reader).fault(&place, message, format!("write one of {SIGHTS}"));
        }
        let Some(kind) = kinds.pop().filter(|_| said == 1) else {
            return (None, said);
        };
        if back == Back::Now && !matches!(kind, SightKind::Held(_)) {
            let message = "`over` is missing: how far back this looks";
            let help = "write over = \"14d\", or over = \"go_live\"";
            self.reader.missing(&place, message, help);
        }
        (Some(Sight { kind, back }), said)
    }

    /// A threshold on a share.
    fn share_threshold(&self, text: &Text) -> Option<Threshold> {
        let ratio = super::Signal {
            name: super::UPTIME.to_owned(),
            title: "Uptime".to_owned(),
            expr: crate::promql::Expr::parse("0").expect("a number is an expression"),
            unit: Unit::Ratio,
            empty: None,
            enough: None,
            remote: None,
        };
        let read = super::condition::threshold(&text.value, &ratio);
        read.map_err(|wrong| {
            (self.reader).fault(&text.at(wrong.span.clone()), wrong.message, wrong.help);
        })
        .ok()
    }
}

/// Which days of the week; none for all.
pub fn weekdays(section: &mut Section<'_>) -> Vec<jiff::civil::Weekday> {
    use jiff::civil::Weekday as Day;
    let names = [
        ("monday", Day::Monday),
        ("tuesday", Day::Tuesday),
        ("wednesday", Day::Wednesday),
        ("thursday", Day::Thursday),
        ("friday", Day::Friday),
        ("saturday", Day::Saturday),
        ("sunday", Day::Sunday),
    ];
    let mut days = Vec::new();
    let (said, place) = (section.has("on"), section.key_place("on"));
    let texts = section.texts("on");
    if said && texts.is_empty() {
        let help = "write on = [\"monday\", \"friday\"], or leave it out for every day";
        section
            .reader
            .fault(&place, "this never comes: `on` names no day", help);
    }
    for text in texts {
        let found = names.iter().find(|(name, _)| *name == text.value);
        if let Some((_, day)) = found {
            days.push(*day);
        } else {
            let message = format!("`{}` is no day of the week", text.shown());
            let help = "write on = [\"monday\", \"friday\"]";
            section.reader.fault(&text.place, message, help);
        }
    }
    days
}

/// Small letters and digits with hyphens between: `smoke-tests-passed-100-success-rate`.
pub fn words(text: &str) -> String {
    let mut words = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            words.push(c);
        } else if !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
        if words.len() >= NAME_BYTES_MAX {
            break;
        }
    }
    words.truncate(words.trim_end_matches('-').len());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_called_by_its_words() {
        for (text, name) in [
            (
                "Smoke tests passed (100% success rate)",
                "smoke-tests-passed-100-success-rate",
            ),
            (
                "  API Gateway — responding (200 OK)! ",
                "api-gateway-responding-200-ok",
            ),
            ("Größe", "größe"),
            ("***", ""),
        ] {
            assert_eq!(words(text), name);
        }
    }
}
