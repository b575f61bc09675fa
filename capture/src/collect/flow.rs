//! What an exporter says: flows, interface counters, and where they are put.

use std::net::IpAddr;

use crate::{AddressPair, Message, Nanos, Tunnel};

/// Which protocol brought a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the protocols'")]
pub enum Protocol {
    NetFlow1,
    NetFlow5,
    NetFlow7,
    NetFlow9,
    Ipfix,
    SFlow,
    /// A file of nfdump, whatever brought it there.
    Nfdump,
}

/// Counters of one direction of an exported flow, as the exporter counted them: not scaled by [`ExportedFlow::sampling`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExportedDirection {
    /// Packets.
    pub packets: u64,
    /// Bytes, as the exporter counts them (IP bytes by the protocols' definitions).
    pub bytes: u64,
    /// OR of the TCP flags, where the exporter says them.
    pub tcp_flags: Option<u8>,
    /// TOS or traffic class.
    pub tos: Option<u8>,
}

/// One flow record of an exporter: a uniflow, or a biflow (RFC 5103).
#[derive(Clone, PartialEq, Debug)]
pub struct ExportedFlow {
    /// Which protocol brought it.
    pub protocol: Protocol,
    /// Who exported it: the sender of the datagram; with sFlow the agent's address.
    pub exporter: IpAddr,
    /// Observation domain, source id, engine or sub-agent.
    pub domain: u32,
    /// When the datagram came.
    pub received: Nanos,
    /// From whom to whom. ICMP: type and code in the ports, as in packets.
    pub pair: AddressPair,
    /// First packet.
    pub first: Nanos,
    /// Last packet.
    pub last: Nanos,
    /// What the sender sent.
    pub forward: ExportedDirection,
    /// What came back, where the exporter reports both directions in one record.
    pub reverse: Option<ExportedDirection>,
    /// One packet in this many was counted; 1 = every packet.
    pub sampling: u32,
    /// Sender's and receiver's MAC address.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// EtherType.
    pub ethertype: Option<u16>,
    /// Innermost VLAN id.
    pub vlan: Option<u16>,
    /// Its priority.
    pub cos: Option<u8>,
    /// Tunnel entered to reach the addresses (sampled headers).
    pub tunnel: Option<Tunnel>,
    /// IPFIX flowEndReason, 1 to 5.
    pub end_reason: Option<u8>,
    /// IPFIX flowDirection: 0 seen at ingress, 1 at egress.
    pub direction: Option<u8>,
    /// Interface indexes (SNMP).
    pub input_if: Option<u32>,
    /// The one it leaves by.
    pub output_if: Option<u32>,
    /// IPFIX forwardingStatus.
    pub fwd_status: Option<u8>,
    /// Autonomous systems.
    pub src_as: Option<u32>,
    /// Of the destination.
    pub dst_as: Option<u32>,
    /// Prefix lengths.
    pub src_mask: Option<u8>,
    /// Of the destination.
    pub dst_mask: Option<u8>,
    /// Next router.
    pub next_hop: Option<IpAddr>,
    /// BGP next hop: the router where the flow leaves the network.
    pub peer_dst: Option<IpAddr>,
}

impl ExportedFlow {
    /// Neither packets nor bytes, in either direction: an event (a flow that begins or is denied), not traffic.
    pub fn counts_nothing(&self) -> bool {
        let empty = |d: &ExportedDirection| d.packets == 0 && d.bytes == 0;
        empty(&self.forward) && self.reverse.as_ref().is_none_or(empty)
    }

    /// By what the counters are to be multiplied to be those of the wire: nfdump's files have that done.
    pub const fn scale(&self) -> u32 {
        match self.protocol {
            Protocol::Nfdump => 1,
            _ => self.sampling,
        }
    }

    /// A flow of which only the exporter and the addresses are known.
    pub const fn new(protocol: Protocol, exporter: IpAddr, domain: u32, received: Nanos, pair: AddressPair) -> Self {
        Self {
            protocol,
            exporter,
            domain,
            received,
            pair,
            first: received,
            last: received,
            forward: ExportedDirection { packets: 0, bytes: 0, tcp_flags: None, tos: None },
            reverse: None,
            sampling: 1,
            macs: None,
            ethertype: None,
            vlan: None,
            cos: None,
            tunnel: None,
            end_reason: None,
            direction: None,
            input_if: None,
            output_if: None,
            fwd_status: None,
            src_as: None,
            dst_as: None,
            src_mask: None,
            dst_mask: None,
            next_hop: None,
            peer_dst: None,
        }
    }
}

/// Counters of an interface (sFlow generic interface counters, RFC 2233). All ones mean "not known" and are `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the MIB's")]
pub struct InterfaceCounters {
    pub exporter: IpAddr,
    pub received: Nanos,
    pub if_index: u32,
    pub if_type: Option<u32>,
    pub if_speed: Option<u64>,
    pub if_direction: Option<u32>,
    pub if_status: Option<u32>,
    /// Octets, unicast, multicast, broadcast packets, discards, errors, unknown protocols.
    pub incoming: [Option<u64>; 7],
    /// Octets, unicast, multicast, broadcast packets, discards, errors.
    pub outgoing: [Option<u64>; 6],
}

/// Where a [`Collector`](super::Collector) puts what it read.
pub trait ExportSink {
    /// One flow.
    fn flow(&mut self, flow: &ExportedFlow);
    /// One counter sample.
    fn interface(&mut self, counters: &InterfaceCounters) {
        let _ = counters;
    }
    /// An application message that a sampled packet carried.
    fn message(&mut self, message: Message) {
        let _ = message;
    }
    /// What could not be read of a file: which one of its kind (record, block, message), why, and its bytes.
    fn refused(&mut self, number: u64, reason: &'static str, bytes: &[u8]) {
        let _ = (number, reason, bytes);
    }
}
