//! One table, read key by key: the typed getters. What no getter asked for is an unknown key.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Reader, Text};
use crate::model::{Ratio, Timestamp};
use crate::runbook::condition::nearest;
use crate::runbook::fault::Place;
use crate::runbook::quantity::{self, Wrong};
use crate::runbook::syntax;

/// A string or a table.
pub enum Item<'r> {
    Text(Text),
    Section(Section<'r>),
}

/// How long, or how many bytes.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Amount {
    Time(Duration),
    Bytes(f64),
}

/// A value that is no list and no table.
pub enum Scalar {
    Text(Text),
    Number(f64),
    Flag(bool),
}

/// One table being read.
pub struct Section<'r> {
    pub reader: &'r Reader<'r>,
    /// Its header.
    pub place: Place,
    /// For messages: `[[phase]]`.
    pub title: String,
    /// Its keys from the top of the file, each with a dot after it: `phase.`.
    path: String,
    values: DeTable<'r>,
    known: Vec<&'static str>,
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for (key, value) in std::mem::take(&mut self.values) {
            // A mistyped key may be a secret's.
            hide_texts(self.reader, &value);
            let place = self.place_of(key.span());
            let name = key.into_inner();
            let help = match nearest(&name, self.known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("keys known here: {}", self.known.join(", ")),
            };
            let message = format!("unknown key `{name}` in {}", self.title);
            self.reader.fault(&place, message, help);
        }
    }
}

impl<'r> Section<'r> {
    /// A whole file.
    pub(super) fn top(reader: &'r Reader<'r>, source: usize, values: DeTable<'r>) -> Self {
        Self {
            reader,
            place: Place { source, span: 0..0 },
            title: "this file".to_owned(),
            path: String::new(),
            values,
            known: Vec::new(),
        }
    }

    fn place_of(&self, span: Range<usize>) -> Place {
        Place {
            source: self.place.source,
            span,
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(Spanned<DeValue<'r>>, Place)> {
        self.known.push(key);
        let value = self.values.remove(key)?;
        let place = self.place_of(value.span());
        Some((value, place))
    }

    fn wrong_type(&self, key: &str, found: &DeValue, place: &Place, expected: &str, help: &str) {
        let message = format!(
            "`{key}` should be {expected}, and this is {}",
            a(found.type_str())
        );
        self.reader.fault(place, message, help);
    }

    /// The place of a key that is there, for messages about it.
    pub fn key_place(&self, key: &str) -> Place {
        let found = self.values.get_key_value(key);
        found.map_or_else(|| self.place.clone(), |(key, _)| self.place_of(key.span()))
    }

    /// Keys of a later version: refused by name.
    pub fn later(&mut self, keys: &[(&str, &str)]) {
        for (key, shown) in keys {
            let place = self.key_place(key);
            if self.values.remove(*key).is_some() {
                let message = format!("`{shown}` is not in this version");
                self.reader.fault(
                    &place,
                    message,
                    "remove it; a later version will understand it",
                );
            }
        }
    }

    pub fn text(&mut self, key: &'static str) -> Option<Text> {
        let (value, place) = self.take(key)?;
        self.text_from(key, value.into_inner(), place)
    }

    fn text_from(&self, key: &str, value: DeValue, place: Place) -> Option<Text> {
        match value {
            DeValue::String(text) => self.expand(text.into_owned(), place),
            other => {
                self.wrong_type(key, &other, &place, "a string", "write it in quotes");
                None
            }
        }
    }

    /// Puts the environment's values in; a variable that is not set is a fault.
    fn expand(&self, raw: String, place: Place) -> Option<Text> {
        let mut unset = Vec::new();
        let value = syntax::expand(&raw, self.reader.env, &mut unset);
        let written = &self.reader.sources[place.source].text[place.span.clone()];
        let verbatim = syntax::verbatim(written, &value).map(|at| place.span.start + at);
        let complete = unset.is_empty();
        for name in unset {
            let help = format!("set {name}, or write \"${{{name}:-default}}\"");
            let message = format!("the environment variable {name} is not set");
            self.reader.fault(&place, message, help);
        }
        complete.then_some(Text {
            value,
            place,
            raw,
            verbatim,
        })
    }

    pub fn required(&mut self, key: &'static str, example: &str) -> Option<Text> {
        if !self.values.contains_key(key) {
            let message = format!("`{key}` is missing in {}", self.title);
            let help = match nearest(key, self.values.keys().map(|it| it.get_ref().as_ref())) {
                Some(near) => format!("did you mean `{key}` where it says `{near}`?"),
                None => format!("write {key} = {example}"),
            };
            self.reader.missing(&self.place, message, help);
        }
        self.text(key)
    }

    /// A string that means nothing when it is empty: `"${APP_VERSION:-}"`.
    pub fn told(&mut self, key: &'static str) -> Option<Text> {
        self.text(key).filter(|it| !it.value.trim().is_empty())
    }

    pub fn texts(&mut self, key: &'static str) -> Vec<Text> {
        const HELP: &str = "write [\"…\", \"…\"]";
        let Some((value, place)) = self.take(key) else {
            return Vec::new();
        };
        match value.into_inner() {
            DeValue::Array(items) => items
                .into_iter()
                .filter_map(|item| {
                    let place = self.place_of(item.span());
                    self.text_from(key, item.into_inner(), place)
                })
                .collect(),
            other => {
                self.wrong_type(key, &other, &place, "a list of strings", HELP);
                Vec::new()
            }
        }
    }

    /// A string, or a list of them.
    pub fn texts_or_one(&mut self, key: &'static str) -> Vec<Text> {
        let one = self.values.get(key).map(Spanned::get_ref);
        if matches!(one, Some(DeValue::String(_))) {
            return self.text(key).into_iter().collect();
        }
        self.texts(key)
    }

    /// Strings or tables, one or a list of them.
    pub fn items(&mut self, key: &'static str) -> Vec<Item<'r>> {
        let Some((value, place)) = self.take(key) else {
            return Vec::new();
        };
        let items = match value.into_inner() {
            DeValue::Array(items) => items
                .into_iter()
                .map(|it| (self.place_of(it.span()), it.into_inner()))
                .collect(),
            one => vec![(place, one)],
        };
        items
            .into_iter()
            .filter_map(|(place, value)| match value {
                DeValue::Table(values) => {
                    Some(Item::Section(self.below(place, key, false, values)))
                }
                other => self.text_from(key, other, place).map(Item::Text),
            })
            .collect()
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let (value, place) = self.take(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        self.wrong_type(
            key,
            value.get_ref(),
            &place,
            "true or false",
            "write true or false without quotes",
        );
        None
    }

    /// A whole number within bounds.
    pub fn whole(&mut self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let (value, place) = self.take(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(it) => u64::from_str_radix(it.as_str(), it.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|it| bounds.contains(it));
        if number.is_none() {
            let help = format!(
                "write a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            );
            let message = format!("`{key}` is out of bounds or no whole number");
            self.reader.fault(&place, message, help);
        }
        number
    }

    /// A finite number.
    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        let (value, place) = self.take(key)?;
        let number = as_number(value.get_ref());
        if number.is_none() {
            let message = format!("`{key}` is not a finite number");
            self.reader
                .fault(&place, message, "write a number, such as 0 or 2.5");
        }
        number
    }

    /// `"30s"`.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.quantity(key, quantity::duration)
    }

    /// A duration, or a word that stands for none.
    pub fn duration_unless(&mut self, key: &'static str, word: &str) -> Option<Duration> {
        let is_word = |it: &Spanned<DeValue>| it.get_ref().as_str() == Some(word);
        if self.values.get(key).is_some_and(is_word) {
            self.take(key);
            return None;
        }
        self.duration(key)
    }

    /// `"64MiB"`, in bytes.
    pub fn size(&mut self, key: &'static str) -> Option<f64> {
        self.quantity(key, quantity::size)
    }

    /// How long, or how much of it: `"7d"` or `"256MiB"`.
    pub fn amount(&mut self, key: &'static str) -> Option<Amount> {
        let text = self.values.get(key).and_then(|it| it.get_ref().as_str());
        let is_size = text.is_some_and(|it| it.trim_end().ends_with(['B', 'b']));
        if is_size {
            return self.size(key).map(Amount::Bytes);
        }
        self.duration(key).map(Amount::Time)
    }

    /// `"0.5%"` or `0.005`.
    pub fn share(&mut self, key: &'static str) -> Option<Ratio> {
        self.quantity(key, quantity::share).and_then(Ratio::new)
    }

    /// A number with a unit, as string or (where that is allowed at all) bare.
    fn quantity<T>(&mut self, key: &'static str, read: fn(&str) -> Result<T, Wrong>) -> Option<T> {
        let (value, place) = self.take(key)?;
        let text = match value.into_inner() {
            DeValue::Integer(it) => bare(it.to_string(), place),
            DeValue::Float(it) => bare(it.to_string(), place),
            other => self.text_from(key, other, place)?,
        };
        match read(&text.value) {
            Ok(read) => Some(read),
            Err(wrong) => {
                self.wrong(&text, wrong);
                None
            }
        }
    }

    /// Reports what is wrong inside a string. What came from the environment is not repeated.
    pub fn wrong(&self, text: &Text, wrong: Wrong) {
        let message = if text.value == text.raw {
            wrong.message
        } else {
            format!("what `{}` expands to is not valid here", text.raw)
        };
        self.reader.fault(&text.at(wrong.span), message, wrong.help);
    }

    /// RFC 3339, as a string or as TOML's own date.
    pub fn time(&mut self, key: &'static str) -> Option<Timestamp> {
        let (value, place) = self.take(key)?;
        let text = match value.into_inner() {
            DeValue::Datetime(it) => bare(it.to_string(), place),
            other => self.text_from(key, other, place)?,
        };
        if text.value.trim().is_empty() {
            return None;
        }
        let time = text.value.trim().parse().ok();
        if time.is_none() {
            let message = format!("`{}` is not a moment", text.shown());
            let help = "write RFC 3339 with its zone, such as 2026-12-01T00:00:00Z";
            self.reader.fault(&text.place, message, help);
        }
        time
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let known: Vec<String> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            let help = match nearest(&text.value, words.iter().map(|it| it.0)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write {}", known.join(" or ")),
            };
            let message = format!("`{}` is not known as `{key}`", text.shown());
            self.reader.fault(&text.place, message, help);
        }
        found.map(|(_, it)| *it)
    }

    /// A table under `key`; of a list of tables when `each`.
    fn below(&self, place: Place, key: &str, each: bool, values: DeTable<'r>) -> Section<'r> {
        let path = format!("{}{key}", self.path);
        Section {
            reader: self.reader,
            place,
            title: if each {
                format!("[[{path}]]")
            } else {
                format!("[{path}]")
            },
            path: path + ".",
            values,
            known: Vec::new(),
        }
    }

    /// `[key]`.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'r>> {
        let (value, place) = self.take(key)?;
        match value.into_inner() {
            DeValue::Table(values) => Some(self.below(place, key, false, values)),
            other => {
                let help = format!("write [{key}] above its keys");
                self.wrong_type(key, &other, &place, "a table", &help);
                None
            }
        }
    }

    /// `[[key]]`, in the order of the file.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'r>> {
        let Some((value, place)) = self.take(key) else {
            return Vec::new();
        };
        let help = format!("write [[{key}]] above each");
        let items = match value.into_inner() {
            DeValue::Array(items) => items,
            other => {
                self.wrong_type(key, &other, &place, "a list of tables", &help);
                return Vec::new();
            }
        };
        let mut sections = Vec::new();
        for item in items {
            let place = self.place_of(item.span());
            match item.into_inner() {
                DeValue::Table(values) => {
                    sections.push(self.below(place, key, true, values));
                }
                other => self.wrong_type(key, &other, &place, "a table", &help),
            }
        }
        sections
    }

    /// `[key.NAME]` for names that the file chooses, in the order of the file.
    pub fn named(&mut self, key: &'static str) -> Vec<(Text, Section<'r>)> {
        let mut named = Vec::new();
        for (name, value, place) in self.entries(key) {
            match value {
                DeValue::Table(values) => {
                    let key = format!("{key}.{}", name.value);
                    let section = self.below(place, &key, false, values);
                    named.push((name, section));
                }
                other => self.wrong_type(&name.value, &other, &place, "a table", ""),
            }
        }
        named
    }

    /// `key = { NAME = "text" }` for names that the file chooses, in the order of the file.
    pub fn pairs(&mut self, key: &'static str) -> Vec<(Text, Text)> {
        let entries = self.entries(key);
        entries
            .into_iter()
            .filter_map(|(name, value, place)| {
                let text = self.text_from(&name.value, value, place)?;
                Some((name, text))
            })
            .collect()
    }

    fn entries(&mut self, key: &'static str) -> Vec<(Text, DeValue<'r>, Place)> {
        match self
            .take(key)
            .map(|(value, place)| (value.into_inner(), place))
        {
            None => Vec::new(),
            Some((DeValue::Table(values), _)) => self.in_order(values),
            Some((other, place)) => {
                let help = format!("write [{key}] with its keys below, or {key} = {{ … }}");
                self.wrong_type(key, &other, &place, "a table", &help);
                Vec::new()
            }
        }
    }

    /// `key = { NAME = "text", OTHER = 3, THIRD = true }` for names that the file chooses, in the order of the file.
    pub fn scalars(&mut self, key: &'static str) -> Vec<(Text, Scalar)> {
        let mut scalars = Vec::new();
        for (name, value, place) in self.entries(key) {
            let scalar = match value {
                DeValue::String(text) => self.expand(text.into_owned(), place).map(Scalar::Text),
                DeValue::Boolean(flag) => Some(Scalar::Flag(flag)),
                other => {
                    let number = as_number(&other);
                    if number.is_none() {
                        let help = "write \"text\", 3 or true";
                        let expected = "a string, a number, true or false";
                        self.wrong_type(&name.value, &other, &place, expected, help);
                    }
                    number.map(Scalar::Number)
                }
            };
            scalars.extend(scalar.map(|it| (name, it)));
        }
        scalars
    }

    /// Whether a list without anything in it stands there.
    pub fn is_empty_list(&self, key: &str) -> bool {
        let found = self.values.get(key).map(Spanned::get_ref);
        matches!(found, Some(DeValue::Array(items)) if items.is_empty())
    }

    /// Every string that no getter asked for, as labels; the section is used up.
    pub fn rest(&mut self) -> BTreeMap<String, Text> {
        let rest = std::mem::take(&mut self.values);
        self.in_order(rest)
            .into_iter()
            .filter_map(|(name, value, place)| {
                let text = self.text_from(&name.value, value, place)?;
                Some((name.value, text))
            })
            .collect()
    }

    fn in_order(&self, values: DeTable<'r>) -> Vec<(Text, DeValue<'r>, Place)> {
        let mut entries: Vec<_> = values
            .into_iter()
            .map(|(key, value)| {
                let name = Text {
                    place: self.place_of(key.span()),
                    raw: key.get_ref().to_string(),
                    value: key.into_inner().into_owned(),
                    verbatim: None,
                };
                let place = self.place_of(value.span());
                (name, value.into_inner(), place)
            })
            .collect();
        entries.sort_by_key(|(name, ..)| name.place.span.start);
        entries
    }
}

fn hide_texts(reader: &Reader, value: &Spanned<DeValue>) {
    match value.get_ref() {
        DeValue::String(_) => {
            let Range { start, end } = value.span();
            reader.hide(start + 1..end.saturating_sub(1).max(start + 1));
        }
        DeValue::Array(items) => items.iter().for_each(|it| hide_texts(reader, it)),
        DeValue::Table(table) => table.values().for_each(|it| hide_texts(reader, it)),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// A value that needs no quotes.
fn bare(raw: String, place: Place) -> Text {
    Text {
        value: raw.clone(),
        place,
        raw,
        verbatim: None,
    }
}

fn as_number(value: &DeValue) -> Option<f64> {
    match value {
        DeValue::Integer(it) if it.radix() == 10 => quantity::finite(it.as_str()),
        DeValue::Float(it) => quantity::finite(it.as_str()),
        _ => None,
    }
}

fn a(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}
