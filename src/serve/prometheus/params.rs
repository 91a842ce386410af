//! The parameters of a request, read as Go's `net/http` reads them for Prometheus.

use std::time::Duration;

use axum::extract::FromRequest;
use axum::extract::Request;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;

use crate::model::Timestamp;
use crate::model::time;
use crate::serve::AskFailure;
use crate::serve::answer::Failure;
use crate::serve::extract;

/// A form is one query with a few parameters. [`super::routes`] lets no more in.
pub(super) const FORM_BYTES_MAX: usize = 1 << 20;

/// The parameters of a request: those of its form, where it has one, before those of its URL.
pub(super) struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let of_url = decoded(request.uri().query().unwrap_or_default().as_bytes());
        let mut pairs = Vec::new();
        if request.method() == Method::POST && is_form(&request) {
            pairs = decoded(&extract::body(request).await.map_err(too_large)?);
        }
        pairs.extend(of_url);
        Ok(Self(pairs))
    }
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn too_large(failure: Failure) -> Failure {
    if failure.code == StatusCode::PAYLOAD_TOO_LARGE {
        return Failure::new(failure.code, "bad_data", "the form is larger than 1 MiB");
    }
    failure
}

impl Asked {
    /// The first value; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|it| !it.is_empty())
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        self.read(name, |text| {
            let wrong = |_| format!("cannot parse \"{text}\" to a valid timestamp");
            text.parse().map_err(wrong)
        })
    }

    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
        self.read(name, |text| {
            let seconds = text.parse::<f64>().ok();
            let seconds = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
            let read = seconds.or_else(|| time::duration(text));
            read.ok_or_else(|| format!("cannot parse \"{text}\" to a valid duration"))
        })
    }

    /// The time that an answer may take. None at all is over before it began.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let timeout = self.duration("timeout")?;
        if timeout == Some(Duration::ZERO) {
            return Err(AskFailure::Timeout.into());
        }
        Ok(timeout)
    }

    /// How many series, names or values an answer may hold; 0 and nothing mean no limit.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        let limit = self.read("limit", |text| {
            let wrong = |_| "it must be a whole number".to_owned();
            text.parse::<usize>().map_err(wrong)
        })?;
        Ok(limit.filter(|it| *it > 0).unwrap_or(usize::MAX))
    }

    /// A limit of which 0 means none at all, and what is negative as many as there are: so it is for metadata.
    pub(super) fn at_most(&self, name: &str) -> Result<usize, Failure> {
        let most = self.read(name, |text| {
            let wrong = |_| "it must be a whole number".to_owned();
            text.parse::<i64>().map_err(wrong)
        })?;
        Ok(most.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX)))
    }

    /// The value that a parameter stands for, or what is wrong with it under its name.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let read = self.get(name).map(read).transpose();
        read.map_err(|why| invalid(name, &why))
    }
}

pub(super) fn needed<T>(name: &str, value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| invalid(name, "it is missing"))
}

pub(super) fn invalid(name: &str, why: &str) -> Failure {
    Failure::bad_data(format!("invalid parameter \"{name}\": {why}"))
}

/// The engine calls every text that it cannot read the query. This one came as the parameter `name`.
pub(super) fn of_parameter(name: &str, failure: AskFailure) -> Failure {
    let failure = Failure::from(failure);
    if failure.code != StatusCode::BAD_REQUEST {
        return failure;
    }
    let why = failure.text.strip_prefix("invalid parameter \"query\": ");
    invalid(name, why.unwrap_or(&failure.text))
}

/// The pairs of a form or of a query.
pub(super) fn decoded(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}
