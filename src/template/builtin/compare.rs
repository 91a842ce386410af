//! Go's `eq` and `lt` and what follows from them. Numbers of different kinds do not compare: `eq $value 1` fails,
//! `eq $value 1.0` is meant.

use std::sync::Arc;

use crate::template::builtin::action_text;
use crate::template::value::Basic;
use crate::template::value::Value;

/// How much of a value a message shows, in bytes.
const SHOWN_MAX: usize = 1_000;

/// Whether the first equals any of the others.
pub(in crate::template) fn any_equal(value: &Value, others: &[Value]) -> Result<Value, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(value, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

#[allow(
    clippy::float_cmp,
    reason = "Go compares floats to the bit too, and the author asked for it"
)]
pub(in crate::template) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    let missing = matches!(a, Value::Missing) || matches!(b, Value::Missing);
    match (a.basic(), b.basic()) {
        (Some(Basic::Int | Basic::Uint), Some(Basic::Int | Basic::Uint)) => Ok(a.int() == b.int()),
        (Some(Basic::Text), Some(Basic::Text)) => Ok(a.str() == b.str()),
        _ => match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
            (Value::Float(a), Value::Float(b)) => Ok(a == b),
            (Value::Missing | Value::NoSample, Value::Missing | Value::NoSample) => Ok(true),
            _ if missing => Ok(false),
            _ if a.basic() != b.basic() => Err(incompatible(a, b)),
            (Value::Sample(a), Value::Sample(b)) => Ok(Arc::ptr_eq(a, b)),
            // Pointers to different values; what they point at is not compared.
            (Value::Time(_) | Value::Duration(_) | Value::Sample(_) | Value::NoSample, _) => {
                Ok(false)
            }
            _ => {
                let shown = action_text(b, SHOWN_MAX).unwrap_or_default();
                Err(format!("non-comparable type {shown}: {}", b.type_name()))
            }
        },
    }
}

pub(in crate::template) fn less(a: &Value, b: &Value) -> Result<bool, String> {
    let bad = || "invalid type for comparison".to_owned();
    let (a_kind, b_kind) = (a.basic().ok_or_else(bad)?, b.basic().ok_or_else(bad)?);
    match (a_kind, b_kind) {
        (Basic::Int | Basic::Uint, Basic::Int | Basic::Uint) => Ok(a.int() < b.int()),
        (Basic::Text, Basic::Text) => Ok(a.str() < b.str()),
        _ => match (a, b) {
            (Value::Float(a), Value::Float(b)) => Ok(a < b),
            _ if a_kind == b_kind => Err(bad()),
            _ => Err(incompatible(a, b)),
        },
    }
}

pub(in crate::template) fn less_or_equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(less(a, b)? || equal(a, b)?)
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    )
}
