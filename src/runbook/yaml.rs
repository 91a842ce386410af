//! YAML as a tree that knows where everything stands, so that a file's faults can all be told, each under its words.

mod fault;
mod scalar;

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::spot::{Map, Spot};
pub(crate) use fault::Broken;

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

    /// Where a scalar's value stands in `text`, the file's; its own lines where more is not certain.
    pub fn spot(&self, source: usize, text: &str) -> Spot {
        let raw = text.get(self.span.clone()).unwrap_or("");
        let whole = self.span.start..self.span.start + raw.trim_end().len();
        let map = match &self.kind {
            Kind::Scalar(value) => scalar::places(text, &self.span, value),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        };
        let map = map.map_or(Map::Lost, Map::Each);
        Spot { source, whole, map }
    }
}

/// More values than this behind aliases are a bomb: nobody writes so many, and each of them costs.
const REPLAYED_MAX: usize = 50_000;

/// The tree of a text, or what is wrong with it and where.
pub(crate) fn parse(text: &str) -> Result<Node, Broken> {
    // Every number stays as it is written, `.nan` too.
    let options = serde_saphyr::options! {
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        budget: None,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPLAYED_MAX,
        }
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
            Err(fault::broken(text, &message, place))
        }
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
