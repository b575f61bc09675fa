//! DHCPv4 (RFC 2131), and BOOTP that carries its options (RFC 1533).

use std::net::{IpAddr, Ipv4Addr};

use super::{Damage, ENDS_EARLY, MAX_TEXT, OPTION_LENGTH, OVER_LIMIT, TRUNCATED, ethernet};
use crate::{DhcpAddress, DhcpMessage, IpVersion, Packet};

/// Octets before the options, magic cookie included.
const HEADER: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// Option 52 says something else than 1, 2 or 3, or stands where it says nothing (RFC 2132 9.3).
const BAD_OVERLOAD: &str = "bad_overload";
/// Options without their end (option 255).
const NO_END: &str = "no_end_option";

/// Options that are kept.
const KEPT: [u8; 12] = [
    HOST_NAME,
    DOMAIN,
    REQUESTED,
    LEASE_TIME,
    OVERLOAD,
    MESSAGE_TYPE,
    SERVER_ID,
    PARAMETERS,
    MESSAGE,
    VENDOR_CLASS,
    CLIENT_ID,
    CLIENT_FQDN,
];
const HOST_NAME: u8 = 12;
const DOMAIN: u8 = 15;
const REQUESTED: u8 = 50;
const LEASE_TIME: u8 = 51;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const SERVER_ID: u8 = 54;
const PARAMETERS: u8 = 55;
const MESSAGE: u8 = 56;
const VENDOR_CLASS: u8 = 60;
const CLIENT_ID: u8 = 61;
const CLIENT_FQDN: u8 = 81;

const RELEASE: u8 = 7;
const DECLINE: u8 = 4;

/// Reads a message; `cut`: its end was not captured.
pub(super) fn read(packet: &Packet, payload: &[u8], cut: bool) -> Option<DhcpMessage> {
    let header = payload.first_chunk::<HEADER>()?;
    let op = header[0];
    if !matches!(op, REQUEST | REPLY) || header[236..] != COOKIE {
        return None;
    }
    let address = |at: usize| {
        let ip = Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        (!ip.is_unspecified()).then_some(ip)
    };
    let (client, yours, relay) = (address(12), address(16), address(24));
    let mut damage = Damage::default();
    let options = Options::read(payload, cut, &mut damage);
    let mut message = DhcpMessage::empty(IpVersion::V4);
    message.from_server = op == REPLY;
    message.xid = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    message.relay_addr = relay.map(IpAddr::V4);
    let hardware = header.get(28..28 + usize::from(header[2]).min(16)).unwrap_or_default();
    message.mac = ethernet(header[1].into(), hardware);
    if let Some(client_id) = options.get(CLIENT_ID) {
        if let (None, [kind, mac @ ..]) = (message.mac, client_id) {
            message.mac = ethernet((*kind).into(), mac);
        }
        if client_id.len() > MAX_TEXT {
            damage.note(OVER_LIMIT);
        }
        message.client_id = Some(client_id.get(..client_id.len().min(MAX_TEXT)).unwrap_or_default().into());
    }
    if let Some(kind) = options.get(MESSAGE_TYPE) {
        message.message_type = damage.exactly::<1>(kind).map_or(0, |[kind]| kind);
    }
    read_addresses(&mut message, &options, (client, yours), packet, &mut damage);
    read_texts(&mut message, &options, &mut damage);
    message.damage = damage.0;
    Some(message)
}

fn read_addresses(
    message: &mut DhcpMessage,
    options: &Options,
    (client, yours): (Option<Ipv4Addr>, Option<Ipv4Addr>),
    packet: &Packet,
    damage: &mut Damage,
) {
    let sender = packet.pair.src.to_ip_addr(IpVersion::V4);
    let receiver = packet.pair.dst.to_ip_addr(IpVersion::V4);
    // What a relay hands on has the relay's address.
    let is_direct = message.relay_addr.is_none();
    let of_peer = if message.from_server { receiver } else { sender };
    let is_own = is_direct && !of_peer.is_unspecified() && of_peer != IpAddr::V4(Ipv4Addr::BROADCAST);
    message.client_addr = client.map(IpAddr::V4).or_else(|| (is_own && !message.from_server).then_some(of_peer));
    let mut ip = |code| {
        let ip = options.get(code).and_then(|octets| damage.exactly::<4>(octets)).map(Ipv4Addr::from);
        ip.filter(|ip| !ip.is_unspecified())
    };
    let requested = ip(REQUESTED);
    message.server_addr = ip(SERVER_ID).map(IpAddr::V4);
    if message.from_server && is_direct {
        message.server_addr = message.server_addr.or(Some(sender));
    }
    let valid = options.get(LEASE_TIME).and_then(|octets| damage.exactly::<4>(octets)).map(u32::from_be_bytes);
    let (address, valid) = match message.message_type {
        _ if message.from_server => (yours, valid),
        // What it gives up; what it asks for is no lease yet.
        RELEASE => (client, Some(0)),
        DECLINE => (requested, Some(0)),
        _ => (requested, None),
    };
    message.addresses.extend(address.map(|ip| DhcpAddress { address: IpAddr::V4(ip), prefix_len: 32, valid }));
}

fn read_texts(message: &mut DhcpMessage, options: &Options, damage: &mut Damage) {
    let mut text = |code| options.get(code).and_then(|octets| damage.text(octets));
    message.host_name = text(HOST_NAME);
    message.domain = text(DOMAIN);
    message.text = text(MESSAGE);
    message.vendor_class = text(VENDOR_CLASS);
    if let Some(codes) = options.get(PARAMETERS) {
        if codes.len() > MAX_TEXT {
            damage.note(OVER_LIMIT);
        }
        message.param_list = codes.iter().take(MAX_TEXT).map(|&code| code.into()).collect();
    }
    if let Some(fqdn) = options.get(CLIENT_FQDN) {
        message.client_fqdn = match fqdn {
            // Flags, two codes, name. E: the name is in labels (RFC 4702 2.1).
            [flags, _, _, name @ ..] if flags & 4 != 0 => damage.wire_name(name),
            [_, _, _, name @ ..] => damage.text(name).map(without_root).filter(|name| !name.is_empty()),
            _ => {
                damage.note(OPTION_LENGTH);
                None
            }
        };
    }
}

fn without_root(mut name: String) -> String {
    if name.ends_with('.') {
        name.pop();
    }
    name
}

/// The options of [`KEPT`], each put together from its pieces (RFC 3396). They take no more than the message.
#[derive(Default)]
struct Options([Option<Vec<u8>>; KEPT.len()]);

impl Options {
    fn read(payload: &[u8], cut: bool, damage: &mut Damage) -> Self {
        let mut this = Self::default();
        let main = payload.get(HEADER..).unwrap_or_default();
        let end_damage = if cut { TRUNCATED } else { ENDS_EARLY };
        let no_end = if cut { TRUNCATED } else { NO_END };
        this.field(main, end_damage, no_end, damage);
        // Only here: in the fields that it opens it has nothing to say, and could lead round in circles.
        let overload = this.get(OVERLOAD).map(|octets| damage.exactly::<1>(octets).map_or(0, |[which]| which));
        if overload.is_some_and(|which| !matches!(which, 1..=3)) {
            damage.note(BAD_OVERLOAD);
        }
        let which = overload.unwrap_or(0);
        let seen = this.get(OVERLOAD).map_or(0, <[u8]>::len);
        // `file` first, then `sname` (RFC 3396 5).
        for (bit, field) in [(1, payload.get(108..236)), (2, payload.get(44..108))] {
            if which <= 3 && which & bit != 0 {
                this.field(field.unwrap_or_default(), ENDS_EARLY, NO_END, damage);
            }
        }
        if this.get(OVERLOAD).map_or(0, <[u8]>::len) > seen {
            damage.note(BAD_OVERLOAD);
        }
        this
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        let place = KEPT.iter().position(|&kept| kept == code)?;
        self.0.get(place)?.as_deref()
    }

    /// Reads a field of options up to its end.
    fn field(&mut self, mut rest: &[u8], end_damage: &'static str, no_end: &'static str, damage: &mut Damage) {
        loop {
            let (code, tail) = match *rest {
                [] => return damage.note(no_end),
                [255, ..] => return,
                [0, ref tail @ ..] => {
                    rest = tail;
                    continue;
                }
                [code, ref tail @ ..] => (code, tail),
            };
            let Some((&len, tail)) = tail.split_first() else { return damage.note(end_damage) };
            let Some((octets, tail)) = tail.split_at_checked(len.into()) else { return damage.note(end_damage) };
            if let Some(place) = KEPT.iter().position(|&kept| kept == code)
                && let Some(kept) = self.0.get_mut(place)
            {
                kept.get_or_insert_default().extend_from_slice(octets);
            }
            rest = tail;
        }
    }
}
