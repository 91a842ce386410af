//! What a line's value must be, given what its family is: kept with the line, so that a page like the last one
//! needs its values checked and nothing else. Deliberately absent: how a class is found.

/// The demand on one sample's value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Any value.
    Free,
    /// Any value; nothing declares the family, so an exemplar may stand there too.
    Undeclared,
    /// Text: a histogram's count.
    NotNegative,
    /// A summary's quantile in text: any value, but its label is a number.
    TextQuantile,
    /// A counter's total: not negative, not NaN; an exemplar may follow.
    Total,
    /// A sum: not negative, not NaN.
    Sum,
    /// A summary's count: a whole number.
    Count,
    /// A summary's quantile: not negative, NaN allowed.
    Quantile,
    /// Always 1.
    Info,
    /// 0 or 1.
    State,
    /// A cumulative bucket: a whole number, not below the bucket before; an exemplar may follow.
    Bucket,
    /// A histogram's count: a whole number, the same as its last bucket.
    BucketCount,
    /// A gauge histogram's sum: negative only beside negative buckets.
    GaugeSum,
}

impl Class {
    const ALL: [Self; 13] = [
        Self::Free,
        Self::Undeclared,
        Self::NotNegative,
        Self::TextQuantile,
        Self::Total,
        Self::Sum,
        Self::Count,
        Self::Quantile,
        Self::Info,
        Self::State,
        Self::Bucket,
        Self::BucketCount,
        Self::GaugeSum,
    ];

    /// The class whose number is `code`; `Free` for a number that is none.
    pub fn from_code(code: u32) -> Self {
        let at = usize::try_from(code).unwrap_or(usize::MAX);
        Self::ALL.get(at).copied().unwrap_or(Self::Free)
    }

    pub const fn code(self) -> u32 {
        self as u32
    }

    /// Whether a line of its own may have this value; the error says why not.
    #[inline]
    pub fn check(self, value: f64) -> Result<(), &'static str> {
        let whole = value >= 0.0 && value.fract() == 0.0;
        match self {
            Self::NotNegative if value < 0.0 => Err("negative count"),
            Self::Quantile if value < 0.0 => Err("negative quantile value"),
            Self::Total | Self::Sum if value.is_nan() || value < 0.0 => {
                Err("a total is a number and not negative")
            }
            Self::Count | Self::Bucket | Self::BucketCount if !whole => {
                Err("a count is a whole number")
            }
            #[allow(clippy::float_cmp, reason = "exactly 1 is what the format asks for")]
            Self::Info if value != 1.0 => Err("an info sample is always 1"),
            #[allow(
                clippy::float_cmp,
                reason = "exactly 0 or 1 is what the format asks for"
            )]
            Self::State if value != 0.0 && value != 1.0 => Err("a state is 0 or 1"),
            Self::GaugeSum if value.is_nan() => Err("a sum is a number"),
            Self::Free
            | Self::Undeclared
            | Self::TextQuantile
            | Self::NotNegative
            | Self::Quantile
            | Self::Total
            | Self::Sum
            | Self::Count
            | Self::Bucket
            | Self::BucketCount
            | Self::Info
            | Self::State
            | Self::GaugeSum => Ok(()),
        }
    }

    pub const fn takes_exemplar(self) -> bool {
        matches!(self, Self::Undeclared | Self::Total | Self::Bucket)
    }
}

/// The cumulative values of one histogram, line by line.
#[derive(Copy, Clone, Debug, Default)]
pub struct Buckets {
    last: f64,
    count: Option<f64>,
}

impl Buckets {
    /// Takes one line's value, already checked by itself.
    #[inline]
    pub fn take(&mut self, class: Class, value: f64) -> Result<(), &'static str> {
        match class {
            Class::Bucket if value < self.last => return Err("bucket below the one before it"),
            Class::Bucket => self.last = value,
            Class::BucketCount => self.count = Some(value),
            _ => {}
        }
        Ok(())
    }

    /// At the end of a histogram.
    #[inline]
    pub fn finish(&self) -> Result<(), &'static str> {
        #[allow(
            clippy::float_cmp,
            reason = "whole numbers; the format asks for the same one"
        )]
        match self.count {
            Some(count) if count != self.last => Err("count differs from the +Inf bucket"),
            Some(_) | None => Ok(()),
        }
    }

    pub const fn counted(&self) -> bool {
        self.count.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back() {
        for class in Class::ALL {
            assert_eq!(Class::from_code(class.code()), class);
        }
    }
}
