//! "30-Day Hypercare Report Template". The template congratulates; this report does so only where the facts do.

use super::Filled;
use super::Sheet;
use super::lists::issue;
use crate::model::Severity;
use crate::model::Unit;
use crate::report::document::Block;
use crate::report::document::ITEMS_MAX;
use crate::report::document::Item;
use crate::report::document::Section;
use crate::report::document::Span;
use crate::report::document::Title;
use crate::report::document::blank;
use crate::report::document::blank_because;
use crate::report::document::own;
use crate::report::document::said;
use crate::report::document::told;
use crate::report::facts::IncidentFact;
use crate::report::note::Field;
use crate::report::note::Note;
use crate::report::signals::COST_SAVINGS;
use crate::report::signals::REVENUE_INCREASE;
use crate::report::signals::TIME_SAVED;
use crate::report::signals::TOTAL_USERS;
use crate::report::signals::TRANSACTIONS;
use crate::report::signals::USER_PRODUCTIVITY;
use crate::report::signals::USER_SATISFACTION;
use crate::report::when;

/// Whether the exit's criteria are met.
enum Exit {
    Ready,
    NotReady { unmet: usize, unknown: usize },
    Unknown,
}

impl Sheet<'_> {
    pub(super) fn hypercare_report(&self) -> Filled {
        let days = match when::days(self.facts.from, self.until, &self.facts.zone) {
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        let exit = self.exit();
        let bullets =
            |key, heading: &str, items| Section::new(key, heading, vec![Block::Bullets(items)]);
        let numbered =
            |key, heading: &str, items| Section::new(key, heading, vec![Block::Numbered(items)]);
        let sections = vec![
            Section::new(
                "executive_summary",
                "Executive Summary",
                vec![Block::Paragraph(self.summary(&exit))],
            ),
            bullets(
                "statistics",
                "Hypercare Period Statistics",
                self.statistics(&days),
            ),
            numbered("key_achievements", "Key Achievements", self.achievements()),
            numbered("challenges", "Challenges & Resolutions", self.challenges()),
            numbered(
                "optimizations",
                "Optimizations Implemented",
                self.optimizations(" - "),
            ),
            bullets("business_value", "Business Value Realized", self.value()),
            bullets("transition", "Transition to BAU", self.transition()),
            numbered(
                "recommendations",
                "Recommendations",
                self.noted(
                    Field::Recommendation,
                    &["Recommendation 1", "Recommendation 2", "Recommendation 3"],
                ),
            ),
            numbered("next_steps", "Next Steps", self.next_steps()),
            self.overall_section(),
        ];
        Filled {
            title: Title {
                is_subject: false,
                spans: vec![own("30-Day Hypercare Report")],
            },
            sections,
            closing: Some(self.readiness(&exit)),
        }
    }

    fn exit(&self) -> Exit {
        let criteria = &self.facts.criteria;
        let unmet = criteria.iter().filter(|it| it.met == Some(false)).count();
        let unknown = criteria.iter().filter(|it| it.met.is_none()).count();
        if unmet > 0 {
            Exit::NotReady { unmet, unknown }
        } else if criteria.is_empty() || unknown > 0 {
            Exit::Unknown
        } else {
            Exit::Ready
        }
    }

    fn summary(&self, exit: &Exit) -> Vec<Span> {
        let project = told(&self.facts.project);
        let all = self.facts.criteria.len();
        match exit {
            Exit::Ready => vec![
                project,
                own(
                    " has successfully completed the 30-day hypercare period. The system is stable, users are \
                     satisfied, and we are ready to transition to standard operations.",
                ),
            ],
            Exit::NotReady { unmet, unknown } => vec![
                project,
                own(format!(
                    " is not ready to transition to standard operations: {}. They are listed below.",
                    unfulfilled(*unmet, *unknown, all)
                )),
            ],
            Exit::Unknown => vec![
                own("It is not known whether "),
                project,
                own(" is ready to transition to standard operations: "),
                if all == 0 {
                    blank_because("summary", "the success criteria are not judged")
                } else {
                    own("some success criteria cannot be judged. They are listed below.")
                },
            ],
        }
    }

    fn statistics(&self, days: &str) -> Vec<Item> {
        let resolution = match self.resolution_time() {
            Some((mean, count)) => {
                let hours = mean.as_secs_f64() / 3600.0;
                let shown = if hours < 0.1 {
                    when::length(mean)
                } else {
                    format!("{hours:.1} hours")
                };
                let of = if count == 1 { "incident" } else { "incidents" };
                vec![
                    Span::Figure {
                        key: "resolution_seconds",
                        value: Some(mean.as_secs_f64()),
                        unit: Unit::Seconds,
                        shown,
                    },
                    own(format!(" ({count} {of} resolved)")),
                ]
            }
            None => vec![own("none: no incident was resolved in this period")],
        };
        vec![
            Item::strong(
                "Duration",
                vec![
                    self.date("from", self.facts.from),
                    own(" - "),
                    self.last_day(),
                    own(format!(" ({days})")),
                ],
            ),
            Item::strong("Overall Uptime", self.uptime()),
            Item::strong("Total Users", self.figure(TOTAL_USERS, "total users")),
            Item::strong(
                "Total Transactions",
                self.figure(TRANSACTIONS, "total transactions"),
            ),
            Item::strong("Total Incidents", self.incidents(true)),
            Item::strong("Average Resolution Time", resolution),
            Item::strong(
                "User Satisfaction",
                self.figure(USER_SATISFACTION, "user satisfaction"),
            ),
        ]
    }

    /// The period's P1 and P2, and what people name.
    fn challenges(&self) -> Vec<Item> {
        let (from, until) = (self.facts.from, self.until);
        let mut grave: Vec<&IncidentFact> = self
            .facts
            .incidents
            .iter()
            .filter(|it| it.incident.severity <= Severity::P2)
            .filter(|it| crate::report::overall::is_opened(&it.incident, from, until))
            .collect();
        grave.sort_by_key(|it| (it.incident.opened_at, &it.incident.id));
        let mut items: Vec<Item> = grave
            .into_iter()
            .take(ITEMS_MAX)
            .map(|it| self.challenge(it))
            .collect();
        let notes = self.notes(Field::Challenge).take(ITEMS_MAX);
        items.extend(notes.map(told_challenge));
        if items.is_empty() {
            let none = match self.unseen() {
                None => "there was no P1 or P2 incident".to_owned(),
                Some(unseen) => format!("gated saw no P1 or P2 incident ({unseen})"),
            };
            let text = format!("None: {none}, and nobody named another challenge");
            items.push(Item::line(vec![own(text)]));
        }
        items
    }

    fn challenge(&self, it: &IncidentFact) -> Item {
        let incident = &it.incident;
        let noted = |field: Field| {
            let note = self.note_about(incident, field)?;
            Some(said(&note.text, &note.by))
        };
        let resolution = noted(Field::Resolution).unwrap_or_else(|| match &incident.resolved {
            Some((at, how)) => told(&format!(
                "{how}, after {}",
                when::length(at.since(incident.opened_at))
            )),
            None => own("it is still open"),
        });
        let text = vec![
            own(format!("{} ", incident.severity)),
            told(&issue(it)),
            own(" ("),
            self.moment("opened_at", incident.opened_at),
            own(")"),
        ];
        let impact = noted(Field::Impact).unwrap_or_else(|| blank("impact"));
        let lesson = noted(Field::Lesson).unwrap_or_else(|| blank("what was learned"));
        of_three(text, impact, resolution, lesson)
    }

    fn value(&self) -> Vec<Item> {
        let monthly = |signal, what: &str, before: &str| {
            let mut spans = self.figure(signal, what);
            if self.figures.get(signal).is_some() {
                spans.insert(0, own(before));
                spans.push(own("/month"));
            }
            spans
        };
        let mut productivity = self.figure(USER_PRODUCTIVITY, "user productivity");
        if self.figures.get(USER_PRODUCTIVITY).is_some() {
            productivity.push(own(" improvement"));
        }
        vec![
            Item::of("Cost savings", monthly(COST_SAVINGS, "cost savings", "$")),
            Item::of("Time saved", monthly(TIME_SAVED, "time saved", "")),
            Item::of(
                "Revenue increase",
                monthly(REVENUE_INCREASE, "revenue increase", "$"),
            ),
            Item::of("User productivity", productivity),
        ]
    }

    fn transition(&self) -> Vec<Item> {
        let latest = |field: Field, what: &str| match self.notes(field).last() {
            Some(note) => vec![said(&note.text, &note.by)],
            None => vec![blank(what)],
        };
        vec![
            Item::strong("BAU Start Date", latest(Field::BauStart, "date")),
            Item::strong(
                "Support Model",
                latest(Field::SupportModel, "L1/L2/L3 structure"),
            ),
            Item::strong("SLAs", self.slas()),
            Item::strong(
                "Continuous Improvement",
                vec![own("Bi-weekly sprint planning")],
            ),
        ]
    }

    fn next_steps(&self) -> Vec<Item> {
        let line = |text: Span, owner: Span, due: Span| {
            Item::line(vec![text, own(" - Owner: "), owner, own(", Due: "), due])
        };
        let items: Vec<Item> = self
            .notes(Field::NextStep)
            .take(ITEMS_MAX)
            .map(|it| {
                let part = |name: &str| it.part(name).map_or_else(|| blank(name), told);
                line(said(&it.text, &it.by), part("owner"), part("due"))
            })
            .collect();
        if items.is_empty() {
            let blanks = ["Action item 1", "Action item 2"];
            let blanks = blanks.map(|it| line(blank(it), blank("owner"), blank("due")));
            return blanks.into();
        }
        items
    }

    fn readiness(&self, exit: &Exit) -> Item {
        let all = self.facts.criteria.len();
        let text = match exit {
            Exit::Ready => "✅ Ready for BAU Operations".to_owned(),
            Exit::NotReady { unmet, unknown } => {
                let why = unfulfilled(*unmet, *unknown, all);
                format!("❌ Not ready for BAU Operations: {why}")
            }
            Exit::Unknown => "❔ Not known whether ready for BAU Operations".to_owned(),
        };
        Item::strong("Status", vec![own(text)])
    }
}

/// `3 of 8 success criteria are not met, and 2 are not known`.
fn unfulfilled(unmet: usize, unknown: usize, all: usize) -> String {
    let are = |count: usize| if count == 1 { "is" } else { "are" };
    let text = format!("{unmet} of {all} success criteria {} not met", are(unmet));
    if unknown == 0 {
        return text;
    }
    format!("{text}, and {unknown} {} not known", are(unknown))
}

fn told_challenge(note: &Note) -> Item {
    let part = |name: &str, what: &str| note.part(name).map_or_else(|| blank(what), told);
    of_three(
        vec![said(&note.text, &note.by)],
        part("impact", "impact"),
        part("resolution", "how it was resolved"),
        part("lesson", "what was learned"),
    )
}

fn of_three(text: Vec<Span>, impact: Span, resolution: Span, lesson: Span) -> Item {
    let mut item = Item::strong("Challenge", text);
    item.below = vec![
        Item::strong("Impact", vec![impact]),
        Item::strong("Resolution", vec![resolution]),
        Item::strong("Lesson", vec![lesson]),
    ];
    item
}
