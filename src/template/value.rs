//! The values of a template: those of Go's types that Prometheus' templates can reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Labels;

/// Cheap to clone. Deliberately absent: native histograms, channels, function values, complex numbers.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Go's nil without a type, and its absent value.
    Missing,
    Bool(bool),
    Int(i64),
    /// One byte of a string.
    Byte(u8),
    Float(f64),
    Text(Arc<str>),
    /// What `safeHtml` gives; no string to functions that ask for one.
    Html(Arc<str>),
    Labels(Labels),
    Sample(Arc<Sample>),
    /// `nil` where a sample is asked for.
    NoSample,
    Samples(Arc<[Arc<Sample>]>),
    Args(Arc<Args>),
    Data(Arc<Data>),
    /// Nanoseconds since the Unix epoch, UTC.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// 1 to 12.
    Month(u8),
    /// Sunday is 0.
    Weekday(u8),
}

/// One element of a query's result.
#[derive(Debug)]
pub(super) struct Sample {
    pub labels: Labels,
    pub value: f64,
}

/// What `args` gives: `arg0`, `arg1` and so on.
#[derive(Debug)]
pub(super) struct Args {
    pub values: BTreeMap<String, Value>,
    /// How many such maps stand within each other.
    pub depth: usize,
}

/// What a template begins with: `.`.
#[derive(Debug)]
pub(super) struct Data {
    pub labels: Labels,
    pub external_labels: Labels,
    pub external_url: Arc<str>,
    pub value: f64,
}

/// Go's kinds that can be compared.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    Text,
}

impl Value {
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// As Go's `%T` gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Missing => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Html(_) => "template.HTML",
            Self::Labels(_) => "map[string]string",
            Self::Sample(_) | Self::NoSample => "*template.sample",
            Self::Samples(_) => "template.queryResult",
            Self::Args(_) => "map[string]interface {}",
            Self::Data(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
            }
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
            Self::Month(_) => "time.Month",
            Self::Weekday(_) => "time.Weekday",
        }
    }

    /// What `if`, `and`, `not` ask: not the zero of its type. A pointer is true whatever it points at.
    pub fn truth(&self) -> bool {
        match self {
            Self::Missing | Self::NoSample => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Byte(value) | Self::Month(value) | Self::Weekday(value) => *value != 0,
            // NaN is not zero.
            Self::Float(value) => *value != 0.0,
            Self::Text(text) | Self::Html(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Args(args) => !args.values.is_empty(),
            Self::Sample(_) | Self::Data(_) | Self::Time(_) | Self::Duration(_) => true,
        }
    }

    pub fn basic(&self) -> Option<Basic> {
        match self {
            Self::Bool(_) => Some(Basic::Bool),
            Self::Int(_) | Self::Month(_) | Self::Weekday(_) => Some(Basic::Int),
            Self::Byte(_) => Some(Basic::Uint),
            Self::Float(_) => Some(Basic::Float),
            Self::Text(_) | Self::Html(_) => Some(Basic::Text),
            Self::Missing
            | Self::Labels(_)
            | Self::Sample(_)
            | Self::NoSample
            | Self::Samples(_)
            | Self::Args(_)
            | Self::Data(_)
            | Self::Time(_)
            | Self::Duration(_) => None,
        }
    }

    /// The number behind Go's integer kinds.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Byte(value) | Self::Month(value) | Self::Weekday(value) => {
                Some(i64::from(*value))
            }
            _ => None,
        }
    }

    pub fn str(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Html(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes that a function reads of it, for the count of steps.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Html(text) => text.len(),
            Self::Samples(samples) => samples.len() * 16,
            _ => 1,
        }
    }
}
