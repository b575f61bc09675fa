//! The listener: what it may be reached by, so many connections, and an orderly end.

mod accept;
mod patient;
mod proxy;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::lake::Lake;
use analytics::sql::{Engine, EngineLimits, QueryError};
use tokio::net::TcpListener;

use crate::app::{App, Parts};
use crate::door::{Console, Site};
use crate::live::{Hub, ListenError, UnixSocket};
use crate::problem::ApiError;

pub use proxy::{Network, NetworkError};
pub use tls::TlsError;

/// How often the newest audit entry is noted in the ledger.
const NOTE_EVERY: Duration = Duration::from_secs(600);

/// By what connections are protected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// HTTP. Only on loopback.
    Plain,
    /// HTTPS with a certificate that is made, and made anew before it expires, in this folder.
    Generated(PathBuf),
    /// HTTPS with a certificate of one's own. Read again at SIGHUP.
    Certificate {
        /// PEM: the certificate, then those that vouch for it.
        chain: PathBuf,
        /// PEM: its private key.
        key: PathBuf,
    },
    /// HTTP from a reverse proxy that speaks HTTPS to the browsers. Others than these networks are turned away; what
    /// they say in X-Forwarded-For is believed.
    BehindProxy(Vec<Network>),
}

/// How to run.
pub struct ServeConfig {
    /// Where to listen; port 0 takes a free one. Without protection only a loopback address.
    pub listen: SocketAddr,
    /// By what connections are protected.
    pub transport: Transport,
    /// Host names in the browsers' addresses, beside `localhost` and IP addresses.
    pub names: Vec<String>,
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
            .field("transport", &self.transport)
            .field("lake", &self.lake.dir())
            .finish_non_exhaustive()
    }
}

/// The server listens.
#[derive(Clone)]
pub struct Ready {
    /// Where.
    pub address: SocketAddr,
    /// `http` or `https`, as browsers say it.
    pub scheme: &'static str,
    /// While there are no accounts and only this machine can connect: what opens the door.
    pub console: Option<ConsoleKeys>,
    /// While there are no accounts: makes the first one at `/setup`, once, within an hour.
    pub setup_code: Option<String>,
    /// SHA-256 of the certificate, to compare with what the browser shows.
    pub fingerprint: Option<String>,
}

/// What opens the door for whoever started the server.
#[derive(Clone)]
pub struct ConsoleKeys {
    /// Opens the application, once. `POST /api/v1/links` with the API token makes another one.
    pub link: String,
    /// For scripts: `Authorization: Bearer <api_token>`.
    pub api_token: String,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("address", &self.address).field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not on loopback, and nothing protects the connections.
    #[error(
        "refusing to serve plain HTTP on {0}: passwords and records would cross the network unprotected. \
         Give --tls (a certificate is made), --tls-cert and --tls-key, or, behind a reverse proxy that speaks HTTPS, \
         --insecure-behind-proxy NETWORK; or listen on 127.0.0.1:{port} and use a tunnel: ssh -L {port}:127.0.0.1:{port} HOST",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// A proxy has to be named, and the names it is reached by.
    #[error("behind a proxy the host names in the browsers' addresses have to be known: give --host NAME")]
    NoNames,
    /// A lake that cannot be written keeps no accounts.
    #[error("this lake cannot be written, so there can be no accounts: it is served on loopback only")]
    ReadOnly,
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
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no socket for the live feed.
    #[error(transparent)]
    Feed(#[from] ListenError),
    /// The query engine does not start.
    #[error(transparent)]
    Engine(#[from] QueryError),
    /// The state database does not open the door.
    #[error("accounts cannot be read: {0}")]
    State(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl From<ApiError> for ServeError {
    fn from(error: ApiError) -> Self {
        Self::State(error.to_string())
    }
}

/// May this be served? Says why not before anything is begun.
///
/// # Errors
/// [`ServeError::NotLoopback`], [`ServeError::NoNames`].
pub fn check_transport(listen: SocketAddr, transport: &Transport, names: &[String]) -> Result<(), ServeError> {
    match transport {
        Transport::Plain if !listen.ip().is_loopback() => Err(ServeError::NotLoopback(listen)),
        Transport::BehindProxy(_) if names.is_empty() => Err(ServeError::NoNames),
        _ => Ok(()),
    }
}

/// Serves until `shutdown` is done; running requests then have a few seconds.
///
/// # Errors
/// A [`ServeError`] where it cannot begin. Once it listens, single connections fail, the server does not.
pub async fn serve(config: ServeConfig, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
    let ServeConfig { listen, transport, names, lake, limits, live, feed_socket, on_ready } = config;
    check_transport(listen, &transport, &names)?;
    let is_local = listen.ip().is_loopback() && !matches!(transport, Transport::BehindProxy(_));
    if !lake.is_writable() && !is_local {
        return Err(ServeError::ReadOnly);
    }
    let failed = |source| ServeError::Listen { address: listen, source };
    let engine = Engine::open(lake.clone(), limits)?;
    let feed_socket = feed_socket.as_deref().map(UnixSocket::bind).transpose()?;
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let tls = tls::Tls::of(&transport, &names, address.ip())?;
    let site = site(&transport, &names, address);
    let scheme = site.scheme;
    let (console, token) = Console::new().map_err(ServeError::Random)?;
    let app = App::new(Parts { lake: lake.clone(), engine, console, site, port: address.port() })?;
    let app = Arc::new(app.with_live(Arc::clone(&live)));
    let feeds = feed_socket.map(|socket| tokio::spawn(crate::live::listen(socket, Arc::clone(&live))));

    let is_set_up = app.blocking(|lake| Ok(lake.state().has_admin()?)).await?;
    let mut ready = Ready {
        address,
        scheme,
        console: None,
        setup_code: None,
        fingerprint: tls.as_ref().and_then(tls::Tls::fingerprint),
    };
    if !is_set_up && is_local {
        let link = app.console.new_link().map_err(ServeError::Random)?;
        let link = format!("{scheme}://{address}/?token={}", link.reveal());
        ready.console = Some(ConsoleKeys { link, api_token: token.reveal().to_owned() });
    }
    if !is_set_up && lake.is_writable() {
        ready.setup_code = Some(app.setup.new_code(Instant::now()).map_err(ServeError::Random)?);
    }
    on_ready(ready);

    let noting = tokio::spawn(note_audit(Arc::clone(&app)));
    let reloading = tls.clone().map(|tls| tokio::spawn(tls::reload_at_hangup(tls)));
    let proxies = match transport {
        Transport::BehindProxy(networks) => Some(networks),
        _ => None,
    };
    // Streams have no end of their own.
    let shutdown = async {
        shutdown.await;
        live.close();
    };
    accept::accept(listener, crate::api::router(Arc::clone(&app)), tls, proxies, shutdown).await;
    noting.abort();
    if let Some(feeds) = feeds {
        feeds.abort();
        drop(feeds.await);
    }
    if let Some(reloading) = reloading {
        reloading.abort();
    }
    note_head(&app).await;
    Ok(())
}

fn site(transport: &Transport, names: &[String], address: SocketAddr) -> Site {
    let is_loopback = address.ip().is_loopback();
    let names = names.to_vec();
    match transport {
        Transport::Plain => Site { names, ..Site::loopback(address.port()) },
        Transport::Generated(_) | Transport::Certificate { .. } => {
            Site { scheme: "https", port: Some(address.port()), names, any_address: !is_loopback }
        }
        Transport::BehindProxy(_) => Site { scheme: "https", port: None, names, any_address: false },
    }
}

async fn note_audit(app: Arc<App>) {
    loop {
        tokio::time::sleep(NOTE_EVERY).await;
        note_head(&app).await;
    }
}

/// Notes the newest audit entry in the ledger, if it is not noted yet.
async fn note_head(app: &App) {
    let noted = app.blocking(|lake| {
        const KEY: &str = "audit.noted";
        let state = lake.state();
        let Some(head) = state.audit_head()?.filter(|_| lake.is_writable()) else { return Ok(()) };
        if state.setting(KEY)?.as_deref() != Some(&head.hash) {
            lake.write_audit_head()?;
            state.set_setting(KEY, &head.hash)?;
        }
        Ok(())
    });
    if let Err(error) = noted.await {
        tracing::error!(%error, "the head of the audit log could not be written to the ledger");
    }
}
