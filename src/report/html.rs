//! A report as one self-contained page: inline style, inline charts, no script, nothing from outside. It is read on a
//! phone, on paper, and in the dark. Every element is closed, so that it parses as XML too.

use std::fmt;
use std::fmt::Write as _;

use super::compose::light;
use super::document::Block;
use super::document::Item;
use super::document::Report;
use super::document::Span;
use super::document::Table;
use super::document::Why;
use super::svg;
use crate::model::text::Html;

const STYLE: &str = include_str!("report.css");

impl Report {
    /// A whole page. Blanks are marked.
    #[must_use]
    pub fn html(&self) -> String {
        let mut page = String::with_capacity(64 << 10);
        self.write(&mut page)
            .expect("writing to a string does not fail");
        page
    }

    fn write(&self, page: &mut String) -> fmt::Result {
        let title: String = self.title.spans.iter().map(Span::text).collect();
        write!(
            page,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\
             <meta name=\"color-scheme\" content=\"light dark\"/>\
             <title>{}</title><style>{STYLE}</style></head>\n<body><main><header>",
            Html(&title)
        )?;
        page.push_str("<h1>");
        spans(page, &self.title.spans)?;
        page.push_str("</h1><p class=\"lead\">");
        spans(page, &self.lead)?;
        let status = self.overall.status;
        write!(
            page,
            "</p><p class=\"badge {status}\">{}</p></header>",
            light(status)
        )?;
        for section in &self.sections {
            write!(page, "\n<section><h2>{}</h2>", Html(&section.heading))?;
            for block in &section.blocks {
                match block {
                    Block::Paragraph(words) => {
                        page.push_str("<p>");
                        spans(page, words)?;
                        page.push_str("</p>");
                    }
                    Block::Bullets(items) => list(page, "ul", items)?,
                    Block::Numbered(items) => list(page, "ol", items)?,
                }
            }
            page.push_str("</section>");
        }
        if let Some(closing) = &self.closing {
            page.push_str("\n<section class=\"closing\"><p>");
            item(page, closing)?;
            page.push_str("</p>");
            list(page, "ul", &closing.below)?;
            page.push_str("</section>");
        }
        self.behind(page)?;
        page.push_str("\n</main></body></html>\n");
        Ok(())
    }

    /// Charts, tables and how the figures were made.
    fn behind(&self, page: &mut String) -> fmt::Result {
        if !self.charts.is_empty() {
            page.push_str("\n<section class=\"wide\"><h2>Charts</h2><div class=\"charts\">");
            for (id, chart) in self.charts.iter().enumerate() {
                write!(
                    page,
                    "\n<figure><figcaption><b>{}</b> {}</figcaption>",
                    Html(&chart.title),
                    Html(&chart.description)
                )?;
                svg::draw(page, chart, id)?;
                page.push_str("</figure>");
            }
            page.push_str(
                "</div><p class=\"key\"><i class=\"k un\"></i> unknown <i class=\"k p1\"></i> P1 <i class=\"k p2\"></i> P2 \
                 <i class=\"k p3\"></i> P3, P4 <i class=\"k tg\"></i> target <i class=\"k ph\"></i> phases</p></section>",
            );
        }
        if !self.dashboard.is_empty() {
            page.push_str("\n<section class=\"wide\"><h2>Key Metrics Dashboard</h2>");
            for it in &self.dashboard {
                table(page, it)?;
            }
            page.push_str("</section>");
        }
        page.push_str("\n<section class=\"notes\"><h2>How the figures are made</h2><ul>");
        for note in &self.footnotes {
            page.push_str("<li>");
            spans(page, note)?;
            page.push_str("</li>");
        }
        page.write_str("</ul></section>")
    }
}

fn list(page: &mut String, tag: &str, items: &[Item]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(page, "<{tag}>")?;
    for it in items {
        page.push_str("<li>");
        item(page, it)?;
        list(page, "ul", &it.below)?;
        page.push_str("</li>");
    }
    write!(page, "</{tag}>")
}

fn item(page: &mut String, item: &Item) -> fmt::Result {
    if !item.label.is_empty() {
        write!(page, "<b>{}:</b> ", Html(item.label))?;
    }
    spans(page, &item.spans)
}

fn table(page: &mut String, table: &Table) -> fmt::Result {
    write!(
        page,
        "<h3>{}</h3><div class=\"scroll\"><table><thead><tr>",
        Html(table.heading)
    )?;
    for column in table.columns {
        write!(page, "<th scope=\"col\">{}</th>", Html(column))?;
    }
    page.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        page.push_str("<tr>");
        for (place, cell) in row.iter().enumerate() {
            page.push_str(if place == 0 {
                "<th scope=\"row\">"
            } else {
                "<td>"
            });
            spans(page, cell)?;
            page.push_str(if place == 0 { "</th>" } else { "</td>" });
        }
        page.push_str("</tr>");
    }
    page.write_str("</tbody></table></div>")
}

fn spans(page: &mut String, all: &[Span]) -> fmt::Result {
    for it in all {
        match it {
            Span::Own(text) | Span::Told(text) => write!(page, "{}", Html(text))?,
            Span::Figure { shown, .. } | Span::Moment { shown, .. } => {
                write!(page, "<span class=\"v\">{}</span>", Html(shown))?;
            }
            Span::Name(text) => write!(page, "<code>{}</code>", Html(text))?,
            Span::Said { text, by } => write!(
                page,
                "{} <span class=\"by\">(said by {})</span>",
                Html(text),
                Html(by)
            )?,
            Span::Blank { what, why } => {
                write!(page, "<mark>[fill in: {}", Html(what))?;
                match why {
                    Why::People => {}
                    Why::NoReadings(signal) => {
                        write!(page, ", no readings of <code>{}</code>", Html(signal))?;
                    }
                    Why::Because(why) => write!(page, ", {}", Html(why))?,
                }
                page.push_str("]</mark>");
            }
        }
    }
    Ok(())
}
