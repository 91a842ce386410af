//! The demo's service: its three instances on sockets of their own, with traffic that goes on by itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::fleet::Fleet;
pub use super::fleet::Traffic;
pub use super::instance::Health;

/// Traffic is advanced this often. A late tick is made up for, so that traffic keeps pace with real time.
const TICK: Duration = Duration::from_millis(50);

/// Stopping waits this long for answers under way.
const DRAIN: Duration = Duration::from_secs(2);

/// A running service. Dropping it ends it at once, [`Service::stop`] lets answers under way finish.
#[derive(Debug)]
pub struct Service {
    fleet: Shared,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

type Shared = Arc<Mutex<Fleet>>;

impl Service {
    /// Starts three healthy instances of `version`, each on a free port of 127.0.0.1.
    pub async fn start(version: &str, traffic: Traffic) -> io::Result<Self> {
        let fleet = Arc::new(Mutex::new(Fleet::new(version, traffic)));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::new();
        for instance in 0..Fleet::SIZE {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            addresses.push(listener.local_addr()?);
            let pages = Arc::clone(&fleet);
            let page = move || async move {
                (
                    [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
                    lock(&pages).page(instance),
                )
            };
            tasks.spawn(serve(
                listener,
                Router::new().route("/metrics", get(page)),
                stopped.clone(),
            ));
        }
        tasks.spawn(advance(Arc::clone(&fleet), stopped));
        Ok(Self {
            fleet,
            addresses,
            stop,
            tasks,
        })
    }

    /// The instances' pages: `http://127.0.0.1:PORT/metrics`.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        self.addresses
            .iter()
            .map(|address| format!("http://{address}/metrics"))
            .collect()
    }

    /// What others need to deploy while the service runs.
    #[must_use]
    pub fn deployer(&self) -> Deployer {
        Deployer(Arc::clone(&self.fleet))
    }

    /// As [`Deployer::deploy`].
    pub fn deploy(&self, version: &str, health: Health) {
        self.deployer().deploy(version, health);
    }

    /// The version that most instances run.
    #[must_use]
    pub fn current_version(&self) -> String {
        self.deployer().current_version()
    }

    /// Ends traffic and listeners, and waits until answers under way are out.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN, drained).await;
    }
}

/// A handle on the service for whoever deploys: a person's story or a webhook's receiver.
#[derive(Clone, Debug)]
pub struct Deployer(Shared);

impl Deployer {
    /// Restarts the instances one after another with this version; returns at once.
    pub fn deploy(&self, version: &str, health: Health) {
        lock(&self.0).deploy(version, health);
    }

    /// The version that most instances run.
    #[must_use]
    pub fn current_version(&self) -> String {
        lock(&self.0).current_version().to_owned()
    }

    /// The version each instance runs.
    #[must_use]
    pub fn versions(&self) -> Vec<String> {
        lock(&self.0).versions().map(str::to_owned).to_vec()
    }
}

/// A panic elsewhere leaves counters that are still counters.
fn lock(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn advance(fleet: Shared, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = ticks.tick() => lock(&fleet).advance(TICK),
            _ = stopped.changed() => return,
        }
    }
}

/// Serves until told to stop, then lets answers under way finish.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let until = async move {
        let _ = stopped.changed().await;
    };
    // The listener is our own and already bound: accepting retries by itself and has no error to give.
    let _ = axum::serve(listener, router)
        .with_graceful_shutdown(until)
        .await;
}
