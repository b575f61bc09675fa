//! DHCPv6 (RFC 8415): messages of clients and servers, and those that relays put them into.

use std::net::{IpAddr, Ipv6Addr};

use super::{Damage, ENDS_EARLY, MAX_ADDRESSES, MAX_TEXT, OPTION_LENGTH, OVER_LIMIT, TRUNCATED, ethernet};
use crate::{DhcpAddress, DhcpMessage, IpVersion, Packet};

/// Relays that are unpacked: HOP_COUNT_LIMIT (RFC 8415 7.6).
pub(super) const MAX_RELAYS: usize = 8;

/// More relays than [`MAX_RELAYS`].
const RELAY_DEPTH: &str = "relay_depth";
/// A relay's message that carries none.
const NO_RELAY_MESSAGE: &str = "no_relay_message";

const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;
/// The last message type that IANA has given.
const LAST_TYPE: u8 = 36;

/// Octets of a relay's message before its options.
const RELAY_HEADER: usize = 34;

/// Reads a message; `cut`: its end was not captured.
pub(super) fn read(packet: &Packet, payload: &[u8], cut: bool) -> Option<(DhcpMessage, u64)> {
    let kind = *payload.first().filter(|kind| matches!(**kind, 1..=LAST_TYPE))?;
    let is_relay = matches!(kind, RELAY_FORWARD | RELAY_REPLY);
    if payload.len() < if is_relay { RELAY_HEADER } else { 4 } {
        return None;
    }
    let mut reader = Reader {
        message: DhcpMessage::empty(IpVersion::V6),
        damage: Damage::default(),
        end_damage: if cut { TRUNCATED } else { ENDS_EARLY },
        left_out: 0,
    };
    let relayed = reader.relays(payload);
    let Reader { message, .. } = &mut reader;
    // ADVERTISE, REPLY, RECONFIGURE, and what a relay is told to hand on.
    message.from_server = relayed.map_or(kind == RELAY_REPLY, |inner| matches!(inner.first(), Some(2 | 7 | 10)));
    message.message_type = kind;
    if let Some(inner) = relayed {
        reader.inner(inner);
    }
    if !is_relay {
        reader.direct(packet);
    }
    if reader.message.mac.is_none() {
        reader.message.mac = reader.message.client_id.as_deref().and_then(mac_of_duid);
    }
    reader.message.damage = reader.damage.0;
    Some((reader.message, reader.left_out))
}

struct Reader {
    message: DhcpMessage,
    damage: Damage,
    /// How it is called if the octets end too early.
    end_damage: &'static str,
    left_out: u64,
}

/// An option: code and octets.
type Entry<'a> = (u16, &'a [u8]);

impl Reader {
    /// Unpacks what relays put around a message. `None` if there is none in it.
    fn relays<'a>(&mut self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let mut at = payload;
        for depth in 0.. {
            if !matches!(at.first(), Some(&(RELAY_FORWARD | RELAY_REPLY))) {
                return Some(at);
            }
            if depth == MAX_RELAYS {
                self.damage.note(RELAY_DEPTH);
                return None;
            }
            let Some((header, options)) = at.split_first_chunk::<RELAY_HEADER>() else {
                self.damage.note(self.end_damage);
                return None;
            };
            let (_, addresses) = header.split_at(2);
            let (link, peer) = addresses.split_at(16);
            // Of several the innermost is nearest to the client.
            self.message.client_addr = address(peer).or(self.message.client_addr);
            self.message.relay_addr = address(link).or(self.message.relay_addr);
            let mut inner = None;
            self.options(options, &mut |this, (code, octets)| match code {
                9 if inner.is_none() => inner = Some(octets),
                // Client Link-Layer Address (RFC 6939).
                79 => {
                    if let Some((&[t0, t1], mac)) = octets.split_first_chunk::<2>() {
                        this.message.mac = ethernet(u16::from_be_bytes([t0, t1]), mac);
                    }
                }
                _ => (),
            });
            let Some(inner) = inner else {
                self.damage.note(NO_RELAY_MESSAGE);
                return None;
            };
            at = inner;
        }
        None
    }

    /// The message of a client or server.
    fn inner(&mut self, message: &[u8]) {
        let Some((&[kind, x0, x1, x2], options)) = message.split_first_chunk::<4>() else {
            self.damage.note(self.end_damage);
            return;
        };
        self.message.message_type = kind;
        self.message.xid = u32::from_be_bytes([0, x0, x1, x2]);
        self.options(options, &mut |this, option| this.option(kind, option));
    }

    /// Who spoke without a relay. A link-local address is that of the frame's sender.
    fn direct(&mut self, packet: &Packet) {
        let [sender, receiver] = [packet.pair.src, packet.pair.dst].map(|ip| address(&ip.0));
        let macs = packet.link.macs;
        let message = &mut self.message;
        let (client, mac) = match message.from_server {
            true => (receiver, macs.map(|(_, to)| to)),
            false => (sender, macs.map(|(from, _)| from)),
        };
        message.client_addr = client.filter(|ip| !ip.is_multicast());
        if matches!(message.client_addr, Some(IpAddr::V6(ip)) if ip.is_unicast_link_local()) {
            message.mac = message.mac.or(mac.filter(|mac| mac[0] & 1 == 0 && *mac != [0; 6]));
        }
        if message.from_server {
            message.server_addr = sender;
        }
    }

    fn option(&mut self, kind: u8, (code, octets): Entry<'_>) {
        match code {
            1 if self.message.client_id.is_none() => {
                if octets.len() > MAX_TEXT {
                    self.damage.note(OVER_LIMIT);
                }
                self.message.client_id = Some(octets.get(..octets.len().min(MAX_TEXT)).unwrap_or_default().into());
            }
            // IA_NA, IA_TA, IA_PD: what stands before their options.
            3 | 25 => self.association(kind, octets, 12),
            4 => self.association(kind, octets, 4),
            6 if self.message.param_list.is_empty() => {
                if octets.len() % 2 != 0 {
                    self.damage.note(OPTION_LENGTH);
                }
                let codes = octets.as_chunks::<2>().0.iter().take(MAX_TEXT);
                self.message.param_list = codes.map(|code| u16::from_be_bytes(*code)).collect();
            }
            13 if self.message.text.is_none() => self.message.text = self.after(octets, 2),
            16 if self.message.vendor_class.is_none() => {
                // Enterprise number, then texts, each with its length.
                let first = octets.get(4..).and_then(|rest| {
                    let (&[l0, l1], rest) = rest.split_first_chunk::<2>()?;
                    rest.get(..u16::from_be_bytes([l0, l1]).into())
                });
                match first {
                    Some(first) => self.message.vendor_class = self.damage.text(first),
                    None => self.damage.note(OPTION_LENGTH),
                }
            }
            24 if self.message.domain.is_none() => self.message.domain = self.damage.wire_name(octets),
            39 if self.message.client_fqdn.is_none() => match octets.split_first() {
                Some((_flags, name)) => self.message.client_fqdn = self.damage.wire_name(name),
                None => self.damage.note(OPTION_LENGTH),
            },
            _ => (),
        }
    }

    /// A text behind so many octets.
    fn after(&mut self, octets: &[u8], skip: usize) -> Option<String> {
        let Some(text) = octets.get(skip..) else {
            self.damage.note(OPTION_LENGTH);
            return None;
        };
        self.damage.text(text)
    }

    fn association(&mut self, kind: u8, octets: &[u8], skip: usize) {
        let Some(options) = octets.get(skip..) else { return self.damage.note(OPTION_LENGTH) };
        self.options(options, &mut |this, (code, octets)| {
            let read = match code {
                // Address, preferred and valid lifetime.
                5 => octets
                    .split_first_chunk::<24>()
                    .map(|(fixed, rest)| (address(&fixed[..16]), 128, fixed[20..].try_into(), rest)),
                // Preferred and valid lifetime, length, prefix.
                26 => octets
                    .split_first_chunk::<25>()
                    .map(|(fixed, rest)| (address(&fixed[9..]), fixed[8], fixed[4..8].try_into(), rest)),
                _ => return,
            };
            let Some((address, prefix_len, Ok(valid), rest)) = read else { return this.damage.note(OPTION_LENGTH) };
            let mut refused = false;
            this.options(rest, &mut |_, (code, octets)| refused |= code == 13 && !octets.starts_with(&[0, 0]));
            let Some(address) = address.filter(|_| !refused) else { return };
            if prefix_len > 128 {
                return this.damage.note(OPTION_LENGTH);
            }
            if this.message.addresses.len() >= MAX_ADDRESSES {
                this.damage.note(OVER_LIMIT);
                this.left_out += 1;
                return;
            }
            let valid = match kind {
                RELEASE | DECLINE => Some(0),
                _ if this.message.from_server => Some(u32::from_be_bytes(valid)),
                // A client's lifetimes are wishes.
                _ => None,
            };
            this.message.addresses.push(DhcpAddress { address, prefix_len, valid });
        });
    }

    /// Goes through options.
    fn options<'a>(&mut self, mut rest: &'a [u8], each: &mut dyn FnMut(&mut Self, Entry<'a>)) {
        while !rest.is_empty() {
            let Some((&[c0, c1, l0, l1], tail)) = rest.split_first_chunk::<4>() else {
                return self.damage.note(self.end_damage);
            };
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let (octets, tail, is_cut) = match tail.split_at_checked(len) {
                Some((octets, tail)) => (octets, tail, false),
                // What is there of it may still say something.
                None => (tail, &[][..], true),
            };
            if is_cut {
                self.damage.note(self.end_damage);
            }
            each(self, (u16::from_be_bytes([c0, c1]), octets));
            rest = tail;
        }
    }
}

/// An address that is one.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let octets: [u8; 16] = octets.try_into().ok()?;
    Some(Ipv6Addr::from(octets)).filter(|ip| !ip.is_unspecified()).map(IpAddr::V6)
}

/// The Ethernet address in a DUID (RFC 8415 11.2, 11.4): that of one of the client's interfaces, not always of this one.
fn mac_of_duid(duid: &[u8]) -> Option<[u8; 6]> {
    match duid {
        [0, 1, h0, h1, _, _, _, _, mac @ ..] | [0, 3, h0, h1, mac @ ..] => {
            ethernet(u16::from_be_bytes([*h0, *h1]), mac)
        }
        _ => None,
    }
}
