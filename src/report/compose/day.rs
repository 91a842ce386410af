//! "Day 1 Operations Report", as the runbook's hours 13-24 have it.

use super::Filled;
use super::Sheet;
use crate::report::document::Block;
use crate::report::document::Item;
use crate::report::document::Section;
use crate::report::document::Title;
use crate::report::document::own;
use crate::report::note::Field;
use crate::report::signals::SUPPORT_TICKETS_OPENED;
use crate::report::signals::SUPPORT_TICKETS_RESOLVED;
use crate::report::signals::TOTAL_USERS;
use crate::report::signals::USER_SATISFACTION;

impl Sheet<'_> {
    pub(super) fn day_report(&self) -> Filled {
        let mut title = self.day("Day ");
        title.push(own(" Operations Report"));
        let mut tickets = self.figure(SUPPORT_TICKETS_OPENED, "support tickets");
        tickets.push(own(" (resolved: "));
        tickets.extend(self.figure(SUPPORT_TICKETS_RESOLVED, "tickets resolved"));
        tickets.push(own(")"));
        let summary = vec![
            Item::of("Go-live time", self.go_live()),
            Item::of("Total users", self.figure(TOTAL_USERS, "total users")),
            Item::of("Total API calls", self.calls()),
            Item::of("Incidents", self.incidents(false)),
            Item::of("Uptime", self.uptime()),
        ];
        let metrics = vec![
            Item::of("API latency p95", self.latency_p95()),
            Item::of("Error rate", self.error_rate()),
            Item::of(
                "User satisfaction",
                self.figure(USER_SATISFACTION, "user satisfaction"),
            ),
            Item::of("Support tickets", tickets),
        ];
        let focus = self.noted(Field::Focus, &["Priority 1", "Priority 2"]);
        let sections = vec![
            Section::new("summary", "Summary", vec![Block::Bullets(summary)]),
            Section::new("key_metrics", "Key Metrics", vec![Block::Bullets(metrics)]),
            Section::new(
                "issues_resolved",
                "Issues Resolved",
                vec![Block::Numbered(self.resolved_items())],
            ),
            Section::new(
                "outstanding_items",
                "Outstanding Items",
                vec![Block::Numbered(self.outstanding_items())],
            ),
            Section::new(
                "tomorrows_focus",
                "Tomorrow's Focus",
                vec![Block::Numbered(focus)],
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
}
