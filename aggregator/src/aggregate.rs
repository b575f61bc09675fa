//! The aggregator: packets and messages in, records out.

use capture::{Message, Nanos, Packet, Sink};

use crate::config::AggregatorConfig;
use crate::record::Records;
use crate::stats::Stats;

/// Turns packets and messages into records. Sans-IO: give it what a decoder says through [`Sink`], tell it
/// the time with [`advance`](Self::advance), and take what it finished.
///
/// Call order: any number of packets, messages and `advance`, with [`take_records`](Self::take_records) in
/// between (once per batch of frames: what is finished is kept until it is taken); then
/// [`finish`](Self::finish) and a last `take_records`.
pub struct Aggregator {
    config: AggregatorConfig,
    records: Records,
    stats: Stats,
}

impl Aggregator {
    /// An empty aggregator.
    pub fn new(config: AggregatorConfig) -> Self {
        Self { config, records: Records::default(), stats: Stats::default() }
    }

    /// Tells the time: what is due at `now` is finished. Packets move the clock too, so a file needs no call;
    /// live capture calls it when no packet came. Times before the latest seen are ignored.
    pub fn advance(&mut self, now: Nanos) {
        let _ = now;
    }

    /// What was finished since the last call, in the order it was finished.
    pub fn take_records(&mut self) -> Records {
        std::mem::take(&mut self.records)
    }

    /// How many records wait to be taken.
    pub fn finished(&self) -> usize {
        self.records.flow.len() + self.records.dns.len() + self.records.proxy.len()
    }

    /// The end of the input: everything still open is finished, with end reason 4.
    pub fn finish(&mut self) {}

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The settings.
    pub const fn config(&self) -> &AggregatorConfig {
        &self.config
    }
}

impl Sink for Aggregator {
    fn packet(&mut self, packet: &Packet) {
        self.stats.packets_in += 1;
        self.stats.bytes_in += u64::from(packet.ip_bytes);
    }

    fn message(&mut self, _message: Message) {}
}
