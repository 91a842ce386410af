//! What Alertmanager hears of the alerts of Prometheus' rules.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::Alert;
use crate::engine::Effect;
use crate::engine::engine::Engine;
use crate::model::Labels;
use crate::model::Timestamp;
use crate::rules::RuleKind;

/// Alerts that no `[alertmanager]` sets the rhythm of.
const RESEND_DEFAULT: Duration = Duration::from_secs(60);

impl Engine {
    /// Alertmanager hears of what fires, again every `resend`, and of what resolved.
    pub(super) fn send_group(
        &mut self,
        index: usize,
        at: Timestamp,
        external: &Labels,
        out: &mut Vec<Effect>,
    ) {
        let Some(alerting) = self.settings.alerting else {
            return;
        };
        let resend = if alerting.resend.is_zero() {
            RESEND_DEFAULT
        } else {
            alerting.resend
        };
        let url = self.settings.external_url.clone();
        let watch = &mut self.groups[index];
        let interval = watch.group.interval;
        let mut due = Vec::new();
        // As in Prometheus: a rule whose evaluation failed is not sent again.
        let rules = watch.group.rules.iter_mut();
        for rule in rules.filter(|rule| rule.health.why().is_none()) {
            let graph = generator_url(url.as_deref(), &rule.expr);
            let RuleKind::Alert { alerts, .. } = &mut rule.kind else {
                continue;
            };
            for alert in alerts.iter_mut().filter(|alert| alert.is_due(at, resend)) {
                alert.sent_at = Some(at);
                due.push(Alert {
                    labels: with_external(&alert.labels, external),
                    annotations: alert.annotations.clone(),
                    starts_at: alert.fired_at.unwrap_or(alert.active_at),
                    ends_at: alert.ends_at(at, interval, resend),
                    generator_url: graph.clone(),
                });
            }
        }
        if !due.is_empty() {
            out.push(Effect::Alerts(due));
        }
    }
}

/// An alert's own labels win.
fn with_external(labels: &Labels, external: &Labels) -> BTreeMap<String, String> {
    let both = external.iter().chain(labels.iter());
    both.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Where a person sees the expression drawn, as Prometheus writes it.
fn generator_url(external: Option<&str>, expr: &str) -> String {
    use std::fmt::Write as _;
    let mut query = String::with_capacity(expr.len() * 2);
    for byte in expr.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                query.push(char::from(byte));
            }
            b' ' => query.push('+'),
            other => {
                let _ = write!(query, "%{other:02X}");
            }
        }
    }
    let external = external.unwrap_or("http://localhost");
    format!("{external}/graph?g0.expr={query}&g0.tab=1")
}
