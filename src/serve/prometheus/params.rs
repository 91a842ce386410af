//! The parameters of a request.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::RawQuery;
use axum::extract::Request;
use axum::http::Method;
use axum::http::header;

use crate::model::Timestamp;
use crate::model::time;
use crate::serve::answer::Failure;

/// A form is one query with a few parameters.
const FORM_BYTES_MAX: usize = 1 << 20;

/// The parameters of a request, from its query and, where it has one, its form.
pub(super) struct Asked(pub(super) Vec<(String, String)>);

impl Asked {
    pub(super) async fn read(RawQuery(query): RawQuery, request: Request) -> Result<Self, Failure> {
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

    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
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

    pub(super) fn limit(&self) -> Result<usize, Failure> {
        self.count("limit")
    }

    /// 0 and nothing mean no limit.
    pub(super) fn count(&self, name: &str) -> Result<usize, Failure> {
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

pub(super) fn needed<T>(name: &str, value: Option<T>) -> Result<T, Failure> {
    let text = format!("invalid parameter \"{name}\": it is missing");
    value.ok_or_else(|| Failure::bad_data(text))
}

pub(super) fn decoded(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}
