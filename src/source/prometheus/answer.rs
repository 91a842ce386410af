//! An answer's body, read: the samples of an instant vector or a scalar, and what the server says beside them.
//! Deliberately absent: the request, and how samples become series of the window.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::engine::{ScrapeError, ScrapeFault};
use crate::model::Timestamp;
use crate::model::labels::NAME;
use crate::source::scrape::fault::fault;

/// With more series a signal is no signal.
const SAMPLES_MAX: usize = 10_000;
/// Of what a server says beside its answer this many lines are kept.
const NOTES_MAX: usize = 10;
/// How Prometheus begins what it says of an expression. Whatever else is a warning is about the data.
const ABOUT_THE_EXPRESSION: [&str; 2] = ["PromQL warning", "PromQL info"];

/// A good answer.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub samples: Vec<Answered>,
    /// A single number without labels, not a vector.
    pub scalar: bool,
    /// Warnings and infos, one line each.
    pub notes: Vec<String>,
    /// Why something may be missing in it, in the server's words.
    pub partial: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Answered {
    /// Without a name; no other sample of the answer has the same.
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    /// By the server's clock.
    pub at: Timestamp,
}

/// A good answer's data, with what the server says beside it.
pub(super) struct Opened<D> {
    pub data: D,
    warnings: Vec<String>,
    infos: Vec<String>,
    /// Why something may be missing in it, in the server's words.
    pub partial: Option<String>,
}

#[derive(Deserialize)]
struct Body<D> {
    status: String,
    data: Option<D>,
    #[serde(rename = "errorType")]
    kind: Option<String>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
    /// `VictoriaMetrics`: a storage node did not answer.
    #[serde(rename = "isPartial")]
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Payload,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Payload {
    Vector(Vec<Element>),
    Scalar((f64, String)),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    histogram: Option<IgnoredAny>,
}

/// Why a server has no answer, where that is what the body says: its kind of error and its words.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    let body: Body<IgnoredAny> = serde_json::from_slice(body).ok()?;
    let error = body.error.filter(|it| !it.is_empty())?;
    (body.status == "error").then(|| match body.kind {
        Some(kind) if !kind.is_empty() => format!("{kind}: {error}"),
        Some(_) | None => error,
    })
}

/// What a server says, as one line that can be shown: escaped and cut as the text of a fault is.
pub(super) fn line_of(text: &str) -> String {
    fault(ScrapeFault::Query, text).text
}

/// Reads the body of an answer of 200, whatever was asked.
pub(super) fn open<D: DeserializeOwned>(body: &[u8]) -> Result<Opened<D>, ScrapeError> {
    let none = |text: String| fault(ScrapeFault::NotAnAnswer, text);
    let body: Body<D> = serde_json::from_slice(body).map_err(|error| {
        none(if error.is_data() {
            format!("the answer is none of a query: {error}")
        } else {
            format!("the answer is not JSON: {error}")
        })
    })?;
    if body.status != "success" {
        let kind = body.kind.unwrap_or_default();
        let words = body.error.unwrap_or(format!("status {:?}", body.status));
        let gap = if kind.is_empty() { "" } else { ": " };
        return Err(fault(ScrapeFault::Query, format!("{kind}{gap}{words}")));
    }
    let data = body
        .data
        .ok_or_else(|| none("the answer has no `data`".to_owned()))?;
    let warnings = body.warnings.unwrap_or_default();
    let expression = |it: &&String| {
        !ABOUT_THE_EXPRESSION
            .iter()
            .any(|about| it.starts_with(about))
    };
    let partial = match warnings.iter().find(expression) {
        Some(warning) => Some(line_of(warning)),
        None if body.is_partial == Some(true) => Some("isPartial is true".to_owned()),
        None => None,
    };
    Ok(Opened {
        data,
        warnings,
        infos: body.infos.unwrap_or_default(),
        partial,
    })
}

/// Reads the answer to an instant query.
pub(super) fn read(body: &[u8]) -> Result<Answer, ScrapeError> {
    let none = |text: String| fault(ScrapeFault::NotAnAnswer, text);
    let opened: Opened<Data> = open(body)?;
    let data = opened.data;
    let (samples, scalar) = match (data.kind.as_str(), data.result) {
        ("vector", Payload::Vector(elements)) => (vector(elements)?, false),
        ("scalar", Payload::Scalar(sample)) => (vec![sample_of(BTreeMap::new(), &sample)?], true),
        ("vector" | "scalar", _) => {
            return Err(none(format!("the result is no {}", data.kind)));
        }
        (kind, _) => {
            return Err(none(format!(
                "the result is a {kind}: a signal is a vector or a scalar"
            )));
        }
    };
    let all = opened.warnings.iter().chain(&opened.infos);
    Ok(Answer {
        samples,
        scalar,
        notes: all.take(NOTES_MAX).map(|it| line_of(it)).collect(),
        partial: opened.partial,
    })
}

fn vector(elements: Vec<Element>) -> Result<Vec<Answered>, ScrapeError> {
    if elements.len() > SAMPLES_MAX {
        let text = format!("{} series are more than {SAMPLES_MAX}", elements.len());
        return Err(fault(ScrapeFault::SampleLimit, text));
    }
    let mut samples: BTreeMap<BTreeMap<String, String>, Answered> = BTreeMap::new();
    for mut element in elements {
        let name = element.metric.remove(NAME).unwrap_or_default();
        let Some(value) = &element.value else {
            let text = if element.histogram.is_some() {
                format!(
                    "`{name}` is a native histogram: write histogram_quantile(…), or what else makes it a number"
                )
            } else {
                format!("a series `{name}` has no value")
            };
            return Err(fault(ScrapeFault::NotAnAnswer, text));
        };
        let sample = sample_of(element.metric, value)?;
        if samples.contains_key(&sample.labels) {
            let text = "two series have the same labels, apart from their names";
            return Err(fault(ScrapeFault::NotAnAnswer, text));
        }
        samples.insert(sample.labels.clone(), sample);
    }
    Ok(samples.into_values().collect())
}

fn sample_of(
    labels: BTreeMap<String, String>,
    (seconds, value): &(f64, String),
) -> Result<Answered, ScrapeError> {
    let value = value.parse().map_err(|_| {
        let text = format!("a value is `{value}`: no number");
        fault(ScrapeFault::NotAnAnswer, text)
    })?;
    let at = moment(*seconds);
    Ok(Answered { labels, value, at })
}

/// The time of a sample.
pub(super) fn moment(seconds: f64) -> Timestamp {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "float to integer saturates, and such a time is far off"
    )]
    let millis = (seconds * 1000.0).round() as i64;
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        match read(body.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(answer) => {
                let samples = answer.samples.iter();
                let samples = samples.map(|it| format!("{:?}={}", it.labels, it.value));
                let samples: Vec<String> = samples.collect();
                format!(
                    "{} {:?} {:?}",
                    samples.join(" "),
                    answer.notes,
                    answer.partial
                )
            }
        }
    }

    #[test]
    fn what_servers_answer() {
        let good = |result: &str, rest: &str| {
            told(&format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}{rest}}}"#
            ))
        };
        assert_eq!(good("[]", ""), " [] None");
        let two = r#"[{"metric":{"__name__":"up","job":"b"},"value":[1.5,"1"]},{"metric":{"job":"a"},"value":[1,"NaN"]}]"#;
        assert_eq!(good(two, ""), r#"{"job": "a"}=NaN {"job": "b"}=1 [] None"#);
        let ends = r#"[{"metric":{},"value":[1,"+Inf"]},{"metric":{"a":"1"},"value":[1,"-Inf"]},{"metric":{"a":"2"},"value":[1,"1e-3"]}]"#;
        assert_eq!(
            good(ends, r#","warnings":null,"infos":[]"#),
            r#"{}=inf {"a": "1"}=-inf {"a": "2"}=0.001 [] None"#
        );
        let scalar =
            r#"{"status":"success","data":{"result":[1,"5"],"resultType":"scalar"},"stats":{}}"#;
        assert_eq!(told(scalar), "{}=5 [] None");
        for (rest, said) in [
            (r#","isPartial":false"#, r"[] None"),
            (r#","isPartial":true"#, r#"[] Some("isPartial is true")"#),
            (
                r#","warnings":["PromQL warning: x"],"infos":["PromQL info: y\n"]"#,
                r#"["PromQL warning: x", "PromQL info: y\\n"] None"#,
            ),
            (
                r#","warnings":["PromQL warning: x","store 10.0.0.1 is down"]"#,
                r#"["PromQL warning: x", "store 10.0.0.1 is down"] Some("store 10.0.0.1 is down")"#,
            ),
        ] {
            assert_eq!(good("[]", rest), format!(" {said}"), "{rest}");
        }
    }

    #[test]
    fn what_is_no_answer() {
        let histogram = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"h"},"histogram":[1,{}]}]}}"#;
        let twice = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"a"},"value":[1,"1"]},{"metric":{"__name__":"b"},"value":[1,"1"]}]}}"#;
        for (body, said) in [
            ("", "not_an_answer: the answer is not JSON"),
            ("<html>", "not_an_answer: the answer is not JSON"),
            ("[]", "not_an_answer: the answer is none of a query"),
            (
                r#"{"status":"success"}"#,
                "not_an_answer: the answer has no `data`",
            ),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse\nerror"}"#,
                "query: bad_data: parse\\nerror",
            ),
            (r#"{"status":"error"}"#, "query: status \"error\""),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}"#,
                "not_an_answer: the result is a matrix: a signal is a vector or a scalar",
            ),
            (
                r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#,
                "not_an_answer: the result is a string",
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":"x"}}"#,
                "not_an_answer: the result is no vector",
            ),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}"#,
                "not_an_answer: a value is `x`: no number",
            ),
            (histogram, "not_an_answer: `h` is a native histogram"),
            (twice, "not_an_answer: two series have the same labels"),
        ] {
            let told = told(body);
            assert!(told.starts_with(said), "{body}: {told}");
        }
        let element = r#"{"metric":{"a":"1"},"value":[1,"1"]}"#;
        let many = vec![element; SAMPLES_MAX + 1].join(",");
        let many =
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{many}]}}}}"#);
        assert_eq!(
            told(&many),
            "sample_limit: 10001 series are more than 10000"
        );
    }
}
