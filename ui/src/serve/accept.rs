//! Connections: how many, from whom, in TLS or not, and their end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::Service;

use super::patient::{Patient, WRITE_TIMEOUT};
use super::proxy::{Network, client};
use super::tls::Tls;
use crate::door::Peer;

/// Connections at a time; the next ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// Of them those of one address that is neither this machine's nor a trusted proxy's.
const MAX_PER_SOURCE: usize = 32;
/// Time a client has to send its request's head; an idle connection is closed after it too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEAD: usize = 32 << 10;
/// Fields of a request's head.
const MAX_FIELDS: usize = 64;
/// Time that running requests have when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How many connections each address has.
#[derive(Default)]
struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// A connection of an address; counted until it is dropped.
struct Counted {
    sources: Arc<Sources>,
    address: IpAddr,
}

impl Sources {
    fn count(self: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(address).or_default();
        if *count >= MAX_PER_SOURCE && !address.is_loopback() {
            return None;
        }
        *count += 1;
        Some(Counted { sources: Arc::clone(self), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut sources = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.address);
            }
        }
    }
}

/// What each connection shares.
struct Shared {
    router: Router,
    tls: Option<Tls>,
    proxies: Option<Vec<Network>>,
    stop: watch::Receiver<bool>,
}

/// Accepts connections until `shutdown` is done, then waits for those that run, for a while.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    proxies: Option<Vec<Network>>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let sources = Arc::new(Sources::default());
    let (stopping, stop) = watch::channel(false);
    let shared = Arc::new(Shared { router, tls, proxies, stop });
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
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // Out of descriptors, or the client left already: neither lasts.
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let is_proxy = shared.proxies.as_ref().map(|networks| networks.iter().any(|network| network.contains(peer)));
        let counted = match is_proxy {
            Some(true) => None,
            Some(false) => {
                tracing::warn!(%peer, "turned away: it is no trusted proxy");
                continue;
            }
            None => match sources.count(peer) {
                Some(counted) => Some(counted),
                None => {
                    tracing::debug!(%peer, "turned away: it has too many connections");
                    continue;
                }
            },
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            match shared.tls.as_ref().map(Tls::acceptor) {
                None => connection(&shared, stream, peer).await,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection(&shared, stream, peer).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake"),
                    Err(_) => tracing::debug!(%peer, "the handshake took too long"),
                },
            }
            drop((place, counted));
        });
    }
    drop(listener);
    let _ = stopping.send(true);
    let all = places.acquire_many(u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX));
    if tokio::time::timeout(GRACE, all).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

async fn connection(shared: &Shared, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: IpAddr) {
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        let address = match &shared.proxies {
            Some(trusted) => client(peer, trusted, request.headers()),
            None => peer,
        };
        request.extensions_mut().insert(Peer(address));
        let mut router = shared.router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut stop = shared.stop.clone();
    let stopping = async {
        // An error means that the listener has gone: it stops too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection");
    }
}
