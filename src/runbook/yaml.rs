//! YAML as a tree that knows where everything stands, so that a file's faults can all be told, each under its words.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and the bytes it stands at.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub kind: Kind,
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    /// What is no string is shown as it is written: `1`, `true`.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub name: String,
    pub span: Range<usize>,
}

impl Node {
    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a table",
        }
    }

    /// Some bytes of a scalar's value: where the file holds them as they are, else the whole of it.
    pub fn at(&self, text: &str, within: Range<usize>) -> Range<usize> {
        let Kind::Scalar(value) = &self.kind else {
            return self.span.clone();
        };
        let raw = text.get(self.span.clone()).unwrap_or("");
        if let Some(start) = raw.find(value.trim_end()) {
            let start = self.span.start + start;
            return start + within.start..(start + within.end).min(self.span.end);
        }
        // A block scalar holds each line as it is, behind an indentation.
        let before = value.get(..within.start).unwrap_or("");
        let (line, column) = (
            before.matches('\n').count(),
            within.start - before.rfind('\n').map_or(0, |at| at + 1),
        );
        let wanted = value.lines().nth(line).unwrap_or("");
        let mut offset = self.span.start;
        for raw in raw.split_inclusive('\n') {
            let inside = raw.trim_end();
            if !wanted.is_empty() && inside.ends_with(wanted.trim_end()) {
                let start = offset + inside.len() - wanted.trim_end().len() + column;
                let end = start + (within.end - within.start);
                return start..end.min(offset + inside.len()).max(start);
            }
            offset += raw.len();
        }
        self.span.clone()
    }
}

/// The tree of a text, or what is wrong with it and where.
pub(crate) fn parse(text: &str) -> Result<Node, (String, Range<usize>)> {
    // Every number stays as it is written, `.nan` too.
    let options = serde_saphyr::options! {
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        budget: None
    };
    let tree: Result<Option<Spanned<Tree>>, _> = serde_saphyr::from_str_with_options(text, options);
    match tree {
        Ok(Some(tree)) => Ok(node(tree, text)),
        Ok(None) => Ok(Node {
            kind: Kind::Null,
            span: 0..0,
        }),
        Err(error) => {
            let place = error.location().map(|it| (it.line(), it.column()));
            let message = error.without_snippet().to_string();
            let (message, said) = sentence(&message);
            let (line, column) = said.or(place).unwrap_or((1, 1));
            let number = usize::try_from(line).unwrap_or(1).max(1);
            let before = text.split_inclusive('\n').take(number - 1).map(str::len);
            let start = before.sum::<usize>().min(text.len());
            let line = text[start..].lines().next().unwrap_or("");
            let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
            let within = line
                .char_indices()
                .nth(column)
                .map_or(line.len(), |(at, _)| at);
            Err((message, start + within..start + line.len()))
        }
    }
}

/// Without the place that the parser puts in front of it or behind, and that place.
fn sentence(message: &str) -> (String, Option<(u64, u64)>) {
    let first = message.lines().next().unwrap_or("not YAML");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    // Advice to whoever calls the parser is none to whoever writes the file.
    let first = first.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
    let first = first.as_str();
    let place = |text: &str| -> Option<(u64, u64)> {
        let rest = text.strip_prefix("line ")?;
        let (line, column) = rest.split_once(" column ")?;
        Some((
            line.trim_end_matches(',').parse().ok()?,
            column.parse().ok()?,
        ))
    };
    if let Some((sentence, behind)) = first.rsplit_once(" at ")
        && let Some(place) = place(behind)
    {
        return (sentence.to_owned(), Some(place));
    }
    match first.split_once(": ") {
        Some((front, sentence)) if place(front).is_some() => (sentence.to_owned(), place(front)),
        _ => (first.to_owned(), None),
    }
}

/// As the parser hands it over.
enum Tree {
    Null,
    Text(String),
    /// Shown as it is written.
    Other,
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

fn node(tree: Spanned<Tree>, text: &str) -> Node {
    let span = range(&tree.referenced);
    let raw = || text.get(span.clone()).unwrap_or("").trim().to_owned();
    let kind = match tree.value {
        Tree::Null => Kind::Null,
        Tree::Text(text) => Kind::Scalar(text),
        Tree::Other => Kind::Scalar(raw()),
        Tree::List(items) => Kind::List(items.into_iter().map(|it| node(it, text)).collect()),
        Tree::Map(pairs) => Kind::Map(
            pairs
                .into_iter()
                .map(|(key, value)| {
                    let span = range(&key.referenced);
                    let name = key.value;
                    (Key { name, span }, node(value, text))
                })
                .collect(),
        ),
    };
    Node { kind, span }
}

fn range(location: &serde_saphyr::Location) -> Range<usize> {
    let span = location.span();
    let place = |value: Option<u64>| value.and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    let start = place(span.byte_offset());
    start..start + place(span.byte_len())
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        Tree::deserialize(from)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Tree::Map(pairs))
    }
}
