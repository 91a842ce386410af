//! From an evaluated expression to a reading: a value, or why there is none. Classified before anything is compared.

use std::borrow::Cow;
use std::time::Duration;

use crate::model::Labels;
use crate::model::Reading;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::promql::Expr;
use crate::promql::Output;
use crate::promql::Plan;
use crate::store::Window;

/// `enough` does not hold.
const TOO_LITTLE: &str =
    "too little traffic: `enough` does not hold; longer ranges in it and in `expr` see more";

/// What is known of a target that an expression reads.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its last scrape succeeded.
    pub up: bool,
    /// Watched without a gap since then; `None` when it never answered.
    pub since: Option<Timestamp>,
    /// Since then it was scraped twice; `None` when it was not. What is not scraped shows whatever it has at any time.
    pub two: Option<Timestamp>,
}

/// What a reading is classified by.
#[derive(Copy, Clone, Debug)]
pub struct Bounds {
    /// Share of the targets behind a signal that must have answered, and must have been watched over its range.
    pub coverage: f64,
    /// What an empty result means while the source answers.
    pub empty: Option<f64>,
    /// An empty result means nothing while no selector matches any series: the rule may ask for the wrong name.
    pub must_match: bool,
    /// Some target of the configuration answered its last scrape: else nothing can be said of an empty result.
    pub any_up: bool,
}

/// A reading with its reason, and the readings of single series.
#[derive(Clone, Debug)]
pub struct Read {
    pub reading: Reading,
    /// Why there is no value, for people; empty when there is one.
    pub why: Cow<'static, str>,
    /// The series of the result, in its order. More than one makes `reading` ambiguous.
    pub series: Vec<(Labels, Reading)>,
    /// Series that the window knows and that have no sample now; a quorum counts them.
    pub absent: Vec<Labels>,
}

impl Read {
    /// No value, and why; or one value without series.
    pub fn none(reading: Reading, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reading,
            why: why.into(),
            series: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// Before the first evaluation.
    #[must_use]
    pub fn nothing_yet() -> Self {
        Self::none(Reading::Empty, "not evaluated yet")
    }
}

/// A signal's compiled expressions.
#[derive(Debug)]
pub struct SignalPlan {
    plan: Plan,
    enough: Option<Plan>,
    range: Duration,
    /// The shortest range that wants two samples.
    rate: Option<Duration>,
    /// `absent(…)` gives a result *because* a source is gone, so dead data cannot speak through it.
    absence: bool,
}

impl SignalPlan {
    #[must_use]
    pub fn new(expr: &Expr, enough: Option<&Expr>) -> Self {
        Self {
            plan: Plan::new(expr),
            enough: enough.map(Plan::new),
            range: expr.longest_range(),
            rate: expr.shortest_rate(),
            absence: expr.reads_absence(),
        }
    }

    /// Whether a scrape of `target` can change what this gives. Before anything matched, any scrape can.
    pub fn reads(&mut self, window: &Window, target: TargetId) -> bool {
        self.plan.refresh(window);
        if self.plan.matched() == 0 || self.plan.has_target(target) {
            return true;
        }
        self.enough.as_mut().is_some_and(|enough| {
            enough.refresh(window);
            enough.has_target(target)
        })
    }

    /// Targets behind the expression, as of the last evaluation.
    #[must_use]
    pub fn targets(&self) -> &[TargetId] {
        self.plan.targets()
    }

    #[must_use]
    pub fn has_target(&self, target: TargetId) -> bool {
        self.plan.has_target(target)
    }

    /// Whether any selector matched any series, as of the last evaluation.
    #[must_use]
    pub fn any_selector_matched(&self) -> bool {
        self.plan.matched() > 0
    }

    /// Whether a reading says nothing of what its expression would find: an empty one is a finding only where some
    /// selector matches something.
    #[must_use]
    pub fn is_blind(&self, reading: Reading) -> bool {
        match reading {
            Reading::Stale | Reading::SourceError | Reading::Thin => true,
            Reading::Empty => !self.any_selector_matched(),
            Reading::Value(_) | Reading::Nan | Reading::Infinite | Reading::Ambiguous => false,
        }
    }

    /// Evaluates and classifies.
    ///
    /// `behind` tells of a target what is known of it; targets it does not know count as down.
    pub fn read(
        &mut self,
        window: &Window,
        behind: &dyn Fn(TargetId) -> Option<Behind>,
        bounds: Bounds,
        at: Timestamp,
    ) -> Read {
        self.plan.refresh(window);
        let enough = self
            .enough
            .as_mut()
            .map(|plan| Enough::of(plan, window, at));
        let (up, full, all) = self.health(behind, at);
        if !bounds.any_up && all == 0 {
            return Read::none(Reading::Stale, "no target has answered its last scrape");
        }
        let short = |count: usize| share(count, all) < bounds.coverage;
        if all > 0 && short(up) && !self.absence {
            let why = format!("{up} of {all} targets behind it answered their last scrape");
            return Read::none(Reading::Stale, why);
        }
        if all > 0 && short(full) && !self.absence {
            let range = humantime::format_duration(self.range);
            return Read::none(Reading::Thin, format!("less than {range} watched so far"));
        }
        if let Some(Enough::Nowhere(why)) = &enough {
            return Read::none(Reading::Thin, why.clone());
        }
        let matched = self.plan.matched();
        let empty = bounds.empty.filter(|_| matched > 0 || !bounds.must_match);
        match self.plan.eval(window, at) {
            Err(error) => Read::none(Reading::SourceError, error.to_string()),
            Ok(Output::Scalar(value)) => classify(value),
            Ok(Output::Vector(vector)) => {
                let mut series = Vec::new();
                for (labels, value) in vector.iter() {
                    let thin = enough.as_ref().is_some_and(|enough| !enough.covers(labels));
                    let reading = if thin {
                        Reading::Thin
                    } else {
                        classify(value).reading
                    };
                    series.push((labels.clone(), reading));
                }
                let absent = vector.absent().cloned().collect();
                if series.is_empty()
                    && bounds.empty.is_some()
                    && let Some(range) = self.blink(behind, at)
                {
                    let range = humantime::format_duration(range);
                    let why =
                        format!("{range} hold fewer than two scrapes of any target behind it");
                    return Read::none(Reading::Thin, why);
                }
                Read {
                    absent,
                    ..whole(series, empty, matched)
                }
            }
        }
    }

    /// A range of the expression that holds fewer than two scrapes of every target behind it: nothing comes of it then,
    /// whatever there is.
    fn blink(
        &self,
        behind: &dyn Fn(TargetId) -> Option<Behind>,
        at: Timestamp,
    ) -> Option<Duration> {
        let range = self.rate?;
        let holds_two = |two: Timestamp| at.since(two) < range;
        let targets = self.plan.targets();
        let mut known = targets.iter().filter_map(|target| behind(*target));
        let shown = known.any(|it| it.two.is_some_and(holds_two));
        (!targets.is_empty() && !shown).then_some(range)
    }

    /// How many of the targets behind the plan are up, how many were watched over its whole range, and all.
    fn health(
        &self,
        behind: &dyn Fn(TargetId) -> Option<Behind>,
        at: Timestamp,
    ) -> (usize, usize, usize) {
        let targets = self.plan.targets();
        let (mut up, mut full) = (0, 0);
        for target in targets {
            if let Some(known) = behind(*target) {
                up += usize::from(known.up);
                full += usize::from(
                    known
                        .since
                        .is_some_and(|since| at.since(since) >= self.range),
                );
            }
        }
        (up, full, targets.len())
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of targets are far below 2^52"
)]
fn share(count: usize, all: usize) -> f64 {
    count as f64 / all.max(1) as f64
}

fn classify(value: f64) -> Read {
    if value.is_nan() {
        Read::none(
            Reading::Nan,
            "the result is not a number: 0/0 when there is no traffic",
        )
    } else if value.is_infinite() {
        Read::none(
            Reading::Infinite,
            "the result is infinite: something is divided by 0",
        )
    } else {
        Read::none(Reading::Value(value), "")
    }
}

fn whole(series: Vec<(Labels, Reading)>, empty: Option<f64>, matched: usize) -> Read {
    let mut read = match (series.as_slice(), empty) {
        ([], Some(value)) => classify(value),
        ([], None) if matched == 0 => Read::none(Reading::Empty, "its selectors match no series"),
        ([], None) => Read::none(Reading::Empty, "the expression returned nothing"),
        ([(_, reading)], _) => match reading {
            Reading::Nan => classify(f64::NAN),
            Reading::Infinite => classify(f64::INFINITY),
            Reading::Thin => Read::none(Reading::Thin, TOO_LITTLE),
            other => Read::none(*other, ""),
        },
        (several, _) => {
            let why = format!(
                "{} series where one was asked for; aggregate, or use each",
                several.len()
            );
            Read::none(Reading::Ambiguous, why)
        }
    };
    read.series = series;
    read
}

/// Where there is traffic enough.
enum Enough {
    Everywhere,
    Nowhere(Cow<'static, str>),
    /// Only for series that carry all of one of these label sets.
    For(Vec<Labels>),
}

impl Enough {
    fn of(plan: &mut Plan, window: &Window, at: Timestamp) -> Self {
        match plan.eval(window, at) {
            Err(error) => Self::Nowhere(format!("`enough` failed: {error}").into()),
            Ok(Output::Scalar(value)) if value != 0.0 && !value.is_nan() => Self::Everywhere,
            Ok(Output::Scalar(_)) => Self::Nowhere(TOO_LITTLE.into()),
            Ok(Output::Vector(vector)) => {
                let sets: Vec<Labels> = vector.iter().map(|(labels, _)| labels.clone()).collect();
                match sets.as_slice() {
                    [] => Self::Nowhere(TOO_LITTLE.into()),
                    [one] if one.is_empty() => Self::Everywhere,
                    _ => Self::For(sets),
                }
            }
        }
    }

    /// Judged per series where the labels match, else once.
    fn covers(&self, labels: &Labels) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Nowhere(_) => false,
            Self::For(sets) => {
                labels.is_empty()
                    || sets.iter().any(|set| {
                        set.iter()
                            .all(|(name, value)| labels.get(name) == Some(value))
                    })
            }
        }
    }
}
