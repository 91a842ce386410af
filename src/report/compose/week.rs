//! "Week 1-2 Hypercare Report", every Friday.

use super::Filled;
use super::Sheet;
use crate::report::document::Block;
use crate::report::document::Item;
use crate::report::document::Section;
use crate::report::document::Span;
use crate::report::document::Title;
use crate::report::document::blank;
use crate::report::document::own;
use crate::report::note::Field;
use crate::report::signals::API_LATENCY_P95;
use crate::report::signals::ERROR_RATE;
use crate::report::signals::TOTAL_USERS;
use crate::report::signals::USER_SATISFACTION;
use crate::report::trend::Direction;

impl Sheet<'_> {
    pub(super) fn week_report(&self) -> Filled {
        let mut title = vec![own("Week ")];
        title.push(self.weeks());
        title.push(own(" Hypercare Report"));
        let summary = vec![
            Item::of("Total uptime", self.uptime()),
            Item::of("Unique users", self.figure(TOTAL_USERS, "unique users")),
            Item::of("Total API calls", self.calls()),
            Item::of("Total incidents", self.incidents(false)),
        ];
        let mut satisfaction = self.figure(USER_SATISFACTION, "user satisfaction");
        let direction = self
            .figures
            .get(USER_SATISFACTION)
            .map(|it| it.trend.direction);
        let direction = direction.unwrap_or(Direction::Unknown);
        satisfaction.push(own(format!(" ({})", direction.word())));
        let trends = vec![
            Item::of("Latency", self.trend(API_LATENCY_P95)),
            Item::of("Error rate", self.trend(ERROR_RATE)),
            Item::of("User satisfaction", satisfaction),
        ];
        let numbered =
            |key, heading: &str, items| Section::new(key, heading, vec![Block::Numbered(items)]);
        let sections = vec![
            Section::new("summary", "Summary", vec![Block::Bullets(summary)]),
            numbered(
                "key_achievements",
                "Key Achievements",
                self.noted(
                    Field::Achievement,
                    &["Achievement 1", "Achievement 2", "Achievement 3"],
                ),
            ),
            numbered(
                "lessons_learned",
                "Lessons Learned",
                self.noted(Field::Lesson, &["Lesson 1", "Lesson 2"]),
            ),
            Section::new(
                "performance_trends",
                "Performance Trends",
                vec![Block::Bullets(trends)],
            ),
            numbered(
                "optimizations",
                "Optimization Implemented",
                self.optimizations(" - Impact: "),
            ),
            numbered(
                "next_week",
                "Next Week Priorities",
                self.noted(Field::Priority, &["Priority 1", "Priority 2", "Priority 3"]),
            ),
            self.overall_section(),
        ];
        Filled {
            title: Title {
                is_subject: false,
                spans: title,
            },
            sections,
            closing: None,
        }
    }

    /// `1`, `1-2`: the weeks since the go-live that the period touches.
    fn weeks(&self) -> Span {
        let week = |day: i64| (day - 1) / 7 + 1;
        match (self.first_day().map(week), self.day_number().map(week)) {
            (Some(first), Some(last)) if first < last => own(format!("{first}-{last}")),
            (_, Some(last)) => own(last.to_string()),
            (_, None) => blank("week since the go-live"),
        }
    }
}
