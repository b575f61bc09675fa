//! The record of what was reported.

use capture::collect::{ExportedDirection, Protocol};

use super::once::Half;
use crate::icmp::{ICMP, ICMPV6};
use crate::record::{Direction, EndReason, Exporter, FlowRecord, Micros, Origin, RecordId};

const fn origin(protocol: Protocol) -> Origin {
    match protocol {
        // Version 1 is version 5 without its numbering.
        Protocol::NetFlow1 | Protocol::NetFlow5 => Origin::NetFlow5,
        Protocol::NetFlow7 => Origin::NetFlow7,
        Protocol::NetFlow9 => Origin::NetFlow9,
        Protocol::Ipfix => Origin::Ipfix,
        Protocol::SFlow => Origin::SFlow,
        Protocol::Nfdump => Origin::Nfdump,
    }
}

fn direction(counted: &ExportedDirection, scale: u32) -> Direction {
    Direction {
        packets: counted.packets.saturating_mul(u64::from(scale)),
        bytes: counted.bytes.saturating_mul(u64::from(scale)),
        tcp_flags: counted.tcp_flags,
        tos: counted.tos,
    }
}

/// Of one direction, and of the opposite one where there is one. Start, segment and identity are left to the caller.
pub(super) fn record(there: &Half, back: Option<&Half>) -> FlowRecord {
    let flow = &there.flow;
    let first = back.map_or(flow.first, |back| back.flow.first.min(flow.first));
    let last = back.map_or(flow.last, |back| back.flow.last.max(flow.last));
    let pair = &flow.pair;
    let (src_port, dst_port) = match pair.proto {
        ICMP | ICMPV6 => (0, (pair.src_port & 0xff) << 8 | pair.dst_port & 0xff),
        _ => (pair.src_port, pair.dst_port),
    };
    let others = there.others().max(back.map_or(0, |back| back.others()));
    let reverse = flow.reverse.as_ref().map(|reverse| direction(reverse, flow.scale()));
    let end_reason = match flow.end_reason.or(back.and_then(|back| back.flow.end_reason)) {
        Some(2) => EndReason::Active,
        Some(3) => EndReason::Detected,
        Some(4) => EndReason::Forced,
        Some(5) => EndReason::LackOfResources,
        _ => EndReason::Idle,
    };
    FlowRecord {
        record_id: RecordId::default(),
        first_seen: Micros(first.micros()),
        last_seen: Micros(last.micros()),
        flow_start: Micros(first.micros()),
        segment: 0,
        origin: origin(flow.protocol),
        src_ip: pair.src,
        dst_ip: pair.dst,
        version: pair.version,
        src_port,
        dst_port,
        proto: pair.proto,
        src: direction(&flow.forward, flow.scale()),
        dst: reverse.or_else(|| back.map(|back| direction(&back.flow.forward, back.flow.scale()))),
        conn_state: None,
        history: None,
        macs: flow.macs,
        ethertype: flow.ethertype,
        vlan: flow.vlan,
        cos: flow.cos,
        end_reason,
        exporter: Some(Box::new(Exporter {
            exporter_ip: Some(flow.exporter),
            input_if: flow.input_if,
            output_if: flow.output_if,
            fwd_status: flow.fwd_status,
            src_as: flow.src_as,
            dst_as: flow.dst_as,
            src_mask: flow.src_mask,
            dst_mask: flow.dst_mask,
            next_hop: flow.next_hop,
            peer_src: None,
            peer_dst: flow.peer_dst,
        })),
        sampling: flow.sampling,
        observations: u16::try_from(others + 1).unwrap_or(u16::MAX),
        tunnel: flow.tunnel,
        service: None,
    }
}
