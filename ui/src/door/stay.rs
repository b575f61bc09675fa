//! Who stays: an answer that goes on for hours ends when its caller would no longer be let in.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::task::JoinHandle;

use super::caller::Caller;
use super::role::Least;
use super::session::{Asks, Credential, identify};
use crate::app::Shared;

/// How often it is asked whether the caller is still let in.
const EVERY: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(5) };

/// Watches the session or token that a long answer began with: logged out, revoked, expired, idle too long, its account
/// disabled or of too low a role. Dropping it ends the watch.
pub(crate) struct Stay(JoinHandle<()>);

impl Stay {
    /// Begins to watch. `least`: what the answer asks of its caller.
    pub(crate) fn watch(app: &Shared, headers: &HeaderMap, caller: &Caller, least: Least) -> Self {
        let (app, address) = (Shared::clone(app), caller.address);
        let credential = Credential::of(headers, &app.cookie_name());
        Self(tokio::spawn(async move {
            let Some(credential) = credential else { return };
            loop {
                tokio::time::sleep(EVERY).await;
                let (of, asked) = (Shared::clone(&app), credential.clone());
                let found =
                    app.blocking(move |lake| Ok(identify(lake, &of.console, &asked, address, Asks::Still)?)).await;
                match found {
                    Ok(Some(caller)) if caller.may(least) => {}
                    Ok(_) => return,
                    Err(error) => {
                        tracing::warn!(%error, "a session could not be looked up: its stream ends");
                        return;
                    }
                }
            }
        }))
    }

    /// Waits until the caller has to leave. May be dropped and called again.
    pub(crate) async fn ended(&mut self) {
        if !self.0.is_finished() {
            // How it ended does not matter: a watch that broke ends the stream too.
            let _ = (&mut self.0).await;
        }
    }

    /// Does the caller have to leave?
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.abort();
    }
}
