//! The accept loop: bounded, with a header timeout, and drained at the end.
//!
//! When every place is taken, the connection that has waited longest without a request being answered makes room,
//! so that clients that open and never ask cannot keep a probe or a gate out.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::JoinHandle;

use super::Service;
use super::api;

/// Connections at once.
const CONNECTIONS_MAX: usize = 256;
/// Time for a request's head, and for an idle connection to ask again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Pause after `accept` failed (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running server; dropping it stops accepting and closes what is idle.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Where it listens: the port that was given for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, lets running requests finish for `grace`, then closes what is left.
    pub async fn shutdown(self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the HTTP server ended badly");
        }
    }
}

/// Serves `service` on `listener` until [`Server::shutdown`]. Must be called within a tokio runtime.
pub fn start(listener: TcpListener, service: Service) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let router = api::router(Arc::new(service), address.ip().is_loopback());
    let (stop, stopped) = watch::channel(None);
    let task = tokio::spawn(accept(listener, router, stopped));
    Ok(Server {
        address,
        stop,
        task,
    })
}

/// One open connection: how to end it, and whether a request of it is being answered.
struct Place {
    task: AbortHandle,
    busy: Arc<AtomicBool>,
}

async fn accept(
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<Option<Duration>>,
) {
    let graceful = GracefulShutdown::new();
    let mut places: VecDeque<Place> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.changed() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                make_room(&mut places);
                places.push_back(open(stream, router.clone(), &graceful));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let grace = stopped.borrow().unwrap_or_default();
    if tokio::time::timeout(grace, graceful.shutdown())
        .await
        .is_err()
    {
        for place in places {
            place.task.abort();
        }
    }
}

/// Forgets ended connections; when all places are taken, ends the oldest idle one (else the oldest).
fn make_room(places: &mut VecDeque<Place>) {
    if places.len() < CONNECTIONS_MAX {
        return;
    }
    places.retain(|place| !place.task.is_finished());
    if places.len() < CONNECTIONS_MAX {
        return;
    }
    let idle = places
        .iter()
        .position(|place| !place.busy.load(Ordering::Relaxed));
    if let Some(place) = places.remove(idle.unwrap_or(0)) {
        place.task.abort();
    }
}

fn open(stream: TcpStream, router: Router, graceful: &GracefulShutdown) -> Place {
    let busy = Arc::new(AtomicBool::new(false));
    let service = {
        let busy = Arc::clone(&busy);
        let inner = TowerToHyperService::new(router);
        service_fn(move |request: Request<Incoming>| {
            let busy = Busy::set(&busy);
            let answer = hyper::service::Service::call(&inner, request.map(Body::new));
            async move {
                let answer = answer.await;
                drop(busy);
                answer
            }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
    Place {
        task: task.abort_handle(),
        busy,
    }
}

/// Marks a connection while one of its requests is being answered, however that ends.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn set(flag: &Arc<AtomicBool>) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(Arc::clone(flag))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
