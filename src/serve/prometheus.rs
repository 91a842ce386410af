//! Prometheus' HTTP API over gated's window: what `promtool query` and Grafana ask.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use serde_json::json;
use tower_http::compression::CompressionLayer;

use super::Service;
use super::answer::Failure;
use super::answer::success;
use crate::engine::AlertState;
use crate::engine::AlertingState;
use crate::engine::Answered;
use crate::engine::GroupState;
use crate::engine::Health;
use crate::engine::Note;
use crate::engine::Outcome;
use crate::engine::Question;
use crate::engine::RuleAlert;
use crate::engine::RuleState;
use crate::engine::Snapshot;
use crate::engine::Told;
use crate::engine::TriggerState;
use crate::model::Labels;
use crate::model::Metadata;
use crate::model::Timestamp;
use crate::model::time;

/// A form is one query with a few parameters.
const FORM_BYTES_MAX: usize = 1 << 20;

type Shared = State<Arc<Service>>;

/// The routes, below `/api/v1`.
pub fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/format_query", get(format_query).post(format_query))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/targets/metadata", get(targets_metadata))
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/status/buildinfo", get(buildinfo))
        // A long range of many series is large and repeats itself.
        .layer(CompressionLayer::new())
}

/// The parameters of a request, from its query and, where it has one, its form.
struct Asked(Vec<(String, String)>);

impl Asked {
    async fn read(RawQuery(query): RawQuery, request: Request) -> Result<Self, Failure> {
        let mut pairs = decoded(query.unwrap_or_default().as_bytes());
        if request.method() == Method::POST {
            let kind = request.headers().get(header::CONTENT_TYPE);
            let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
            if kind.starts_with("application/x-www-form-urlencoded") {
                let body = Bytes::from_request(request, &()).await;
                let body = body
                    .map_err(|error| Failure::new(error.status(), "bad_data", error.body_text()))?;
                if body.len() > FORM_BYTES_MAX {
                    return Err(Failure::bad_data("the form is larger than 1 MiB"));
                }
                pairs.extend(decoded(&body));
            }
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|it| !it.is_empty())
    }

    fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).collect()
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let wrong = || {
            let text = format!(
                "invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp"
            );
            Failure::bad_data(text)
        };
        text.parse().map(Some).map_err(|_| wrong())
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let seconds = text.parse::<f64>().ok();
        let seconds = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
        seconds
            .or_else(|| time::duration(text))
            .map(Some)
            .ok_or_else(|| {
                let text = format!(
                    "invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration"
                );
                Failure::bad_data(text)
            })
    }

    fn limit(&self) -> Result<usize, Failure> {
        self.count("limit")
    }

    /// 0 and nothing mean no limit.
    fn count(&self, name: &str) -> Result<usize, Failure> {
        match self.get(name).map(str::parse::<usize>) {
            None | Some(Ok(0)) => Ok(usize::MAX),
            Some(Ok(count)) => Ok(count),
            Some(Err(_)) => {
                let text = format!("invalid parameter \"{name}\": it must be a whole number");
                Err(Failure::bad_data(text))
            }
        }
    }
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, Failure> {
    let text = format!("invalid parameter \"{name}\": it is missing");
    value.ok_or_else(|| Failure::bad_data(text))
}

fn decoded(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

async fn query(
    State(service): Shared,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
    let text = needed("query", asked.get("query"))?.to_owned();
    let at = asked.time("time")?.unwrap_or_else(|| (service.now)());
    let limit = asked.limit()?;
    let told = service
        .desk
        .ask(Question::Query { text, at }, asked.duration("timeout")?)
        .await?;
    Ok(told_json(told, limit))
}

async fn query_range(
    State(service): Shared,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
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
    let told = service
        .desk
        .ask(question, asked.duration("timeout")?)
        .await?;
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

fn answered(data: Value, cut: bool) -> Response {
    answered_noting(data, cut, &[])
}

fn answered_noting(data: Value, cut: bool, notes: &[Note]) -> Response {
    let mut body = serde_json::Map::new();
    body.insert("status".to_owned(), "success".into());
    body.insert("data".to_owned(), data);
    let said = |warns: bool| notes.iter().filter(move |it| it.warns == warns);
    let mut warnings: Vec<&str> = said(true).map(|it| it.text.as_str()).collect();
    if cut {
        warnings.push("results truncated due to limit");
    }
    let infos: Vec<&str> = said(false).map(|it| it.text.as_str()).collect();
    for (name, texts) in [("warnings", warnings), ("infos", infos)] {
        if !texts.is_empty() {
            body.insert(name.to_owned(), json!(texts));
        }
    }
    Json(body).into_response()
}

fn metric(labels: &Labels) -> Value {
    let pairs = labels.iter();
    pairs
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds stay below 2^53 for 285 000 years"
)]
fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

/// As Go writes a float without an exponent.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

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

async fn series(
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

async fn labels(
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

async fn label_values(
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

/// What the targets that the selector chooses say of their metrics.
async fn said(
    service: &Service,
    targets: Option<String>,
) -> Result<Vec<(Labels, Arc<[Metadata]>)>, Failure> {
    match service
        .desk
        .ask(Question::Metadata { targets }, None)
        .await?
        .told
    {
        Told::Metadata(said) => Ok(said),
        other => unreachable!("metadata was asked for, not {other:?}"),
    }
}

/// By metric, what targets say of it; what several say alike stands there once.
async fn metadata(
    State(service): Shared,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
    let (limit, each) = (asked.limit()?, asked.count("limit_per_metric")?);
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
async fn targets_metadata(
    State(service): Shared,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
    let limit = asked.limit()?;
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

async fn format_query(
    State(service): Shared,
    raw: RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(raw, request).await?;
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

async fn buildinfo() -> Response {
    success(
        StatusCode::OK,
        json!({
            "application": "gated",
            "version": env!("CARGO_PKG_VERSION"),
            "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
        }),
    )
}

/// Prometheus' rule groups, and gated's own triggers as one group for each phase.
async fn rules(State(service): Shared, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let asked = Asked(decoded(query.unwrap_or_default().as_bytes()));
    let kind = match asked.get("type") {
        None => None,
        Some("alert") => Some("alerting"),
        Some("record") => Some("recording"),
        Some(other) => {
            let text = format!("invalid parameter \"type\": not supported value \"{other}\"");
            return Err(Failure::bad_data(text));
        }
    };
    let snapshot = service.snapshot.load_full();
    let mut groups: Vec<Value> = snapshot.groups.iter().map(group_json).collect();
    groups.extend(own_groups(&snapshot));
    let (names, files) = (asked.all("rule_name[]"), asked.all("file[]"));
    let wanted_groups = asked.all("rule_group[]");
    let chosen = |list: &[String], value: &Value| {
        list.is_empty() || list.iter().any(|it| value == it.as_str())
    };
    groups.retain_mut(|group| {
        if !chosen(&files, &group["file"]) || !chosen(&wanted_groups, &group["name"]) {
            return false;
        }
        let Some(rules) = group["rules"].as_array_mut() else {
            return false;
        };
        let narrowed = kind.is_some() || !names.is_empty();
        rules.retain(|rule| {
            kind.is_none_or(|kind| rule["type"] == kind) && chosen(&names, &rule["name"])
        });
        !narrowed || !rules.is_empty()
    });
    Ok(success(StatusCode::OK, json!({"groups": groups})))
}

fn group_json(group: &GroupState) -> Value {
    let rules: Vec<Value> = group.rules.iter().map(rule_json).collect();
    json!({
        "name": group.name,
        "file": group.file,
        "interval": group.interval.as_secs_f64(),
        "limit": group.limit,
        "rules": rules,
        "evaluationTime": 0.0,
        "lastEvaluation": evaluated(group.evaluated_at),
    })
}

fn evaluated(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}

fn rule_json(rule: &RuleState) -> Value {
    let (health, error) = match &rule.health {
        Health::Unknown => ("unknown", ""),
        Health::Good => ("ok", ""),
        Health::Bad(why) => ("err", why.as_str()),
    };
    let mut shown = json!({
        "name": rule.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": health,
        "evaluationTime": 0.0,
        "lastEvaluation": evaluated(rule.evaluated_at),
        "type": "recording",
    });
    if !error.is_empty() {
        shown["lastError"] = error.into();
    }
    if let Some(AlertingState {
        hold,
        keep_firing_for,
        annotations,
        alerts,
    }) = &rule.alerting
    {
        shown["type"] = "alerting".into();
        shown["duration"] = hold.as_secs_f64().into();
        shown["keepFiringFor"] = keep_firing_for.as_secs_f64().into();
        shown["annotations"] = json!(annotations);
        shown["alerts"] = alerts.iter().map(alert_json).collect();
        let firing = alerts.iter().any(|it| it.state == AlertState::Firing);
        shown["state"] = match (firing, alerts.is_empty()) {
            (true, _) => "firing",
            (false, false) => "pending",
            (false, true) if rule.evaluated_at.is_none() => "unknown",
            (false, true) => "inactive",
        }
        .into();
    }
    shown
}

fn alert_json(alert: &RuleAlert) -> Value {
    let mut shown = json!({
        "labels": metric(&alert.labels),
        "annotations": alert.annotations,
        "state": match alert.state {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved { .. } => "inactive",
        },
        "activeAt": alert.active_at.to_string(),
        "value": exponent(alert.value),
    });
    if let Some(since) = alert.keep_firing_since {
        shown["keepFiringSince"] = since.to_string().into();
    }
    shown
}

/// As Go's `'e'` writes it: `1.5e+01`.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return number(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// gated's own triggers that are judged now.
fn own_groups(snapshot: &Snapshot) -> Vec<Value> {
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for trigger in &snapshot.triggers {
        let rule = own_rule(trigger);
        match groups.iter_mut().find(|(name, _)| *name == trigger.phase) {
            Some((_, rules)) => rules.push(rule),
            None => groups.push((trigger.phase.clone(), vec![rule])),
        }
    }
    let evaluated = evaluated(snapshot.verdict.evaluated_at);
    groups
        .into_iter()
        .map(|(name, rules)| {
            json!({
                "name": name, "file": "gated", "interval": 0.0, "limit": 0, "rules": rules,
                "evaluationTime": 0.0, "lastEvaluation": evaluated,
            })
        })
        .collect()
}

fn own_rule(trigger: &TriggerState) -> Value {
    let state = match trigger.outcome {
        Outcome::Firing => "firing",
        Outcome::Pending => "pending",
        Outcome::Unknown => "unknown",
        Outcome::Quiet | Outcome::Met | Outcome::Missed => "inactive",
    };
    let alerts: Vec<Value> = trigger
        .active_at
        .iter()
        .map(|at| {
            json!({
                "labels": {"alertname": trigger.name, "severity": trigger.severity.word(), "series": trigger.series},
                "annotations": {}, "state": state, "activeAt": at.to_string(), "value": "",
            })
        })
        .collect();
    json!({
        "name": trigger.name, "query": trigger.condition, "duration": 0.0, "keepFiringFor": 0.0,
        "labels": {"severity": trigger.severity.word(), "gated_do": trigger.action.word()},
        "annotations": {}, "alerts": alerts, "health": "ok", "evaluationTime": 0.0,
        "lastEvaluation": evaluated(None), "type": "alerting", "state": state,
    })
}

/// Pending and firing alerts of the rule groups and of gated's own triggers.
async fn alerts(State(service): Shared) -> Response {
    let snapshot = service.snapshot.load_full();
    let groups = snapshot.groups.iter().map(group_json);
    let groups: Vec<Value> = groups.chain(own_groups(&snapshot)).collect();
    let rules = groups.iter().filter_map(|group| group["rules"].as_array());
    let alerts: Vec<&Value> = rules
        .flatten()
        .filter_map(|rule| rule["alerts"].as_array())
        .flatten()
        .collect();
    success(StatusCode::OK, json!({"alerts": alerts}))
}
