//! Questions: read-only, no inputs, not journalled. They are answered from a [`View`], beside the engine.

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
use crate::promql::ParseError;
use crate::promql::Plan;
use crate::promql::RawRange;
use crate::promql::Stop;
use crate::store::Window;

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

/// What questions are answered from: the engine's window and what pages say of their metrics, as they were when it was
/// taken. Taking it is cheap, and the engine goes on meanwhile.
#[derive(Clone, Debug)]
pub struct View {
    window: Window,
    /// By target, which is named by its labels.
    said: Vec<(Labels, Arc<[Metadata]>)>,
}

impl Engine {
    #[must_use]
    pub fn view(&self) -> View {
        let targets = self.targets.values();
        View {
            window: self.window.clone(),
            said: targets
                .map(|it| (it.info.labels.clone(), Arc::clone(&it.metadata)))
                .collect(),
        }
    }
}

impl View {
    /// # Errors
    /// What is wrong with the question, or with what there is to answer it from; anything soon after `ending` is asked.
    pub fn answer(&self, question: Question, ending: &Stop) -> Result<Answered, AskError> {
        match question {
            Question::Query { text, at } => self.query(&text, at, ending),
            Question::QueryRange {
                text,
                start,
                end,
                step,
            } => self.range(&text, (start, end), step, ending),
            Question::Series { selectors } => self.series_of(&selectors).map(Answered::from),
            Question::Metadata { targets } => {
                self.metadata_of(targets.as_deref()).map(Answered::from)
            }
            Question::Format { text } => {
                let written = crate::promql::pretty(&text).map_err(bad_data(&text));
                written.map(|it| Told::Text(Timestamp::EPOCH, it).into())
            }
        }
    }

    fn query(&self, text: &str, at: Timestamp, ending: &Stop) -> Result<Answered, AskError> {
        if let Some(text) = crate::promql::text(text) {
            return Ok(Told::Text(at, text).into());
        }
        if let Some(raw) = RawRange::parse(text) {
            let series = raw.map_err(bad_data(text))?.samples(&self.window, at);
            return Ok(Told::Matrix(series).into());
        }
        let expr = Expr::parse(text).map_err(bad_data(text))?;
        let mut plan = Plan::new(&expr).until(ending.clone());
        let told = match plan.eval(&self.window, at) {
            Ok(Output::Scalar(value)) => Told::Scalar(at, value),
            Ok(Output::Vector(vector)) => {
                let found = vector.iter();
                let found = found.map(|(labels, value)| (labels.clone(), value));
                Told::Vector(at, found.collect())
            }
            Err(error) => return Err(AskError::Execution(error.to_string())),
        };
        let notes = plan.notes();
        Ok(Answered { told, notes })
    }

    fn range(
        &self,
        text: &str,
        whole: (Timestamp, Timestamp),
        step: Duration,
        ending: &Stop,
    ) -> Result<Answered, AskError> {
        bounded(whole, step)?;
        let expr =
            Expr::parse_within(text, step, whole.1.since(whole.0)).map_err(bad_data(text))?;
        let mut plan = Plan::new(&expr).until(ending.clone());
        let (mut found, mut notes) = (Found::default(), Vec::new());
        let mut at = whole.0;
        while at <= whole.1 {
            match plan.eval_within(&self.window, at, whole) {
                Ok(Output::Scalar(value)) => found.add(&Labels::empty(), at, value),
                Ok(Output::Vector(vector)) => {
                    for (labels, value) in vector.iter() {
                        found.add(labels, at, value);
                    }
                }
                Err(error) => return Err(AskError::Execution(error.to_string())),
            }
            plan.note(&mut notes);
            if found.samples > SAMPLES_MAX {
                let text =
                    "query processing would load too many samples into memory in query execution";
                return Err(AskError::Execution(text.to_owned()));
            }
            at = at + step;
        }
        let mut series = found.series;
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let told = Told::Matrix(series);
        Ok(Answered { told, notes })
    }

    fn metadata_of(&self, targets: Option<&str>) -> Result<Told, AskError> {
        let chosen = targets.map(matchers_of).transpose()?;
        let said = self.said.iter();
        let said = said.filter(|(labels, _)| chosen.as_ref().is_none_or(|it| it.matches(labels)));
        Ok(Told::Metadata(said.cloned().collect()))
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

/// Series with their values at the moments so far.
#[derive(Default)]
struct Found {
    places: HashMap<Labels, usize>,
    series: Vec<(Labels, Vec<(Timestamp, f64)>)>,
    samples: usize,
}

impl Found {
    fn add(&mut self, labels: &Labels, at: Timestamp, value: f64) {
        self.samples += 1;
        let place = self.places.get(labels).copied().unwrap_or_else(|| {
            self.places.insert(labels.clone(), self.series.len());
            self.series.push((labels.clone(), Vec::new()));
            self.series.len() - 1
        });
        self.series[place].1.push((at, value));
    }
}

fn matchers_of(selector: &str) -> Result<Matchers, AskError> {
    let expr = Expr::parse(selector).map_err(bad_data(selector))?;
    let one = expr.selector().cloned();
    one.ok_or_else(|| AskError::BadData(format!("`{selector}` is not one series selector")))
}

/// Says what is wrong with `text`, and where by line and column (bytes, from 1) as Prometheus does, where that is known.
fn bad_data(text: &str) -> impl FnOnce(ParseError) -> AskError {
    move |error| {
        let before = error.span.as_ref().and_then(|span| text.get(..span.start));
        let place = before.map_or(String::new(), |before| {
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
            format!("{line}:{column}: parse error: ")
        });
        AskError::BadData(format!("invalid parameter \"query\": {place}{error}"))
    }
}

/// # Errors
/// In Prometheus' words.
fn bounded((start, end): (Timestamp, Timestamp), step: Duration) -> Result<(), AskError> {
    let bad = |text: &str| Err(AskError::BadData(text.to_owned()));
    if end < start {
        return bad("invalid parameter \"end\": end timestamp must not be before start time");
    }
    if millis(step) == 0 {
        return bad(
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        );
    }
    if (end.millis() - start.millis()) / millis(step) > POINTS_MAX {
        return bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        );
    }
    Ok(())
}
