//! A report as JSON: the same document, with each figure as a number and each blank as `null`.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::document::Block;
use super::document::Item;
use super::document::Report;
use super::document::Section;
use super::document::Span;
use super::document::Table;
use super::document::Why;
use super::figures::Row;
use super::signals::How;
use super::trend::Better;
use crate::model::Severity;

impl Report {
    /// Moments are RFC 3339 in UTC; values are in the unit beside them. What nobody knows is `null`, with
    /// `"blank": true` on the line or signal that wants it.
    #[must_use]
    pub fn json(&self) -> Value {
        let reasons = self.overall.reasons.iter().map(|it| {
            if it.about.is_empty() {
                it.what.clone()
            } else {
                format!("{}: {}", it.what, it.about)
            }
        });
        let opened = Severity::ALL.iter().zip(self.opened);
        let opened: Map<_, _> = opened
            .map(|(it, count)| (it.word().to_owned(), json!(count)))
            .collect();
        json!({
            "kind": self.kind.word(),
            "service": self.service,
            "environment": self.environment,
            "project": self.project,
            "period": {
                "from": self.from.to_string(),
                "until": self.until.to_string(),
                "seconds": self.until.since(self.from).as_secs(),
                "zone": self.zone,
            },
            "made_at": self.made_at.to_string(),
            "title": text(&self.title.spans),
            "status": {
                "status": self.overall.status.word(),
                "reasons": reasons.collect::<Vec<_>>(),
            },
            "incidents_opened": opened,
            "sections": self.sections.iter().map(section).collect::<Vec<_>>(),
            "closing": self.closing.as_ref().map(item),
            "signals": self.rows.iter().map(row).collect::<Vec<_>>(),
            "tables": self.dashboard.iter().map(table).collect::<Vec<_>>(),
            "footnotes": self.footnotes.iter().map(|it| text(it)).collect::<Vec<_>>(),
        })
    }
}

fn section(section: &Section) -> Value {
    let mut items = Vec::new();
    let mut paragraphs = Vec::new();
    for block in &section.blocks {
        match block {
            Block::Paragraph(spans) => paragraphs.push(text(spans)),
            Block::Bullets(all) | Block::Numbered(all) => items.extend(all.iter().map(item)),
        }
    }
    json!({
        "key": section.key,
        "heading": section.heading,
        "text": (!paragraphs.is_empty()).then(|| paragraphs.join("\n")),
        "items": items,
    })
}

fn item(item: &Item) -> Value {
    let mut values = Map::new();
    let (mut blanks, mut said_by) = (Vec::new(), Vec::new());
    for span in &item.spans {
        match span {
            Span::Figure { key, value, .. } => {
                values.insert((*key).to_owned(), json!(value));
            }
            Span::Moment { key, at, .. } => {
                values.insert((*key).to_owned(), json!(at.to_string()));
            }
            Span::Blank { what, why } => {
                let (why, signal) = match why {
                    Why::People => (None, None),
                    Why::NoReadings(signal) => {
                        values.insert(signal.clone(), Value::Null);
                        (Some("no readings"), Some(signal))
                    }
                    Why::Because(why) => (Some(why.as_str()), None),
                };
                blanks.push(json!({ "what": what, "why": why, "signal": signal }));
            }
            Span::Said { by, .. } => said_by.push(by.as_str()),
            Span::Own(_) | Span::Told(_) | Span::Name(_) => {}
        }
    }
    let only_blank = item.spans.iter().all(Span::is_blank);
    json!({
        "label": (!item.label.is_empty()).then_some(item.label),
        "text": (!only_blank).then(|| text(&item.spans)),
        "blank": !blanks.is_empty(),
        "blanks": blanks,
        "values": values,
        "said_by": said_by,
        "items": item.below.iter().map(self::item).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    let measure = &row.measure;
    let targets = row.targets.iter().map(|it| {
        json!({
            "text": it.target.text,
            "bound": it.target.bound,
            "known_minutes": it.known,
            "missed_minutes": it.missed,
            "met": it.is_met,
        })
    });
    let far = measure
        .far
        .map(|(value, at)| json!({ "value": value, "at": at.to_string() }));
    let neither = row.known.is_none_or(|it| it.better == Better::Neither);
    let (worst, highest) = if neither { (None, far) } else { (far, None) };
    let trend = &row.trend;
    json!({
        "name": row.name,
        "title": row.title,
        "unit": row.unit.word(),
        "how": row.known.map_or(How::Mean, |it| it.how).word(),
        "value": measure.value,
        "blank": measure.value.is_none(),
        "known_minutes": measure.known,
        "unknown_minutes": measure.total - measure.known,
        "worst": worst,
        "highest": highest,
        "earlier": row.earlier,
        "trend": {
            "direction": trend.direction.word().to_lowercase(),
            "change": trend.change,
            "p": trend.p,
            "buckets": trend.buckets,
        },
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn table(table: &Table) -> Value {
    let rows = table
        .rows
        .iter()
        .map(|row| row.iter().map(|it| text(it)).collect::<Vec<_>>());
    json!({
        "heading": table.heading,
        "columns": table.columns,
        "rows": rows.collect::<Vec<_>>(),
    })
}

fn text(spans: &[Span]) -> String {
    spans.iter().map(Span::text).collect()
}
