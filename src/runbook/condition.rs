//! `error_rate > 1% and (api_latency_p95 > 300ms or not throughput > 50% of baseline)` → [`Condition`].
//!
//! `not` binds closer than `and`, `and` closer than `or`. Deliberately absent: `PromQL` (a trigger's `expr`) and judging.

use std::ops::Range;

use super::component::{self, component_of};
use super::quantity::{self, Wrong};
use super::{Bound, Condition, Op, Signal, Threshold};

/// Parentheses and `not`s may nest this deep: more is no condition a person wrote, and would cost stack.
const DEPTH_MAX: usize = 32;
const BYTES_MAX: usize = 4096;
const RANGES: &str = "write \"between 10 and 50\" or \"within 10% of baseline\"";

/// Reads a whole condition. Every fault that can be told apart is reported, with its bytes in `text`.
/// A component's signal that `components` allows is made where it is named first.
pub fn condition(
    text: &str,
    signals: &mut Vec<Signal>,
    components: Option<&[String]>,
) -> Result<Condition, Vec<Wrong>> {
    if text.len() > BYTES_MAX {
        let message = format!("this condition has {} bytes", text.len());
        let help = format!("write {BYTES_MAX} bytes at most, or use a signal of its own");
        return Err(vec![Wrong::new(0..text.len(), message, help)]);
    }
    let mut parser = Parser::new(text, signals, components);
    let condition = parser.any();
    if let (Ok(_), Some(span)) = (&condition, parser.peek()) {
        let message = format!("`{}` is not expected here", &text[span.clone()]);
        let help = "write `and` or `or` between comparisons";
        parser.wrongs.push(Wrong::new(span, message, help));
    }
    match condition {
        Ok(condition) if parser.wrongs.is_empty() => Ok(condition),
        Ok(_) | Err(Stop) => Err(parser.wrongs),
    }
}

/// Reads a target's threshold: `< 100ms`.
pub fn threshold(text: &str, signal: &Signal) -> Result<Threshold, Wrong> {
    let start = text.len() - text.trim_start().len();
    let (op, rest) = quantity::op(text.trim()).map_err(|wrong| wrong.shifted(start))?;
    let bound_text = rest.trim();
    let at = text.trim_end().len() - bound_text.len();
    if bound_text.is_empty() {
        let message = "the bound is missing after the comparison";
        return Err(Wrong::new(start..at, message, "write \"< 100ms\""));
    }
    let bound = quantity::bound(bound_text, signal.unit).map_err(|wrong| wrong.shifted(at))?;
    Ok(Threshold {
        op,
        bound,
        text: text.trim().to_owned(),
    })
}

/// Reads what a target says of its signal: `< 100ms`, `between 10 and 50`, `within 10% of baseline`.
pub fn target(text: &str, signal: usize, signals: &mut Vec<Signal>) -> Result<Condition, Wrong> {
    let first = tokens(text).first().map_or("", |span| &text[span.clone()]);
    if !matches!(first, "between" | "within") {
        let threshold = threshold(text, &signals[signal])?;
        return Ok(Condition::Compare { signal, threshold });
    }
    let mut parser = Parser::new(text, signals, None);
    let read = parser.range(signal);
    if let (Ok(_), Some(span)) = (&read, parser.peek()) {
        let message = format!("`{}` is not expected here", &text[span.clone()]);
        parser.wrongs.push(Wrong::new(span, message, RANGES));
    }
    let wrong = parser.wrongs.into_iter().next();
    match (read, wrong) {
        (Ok(condition), None) => Ok(condition),
        (_, Some(wrong)) => Err(wrong),
        (Err(Stop), None) => Err(Wrong::new(0..text.len(), "this is no range", RANGES)),
    }
}

/// The nearest of `known`, where one is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|it| (strsim::jaro_winkler(word, it), it))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, it)| it)
}

/// Where the signal stands. That of a component is made when it is named: of one that the configuration has
/// (`components`), or of any where no configuration is known.
pub fn find_signal(
    name: &str,
    signals: &mut Vec<Signal>,
    components: Option<&[String]>,
) -> Option<usize> {
    let found = signals.iter().position(|it| it.name == name);
    found.or_else(|| {
        let component = component_of(name)?;
        let known = components.is_none_or(|all| all.iter().any(|it| it == component));
        known.then(|| {
            signals.push(component::signal(component));
            signals.len() - 1
        })
    })
}

/// What to write for a signal that is not there.
pub fn signal_help(name: &str, signals: &[Signal]) -> String {
    if let Some(component) = component_of(name) {
        return format!("write [[probe]] with component = \"{component}\" in the configuration");
    }
    match nearest(name, signals.iter().map(|it| it.name.as_str())) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("define it: [signals.{name}]"),
    }
}

/// Words, parentheses and comparisons; a word is what stands between them and blanks.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let kind = |c: char| match c {
            c if c.is_whitespace() => 0,
            '(' | ')' => 1,
            '<' | '>' | '=' | '!' => 2,
            '"' => 4,
            _ => 3,
        };
        let end = match kind(c) {
            1 => at + 1,
            // A name with blanks in it.
            4 => text[at + 1..].find('"').map_or(text.len(), |n| at + n + 2),
            of => text[at..]
                .find(|c| kind(c) != of)
                .map_or(text.len(), |n| at + n),
        };
        if kind(c) != 0 {
            tokens.push(at..end);
        }
        at = end;
    }
    tokens
}

/// The rest of the text makes no sense after what was reported.
struct Stop;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Range<usize>>,
    next: usize,
    depth: usize,
    signals: &'a mut Vec<Signal>,
    components: Option<&'a [String]>,
    wrongs: Vec<Wrong>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, signals: &'a mut Vec<Signal>, components: Option<&'a [String]>) -> Self {
        Self {
            text,
            tokens: tokens(text),
            next: 0,
            depth: 0,
            signals,
            components,
            wrongs: Vec::new(),
        }
    }

    fn peek(&self) -> Option<Range<usize>> {
        self.tokens.get(self.next).cloned()
    }

    fn word(&self) -> &str {
        self.peek().map_or("", |span| &self.text[span])
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        self.next += usize::from(found);
        found
    }

    /// Where something is missing: the next token, or the end of the text.
    fn here(&self) -> Range<usize> {
        self.peek().unwrap_or(self.text.len()..self.text.len())
    }

    fn stop<T>(&mut self, message: impl Into<String>, help: &str) -> Result<T, Stop> {
        let span = self.here();
        self.wrongs.push(Wrong::new(span, message, help));
        Err(Stop)
    }

    fn any(&mut self) -> Result<Condition, Stop> {
        let mut parts = vec![self.all()?];
        while self.eat("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, Stop> {
        let mut parts = vec![self.not()?];
        while self.eat("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn not(&mut self) -> Result<Condition, Stop> {
        if self.depth == DEPTH_MAX {
            return self.stop(
                "this condition nests too deep",
                "split it into two triggers",
            );
        }
        self.depth += 1;
        let condition = if self.eat("not") {
            Condition::Not(Box::new(self.not()?))
        } else if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return self.stop("a parenthesis is not closed", "write `)` here");
            }
            inner
        } else {
            self.compare()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    /// `signal op bound`. An unknown signal or a wrong bound is reported and the rest is read on.
    fn compare(&mut self) -> Result<Condition, Stop> {
        const EXPECTED: &str =
            "write a comparison, such as \"error_rate > 1% and not throughput > 50% of baseline\"";
        let Some(name_span) = self.peek() else {
            return self.stop("a comparison is missing at the end", EXPECTED);
        };
        let name = self.word();
        let name = name
            .strip_prefix('"')
            .map_or(name, |it| it.trim_end_matches('"'))
            .to_owned();
        if matches!(name.as_str(), "and" | "or" | ")") || name.starts_with(['<', '>', '=', '!']) {
            return self.stop(format!("a signal is expected here, not `{name}`"), EXPECTED);
        }
        self.next += 1;
        if matches!(self.word(), "between" | "within") {
            let Some(signal) = self.named(&name, name_span) else {
                self.bound_span();
                return Ok(Condition::All(Vec::new()));
            };
            return self.range(signal);
        }
        let op_span = self.here();
        let op = match quantity::op(self.word()) {
            Ok((op, "")) => op,
            Ok((_, rest)) => {
                let message = format!("`{}` is no comparison", self.word());
                let help = if rest == "=" { "write ==" } else { EXPECTED };
                return self.stop(message, help);
            }
            Err(wrong) => return self.stop(wrong.message, &wrong.help),
        };
        self.next += 1;
        let bound_span = self.bound_span();
        if bound_span.is_empty() {
            return self.stop("the bound is missing after the comparison", EXPECTED);
        }
        let threshold_text = self.text[op_span.start..bound_span.end].to_owned();
        let Some(signal) = self.named(&name, name_span) else {
            return Ok(Condition::All(Vec::new()));
        };
        let bound_text = &self.text[bound_span.clone()];
        match quantity::bound(bound_text, self.signals[signal].unit) {
            Ok(bound) => Ok(Condition::Compare {
                signal,
                threshold: Threshold {
                    op,
                    bound,
                    text: threshold_text,
                },
            }),
            Err(wrong) => {
                self.wrongs.push(wrong.shifted(bound_span.start));
                Ok(Condition::All(Vec::new()))
            }
        }
    }

    fn named(&mut self, name: &str, span: Range<usize>) -> Option<usize> {
        let signal = find_signal(name, self.signals, self.components);
        if signal.is_none() {
            let help = signal_help(name, self.signals);
            let message = format!("there is no signal `{name}`");
            self.wrongs.push(Wrong::new(span, message, help));
        }
        signal
    }

    /// `between A and B`, both of them in it; `within 10% of baseline`: no further from it, in either direction.
    fn range(&mut self, signal: usize) -> Result<Condition, Stop> {
        let start = self.here().start;
        let unit = self.signals[signal].unit;
        let (low, high) = if self.eat("between") {
            let low = self.bound_span();
            if !self.eat("and") {
                return self.stop("the upper bound is missing", RANGES);
            }
            let high = self.bound_span();
            let bounds = [low.clone(), high.clone()].map(|span| {
                quantity::bound(&self.text[span.clone()], unit)
                    .map_err(|wrong| wrong.shifted(span.start))
            });
            match bounds {
                [Ok(low), Ok(high)] => (low, high),
                wrongs => {
                    self.wrongs
                        .extend(wrongs.into_iter().filter_map(Result::err));
                    return Ok(Condition::All(Vec::new()));
                }
            }
        } else {
            self.eat("within");
            let span = self.bound_span();
            let text = &self.text[span.clone()];
            match quantity::bound(text, unit) {
                Ok(Bound::OfBaseline(share)) if share < 1.0 => (
                    Bound::OfBaseline(1.0 - share),
                    Bound::OfBaseline(1.0 + share),
                ),
                _ => {
                    let message = format!("`{text}` is no distance from a baseline");
                    self.wrongs.push(Wrong::new(span, message, RANGES));
                    return Ok(Condition::All(Vec::new()));
                }
            }
        };
        if let (Bound::Value(from), Bound::Value(until)) = (low, high)
            && from > until
        {
            let span = start..self.here().start;
            let message = "nothing lies between these: the first is above the second";
            self.wrongs.push(Wrong::new(span, message, RANGES));
        }
        let end = self.tokens[self.next - 1].end;
        let text = self.text[start..end].to_owned();
        let side = |op, bound| Condition::Compare {
            signal,
            threshold: Threshold {
                op,
                bound,
                text: text.clone(),
            },
        };
        Ok(Condition::All(vec![side(Op::Ge, low), side(Op::Le, high)]))
    }

    /// The words up to `and`, `or`, a parenthesis or a comparison; they are consumed.
    fn bound_span(&mut self) -> Range<usize> {
        let start = self.here().start;
        let mut end = start;
        while let Some(span) = self.peek() {
            let word = &self.text[span.clone()];
            if matches!(word, "and" | "or" | "(" | ")") || word.starts_with(['<', '>', '=', '!']) {
                break;
            }
            end = span.end;
            self.next += 1;
        }
        start..end
    }
}

fn one_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}
