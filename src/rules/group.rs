//! Prometheus' rule groups: at each slot every rule in turn, each seeing what those before it wrote.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use super::alert::AlertSample;
use super::alert::AlertState;
use super::alert::AlertTiming;
use super::alert::RuleAlerts;
use crate::model::Labels;
use crate::model::STALE;
use crate::model::Slot;
use crate::model::TargetId;
use crate::model::Timestamp;
use crate::model::labels::ALERT_SERIES;
use crate::model::labels::NAME;
use crate::promql::Expr;
use crate::promql::Output;
use crate::promql::Plan;
use crate::store::Window;
use crate::template::Context;
use crate::template::Template;
use crate::template::TemplateError;

/// A group of rules that are evaluated one after the other at the same moment.
#[derive(Debug)]
pub struct Group {
    pub name: String,
    pub file: String,
    pub interval: Duration,
    /// How long before its slot the group looks, and stamps what it writes.
    pub query_offset: Duration,
    /// Most series, or alerts, of one rule; 0 for any number.
    pub limit: usize,
    pub rules: Vec<GroupRule>,
    /// The slot that was evaluated last.
    pub evaluated_at: Option<Timestamp>,
    /// What was active before a restart has been taken over, or there is nothing to take over: from then on alerts
    /// write `ALERTS` and `ALERTS_FOR_STATE`, those of rules that a reload adds as well.
    pub restored: bool,
    /// How far its slots lie behind the multiples of its interval.
    shift: Duration,
}

#[derive(Debug)]
pub struct GroupRule {
    /// Of the recorded series, or of the alert.
    pub name: String,
    /// As written.
    pub expr: String,
    pub labels: BTreeMap<String, String>,
    pub kind: RuleKind,
    pub health: Health,
    pub evaluated_at: Option<Timestamp>,
    plan: Plan,
    /// Of subqueries that give none, in its templates too.
    step: Option<Duration>,
    /// Templates of an alert's labels and annotations, by their text.
    templates: BTreeMap<String, Result<Template, TemplateError>>,
    written: Written,
}

#[derive(Debug)]
pub enum RuleKind {
    Record,
    Alert {
        timing: AlertTiming,
        annotations: BTreeMap<String, String>,
        alerts: RuleAlerts,
    },
}

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    Good,
    Bad(String),
}

impl Health {
    /// Why the last evaluation failed.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Bad(why) => Some(why),
            Self::Unknown | Self::Good => None,
        }
    }
}

/// What a group needs to know of the world around it.
pub struct World<'a> {
    /// `$externalLabels`
    pub external_labels: &'a Labels,
    /// `$externalURL`
    pub external_url: &'a str,
    /// How long a series that a rule writes is looked back on.
    pub span: &'a dyn Fn(&Labels) -> Duration,
    /// Whether the window keeps what an expression of a template asks for, or else of which metric it does not: a
    /// query that finds nothing because nobody kept it must not look like one that finds nothing.
    pub kept: &'a dyn Fn(&Expr) -> Result<(), String>,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// The series of one rule in the window, where the rule stands as a target whose pages are its results.
#[derive(Debug)]
struct Written {
    target: TargetId,
    slots: BTreeMap<Labels, Slot>,
    free: Vec<Slot>,
    page: Vec<f64>,
}

impl Group {
    /// `shift`: how far its slots lie behind the multiples of `interval`; [`Group::shift_of`] spreads groups.
    #[must_use]
    pub fn new(name: &str, file: &str, interval: Duration, shift: Duration) -> Self {
        Self {
            name: name.to_owned(),
            file: file.to_owned(),
            interval,
            query_offset: Duration::ZERO,
            limit: 0,
            rules: Vec::new(),
            evaluated_at: None,
            restored: false,
            shift,
        }
    }

    /// Spreads the groups' slots over their interval by the hash of where they are written.
    #[must_use]
    pub fn shift_of(name: &str, file: &str, interval: Duration) -> Duration {
        let bytes = file.bytes().chain([b';']).chain(name.bytes());
        // FNV-1a: spread, not secrecy.
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis((hash >> 16) % millis.max(1))
    }

    /// The first slot after `at`.
    #[must_use]
    pub fn next_slot(&self, at: Timestamp) -> Timestamp {
        let step = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        let shift = i64::try_from(self.shift.as_millis()).unwrap_or(0);
        let slots = (at.millis() - shift).div_euclid(step.max(1)) + 1;
        Timestamp::from_millis(slots * step + shift)
    }

    /// Evaluates every rule at `at`.
    pub fn eval(&mut self, window: &mut Window, at: Timestamp, world: &World<'_>) {
        let seen_at = at - self.query_offset;
        for rule in &mut self.rules {
            window.add_target(rule.written.target, self.interval);
            rule.evaluated_at = Some(at);
            rule.health = match rule.eval(window, (at, seen_at), (self.limit, self.restored), world)
            {
                Ok(series) => {
                    rule.written.write(window, seen_at, &series, world.span);
                    Health::Good
                }
                Err(why) => Health::Bad(why),
            };
        }
        self.evaluated_at = Some(at);
    }

    /// Takes over what was active before a restart: see [`RuleAlerts::restore`]. `before` answers for a rule's name.
    pub fn restore(
        &mut self,
        before: &dyn Fn(&str, &Labels) -> Option<Timestamp>,
        down_at: Option<Timestamp>,
        at: Timestamp,
    ) {
        for rule in &mut self.rules {
            if let (RuleKind::Alert { timing, alerts, .. }, Some(down_at)) =
                (&mut rule.kind, down_at)
            {
                let known = |labels: &Labels| before(&rule.name, labels);
                alerts.restore(&known, down_at, *timing, at);
            }
        }
        self.restored = true;
    }

    /// What the same group had before a reload: rules of one name and labels carry their state on, in their order.
    pub fn carry_on(&mut self, mut was: Self) {
        (self.evaluated_at, self.restored) = (was.evaluated_at, was.restored);
        for rule in &mut self.rules {
            let alike = |old: &GroupRule| {
                old.name == rule.name
                    && old.labels == rule.labels
                    && std::mem::discriminant(&old.kind) == std::mem::discriminant(&rule.kind)
            };
            let Some(place) = was.rules.iter().position(alike) else {
                continue;
            };
            let old = was.rules.remove(place);
            if let (RuleKind::Alert { alerts, .. }, RuleKind::Alert { alerts: known, .. }) =
                (&mut rule.kind, old.kind)
            {
                *alerts = known;
            }
            rule.written = old.written;
            (rule.health, rule.evaluated_at) = (old.health, old.evaluated_at);
        }
    }

    /// Rules whose last evaluation failed.
    pub fn unhealthy(&self) -> impl Iterator<Item = &GroupRule> {
        self.rules.iter().filter(|rule| rule.health.why().is_some())
    }

    /// The window's targets that stand for its rules.
    pub fn targets(&self) -> impl Iterator<Item = TargetId> + '_ {
        self.rules.iter().map(|rule| rule.written.target)
    }
}

impl GroupRule {
    #[must_use]
    pub fn record(
        name: &str,
        expr: &Expr,
        labels: BTreeMap<String, String>,
        target: TargetId,
    ) -> Self {
        Self {
            name: name.to_owned(),
            expr: expr.text().to_owned(),
            labels,
            kind: RuleKind::Record,
            health: Health::Unknown,
            evaluated_at: None,
            plan: Plan::new(expr),
            step: None,
            templates: BTreeMap::new(),
            written: Written::new(target),
        }
    }

    #[must_use]
    pub fn alert(
        name: &str,
        expr: &Expr,
        timing: AlertTiming,
        (labels, annotations): (BTreeMap<String, String>, BTreeMap<String, String>),
        target: TargetId,
    ) -> Self {
        let texts = labels.values().chain(annotations.values());
        let templates = texts
            .filter(|text| text.contains("{{"))
            .map(|text| (text.clone(), Template::parse(text)))
            .collect();
        Self {
            kind: RuleKind::Alert {
                timing,
                annotations,
                alerts: RuleAlerts::default(),
            },
            templates,
            ..Self::record(name, expr, labels, target)
        }
    }

    /// Series that its expression's selectors match, as of the last evaluation.
    #[must_use]
    pub fn matched(&self) -> usize {
        self.plan.matched()
    }

    /// With another step for subqueries that give none.
    #[must_use]
    pub fn stepping(mut self, step: Duration) -> Self {
        self.plan = self.plan.stepping(step);
        self.step = Some(step);
        self
    }

    /// The series to write.
    fn eval(
        &mut self,
        window: &Window,
        (at, seen_at): (Timestamp, Timestamp),
        (limit, restored): (usize, bool),
        world: &World<'_>,
    ) -> Result<Vec<(Labels, f64)>, String> {
        let samples: Vec<(Labels, f64)> = match self.plan.eval(window, seen_at) {
            Ok(Output::Scalar(value)) => vec![(Labels::empty(), value)],
            Ok(Output::Vector(vector)) => vector
                .iter()
                .map(|(labels, value)| (labels.clone(), value))
                .collect(),
            Err(error) => return Err(error.to_string()),
        };
        let RuleKind::Alert {
            timing,
            annotations,
            alerts,
        } = &mut self.kind
        else {
            return recorded(&self.name, &self.labels, samples, limit);
        };
        let mut distinct = BTreeSet::new();
        let mut active = Vec::with_capacity(samples.len());
        for (labels, value) in samples {
            let (templates, rule, step) = (&self.templates, &self.name, self.step);
            let expand = |text: &String| match templates.get(text) {
                None => text.clone(),
                Some(Err(error)) => error.as_text(rule),
                Some(Ok(template)) => {
                    let asked = Asked { window, at, step };
                    expanded(template, rule, (&labels, value), &asked, world)
                }
            };
            let mut all = labels.filter(|name| name != NAME);
            for (name, text) in &self.labels {
                all = all.with(name, &expand(text));
            }
            all = all.with("alertname", &self.name);
            if !distinct.insert(all.clone()) {
                return Err(
                    "vector contains metrics with the same labelset after applying alert labels"
                        .to_owned(),
                );
            }
            let annotations = annotations.iter();
            active.push(AlertSample {
                labels: all,
                annotations: annotations
                    .map(|(name, text)| (name.clone(), expand(text)))
                    .collect(),
                value,
            });
        }
        alerts.observe(active, *timing, at);
        let count = alerts.active().count();
        if limit > 0 && count > limit {
            alerts.clear();
            return Err(format!("exceeded limit of {limit} with {count} alerts"));
        }
        if !restored {
            return Ok(Vec::new());
        }
        Ok(states(alerts))
    }
}

/// `ALERTS` and `ALERTS_FOR_STATE` of every active alert.
fn states(alerts: &RuleAlerts) -> Vec<(Labels, f64)> {
    let mut series = Vec::with_capacity(2 * alerts.active().count());
    for alert in alerts.active() {
        let state = match alert.state {
            AlertState::Firing => "firing",
            AlertState::Pending | AlertState::Resolved { .. } => "pending",
        };
        let shown = alert
            .labels
            .with(NAME, ALERT_SERIES[0])
            .with("alertstate", state);
        series.push((shown, 1.0));
        let since = alert.labels.with(NAME, ALERT_SERIES[1]);
        #[allow(clippy::cast_precision_loss, reason = "seconds stay below 2^53")]
        let active_at = alert.active_at.millis().div_euclid(1000) as f64;
        series.push((since, active_at));
    }
    series
}

/// Where and when a template asks.
struct Asked<'a> {
    window: &'a Window,
    at: Timestamp,
    step: Option<Duration>,
}

/// A label or an annotation with its template filled in for one sample. What fails becomes the text.
fn expanded(
    template: &Template,
    rule: &str,
    (labels, value): (&Labels, f64),
    asked: &Asked<'_>,
    world: &World<'_>,
) -> String {
    let mut query = |text: &str, at: Timestamp| {
        let expr = Expr::parse(text).map_err(|error| error.to_string())?;
        (world.kept)(&expr).map_err(|name| {
            format!("nothing keeps `{name}` as it is asked for here: see `[window] retain`")
        })?;
        let mut plan = Plan::new(&expr);
        if let Some(step) = asked.step {
            plan = plan.stepping(step);
        }
        match plan
            .eval(asked.window, at)
            .map_err(|error| error.to_string())?
        {
            Output::Scalar(value) => Ok(vec![(Labels::empty(), value)]),
            Output::Vector(vector) => Ok(vector
                .iter()
                .map(|(labels, value)| (labels.clone(), value))
                .collect()),
        }
    };
    let mut context = Context {
        labels,
        value,
        external_labels: world.external_labels,
        external_url: world.external_url,
        at: asked.at,
        query: &mut query,
    };
    template.expand_text(rule, &mut context)
}

fn recorded(
    name: &str,
    labels: &BTreeMap<String, String>,
    samples: Vec<(Labels, f64)>,
    limit: usize,
) -> Result<Vec<(Labels, f64)>, String> {
    let mut distinct = BTreeSet::new();
    let mut series = Vec::with_capacity(samples.len());
    for (own, value) in samples {
        let mut all = own.with(NAME, name);
        for (label, text) in labels {
            all = all.with(label, text);
        }
        if !distinct.insert(all.clone()) {
            return Err(
                "vector contains metrics with the same labelset after applying rule labels"
                    .to_owned(),
            );
        }
        series.push((all, value));
    }
    let count = series.len();
    if limit > 0 && count > limit {
        return Err(format!("exceeded limit of {limit} with {count} series"));
    }
    Ok(series)
}

impl Written {
    fn new(target: TargetId) -> Self {
        Self {
            target,
            slots: BTreeMap::new(),
            free: Vec::new(),
            page: Vec::new(),
        }
    }

    /// One page: what is no longer in it is stale from `at` on.
    fn write(
        &mut self,
        window: &mut Window,
        at: Timestamp,
        series: &[(Labels, f64)],
        span: &dyn Fn(&Labels) -> Duration,
    ) {
        let present: BTreeSet<&Labels> = series.iter().map(|(labels, _)| labels).collect();
        let target = self.target;
        self.slots.retain(|labels, slot| {
            let stays = present.contains(labels);
            if !stays {
                window.gone(target, *slot, at);
                self.free.push(*slot);
            }
            stays
        });
        self.page.fill(STALE);
        for (labels, value) in series {
            let known = self.slots.get(labels).copied();
            let slot = known.unwrap_or_else(|| {
                let slot = self.free.pop().unwrap_or_else(|| {
                    let next = u32::try_from(self.page.len());
                    self.page.push(STALE);
                    Slot(next.expect("fewer series than 2^32"))
                });
                window.born(target, slot, labels.clone(), span(labels));
                self.slots.insert(labels.clone(), slot);
                slot
            });
            self.page[slot.0 as usize] = *value;
        }
        window.append(target, at, &self.page, &[]);
    }
}
