//! Alerts that an Alertmanager posts, kept as series: 1 while an alert fires, gone once it is resolved, once its group
//! no longer holds it, or when it was not repeated for too long. Nothing outlives a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::counter;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::Now;
use super::metrics as names;
use crate::engine::{
    AlertPost, Columns, Input, Interest, PostedAlert, Scrape, TargetInfo, heard_for,
};
use crate::model::labels::{HEARD_ALERTS, NAME};
use crate::model::{Labels, STALE, Slot, TargetId, Timestamp};

/// The job of the target.
const JOB: &str = "alertmanager";
/// Alerts kept; more are left out and counted.
const ALERTS_MAX: usize = 10_000;
/// Labels of one alert; more are left out, those that say what it is last.
const LABELS_MAX: usize = 64;
/// Of a label's value; the rest is cut.
const VALUE_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 256;
/// Series are told again this often, or they would go stale.
const TICK_MAX: Duration = Duration::from_secs(15);
const TICK_MIN: Duration = Duration::from_millis(100);
/// Posts that wait.
const POSTS_MAX: usize = 64;

/// Alerts of this source are gated's own: counting them would keep them firing.
const OWN: (&str, &str) = ("source", "gated");

#[derive(Debug)]
enum Command {
    Post(AlertPost, oneshot::Sender<()>),
    Repeat(Duration),
}

/// Takes posts until it is dropped.
#[derive(Debug)]
pub struct AlertInbox {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Drop for AlertInbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AlertInbox {
    /// `repeat`: how often Alertmanager repeats what fires. `inputs` gets a target with the first post.
    pub fn start(
        repeat: Duration,
        interest: Arc<ArcSwap<Interest>>,
        now: Now,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let (commands, received) = mpsc::channel(POSTS_MAX);
        let keeper = Keeper {
            inbox: Inbox::default(),
            repeat,
            interest,
            told: None,
            now,
            inputs,
            target: None,
            next_id: TargetId::ALERTS.0,
        };
        let task = tokio::spawn(keeper.run(received));
        Self { commands, task }
    }

    /// Takes a post; `false` when gated is stopping, and Alertmanager should try again.
    pub async fn take(&self, post: AlertPost) -> bool {
        let (done, taken) = oneshot::channel();
        let sent = self.commands.send(Command::Post(post, done)).await;
        sent.is_ok() && taken.await.is_ok()
    }

    /// Follows another configuration.
    pub async fn reload(&self, repeat: Duration) {
        // An error means that gated is stopping.
        let _ = self.commands.send(Command::Repeat(repeat)).await;
    }
}

struct Keeper {
    inbox: Inbox,
    repeat: Duration,
    interest: Arc<ArcSwap<Interest>>,
    /// What the engine wanted when it was last told of the series.
    told: Option<Arc<Interest>>,
    now: Now,
    inputs: mpsc::Sender<Input>,
    /// The target while Alertmanager is heard.
    target: Option<TargetId>,
    next_id: u32,
}

impl Keeper {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let mut ticks = tokio::time::interval(self.tick());
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    command = commands.recv() => match command {
                        Some(Command::Post(post, done)) => {
                            self.post(&post).await;
                            // Who posted may have gone.
                            let _ = done.send(());
                        }
                        Some(Command::Repeat(repeat)) => {
                            self.repeat = repeat;
                            break;
                        }
                        None => return,
                    },
                    _ = ticks.tick() => self.look().await,
                    () = self.inputs.closed() => return,
                }
            }
        }
    }

    fn tick(&self) -> Duration {
        (heard_for(self.repeat) / 8).clamp(TICK_MIN, TICK_MAX)
    }

    async fn post(&mut self, post: &AlertPost) {
        let at = (self.now)();
        let left_out = self.inbox.take(post, at, heard_for(self.repeat));
        counter!(names::ALERT_POSTS).increment(1);
        if left_out > 0 {
            counter!(names::ALERTS_LEFT_OUT).increment(left_out);
            warn!(
                left_out,
                "more than {ALERTS_MAX} alerts were posted; the rest is left out"
            );
        }
        if self.target.is_none() {
            let id = TargetId(self.next_id);
            // Far below the first number of a probe: each takes a silence of minutes.
            self.next_id += 1;
            self.target = Some(id);
            self.told = None;
            self.inbox.slots.clear();
            info!("Alertmanager is heard");
            let _ = self.inputs.send(Input::Target(self.info(id))).await;
        }
        self.tell(at).await;
    }

    /// Between posts: what was not repeated goes, and so does an Alertmanager that fell silent.
    async fn look(&mut self) {
        let Some(id) = self.target else {
            return;
        };
        let at = (self.now)();
        self.inbox.expire(at);
        let silent = self.inbox.heard_at.map(|heard| at.since(heard));
        if silent.is_some_and(|silent| silent > heard_for(self.repeat)) {
            warn!("Alertmanager has fallen silent: nothing is known of its alerts");
            self.target = None;
            self.inbox = Inbox::default();
            let _ = self.inputs.send(Input::TargetGone(id)).await;
            return;
        }
        self.tell(at).await;
    }

    async fn tell(&mut self, at: Timestamp) {
        let Some(target) = self.target else {
            return;
        };
        let interest = self.interest.load_full();
        let afresh = self.told.as_ref().is_none_or(|it| !it.wants_as(&interest));
        self.told = Some(interest);
        let scrape = Scrape {
            target,
            at,
            duration: Duration::ZERO,
            outcome: Ok(self.inbox.columns(afresh)),
        };
        let _ = self.inputs.send(Input::Scraped(scrape)).await;
    }

    fn info(&self, id: TargetId) -> TargetInfo {
        TargetInfo {
            id,
            job: JOB.to_owned(),
            instance: JOB.to_owned(),
            url: "/api/v1/alerts/receive".to_owned(),
            labels: Labels::new([("job", JOB), ("instance", JOB)]),
            interval: self.tick(),
            timeout: self.tick(),
        }
    }
}

/// What fires, by group and fingerprint.
#[derive(Debug, Default)]
struct Inbox {
    groups: BTreeMap<String, BTreeMap<String, Firing>>,
    heard_at: Option<Timestamp>,
    /// The series as the engine knows them.
    slots: Vec<Option<Labels>>,
}

#[derive(Debug)]
struct Firing {
    labels: Labels,
    /// Gone then unless it is repeated.
    until: Timestamp,
}

impl Inbox {
    /// Takes a post; says how many alerts had no room.
    fn take(&mut self, post: &AlertPost, at: Timestamp, lifetime: Duration) -> u64 {
        self.heard_at = Some(at);
        let mut known: usize = self.groups.values().map(BTreeMap::len).sum();
        let group = self.groups.entry(post.group.clone()).or_default();
        if post.whole && !post.group.is_empty() {
            // A resolved alert that Alertmanager was told not to send, or that is silenced, is not in its group.
            let named: BTreeSet<&String> = post.alerts.iter().map(|it| &it.fingerprint).collect();
            known -= group.len();
            group.retain(|fingerprint, _| named.contains(fingerprint));
            known += group.len();
        }
        let mut left_out = 0;
        let own = |it: &&PostedAlert| it.labels.get(OWN.0).map(String::as_str) != Some(OWN.1);
        for alert in post.alerts.iter().filter(own) {
            if !alert.firing {
                known -= usize::from(group.remove(&alert.fingerprint).is_some());
                continue;
            }
            let ends = alert.ends_at.filter(|ends| *ends > at);
            let until = ends.unwrap_or(at + lifetime).min(at + lifetime);
            let firing = Firing {
                labels: series(&alert.labels),
                until,
            };
            if known >= ALERTS_MAX && !group.contains_key(&alert.fingerprint) {
                left_out += 1;
                continue;
            }
            known += usize::from(group.insert(alert.fingerprint.clone(), firing).is_none());
        }
        self.groups.retain(|_, group| !group.is_empty());
        left_out
    }

    fn expire(&mut self, at: Timestamp) {
        for group in self.groups.values_mut() {
            group.retain(|_, firing| firing.until > at);
        }
        self.groups.retain(|_, group| !group.is_empty());
    }

    /// The series as they are, each once whatever groups hold it. `afresh`: all are named again.
    fn columns(&mut self, afresh: bool) -> Columns {
        let firing = self.groups.values().flat_map(BTreeMap::values);
        let mut fresh: BTreeSet<Labels> = firing.map(|it| it.labels.clone()).collect();
        let count = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
        let mut columns = Columns {
            samples_scraped: count,
            samples_kept: count,
            ..Columns::default()
        };
        for (slot, held) in (0..).map(Slot).zip(&mut self.slots) {
            let Some(labels) = held else { continue };
            if !fresh.remove(labels) {
                columns.gone.push(slot);
                *held = None;
            } else if afresh {
                columns.born.push((slot, labels.clone()));
            }
        }
        let mut free = 0;
        for labels in fresh {
            while self.slots.get(free).is_some_and(Option::is_some) {
                free += 1;
            }
            if free == self.slots.len() {
                self.slots.push(None);
            }
            self.slots[free] = Some(labels.clone());
            let slot = Slot(u32::try_from(free).expect("at most ALERTS_MAX"));
            columns.born.push((slot, labels));
            columns.series_added += 1;
        }
        let value = |held: &Option<Labels>| if held.is_some() { 1.0 } else { STALE };
        columns.values = self.slots.iter().map(value).collect();
        columns
    }
}

/// The alert's labels, within bounds, under the series' name.
fn series(labels: &BTreeMap<String, String>) -> Labels {
    let telling = |name: &str| !matches!(name, "alertname" | "severity");
    let mut pairs: Vec<(&str, &str)> = labels
        .iter()
        .map(|(name, value)| (name.as_str(), cut(value)))
        .filter(|(name, _)| !name.is_empty() && *name != NAME && name.len() <= NAME_BYTES_MAX)
        .collect();
    pairs.sort_by_key(|(name, _)| telling(name));
    pairs.truncate(LABELS_MAX);
    pairs.push((NAME, HEARD_ALERTS));
    Labels::new(pairs)
}

fn cut(value: &str) -> &str {
    let mut end = value.len().min(VALUE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn alert(name: &str, firing: bool) -> PostedAlert {
        PostedAlert {
            fingerprint: name.to_owned(),
            firing,
            labels: BTreeMap::from([("alertname".to_owned(), name.to_owned())]),
            ends_at: None,
        }
    }

    fn post(group: &str, alerts: Vec<PostedAlert>) -> AlertPost {
        AlertPost {
            group: group.to_owned(),
            whole: true,
            alerts,
        }
    }

    /// Names of the series that stand, by slot.
    fn shown(inbox: &mut Inbox) -> Vec<String> {
        let columns = inbox.columns(false);
        let standing = inbox.slots.iter().zip(&columns.values);
        standing
            .filter(|(_, value)| **value > 0.0)
            .map(|(labels, _)| {
                labels
                    .as_ref()
                    .unwrap()
                    .get("alertname")
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn a_group_is_what_its_last_post_says() {
        let mut inbox = Inbox::default();
        let mut take = |it: AlertPost| {
            inbox.take(&it, at(1), HOUR);
            shown(&mut inbox)
        };
        assert_eq!(
            take(post("g", vec![alert("a", true), alert("b", true)])),
            ["a", "b"]
        );
        // Repeats change nothing; what is resolved goes, and what the group no longer holds.
        assert_eq!(
            take(post("g", vec![alert("a", true), alert("b", true)])),
            ["a", "b"]
        );
        assert_eq!(
            take(post("g", vec![alert("a", false), alert("b", true)])),
            ["b"]
        );
        assert_eq!(
            take(post("h", vec![alert("b", true), alert("c", true)])),
            ["c", "b"]
        );
        assert_eq!(
            take(post("g", vec![])),
            ["c", "b"],
            "another group holds it still"
        );
        // What has no group, or is not whole, takes nothing away.
        let cut = AlertPost {
            whole: false,
            ..post("h", vec![alert("d", true)])
        };
        assert_eq!(take(cut), ["c", "b", "d"]);
        assert_eq!(take(post("", vec![alert("e", true)])).len(), 4);
        assert_eq!(take(post("", vec![alert("e", false)])).len(), 3);
    }

    #[test]
    fn what_is_not_repeated_goes_at_its_end_or_after_a_lifetime() {
        let mut inbox = Inbox::default();
        let short = PostedAlert {
            ends_at: Some(at(60)),
            ..alert("short", true)
        };
        inbox.take(&post("g", vec![short, alert("long", true)]), at(0), HOUR);
        inbox.expire(at(59));
        assert_eq!(shown(&mut inbox), ["long", "short"]);
        inbox.expire(at(60));
        assert_eq!(shown(&mut inbox), ["long"]);
        inbox.expire(at(3600));
        assert_eq!(shown(&mut inbox), [] as [&str; 0]);
    }

    #[test]
    fn gateds_own_alerts_and_what_is_too_much_are_left_out() {
        let mut inbox = Inbox::default();
        let mut own = alert("Watchdog", true);
        own.labels.insert("source".to_owned(), "gated".to_owned());
        inbox.take(&post("g", vec![own]), at(1), HOUR);
        assert_eq!((shown(&mut inbox).len(), inbox.heard_at), (0, Some(at(1))));
        let many = (0..ALERTS_MAX + 5).map(|i| alert(&i.to_string(), true));
        assert_eq!(inbox.take(&post("g", many.collect()), at(2), HOUR), 5);
        assert_eq!(shown(&mut inbox).len(), ALERTS_MAX);
        let mut wide = alert("Wide", true);
        for i in 0..100 {
            let value = "ä".repeat(10_000);
            wide.labels.insert(format!("a{i}"), value);
        }
        wide.labels
            .insert("severity".to_owned(), "critical".to_owned());
        let labels = series(&wide.labels);
        assert_eq!(labels.len(), LABELS_MAX + 1);
        assert_eq!(
            (labels.get("severity"), labels.get("alertname")),
            (Some("critical"), Some("Wide"))
        );
        assert!(
            labels
                .iter()
                .all(|(_, value)| value.len() <= VALUE_BYTES_MAX)
        );
    }
}
