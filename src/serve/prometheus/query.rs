//! Expressions: at a moment, over a time, written anew. Exemplars are not kept.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use super::Shared;
use super::params::Asked;
use super::params::needed;
use super::wire::answered;
use super::wire::answered_noting;
use super::wire::metric;
use super::wire::number;
use super::wire::seconds;
use crate::engine::Answered;
use crate::engine::Question;
use crate::engine::Told;
use crate::serve::answer::Failure;

pub(super) async fn query(State(service): Shared, asked: Asked) -> Result<Response, Failure> {
    let text = needed("query", asked.get("query"))?.to_owned();
    let at = asked.time("time")?.unwrap_or_else(|| (service.now)());
    let limit = asked.limit()?;
    let told = service
        .desk
        .ask(Question::Query { text, at }, asked.timeout()?)
        .await?;
    Ok(told_json(told, limit))
}

pub(super) async fn query_range(State(service): Shared, asked: Asked) -> Result<Response, Failure> {
    let text = needed("query", asked.get("query"))?.to_owned();
    let start = needed("start", asked.time("start")?)?;
    let end = needed("end", asked.time("end")?)?;
    let step = needed("step", asked.duration("step")?)?;
    let limit = asked.limit()?;
    let question = Question::QueryRange {
        text,
        start,
        end,
        step,
    };
    let told = service.desk.ask(question, asked.timeout()?).await?;
    Ok(told_json(told, limit))
}

/// `{"resultType": …, "result": …}`, cut to so many series, with a warning when it was.
fn told_json(answered_with: Answered, limit: usize) -> Response {
    let Answered { told, notes } = answered_with;
    let mut cut = false;
    let mut take = |len: usize| {
        cut = len > limit;
        len.min(limit)
    };
    let data = match told {
        Told::Scalar(at, value) => {
            json!({"resultType": "scalar", "result": [seconds(at), number(value)]})
        }
        Told::Text(at, text) => json!({"resultType": "string", "result": [seconds(at), text]}),
        Told::Vector(at, vector) => {
            let kept = take(vector.len());
            let result: Vec<Value> = vector
                .iter()
                .take(kept)
                .map(|(labels, value)| {
                    json!({"metric": metric(labels), "value": [seconds(at), number(*value)]})
                })
                .collect();
            json!({"resultType": "vector", "result": result})
        }
        Told::Matrix(matrix) => {
            let kept = take(matrix.len());
            let result: Vec<Value> = matrix
                .iter()
                .take(kept)
                .map(|(labels, points)| {
                    let points = points.iter();
                    let values: Vec<Value> = points
                        .map(|(at, value)| json!([seconds(*at), number(*value)]))
                        .collect();
                    json!({"metric": metric(labels), "values": values})
                })
                .collect();
            json!({"resultType": "matrix", "result": result})
        }
        other => unreachable!("values were asked for, not {other:?}"),
    };
    answered_noting(data, cut, &notes)
}

pub(super) async fn format_query(
    State(service): Shared,
    asked: Asked,
) -> Result<Response, Failure> {
    let text = needed("query", asked.get("query"))?.to_owned();
    match service
        .desk
        .ask(Question::Format { text }, None)
        .await?
        .told
    {
        Told::Text(_, text) => Ok(answered(text.into(), false)),
        other => unreachable!("a text was asked for, not {other:?}"),
    }
}

/// gated keeps no exemplars, so there are none of any query that can be read.
pub(super) async fn query_exemplars(
    State(service): Shared,
    asked: Asked,
) -> Result<Response, Failure> {
    asked.time("start")?;
    asked.time("end")?;
    let text = needed("query", asked.get("query"))?.to_owned();
    service.desk.ask(Question::Format { text }, None).await?;
    Ok(answered(json!([]), false))
}
