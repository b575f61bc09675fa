//! One flow: what is known of it between its first packet and its record.

use capture::live::MicroDirection;
use capture::{Fragment, Packet, Service, Tunnel};

use crate::config::Timeouts;
use crate::conn_state::{self, Ends};
use crate::icmp::{self, ICMP, ICMPV6};
use crate::key::{Key, Side};
use crate::record::{Direction, EndReason, FlowRecord, History, Micros, Origin, RecordId};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

const FIN_SYN_RST_ACK: u8 = 0x17;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;

/// The flow table's timeouts in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowTimeouts {
    pub(crate) active: i64,
    pub(crate) idle_tcp: i64,
    pub(crate) idle_other: i64,
    pub(crate) tcp_end: i64,
}

impl From<&Timeouts> for FlowTimeouts {
    fn from(timeouts: &Timeouts) -> Self {
        Self {
            active: nanos(timeouts.active),
            idle_tcp: nanos(timeouts.idle_tcp),
            idle_other: nanos(timeouts.idle_other),
            tcp_end: nanos(timeouts.tcp_end),
        }
    }
}

/// A duration as nanoseconds, at most 146 years, so that a sum with a time is a time.
pub(crate) fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

/// What one end sent in this record.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    packets: u64,
    bytes: u64,
    tcp_flags: u8,
    tos: u8,
    /// By whether they carry payload: more packets counted elsewhere, without SYN, FIN and RST, tell the ends' states nothing.
    /// So a microflow of a known flow needs the first two cache lines alone.
    settled: [bool; 2],
}

/// See the [module](self). Times are nanoseconds: `first`, `last` and `start` as the packets have them, the
/// others by the aggregator's clock, which never goes back.
///
/// Five cache lines, in the order in which packets need them:
///
/// ```text
/// 0  key                                   | active_at | begun_at | ended_at
/// 1  sent by the low end                   | by the high end      | first, last
/// 2  the ends' TCP states …
/// 3  …            | initiator, service …   | link-layer fields, segment
/// 4  history                               | number, start
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Flow {
    pub(crate) key: Key,
    /// Clock at the last packet.
    active_at: i64,
    /// Clock at the first packet of this record.
    begun_at: i64,
    /// Clock when FIN+FIN or RST was seen; `i64::MAX` = not yet.
    ended_at: i64,
    sent: [Sent; 2],
    first: i64,
    last: i64,
    ends: Ends,
    pub(crate) hash: u32,
    segment: u32,
    initiator: Side,
    /// A SYN or SYN+ACK said who the initiator is.
    initiator_is_sure: bool,
    tunnel: Option<Tunnel>,
    service: Option<Service>,
    cos: Option<u8>,
    icmp: u16,
    vlan: Option<u16>,
    ethertype: Option<u16>,
    /// MAC addresses of the ends of the key.
    macs: Option<[[u8; 6]; 2]>,
    history: History,
    /// Number of the record, counted over the aggregator: breaks ties of time.
    pub(crate) number: u64,
    start: i64,
}

const _: () = assert!(size_of::<Flow>() == 5 * 64, "a flow is five cache lines");

/// ICMP's `type << 8 | code`; 0 for what is not ICMP, or a fragment without them.
fn icmp_of(packet: &Packet) -> u16 {
    let is_icmp = matches!(packet.pair.proto, ICMP | ICMPV6);
    let is_known = packet.fragment != (Fragment::Later { ports_known: false });
    if is_icmp && is_known { packet.pair.src_port << 8 | packet.pair.dst_port & 0xff } else { 0 }
}

/// Whether it is a question of ICMP, or an answer; nothing for what is neither.
fn question(packet: &Packet) -> Option<bool> {
    let (proto, icmp_type) = (packet.pair.proto, packet.pair.src_port as u8);
    let is_pair = matches!(proto, ICMP | ICMPV6) && icmp::counterpart(proto, icmp_type).is_some();
    is_pair.then(|| icmp::asks(proto, icmp_type))
}

impl Flow {
    /// Fills the slab's vacant places.
    pub(crate) const VACANT: Self = Self {
        key: Key::NONE,
        active_at: 0,
        begun_at: 0,
        ended_at: i64::MAX,
        sent: [Sent { packets: 0, bytes: 0, tcp_flags: 0, tos: 0, settled: [false; 2] }; 2],
        first: 0,
        last: 0,
        ends: Ends::NEW,
        hash: 0,
        segment: 0,
        initiator: Side::Low,
        initiator_is_sure: false,
        tunnel: None,
        service: None,
        cos: None,
        icmp: 0,
        vlan: None,
        ethertype: None,
        macs: None,
        history: History::NEW,
        number: 0,
        start: 0,
    };

    /// A flow that begins with this packet; the packet itself is [`add`](Self::add)ed next.
    pub(crate) fn open(key: Key, hash: u32, number: u64, clock: i64, sender: Side, packet: &Packet) -> Self {
        Self {
            key,
            hash,
            number,
            active_at: clock,
            begun_at: clock,
            first: packet.ts.0,
            last: packet.ts.0,
            start: packet.ts.0,
            initiator: sender,
            tunnel: packet.tunnel,
            service: packet.service,
            cos: packet.link.cos,
            vlan: packet.link.vlan,
            ethertype: packet.link.ethertype,
            icmp: icmp_of(packet),
            macs: packet.link.macs.map(|(src, dst)| if sender == Side::Low { [src, dst] } else { [dst, src] }),
            ..Self::VACANT
        }
    }

    /// Adds a packet of this flow. Whether its deadline came nearer: the connection ended.
    #[inline]
    pub(crate) fn add(&mut self, clock: i64, sender: Side, packet: &Packet) -> bool {
        let ts = packet.ts.0;
        if self.is_dormant() {
            (self.first, self.last) = (ts, ts);
            self.begun_at = clock;
        } else {
            self.first = self.first.min(ts);
            self.last = self.last.max(ts);
        }
        self.active_at = clock;
        let sent = &mut self.sent[sender as usize];
        sent.packets += 1;
        sent.bytes += u64::from(packet.ip_bytes);
        sent.tcp_flags |= packet.tcp.flags;
        // From here on only what needs the farther cache lines.
        if sent.packets == 1 {
            sent.tos = packet.tos;
            if self.key.proto() == UDP {
                self.ends.udp(&mut self.history, sender, sender == self.initiator);
            }
        }
        if packet.service.is_some() && self.service.is_none() {
            self.service = packet.service;
        }
        self.key.proto() == TCP && packet.tcp.flags != 0 && self.add_tcp(clock, sender, packet)
    }

    /// Adds packets of one direction that were counted elsewhere. Whether the deadline came nearer: the connection ended.
    pub(crate) fn add_counted(&mut self, clock: i64, sender: Side, first: &Packet, counted: &MicroDirection) -> bool {
        if self.is_dormant() {
            (self.first, self.last) = (counted.first.0, counted.last.0);
            self.begun_at = clock;
        } else {
            // A direction that began before what is known of the flow began it, unless a SYN said otherwise.
            // The kernel's clock is coarse: beside a packet of the slow path, whose time is exact, an answer can seem to be the first.
            let began = match question(first) {
                Some(asks) => asks && counted.first.0 <= self.first,
                None => counted.first.0 < self.first,
            };
            if began && !self.initiator_is_sure && self.segment == 0 && self.initiator != sender {
                self.initiator = sender;
                self.icmp = icmp_of(first);
                self.history.swap_ends();
            }
            self.first = self.first.min(counted.first.0);
            self.last = self.last.max(counted.last.0);
        }
        self.active_at = clock;
        let sent = &mut self.sent[sender as usize];
        if sent.packets == 0 {
            sent.tos = counted.tos;
        }
        sent.packets += counted.packets;
        sent.bytes += counted.ip_bytes;
        sent.tcp_flags |= counted.tcp_flags;
        // 20 bytes of IPv4 and of TCP header are the least a packet has: what is beyond is payload or options.
        let payload = counted.ip_bytes > counted.packets * 60;
        if sent.settled[usize::from(payload)] && !counted.turns() {
            return false;
        }
        match self.key.proto() {
            UDP => {
                self.ends.udp(&mut self.history, sender, sender == self.initiator);
                sent.settled = [true; 2];
                false
            }
            TCP => {
                let says = if counted.syn { Some(sender) } else { counted.syn_ack.then_some(sender.other()) };
                if let Some(initiator) = says.filter(|_| !self.initiator_is_sure) {
                    if initiator != self.initiator && self.segment == 0 {
                        self.initiator = initiator;
                        conn_state::turn(&mut self.history);
                    }
                    self.initiator_is_sure = true;
                }
                sent.settled[usize::from(payload)] =
                    self.ends.counted(&mut self.history, sender, sender == self.initiator, first, counted, payload);
                let ends = self.ended_at == i64::MAX && self.ends.has_ended();
                if ends {
                    self.ended_at = clock;
                }
                ends
            }
            _ => false,
        }
    }

    fn add_tcp(&mut self, clock: i64, sender: Side, packet: &Packet) -> bool {
        if !self.initiator_is_sure {
            let initiator = match packet.tcp.flags & FIN_SYN_RST_ACK {
                SYN => Some(sender),
                SYN_ACK => Some(sender.other()),
                _ => None,
            };
            if let Some(initiator) = initiator {
                // Earlier records of the connection have named another; they cannot be changed.
                if initiator != self.initiator && self.segment == 0 {
                    self.initiator = initiator;
                    conn_state::turn(&mut self.history);
                }
                self.initiator_is_sure = true;
            }
        }
        self.ends.tcp(&mut self.history, sender, sender == self.initiator, packet);
        let ends = self.ended_at == i64::MAX && self.ends.has_ended();
        if ends {
            self.ended_at = clock;
        }
        ends
    }

    /// Whether this packet of the same key begins another connection: a SYN after FIN or RST.
    #[inline]
    pub(crate) fn is_succeeded_by(&self, packet: &Packet) -> bool {
        packet.tcp.flags & FIN_SYN_RST_ACK == SYN && self.key.proto() == TCP && self.ends.is_ending()
    }

    /// No packet since the last record of this connection.
    #[inline]
    pub(crate) const fn is_dormant(&self) -> bool {
        self.sent[0].packets + self.sent[1].packets == 0
    }

    /// Reads a word of each cache line that most microflows need: see [`crate::flows::Flows::expect`].
    #[inline]
    pub(crate) const fn touch(&self) -> u64 {
        self.key.0[4] ^ self.sent[0].packets
    }

    /// When this record ends if no packet comes, and why.
    #[inline]
    pub(crate) fn deadline(&self, timeouts: &FlowTimeouts) -> (i64, EndReason) {
        let idle = self.active_at.saturating_add(if self.key.proto() == TCP {
            timeouts.idle_tcp
        } else {
            timeouts.idle_other
        });
        if self.ended_at != i64::MAX {
            let end = self.ended_at.saturating_add(timeouts.tcp_end);
            return (end.min(idle), EndReason::Detected);
        }
        let active = self.begun_at.saturating_add(timeouts.active);
        if active < idle && !self.is_dormant() { (active, EndReason::Active) } else { (idle, EndReason::Idle) }
    }

    /// The end reason when the flow has to go before its deadline.
    pub(crate) const fn early(&self, reason: EndReason) -> EndReason {
        if self.ended_at == i64::MAX { reason } else { EndReason::Detected }
    }

    /// First packet of the connection.
    const fn start(&self) -> Micros {
        Micros((if self.segment == 0 { self.first } else { self.start }).div_euclid(1_000))
    }

    /// Packets and IP bytes of this record.
    pub(crate) const fn totals(&self) -> (u64, u64) {
        let [a, b] = &self.sent;
        (a.packets + b.packets, a.bytes + b.bytes)
    }

    /// The record was written and the connection goes on: counters begin again.
    pub(crate) fn next_segment(&mut self) {
        if self.segment == 0 {
            self.start = self.first;
        }
        self.segment = self.segment.saturating_add(1);
        self.sent = [Sent::default(); 2];
    }

    /// Initiator's and responder's port as the record has them.
    const fn ports(&self) -> (u16, u16) {
        match self.key.proto() {
            ICMP | ICMPV6 => (0, self.icmp),
            _ => (self.key.port(self.initiator), self.key.port(self.initiator.other())),
        }
    }

    /// The record so far.
    pub(crate) fn record(&self, origin: Origin, id: RecordId, end_reason: EndReason) -> FlowRecord {
        let (src, dst) = (self.initiator, self.initiator.other());
        let (src_port, dst_port) = self.ports();
        let proto = self.key.proto();
        let direction = |side: Side| {
            let sent = &self.sent[side as usize];
            Direction {
                packets: sent.packets,
                bytes: sent.bytes,
                tcp_flags: (proto == TCP).then_some(sent.tcp_flags),
                tos: (sent.packets > 0).then_some(sent.tos),
            }
        };
        let history = self.history;
        FlowRecord {
            record_id: id,
            first_seen: Micros(self.first.div_euclid(1_000)),
            last_seen: Micros(self.last.div_euclid(1_000)),
            flow_start: self.start(),
            segment: self.segment,
            origin,
            src_ip: self.key.ip(src),
            dst_ip: self.key.ip(dst),
            version: self.key.version(),
            src_port,
            dst_port,
            proto,
            src: direction(src),
            dst: Some(direction(dst)),
            conn_state: Some(match proto {
                TCP => self.ends.tcp_state(&self.history, src),
                UDP => self.ends.udp_state(src),
                _ => "OTH",
            }),
            history: (!history.as_str().is_empty()).then_some(history),
            macs: self.macs.map(|macs| (macs[src as usize], macs[dst as usize])),
            ethertype: self.ethertype,
            vlan: self.vlan,
            cos: self.cos,
            end_reason,
            exporter: None,
            sampling: 1,
            observations: 1,
            tunnel: self.tunnel,
            service: self.service,
        }
    }
}
