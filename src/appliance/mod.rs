//! The appliance: everything `spotter run` keeps going, from one configuration: watched folders, compaction,
//! retention, the nightly fit and the web application.
//!
//! Promises: SIGINT or SIGTERM ends it cleanly (the file in work is abandoned whole, and is read again at the next
//! start); a failing part is logged, tried again, and does not take the others down.

pub(crate) mod capture;
pub(crate) mod collect;
pub(crate) mod config;
pub(crate) mod forward;
pub(crate) mod interrupt;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
mod live;
pub(crate) mod metrics;
mod nightly;
mod schedule;
mod upkeep;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::capture::keeper::Keeper;
use aggregator::feed::Feed;
use aggregator::lake::Lake;
use config::Config;

/// Runs until the interrupt. Captures are opened by the keeper.
pub(crate) fn run(config: &Config, keeper: Option<&Keeper>, interrupt: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let missing = config.missing_on_this_machine();
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("\n"));
    let lake = Lake::open(&config.lake.dir)?;
    let (watched, captured, collected) = (config.watch.len(), config.capture.len(), config.collect.len());
    tracing::info!(
        "lake {}, {watched} watched folders, {captured} captures, {collected} collectors",
        lake.dir().display()
    );
    let live: Arc<ui::Hub> = Arc::default();
    let home = Arc::new(config.network.home()?);
    let feed = |source: &str| Feed { source: source.to_owned(), home: Arc::clone(&home), to: Arc::clone(&live) as _ };
    std::thread::scope(|scope| {
        let lake = &lake;
        for (capture, keeper) in config.capture.iter().zip(keeper.into_iter().cycle()) {
            let feed = feed(&capture.name);
            scope.spawn(move || capture::go_on(lake, config, (capture, keeper), &feed, interrupt));
        }
        for collector in &config.collect {
            scope.spawn(move || collect::go_on(lake, config, collector, interrupt));
        }
        #[cfg(feature = "kafka")]
        for kafka in &config.kafka {
            scope.spawn(move || kafka::go_on(lake, config, kafka, interrupt));
        }
        for output in &config.output {
            scope.spawn(move || forward::go_on(lake, config, output, interrupt));
        }
        for watched in &config.watch {
            let feed = feed(&watched.name);
            scope.spawn(move || watch::follow(lake, config, watched, feed, interrupt));
        }
        scope.spawn(|| upkeep::go_on(lake, &config.lake, interrupt));
        if config.score.enabled {
            scope.spawn(|| nightly::go_on(lake, &config.score, &config.rules, interrupt));
            if config.score.live {
                scope.spawn(|| live::go_on(lake, &config.score, interrupt));
            }
        }
        if let Some(socket) = &config.metrics.socket {
            let live = Arc::clone(&live);
            scope.spawn(move || metrics::go_on(socket, &live, lake, interrupt));
        }
        let served = if config.ui.enabled {
            crate::serve::serve(lake, config.ui.service(&config.lake.dir), Arc::clone(&live), interrupt)
        } else {
            wait(interrupt)
        };
        // Whatever ended the web application ends the rest.
        interrupt.store(true, Ordering::Relaxed);
        served
    })
}

fn wait(interrupt: &AtomicBool) -> anyhow::Result<()> {
    while !interrupt.load(Ordering::Relaxed) {
        pause(Duration::from_secs(3600), interrupt);
    }
    Ok(())
}

/// Sleeps, unless and until the interrupt comes.
fn pause(time: Duration, interrupt: &AtomicBool) {
    let end = Instant::now() + time;
    while !interrupt.load(Ordering::Relaxed) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100).min(end.saturating_duration_since(Instant::now())));
    }
}
