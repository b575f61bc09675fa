//! The listener: loopback only, so many connections, and an orderly end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aggregator::lake::Lake;
use analytics::sql::{Engine, EngineLimits, QueryError};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::app::App;
use crate::auth::Auth;
use crate::live::{Hub, ListenError, UnixSocket};

/// Connections at a time; the next ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 128;
/// Time a client has to send its request's head; an idle connection is closed after it too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const MAX_HEAD: usize = 32 << 10;
/// Time that running requests have when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How to run.
pub struct ServeConfig {
    /// Where to listen: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What to show.
    pub lake: Lake,
    /// Bounds of the queries.
    pub limits: EngineLimits,
    /// What is on the wire now: sources of this process report to it.
    pub live: Arc<Hub>,
    /// Where captures of other processes report: path of a unix socket.
    pub feed_socket: Option<PathBuf>,
    /// Called once when the server listens: print the link.
    pub on_ready: Box<dyn FnOnce(Ready) + Send>,
}

impl std::fmt::Debug for ServeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeConfig")
            .field("listen", &self.listen)
            .field("lake", &self.lake.dir())
            .finish_non_exhaustive()
    }
}

/// The server listens.
#[derive(Clone)]
pub struct Ready {
    /// Where.
    pub address: SocketAddr,
    /// Opens the application, once. `POST /api/v1/links` with the API token makes another one.
    pub link: String,
    /// For scripts: `Authorization: Bearer <api_token>`.
    pub api_token: String,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not on loopback.
    #[error(
        "refusing to listen on {0}: anyone who reaches this address could read the lake, and Spotter has no user accounts yet. \
         Listen on 127.0.0.1:{port} (or [::1]:{port}) and reach it from elsewhere through a tunnel: ssh -L {port}:127.0.0.1:{port} HOST",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error(
        "cannot listen on {address}: {source}; is another `spotter serve` running there? Choose another port with --listen"
    )]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// There is no socket for the live feed.
    #[error(transparent)]
    Feed(#[from] ListenError),
    /// The query engine does not start.
    #[error(transparent)]
    Engine(#[from] QueryError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Serves until `shutdown` is done; running requests then have a few seconds.
///
/// # Errors
/// A [`ServeError`] where it cannot begin. Once it listens, single connections fail, the server does not.
pub async fn serve(config: ServeConfig, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
    let ServeConfig { listen, lake, limits, live, feed_socket, on_ready } = config;
    if !listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(listen));
    }
    let failed = |source| ServeError::Listen { address: listen, source };
    let engine = Engine::open(lake.clone(), limits)?;
    let feed_socket = feed_socket.as_deref().map(UnixSocket::bind).transpose()?;
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (auth, token) = Auth::new().map_err(ServeError::Random)?;
    let link = auth.new_link().map_err(ServeError::Random)?;
    let app = Arc::new(App::new(lake, engine, auth, address.port()).with_live(Arc::clone(&live)));
    let feeds = feed_socket.map(|socket| tokio::spawn(crate::live::listen(socket, Arc::clone(&live))));
    on_ready(Ready {
        address,
        link: format!("http://{address}/?token={}", link.reveal()),
        api_token: token.reveal().to_owned(),
    });
    // Streams have no end of their own.
    let shutdown = async {
        shutdown.await;
        live.close();
    };
    accept(listener, crate::api::router(app), shutdown).await;
    if let Some(feeds) = feeds {
        feeds.abort();
        drop(feeds.await);
    }
    Ok(())
}

async fn accept(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, or the client left already: neither lasts.
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()))
            .with_upgrades();
        let mut stopping = stopping.clone();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopping.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "connection");
            }
            drop(place);
        });
    }
    drop((listener, stop));
    // All places are free when all connections have ended.
    if tokio::time::timeout(GRACE, places.acquire_many(MAX_CONNECTIONS as u32)).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}
