//! A sheet as text and as a page. Every text passes an escape on its way.

use std::fmt;
use std::fmt::Write as _;

use super::sheet::Mark;
use super::sheet::Sheet;
use crate::model::text::Html;
use crate::model::text::visible;

/// Wider keys push their own row only.
const KEY_WIDTH_MAX: usize = 28;

pub fn text(sheet: &Sheet) -> String {
    let mut out = format!("{}\n{}\n", visible(&sheet.headline), visible(&sheet.reason));
    for section in &sheet.sections {
        let keys = section
            .rows
            .iter()
            .map(|it| visible(&it.key).chars().count());
        let width = keys.max().unwrap_or(0).min(KEY_WIDTH_MAX);
        let _ = writeln!(out, "\n{}", section.title);
        for row in &section.rows {
            let mark = match row.mark {
                Mark::None => ' ',
                Mark::Passed => '✓',
                Mark::Refused => '✗',
            };
            let link = row.link.as_deref();
            let link = link.map_or_else(String::new, |id| format!(" [{}]", visible(id)));
            let (key, text) = (visible(&row.key), visible(&row.text));
            let shown = format!("{mark} {key:width$}  {text}{link}");
            let _ = writeln!(out, "{}", shown.trim_end());
        }
    }
    out
}

pub fn html(sheet: &Sheet, id: &str) -> String {
    let mut page = String::with_capacity(8 << 10);
    write(&mut page, sheet, id).expect("writing to a string does not fail");
    page
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd;\
vertical-align:top;overflow-wrap:anywhere}td:first-child{white-space:nowrap}.passed td:first-child{color:#17692b}\
.refused td{color:#b3261e}";

fn write(page: &mut String, sheet: &Sheet, id: &str) -> fmt::Result {
    let (id, headline) = (Html(id), Html(&sheet.headline));
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{headline}</title>\
         <style>{STYLE}</style></head><body><p><a href=\"../\">status</a></p>\
         <h1>{headline}</h1><p>{}</p>",
        Html(&sheet.reason)
    )?;
    for section in &sheet.sections {
        write!(page, "<h2>{}</h2><table>", Html(&section.title))?;
        for row in &section.rows {
            let (class, mark) = match row.mark {
                Mark::None => ("", ""),
                Mark::Passed => ("passed", "✓ "),
                Mark::Refused => ("refused", "✗ "),
            };
            let (key, text) = (Html(&row.key), Html(&row.text));
            write!(page, "<tr class=\"{class}\"><td>{mark}{key}<td>{text}")?;
            if let Some(id) = &row.link {
                let id = Html(id);
                write!(page, " <a href=\"../explain/{id}\">{id}</a>")?;
            }
            page.push_str("</tr>");
        }
        page.push_str("</table>");
    }
    writeln!(
        page,
        "<p><a href=\"../api/v1/decisions/{id}\">as JSON</a></p></body></html>"
    )
}
