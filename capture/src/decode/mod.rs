//! From frames to packets: link layers, tags, tunnels, IP, fragments.

use crate::app::{AppConfig, AppDecoder};
use crate::{Fate, Frame, Nanos, Sink};

/// Which IP header of a tunnelled packet is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tunnels {
    /// The innermost that can be read.
    #[default]
    Inner,
    /// The outermost.
    Outer,
}

/// Settings and bounds of a [`Decoder`].
#[derive(Clone, Debug)]
pub struct DecoderConfig {
    /// Which IP header of a tunnelled packet makes the [`Packet`](crate::Packet). Application messages
    /// are read from the innermost payload either way.
    pub tunnels: Tunnels,
    /// Tunnels entered in one frame, at most.
    pub max_tunnel_depth: u8,
    /// Fragmented datagrams kept track of at a time.
    pub max_fragmented: usize,
    /// Bytes of fragments held for reassembly, in all.
    pub max_fragment_bytes: usize,
    /// How long (packet time) a fragmented datagram is kept track of.
    pub fragment_timeout: Nanos,
    /// Bounds of the application decoders.
    pub app: AppConfig,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            tunnels: Tunnels::Inner,
            max_tunnel_depth: 8,
            max_fragmented: 4096,
            max_fragment_bytes: 16 << 20,
            fragment_timeout: Nanos(30_000_000_000),
            app: AppConfig::default(),
        }
    }
}

/// Reads frames; the crate documentation says what it promises.
pub struct Decoder {
    config: DecoderConfig,
    app: AppDecoder,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    pub fn new(config: DecoderConfig) -> Self {
        let app = AppDecoder::new(config.app.clone());
        Self { config, app }
    }

    /// Reads one frame: gives `sink` its packet, then the messages it completed.
    pub fn handle_frame(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) -> Fate {
        let _ = (frame, sink, &self.config);
        Fate::NotIp("not_ip_link_type")
    }

    /// End of input: gives out what was still held back.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.app.finish(sink);
    }

    /// What was met on the way: ledger counter name and count. Fates are not in it: who calls
    /// [`handle_frame`](Self::handle_frame) counts them.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.app.counters()
    }
}
