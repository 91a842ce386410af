//! Where the arguments of calls stand in a text: the parser crate does not say.
//!
//! Calls are asked for in the order in which they are written, so that counting those of one name finds each.

use std::collections::HashMap;

use super::lex::{Piece, Token};
use super::notes::Place;

/// How many calls of each name have been asked for.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<String, usize>);

/// By argument: where it begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments(Vec<Place>);

impl Arguments {
    pub fn place(&self, argument: usize) -> Place {
        self.0.get(argument).copied().unwrap_or_default()
    }
}

impl Places {
    /// Of the next call of a function or an aggregation of this name.
    pub fn next(&mut self, text: &str, tokens: &[Token], name: &str) -> Arguments {
        let word = |index: usize| tokens.get(index).map_or("", |it| &text[it.span.clone()]);
        let is = |index: usize, it: &str| word(index).eq_ignore_ascii_case(it);
        let groups = |index: usize| is(index, "by") || is(index, "without");
        let calls = |index: &usize| {
            let behind = index + 1;
            is(*index, name) && (word(behind) == "(" || groups(behind))
        };
        let before = self.0.entry(name.to_owned()).or_default();
        let call = (0..tokens.len()).filter(calls).nth(*before);
        *before += 1;
        let Some(call) = call else {
            return Arguments::default();
        };
        let mut open = call + 1;
        if groups(open) {
            // The labels stand before the arguments.
            open = partner(text, tokens, open + 1) + 1;
        }
        let places = arguments(text, tokens, open).into_iter().map(|(from, to)| {
            let start = tokens.get(unwrapped(text, tokens, from, to));
            Place::of(text, start.map_or(0, |it| it.span.start))
        });
        Arguments(places.collect())
    }
}

/// First tokens of the arguments behind the bracket at `open`, and the tokens behind their last ones.
fn arguments(text: &str, tokens: &[Token], open: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let (mut depth, mut from) = (0, open + 1);
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.piece {
            Piece::Open => depth += 1,
            Piece::Close => depth -= 1,
            Piece::Mark if depth == 1 && &text[token.span.clone()] == "," => {
                all.push((from, index));
                from = index + 1;
            }
            _ => {}
        }
        if depth == 0 {
            all.push((from, index));
            break;
        }
    }
    all
}

/// Brackets around the whole of an argument do not count.
fn unwrapped(text: &str, tokens: &[Token], mut from: usize, mut to: usize) -> usize {
    while to > from + 2
        && &text[tokens[from].span.clone()] == "("
        && partner(text, tokens, from) == to - 1
    {
        (from, to) = (from + 1, to - 1);
    }
    from
}

/// The token that closes the bracket at `open`.
fn partner(text: &str, tokens: &[Token], open: usize) -> usize {
    arguments(text, tokens, open)
        .last()
        .map_or(open, |(_, end)| *end)
}
