//! New records are scored as they arrive, against the newest kept model; the nightly fit replaces the list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aggregator::lake::{Day, Lake, Source};
use aggregator::state;
use analytics::score::{Live, Looked, ScoreError};

use super::config::ScoreConfig;
use super::nightly;

/// Shortest time between two looks at the lake.
const PAUSE: Duration = Duration::from_secs(2);

/// A look may take this share of the time: a busy day is looked at less often.
const SHARE: u32 = 4;

/// Goes on until the interrupt.
pub(super) fn go_on(lake: &Lake, config: &ScoreConfig, interrupt: &Arc<AtomicBool>) {
    let sources = Source::ALL.into_iter().filter(|s| config.sources.iter().any(|name| name == s.as_str()));
    let mut watched = Vec::new();
    for source in sources {
        match Live::new(nightly::request(config, source, Day::of(state::now()))) {
            Ok(live) => watched.push((source, live)),
            Err(error) => return tracing::error!("scoring of new records: {error}"),
        }
    }
    while !interrupt.load(Ordering::Relaxed) {
        let begin = Instant::now();
        for (source, live) in &mut watched {
            look(lake, *source, live, interrupt);
        }
        super::pause(PAUSE.max(begin.elapsed() * (SHARE - 1)), interrupt);
    }
}

fn look(lake: &Lake, source: Source, live: &mut Live, interrupt: &Arc<AtomicBool>) {
    let name = source.as_str();
    let mut shown = crate::score::Shown::new(interrupt, format!("{name} now"));
    match live.look(lake, Day::of(state::now()), &mut shown) {
        Ok(Looked::Published { records, kept }) => {
            tracing::debug!("{records} new {name} records scored, {kept} listed")
        }
        Ok(_) => {}
        Err(ScoreError::Changed { .. }) => {
            tracing::debug!("{name}: parts were replaced meanwhile; the day is begun anew")
        }
        Err(_) if interrupt.load(Ordering::Relaxed) => {}
        Err(error) => tracing::error!("scoring of new {name} records: {error}"),
    }
    shown.bar.finish_and_clear();
}
