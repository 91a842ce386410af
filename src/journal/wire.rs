//! Values as bytes and back: [`Wire`], what it is for plain values, and the macros that write it for records and choices.
//! Deliberately absent: what any record of gated holds (the files beside).
//!
//! A record is written field by field in the order of its list. The lists take their types apart whole, so a field that is
//! added to a type does not compile until it stands here: then [`FORMAT`](super::FORMAT) must be another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

/// Finds a time zone by its name: a table on disk, so whoever reads brings it.
pub type Zones<'z> = &'z dyn Fn(&str) -> Option<TimeZone>;

/// Why bytes are no record of a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it ends in the middle of an entry")]
    Short,
    #[error("a number is too large for its place")]
    Number,
    #[error("a text is not UTF-8")]
    Text,
    #[error("`{word}` is no {what}")]
    Word { what: &'static str, word: String },
    #[error("there is no {what} number {tag}")]
    Choice { what: &'static str, tag: u64 },
    #[error("{0}")]
    Order(&'static str),
    #[error("there is no time zone `{0}` here")]
    Zone(String),
    #[error("its rules are none to this gated: {0}")]
    Rules(String),
}

/// Bytes that are being read.
pub struct Bytes<'a> {
    rest: &'a [u8],
    zones: Zones<'a>,
}

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8], zones: Zones<'a>) -> Self {
        let rest = bytes;
        Self { rest, zones }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    pub fn zone(&self, name: &str) -> Result<TimeZone, Malformed> {
        if name == UTC {
            return Ok(TimeZone::UTC);
        }
        (self.zones)(name).ok_or_else(|| Malformed::Zone(name.to_owned()))
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed::Number)
    }

    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// How many follow, each of at least one byte: more than there are bytes are none.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::take(self)?;
        (count <= self.left())
            .then_some(count)
            .ok_or(Malformed::Short)
    }
}

/// The name of the zone that needs no table.
pub const UTC: &str = "UTC";

/// Seven bits a byte, the lowest first.
pub fn put_number(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// Numbers near zero are short, whatever their sign.
pub fn put_signed(number: i64, to: &mut Vec<u8>) {
    put_number(zigzag(number), to);
}

pub const fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

/// What has a place in a journal.
pub trait Wire: Sized {
    fn put(&self, to: &mut Vec<u8>);
    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed>;
}

macro_rules! numbers {
    ($($name:ty),+) => { $(
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                put_number(u64::try_from(*self).expect("no number is wider"), to);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
                Self::try_from(from.number()?).map_err(|_| Malformed::Number)
            }
        }
    )+ };
}
numbers!(u16, u32, u64, usize);

macro_rules! signed_numbers {
    ($($name:ty),+) => { $(
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                put_signed(i64::from(*self), to);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
                Self::try_from(from.signed()?).map_err(|_| Malformed::Number)
            }
        }
    )+ };
}
signed_numbers!(i32, i64);

impl Wire for bool {
    fn put(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Number),
        }
    }
}

/// Its bits, so that every NaN stays what it is.
impl Wire for f64 {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_bits().to_le_bytes());
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let bytes = from.bytes(8)?.try_into().map_err(|_| Malformed::Short)?;
        Ok(Self::from_bits(u64::from_le_bytes(bytes)))
    }
}

pub fn put_text(text: &str, to: &mut Vec<u8>) {
    text.len().put(to);
    to.extend_from_slice(text.as_bytes());
}

pub fn take_text<'a>(from: &mut Bytes<'a>) -> Result<&'a str, Malformed> {
    let count = from.count()?;
    std::str::from_utf8(from.bytes(count)?).map_err(|_| Malformed::Text)
}

impl Wire for String {
    fn put(&self, to: &mut Vec<u8>) {
        put_text(self, to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Ok(take_text(from)?.to_owned())
    }
}

impl Wire for Arc<str> {
    fn put(&self, to: &mut Vec<u8>) {
        put_text(self, to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Ok(take_text(from)?.into())
    }
}

impl Wire for Duration {
    fn put(&self, to: &mut Vec<u8>) {
        self.as_secs().put(to);
        self.subsec_nanos().put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let (seconds, nanos) = (from.number()?, u32::take(from)?);
        if nanos >= 1_000_000_000 {
            return Err(Malformed::Number);
        }
        Ok(Self::new(seconds, nanos))
    }
}

fn put_all<'a, T: Wire + 'a>(all: impl ExactSizeIterator<Item = &'a T>, to: &mut Vec<u8>) {
    all.len().put(to);
    all.for_each(|it| it.put(to));
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        put_all(self.iter(), to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let count = from.count()?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl<T: Wire> Wire for Arc<[T]> {
    fn put(&self, to: &mut Vec<u8>) {
        put_all(self.iter(), to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Ok(Vec::take(from)?.into())
    }
}

impl<T: Wire + Ord> Wire for BTreeSet<T> {
    fn put(&self, to: &mut Vec<u8>) {
        put_all(self.iter(), to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Ok(Vec::take(from)?.into_iter().collect())
    }
}

impl<K: Wire + Ord, V: Wire> Wire for BTreeMap<K, V> {
    fn put(&self, to: &mut Vec<u8>) {
        self.len().put(to);
        for (key, value) in self {
            key.put(to);
            value.put(to);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let pairs: Vec<(K, V)> = Vec::take(from)?;
        Ok(pairs.into_iter().collect())
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(it) = self {
            it.put(to);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_ok().put(to);
        match self {
            Ok(it) => it.put(to),
            Err(it) => it.put(to),
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Ok(if bool::take(from)? {
            Ok(T::take(from)?)
        } else {
            Err(E::take(from)?)
        })
    }
}

macro_rules! pointers {
    ($($pointer:ident),+) => { $(
        impl<T: Wire> Wire for $pointer<T> {
            fn put(&self, to: &mut Vec<u8>) {
                T::put(self, to);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Malformed> {
                T::take(from).map($pointer::new)
            }
        }
    )+ };
}
pointers!(Arc, Box);

/// A struct, all of its fields in the order in which they are written.
macro_rules! record {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::journal::wire::Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($crate::journal::wire::Wire::put($field, to);)+
            }

            fn take(
                from: &mut $crate::journal::wire::Bytes<'_>,
            ) -> Result<Self, $crate::journal::wire::Malformed> {
                Ok(Self { $($field: $crate::journal::wire::Wire::take(from)?),+ })
            }
        }
    };
}

/// An enum, each variant under its number.
macro_rules! choice {
    ($name:ident { $(
        $tag:literal => $variant:ident $({ $($field:ident),+ $(,)? })? $(( $($item:ident),+ ))?
    ),+ $(,)? }) => {
        impl $crate::journal::wire::Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),+ })? $(( $($item),+ ))? => {
                        $crate::journal::wire::put_number($tag, to);
                        $($($crate::journal::wire::Wire::put($field, to);)+)?
                        $($($crate::journal::wire::Wire::put($item, to);)+)?
                    })+
                }
            }

            fn take(
                from: &mut $crate::journal::wire::Bytes<'_>,
            ) -> Result<Self, $crate::journal::wire::Malformed> {
                match from.number()? {
                    $($tag => {
                        $($(let $field = $crate::journal::wire::Wire::take(from)?;)+)?
                        $($(let $item = $crate::journal::wire::Wire::take(from)?;)+)?
                        Ok(Self::$variant $({ $($field),+ })? $(( $($item),+ ))?)
                    })+
                    tag => Err($crate::journal::wire::Malformed::Choice {
                        what: stringify!($name),
                        tag,
                    }),
                }
            }
        }
    };
}

/// Enums that have one spelling everywhere are written by it.
macro_rules! spelled {
    ($($name:ident),+ $(,)?) => { $(
        impl $crate::journal::wire::Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                $crate::journal::wire::put_text(self.word(), to);
            }

            fn take(
                from: &mut $crate::journal::wire::Bytes<'_>,
            ) -> Result<Self, $crate::journal::wire::Malformed> {
                let word = $crate::journal::wire::take_text(from)?;
                Self::from_word(word).ok_or_else(|| $crate::journal::wire::Malformed::Word {
                    what: stringify!($name),
                    word: word.to_owned(),
                })
            }
        }
    )+ };
}

pub(super) use {choice, record, spelled};
