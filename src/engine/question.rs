//! Questions: read-only, no inputs, not journalled. The core answers one in steps between inputs.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use crate::model::Labels;
use crate::model::Metadata;
use crate::model::Timestamp;
use crate::model::time::millis;
use crate::promql::Expr;
use crate::promql::Matchers;
use crate::promql::Note;
use crate::promql::Output;
use crate::promql::Plan;
use crate::promql::RawRange;

/// Points of one series that a query over time may ask for, as in Prometheus.
const POINTS_MAX: i64 = 11_000;
/// Samples that an answer may hold.
const SAMPLES_MAX: usize = 10_000_000;

#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// An expression at a moment.
    Query { text: String, at: Timestamp },
    /// An expression at `start` and every `step` after it, up to and including `end`.
    QueryRange {
        text: String,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    },
    /// Every series that one of the selectors matches; without selectors every series.
    Series { selectors: Vec<String> },
    /// What the pages of the targets, of all or of those that the selector chooses, say of their metrics.
    Metadata { targets: Option<String> },
    /// The expression written as Prometheus would.
    Format { text: String },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Scalar(Timestamp, f64),
    Vector(Timestamp, Vec<(Labels, f64)>),
    /// By labels.
    Matrix(Vec<(Labels, Vec<(Timestamp, f64)>)>),
    Text(Timestamp, String),
    Series(Vec<Labels>),
    /// By target, which is named by its labels.
    Metadata(Vec<(Labels, Arc<[Metadata]>)>),
}

/// An answer with what Prometheus says beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub told: Told,
    pub notes: Vec<Note>,
}

impl From<Told> for Answered {
    fn from(told: Told) -> Self {
        let notes = Vec::new();
        Self { told, notes }
    }
}

/// Why there is no answer; the text is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The question itself is wrong.
    #[error("{0}")]
    BadData(String),
    /// It cannot be carried out on what there is.
    #[error("{0}")]
    Execution(String),
}

/// A question that is being answered.
#[derive(Debug)]
pub struct Asking(Work);

#[derive(Debug)]
enum Work {
    /// Everything is known at once.
    Done(Option<Result<Answered, AskError>>),
    Range(Box<RangeWork>),
}

#[derive(Debug)]
struct RangeWork {
    plan: Plan,
    next: Timestamp,
    whole: (Timestamp, Timestamp),
    step: Duration,
    places: HashMap<Labels, usize>,
    series: Vec<(Labels, Vec<(Timestamp, f64)>)>,
    samples: usize,
    notes: Vec<Note>,
}

impl Engine {
    /// Begins to answer.
    #[must_use]
    pub fn ask(&self, question: Question) -> Asking {
        let work = match question {
            Question::Query { text, at } => Work::Done(Some(self.query(&text, at))),
            Question::QueryRange {
                text,
                start,
                end,
                step,
            } => match range(&text, start, end, step) {
                Ok(work) => Work::Range(Box::new(work)),
                Err(error) => Work::Done(Some(Err(error))),
            },
            Question::Series { selectors } => {
                Work::Done(Some(self.series_of(&selectors).map(Answered::from)))
            }
            Question::Metadata { targets } => {
                let told = self.metadata_of(targets.as_deref());
                Work::Done(Some(told.map(Answered::from)))
            }
            Question::Format { text } => {
                let written = crate::promql::pretty(&text).map_err(bad_data);
                let told = written.map(|it| Told::Text(Timestamp::EPOCH, it).into());
                Work::Done(Some(told))
            }
        };
        Asking(work)
    }

    /// One more step; `None` while there are more.
    pub fn go_on(&self, asking: &mut Asking) -> Option<Result<Answered, AskError>> {
        let work = match &mut asking.0 {
            Work::Done(told) => return told.take(),
            Work::Range(work) => work,
        };
        if let Err(error) = work.one(self) {
            return Some(Err(error));
        }
        if work.next > work.whole.1 {
            let mut series = std::mem::take(&mut work.series);
            series.sort_by(|a, b| a.0.cmp(&b.0));
            let mut notes = std::mem::take(&mut work.notes);
            notes.retain(|_| !series.is_empty());
            let told = Told::Matrix(series);
            return Some(Ok(Answered { told, notes }));
        }
        None
    }

    fn query(&self, text: &str, at: Timestamp) -> Result<Answered, AskError> {
        if let Some(text) = crate::promql::text(text) {
            return Ok(Told::Text(at, text).into());
        }
        if let Some(raw) = RawRange::parse(text) {
            let series = raw.map_err(bad_data)?.samples(&self.window, at);
            return Ok(Told::Matrix(series).into());
        }
        let expr = Expr::parse(text).map_err(bad_data)?;
        let mut plan = Plan::new(&expr);
        match plan.eval(&self.window, at) {
            Ok(Output::Scalar(value)) => Ok(Told::Scalar(at, value).into()),
            Ok(Output::Vector(vector)) => {
                let found: Vec<(Labels, f64)> = vector
                    .iter()
                    .map(|(labels, value)| (labels.clone(), value))
                    .collect();
                // Prometheus says these of series, not of texts.
                let mut notes = expr.notes().to_vec();
                notes.retain(|_| !found.is_empty());
                let told = Told::Vector(at, found);
                Ok(Answered { told, notes })
            }
            Err(error) => Err(AskError::Execution(error.to_string())),
        }
    }

    fn metadata_of(&self, targets: Option<&str>) -> Result<Told, AskError> {
        let chosen = targets.map(matchers_of).transpose()?;
        let all = self.targets.values();
        let all = all.filter(|it| {
            let labels = &it.info.labels;
            chosen.as_ref().is_none_or(|it| it.matches(labels))
        });
        let said = all.map(|it| (it.info.labels.clone(), Arc::clone(&it.metadata)));
        Ok(Told::Metadata(said.collect()))
    }

    fn series_of(&self, selectors: &[String]) -> Result<Told, AskError> {
        let mut matchers: Vec<Matchers> = Vec::new();
        for selector in selectors {
            matchers.push(matchers_of(selector)?);
        }
        let mut found = BTreeSet::new();
        self.window.visit(None, &mut |_, labels| {
            if matchers.is_empty() || matchers.iter().any(|it| it.matches(labels)) {
                found.insert(labels.clone());
            }
        });
        Ok(Told::Series(found.into_iter().collect()))
    }
}

fn matchers_of(selector: &str) -> Result<Matchers, AskError> {
    let expr = Expr::parse(selector).map_err(bad_data)?;
    match &expr.selectors()[..] {
        [(one, _)] if expr.is_selector() => Ok(one.clone()),
        _ => {
            let text = format!("`{selector}` is not one series selector");
            Err(AskError::BadData(text))
        }
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it ends `map_err`, which hands errors over"
)]
fn bad_data(error: crate::promql::ParseError) -> AskError {
    AskError::BadData(format!("invalid parameter \"query\": {error}"))
}

fn range(
    text: &str,
    start: Timestamp,
    end: Timestamp,
    step: Duration,
) -> Result<RangeWork, AskError> {
    if end < start {
        let text = "invalid parameter \"end\": end timestamp must not be before start time";
        return Err(AskError::BadData(text.to_owned()));
    }
    if millis(step) == 0 {
        let text = "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(AskError::BadData(text.to_owned()));
    }
    let points = (end.millis() - start.millis()) / millis(step);
    if points > POINTS_MAX {
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(AskError::BadData(text.to_owned()));
    }
    let expr = Expr::parse_within(text, step, end.since(start)).map_err(bad_data)?;
    Ok(RangeWork {
        plan: Plan::new(&expr),
        next: start,
        whole: (start, end),
        step,
        places: HashMap::new(),
        series: Vec::new(),
        samples: 0,
        notes: expr.notes().to_vec(),
    })
}

impl RangeWork {
    /// Evaluates at the next moment.
    fn one(&mut self, engine: &Engine) -> Result<(), AskError> {
        let at = self.next;
        self.next = at + self.step;
        let output = self.plan.eval_within(&engine.window, at, self.whole);
        let (places, series, samples) = (&mut self.places, &mut self.series, &mut self.samples);
        let mut add = |labels: &Labels, value| {
            *samples += 1;
            let place = places.get(labels).copied().unwrap_or_else(|| {
                places.insert(labels.clone(), series.len());
                series.push((labels.clone(), Vec::new()));
                series.len() - 1
            });
            series[place].1.push((at, value));
        };
        match output {
            Ok(Output::Scalar(value)) => add(&Labels::empty(), value),
            Ok(Output::Vector(vector)) => {
                vector.iter().for_each(|(labels, value)| add(labels, value));
            }
            Err(error) => return Err(AskError::Execution(error.to_string())),
        }
        if self.samples > SAMPLES_MAX {
            let text =
                "query processing would load too many samples into memory in query execution";
            return Err(AskError::Execution(text.to_owned()));
        }
        Ok(())
    }
}
