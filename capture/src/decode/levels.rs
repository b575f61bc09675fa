//! The full way: one IP header after the other, through tunnels, to the innermost that can be read.

use super::Decoder;
use super::cause::Cause;
use super::fragment::Datagram;
use super::ip::{self, IpHeader};
use super::layers::{self, Layer, Passed};
use super::transport::{self, Transport};
use super::tunnel;
use super::view::View;
use crate::{AddressPair, Fragment, IpVersion, Packet, Tunnel};

/// The IP levels of a frame.
pub(super) struct Levels<'a> {
    /// Packet of the outermost IP header.
    pub(super) outer: Packet,
    /// Packet of the innermost.
    pub(super) inner: Packet,
    /// Tunnels over IP between the two.
    pub(super) depth: u8,
    /// Captured transport payload of the innermost.
    pub(super) payload: &'a [u8],
    /// `payload` follows a whole TCP or UDP header, and is no part of a fragmented datagram.
    pub(super) readable: bool,
    /// The datagram that a fragment completed.
    pub(super) completed: Option<Datagram>,
}

impl Decoder {
    /// Reads a frame, or whatever else `view` is, that begins with `start`.
    pub(super) fn levels<'a>(&mut self, start: Layer, view: View<'a>) -> Result<Levels<'a>, Cause> {
        let mut passed = Passed::default();
        let found = layers::to_ip(start, view, &mut passed);
        self.counters.aggregates_read_in_part += u64::from(passed.aggregated);
        let (version, view) = found?;
        let ip = ip::read(version, view)?;
        self.counters.ip_length_over_frame += u64::from(ip.ip_bytes as usize > view.wire);
        self.counters.superframes += u64::from(ip.superframe);
        Ok(self.descend(ip, passed))
    }

    /// Reads a datagram that was put together.
    pub(super) fn datagram_levels<'a>(&mut self, datagram: &'a Datagram) -> Levels<'a> {
        let Packet { pair, tos, link, tunnel, .. } = datagram.first;
        let header_len = if pair.version == IpVersion::V4 { 20 } else { 40 };
        let mut ip = IpHeader {
            version: pair.version,
            src: pair.src,
            dst: pair.dst,
            proto: datagram.proto,
            tos,
            ip_bytes: header_len + datagram.length,
            superframe: false,
            part: None,
            payload: View { data: &datagram.bytes, wire: datagram.length as usize },
        };
        if pair.version == IpVersion::V6 {
            ip::walk_extensions(&mut ip);
        }
        self.descend(ip, Passed { link, tunnel, aggregated: false })
    }

    /// From one IP header through tunnels to the innermost.
    fn descend<'a>(&mut self, ip: IpHeader<'a>, passed: Passed) -> Levels<'a> {
        let (mut ip, mut passed) = (ip, passed);
        let mut completed = None;
        let mut in_fragment = false;
        let (mut packet, mut transport) = self.level(&ip, &passed, in_fragment, &mut completed);
        let outer = packet;
        let mut depth = 0;
        loop {
            in_fragment |= ip.part.is_some();
            let Some((tunnel, next)) = self.enter(&ip, &transport, depth) else { break };
            depth += 1;
            passed.tunnel = Some(tunnel);
            ip = next;
            (packet, transport) = self.level(&ip, &passed, in_fragment, &mut completed);
        }
        self.counters.tunnelled += u64::from(depth > 0);
        Levels {
            outer,
            inner: packet,
            depth,
            payload: transport.payload.data,
            readable: transport.readable && !in_fragment,
            completed,
        }
    }

    /// The IP header inside the tunnel that `ip` and `transport` may be.
    fn enter<'a>(&mut self, ip: &IpHeader<'a>, transport: &Transport<'a>, depth: u8) -> Option<(Tunnel, IpHeader<'a>)> {
        if ip.part.is_some_and(|part| part.offset > 0) {
            return None;
        }
        let (tunnel, layer, view) = tunnel::enter(ip, transport)?;
        if depth >= self.max_tunnel_depth {
            self.counters.tunnels_over_limit += 1;
            return None;
        }
        // What the inner frame's link layer says stays there: the record keeps the outer frame's.
        let mut inner = Passed::default();
        let (version, view) = layers::to_ip(layer, view, &mut inner).ok()?;
        let ip = ip::read(version, view).ok()?;
        Some((inner.tunnel.unwrap_or(tunnel), ip))
    }

    /// The packet of one IP header, and its transport header.
    fn level<'a>(
        &mut self,
        ip: &IpHeader<'a>,
        passed: &Passed,
        in_fragment: bool,
        completed: &mut Option<Datagram>,
    ) -> (Packet, Transport<'a>) {
        let part = ip.part.filter(|_| !in_fragment);
        let later = ip.part.is_some_and(|part| part.offset > 0);
        let mut transport = if later { transport::none(ip) } else { transport::read(ip) };
        let mut fragment = match (ip.part, later) {
            (None, _) => Fragment::Whole,
            (Some(_), false) => Fragment::First,
            (Some(_), true) => Fragment::Later { ports_known: false },
        };
        if let (Some(part), true) = (part, later) {
            match self.fragments.ports(ip, part) {
                Some((src_port, dst_port)) => {
                    (transport.src_port, transport.dst_port) = (src_port, dst_port);
                    fragment = Fragment::Later { ports_known: true };
                }
                None => self.counters.fragments_without_first += 1,
            }
        }
        let packet = Packet {
            ts: self.now,
            pair: AddressPair {
                src: ip.src,
                dst: ip.dst,
                src_port: transport.src_port,
                dst_port: transport.dst_port,
                proto: ip.proto,
                version: ip.version,
            },
            ip_bytes: ip.ip_bytes,
            payload_bytes: u32::try_from(transport.payload.wire).unwrap_or(u32::MAX),
            tcp: transport.tcp,
            tos: ip.tos,
            fragment,
            link: passed.link,
            tunnel: passed.tunnel,
            service: None,
        };
        if let Some(part) = part {
            self.counters.fragments += 1;
            *completed = self.fragments.add(ip, part, &packet, &mut self.counters);
        }
        (packet, transport)
    }
}
