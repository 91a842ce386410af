//! What the lines of an `OpenMetrics` page mean together: metadata once and before samples, families and groups in
//! one piece, the rules of each kind. Definition: `OpenMetrics` 1.0, as its reference parser reads it. Deliberately
//! looser in two places, where Prometheus scrapes such pages: exemplars in families that nothing declares, and samples
//! that come back to a declared family after others (read, outside of its checks).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::class::{Buckets, Class};
use super::key::{Key, Pass};
use super::line::{Head, Meta, Tail, texts};
use super::number;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Gauge,
    Counter,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl Kind {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "unknown" => Self::Unknown,
            "gauge" => Self::Gauge,
            "counter" => Self::Counter,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            _ => return None,
        })
    }

    /// What may follow the family's name in its samples' names.
    const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Unknown | Self::Gauge | Self::StateSet => &[""],
            Self::Counter => &["_total", "_created"],
            Self::Histogram => &["_bucket", "_count", "_sum", "_created"],
            Self::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
            Self::Summary => &["", "_count", "_sum", "_created"],
            Self::Info => &["_info"],
        }
    }
}

/// Who has a name on this page.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Claim {
    /// A declared family, as one of its samples' names.
    Sample,
    /// A declared family, whose samples are not called so.
    Family,
    /// A family without metadata.
    Undeclared,
}

/// The family being read.
#[allow(
    clippy::struct_excessive_bools,
    reason = "four facts, none of which follows from another"
)]
#[derive(Debug, Default)]
struct Family<'a> {
    name: Cow<'a, str>,
    kind: Option<Kind>,
    unit: Option<&'a str>,
    helped: bool,
    sampled: bool,
    declared: bool,
    /// Came back to a declared family's name: it claims none.
    loose: bool,
}

/// The group being read: the samples of one label set of a family.
#[derive(Copy, Clone, Debug)]
struct Group {
    id: u128,
    stamp: Option<i64>,
}

/// The histogram being read: one group at one timestamp.
#[derive(Copy, Clone, Debug, Default)]
struct Histogram {
    buckets: Buckets,
    bound: Option<f64>,
    below_zero: bool,
    summed: bool,
    gauge_sum: Option<f64>,
}

impl Histogram {
    fn finish(&self) -> Result<(), &'static str> {
        let summed = self.summed || self.gauge_sum.is_some();
        if self.bound != Some(f64::INFINITY) {
            return Err("histogram without a +Inf bucket");
        }
        if summed != self.buckets.counted() {
            return Err("histogram with only one of sum and count");
        }
        if self.below_zero && self.summed {
            return Err("histogram with negative buckets and a sum");
        }
        if !self.below_zero && self.gauge_sum.is_some_and(|sum| sum < 0.0) {
            return Err("negative sum without negative buckets");
        }
        self.buckets.finish()
    }
}

/// One page so far.
#[derive(Debug, Default)]
pub struct OpenMetrics<'a> {
    family: Family<'a>,
    claims: HashMap<Cow<'a, str>, Claim>,
    group: Option<Group>,
    groups: HashSet<u64, Pass>,
    histogram: Option<Histogram>,
    ended: bool,
    scratch: Vec<u8>,
}

impl<'a> OpenMetrics<'a> {
    pub const fn ended(&self) -> bool {
        self.ended
    }

    pub fn meta(&mut self, meta: &Meta<'a>) -> Result<(), &'static str> {
        let (Meta::Help(name, _) | Meta::Type(name, _) | Meta::Unit(name, _)) = meta else {
            self.ended = *meta == Meta::Eof;
            return if self.ended {
                self.finish()
            } else {
                Err("comments and blank lines are not allowed")
            };
        };
        if self.family.declared && self.family.name == *name {
            if self.family.sampled {
                return Err("metadata after samples of the same family");
            }
        } else {
            self.begin(Family {
                name: name.clone(),
                declared: true,
                ..Family::default()
            })?;
        }
        let family = &mut self.family;
        match meta {
            Meta::Help(..) if family.helped => return Err("second HELP line for this family"),
            Meta::Help(..) => family.helped = true,
            Meta::Type(..) if family.kind.is_some() => {
                return Err("second TYPE line for this family");
            }
            Meta::Type(_, word) => {
                family.kind = Some(Kind::from_word(word).ok_or("unknown metric type")?);
            }
            Meta::Unit(..) if family.unit.is_some() => {
                return Err("second UNIT line for this family");
            }
            Meta::Unit(_, unit) => family.unit = Some(unit),
            Meta::Comment | Meta::Eof => {}
        }
        self.check_unit()
    }

    fn check_unit(&self) -> Result<(), &'static str> {
        let Some(unit) = self.family.unit.filter(|unit| !unit.is_empty()) else {
            return Ok(());
        };
        let suffixed = self.family.name.strip_suffix(unit);
        if !suffixed.is_some_and(|rest| rest.ends_with('_')) {
            return Err("the unit is no suffix of the family's name");
        }
        if matches!(self.family.kind, Some(Kind::Info | Kind::StateSet)) {
            return Err("families of this type have no unit");
        }
        Ok(())
    }

    /// Takes one sample and gives the class of its value, and whether it is the first line of a histogram.
    pub fn sample(
        &mut self,
        key: &Key,
        head: &Head<'a>,
        tail: &Tail,
    ) -> Result<(Class, bool), &'static str> {
        let name = head.name.as_ref();
        let suffix = match self.suffix(name) {
            Some(suffix) => suffix,
            None => self.undeclared(&head.name)?,
        };
        let kind = self.family.kind;
        self.family.sampled = true;
        let class = class(kind, suffix);
        class.check(tail.value)?;
        if tail.exemplar && !class.takes_exemplar() {
            return Err("an exemplar may only follow buckets and totals");
        }
        let left_out = grouping(kind, suffix, head, &self.family.name)?;
        // Info families are one group: what identifies the info is in its labels.
        let id = if kind == Some(Kind::Info) {
            0
        } else {
            let pairs = texts(&head.labels).filter(|(n, _)| Some(*n) != left_out);
            key.labels(pairs, &mut self.scratch)
        };
        let fresh = self.enter(id, tail.stamp, kind == Some(Kind::Info))?;
        let mut first = false;
        if matches!(kind, Some(Kind::Histogram | Kind::GaugeHistogram)) {
            first = fresh;
            if fresh {
                self.leave()?;
                self.histogram = Some(Histogram::default());
            }
            let histogram = self.histogram.get_or_insert_default();
            match (class, suffix) {
                (Class::Bucket, _) => {
                    let bound = number::float(head.label("le").unwrap_or_default())?;
                    if histogram.bound.is_some_and(|last| bound <= last) {
                        return Err("buckets out of order");
                    }
                    histogram.bound = Some(bound);
                    histogram.below_zero |= bound < 0.0;
                }
                (_, "_sum") => histogram.summed = true,
                (Class::GaugeSum, _) => histogram.gauge_sum = Some(tail.value),
                _ => {}
            }
            histogram.buckets.take(class, tail.value)?;
        }
        Ok((class, first))
    }

    /// What the name adds to the current family's; `None` where the sample is not of this family.
    fn suffix(&self, name: &str) -> Option<&'static str> {
        let suffixes = self.family.kind.unwrap_or(Kind::Unknown).suffixes();
        let rest = name.strip_prefix(self.family.name.as_ref())?;
        if self.family.name.is_empty() {
            return None;
        }
        suffixes.iter().copied().find(|suffix| *suffix == rest)
    }

    /// Begins a family that nothing declares.
    #[allow(
        clippy::ptr_arg,
        reason = "cloned with the page's lifetime, mostly borrowed"
    )]
    fn undeclared(&mut self, name: &Cow<'a, str>) -> Result<&'static str, &'static str> {
        self.leave()?;
        self.settle()?;
        let loose = match self.claims.get(name) {
            None => false,
            Some(Claim::Sample) => true,
            Some(Claim::Family) => return Err("no sample of this family is called so"),
            Some(Claim::Undeclared) => return Err("family in several pieces"),
        };
        self.group = None;
        self.groups.clear();
        self.family = Family {
            name: name.clone(),
            loose,
            ..Family::default()
        };
        Ok("")
    }

    /// Ends the family being read and begins `next`.
    fn begin(&mut self, next: Family<'a>) -> Result<(), &'static str> {
        self.finish()?;
        if self.claims.contains_key(&next.name) {
            return Err("a family of this name was there before");
        }
        self.group = None;
        self.groups.clear();
        self.family = next;
        Ok(())
    }

    /// Ends the family being read: its last histogram, its names.
    pub fn finish(&mut self) -> Result<(), &'static str> {
        self.leave()?;
        self.settle()
    }

    /// Claims the names of the family being read.
    fn settle(&mut self) -> Result<(), &'static str> {
        let family = std::mem::take(&mut self.family);
        if family.name.is_empty() || family.loose {
            return Ok(());
        }
        if !family.declared {
            self.claims.insert(family.name, Claim::Undeclared);
            return Ok(());
        }
        let suffixes = family.kind.unwrap_or(Kind::Unknown).suffixes();
        let own = (!suffixes.contains(&"")).then_some(("", Claim::Family));
        let samples = suffixes.iter().map(|suffix| (*suffix, Claim::Sample));
        for (suffix, claim) in samples.chain(own) {
            let name = if suffix.is_empty() {
                family.name.clone()
            } else {
                Cow::Owned(format!("{}{suffix}", family.name))
            };
            if self.claims.insert(name, claim).is_some() {
                return Err("names of this family clash with another's");
            }
        }
        Ok(())
    }

    /// Enters the group of a sample; true where it begins one (or the same at another time).
    fn enter(&mut self, id: u128, stamp: Option<i64>, info: bool) -> Result<bool, &'static str> {
        let entered = match self.group {
            Some(group) if group.id == id => {
                if group.stamp.is_some() != stamp.is_some() {
                    return Err("group with and without timestamps");
                }
                if stamp < group.stamp && !info {
                    return Err("timestamps run backwards within a group");
                }
                stamp != group.stamp
            }
            Some(_) | None => {
                if !self.groups.insert(Key::low(id)) {
                    return Err("group in several pieces");
                }
                true
            }
        };
        self.group = Some(Group { id, stamp });
        Ok(entered)
    }

    /// Ends the histogram being read.
    fn leave(&mut self) -> Result<(), &'static str> {
        self.histogram.take().map_or(Ok(()), |it| it.finish())
    }
}

fn class(kind: Option<Kind>, suffix: &str) -> Class {
    match (kind, suffix) {
        (None, _) => Class::Undeclared,
        (Some(Kind::Counter), "_total") => Class::Total,
        (Some(Kind::Histogram | Kind::GaugeHistogram), "_bucket") => Class::Bucket,
        (Some(Kind::Histogram), "_count") | (Some(Kind::GaugeHistogram), "_gcount") => {
            Class::BucketCount
        }
        (Some(Kind::GaugeHistogram), "_gsum") => Class::GaugeSum,
        (Some(Kind::Histogram | Kind::Summary), "_sum") => Class::Sum,
        (Some(Kind::Summary), "_count") => Class::Count,
        (Some(Kind::Summary), "") => Class::Quantile,
        (Some(Kind::Info), _) => Class::Info,
        (Some(Kind::StateSet), _) => Class::State,
        (Some(_), _) => Class::Free,
    }
}

/// Checks the label that tells a family's lines apart within a group, and names it.
fn grouping<'n>(
    kind: Option<Kind>,
    suffix: &str,
    head: &Head<'_>,
    family: &'n str,
) -> Result<Option<&'n str>, &'static str> {
    match (kind, suffix) {
        (Some(Kind::Histogram | Kind::GaugeHistogram), "_bucket") => {
            let le = head.label("le").ok_or("bucket without label le")?;
            let bound = number::float(le).map_err(|_| "label le is not a number")?;
            if bound.is_nan() || (bound == f64::INFINITY && le != "+Inf") {
                return Err("label le is not written as a bound");
            }
            Ok(Some("le"))
        }
        (Some(Kind::Summary), "") => {
            let quantile = head.label("quantile").ok_or("summary without quantile")?;
            match number::float(quantile) {
                Ok(share) if (0.0..=1.0).contains(&share) => Ok(Some("quantile")),
                Ok(_) | Err(_) => Err("label quantile is not between 0 and 1"),
            }
        }
        (Some(Kind::StateSet), _) => {
            head.label(family).ok_or("state without its label")?;
            Ok(Some(family))
        }
        _ => Ok(None),
    }
}
