//! The engine's thread and the ledger's: inputs in, effects carried out in order. What is not committed is not sent,
//! answered or shown.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::error;
use tracing::warn;

use super::clock::Clock;
use super::report::Reporter;
use super::tell;
use crate::engine::Alert;
use crate::engine::Answer;
use crate::engine::Answered;
use crate::engine::Attempted;
use crate::engine::Call;
use crate::engine::Effect;
use crate::engine::Engine;
use crate::engine::Event;
use crate::engine::Input;
use crate::engine::Interest;
use crate::engine::Question;
use crate::engine::Record;
use crate::engine::Refusal;
use crate::engine::ReportDue;
use crate::engine::Restored;
use crate::engine::Settings;
use crate::engine::Snapshot;
use crate::engine::Stop;
use crate::engine::View;
use crate::engine::look_back;
use crate::model::DeliveryKey;
use crate::model::Minutes;
use crate::model::Notice;
use crate::model::Timestamp;
use crate::serve::ActError;
use crate::serve::AskFailure;
use crate::sink::Alertmanagers;
use crate::sink::Hook;
use crate::sink::Journal;
use crate::sink::JournalError;
use crate::sink::Ledger;
use crate::sink::Recorder;
use crate::sink::ledger;

/// Expressions recurse; the parser has no depth guard of its own beyond our bound on tokens.
const STACK_BYTES: usize = 16 << 20;
/// Inputs waiting for the engine; sources wait when it is full.
const INPUTS_MAX: usize = 4096;
/// Batches waiting for the ledger. The engine waits when it is full: what cannot be recorded must not pile up.
const BATCHES_MAX: usize = 256;
/// Attempts under way at once.
pub(super) const ATTEMPTS_MAX: u32 = 256;
/// Questions that are answered at once, each on a thread of its own; others wait for their turn.
const QUESTIONS_AT_ONCE: usize = 2;
/// Questions that wait or are being answered; more are told to ask again.
const QUESTIONS_MAX: usize = 256;
/// A question is answered within this time or not at all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A slot that is evaluated this late was slept through.
const GAP_MIN: Duration = Duration::from_secs(2);
/// How often the ledger lets go of what is old and settled.
const SWEEP_EVERY: Duration = Duration::from_secs(86_400);
/// While inputs pour in the snapshot is drawn this often; the verdict's own changes are shown at once.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(50);

/// Where effects go; a reload makes another.
pub(super) struct Receivers {
    pub hooks: BTreeMap<String, Arc<Hook>>,
    pub alertmanagers: Option<Arc<Alertmanagers>>,
}

type Reply = oneshot::Sender<Result<Answer, ActError>>;
/// What happened, for whoever watches beside the log: the demo's screen.
pub(super) type Tap = mpsc::UnboundedSender<(Timestamp, Event)>;

enum Message {
    /// Whoever asks answers it himself, from this.
    View {
        reply: oneshot::Sender<View>,
    },
    Call {
        call: Call,
        reply: Reply,
    },
    Input(Input),
    /// The ledger has taken a batch: what it held may be shown.
    Committed,
    Stop,
}

/// The running core. Cheap to clone.
#[derive(Clone)]
pub(super) struct Core {
    messages: mpsc::Sender<Message>,
    pub inputs: mpsc::Sender<Input>,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub interest: Arc<ArcSwap<Interest>>,
    pub attempts: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    answering: Arc<Semaphore>,
}

/// What the core is started with.
pub(super) struct Start {
    pub settings: Arc<Settings>,
    pub ledger: Ledger,
    /// Where the database lies: a later segment of the journal says what it had then.
    pub storage: PathBuf,
    pub journal: Option<Journal>,
    /// What is settled is kept for this long.
    pub retention: Duration,
    pub restored: Restored,
    pub receivers: Arc<ArcSwap<Receivers>>,
    pub reporter: Arc<Reporter>,
    pub clock: Clock,
    pub tap: Option<Tap>,
}

/// The threads behind a [`Core`].
pub(super) struct Threads {
    engine: JoinHandle<()>,
    ledger: JoinHandle<()>,
    journal: Option<JoinHandle<()>>,
}

/// Why the core did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum CoreError {
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Core {
    /// Starts both threads. Owed deliveries of before are attempted at once, before the first scrape.
    pub fn start(start: Start, runtime: &Handle) -> Result<(Self, Threads), CoreError> {
        let Start {
            settings,
            ledger,
            storage,
            journal,
            retention,
            restored,
            receivers,
            reporter,
            clock,
            tap,
        } = start;
        let (messages, from_messages) = mpsc::channel(INPUTS_MAX);
        let (inputs, from_inputs) = mpsc::channel(INPUTS_MAX);
        let (batches, from_batches) = std::sync::mpsc::sync_channel(BATCHES_MAX);
        let at = clock.now();
        let recording = journal.map(|it| record(it, &settings, &restored, at, storage));
        let (recorder, journal) = recording.transpose()?.unzip();
        let mut effects = Vec::new();
        let engine = Engine::new(settings, restored, at, &mut effects);
        let core = Self {
            messages,
            inputs,
            snapshot: Arc::new(ArcSwap::from_pointee(engine.snapshot(at))),
            interest: Arc::new(ArcSwap::new(engine.interest())),
            attempts: Arc::new(Semaphore::new(ATTEMPTS_MAX as usize)),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            answering: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
        };
        let replies = Arc::<Mutex<BTreeMap<u64, Reply>>>::default();
        let hands = Hands {
            core: core.clone(),
            receivers,
            reporter,
            runtime: runtime.clone(),
            replies: Arc::clone(&replies),
            clock,
            tap,
        };
        let keeper = hands.clone();
        let ledger = vital("ledger", move || {
            keep(ledger, retention, &from_batches, &keeper);
        })?;
        let mut work = Loop {
            engine,
            recorder,
            clock,
            hands,
            batches,
            uncommitted: 0,
            drawn_at: at,
            dirty: false,
            floor: at,
            next_token: 0,
            failures_heard: 0,
        };
        let timers = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let engine = vital("engine", move || {
            work.carry_out(effects, at);
            timers.block_on(work.run(from_inputs, from_messages));
            if let Some(recorder) = work.recorder {
                recorder.finish();
            }
        })?;
        let threads = Threads {
            engine,
            ledger,
            journal,
        };
        Ok((core, threads))
    }

    /// Asks the engine for something; answered when it is recorded.
    pub async fn call(&self, call: Call) -> Result<Answer, ActError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.messages.send(Message::Call { call, reply }).await;
        sent.map_err(|_| ActError::Unavailable)?;
        answer.await.unwrap_or(Err(ActError::Unavailable))
    }

    /// Answers a question from the engine's window, on a thread of its own. Whoever stops waiting takes the question back.
    pub async fn ask(
        &self,
        question: Question,
        timeout: Option<Duration>,
    ) -> Result<Answered, AskFailure> {
        let Ok(_place) = self.questions.try_acquire() else {
            return Err(AskFailure::Busy);
        };
        let timeout = timeout.unwrap_or(ANSWER_TIMEOUT).min(ANSWER_TIMEOUT);
        match tokio::time::timeout(timeout, self.answered(question)).await {
            Err(_) => Err(AskFailure::Timeout),
            Ok(told) => told,
        }
    }

    async fn answered(&self, question: Question) -> Result<Answered, AskFailure> {
        let answering = Arc::clone(&self.answering).acquire_owned().await;
        let answering = answering.map_err(|_| AskFailure::Unavailable)?;
        let (reply, view) = oneshot::channel();
        let sent = self.messages.send(Message::View { reply }).await;
        sent.map_err(|_| AskFailure::Unavailable)?;
        let view = view.await.map_err(|_| AskFailure::Unavailable)?;
        let stop = Waiting(Stop::possible());
        let asked = stop.0.clone();
        let (reply, answer) = oneshot::channel();
        std::thread::Builder::new()
            .name("question".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let told = view.answer(question, &asked);
                // Not before the window's copy is gone, which others would have to copy once more.
                drop(view);
                drop(answering);
                let _ = reply.send(told);
            })
            .map_err(|_| AskFailure::Unavailable)?;
        let told = answer.await.map_err(|_| AskFailure::Unavailable)?;
        told.map_err(AskFailure::Refused)
    }

    pub async fn reload(&self, settings: Arc<Settings>) {
        // The core outlives everyone who can reload it, but for a shutdown under way.
        let _ = self
            .messages
            .send(Message::Input(Input::Reload(settings)))
            .await;
    }

    /// Gives the engine minutes of the ledger.
    pub async fn recall(&self, minutes: Vec<Minutes>) {
        let recalled = Message::Input(Input::Recalled(minutes));
        // As of a reload.
        let _ = self.messages.send(recalled).await;
    }

    /// Lets attempts under way end for at most `grace`, then stops both threads and closes the ledger.
    pub async fn stop(self, threads: Threads, grace: Duration) {
        let quiet = self.attempts.acquire_many(ATTEMPTS_MAX);
        if tokio::time::timeout(grace, quiet).await.is_err() {
            warn!("deliveries are still under way; they are sent again after the next start");
        }
        let _ = self.messages.send(Message::Stop).await;
        let _ = tokio::task::spawn_blocking(move || {
            let _ = threads.engine.join();
            let _ = threads.ledger.join();
            if let Some(journal) = threads.journal {
                let _ = journal.join();
            }
        })
        .await;
    }
}

/// Begins a run of the journal, with what the engine is about to be made from.
fn record(
    journal: Journal,
    settings: &Arc<Settings>,
    restored: &Restored,
    at: Timestamp,
    storage: PathBuf,
) -> Result<(Recorder, JoinHandle<()>), JournalError> {
    let past = move |settings: &Settings, at| past(&storage, settings, at);
    let (settings, restored) = (Arc::clone(settings), restored.clone());
    journal.begin(settings, restored, at, Box::new(past))
}

/// What a restart at `at` would have begun with.
fn past(storage: &Path, settings: &Settings, at: Timestamp) -> Result<Restored, String> {
    let read = ledger::read_minutes(storage, &look_back(settings, at), Timestamp::MAX);
    read.map_err(|error| super::chain(&error))
}

/// A thread without which gated would go on showing what it last knew. Its panic ends the process: everything that was
/// decided is on disk, and whoever watches gated starts it again.
fn vital(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.into());
    thread.stack_size(STACK_BYTES).spawn(move || {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            std::process::exit(i32::from(super::entry::BUG));
        }
    })
}

/// Somebody waits for an answer. When he does not any more, its evaluation ends.
struct Waiting(Stop);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// One input's effects, to be carried out in this order: commit, then the rest.
struct Batch {
    at: Timestamp,
    records: Vec<Record>,
    rest: Vec<Effect>,
    /// Failed commits that the engine had heard of when it made this.
    failures_heard: u64,
}

struct Loop {
    engine: Engine,
    /// Takes down what the engine is given.
    recorder: Option<Recorder>,
    clock: Clock,
    hands: Hands,
    batches: std::sync::mpsc::SyncSender<Batch>,
    /// Batches that the ledger has not taken yet.
    uncommitted: usize,
    drawn_at: Timestamp,
    /// Something has changed since.
    dirty: bool,
    /// The next input's stamp is at least this: everything before is settled.
    floor: Timestamp,
    next_token: u64,
    failures_heard: u64,
}

impl Loop {
    async fn run(
        &mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut messages: mpsc::Receiver<Message>,
    ) {
        loop {
            let wait = self.wait();
            tokio::select! {
                biased;
                Some(message) = messages.recv() => {
                    if !self.take(message) {
                        self.take_outcomes(&mut inputs);
                        break;
                    }
                }
                Some(input) = inputs.recv() => self.apply(input),
                () = tokio::time::sleep(wait) => self.wake(),
            }
        }
    }

    /// The last thing before the end: answers that came while gated waited for them are recorded, or they would be
    /// asked for again after the next start.
    fn take_outcomes(&mut self, inputs: &mut mpsc::Receiver<Input>) {
        while let Ok(input) = inputs.try_recv() {
            if matches!(input, Input::Attempted { .. }) {
                self.apply(input);
            }
        }
    }

    /// Until the next deadline or the next drawing.
    fn wait(&self) -> Duration {
        let now = self.clock.now();
        let deadline = self.engine.next_deadline();
        let drawing =
            (self.dirty && self.uncommitted == 0).then_some(self.drawn_at + SNAPSHOT_EVERY);
        let next = deadline.into_iter().chain(drawing).min();
        next.map_or(Duration::from_secs(3600), |next| next.since(now))
    }

    /// Whether to go on.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Call { call, reply } => {
                self.next_token += 1;
                let token = self.next_token;
                self.hands.replies().insert(token, reply);
                self.apply(Input::Operator { token, call });
            }
            Message::View { reply } => drop(reply.send(self.engine.view())),
            Message::Input(input) => {
                self.failures_heard += u64::from(matches!(input, Input::CommitFailed { .. }));
                self.apply(input);
            }
            Message::Committed => {
                self.uncommitted -= 1;
                self.draw();
            }
            Message::Stop => return false,
        }
        true
    }

    /// Tells the engine of a time in which nobody was there, before what came due in it.
    fn mind_the_gap(&mut self) {
        let now = self.clock.now();
        if self
            .engine
            .next_slot()
            .is_some_and(|slot| now.since(slot) > GAP_MIN)
        {
            let effects = self.give(self.floor, Input::Slept { until: now });
            self.carry_out(effects, self.floor);
        }
    }

    fn apply(&mut self, input: Input) {
        self.mind_the_gap();
        let at = self.clock.now().max(self.floor);
        let began = Instant::now();
        let effects = self.give(at, input);
        metrics::histogram!(super::metrics::EVALUATION_DURATION).record(began.elapsed());
        self.floor = at;
        self.share_interest();
        self.carry_out(effects, at);
    }

    /// The one way into the engine: what the journal does not hold did not happen.
    fn give(&mut self, at: Timestamp, input: Input) -> Vec<Effect> {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(at, &input);
        }
        let mut effects = Vec::new();
        self.engine.apply(at, input, &mut effects);
        effects
    }

    /// Sources hear of other rules, and of a rollout that began or ended.
    fn share_interest(&self) {
        let (told, interest) = (&self.hands.core.interest, self.engine.interest());
        if !Arc::ptr_eq(&told.load(), &interest) {
            told.store(interest);
        }
    }

    fn wake(&mut self) {
        self.mind_the_gap();
        let to = self.clock.now().max(self.floor);
        if let Some(recorder) = &mut self.recorder {
            recorder.woke(to);
        }
        let mut effects = Vec::new();
        self.engine.advance(to, &mut effects);
        // Deadlines at `to` have fired, so the next input must come after it.
        self.floor = Timestamp::from_millis(to.millis() + 1);
        self.share_interest();
        self.carry_out(effects, to);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, at: Timestamp) {
        let told = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Tell(_)));
        let (mut records, mut rest) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Record(record) => records.push(record),
                Effect::Send { .. }
                | Effect::Report(_)
                | Effect::Alerts(_)
                | Effect::Answer { .. }
                | Effect::Tell(_) => rest.push(effect),
            }
        }
        self.dirty = true;
        if records.is_empty() {
            self.hands.carry_out(rest, at, None);
        } else {
            self.uncommitted += 1;
            // The ledger's thread ends after this one, so it is there to take the batch.
            let _ = self.batches.send(Batch {
                at,
                records,
                rest,
                failures_heard: self.failures_heard,
            });
        }
        if told || at.since(self.drawn_at) >= SNAPSHOT_EVERY {
            self.draw();
        }
    }

    /// Shows the engine's state, unless it holds something that is not on disk yet.
    fn draw(&mut self) {
        if self.uncommitted > 0 {
            return;
        }
        self.drawn_at = self.clock.now();
        self.dirty = false;
        self.hands
            .core
            .snapshot
            .store(Arc::new(self.engine.snapshot(self.drawn_at)));
    }
}

/// The ledger's thread: commits batch after batch and carries out what waited for it.
fn keep(
    mut ledger: Ledger,
    retention: Duration,
    batches: &std::sync::mpsc::Receiver<Batch>,
    hands: &Hands,
) {
    let mut swept_at: Option<Timestamp> = None;
    let mut failures_told = 0;
    while let Ok(batch) = batches.recv() {
        let Batch {
            at,
            records,
            rest,
            failures_heard,
        } = batch;
        let receivers = hands.receivers.load();
        let render = |receiver: &str, notice: &Notice| match receivers.hooks.get(receiver) {
            Some(hook) => hook.render(notice),
            None => crate::sink::render(notice),
        };
        // What was made before the engine heard of a failure may rest on what is not there. It fails too; what stays
        // true comes again, all together.
        let outcome = if failures_heard == failures_told {
            let committed = ledger.commit(&records, render);
            committed.map_err(|error| super::chain(&error))
        } else {
            Err("a commit before it failed".to_owned())
        };
        match outcome {
            Ok(()) => {
                metrics::counter!(super::metrics::LEDGER_COMMITS).increment(1);
                hands.carry_out(rest, at, Some(&ledger));
            }
            Err(reason) => {
                failures_told += 1;
                metrics::counter!(super::metrics::LEDGER_FAILURES).increment(1);
                error!(%reason, "the ledger cannot record; nothing of it is sent");
                hands.refuse(&rest);
                let failed = Message::Input(Input::CommitFailed { records, reason });
                let _ = hands.core.messages.blocking_send(failed);
            }
        }
        let _ = hands.core.messages.blocking_send(Message::Committed);
        if swept_at.is_none_or(|swept| at.since(swept) >= SWEEP_EVERY) {
            swept_at = Some(at);
            if let Err(error) = ledger.sweep(at, retention) {
                warn!(error = super::chain(&error), "the ledger let go of nothing");
            }
        }
    }
    if let Err(error) = ledger.close() {
        warn!(
            error = super::chain(&error),
            "the ledger was not closed in order; nothing is lost"
        );
    }
}

/// Carries out what needs no more commit.
#[derive(Clone)]
struct Hands {
    core: Core,
    receivers: Arc<ArcSwap<Receivers>>,
    reporter: Arc<Reporter>,
    runtime: Handle,
    replies: Arc<Mutex<BTreeMap<u64, Reply>>>,
    clock: Clock,
    tap: Option<Tap>,
}

impl Hands {
    fn replies(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Reply>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(&self, effects: Vec<Effect>, at: Timestamp, ledger: Option<&Ledger>) {
        for effect in effects {
            match effect {
                Effect::Record(_) => {}
                Effect::Send {
                    key,
                    receiver,
                    attempt: _,
                } => self.send(key, &receiver, ledger),
                Effect::Alerts(alerts) => self.post(alerts),
                Effect::Report(due) => self.report(due),
                Effect::Answer { token, answer } => self.reply(token, answer),
                Effect::Tell(event) => {
                    tell::log(&event);
                    if let Some(tap) = &self.tap {
                        // Nobody may be watching any more.
                        let _ = tap.send((at, event));
                    }
                }
            }
        }
    }

    fn reply(&self, token: u64, answer: Result<Answer, Refusal>) {
        if let Some(reply) = self.replies().remove(&token) {
            // Who asked may have gone.
            let _ = reply.send(answer.map_err(ActError::Refused));
        }
    }

    /// Nothing was recorded, so whoever asked is told so.
    fn refuse(&self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Answer { token, .. } = effect
                && let Some(reply) = self.replies().remove(token)
            {
                let _ = reply.send(Err(ActError::Store));
            }
        }
    }

    /// One attempt, on the runtime; its outcome comes back as an input.
    fn send(&self, key: DeliveryKey, receiver: &str, ledger: Option<&Ledger>) {
        let hook = self.receivers.load().hooks.get(receiver).cloned();
        let stored = ledger.and_then(|ledger| ledger.body(&key).ok().flatten());
        let (Some(hook), Some(stored)) = (hook, stored) else {
            let reason =
                format!("no receiver `{receiver}`, or the body is missing from the ledger");
            error!(%key, reason, "a delivery cannot be attempted");
            let outcome = Attempted::NoAnswer {
                reason,
                reached: false,
            };
            let failed = Message::Input(Input::Attempted { key, outcome });
            let _ = self.core.messages.try_send(failed);
            return;
        };
        let (inputs, attempts, clock) = (
            self.core.inputs.clone(),
            Arc::clone(&self.core.attempts),
            self.clock,
        );
        self.runtime.spawn(async move {
            let Ok(_permit) = attempts.acquire().await else {
                return;
            };
            let body = Bytes::from(stored.bytes);
            let now = clock.wall().shows(clock.now());
            let outcome = hook.attempt(&key, &stored.decision, body, now).await;
            let _ = inputs.send(Input::Attempted { key, outcome }).await;
        });
    }

    /// Makes a report beside everything else; what became of it comes back as an input.
    fn report(&self, due: ReportDue) {
        let (core, reporter) = (self.core.clone(), Arc::clone(&self.reporter));
        self.runtime.spawn_blocking(move || {
            let made = reporter.make(due, &core.snapshot.load());
            // Nobody listens while gated stops; it is made after the next start.
            let _ = core
                .messages
                .blocking_send(Message::Input(Input::Reported(made)));
        });
    }

    fn post(&self, mut alerts: Vec<Alert>) {
        let wall = self.clock.wall();
        for alert in &mut alerts {
            alert.starts_at = wall.shows(alert.starts_at);
            alert.ends_at = wall.shows(alert.ends_at);
        }
        if let Some(alertmanagers) = self.receivers.load().alertmanagers.clone() {
            self.runtime.spawn(async move {
                let posted = alertmanagers.post(&alerts).await;
                if !posted.accepted() {
                    warn!(
                        peers = posted.peers.len(),
                        "no Alertmanager took the alerts; they are sent again"
                    );
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test asks itself: once more, and that time the thread panics.
    #[test]
    fn a_vital_thread_takes_the_process_with_it() {
        const ASKED: &str = "GATED_TEST_PANICS";
        if std::env::var_os(ASKED).is_some() {
            let thread = vital("vital", || panic!("as asked")).unwrap();
            let _ = thread.join();
            return;
        }
        let own = std::env::current_exe().unwrap();
        let name = "run::core::tests::a_vital_thread_takes_the_process_with_it";
        let ended = std::process::Command::new(own)
            .args([name, "--exact"])
            .env(ASKED, "1")
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(i32::from(crate::run::entry::BUG)));
    }
}
