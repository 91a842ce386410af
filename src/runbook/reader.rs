//! TOML tables read key by key: every getter checks its value and reports what is wrong instead of stopping. The home of `toml`.
//!
//! A [`Section`] remembers what it was asked for: what is left when it is dropped is an unknown key, so the getters are
//! the schema. `${NAME}` and `${NAME:-default}` in strings come from the environment that the caller passes in;
//! messages show strings as written, never what they expand to.

mod section;

use std::cell::RefCell;
use std::ops::Range;

use toml::de::DeTable;

use super::fault::{Fault, Grade, Place, Source};
use super::spot::{Map, Spot};
use super::syntax;
pub use section::{Amount, Item, Scalar, Section};

/// A variable of the environment; `None` when it is not set.
pub type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The files read together and what was found wrong with them.
pub struct Reader<'e> {
    sources: &'e [Source],
    env: Env<'e>,
    /// Lines that are not TOML. What is said about them says it all: nothing more is reported there.
    broken: Vec<Place>,
    faults: RefCell<Vec<Fault>>,
    hidden: RefCell<Vec<Range<usize>>>,
}

impl<'e> Reader<'e> {
    pub fn new(sources: &'e [Source], env: Env<'e>) -> Self {
        let mut faults = Vec::new();
        let mut broken = Vec::new();
        let toml = |it: &(usize, &Source)| !super::is_rule_file(&it.1.path);
        for (source, Source { text, .. }) in sources.iter().enumerate().filter(toml) {
            let (_, errors) = DeTable::parse_recoverable(text);
            let errors = errors
                .iter()
                .map(|it| (it.message().to_owned(), it.span().unwrap_or(0..0)));
            for fault in syntax::faults(source, text, errors.collect()) {
                broken.push(Place {
                    source,
                    span: syntax::line_around(text, fault.span.start),
                });
                faults.push(fault);
            }
        }
        Self {
            sources,
            env,
            broken,
            faults: RefCell::new(faults),
            hidden: RefCell::default(),
        }
    }

    /// The top of a file; `None` where a broken header leaves its structure in doubt.
    pub fn root(&self, source: usize) -> Option<Section<'_>> {
        let text = &self.sources[source].text;
        let in_doubt = |line: &Place| {
            line.source == source && text[line.span.clone()].trim_start().starts_with('[')
        };
        if self.broken.iter().any(in_doubt) {
            return None;
        }
        let values = DeTable::parse_recoverable(text).0.into_inner();
        Some(Section::top(self, source, values))
    }

    pub fn fault(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Grade::Error, place, message.into(), help.into(), None);
    }

    pub fn warn(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Grade::Warning, place, message.into(), help.into(), None);
    }

    /// Two places that do not go together; `note` stands under the other one.
    pub fn clash(&self, place: &Place, message: String, help: &str, other: &Place, note: &str) {
        let other = Some((other.clone(), note.to_owned()));
        self.push(Grade::Error, place, message, help.to_owned(), other);
    }

    /// Something that should be there is not. Says nothing while a broken line may be what hides it.
    pub fn missing(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        if self.broken.is_empty() {
            self.fault(place, message, help);
        }
    }

    fn push(
        &self,
        grade: Grade,
        place: &Place,
        message: String,
        help: String,
        also: Option<(Place, String)>,
    ) {
        let told = |line: &Place| {
            line.source == place.source
                && (line.span.start..=line.span.end).contains(&place.span.start)
        };
        if !self.broken.iter().any(told) {
            self.faults.borrow_mut().push(Fault {
                grade,
                source: place.source,
                span: place.span.clone(),
                message,
                help,
                also,
            });
        }
    }

    /// Whatever stands at these bytes is a secret, not to be shown beside a fault. For a file that is read alone.
    pub fn hide(&self, span: Range<usize>) {
        self.hidden.borrow_mut().push(span);
    }

    /// As written, with a secret's bytes made unreadable.
    pub fn shown(&self, source: usize) -> String {
        let mut text = self.sources[source].text.clone();
        for line in self.broken.iter().filter(|it| it.source == source) {
            if let Some(written) = text.get(line.span.clone()) {
                let hidden = hidden(written);
                text.replace_range(line.span.clone(), &hidden);
            }
        }
        for span in self.hidden.borrow().iter() {
            if text.get(span.clone()).is_some() {
                text.replace_range(span.clone(), &"*".repeat(span.len()));
            }
        }
        text
    }

    /// Everything found, in the order of the files and their lines.
    pub fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|it| (it.source, it.span.start));
        faults
    }
}

/// A line that is not TOML, byte for byte as long, without what it says where its key is one of secrets.
fn hidden(line: &str) -> String {
    const KEYS: [&str; 6] = ["url", "urls", "health", "password", "headers", "env"];
    let Some((key, value)) = line.split_once('=') else {
        return line.to_owned();
    };
    if !KEYS.contains(&key.trim()) {
        return line.to_owned();
    }
    let plain = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric();
    let star = |c: char| {
        if plain(c) {
            c.to_string()
        } else {
            "*".repeat(c.len_utf8())
        }
    };
    let value: String = value.chars().map(star).collect();
    format!("{key}={value}")
}

/// A string with its place.
#[derive(Clone, Debug)]
pub struct Text {
    /// With the environment's values in place.
    pub value: String,
    pub place: Place,
    /// As written, for messages.
    raw: String,
    /// Where the value begins in the file, if it stands there byte for byte.
    verbatim: Option<usize>,
}

impl Text {
    /// As written: a value from the environment is not shown.
    pub fn shown(&self) -> &str {
        &self.raw
    }

    /// Says that the value is a secret, wherever it stands in the file.
    pub fn hide(&self, reader: &Reader) {
        // Without its quotes, so that they show that there is something.
        let Range { start, end } = self.place.span;
        if end > start + 2 {
            reader.hide(start + 1..end - 1);
        }
    }

    /// Says that the value is a URL, of which scheme and host alone may be shown, and gives what may be: chat services
    /// put the key into the path.
    pub fn hide_url(&self, reader: &Reader) -> String {
        let start = self.place.span.start;
        let written = &reader.sources[self.place.source].text[self.place.span.clone()];
        let authority = written.find("://").map_or(1, |at| at + 3);
        let end = written.len().saturating_sub(1);
        // Where no value stands in quotes (a key without one, a file cut short) there is nothing to hide.
        if let Some(rest) = written.get(authority..end) {
            let host_end = rest.find(['/', '?', '#']).map_or(end, |at| authority + at);
            if let Some(at) = written[authority..host_end].rfind('@') {
                reader.hide(start + authority..start + authority + at);
            }
            if host_end + 1 < end {
                reader.hide(start + host_end + 1..start + end);
            }
        }
        let shown = reader.shown(self.place.source);
        shown[self.place.span.clone()]
            .trim_matches(['"', '\''])
            .to_owned()
    }

    /// Some bytes of the value; the whole string where escapes or the environment moved them.
    pub fn at(&self, span: Range<usize>) -> Place {
        self.spot().at(span)
    }

    /// Where its value stands.
    pub fn spot(&self) -> Spot {
        Spot {
            source: self.place.source,
            whole: self.place.span.clone(),
            map: self.verbatim.map_or(Map::Lost, Map::From),
        }
    }
}
