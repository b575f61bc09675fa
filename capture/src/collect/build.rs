//! From a row's values to a flow: which counter, which time, which address counts where an exporter gives several.

use std::net::IpAddr;

use super::fields::{Addr, Int};
use super::flow::{ExportedDirection, ExportedFlow, Protocol};
use super::rows::Row;
use super::template::Template;
use crate::{AddressPair, Ip, IpVersion, Link, Nanos, Packet};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const TCP: u8 = 6;
/// Seconds between the epochs of NTP (1900) and Unix (1970).
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// What a message's header says of all its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) protocol: Protocol,
    pub(super) exporter: IpAddr,
    pub(super) domain: u32,
    pub(super) received: Nanos,
    /// The exporter's clock.
    pub(super) exported: Nanos,
    /// Milliseconds since it started, where the header says it.
    pub(super) uptime: Option<u32>,
}

impl Head {
    /// A time given in milliseconds of uptime. The counter wraps after 49 days; what is meant is less than half of that away.
    pub(super) fn at_uptime(&self, then: u32) -> Option<Nanos> {
        let back = i64::from(self.uptime?.wrapping_sub(then).cast_signed());
        Some(Nanos(self.exported.0.saturating_sub(back.saturating_mul(1_000_000))))
    }
}

/// Milliseconds since the epoch.
pub(super) fn millis(value: u64) -> Nanos {
    Nanos(i64::try_from(value).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// Seconds since the epoch.
pub(super) fn seconds(value: u64) -> Nanos {
    Nanos(i64::try_from(value).unwrap_or(i64::MAX).saturating_mul(1_000_000_000))
}

/// NTP's 64 bits: seconds since 1900 and their 2^32th parts (RFC 7011, 6.1.9 and 6.1.10).
fn ntp(value: u64) -> Nanos {
    let whole = seconds((value >> 32).saturating_sub(NTP_TO_UNIX));
    let nanos = ((value & 0xffff_ffff) * 1_000_000_000) >> 32;
    Nanos(whole.0.saturating_add(nanos.cast_signed()))
}

/// The row names no two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoFlow;

/// What flows are made with beside their rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) head: Head,
    pub(super) template: &'a Template,
    /// When the exporter started, where options data said it.
    pub(super) system_init: Option<Nanos>,
}

impl Context<'_> {
    fn get(&self, row: &Row<'_>, int: Int) -> Option<u64> {
        row.get(self.template, int)
    }

    fn first_of(&self, row: &Row<'_>, ints: &[Int]) -> Option<u64> {
        ints.iter().find_map(|int| self.get(row, *int))
    }

    fn v4(&self, row: &Row<'_>, addr: Addr) -> Option<Ip> {
        row.addr(self.template, addr).map(|[a, b, c, d, ..]| Ip::v4([a, b, c, d]))
    }

    fn v6(&self, row: &Row<'_>, addr: Addr) -> Option<Ip> {
        row.addr(self.template, addr).map(Ip)
    }

    /// Both ends. A template may have both versions, of which a row fills one.
    fn ends(&self, row: &Row<'_>) -> Option<(Ip, Ip, IpVersion)> {
        let v4 = self.v4(row, Addr::Src4).zip(self.v4(row, Addr::Dst4)).map(|(s, d)| (s, d, IpVersion::V4));
        let v6 = self.v6(row, Addr::Src6).zip(self.v6(row, Addr::Dst6)).map(|(s, d)| (s, d, IpVersion::V6));
        match (v4, v6) {
            (Some(v4), Some(v6)) => {
                let is_v6 = match self.get(row, Int::IpVersion) {
                    Some(4) => false,
                    Some(6) => true,
                    _ => v6.0.0 != [0; 16] || v6.1.0 != [0; 16],
                };
                Some(if is_v6 { v6 } else { v4 })
            }
            (v4, v6) => v4.or(v6),
        }
    }

    fn hop(&self, row: &Row<'_>, v4: Addr, v6: Addr) -> Option<IpAddr> {
        let known = |ip: &IpAddr| !ip.is_unspecified();
        let v6 = || self.v6(row, v6).map(|ip| ip.to_ip_addr(IpVersion::V6)).filter(known);
        self.v4(row, v4).map(|ip| ip.to_ip_addr(IpVersion::V4)).filter(known).or_else(v6)
    }

    fn ports(&self, row: &Row<'_>, proto: u8) -> (u16, u16) {
        let port = |int| self.get(row, int).unwrap_or_default() as u16;
        let (src, dst) = (port(Int::SrcPort), port(Int::DstPort));
        let (both, kind, code) = match proto {
            ICMP => (Int::IcmpTypeCode, Int::IcmpType, Int::IcmpCode),
            ICMPV6 => (Int::Icmp6TypeCode, Int::Icmp6Type, Int::Icmp6Code),
            _ => return (src, dst),
        };
        if let Some(kind) = self.get(row, kind) {
            return (kind as u16 & 0xff, self.get(row, code).unwrap_or_default() as u16 & 0xff);
        }
        // ICMPv6 in element 32, too: NetFlow v9 knew nothing else. Without both, type and code stand in the port.
        let both = self.first_of(row, &[both, Int::IcmpTypeCode]).map_or(dst, |both| both as u16);
        (both >> 8, both & 0xff)
    }

    fn start(&self, row: &Row<'_>) -> Option<Nanos> {
        let get = |int| self.get(row, int);
        self.absolute(row, [Int::StartNs, Int::StartUs, Int::StartMs, Int::StartSec, Int::StartUptime])
            .or_else(|| get(Int::StartDelta).map(|back| self.before_export(back)))
    }

    fn end(&self, row: &Row<'_>) -> Option<Nanos> {
        let get = |int| self.get(row, int);
        self.absolute(row, [Int::EndNs, Int::EndUs, Int::EndMs, Int::EndSec, Int::EndUptime])
            .or_else(|| get(Int::EndDelta).map(|back| self.before_export(back)))
    }

    fn before_export(&self, micros: u64) -> Nanos {
        let back = i64::try_from(micros).unwrap_or(i64::MAX).saturating_mul(1_000);
        Nanos(self.head.exported.0.saturating_sub(back))
    }

    /// A zero is no time.
    fn absolute(&self, row: &Row<'_>, [ns, us, ms, sec, uptime]: [Int; 5]) -> Option<Nanos> {
        let get = |int| self.get(row, int).filter(|value| *value != 0);
        get(ns)
            .or_else(|| get(us))
            .map(ntp)
            .or_else(|| get(ms).map(millis))
            .or_else(|| get(sec).map(seconds))
            .or_else(|| self.get(row, uptime).and_then(|then| self.at_uptime(row, then)))
    }

    fn at_uptime(&self, row: &Row<'_>, then: u64) -> Option<Nanos> {
        let init = self.get(row, Int::SystemInitMs).filter(|init| *init != 0).map(millis).or(self.system_init);
        match init {
            Some(init) => Some(Nanos(init.0.saturating_add(millis(then).0))),
            None => self.head.at_uptime(then as u32),
        }
    }

    fn times(&self, row: &Row<'_>) -> (Nanos, Nanos) {
        let get = |int| self.get(row, int);
        let duration = get(Int::DurationMs).map(millis).or_else(|| get(Int::DurationUs).map(|us| millis(us / 1_000)));
        let observed = self
            .absolute(row, [Int::ObservedNs, Int::ObservedUs, Int::ObservedMs, Int::ObservedSec, Int::ObservedSec])
            .unwrap_or(self.head.exported);
        let (start, end) = match (self.start(row), self.end(row), duration) {
            (Some(start), Some(end), _) => (start, end),
            (Some(start), None, Some(duration)) => (start, Nanos(start.0.saturating_add(duration.0))),
            (Some(start), None, None) => (start, observed.max(start)),
            (None, Some(end), duration) => (Nanos(end.0.saturating_sub(duration.unwrap_or_default().0)), end),
            (None, None, _) => (observed, observed),
        };
        // Some clocks go back between the two.
        (start.min(end), end.max(start))
    }

    /// Counters of both directions: the elements of one direction first, then those that name an initiator and a
    /// responder (RFC 5103's are [`Int::RevOctets`]), totals where nothing else is there.
    fn counters(&self, row: &Row<'_>) -> (ExportedDirection, Option<ExportedDirection>) {
        let get = |ints: &[Int]| self.first_of(row, ints);
        // In NetFlow v9, 23 and 24 are what leaves: the other direction where both are given (as nProbe does).
        // In IPFIX they are the same packets, after the device.
        let is_v9 = self.head.protocol == Protocol::NetFlow9;
        let (in_octets, in_packets) = (get(&[Int::Octets]), get(&[Int::Packets]));
        let both_ways = is_v9 && (in_octets.is_some() || in_packets.is_some());
        let octets = in_octets
            .or_else(|| get(&[Int::InitiatorOctets, Int::PostOctets, Int::TotalOctets]))
            .filter(|_| in_octets.is_some() || !both_ways)
            .or_else(|| get(&[Int::InitiatorOctets, Int::TotalOctets]));
        let packets = in_packets
            .or_else(|| get(&[Int::InitiatorPackets, Int::PostPackets, Int::TotalPackets]))
            .filter(|_| in_packets.is_some() || !both_ways)
            .or_else(|| get(&[Int::InitiatorPackets, Int::TotalPackets]));
        let (mut back_octets, mut back_packets) =
            (get(&[Int::RevOctets, Int::ResponderOctets]), get(&[Int::RevPackets, Int::ResponderPackets]));
        if both_ways {
            back_octets = back_octets.or_else(|| get(&[Int::PostOctets]).filter(|n| *n > 0));
            back_packets = back_packets.or_else(|| get(&[Int::PostPackets]).filter(|n| *n > 0));
        }
        let tcp = get(&[Int::Proto]) == Some(u64::from(TCP));
        let flags = |int| self.get(row, int).filter(|_| tcp).map(|flags| flags as u8);
        let forward = ExportedDirection {
            packets: packets.unwrap_or_default(),
            bytes: octets.unwrap_or_default(),
            tcp_flags: flags(Int::TcpFlags),
            tos: get(&[Int::Tos]).map(|tos| tos as u8),
        };
        let reverse = (back_octets.is_some() || back_packets.is_some()).then(|| ExportedDirection {
            packets: back_packets.unwrap_or_default(),
            bytes: back_octets.unwrap_or_default(),
            tcp_flags: flags(Int::RevTcpFlags),
            tos: get(&[Int::RevTos]).map(|tos| tos as u8),
        });
        (forward, reverse)
    }

    /// The flow of a row. `sampling` is put in by the caller, who knows the exporter's options.
    pub(super) fn flow(&self, row: &Row<'_>) -> Result<ExportedFlow, NoFlow> {
        let get = |int| self.get(row, int);
        let (src, dst, version) = self.ends(row).ok_or(NoFlow)?;
        let (forward, reverse) = self.counters(row);
        let proto = get(Int::Proto).unwrap_or_default() as u8;
        let (src_port, dst_port) = self.ports(row, proto);
        let Head { protocol, exporter, domain, received, .. } = self.head;
        let pair = AddressPair { src, dst, src_port, dst_port, proto, version };
        let (first, last) = self.times(row);
        let narrow = |int| get(int).and_then(|value| u32::try_from(value).ok());
        let byte = |int| get(int).and_then(|value| u8::try_from(value).ok());
        let mask = |v4, v6| byte(if version == IpVersion::V4 { v4 } else { v6 });
        let mac = |value: u64| -> [u8; 6] {
            let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
            [a, b, c, d, e, f]
        };
        let vlan = |int| get(int).map(|id| id as u16 & 0xfff).filter(|id| *id != 0);
        let macs = match (get(Int::SrcMac), get(Int::DstMac)) {
            (None, None) | (Some(0) | None, Some(0) | None) => None,
            (src, dst) => Some((mac(src.unwrap_or_default()), mac(dst.unwrap_or_default()))),
        };
        Ok(ExportedFlow {
            first,
            last,
            forward,
            reverse,
            macs,
            ethertype: get(Int::EtherType).and_then(|t| u16::try_from(t).ok()),
            vlan: vlan(Int::CustomerVlan).or_else(|| vlan(Int::Dot1qVlan)).or_else(|| vlan(Int::Vlan)),
            cos: byte(Int::Cos),
            end_reason: byte(Int::EndReason).filter(|reason| (1..=5).contains(reason)),
            direction: byte(Int::Direction).filter(|direction| *direction <= 1),
            input_if: narrow(Int::InputIf),
            output_if: narrow(Int::OutputIf),
            // One byte by definition; some give four with the status in the first (RFC 7270, 4.12).
            fwd_status: get(Int::FwdStatus)
                .map(|status| if status > 255 { (status >> 24) as u8 } else { status as u8 }),
            src_as: narrow(Int::SrcAs),
            dst_as: narrow(Int::DstAs),
            src_mask: mask(Int::SrcMask, Int::SrcMask6),
            dst_mask: mask(Int::DstMask, Int::DstMask6),
            next_hop: self.hop(row, Addr::NextHop4, Addr::NextHop6),
            peer_dst: self.hop(row, Addr::BgpHop4, Addr::BgpHop6),
            ..ExportedFlow::new(protocol, exporter, domain, received, pair)
        })
    }

    /// The flow of a sampled packet: one packet, with what the row says beside it.
    pub(super) fn packet_flow(&self, row: &Row<'_>, packet: &Packet) -> ExportedFlow {
        let narrow = |int| self.get(row, int).and_then(|value| u32::try_from(value).ok());
        let (first, last) = self.times(row);
        ExportedFlow {
            first,
            last,
            input_if: narrow(Int::InputIf),
            output_if: narrow(Int::OutputIf),
            direction: self.get(row, Int::Direction).map(|d| d as u8).filter(|d| *d <= 1),
            ..of_packet(&self.head, packet)
        }
    }
}

/// A flow of one packet.
pub(super) fn of_packet(head: &Head, packet: &Packet) -> ExportedFlow {
    let Head { protocol, exporter, domain, received, exported, .. } = *head;
    let Link { macs, ethertype, vlan, cos } = packet.link;
    let forward = ExportedDirection {
        packets: 1,
        bytes: u64::from(packet.ip_bytes),
        tcp_flags: (packet.pair.proto == TCP).then_some(packet.tcp.flags),
        tos: Some(packet.tos),
    };
    ExportedFlow {
        first: exported,
        last: exported,
        forward,
        macs,
        ethertype,
        vlan,
        cos,
        tunnel: packet.tunnel,
        ..ExportedFlow::new(protocol, exporter, domain, received, packet.pair)
    }
}
