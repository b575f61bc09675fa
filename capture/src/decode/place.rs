//! Whose decoder a frame belongs to, where several share the work: see [`Place`].

use probe_common::parse_ethernet;

use super::hot;
use super::ip;
use super::layers::{self, Layer, Passed};
use super::view::View;
use crate::{Fragment, Ip, LinkType, Packet};

use probe_common::protocol::UDP;

/// Where an Ethernet frame is decoded when several decoders share the work.
///
/// The decoder that keeps an address pair's connections reads plain frames itself. Frames with tunnels and
/// fragments are read where the outermost IP addresses say, since what they carry is known only then: see
/// [`Sink::payload`](crate::Sink::payload).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Read at once, from the frame alone: the addresses of its packet (see [`Place::of_packet`]).
    Plain(Ip, Ip),
    /// Has to be read layer by layer: the addresses of its outermost IP header, where it has a readable one.
    Deep(Option<(Ip, Ip)>),
}

impl Place {
    /// The place of the frame that begins with `data` and is `wire_len` bytes long on the wire.
    #[inline]
    pub fn of_ethernet(data: &[u8], wire_len: u32) -> Self {
        match parse_ethernet(data) {
            Ok((_, headers)) if hot::is_plain(&headers, wire_len) => {
                let ports = (headers.src_port, headers.dst_port);
                let (a, b) = keeper((Ip(headers.src), Ip(headers.dst)), headers.proto, ports);
                Self::Plain(a, b)
            }
            _ => Self::Deep(outermost(data, wire_len)),
        }
    }
}

impl Place {
    /// The addresses that say which decoder keeps what this packet belongs to: its own, but for names and
    /// addresses that are asked for by multicast or broadcast, where the answer comes from an address nobody asked.
    pub fn of_packet(packet: &Packet) -> (Ip, Ip) {
        let pair = &packet.pair;
        let known = packet.fragment != (Fragment::Later { ports_known: false });
        let ports = if known { (pair.src_port, pair.dst_port) } else { (0, 0) };
        keeper((pair.src, pair.dst), pair.proto, ports)
    }
}

/// mDNS (RFC 6762), LLMNR (RFC 4795) and DHCP, whose clients have no address yet: one keeper for all, whatever the addresses.
/// They are few.
#[inline]
const fn keeper(addresses: (Ip, Ip), proto: u8, ports: (u16, u16)) -> (Ip, Ip) {
    const GROUP: Ip = Ip::v4([224, 0, 0, 252]);
    match (proto, ports) {
        (UDP, (5353 | 5355 | 67 | 68 | 546 | 547, _) | (_, 5353 | 5355 | 67 | 68 | 546 | 547)) => (GROUP, GROUP),
        _ => addresses,
    }
}

fn outermost(data: &[u8], wire_len: u32) -> Option<(Ip, Ip)> {
    let view = View { data, wire: (wire_len as usize).max(data.len()) };
    let (version, view) = layers::to_ip(Layer::LinkType(LinkType::ETHERNET), view, &mut Passed::default()).ok()?;
    let header = ip::read(version, view).ok()?;
    Some((header.src, header.dst))
}
