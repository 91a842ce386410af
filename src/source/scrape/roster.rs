//! Who is scraped: targets of all configurations and discoveries, each with its task.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use metrics::{counter, gauge};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, warn};

use super::body::Memory;
use super::config::{DnsName, ScrapeConfig};
use super::fetch::Fetcher;
use super::page::Pages;
use super::resolve::Resolver;
use super::target::Target;
use super::tls::TlsFiles;
use super::watch::Watch;
use super::{Now, Tuning};
use crate::engine::{Input, Interest};
use crate::model::TargetId;
use crate::source::discovery::{Board, watch_dns, watch_files};
use crate::source::metrics as names;
use crate::source::task::{Task, end};

/// So many targets are scraped as soon as they are known; more wait for their slots.
const EAGER_MAX: usize = 32;
/// Tasks that died and are not yet begun again.
const DIED_MAX: usize = 64;

#[derive(Debug)]
pub(super) enum Command {
    Reload(Vec<ScrapeConfig>, oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

/// One `[[scrape]]` with its discoveries.
struct Group {
    config: Arc<ScrapeConfig>,
    /// `config` without what only says who is scraped: targets under equal ones go on as they are.
    how: Arc<ScrapeConfig>,
    tls: Arc<TlsFiles>,
    discoveries: Vec<Discovery>,
}

struct Discovery {
    of: Where,
    board: Arc<Board>,
    _task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Where {
    Files(Vec<PathBuf>),
    Dns(DnsName),
}

struct Running {
    id: TargetId,
    how: Arc<ScrapeConfig>,
    task: Task,
}

/// What all scrapes share, and who is scraped.
pub(super) struct Roster {
    tuning: Tuning,
    interest: Arc<ArcSwap<Interest>>,
    now: Now,
    inputs: mpsc::Sender<Input>,
    resolver: Resolver,
    memory: Arc<Memory>,
    in_flight: Arc<Semaphore>,
    /// What slots are counted from.
    begun: Instant,
    groups: Vec<Group>,
    running: HashMap<Target, Running>,
    /// Targets that were told to be duplicates or no targets, so that the log says it once.
    complained: HashSet<String>,
    next_id: u32,
    found: Arc<Notify>,
    died: (mpsc::Sender<TargetId>, mpsc::Receiver<TargetId>),
}

impl Roster {
    pub(super) fn new(
        tuning: Tuning,
        interest: Arc<ArcSwap<Interest>>,
        now: Now,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            resolver: Resolver::new(&tuning.name_servers),
            memory: Arc::new(Memory::new(tuning.in_flight_bytes_max)),
            in_flight: Arc::new(Semaphore::new(tuning.in_flight_max.max(1))),
            tuning,
            interest,
            now,
            inputs,
            begun: Instant::now(),
            groups: Vec::new(),
            running: HashMap::new(),
            complained: HashSet::new(),
            next_id: 0,
            found: Arc::new(Notify::new()),
            died: mpsc::channel(DIED_MAX),
        }
    }

    pub(super) async fn run(
        mut self,
        configs: Vec<ScrapeConfig>,
        mut commands: mpsc::Receiver<Command>,
    ) {
        self.follow(configs);
        self.settle(true).await;
        let (found, inputs) = (Arc::clone(&self.found), self.inputs.clone());
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Reload(configs, done)) => {
                        self.follow(configs);
                        self.settle(true).await;
                        // Whoever asked may have gone.
                        let _ = done.send(());
                    }
                    Some(Command::Stop(done)) => {
                        self.end(self.running.keys().cloned().collect()).await;
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                },
                () = found.notified() => self.settle(true).await,
                Some(id) = self.died.1.recv() => self.replace(id).await,
                () = inputs.closed() => return,
            }
        }
    }

    /// Takes other configurations. Discoveries that stayed alike go on, with what they found.
    fn follow(&mut self, configs: Vec<ScrapeConfig>) {
        let mut old: Vec<Discovery> = self.groups.drain(..).flat_map(|g| g.discoveries).collect();
        self.complained.clear();
        self.groups = configs
            .into_iter()
            .map(|config| {
                let files = (!config.files.is_empty()).then(|| Where::Files(config.files.clone()));
                let dns = config.dns.iter().cloned().map(Where::Dns);
                let discoveries = files.into_iter().chain(dns).map(|of| {
                    match old.iter().position(|discovery| discovery.of == of) {
                        Some(known) => old.swap_remove(known),
                        None => discover(of, &self.tuning, &self.resolver, &self.found),
                    }
                });
                let discoveries = discoveries.collect();
                let how = ScrapeConfig {
                    targets: Vec::new(),
                    files: Vec::new(),
                    dns: Vec::new(),
                    ..config.clone()
                };
                Group {
                    tls: Arc::new(TlsFiles::new(config.tls.clone())),
                    how: Arc::new(how),
                    config: Arc::new(config),
                    discoveries,
                }
            })
            .collect();
    }

    /// Ends what is wanted no more and begins what is new.
    async fn settle(&mut self, eager: bool) {
        let wanted = self.wanted();
        let gone: Vec<Target> = {
            let groups: HashMap<&Target, usize> = wanted.iter().map(|(t, g)| (t, *g)).collect();
            let stays = |(target, running): &(&Target, &Running)| {
                let group = groups.get(target);
                group.is_some_and(|&group| self.groups[group].how == running.how)
            };
            let gone = self.running.iter().filter(|running| !stays(running));
            gone.map(|(target, _)| target.clone()).collect()
        };
        for id in self.end(gone).await {
            if self.inputs.send(Input::TargetGone(id)).await.is_err() {
                return;
            }
        }
        for (target, group) in wanted {
            if !self.running.contains_key(&target) && !self.begin(target, group, eager).await {
                return;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a count of targets")]
        gauge!(names::TARGETS).set(self.running.len() as f64);
    }

    /// All targets with their groups, each once, in the order of configuration and discovery.
    fn wanted(&mut self) -> Vec<(Target, usize)> {
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        let mut complaints = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let config = &group.config;
            let configured = config
                .targets
                .iter()
                .map(|url| Ok(Target::configured(config, url)));
            let boards = group.discoveries.iter().map(|discovery| &discovery.board);
            let found = boards.flat_map(|board| board.read());
            let found = found.map(|found| Target::discovered(config, &found));
            for target in configured.chain(found) {
                match target {
                    Ok(target) if seen.insert(target.clone()) => wanted.push((target, index)),
                    Ok(target) => {
                        counter!(names::TARGETS_DUPLICATE).increment(1);
                        complaints.push(format!("{} is named twice", target.shown_url()));
                    }
                    Err(bad) => complaints.push(bad.to_string()),
                }
            }
        }
        for complaint in complaints {
            if !self.complained.contains(&complaint) {
                warn!(%complaint, "target left out");
                self.complained.insert(complaint);
            }
        }
        wanted
    }

    /// Stops tasks, and returns the ids of what they scraped once nothing comes from them any more.
    async fn end(&mut self, targets: Vec<Target>) -> Vec<TargetId> {
        let ended = targets.iter().filter_map(|it| self.running.remove(it));
        let mut ids = end(ended.map(|it| (it.id, it.task))).await;
        ids.sort();
        ids
    }

    /// `false` when nobody listens any more.
    async fn begin(&mut self, target: Target, group: usize, eager: bool) -> bool {
        let id = TargetId(self.next_id);
        self.next_id += 1;
        let how = Arc::clone(&self.groups[group].how);
        let info = target.info(id, &how);
        if self.inputs.send(Input::Target(info)).await.is_err() {
            return false;
        }
        let at_once = eager && self.running.len() < EAGER_MAX;
        let first = first_slot(self.begun, &target, how.interval, at_once);
        let watch = Watch {
            id,
            url: target.shown_url(),
            config: Arc::clone(&how),
            fetcher: Fetcher::new(
                Arc::clone(&how),
                target.clone(),
                self.resolver.clone(),
                Arc::clone(&self.groups[group].tls),
                Arc::clone(&self.memory),
            ),
            pages: Some(Pages::new(&how, &target.labels, self.interest.load_full())),
            interest: Arc::clone(&self.interest),
            now: Arc::clone(&self.now),
            in_flight: Arc::clone(&self.in_flight),
            inputs: self.inputs.clone(),
            samples: 0,
        };
        let died = self.died.0.clone();
        let task = tokio::spawn(async move {
            let run = AssertUnwindSafe(watch.run(first, at_once)).catch_unwind();
            if run.await.is_err() {
                // Nobody listens when everything ends.
                let _ = died.send(id).await;
            }
        });
        let task = Task::new(task);
        self.running.insert(target, Running { id, how, task });
        true
    }

    /// A task that panicked met a bug: its target begins again, from nothing, at its next slot.
    async fn replace(&mut self, id: TargetId) {
        let dead = self.running.iter().find(|(_, running)| running.id == id);
        let Some(target) = dead.map(|(target, _)| target.clone()) else {
            return;
        };
        counter!(names::PANICS).increment(1);
        error!(url = %target.shown_url(), "scraping panicked; it begins again");
        for id in self.end(vec![target]).await {
            if self.inputs.send(Input::TargetGone(id)).await.is_err() {
                return;
            }
        }
        self.settle(false).await;
    }
}

fn discover(of: Where, tuning: &Tuning, resolver: &Resolver, found: &Arc<Notify>) -> Discovery {
    let board = Arc::new(Board::new(Arc::clone(found)));
    let task = match of.clone() {
        Where::Files(patterns) => {
            tokio::spawn(watch_files(patterns, tuning.files_poll, Arc::clone(&board)))
        }
        Where::Dns(name) => {
            let (resolver, refresh) = (resolver.clone(), tuning.dns_refresh);
            tokio::spawn(watch_dns(name, resolver, refresh, Arc::clone(&board)))
        }
    };
    Discovery {
        of,
        board,
        _task: Task::new(task),
    }
}

/// The target's next slot: its own place in the interval, which is the same at every start of the interval.
/// After a scrape at once a slot that follows within half an interval is left out.
fn first_slot(begun: Instant, target: &Target, interval: Duration, at_once: bool) -> Instant {
    let now = Instant::now();
    let mut slot = begun + target.offset(interval);
    let passed = now.saturating_duration_since(slot);
    if !passed.is_zero() {
        let intervals = passed.as_nanos() / interval.as_nanos().max(1) + 1;
        slot += interval * u32::try_from(intervals).unwrap_or(u32::MAX);
    }
    if at_once && slot.saturating_duration_since(now) < interval / 2 {
        slot += interval;
    }
    slot
}
