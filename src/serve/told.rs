//! What people tell: values that no exporter has, and lines of the checklist. Writing needs the token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde::Serialize;

use super::Service;
use super::access;
use super::answer::Failure;
use super::answer::success;
use super::api::Shared;
use super::api::json;
use super::api::one_name;
use super::api::one_text;
use super::extract;
use super::extract::Piece;
use crate::engine::Answer;
use crate::engine::Call;
use crate::engine::ChecklistState;
use crate::engine::CriterionState;
use crate::engine::Observed;
use crate::engine::Word;
use crate::model::Attestation;
use crate::model::Labels;
use crate::model::Observation;
use crate::model::labels::NAME;

/// A page of a few hundred values.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Values of one post.
const VALUES_MAX: usize = 1000;
const LABELS_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 256;
/// A note is a paragraph or two.
const NOTE_BYTES_MAX: usize = 4096;
/// For how long an observation is good unless somebody says.
const LIFETIME: Duration = Duration::from_secs(86_400);

pub(super) fn routes() -> Router<Arc<Service>> {
    let pages = DefaultBodyLimit::max(PAGE_BYTES_MAX);
    Router::new()
        .route(
            "/api/v1/observations",
            get(observations).post(observe).layer(pages),
        )
        .route("/api/v1/checklist", get(checklist))
        .route("/api/v1/checklist/{*item}", axum::routing::post(attest))
}

/// One value, or several with the same lifetime.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Post {
    by: Option<String>,
    r#for: Option<String>,
    name: Option<String>,
    value: Option<f64>,
    labels: Option<BTreeMap<String, String>>,
    observations: Option<Vec<One>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    name: String,
    value: f64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// What stands beside a page of exposition text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Beside {
    by: Option<String>,
    r#for: Option<String>,
}

impl Post {
    fn values(self) -> Result<Vec<One>, Failure> {
        match (self.name, self.value, self.observations) {
            (Some(name), Some(value), None) => {
                let labels = self.labels.unwrap_or_default();
                Ok(vec![One {
                    name,
                    value,
                    labels,
                }])
            }
            (None, None, Some(all)) if self.labels.is_none() => Ok(all),
            _ => Err(Failure::bad_data(
                "give `name` and `value`, or `observations`: a list of both",
            )),
        }
    }
}

async fn observe(
    State(service): Shared,
    query: Result<Query<Beside>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Taken {
        observations: Vec<ObservationLine>,
        /// Names that no rule reads.
        unread: Vec<String>,
    }
    access::may_write(request.headers(), &service.token)?;
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let openmetrics = match essence {
        "application/openmetrics-text" => Some(true),
        "text/plain" => Some(false),
        _ => None,
    };
    let (values, by, lasts) = if let Some(openmetrics) = openmetrics {
        let Query(beside) = query.map_err(|error| Failure::bad_data(error.body_text()))?;
        let page = extract::body(request).await?;
        let values = service.desk.read_page(&page, openmetrics);
        (values.map_err(Failure::bad_data)?, beside.by, beside.r#for)
    } else {
        let mut post: Post = json(request).await?;
        let (by, lasts) = (post.by.take(), post.r#for.take());
        let values = post.values()?.into_iter().map(observed);
        (values.collect::<Result<_, Failure>>()?, by, lasts)
    };
    if values.len() > VALUES_MAX {
        let text = format!("{} values at once are more than {VALUES_MAX}", values.len());
        return Err(Failure::bad_data(text));
    }
    let by = by.unwrap_or_else(|| "somebody".to_owned());
    one_name("by", &by)?;
    let lifetime = match lasts {
        Some(text) => humantime::parse_duration(&text)
            .map_err(|error| Failure::bad_data(format!("for: {error}: {text:?}")))?,
        None => LIFETIME,
    };
    let call = Call::Observe {
        values,
        lifetime,
        by,
    };
    let Answer::Observed { taken, unread } = service.desk.act(call).await? else {
        return Err(Failure::other_answer());
    };
    let observations = taken.iter().map(ObservationLine::new).collect();
    Ok(success(
        StatusCode::CREATED,
        Taken {
            observations,
            unread,
        },
    ))
}

fn observed(one: One) -> Result<Observed, Failure> {
    one_text("name", &one.name, NAME_BYTES_MAX)?;
    if one.labels.len() > LABELS_MAX {
        return Err(Failure::bad_data(format!("more than {LABELS_MAX} labels")));
    }
    for (name, value) in &one.labels {
        one_text("a label's name", name, NAME_BYTES_MAX)?;
        if name.starts_with("__") {
            let text = format!("label {name:?}: names that begin with __ are gated's own");
            return Err(Failure::bad_data(text));
        }
        if value.len() > LABEL_BYTES_MAX {
            let text = format!("label {name:?} has {} bytes", value.len());
            return Err(Failure::bad_data(text));
        }
    }
    let mut pairs = one.labels;
    pairs.insert(NAME.to_owned(), one.name);
    Ok(Observed {
        labels: Labels::new(pairs),
        value: one.value,
    })
}

#[derive(Serialize)]
struct ObservationLine {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    at: String,
    /// Good until then.
    until: String,
    by: String,
}

impl ObservationLine {
    fn new(it: &Observation) -> Self {
        let labels = it.labels.iter().filter(|(name, _)| *name != NAME);
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            name: it.labels.name().to_owned(),
            labels: labels.collect(),
            value: it.value,
            at: it.at.to_string(),
            until: it.until.to_string(),
            by: it.by.clone(),
        }
    }
}

async fn observations(State(service): Shared) -> Response {
    #[derive(Serialize)]
    struct All {
        observations: Vec<ObservationLine>,
    }
    let snapshot = service.snapshot.load_full();
    let all = snapshot.observations.iter();
    let observations = all.map(ObservationLine::new).collect();
    success(StatusCode::OK, All { observations })
}

#[derive(Serialize)]
struct ItemLine<'a> {
    id: &'a str,
    phase: &'a str,
    text: &'a str,
    required: bool,
    /// `done`, `open`, `later` or `unknown`.
    state: &'static str,
    /// `machine` or `person`.
    by: &'static str,
    due: Option<String>,
    why: &'a str,
    /// The last word that somebody said about it.
    said: Option<SaidLine<'a>>,
}

#[derive(Serialize)]
struct SaidLine<'a> {
    item: &'a str,
    at: String,
    by: &'a str,
    note: Option<&'a str>,
    done: bool,
}

impl<'a> SaidLine<'a> {
    fn new(it: &'a Attestation) -> Self {
        Self {
            item: &it.item,
            at: it.at.to_string(),
            by: &it.by,
            note: it.note.as_deref(),
            done: it.done,
        }
    }
}

impl<'a> ItemLine<'a> {
    fn new(it: &'a ChecklistState) -> Self {
        Self {
            id: &it.id,
            phase: &it.phase,
            text: &it.text,
            required: it.required,
            state: it.state.word(),
            by: if it.by_machine { "machine" } else { "person" },
            due: it.due.map(|at| at.to_string()),
            why: &it.why,
            said: it.said.as_ref().map(SaidLine::new),
        }
    }
}

#[derive(Serialize)]
struct CriterionLine<'a> {
    id: &'a str,
    phase: &'a str,
    text: &'a str,
    /// `met`, `not_met` or `blocked`.
    state: &'static str,
    /// Met then at the earliest, if nothing else goes wrong.
    earliest: Option<String>,
    why: &'a str,
}

impl<'a> CriterionLine<'a> {
    fn new(it: &'a CriterionState) -> Self {
        Self {
            id: &it.id,
            phase: &it.phase,
            text: &it.text,
            state: it.outcome.word(),
            earliest: it.outcome.earliest().map(|at| at.to_string()),
            why: &it.why,
        }
    }
}

async fn checklist(State(service): Shared) -> Response {
    #[derive(Serialize)]
    struct Lists<'a> {
        /// The active phase of the shortest band.
        phase: &'a str,
        /// Every active one.
        active: Vec<&'a str>,
        items: Vec<ItemLine<'a>>,
        criteria: Vec<CriterionLine<'a>>,
    }
    let snapshot = service.snapshot.load_full();
    let runs = snapshot.phase_runs.iter().filter(|it| it.end.is_none());
    let lists = Lists {
        active: runs.map(|it| it.phase.as_str()).collect(),
        phase: &snapshot.verdict.phase,
        items: snapshot.checklist.iter().map(ItemLine::new).collect(),
        criteria: snapshot.criteria.iter().map(CriterionLine::new).collect(),
    };
    success(StatusCode::OK, lists)
}

/// Body of `POST /api/v1/checklist/{item}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    by: String,
    note: Option<String>,
    done: Option<bool>,
}

async fn attest(
    State(service): Shared,
    Piece(item): Piece,
    request: Request,
) -> Result<Response, Failure> {
    access::may_write(request.headers(), &service.token)?;
    let body: Said = json(request).await?;
    let call = attestation(&item, &body.by, body.note, body.done.unwrap_or(true))?;
    let Answer::Attested(it) = service.desk.act(call).await? else {
        return Err(Failure::other_answer());
    };
    Ok(success(StatusCode::CREATED, SaidLine::new(&it)))
}

/// What somebody says of a line, within bounds.
pub(super) fn attestation(
    item: &str,
    by: &str,
    note: Option<String>,
    done: bool,
) -> Result<Call, Failure> {
    one_name("by", by)?;
    one_text("item", item, NAME_BYTES_MAX)?;
    let note = note.filter(|note| !note.trim().is_empty());
    if let Some(note) = &note {
        one_text("note", note, NOTE_BYTES_MAX)?;
    }
    let said = Word {
        by: by.to_owned(),
        reason: note.unwrap_or_default(),
    };
    let item = item.to_owned();
    Ok(Call::Attest { item, said, done })
}
