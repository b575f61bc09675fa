//! Transport headers, read as far as they can be.

use super::ip::IpHeader;
use super::view::View;
use crate::Tcp;

use probe_common::protocol::{ICMP, ICMPV6, SCTP, TCP, UDP};

const DCCP: u8 = 33;
const UDP_LITE: u8 = 136;

/// What a transport header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transport<'a> {
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) tcp: Tcp,
    /// What follows the header; `wire` is its length by the headers.
    pub(super) payload: View<'a>,
    /// The header is whole, so `payload` is what an application sent.
    pub(super) readable: bool,
}

/// For a later fragment: all of it is payload, none of it a header.
pub(super) fn none<'a>(ip: &IpHeader<'a>) -> Transport<'a> {
    Transport { src_port: 0, dst_port: 0, tcp: Tcp::default(), payload: ip.payload, readable: false }
}

/// Reads the transport header that follows `ip`, which is not a later fragment.
pub(super) fn read<'a>(ip: &IpHeader<'a>) -> Transport<'a> {
    let view = ip.payload;
    let ports = view.u16(0).zip(view.u16(2));
    let (src_port, dst_port) = match ip.proto {
        TCP | UDP | SCTP | DCCP | UDP_LITE => ports.unwrap_or_default(),
        ICMP | ICMPV6 => view.array(0).map_or((0, 0), |[kind, code]| (u16::from(kind), u16::from(code))),
        _ => (0, 0),
    };
    let (header_len, readable, tcp) = match ip.proto {
        TCP => {
            let tcp = Tcp {
                flags: view.u8(13).unwrap_or(0),
                seq: view.u32(4).unwrap_or(0),
                ack: view.u32(8).unwrap_or(0),
                window: view.u16(14).unwrap_or(0),
            };
            let header_len = view.u8(12).map_or(20, |b| usize::from(b >> 4) * 4);
            let readable = header_len >= 20 && header_len <= view.wire && view.data.len() >= 20;
            (header_len, readable, tcp)
        }
        UDP => (8, view.data.len() >= 8, Tcp::default()),
        ICMP | ICMPV6 | UDP_LITE => (8, false, Tcp::default()),
        SCTP => (12, false, Tcp::default()),
        _ => (0, false, Tcp::default()),
    };
    let mut payload = view.skip(header_len);
    if let (UDP, Some(length)) = (ip.proto, view.u16(4)) {
        // What follows the datagram within the IP packet is not its payload. 0: a jumbogram.
        if (8..view.wire).contains(&usize::from(length)) {
            payload = payload.sized(usize::from(length) - 8);
        }
    }
    Transport { src_port, dst_port, tcp, payload, readable }
}
