//! The metrics on a unix socket, until the interrupt.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::lake::Lake;
use ui::{Hub, serve_metrics};

/// Serves them. What goes wrong is logged: the rest goes on without.
pub(crate) fn go_on(socket: &Path, hub: &Arc<Hub>, lake: &Lake, interrupt: &AtomicBool) {
    if let Err(error) = serve(socket, hub, lake, interrupt) {
        tracing::error!("metrics: {error:#}");
    }
}

fn serve(socket: &Path, hub: &Arc<Hub>, lake: &Lake, interrupt: &AtomicBool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = async {
            while !interrupt.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            served = serve_metrics(socket, Arc::clone(hub), lake.clone()) => Ok(served?),
            () = stop => Ok(()),
        }
    })
}
