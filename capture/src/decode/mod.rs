//! From frames to packets: link layers, tags, tunnels, IP, fragments.
//!
//! Plain traffic goes through [`probe_common`]'s parser in a few nanoseconds (`hot`); what that declines
//! goes through the layers one by one (`levels`). Both make the same [`Packet`] of the same bytes.

mod cause;
mod counters;
mod ethernet;
mod fragment;
mod hot;
mod ip;
mod layers;
mod levels;
mod link;
mod mpls;
mod place;
mod ppp;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod transport;
mod tunnel;
mod view;
mod wlan;

use crate::app::{AppConfig, AppDecoder};
use crate::{Fate, Frame, Nanos, Packet, Sink};

use probe_common::protocol::{TCP, UDP};

pub use place::Place;

use counters::Counters;
use fragment::{Datagram, Fragments};
use layers::Layer;
use levels::Levels;
use view::View;

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
    /// Which IP header of a tunnelled packet makes the [`Packet`]. Application messages are read from
    /// the innermost payload either way.
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

/// Datagrams that one frame may complete inside each other.
const MAX_NESTED_DATAGRAMS: usize = 4;

/// Reads frames; the crate documentation says what it promises.
///
/// Memory: [`DecoderConfig::max_fragment_bytes`] and some 300 bytes for each of
/// [`DecoderConfig::max_fragmented`], besides what the application decoders hold.
pub struct Decoder {
    tunnels: Tunnels,
    max_tunnel_depth: u8,
    app: AppDecoder,
    fragments: Fragments,
    counters: Counters,
    now: Nanos,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    pub fn new(config: DecoderConfig) -> Self {
        let DecoderConfig { tunnels, max_tunnel_depth, max_fragmented, max_fragment_bytes, fragment_timeout, app } =
            config;
        Self {
            tunnels,
            max_tunnel_depth,
            app: AppDecoder::new(app),
            fragments: Fragments::new(max_fragmented, max_fragment_bytes, fragment_timeout),
            counters: Counters::default(),
            now: Nanos(0),
        }
    }

    /// Reads one frame: gives `sink` its packet, then the messages it completed.
    ///
    /// A frame without a time gets that of the frame before it; before the first time it is 0.
    #[inline]
    pub fn handle_frame(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) -> Fate {
        match frame.ts {
            Some(ts) => self.now = ts,
            None => self.counters.frames_without_time += 1,
        }
        self.counters.frames_cut += u64::from(frame.data.len() < frame.wire_len as usize);
        if self.fragments.overdue(self.now) {
            self.expire_fragments(Some(self.now), sink);
        }
        if let Some((mut packet, payload)) = hot::packet(frame, self.now) {
            let payload = frame.data.get(payload).unwrap_or_default();
            let transport = matches!(packet.pair.proto, TCP | UDP);
            if transport {
                packet.service = self.app.recognise(&packet, payload);
            }
            sink.packet(&packet);
            if transport {
                self.read_payload(&packet, payload, frame.wire_len, sink);
            }
            return Fate::Received { ip_bytes: packet.ip_bytes };
        }
        self.handle_in_full(frame, sink)
    }

    /// Reads a transport payload that another decoder's sink took ([`Sink::payload`]). The packet itself was
    /// counted there.
    pub fn handle_payload_of(&mut self, packet: &Packet, payload: &[u8], frame_len: u32, sink: &mut impl Sink) {
        self.app.handle_payload(packet, payload, frame_len, sink);
    }

    /// Packets whose tunnel was entered elsewhere, for the counters.
    pub const fn counted_in_tunnels(&mut self, packets: u64) {
        self.counters.tunnelled += packets;
    }

    /// Time has come to `now` without frames: gives out what was held back for too long. Live capture calls it
    /// now and then; frames bring the time along by themselves.
    pub fn advance(&mut self, now: Nanos, sink: &mut impl Sink) {
        if self.fragments.overdue(now) {
            self.expire_fragments(Some(now), sink);
        }
        self.app.advance(now, sink);
    }

    /// End of input: gives out what was still held back.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.expire_fragments(None, sink);
        self.app.finish(sink);
    }

    /// What was met on the way: ledger counter name and count. Fates are not in it: who calls
    /// [`handle_frame`](Self::handle_frame) counts them.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = self.counters.list();
        list.extend(self.app.counters());
        list
    }

    fn handle_in_full(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) -> Fate {
        self.counters.full_decode += 1;
        let wire = (frame.wire_len as usize).max(frame.data.len());
        let view = View { data: frame.data, wire };
        let mut levels = match self.levels(Layer::LinkType(frame.link), view) {
            Ok(levels) => levels,
            Err(cause) => return cause.fate(),
        };
        let mut packet = match self.tunnels {
            Tunnels::Inner => levels.inner,
            Tunnels::Outer => levels.outer,
        };
        // A flow of tunnel packets has no application protocol of its own.
        if self.tunnels == Tunnels::Inner || levels.depth == 0 {
            packet.service = self.app.recognise(&levels.inner, levels.payload);
        }
        sink.packet(&packet);
        self.handle_levels(&levels, frame.wire_len, sink);
        if let Some(datagram) = levels.completed.take() {
            self.handle_datagram(datagram, frame.wire_len, sink);
        }
        Fate::Received { ip_bytes: packet.ip_bytes }
    }

    /// Hands a whole payload to the application decoders.
    fn handle_levels(&mut self, levels: &Levels<'_>, frame_len: u32, sink: &mut impl Sink) {
        if levels.readable {
            let service = self.app.recognise(&levels.inner, levels.payload);
            let packet = Packet { service, ..levels.inner };
            self.read_payload(&packet, levels.payload, frame_len, sink);
        }
    }

    /// Hands a payload to the sink, if it wants it, else to the application decoders.
    #[inline]
    fn read_payload(&mut self, packet: &Packet, payload: &[u8], frame_len: u32, sink: &mut impl Sink) {
        if !sink.payload(packet, payload, frame_len) {
            self.app.handle_payload(packet, payload, frame_len, sink);
        }
    }

    /// Reads a datagram put together from fragments, for the application decoders: its packets have
    /// been counted one by one.
    fn handle_datagram(&mut self, datagram: Datagram, frame_len: u32, sink: &mut impl Sink) {
        let mut next = Some(datagram);
        for _ in 0..MAX_NESTED_DATAGRAMS {
            let Some(datagram) = next.take() else { return };
            let mut levels = self.datagram_levels(&datagram);
            self.handle_levels(&levels, frame_len, sink);
            next = levels.completed.take();
        }
    }

    #[cold]
    fn expire_fragments(&mut self, now: Option<Nanos>, sink: &mut impl Sink) {
        while let Some(datagram) = self.fragments.expire(now, &mut self.counters) {
            let frame_len = datagram.first.ip_bytes;
            // What is given up late was still said then.
            let now = std::mem::replace(&mut self.now, datagram.first.ts);
            self.handle_datagram(datagram, frame_len, sink);
            self.now = now;
        }
    }
}
