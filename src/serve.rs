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
use ui::{Hub, Ready, ServeConfig};

use crate::appliance::interrupt;
use crate::output::UsedWrongly;

/// Serve the web application over a lake. Prints a one-time link.
///
/// Loopback only: there are no accounts yet. From another machine: ssh -L 8889:127.0.0.1:8889 SENSOR
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter serve --lake /data/lake\n  spotter serve --listen 127.0.0.1:0      any free port"
)]
pub(crate) struct Args {
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// A loopback address and port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8889")]
    listen: SocketAddr,
    /// Unix socket at which `spotter capture --feed` of this machine reports, for the Live page.
    #[arg(long, value_name = "SOCKET")]
    feed_socket: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() {
        return Err(UsedWrongly(ui::ServeError::NotLoopback(args.listen).to_string()).into());
    }
    let lake = Lake::open_existing(&args.lake)?;
    serve(&lake, args.listen, Arc::default(), args.feed_socket.clone(), interrupt::flag()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until the interrupt.
pub(crate) fn serve(
    lake: &Lake,
    listen: SocketAddr,
    live: Arc<Hub>,
    feed_socket: Option<PathBuf>,
    interrupt: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let config = ServeConfig {
        listen,
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

/// The link stands alone on its line on standard output, so that a script can read it.
fn announce(ready: Ready) {
    tracing::info!("serving on {}; the link below works once; Ctrl-C ends", ready.address);
    let text = format!("{}\nAPI token: {}\n", ready.link, ready.api_token);
    // A reader that has its link and goes (`| head -1`) must not end the server.
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!("the link could not be written to standard output: {error}");
    }
}
