//! `label_replace` and `label_join`: values pass through, labels are rewritten once, when the plan is bound.

use regex::Regex;

use crate::model::Labels;

use crate::promql::layout::Layout;
use crate::promql::node::{Binding, Node};
use crate::promql::plan::EvalError;

#[derive(Clone, Debug)]
pub(in crate::promql) struct Relabel {
    pub of: Node,
    pub destination: String,
    pub rewrite: Rewrite,
}

#[derive(Clone, Debug)]
pub(in crate::promql) enum Rewrite {
    /// Where the whole value of `source` matches, the destination becomes `replacement` with its `$1` filled in.
    Replace {
        replacement: String,
        source: String,
        regex: Regex,
    },
    Join {
        separator: String,
        sources: Vec<String>,
    },
}

impl Relabel {
    pub fn bind(&mut self, binding: &mut Binding<'_>) -> Result<Layout, EvalError> {
        let layout = self.of.bind(binding)?;
        let labels: Vec<Labels> = (0..layout.len())
            .map(|element| match self.value(&layout, element) {
                Some(value) => layout.labels(element).with(&self.destination, &value),
                None => layout.labels(element),
            })
            .collect();
        Ok(Layout::new(labels, false))
    }

    /// The destination's new value; `None` leaves it alone.
    fn value(&self, layout: &Layout, element: usize) -> Option<String> {
        match &self.rewrite {
            Rewrite::Replace {
                replacement,
                source,
                regex,
            } => {
                let captures = regex.captures(layout.get(element, source))?;
                let mut value = String::new();
                captures.expand(replacement, &mut value);
                Some(value)
            }
            Rewrite::Join { separator, sources } => {
                let values: Vec<&str> = sources.iter().map(|s| layout.get(element, s)).collect();
                Some(values.join(separator))
            }
        }
    }
}
