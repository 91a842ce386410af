//! What the lines of a text page mean together: kinds of families, metadata given once and before its samples,
//! labels and counts of summaries and histograms. Deliberately absent: grouping, which the format does not ask for.

use std::borrow::Cow;
use std::collections::HashMap;

use super::class::Class;
use super::line::{Head, Meta};
use super::number;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Histogram,
    Summary,
    /// Counters, gauges and untyped ones: nothing to check.
    Plain,
}

#[derive(Copy, Clone, Debug, Default)]
struct Family {
    kind: Option<Kind>,
    helped: bool,
    sampled: bool,
}

/// The families of one page so far.
#[derive(Debug, Default)]
pub struct Text<'a> {
    families: HashMap<Cow<'a, str>, Family>,
    /// The last sample's name and class: neighbours mostly share them.
    last: Option<(Cow<'a, str>, Class)>,
}

impl<'a> Text<'a> {
    pub fn meta(&mut self, meta: Meta<'a>) -> Result<(), &'static str> {
        match meta {
            Meta::Comment | Meta::Eof | Meta::Unit(..) => {}
            Meta::Help(name, text) => {
                let family = self.families.entry(name).or_default();
                if family.helped && !text.is_empty() {
                    return Err("second HELP line for this metric");
                }
                family.helped = !text.is_empty();
            }
            Meta::Type(name, kind) => {
                let kind = match kind {
                    "histogram" | "gauge_histogram" => Kind::Histogram,
                    "summary" => Kind::Summary,
                    "counter" | "gauge" | "untyped" => Kind::Plain,
                    _ => return Err("unknown metric type"),
                };
                let family = self.families.entry(name).or_default();
                if family.kind.is_some() || family.sampled {
                    return Err("second TYPE line for this metric, or TYPE after its samples");
                }
                family.kind = Some(kind);
                self.last = None;
            }
        }
        Ok(())
    }

    /// The class of a sample of this name, which counts as seen.
    #[allow(
        clippy::ptr_arg,
        reason = "cloned with the page's lifetime, mostly borrowed"
    )]
    pub fn class(&mut self, name: &Cow<'a, str>) -> Class {
        if let Some((last, class)) = &self.last
            && last == name
        {
            return *class;
        }
        let class = self.find(name);
        self.last = Some((name.clone(), class));
        class
    }

    /// The family of exactly this name, else the summary or histogram that it is a part of.
    #[allow(
        clippy::ptr_arg,
        reason = "cloned with the page's lifetime, mostly borrowed"
    )]
    fn find(&mut self, name: &Cow<'a, str>) -> Class {
        if let Some(family) = self.families.get_mut(name) {
            family.sampled = true;
            return match family.kind {
                Some(Kind::Summary) => Class::TextQuantile,
                Some(Kind::Histogram | Kind::Plain) | None => Class::Free,
            };
        }
        for suffix in ["_count", "_sum", "_bucket"] {
            let Some(family) = name
                .strip_suffix(suffix)
                .and_then(|base| self.families.get_mut(base))
            else {
                continue;
            };
            let part = match family.kind {
                Some(Kind::Histogram) => true,
                Some(Kind::Summary) => suffix != "_bucket",
                Some(Kind::Plain) | None => false,
            };
            if part {
                family.sampled = true;
                return match family.kind {
                    Some(Kind::Histogram) if suffix != "_sum" => Class::NotNegative,
                    _ => Class::Free,
                };
            }
        }
        let family = Family {
            sampled: true,
            ..Family::default()
        };
        self.families.insert(name.clone(), family);
        Class::Free
    }

    /// Checks the labels that its class asks numbers of.
    pub fn labels(class: Class, head: &Head<'a>) -> Result<(), &'static str> {
        let (label, message) = match class {
            Class::NotNegative => ("le", "label le is not a number"),
            Class::TextQuantile => ("quantile", "label quantile is not a number"),
            _ => return Ok(()),
        };
        match head.label(label) {
            Some(value) => number::float(value).map(|_| ()).map_err(|_| message),
            None => Ok(()),
        }
    }
}
