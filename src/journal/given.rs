//! What people and receivers say, targets and failures, as bytes: the small parts of inputs. Pages stand in `page`.

use std::time::Duration;

use jiff::civil::Date;

use super::wire::{Bytes, Malformed, Wire, choice, record, spelled, take_text};
use crate::engine::{
    Announce, Attempted, Call, Observed, Reported, ScrapeError, ScrapeFault, TargetInfo, Word,
};
use crate::report::Kind;

record!(Word { by, reason });
record!(Observed { labels, value });
record!(Announce { by, look, forced });
choice!(Call {
    0 => StartRollout { id, version, previous_version, started_at, irreversible },
    1 => FinishRollout(id),
    2 => Observe { values, lifetime, by },
    3 => Attest { item, said, done },
    4 => Announce(asked),
    5 => Acknowledge { incident, by, note },
    6 => Freeze { said, hold },
    7 => Thaw(said),
    8 => Veto { decision, said },
    9 => Settle { delivery, arrived, said },
});
choice!(Attempted {
    0 => Answered { status, retry_after },
    1 => Replied { code, text },
    2 => NoAnswer { reason, reached },
    3 => Ran { code, output },
});

spelled!(Kind);

/// As ISO 8601 has it.
impl Wire for Date {
    fn put(&self, to: &mut Vec<u8>) {
        self.to_string().put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let text = take_text(from)?;
        text.parse().map_err(|_| Malformed::Word {
            what: "date",
            word: text.to_owned(),
        })
    }
}

record!(Reported {
    kind,
    date,
    outcome,
    unkept
});

impl Wire for ScrapeFault {
    fn put(&self, to: &mut Vec<u8>) {
        super::wire::put_text(self.word(), to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let word = take_text(from)?;
        let known = Self::ALL.into_iter().find(|it| it.word() == word);
        known.ok_or_else(|| Malformed::Word {
            what: "fault of a scrape",
            word: word.to_owned(),
        })
    }
}

record!(ScrapeError { fault, text });

impl Wire for TargetInfo {
    fn put(&self, to: &mut Vec<u8>) {
        let Self {
            id,
            job,
            instance,
            url,
            labels,
            interval,
            timeout,
        } = self;
        id.put(to);
        for text in [job, instance, url] {
            text.put(to);
        }
        labels.put(to);
        interval.put(to);
        timeout.put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let info = Self {
            id: Wire::take(from)?,
            job: Wire::take(from)?,
            instance: Wire::take(from)?,
            url: Wire::take(from)?,
            labels: Wire::take(from)?,
            interval: Wire::take(from)?,
            timeout: Wire::take(from)?,
        };
        if info.interval < Duration::from_millis(1) {
            return Err(Malformed::Order("a target without an interval"));
        }
        Ok(info)
    }
}
