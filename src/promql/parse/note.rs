//! What Prometheus says beside a result: see [`super::Note`].

use promql_parser::parser::VectorSelector;

use super::{Note, Reader};
use crate::promql::lex::{self, Token};
use crate::promql::scalar::Scalar;

impl Reader<'_> {
    pub(super) fn note(&mut self, warns: bool, text: &str, start: usize) {
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let column = start - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        let grade = if warns { "warning" } else { "info" };
        self.notes.push(Note {
            warns,
            text: format!("PromQL {grade}: {text} ({line}:{column})"),
        });
    }

    /// A rate of what is named like a gauge.
    pub(super) fn note_counter(&mut self, function: &str, selector: &VectorSelector) {
        let rates = matches!(function, "rate" | "increase" | "irate");
        if let (true, Some(name)) = (rates, &selector.name) {
            self.rated.insert(name.clone());
        }
        let counts = |name: &str| {
            let endings = ["_total", "_sum", "_count", "_bucket"];
            endings.iter().any(|ending| name.ends_with(ending))
        };
        let Some(name) = selector.name.clone().filter(|name| !counts(name)) else {
            return;
        };
        if matches!(function, "rate" | "increase") {
            let text = format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"{name}\""
            );
            let start = lex::find(self.text, &self.tokens, &name).map_or(0, |span| span.start);
            self.note(false, &text, start);
        }
    }

    /// A quantile that is no share.
    pub(super) fn note_quantile(&mut self, quantile: &Scalar, function: &str) {
        if let Some(value) = quantile.constant().filter(|it| !(0.0..=1.0).contains(it)) {
            let text = format!("quantile value should be between 0 and 1, got {value}");
            // It stands right behind the function's bracket.
            let is = |it: &Token| self.text[it.span.clone()].eq_ignore_ascii_case(function);
            let behind = self.tokens.iter().skip_while(|it| !is(it));
            let number = behind.skip_while(|it| it.piece != lex::Piece::Open).nth(1);
            let start = number.map_or(0, |it| it.span.start);
            self.note(true, &text, start);
        }
    }
}
