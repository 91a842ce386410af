//! How single values stand in a cell: words, times, and JSON where a value has parts.

use std::collections::BTreeMap;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use crate::model::{
    Action, AttemptLine, DecisionId, Deed, DeliveryKey, Guard, Helped, IncidentId, NoticeKind,
    Past, PhaseOutcome, RolloutEnd, RolloutId, Said, Seen, Severity, Sight, Timestamp, Unit,
};

macro_rules! as_words {
    ($($type:ty),+) => { $(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.word().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let word = value.as_str()?;
                Self::from_word(word).ok_or_else(|| unknown(word))
            }
        }
    )+ };
}

macro_rules! as_text {
    ($($type:ty),+) => { $(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str().map(|text| Self(text.to_owned()))
            }
        }
    )+ };
}

as_words!(
    Action,
    Deed,
    Guard,
    Helped,
    NoticeKind,
    PhaseOutcome,
    RolloutEnd,
    Severity,
    Unit
);
as_text!(DecisionId, DeliveryKey, IncidentId, RolloutId);

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        // How `Timestamp` prints what RFC 3339 has no year for.
        if let Some(millis) = text.strip_suffix("ms") {
            return millis
                .parse()
                .map(Self::from_millis)
                .map_err(|_| unknown(text));
        }
        text.parse().map_err(FromSqlError::other)
    }
}

pub(super) fn unknown(word: &str) -> FromSqlError {
    FromSqlError::Other(format!("`{}` means nothing here", word.escape_debug()).into())
}

/// The wire form of [`crate::model::GuardAnswer`] in the column `guards`.
#[derive(Serialize, Deserialize)]
pub(super) struct GuardCell {
    pub guard: String,
    pub passed: bool,
    pub note: String,
}

/// The wire form of [`Said`].
#[derive(Serialize, Deserialize)]
pub(super) struct SaidCell {
    at: String,
    by: String,
    reason: String,
}

impl SaidCell {
    pub(super) fn new(said: &Said) -> Self {
        Self {
            at: said.at.to_string(),
            by: said.by.clone(),
            reason: said.reason.clone(),
        }
    }

    pub(super) fn said(self) -> FromSqlResult<Said> {
        Ok(Said {
            at: Timestamp::column_result(self.at.as_str().into())?,
            by: self.by,
            reason: self.reason,
        })
    }
}

/// The wire form of [`Past`]: milliseconds, and null for blind, a number, or numbers by series.
#[derive(Serialize, Deserialize)]
pub(super) struct PastCell {
    change: i64,
    readings: BTreeMap<String, Vec<(i64, SeenCell)>>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SeenCell {
    Value(f64),
    Series(Vec<(String, f64)>),
    Blind(()),
}

impl PastCell {
    pub(super) fn new(past: &Past) -> Self {
        let cell = |seen: &Seen| match seen {
            Seen::Value(value) if value.is_finite() => SeenCell::Value(*value),
            Seen::Series(series) => {
                let finite = series.iter().filter(|(_, value)| value.is_finite());
                SeenCell::Series(finite.cloned().collect())
            }
            Seen::Blind | Seen::Value(_) => SeenCell::Blind(()),
        };
        let cells = |sights: &Vec<Sight>| {
            let cells = sights.iter().map(|it| (it.at.millis(), cell(&it.seen)));
            cells.collect()
        };
        let readings = past.readings.iter();
        Self {
            change: past.change.millis(),
            readings: readings
                .map(|(name, it)| (name.clone(), cells(it)))
                .collect(),
        }
    }

    pub(super) fn past(self) -> Past {
        let sight = |(at, cell): (i64, SeenCell)| Sight {
            at: Timestamp::from_millis(at),
            seen: match cell {
                SeenCell::Value(value) => Seen::Value(value),
                SeenCell::Series(series) => Seen::Series(series),
                SeenCell::Blind(()) => Seen::Blind,
            },
        };
        let readings = self.readings.into_iter();
        Past {
            change: Timestamp::from_millis(self.change),
            readings: readings
                .map(|(name, cells)| (name, cells.into_iter().map(sight).collect()))
                .collect(),
        }
    }
}

/// The wire form of [`AttemptLine`]: attempt, when, what came of it.
pub(super) type LogCell = Vec<(u32, String, String)>;

pub(super) fn log_cell(log: &[AttemptLine]) -> LogCell {
    let lines = log.iter();
    lines
        .map(|it| (it.attempt, it.at.to_string(), it.outcome.clone()))
        .collect()
}

pub(super) fn log_lines(cell: LogCell) -> FromSqlResult<Vec<AttemptLine>> {
    let lines = cell.into_iter().map(|(attempt, at, outcome)| {
        let at = Timestamp::column_result(at.as_str().into())?;
        Ok(AttemptLine {
            attempt,
            at,
            outcome,
        })
    });
    lines.collect()
}

/// JSON text in a cell.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(&self.0)
            .map(Into::into)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: for<'de> Deserialize<'de>> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}
