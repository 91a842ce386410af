//! The values of a page against those of the page before: most are as they were, or a small step of a counter away.
//!
//! A run of slots that changed alike stands under one head: its length and its kind. Steps are those of a decimal number
//! with `k` digits behind the point, since that is how pages write them; whatever is none keeps all of its bits, with what
//! it shares with the value before taken out. What comes back is the same to the bit, every NaN included.

use super::wire::{Bytes, Malformed, put_number, put_signed, zigzag};

/// More digits are no number that a person or a counter wrote.
const DIGITS_MAX: usize = 9;
const SAME: u64 = 10;
const BITS: u64 = 11;
/// The low bits of a run's head hold its kind.
const KIND_BITS: u32 = 4;
/// Whole numbers up to here are exact.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// A step that is no shorter than the value's own bits is none.
const STEP_MAX: u64 = 1 << 49;
/// So many unchanged values in a row cost less as steps of zero than as a run of their own.
const BRIDGE_MAX: usize = 2;

const TENS: [f64; DIGITS_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Same,
    /// By so much at this many digits behind the point.
    Step(usize, i64),
    Bits(u64),
}

/// Writes `values`; `before` are those of the page before.
pub fn put(before: &[f64], values: &[f64], to: &mut Vec<u8>) {
    put_number(values.len() as u64, to);
    let mut changes = Vec::with_capacity(values.len());
    let bases = before.iter().copied().map(Some);
    let bases = bases.chain(std::iter::repeat(None));
    let mut digits = 0;
    for (value, base) in values.iter().zip(bases) {
        let change = change(base, *value, digits);
        if let Change::Step(k, _) = change {
            digits = k;
        }
        changes.push(change);
    }
    let mut at = 0;
    while at < changes.len() {
        at = put_run(before, &changes, at, to);
    }
}

/// Writes the run that begins at `at`; where it ends.
fn put_run(before: &[f64], changes: &[Change], at: usize, to: &mut Vec<u8>) -> usize {
    let rest = &changes[at..];
    let head = |count: usize, kind: u64, to: &mut Vec<u8>| {
        put_number((count as u64) << KIND_BITS | kind, to);
    };
    match rest[0] {
        Change::Same => {
            let count = rest.iter().take_while(|it| **it == Change::Same).count();
            head(count, SAME, to);
            at + count
        }
        Change::Bits(_) => {
            let bits = rest.iter().map_while(|it| match it {
                Change::Bits(bits) => Some(*bits),
                Change::Same | Change::Step(..) => None,
            });
            let bits: Vec<u64> = bits.collect();
            head(bits.len(), BITS, to);
            // All first bytes, then all second ones: like stands by like.
            for byte in 0..8 {
                to.extend(bits.iter().map(|it| it.to_le_bytes()[byte]));
            }
            at + bits.len()
        }
        Change::Step(digits, _) => {
            let steps = steps(before, changes, at, digits);
            head(steps.len(), digits as u64, to);
            for step in &steps {
                put_signed(*step, to);
            }
            at + steps.len()
        }
    }
}

/// The steps of a run, over a few values that stayed what they were.
fn steps(before: &[f64], changes: &[Change], from: usize, digits: usize) -> Vec<i64> {
    let mut steps = Vec::new();
    let mut at = from;
    loop {
        match changes.get(at) {
            Some(Change::Step(k, step)) if *k == digits => {
                steps.push(*step);
                at += 1;
                continue;
            }
            Some(Change::Same) => {}
            Some(Change::Step(..) | Change::Bits(_)) | None => return steps,
        }
        let rest = &changes[at..];
        let same = rest.iter().take_while(|it| **it == Change::Same).count();
        let goes_on = matches!(rest.get(same), Some(Change::Step(k, _)) if *k == digits);
        let stays = |it: &f64| stepped(Some(*it), digits, 0).to_bits() == it.to_bits();
        if same > BRIDGE_MAX || !goes_on || !before[at..at + same].iter().all(stays) {
            return steps;
        }
        steps.extend(std::iter::repeat_n(0, same));
        at += same;
    }
}

/// `likely`: how many digits the value before it in the page had.
fn change(base: Option<f64>, value: f64, likely: usize) -> Change {
    if base.is_some_and(|it| it.to_bits() == value.to_bits()) {
        return Change::Same;
    }
    // The fewest digits that give the value: a whole number has none, whatever its neighbours have.
    let all = std::iter::once(0).chain(std::iter::once(likely));
    for digits in all.chain(1..=DIGITS_MAX) {
        if let Some(step) = step(base, value, digits) {
            return Change::Step(digits, step);
        }
    }
    Change::Bits(value.to_bits() ^ base.unwrap_or_default().to_bits())
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "bounded by EXACT_MAX, and checked by what comes back"
)]
fn step(base: Option<f64>, value: f64, digits: usize) -> Option<i64> {
    let scaled = value * TENS[digits];
    if !scaled.is_finite() || scaled.abs() > EXACT_MAX {
        return None;
    }
    let step = scaled.round() as i64 - whole(base, digits);
    let same = stepped(base, digits, step).to_bits() == value.to_bits();
    (same && zigzag(step) < STEP_MAX).then_some(step)
}

/// The value before, in units of its last digit; nothing where it has none.
#[allow(clippy::cast_possible_truncation, reason = "bounded by EXACT_MAX")]
fn whole(base: Option<f64>, digits: usize) -> i64 {
    let scaled = base.unwrap_or_default() * TENS[digits];
    if scaled.is_finite() && scaled.abs() <= EXACT_MAX {
        scaled.round() as i64
    } else {
        0
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "what is lost does not come back, and is then written by its bits"
)]
fn stepped(base: Option<f64>, digits: usize, step: i64) -> f64 {
    whole(base, digits).wrapping_add(step) as f64 / TENS[digits]
}

/// Reads what [`put`] wrote.
pub fn take(before: &[f64], from: &mut Bytes<'_>) -> Result<Vec<f64>, Malformed> {
    let count = usize::try_from(from.number()?).map_err(|_| Malformed::Number)?;
    // A value that was not there before takes a byte at least.
    if count.saturating_sub(before.len()) > from.left() {
        return Err(Malformed::Short);
    }
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let head = from.number()?;
        let kind = head & ((1 << KIND_BITS) - 1);
        let run = usize::try_from(head >> KIND_BITS).map_err(|_| Malformed::Number)?;
        let at = values.len();
        if run == 0 || run > count - at {
            return Err(Malformed::Order("a run of values that is none"));
        }
        let base = |slot: usize| before.get(slot).copied();
        match kind {
            SAME => {
                let same = before.get(at..at + run).ok_or(Malformed::Order(
                    "an unchanged value where there was none before",
                ))?;
                values.extend_from_slice(same);
            }
            BITS => {
                let planes = from.bytes(run.checked_mul(8).ok_or(Malformed::Short)?)?;
                for slot in 0..run {
                    let bytes = std::array::from_fn(|byte| planes[byte * run + slot]);
                    let shared = base(at + slot).unwrap_or_default().to_bits();
                    values.push(f64::from_bits(u64::from_le_bytes(bytes) ^ shared));
                }
            }
            digits => {
                let digits = usize::try_from(digits).map_err(|_| Malformed::Number)?;
                if digits > DIGITS_MAX {
                    return Err(Malformed::Order("a run of values of no kind"));
                }
                for slot in at..at + run {
                    values.push(stepped(base(slot), digits, from.signed()?));
                }
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::STALE;

    fn there_and_back(before: &[f64], values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        put(before, values, &mut bytes);
        let mut from = Bytes::new(&bytes, &|_| None);
        let again = take(before, &mut from).unwrap();
        let bits = |all: &[f64]| all.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&again), bits(values), "{before:?}");
        assert_eq!(from.left(), 0);
        bytes.len()
    }

    #[test]
    fn what_a_page_holds_takes_little() {
        let page = |round: u32| {
            let counter = f64::from(round * 1000);
            let mut page = vec![1.0; 100];
            page.extend((0..100).map(|slot| counter + f64::from(slot * round % 7)));
            page.extend((0..10).map(|slot| f64::from(round * 13 + slot) / 100.0));
            page
        };
        assert_eq!(there_and_back(&page(8), &page(8)), 2 + 2);
        let steps = there_and_back(&page(8), &page(9));
        assert!(steps < 230, "{steps}");
    }

    #[test]
    fn every_bit_comes_back() {
        let odd = [
            0.0,
            -0.0,
            STALE,
            f64::NAN,
            f64::from_bits(0x7ff8_0000_dead_beef),
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            EXACT_MAX,
            EXACT_MAX + 2.0,
            -EXACT_MAX,
            f64::MAX,
            0.1 + 0.2,
            1e-9,
            123.456,
        ];
        for before in odd {
            there_and_back(&[], &[before]);
            for value in odd {
                there_and_back(&[before], &[value]);
                there_and_back(&[before, value], &[value, before, value]);
            }
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (-50..50_i32).prop_map(f64::from),
            (-5000..5000_i32, 0..6_i32).prop_map(|(it, k)| f64::from(it) / 10_f64.powi(k)),
            Just(STALE),
        ]
    }

    proptest! {
        #[test]
        fn whatever_was_before(before in prop::collection::vec(value(), 0..40), values in prop::collection::vec(value(), 0..40)) {
            there_and_back(&before, &values);
            there_and_back(&values, &values);
        }

        #[test]
        fn what_nobody_wrote_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..60), before in prop::collection::vec(value(), 0..4)) {
            let read = take(&before, &mut Bytes::new(&bytes, &|_| None));
            prop_assert!(read.map_or(true, |it| it.len() <= before.len() + bytes.len()));
        }
    }
}
