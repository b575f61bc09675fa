//! `spotter serve`

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::lake::Lake;
use analytics::sql::EngineLimits;
use ui::{ConsoleKeys, Hub, Network, Ready, ServeConfig, Transport};

use crate::appliance::interrupt;
use crate::output::UsedWrongly;

/// Folder of the certificate that is made, in the lake.
pub(crate) const TLS_FOLDER: &str = "tls";

/// Serve the web application over a lake.
///
/// Without accounts (`spotter user add`) it prints a one-time link, which works on this machine only, and a code that makes
/// the first account at /setup. On other addresses it speaks HTTPS: --tls makes a certificate. SIGHUP reads certificates again.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter serve --lake /data/lake\n  spotter serve --listen 127.0.0.1:0                  any free port\n  \
    spotter serve --listen 0.0.0.0:8443 --tls --host spotter.example\n  \
    spotter serve --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem --host spotter.example\n  \
    spotter serve --listen 10.0.0.5:8080 --insecure-behind-proxy 10.0.0.2 --host soc.example"
)]
pub(crate) struct Args {
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8889")]
    listen: SocketAddr,
    /// A host name by which browsers reach it, beside localhost and IP addresses. May be repeated.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// HTTPS with a certificate that is made and kept in LAKE/tls.
    #[arg(long, conflicts_with_all = ["tls_cert", "insecure_behind_proxy"])]
    tls: bool,
    /// HTTPS with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "insecure_behind_proxy")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Plain HTTP for a reverse proxy in this network, which speaks HTTPS to the browsers. Others are turned away. May be
    /// repeated.
    #[arg(long, value_name = "NETWORK")]
    insecure_behind_proxy: Vec<Network>,
    /// Unix socket at which `spotter capture --feed` of this machine reports, for the Live page.
    #[arg(long, value_name = "SOCKET")]
    feed_socket: Option<PathBuf>,
}

/// Where and how the application is served.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// By what connections are protected.
    pub(crate) transport: Transport,
    /// Host names.
    pub(crate) names: Vec<String>,
    /// Unix socket at which captures of other processes report.
    pub(crate) feed_socket: Option<PathBuf>,
}

impl Service {
    /// Plain HTTP on a loopback address.
    pub(crate) fn local(listen: SocketAddr) -> Self {
        Self { listen, transport: Transport::Plain, names: Vec::new(), feed_socket: None }
    }

    /// Refuses what would not be safe.
    pub(crate) fn check(&self) -> Result<(), UsedWrongly> {
        ui::check_transport(self.listen, &self.transport, &self.names).map_err(|error| UsedWrongly(error.to_string()))
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let transport = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Transport::Certificate { chain: chain.clone(), key: key.clone() },
        _ if args.tls => Transport::Generated(args.lake.join(TLS_FOLDER)),
        _ if !args.insecure_behind_proxy.is_empty() => Transport::BehindProxy(args.insecure_behind_proxy.clone()),
        _ => Transport::Plain,
    };
    let service =
        Service { listen: args.listen, transport, names: args.host.clone(), feed_socket: args.feed_socket.clone() };
    service.check()?;
    let lake = Lake::open_existing(&args.lake)?;
    serve(&lake, service, Arc::default(), interrupt::flag()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until the interrupt.
pub(crate) fn serve(lake: &Lake, service: Service, live: Arc<Hub>, interrupt: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Service { listen, transport, names, feed_socket } = service;
    let config = ServeConfig {
        listen,
        transport,
        names,
        lake: lake.clone(),
        limits: EngineLimits::default(),
        live,
        feed_socket,
        on_ready: Box::new(announce),
    };
    let stop = async {
        while !interrupt.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    runtime.block_on(ui::serve(config, stop))?;
    Ok(())
}

/// The link stands alone on its line on standard output, so that a script can read it. What makes the first account is
/// shown here and nowhere else.
fn announce(ready: Ready) {
    let address = format!("{}://{}", ready.scheme, ready.address);
    let mut text = String::new();
    if let Some(ConsoleKeys { link, api_token }) = &ready.console {
        tracing::info!("serving on {address}; the link below works once; Ctrl-C ends");
        text = format!("{link}\nAPI token: {api_token}\n");
    } else {
        tracing::info!("serving on {address}; Ctrl-C ends");
    }
    if let Some(code) = &ready.setup_code {
        tracing::info!("for accounts: {address}/setup and the code {code} (for an hour), or `spotter user add`");
    }
    if let Some(fingerprint) = &ready.fingerprint {
        tracing::info!("certificate SHA-256 {fingerprint}");
    }
    // A reader that has its link and goes (`| head -1`) must not end the server.
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!("the link could not be written to standard output: {error}");
    }
}
