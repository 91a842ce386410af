//! "Daily Status Email Template", sent every evening of the hypercare period.

use super::Filled;
use super::Sheet;
use super::says::change;
use crate::model::Status;
use crate::report::document::Block;
use crate::report::document::Item;
use crate::report::document::Section;
use crate::report::document::Span;
use crate::report::document::Title;
use crate::report::document::blank;
use crate::report::document::own;
use crate::report::document::said;
use crate::report::document::told;
use crate::report::note::Field;
use crate::report::number;
use crate::report::signals::ACTIVE_USERS;
use crate::report::signals::SUPPORT_TICKETS_OPEN;
use crate::report::signals::SUPPORT_TICKETS_OPENED;
use crate::report::signals::SUPPORT_TICKETS_RESOLVED;
use crate::report::signals::THROUGHPUT;
use crate::report::signals::TRANSACTIONS;

impl Sheet<'_> {
    pub(super) fn status_mail(&self) -> Filled {
        let mut title = vec![told(&self.facts.project), own(" - ")];
        title.extend(self.day("Day "));
        title.push(own(" Status Report"));
        let mut tickets = self.figure(SUPPORT_TICKETS_OPENED, "support tickets");
        tickets.push(own(" ("));
        tickets.extend(self.figure(SUPPORT_TICKETS_RESOLVED, "tickets resolved"));
        tickets.push(own(" resolved, "));
        tickets.extend(self.figure(SUPPORT_TICKETS_OPEN, "tickets open"));
        tickets.push(own(" open)"));
        let metrics = vec![
            Item::of("Uptime", self.uptime()),
            Item::of("Active Users", self.active_users()),
            Item::of("API Calls", self.calls_and_change()),
            Item::of("Avg Latency", self.latency()),
            Item::of("Error Rate", self.error_rate()),
            Item::of("Support Tickets", tickets),
        ];
        let highlights = self.noted(Field::Highlight, &["Achievement 1", "Achievement 2"]);
        let focus = self.noted(Field::Focus, &["Priority 1", "Priority 2"]);
        let bullets =
            |key, heading: &str, items| Section::new(key, heading, vec![Block::Bullets(items)]);
        let sections = vec![
            bullets("metrics", "📊 Today's Metrics", metrics),
            bullets("highlights", "✅ Highlights", highlights),
            bullets(
                "issues_resolved",
                "🔧 Issues Resolved Today",
                self.resolved_items(),
            ),
            bullets("open_issues", "🚨 Open Issues", self.open_items()),
            bullets("trends", "📈 Trends", self.usage()),
            bullets("tomorrows_focus", "Tomorrow's Focus", focus),
        ];
        let track = match self.overall.status {
            Status::Green => "🟢 On Track",
            Status::Amber => "🟡 At Risk",
            Status::Red => "🔴 Off Track",
            Status::Unknown => "⚪ Unknown",
        };
        let mut closing = Item::of("Status", vec![own(track)]);
        closing.below = match self.overall_section().blocks.pop() {
            Some(Block::Bullets(reasons)) => reasons,
            Some(Block::Paragraph(_) | Block::Numbered(_)) | None => Vec::new(),
        };
        Filled {
            title: Title {
                is_subject: true,
                spans: title,
            },
            sections,
            closing: Some(closing),
        }
    }

    /// `247 (+12 vs yesterday); at most 312 at 14:20`.
    fn active_users(&self) -> Vec<Span> {
        let mut spans = self.figure(ACTIVE_USERS, "active users");
        if let Some(row) = self.figures.get(ACTIVE_USERS) {
            let change = change(row, false).map_or_else(
                || "no reading of the day before".to_owned(),
                |it| format!("{it} vs yesterday"),
            );
            let most = row.measure.far.map_or_else(String::new, |(value, at)| {
                let at = self.clock(at);
                format!("; at most {} at {at}", number::by_unit(row.unit, value))
            });
            spans.push(own(format!(" ({change}){most}")));
        }
        spans
    }

    /// `12,345 (+4.2%); 3 of 1,440 minutes unknown`.
    fn calls_and_change(&self) -> Vec<Span> {
        let mut spans = self.calls();
        if let Some(row) = self.figures.get(THROUGHPUT) {
            spans.pop();
            let change = change(row, true);
            let change = change
                .unwrap_or_else(|| "too few calls known to compare with the day before".to_owned());
            spans.push(own(format!(" ({change}); {}", super::says::unknown(row))));
        }
        spans
    }

    /// What people observed, and what the readings say about usage.
    fn usage(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for (signal, label) in [
            (ACTIVE_USERS, "Active users"),
            (THROUGHPUT, "API calls"),
            (TRANSACTIONS, "Transactions"),
        ] {
            if self.figures.get(signal).is_some() {
                items.push(Item::of(label, self.trend(signal)));
            }
        }
        let notes = self
            .notes(Field::Observation)
            .take(crate::report::document::ITEMS_MAX);
        items.extend(notes.map(|it| Item::line(vec![said(&it.text, &it.by)])));
        if items.is_empty() {
            items.push(Item::line(vec![blank("Observation about usage patterns")]));
        }
        items
    }
}
