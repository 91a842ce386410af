//! Which series there are, the names of their labels and the values of one.

use std::collections::BTreeSet;

use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::Request;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use super::Shared;
use super::params::Asked;
use super::wire::answered;
use super::wire::metric;
use crate::engine::Question;
use crate::engine::Told;
use crate::model::Labels;
use crate::serve::Service;
use crate::serve::answer::Failure;

/// Every series that the parameters `match[]` choose.
async fn matching(service: &Service, asked: &Asked) -> Result<Vec<Labels>, Failure> {
    let selectors = asked.all("match[]");
    match service
        .desk
        .ask(Question::Series { selectors }, None)
        .await?
        .told
    {
        Told::Series(series) => Ok(series),
        other => unreachable!("series were asked for, not {other:?}"),
    }
}

pub(super) async fn series(
    State(service): Shared,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
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

pub(super) async fn labels(
    State(service): Shared,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
    let found = matching(&service, &asked).await?;
    let names = found
        .iter()
        .flat_map(|labels| labels.iter().map(|(name, _)| name));
    Ok(texts(names.collect(), asked.limit()?))
}

pub(super) async fn label_values(
    State(service): Shared,
    Path(name): Path<String>,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
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
