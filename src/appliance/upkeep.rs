//! Merging small files and expiring old hours, every `lake.maintenance_every`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::lake::{CompactOptions, Lake, RetainOptions};
use aggregator::state;

use super::config::LakeConfig;

/// Hours written to within this time are left alone by compaction.
const QUIET: Duration = Duration::from_secs(300);

/// Goes on until the interrupt.
pub(super) fn go_on(lake: &Lake, config: &LakeConfig, interrupt: &AtomicBool) {
    while !interrupt.load(Ordering::Relaxed) {
        once(lake, config);
        super::pause(config.maintenance_every.0, interrupt);
    }
}

fn once(lake: &Lake, config: &LakeConfig) {
    // Retention first: what expires need not be merged, and a full disk gets room.
    let retain = RetainOptions {
        max_age: config.max_age.map(|age| age.0),
        max_bytes: config.max_bytes.map(|bytes| bytes.as_u64()),
        now: state::now(),
    };
    if let Err(error) = lake.note_retention(&retain) {
        tracing::error!("retention: what it was told is not shown: {error}");
    }
    match lake.retain(&retain) {
        Ok(done) if done.parts > 0 => tracing::info!("retention removed {} files, {} rows", done.parts, done.rows),
        Ok(_) => {}
        Err(error) => tracing::error!("retention: {error}"),
    }
    let compact =
        CompactOptions { target_bytes: config.compact_to.as_u64(), ..CompactOptions::new(state::now(), QUIET) };
    match lake.compact(&compact) {
        Ok(done) if done.parts_before > 0 => {
            tracing::info!("compaction merged {} files into {}", done.parts_before, done.parts_after);
        }
        Ok(_) => {}
        Err(error) => tracing::error!("compaction: {error}"),
    }
}
