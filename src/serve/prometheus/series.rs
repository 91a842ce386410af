//! Which series there are, the names of their labels and the values of one.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use super::Shared;
use super::params::Asked;
use super::params::of_parameter;
use super::wire::answered;
use super::wire::metric;
use crate::engine::Question;
use crate::engine::Told;
use crate::model::Labels;
use crate::serve::Service;
use crate::serve::answer::Failure;
use crate::serve::extract::Piece;

/// Every series that the parameters `match[]` choose and that the window held within `start` and `end`.
///
/// Prometheus answers by the spans of its blocks and chunks rather than by single samples. Here the window is one such
/// span: what reaches into the time from its oldest scrape to now gets all that it holds, anything else nothing.
async fn matching(service: &Service, asked: &Asked) -> Result<Vec<Labels>, Failure> {
    let (start, end) = (asked.time("start")?, asked.time("end")?);
    let selectors = asked.all("match[]");
    let told = service.desk.ask(Question::Series { selectors }, None).await;
    let Told::Series(series) = told.map_err(|it| of_parameter("match[]", it))?.told else {
        unreachable!("series were asked for");
    };
    let held_since = service.snapshot.load().held_since;
    let begun = start.is_none_or(|it| it <= (service.now)());
    let held = end.is_none_or(|it| held_since.is_some_and(|since| since <= it));
    let forward = start.zip(end).is_none_or(|(start, end)| start <= end);
    Ok(if begun && held && forward {
        series
    } else {
        Vec::new()
    })
}

pub(super) async fn series(State(service): Shared, asked: Asked) -> Result<Response, Failure> {
    if asked.all("match[]").is_empty() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let found = matching(&service, &asked).await?;
    Ok(told_json_series(&found, asked.limit()?))
}

fn told_json_series(series: &[Labels], limit: usize) -> Response {
    let shown: Vec<Value> = series.iter().take(limit).map(metric).collect();
    answered(shown.into(), series.len() > limit)
}

pub(super) async fn labels(State(service): Shared, asked: Asked) -> Result<Response, Failure> {
    let found = matching(&service, &asked).await?;
    let names = found
        .iter()
        .flat_map(|labels| labels.iter().map(|(name, _)| name));
    Ok(texts(names.collect(), asked.limit()?))
}

pub(super) async fn label_values(
    State(service): Shared,
    name: Result<Piece, Failure>,
    asked: Asked,
) -> Result<Response, Failure> {
    let Piece(name) = name.map_err(|it| {
        let text = format!("invalid label name: {}", it.text);
        Failure::bad_data(text)
    })?;
    let found = matching(&service, &asked).await?;
    let name = unescaped(&name);
    let values = found.iter().filter_map(|labels| labels.get(&name));
    Ok(texts(
        values.filter(|it| !it.is_empty()).collect(),
        asked.limit()?,
    ))
}

fn texts(texts: BTreeSet<&str>, limit: usize) -> Response {
    let all = texts.len();
    let shown: Vec<&str> = texts.into_iter().take(limit).collect();
    answered(json!(shown), all > limit)
}

/// A name as a path writes it: `U__` in front, `_` for itself doubled, other characters as `_HEX_`.
fn unescaped(name: &str) -> String {
    let Some(rest) = name.strip_prefix("U__") else {
        return name.to_owned();
    };
    let mut out = String::new();
    let mut rest = rest;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(tail) = tail.strip_prefix('_') {
            out.push('_');
            rest = tail;
            continue;
        }
        let code = tail.split_once('_').and_then(|(hex, tail)| {
            let code = u32::from_str_radix(hex, 16).ok()?;
            Some((char::from_u32(code)?, tail))
        });
        match code {
            Some((c, tail)) => {
                out.push(c);
                rest = tail;
            }
            None => return name.to_owned(),
        }
    }
    out.push_str(rest);
    out
}
