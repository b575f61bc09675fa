//! Tests of the decoder: packets made by hand from the specifications.

mod fragments;
mod hot;
mod links;
mod lying;
mod make;
mod tunnels;

use super::*;
use crate::{LinkType, Message};

/// Keeps what it is given.
#[derive(Default)]
pub(super) struct Keep {
    pub(super) packets: Vec<Packet>,
    pub(super) messages: Vec<Message>,
}

impl Sink for Keep {
    fn packet(&mut self, packet: &Packet) {
        self.packets.push(*packet);
    }

    fn message(&mut self, message: Message) {
        self.messages.push(message);
    }
}

pub(super) fn decoder(tunnels: Tunnels) -> Decoder {
    Decoder::new(DecoderConfig { tunnels, ..DecoderConfig::default() })
}

pub(super) fn frame(link: u16, data: &[u8]) -> Frame<'_> {
    Frame { ts: Some(Nanos(1_000_000_000)), wire_len: data.len() as u32, data, link: LinkType(link) }
}

/// The packet of one frame alone, or its fate.
pub(super) fn one(tunnels: Tunnels, frame: &Frame<'_>) -> Result<Packet, Fate> {
    let mut keep = Keep::default();
    let fate = decoder(tunnels).handle_frame(frame, &mut keep);
    match (keep.packets.as_slice(), fate) {
        ([packet], Fate::Received { ip_bytes }) if ip_bytes == packet.ip_bytes => Ok(*packet),
        ([], Fate::NotIp(_) | Fate::Malformed(_)) => Err(fate),
        other => panic!("a fate and its packets: {other:?}"),
    }
}

pub(super) fn count(decoder: &Decoder, name: &str) -> u64 {
    decoder.counters().into_iter().find(|(n, _)| *n == name).unwrap().1
}
