//! What targets say of their metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use super::Shared;
use super::params::Asked;
use super::params::of_parameter;
use super::wire::metric;
use crate::engine::Question;
use crate::engine::Told;
use crate::model::Labels;
use crate::model::Metadata;
use crate::serve::Service;
use crate::serve::answer::Failure;
use crate::serve::answer::success;

/// What the targets that the selector chooses say of their metrics.
async fn said(
    service: &Service,
    targets: Option<String>,
) -> Result<Vec<(Labels, Arc<[Metadata]>)>, Failure> {
    let question = Question::Metadata { targets };
    let told = service.desk.ask(question, None).await;
    match told.map_err(|it| of_parameter("match_target", it))?.told {
        Told::Metadata(said) => Ok(said),
        other => unreachable!("metadata was asked for, not {other:?}"),
    }
}

/// By metric, what targets say of it; what several say alike stands there once.
pub(super) async fn metadata(State(service): Shared, asked: Asked) -> Result<Response, Failure> {
    let limit = asked.at_most("limit")?;
    let each = match asked.at_most("limit_per_metric")? {
        0 => usize::MAX,
        each => each,
    };
    let said = said(&service, None).await?;
    let mut metrics = BTreeMap::<&str, Vec<&Metadata>>::new();
    for one in said.iter().flat_map(|(_, all)| all.iter()) {
        if asked.get("metric").is_some_and(|it| it != one.name) {
            continue;
        }
        let known = metrics.entry(&one.name).or_default();
        if !known.contains(&one) && known.len() < each {
            known.push(one);
        }
    }
    let shown = metrics.into_iter().take(limit).map(|(name, all)| {
        let all = all.into_iter();
        let all = all.map(|it| json!({"type": it.kind.word(), "help": it.help, "unit": ""}));
        (name.to_owned(), all.collect())
    });
    let shown: serde_json::Map<String, Value> = shown.collect();
    Ok(success(StatusCode::OK, shown))
}

/// By target, what it says of its metrics.
pub(super) async fn targets_metadata(
    State(service): Shared,
    asked: Asked,
) -> Result<Response, Failure> {
    let limit = asked.at_most("limit")?;
    let chosen = asked.get("match_target").map(str::to_owned);
    let said = said(&service, chosen).await?;
    let lines = said
        .iter()
        .flat_map(|(target, all)| all.iter().map(move |it| (target, it)));
    let name = asked.get("metric");
    let lines = lines.filter(|(_, it)| name.is_none_or(|name| name == it.name));
    let shown: Vec<Value> = lines
        .take(limit)
        .map(|(target, it)| {
            json!({
                "target": metric(target), "metric": it.name, "type": it.kind.word(),
                "help": it.help, "unit": "",
            })
        })
        .collect();
    Ok(success(StatusCode::OK, shown))
}
