//! Go's own functions that look into values: `len`, `index`, `slice`, and the printing half of `html`, `js`, `urlquery`.

pub(super) mod compare;

use crate::template::BYTES_OUT_MAX;
use crate::template::print::Printer;
use crate::template::printf;
use crate::template::value::Value;

/// Elements of maps and lists, bytes of strings.
pub(super) fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Samples(samples) => samples.len(),
        Value::Args(args) => args.values.len(),
        Value::NoSample => return Err("len of nil pointer".into()),
        Value::Missing => {
            return Err("reflect: call of reflect.Value.Type on zero Value".into());
        }
        _ => return Err(format!("len of type {}", pointed(value))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// `index x 1 2` is `x[1][2]`; a key that a map does not hold gives the zero of its elements.
pub(super) fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    if matches!(value, Value::Missing) {
        return Err("index of untyped nil".into());
    }
    let mut item = value.clone();
    for key in keys {
        item = match &item {
            Value::Text(text) | Value::Html(text) => {
                let at = place(key, text.len())?;
                let byte = text.as_bytes().get(at);
                Value::Byte(*byte.ok_or("reflect: string index out of range")?)
            }
            Value::Samples(samples) => {
                let at = place(key, samples.len())?;
                let sample = samples.get(at).cloned();
                Value::Sample(sample.ok_or("reflect: slice index out of range")?)
            }
            Value::Labels(labels) => Value::text(labels.get(map_key(key)?).unwrap_or("")),
            Value::Args(args) => {
                let found = args.values.get(map_key(key)?);
                found.cloned().unwrap_or(Value::Missing)
            }
            Value::Missing | Value::NoSample => return Err("index of nil pointer".into()),
            _ => return Err(format!("can't index item of type {}", pointed(&item))),
        };
    }
    Ok(item)
}

fn map_key(key: &Value) -> Result<&str, String> {
    match key {
        Value::Text(text) => Ok(text),
        Value::Missing => Err("value is nil; should be of type string".into()),
        _ => Err(format!(
            "value has type {}; should be string",
            key.type_name()
        )),
    }
}

/// A place within a list of `length`, its end included.
fn place(key: &Value, length: usize) -> Result<usize, String> {
    let Some(int) = key.int() else {
        return Err(if matches!(key, Value::Missing) {
            "cannot index slice/array with nil".into()
        } else {
            format!("cannot index slice/array with type {}", key.type_name())
        });
    };
    usize::try_from(int)
        .ok()
        .filter(|at| *at <= length)
        .ok_or_else(|| format!("index out of range: {int}"))
}

/// `slice x 1 2` is `x[1:2]`, in bytes of a string. A character that the cut breaks becomes U+FFFD.
pub(super) fn slice(value: &Value, places: &[Value]) -> Result<Value, String> {
    let length = match value {
        Value::Missing => return Err("slice of untyped nil".into()),
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::Samples(samples) => samples.len(),
        _ => return Err(format!("can't slice item of type {}", value.type_name())),
    };
    if places.len() > 3 {
        return Err(format!("too many slice indexes: {}", places.len()));
    }
    if places.len() == 3 && value.str().is_some() {
        return Err("cannot 3-index slice a string".into());
    }
    let mut bounds = [0, length, length];
    for (bound, key) in bounds.iter_mut().zip(places) {
        *bound = place(key, length)?;
    }
    let [from, to, capacity] = bounds;
    for (low, high) in [(from, to), (to, capacity)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}"));
        }
    }
    let cut = |text: &str| String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned();
    Ok(match value {
        Value::Samples(samples) => Value::Samples(samples[from..to].into()),
        Value::Html(text) => Value::Html(cut(text).into()),
        _ => Value::text(cut(value.str().unwrap_or_default())),
    })
}

/// One string as it is, everything else as an action would print it, then escaped.
pub(super) fn escaped(args: &[Value], escape: fn(&str) -> String) -> Result<Value, String> {
    if let [Value::Text(text)] = args {
        return Ok(Value::text(escape(text)));
    }
    let shown = args.iter().map(printable).collect::<Result<Vec<_>, _>>()?;
    printf::sprint(&shown, BYTES_OUT_MAX).map(|text| Value::text(escape(&text)))
}

/// Pointers become what an action prints for them.
fn printable(value: &Value) -> Result<Value, String> {
    match value {
        Value::Missing | Value::Sample(_) | Value::NoSample => {
            action_text(value, BYTES_OUT_MAX).map(Value::text)
        }
        _ => Ok(value.clone()),
    }
}

/// What `{{ value }}` writes: of a pointer what it points at, and `<no value>` for nothing.
pub(super) fn action_text(value: &Value, bytes_max: usize) -> Result<String, String> {
    let mut printer = Printer::new(bytes_max);
    match value {
        Value::Missing => printer.write("<no value>"),
        Value::Sample(sample) => printer.sample(sample, 'v', 0),
        _ => printer.plain(value),
    }
    printer.finish()
}

/// The type behind a pointer.
fn pointed(value: &Value) -> &'static str {
    let name = value.type_name();
    name.strip_prefix('*').unwrap_or(name)
}
