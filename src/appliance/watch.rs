//! One watched folder: imports what is there and what arrives, until the interrupt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::feed::Feed;
use aggregator::import::{FileReport, ImportOptions, Input, Originals, Progress, import};
use aggregator::lake::Lake;
use capture::duplicate::Duplicates;

use super::config::{Config, WatchConfig};

/// How long a lake that cannot be written (disk full) is left before the next try.
const RETRY: Duration = Duration::from_secs(10);

/// Settings of an import by the configuration.
pub(super) fn import_options(config: &Config, watch: &WatchConfig) -> ImportOptions {
    let mut options = ImportOptions::new(watch.sensor.as_ref().unwrap_or(&config.lake.sensor));
    options.decoder.tunnels = config.flow.tunnels.into();
    options.timeouts.active = config.flow.active_timeout.0;
    options.timeouts.idle_tcp = config.flow.tcp_idle_timeout.0;
    options.timeouts.idle_other = config.flow.idle_timeout.0;
    options.limits.max_flows = config.flow.max_flows as usize;
    options.vlan_in_key = config.flow.vlan_in_key;
    options.duplicates = if watch.deduplicate { Duplicates::Remove } else { Duplicates::Count };
    // Checked with the configuration; what became of the file since then is told by the first log it should read.
    options.mapping = watch.mapping.as_deref().and_then(|path| match crate::import::mapping(path) {
        Ok(mapping) => Some(mapping),
        Err(error) => {
            tracing::error!("watch \"{}\": {error}; logs are told by their content", watch.name);
            None
        }
    });
    options.originals = if config.lake.keep_originals { Originals::Keep } else { Originals::Leave };
    options
}

/// Follows the folder. A lake that cannot be written is tried again: nothing is lost but time, since a file that
/// is not in the lake is still in the folder.
pub(super) fn follow(lake: &Lake, config: &Config, watch: &WatchConfig, feed: Feed, interrupt: &AtomicBool) {
    let mut options = import_options(config, watch);
    options.feed = Some(feed);
    let inputs = [Input::Watch(watch.dir.clone())];
    while !interrupt.load(Ordering::Relaxed) {
        tracing::info!("watch \"{}\": {}", watch.name, watch.dir.display());
        match import(lake, &inputs, &options, interrupt, &mut Told { name: &watch.name }) {
            Ok(_) => return,
            Err(error) => {
                tracing::error!("watch \"{}\": {error}; trying again in {} s", watch.name, RETRY.as_secs());
                super::pause(RETRY, interrupt);
            }
        }
    }
}

/// A log line for each file.
struct Told<'a> {
    name: &'a str,
}

impl Progress for Told<'_> {
    fn file(&mut self, report: &FileReport) {
        let span = tracing::info_span!("watch", name = self.name);
        span.in_scope(|| crate::import::tell(report));
    }
}
