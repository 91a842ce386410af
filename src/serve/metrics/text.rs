//! Exposition text of whole families: help, type, samples; labels escaped, no sample twice.

use std::collections::HashSet;
use std::fmt::Write as _;

/// A page under construction.
#[derive(Debug, Default)]
pub struct Page(String);

#[derive(Copy, Clone, Debug)]
pub enum Kind {
    Counter,
    Gauge,
}

impl Page {
    pub fn new(start: String) -> Self {
        Self(start)
    }

    pub fn finish(self) -> String {
        self.0
    }

    /// One family. Of samples with the same labels the first counts; a family without samples is left out.
    pub fn family<'a, L>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) where
        L: IntoIterator<Item = (&'a str, &'a str)>,
    {
        let mut written = HashSet::new();
        for (pairs, value) in samples {
            let labels = labels(pairs);
            if written.is_empty() {
                let kind = match kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                };
                let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
            }
            if !written.contains(&labels) {
                let _ = writeln!(self.0, "{name}{labels} {}", number(value));
                written.insert(labels);
            }
        }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, kind: Kind, name: &str, help: &str, value: f64) {
        self.family(kind, name, help, [([], value)]);
    }
}

fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        text.push(if text.is_empty() { '{' } else { ',' });
        for (i, c) in name.chars().enumerate() {
            let fits = c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit());
            text.push(if fits { c } else { '_' });
        }
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_says_nothing_twice() {
        let mut page = Page::default();
        let samples = [
            (vec![("a", "q\"b\\s\nn\tt"), ("9 bad-name", "é")], f64::NAN),
            (vec![("a", "same")], 1.0),
            (vec![("a", "same")], 2.0),
        ];
        page.family(Kind::Gauge, "x", "Help.", samples);
        page.single(Kind::Counter, "y_total", "More.", f64::INFINITY);
        page.family(
            Kind::Gauge,
            "none",
            "Nothing.",
            Vec::<([(&str, &str); 1], f64)>::new(),
        );
        let expected = "# HELP x Help.\n# TYPE x gauge\nx{a=\"q\\\"b\\\\s\\nn\tt\",__bad_name=\"é\"} NaN\nx{a=\"same\"} 1\n\
                        # HELP y_total More.\n# TYPE y_total counter\ny_total +Inf\n";
        assert_eq!(page.finish(), expected);
    }
}
