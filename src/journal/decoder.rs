//! Bytes → inputs. Bytes may be anybody's: nothing is believed of a length, a stamp or an order before it is looked at, and
//! what comes of them is at most a few times as large as they are.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use super::opening::Opening;
use super::page::Before;
use super::records::moment;
use super::tag;
use super::wire::{Bytes, Malformed, Wire, Zones};
use crate::engine::{Columns, Input, Scrape};
use crate::model::{Labels, Slot, TargetId, Timestamp};

/// An engine fires every minute of a pause: no run has one that is longer.
const PAUSE_MAX: Duration = Duration::from_secs(366 * 86_400);

/// One entry of a segment.
#[derive(Clone, Debug)]
pub enum Entry {
    Opened(Box<Opening>),
    /// `Engine::apply` was called.
    Input {
        at: Timestamp,
        input: Input,
    },
    /// `Engine::advance` was called.
    Woke(Timestamp),
    /// The segment ends, and nothing of it is missing.
    Closed {
        /// The next segment of the run follows without a gap.
        goes_on: bool,
    },
}

/// Reads one segment.
pub struct Decoder<'z> {
    zones: Zones<'z>,
    stage: Stage,
    last: Timestamp,
    /// The next input's stamp is at least this.
    floor: Timestamp,
    before: BTreeMap<TargetId, Before>,
    /// Series of the opening's targets that are to be born with the first page.
    standing: BTreeMap<TargetId, Vec<(Slot, Labels)>>,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    Fresh,
    Open,
    Closed,
}

impl<'z> Decoder<'z> {
    #[must_use]
    pub fn new(zones: Zones<'z>) -> Self {
        Self {
            zones,
            stage: Stage::Fresh,
            last: Timestamp::EPOCH,
            floor: Timestamp::EPOCH,
            before: BTreeMap::new(),
            standing: BTreeMap::new(),
        }
    }

    /// The segment is replayed from its own opening: what stood then is told anew. Gives the inputs that tell it, all of
    /// them stamped with the opening.
    pub fn start_over(&mut self, opening: &Opening) -> Vec<Input> {
        let standing = &opening.standing;
        let known = standing.targets.iter();
        self.standing = known
            .map(|(info, series)| (info.id, series.clone()))
            .collect();
        let wall = Some(standing.wall).filter(|it| it.ahead_millis() != 0);
        let wall = wall.map(Input::ClockSet);
        let targets = standing.targets.iter();
        let targets = targets.map(|(info, _)| Input::Target(info.clone()));
        wall.into_iter().chain(targets).collect()
    }

    /// The entry at the beginning of `bytes`, and how long it is.
    ///
    /// # Errors
    /// The bytes are no entry, or none that can stand here. Nothing after it can be read.
    pub fn entry(&mut self, bytes: &[u8]) -> Result<(Entry, usize), Malformed> {
        let mut from = Bytes::new(bytes, self.zones);
        let entry = self.read(&mut from)?;
        Ok((entry, bytes.len() - from.left()))
    }

    fn read(&mut self, from: &mut Bytes<'_>) -> Result<Entry, Malformed> {
        let tag = from.byte()?;
        match (self.stage, tag == tag::OPENED) {
            (Stage::Fresh, true) => {
                let opening = Opening::read(from)?;
                (self.last, self.floor) = (opening.at, opening.at);
                self.stage = Stage::Open;
                return Ok(Entry::Opened(Box::new(opening)));
            }
            (Stage::Open, false) => {}
            (Stage::Fresh, false) => return Err(Malformed::Order("it begins with no opening")),
            (Stage::Open, true) => return Err(Malformed::Order("a second opening")),
            (Stage::Closed, _) => return Err(Malformed::Order("an entry after the end")),
        }
        if tag == tag::CLOSED {
            self.stage = Stage::Closed;
            let goes_on = Wire::take(from)?;
            return Ok(Entry::Closed { goes_on });
        }
        let at = moment(self.last.millis().wrapping_add(from.signed()?))?;
        if at < self.floor {
            return Err(Malformed::Order("an entry that goes back in time"));
        }
        if at.since(self.floor) > PAUSE_MAX {
            return Err(Malformed::Order("a pause of more than a year"));
        }
        (self.last, self.floor) = (at, at);
        let input = match tag {
            tag::WOKE => {
                self.floor = at + Duration::from_millis(1);
                return Ok(Entry::Woke(at));
            }
            tag::SCRAPED => Input::Scraped(self.scraped(at, from)?),
            tag::TARGET => {
                let input = Input::Target(Wire::take(from)?);
                self.forget(&input);
                input
            }
            tag::TARGET_GONE => {
                let input = Input::TargetGone(Wire::take(from)?);
                self.forget(&input);
                input
            }
            other => plain(other, from)?,
        };
        Ok(Entry::Input { at, input })
    }

    fn forget(&mut self, input: &Input) {
        if let Input::Target(crate::engine::TargetInfo { id, .. }) | Input::TargetGone(id) = input {
            self.before.remove(id);
            self.standing.remove(id);
        }
    }

    fn scraped(&mut self, at: Timestamp, from: &mut Bytes<'_>) -> Result<Scrape, Malformed> {
        let target = TargetId::take(from)?;
        let began = moment(at.millis().wrapping_sub(from.signed()?))?;
        let duration = Wire::take(from)?;
        let outcome = if bool::take(from)? {
            let before = self.before.entry(target).or_default();
            let mut page = before.take(began, from)?;
            if let Some(standing) = self.standing.remove(&target) {
                bear(standing, &mut page);
            }
            Ok(page)
        } else {
            Err(Wire::take(from)?)
        };
        Ok(Scrape {
            target,
            at: began,
            duration,
            outcome,
        })
    }
}

/// What stood on the page before this one, for an engine that has not seen it.
fn bear(mut standing: Vec<(Slot, Labels)>, page: &mut Columns) {
    let again = page.born.iter().map(|(slot, _)| *slot);
    let taken: BTreeSet<Slot> = again.chain(page.gone.drain(..)).collect();
    let slots = page.values.len();
    standing.retain(|(slot, _)| !taken.contains(slot) && (slot.0 as usize) < slots);
    standing.append(&mut page.born);
    page.born = standing;
}

fn plain(tag: u8, from: &mut Bytes<'_>) -> Result<Input, Malformed> {
    Ok(match tag {
        tag::OPERATOR => Input::Operator {
            token: Wire::take(from)?,
            call: Wire::take(from)?,
        },
        tag::ATTEMPTED => Input::Attempted {
            key: Wire::take(from)?,
            outcome: Wire::take(from)?,
        },
        tag::COMMIT_FAILED => Input::CommitFailed {
            records: Wire::take(from)?,
            reason: Wire::take(from)?,
        },
        tag::REPORTED => Input::Reported(Wire::take(from)?),
        tag::SLEPT => Input::Slept {
            until: Wire::take(from)?,
        },
        tag::CLOCK_SET => Input::ClockSet(Wire::take(from)?),
        tag::RELOAD => Input::Reload(Wire::take(from)?),
        tag::RECALLED => Input::Recalled(Wire::take(from)?),
        other => {
            return Err(Malformed::Choice {
                what: "entry",
                tag: u64::from(other),
            });
        }
    })
}

impl std::fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
