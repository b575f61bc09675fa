//! The aggregator: packets and messages in, records out.

use capture::live::{MicroDirection, Microflow};
use capture::{AddressPair, Body, Fragment, Link, Message, Nanos, Packet, Sink, Tcp};

use crate::config::AggregatorConfig;
use crate::dhcp_match::{self, DhcpMatcher};
use crate::dns_match::{self, DnsMatcher};
use crate::flow::nanos;
use crate::flows::{self, Flows};
use crate::http_match::{self, HttpMatcher};
use crate::icmp::{ICMP, ICMPV6};
use crate::key::KeyHasher;
use crate::record::Records;
use crate::record_id::RecordIds;
use crate::stats::Stats;

/// Turns packets and messages into records. Sans-IO: give it what a decoder says through [`Sink`], tell it
/// the time with [`advance`](Self::advance), and take what it finished.
///
/// Call order: any number of packets, messages and `advance`, with [`take_records`](Self::take_records) in
/// between (once per batch of frames: what is finished is kept until it is taken); then
/// [`finish`](Self::finish) and a last `take_records`.
///
/// Times need not be in order. The clock is the latest time seen and drives all timeouts, so a late packet is
/// counted where it belongs; a record's first and last are the least and greatest of its packets. If the times
/// of the input stay behind by more than the longest flow timeout for [`STEP_PACKETS`](Self::STEP_PACKETS)
/// packets in a row (files put one after the other), the clock has stepped back: it goes on from where it was,
/// at the new pace, and the step is counted.
#[derive(Debug)]
pub struct Aggregator {
    config: AggregatorConfig,
    clock: Clock,
    flows: Flows,
    dns: DnsMatcher,
    dhcp: DhcpMatcher,
    http: HttpMatcher,
    records: Records,
    stats: Stats,
}

impl Aggregator {
    /// Packets in a row that are far behind before the clock is taken to have stepped back.
    pub const STEP_PACKETS: u32 = 64;

    /// An empty aggregator.
    pub fn new(config: AggregatorConfig) -> Self {
        let hasher = KeyHasher::new(config.hash_seed);
        Self::with_hasher(config, hasher)
    }

    pub(crate) fn with_hasher(config: AggregatorConfig, hasher: KeyHasher) -> Self {
        let ids = RecordIds::new(&config.sensor, config.origin);
        let timeouts = &config.timeouts;
        Self {
            clock: Clock::new(nanos(timeouts.active.max(timeouts.idle_tcp).max(timeouts.idle_other))),
            flows: Flows::new(&config, hasher, ids.clone()),
            dns: DnsMatcher::new(&config, hasher, ids.clone()),
            dhcp: DhcpMatcher::new(&config, ids.clone()),
            http: HttpMatcher::new(&config, ids),
            records: Records::default(),
            stats: Stats::default(),
            config,
        }
    }

    /// Tells the time: what is due at `now` is finished. Packets move the clock too, so a file needs no call;
    /// live capture calls it when no packet came. Times before the latest seen are ignored.
    pub fn advance(&mut self, now: Nanos) {
        let now = self.clock.tell(now);
        let Self { flows, dns, dhcp, http, records, stats, .. } = self;
        flows.advance(now, flows::Out { records: &mut records.flow, stats });
        dns.advance(now, &mut dns_match::Out { records: &mut records.dns, stats });
        dhcp.advance(now, &mut dhcp_match::Out { records: &mut records.dhcp, stats });
        http.advance(now, &mut http_match::Out { records: &mut records.proxy, stats });
    }

    /// A part of a flow that was counted in the kernel. Its packets count like others; of the connection's states it
    /// tells what the OR of the flags tells.
    pub fn microflow(&mut self, microflow: &Microflow) {
        let Microflow { low, high, low_port, high_port, proto, version, link, tunnel, from_low, from_high } =
            *microflow;
        let is_icmp = matches!(proto, ICMP | ICMPV6);
        let turned = Link { macs: link.macs.map(|(low, high)| (high, low)), ..link };
        let there = AddressPair { src: low, dst: high, src_port: low_port, dst_port: high_port, proto, version };
        // Type and code stand in the ports, whoever sent them.
        let back = AddressPair { src: high, dst: low, ..if is_icmp { there } else { there.reversed() } };
        let mut directions = [(there, link, from_low), (back, turned, from_high)];
        // Who spoke first is the initiator, unless a SYN says otherwise.
        if from_high.packets > 0 && (from_low.packets == 0 || from_high.first < from_low.first) {
            directions.reverse();
        }
        let Self { clock, flows, records, stats, .. } = self;
        for (pair, link, counted) in directions.iter().filter(|(.., counted)| counted.packets > 0) {
            stats.packets_in += counted.packets;
            stats.bytes_in += counted.ip_bytes;
            let now = clock.packet(counted.last);
            flows.counted(
                now,
                &Packet { tunnel, ..first_of(*pair, *link, counted) },
                counted,
                flows::Out { records: &mut records.flow, stats },
            );
        }
    }

    /// Says which microflows come next, so that what is known of their flows can be fetched from memory together. Changes nothing.
    pub fn expect(&self, microflows: &[Microflow]) {
        for group in microflows.chunks(flows::AHEAD) {
            self.flows.expect(group.iter().map(|microflow| {
                let Microflow { low: src, high: dst, low_port, high_port, proto, version, link, from_low, .. } =
                    *microflow;
                let pair = AddressPair { src, dst, src_port: low_port, dst_port: high_port, proto, version };
                first_of(pair, link, &from_low)
            }));
        }
    }

    /// What was finished since the last call, in the order it was finished; what was finished at the same
    /// moment, in the order it began. [`Records::sort`] gives an order that does not depend on when it ended.
    pub fn take_records(&mut self) -> Records {
        std::mem::take(&mut self.records)
    }

    /// What waits to be taken, to be drained in place: the memory is used again.
    pub(crate) const fn records_mut(&mut self) -> &mut Records {
        &mut self.records
    }

    /// What waits to be taken.
    pub(crate) const fn records(&self) -> &Records {
        &self.records
    }

    /// Flows that began, so far.
    #[inline]
    pub(crate) const fn flows_opened(&self) -> u64 {
        self.stats.flows_opened
    }

    /// How many records wait to be taken.
    pub fn finished(&self) -> usize {
        self.records.len()
    }

    /// The end of the input: everything still open is finished, with end reason 4 (3 if the connection had
    /// ended).
    pub fn finish(&mut self) {
        let now = self.clock.now;
        let Self { flows, dns, dhcp, http, records, stats, .. } = self;
        flows.finish(now, flows::Out { records: &mut records.flow, stats });
        dns.finish(&mut dns_match::Out { records: &mut records.dns, stats });
        dhcp.finish(&mut dhcp_match::Out { records: &mut records.dhcp, stats });
        http.finish(&mut http_match::Out { records: &mut records.proxy, stats });
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        let (requests, responses) = self.http.waiting();
        Stats {
            table_doublings: self.flows.doublings(),
            late_packets: self.clock.late,
            clock_steps_back: self.clock.steps_back,
            dns_waiting: self.dns.waiting() as u64,
            dhcp_waiting: self.dhcp.waiting() as u64,
            http_requests_waiting: requests as u64,
            http_responses_waiting: responses as u64,
            ..self.stats
        }
    }

    /// The settings.
    pub const fn config(&self) -> &AggregatorConfig {
        &self.config
    }
}

impl Sink for Aggregator {
    fn packet(&mut self, packet: &Packet) {
        let Self { clock, flows, records, stats, .. } = self;
        stats.packets_in += 1;
        stats.bytes_in += u64::from(packet.ip_bytes);
        let now = clock.packet(packet.ts);
        flows.packet(now, packet, flows::Out { records: &mut records.flow, stats });
    }

    fn message(&mut self, message: Message) {
        let Self { clock, dns, dhcp, http, records, stats, .. } = self;
        let now = clock.now;
        let Message { first_ts, ts, pair, body } = message;
        let carried = Carried { first_ts, ts, pair };
        let proxy = &mut records.proxy;
        match body {
            Body::Dns(body) => {
                dns.handle(now, &carried, *body, &mut dns_match::Out { records: &mut records.dns, stats });
            }
            Body::Dhcp(body) => {
                dhcp.handle(now, &carried, *body, &mut dhcp_match::Out { records: &mut records.dhcp, stats });
            }
            Body::HttpRequest(body) => {
                http.request(now, &carried, *body, &mut http_match::Out { records: proxy, stats });
            }
            Body::HttpResponse(body) => {
                http.response(now, &carried, *body, &mut http_match::Out { records: proxy, stats });
            }
            Body::TlsClientHello(body) => {
                http.client_hello(&carried, *body, &mut http_match::Out { records: proxy, stats });
            }
        }
    }
}

/// When and between whom a message travelled; see [`Message`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) first_ts: Nanos,
    pub(crate) ts: Nanos,
    pub(crate) pair: AddressPair,
}

/// The time that drives the timeouts: that of the input, but never going back.
#[derive(Debug)]
struct Clock {
    /// Latest time, on this clock.
    now: i64,
    /// This clock less the input's.
    offset: i64,
    /// How far behind is too far.
    step: i64,
    /// Packets in a row that were too far behind.
    behind: u32,
    late: u64,
    steps_back: u64,
}

impl Clock {
    const fn new(step: i64) -> Self {
        Self { now: i64::MIN, offset: 0, step, behind: 0, late: 0, steps_back: 0 }
    }

    fn tell(&mut self, now: Nanos) -> i64 {
        self.now = self.now.max(now.0.saturating_add(self.offset));
        self.now
    }

    #[inline]
    fn packet(&mut self, ts: Nanos) -> i64 {
        let time = ts.0.saturating_add(self.offset);
        if time >= self.now {
            self.now = time;
            self.behind = 0;
        } else {
            self.late_packet(time);
        }
        self.now
    }

    #[cold]
    fn late_packet(&mut self, time: i64) {
        self.late += 1;
        let behind = self.now.saturating_sub(time);
        self.behind = if behind > self.step { self.behind + 1 } else { 0 };
        if self.behind >= Aggregator::STEP_PACKETS {
            self.offset = self.offset.saturating_add(behind);
            self.behind = 0;
            self.steps_back += 1;
        }
    }
}

/// What the first of so many packets of one direction said.
fn first_of(pair: AddressPair, link: Link, counted: &MicroDirection) -> Packet {
    Packet {
        ts: counted.first,
        pair,
        ip_bytes: 0,
        payload_bytes: 0,
        tcp: Tcp { flags: counted.tcp_flags, ..Tcp::default() },
        tos: counted.tos,
        fragment: Fragment::Whole,
        link,
        tunnel: None,
        service: None,
    }
}

#[cfg(test)]
mod tests {
    use capture::{Ip, IpVersion};

    use super::*;
    use crate::record::{FlowRecord, Origin};

    /// 3,000 packets of 505 flows that differ in one field each.
    fn records(mask: u64) -> Vec<FlowRecord> {
        let config = AggregatorConfig { vlan_in_key: true, ..AggregatorConfig::new("test", Origin::Pcap) };
        let hasher = KeyHasher::new(1).masked(mask);
        let mut aggregator = Aggregator::with_hasher(config, hasher);
        for i in 0..3_000_u16 {
            let n = i % 101;
            let mut pair = AddressPair {
                src: Ip::v4([10, 0, 0, 1]),
                dst: Ip::v4([10, 0, 0, 2]),
                src_port: 1_000,
                dst_port: 2_000,
                proto: 17,
                version: IpVersion::V4,
            };
            let mut link = Link::default();
            match i % 5 {
                0 => pair.src.0[14] = n as u8,
                1 => pair.dst_port = n,
                2 => pair.proto = 100 + n as u8,
                3 => link.vlan = Some(n),
                _ => (pair.version, pair.src.0[0]) = (IpVersion::V6, n as u8),
            }
            aggregator.packet(&Packet {
                ts: Nanos(i64::from(i) * 10_000_000),
                pair,
                ip_bytes: 100,
                payload_bytes: 0,
                tcp: Tcp::default(),
                tos: 0,
                fragment: Fragment::Whole,
                link,
                tunnel: None,
                service: None,
            });
        }
        aggregator.finish();
        aggregator.take_records().flow
    }

    /// The kernel's cache counts request and reply apart, each with the time of a coarse clock.
    #[test]
    fn an_echo_reply_that_is_swept_first_does_not_make_its_sender_the_initiator() {
        use capture::live::{MicroDirection, Microflow};
        let echo = |icmp_type: u16, from_low: bool, first: i64| {
            let counted = MicroDirection {
                packets: 2,
                ip_bytes: 168,
                first: Nanos(first),
                last: Nanos(first + 8_000_000),
                ..MicroDirection::default()
            };
            let (low, high) =
                if from_low { (counted, MicroDirection::default()) } else { (MicroDirection::default(), counted) };
            Microflow {
                low: Ip::v4([10, 0, 0, 1]),
                high: Ip::v4([10, 0, 0, 2]),
                low_port: icmp_type,
                high_port: 0,
                proto: 1,
                version: IpVersion::V4,
                link: Link::default(),
                tunnel: None,
                from_low: low,
                from_high: high,
            }
        };
        // (request's time, reply's time): one tick of the clock, or the reply swept first though it was later; and a request whose time is exact,
        // its reply that of the tick before.
        for (request, reply, is_request_first) in [(0, 0, false), (0, 4_000_000, false), (3_500_000, 0, true)] {
            let mut aggregator = Aggregator::new(AggregatorConfig::new("test", Origin::Xdp));
            let mut swept = [echo(0, true, reply), echo(8, false, request)];
            if is_request_first {
                swept.reverse();
            }
            swept.iter().for_each(|microflow| aggregator.microflow(microflow));
            aggregator.finish();
            let flows = aggregator.take_records().flow;
            assert_eq!(flows.len(), 1);
            let flow = &flows[0];
            assert_eq!((flow.src_ip, flow.src_port, flow.dst_port), (Ip::v4([10, 0, 0, 2]), 0, 8 << 8));
            assert_eq!((flow.src.packets, flow.dst.as_ref().map(|dst| dst.packets)), (2, Some(2)));
        }
    }

    #[test]
    fn two_flows_with_one_hash_stay_two() {
        let apart = records(u64::MAX);
        assert_eq!(apart.len(), 505);
        assert_eq!(records(0), apart);
    }
}
