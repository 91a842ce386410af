//! Pages as bytes: each against the page before it of the same target. The state is the same on both sides, as long as both
//! see the same pages from the beginning of a segment on.

use std::sync::Arc;

use super::records::moment;
use super::values;
use super::wire::{Bytes, Malformed, Wire, put_signed};
use crate::engine::Columns;
use crate::model::{Slot, Timestamp};

/// The page before.
#[derive(Clone, Debug, Default)]
pub struct Before {
    values: Vec<f64>,
    scraped: u32,
    kept: u32,
}

const BORN: u8 = 1;
const GONE: u8 = 1 << 1;
const STAMPED: u8 = 1 << 2;
const ADDED: u8 = 1 << 3;
const METADATA: u8 = 1 << 4;
const NOTE: u8 = 1 << 5;
const NOTES: u8 = 1 << 6;

impl Before {
    /// Writes the page that began at `at`, which is then the one before.
    pub fn put(&mut self, at: Timestamp, page: &Columns, to: &mut Vec<u8>) {
        let Columns {
            born,
            gone,
            values,
            stamped,
            samples_scraped,
            samples_kept,
            series_added,
            metadata,
            note,
            notes,
        } = page;
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        to.push(
            flag(!born.is_empty(), BORN)
                | flag(!gone.is_empty(), GONE)
                | flag(!stamped.is_empty(), STAMPED)
                | flag(*series_added > 0, ADDED)
                | flag(metadata.is_some(), METADATA)
                | flag(note.is_some(), NOTE)
                | flag(!notes.is_empty(), NOTES),
        );
        put_signed(i64::from(*samples_scraped) - i64::from(self.scraped), to);
        put_signed(i64::from(*samples_kept) - i64::from(self.kept), to);
        values::put(&self.values, values, to);
        if !born.is_empty() {
            born.put(to);
        }
        if !gone.is_empty() {
            gone.put(to);
        }
        if !stamped.is_empty() {
            put_stamped(stamped, at, to);
        }
        if *series_added > 0 {
            series_added.put(to);
        }
        if let Some(metadata) = metadata {
            metadata.put(to);
        }
        if let Some(note) = note {
            note.put(to);
        }
        if !notes.is_empty() {
            notes.put(to);
        }
        self.values.clone_from(values);
        (self.scraped, self.kept) = (*samples_scraped, *samples_kept);
    }

    /// Reads what [`Before::put`] wrote.
    pub fn take(&mut self, at: Timestamp, from: &mut Bytes<'_>) -> Result<Columns, Malformed> {
        let flags = from.byte()?;
        let is = |flag: u8| flags & flag != 0;
        let samples_scraped = near(self.scraped, from)?;
        let samples_kept = near(self.kept, from)?;
        let mut page = Columns {
            values: values::take(&self.values, from)?,
            samples_scraped,
            samples_kept,
            ..Columns::default()
        };
        if is(BORN) {
            page.born = Wire::take(from)?;
        }
        if is(GONE) {
            page.gone = Wire::take(from)?;
        }
        if is(STAMPED) {
            page.stamped = take_stamped(at, from)?;
        }
        if is(ADDED) {
            page.series_added = Wire::take(from)?;
        }
        if is(METADATA) {
            page.metadata = Some(Wire::take(from)?);
        }
        if is(NOTE) {
            page.note = Some(Arc::take(from)?);
        }
        if is(NOTES) {
            page.notes = Wire::take(from)?;
        }
        let slots = page.values.len();
        // The window makes room up to the highest slot. What is gone or stamped without having been born is passed over.
        if page.born.iter().any(|(slot, _)| slot.0 as usize >= slots) {
            return Err(Malformed::Order("a series that is not on its page"));
        }
        self.values.clone_from(&page.values);
        (self.scraped, self.kept) = (samples_scraped, samples_kept);
        Ok(page)
    }
}

fn near(before: u32, from: &mut Bytes<'_>) -> Result<u32, Malformed> {
    let after = i64::from(before).wrapping_add(from.signed()?);
    u32::try_from(after).map_err(|_| Malformed::Number)
}

/// Where every sample has a time of its own, the next slot follows with the same time.
fn put_stamped(stamped: &[(Slot, Timestamp)], at: Timestamp, to: &mut Vec<u8>) {
    stamped.len().put(to);
    let (mut slot, mut stamp) = (-1, at.millis());
    for (next, then) in stamped {
        let (next, then) = (i64::from(next.0), then.millis());
        put_signed(next - slot - 1, to);
        put_signed(then.wrapping_sub(stamp), to);
        (slot, stamp) = (next, then);
    }
}

fn take_stamped(at: Timestamp, from: &mut Bytes<'_>) -> Result<Vec<(Slot, Timestamp)>, Malformed> {
    let (mut slot, mut stamp) = (-1_i64, at.millis());
    let count = from.count()?;
    let stamped = (0..count).map(|_| {
        slot = slot.wrapping_add(1).wrapping_add(from.signed()?);
        stamp = stamp.wrapping_add(from.signed()?);
        let slot = u32::try_from(slot).map_err(|_| Malformed::Number)?;
        Ok((Slot(slot), moment(stamp)?))
    });
    stamped.collect()
}
