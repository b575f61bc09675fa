//! What routers and switches export: NetFlow v1, v5, v7 and v9, IPFIX, sFlow v5. Datagrams in, flows out.
//!
//! [`Collector`] is sans-IO: it takes datagrams with their sender and the time they came, and gives an [`ExportSink`] one
//! [`ExportedFlow`] per flow record. Templates are compiled once into the columns that are read, and rows are decoded a column
//! at a time. What a sampled header (sFlow, IPFIX) carries goes through the packet [`Decoder`].
//!
//! Promises: nothing panics on input; every datagram, set, row and sample is counted as handed over or by the reason why not;
//! every table is bounded ([`CollectLimits`]). Data that comes before its template waits for it. Refuses templates without a byte.
//! Variable lengths are read in NetFlow v9, too (some exporters send them). Structured data (RFC 6313) is stepped over.

mod allow;
mod build;
mod bytes;
mod counters;
pub mod dtls;
mod fields;
pub mod file;
mod flow;
mod memory;
mod netflow5;
mod numbering;
mod rows;
mod sflow;
pub mod socket;
mod store;
mod stream;
pub mod stream_socket;
mod template;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use crate::{Decoder, DecoderConfig, Fate, Frame, LinkType, Message, Nanos, Packet, Sink};

pub use allow::AllowList;
pub use counters::CollectCounters;
pub use flow::{ExportSink, ExportedDirection, ExportedFlow, InterfaceCounters, Protocol};
pub use memory::{MemoryError, exporter_name};
pub use numbering::{ExporterTally, Position};
pub use store::CollectLimits;
pub use stream::{MessageError, MessageSplitter};

use build::{Context, Head, NoFlow, seconds};
use bytes::Bytes;
use fields::Int;
use rows::{Row, Rows};
use store::{ExporterKey, Store, Waiting};
use template::{Announced, Kind, Refused, Template};

/// Datagrams between two looks at what is too old.
const EXPIRE_EVERY: u64 = 4_096;

/// Reads exports. Memory: see [`CollectLimits`], besides what the packet decoder holds.
pub struct Collector {
    limits: CollectLimits,
    store: Store,
    decoder: Decoder,
    counters: CollectCounters,
}

impl Collector {
    /// A collector that knows no exporter yet.
    pub fn new(limits: CollectLimits, decoder: DecoderConfig) -> Self {
        Self { limits, store: Store::default(), decoder: Decoder::new(decoder), counters: CollectCounters::default() }
    }

    /// What was counted so far.
    pub const fn counters(&self) -> &CollectCounters {
        &self.counters
    }

    /// What the decoder of sampled packets met.
    pub fn decoder_counters(&self) -> Vec<(&'static str, u64)> {
        self.decoder.counters()
    }

    /// Data sets, and their bytes, that still wait for a template.
    pub fn waiting(&self) -> (u64, u64) {
        self.store.waiting()
    }

    /// Gives up what is too old.
    pub fn expire(&mut self, now: Nanos) {
        self.store.expire(now, &self.limits, &mut self.counters);
    }

    /// Reads a datagram, or a message of a stream.
    pub fn handle_datagram(&mut self, received: Nanos, from: IpAddr, datagram: &[u8], sink: &mut impl ExportSink) {
        self.counters.datagrams += 1;
        self.counters.bytes += datagram.len() as u64;
        if self.counters.datagrams.is_multiple_of(EXPIRE_EVERY) {
            self.expire(received);
        }
        // A v4 exporter on a v6 socket.
        let from = from.to_canonical();
        let mut bytes = Bytes(datagram);
        let counters = &mut self.counters;
        let (protocol, counter) = match bytes.u16() {
            Some(1) => (Protocol::NetFlow1, &mut counters.netflow1),
            Some(5) => (Protocol::NetFlow5, &mut counters.netflow5),
            Some(7) => (Protocol::NetFlow7, &mut counters.netflow7),
            Some(9) => (Protocol::NetFlow9, &mut counters.netflow9),
            Some(10) => (Protocol::Ipfix, &mut counters.ipfix),
            Some(0) if bytes.u16() == Some(5) => (Protocol::SFlow, &mut counters.sflow),
            _ => {
                counters.not_an_export += 1;
                return;
            }
        };
        *counter += 1;
        let read = match protocol {
            Protocol::NetFlow9 => self.netflow9(received, from, bytes, sink),
            Protocol::Ipfix => self.ipfix(received, from, bytes, sink),
            Protocol::SFlow => self.sflow(received, bytes, sink),
            _ => self.netflow5(protocol, received, from, bytes, sink),
        };
        if read.is_none() {
            self.counters.cut += 1;
        }
    }

    fn netflow5(
        &mut self,
        protocol: Protocol,
        received: Nanos,
        from: IpAddr,
        mut bytes: Bytes<'_>,
        sink: &mut impl ExportSink,
    ) -> Option<()> {
        let header = netflow5::header(protocol, &mut bytes)?;
        let domain = u32::from(header.engine);
        let key = ExporterKey { address: from, protocol, domain };
        let exporter = self.store.exporter(key, received, &self.limits, &mut self.counters);
        if let Some(number) = header.sequence {
            exporter.numbering.handle(number, Some(u32::from(header.count)), &mut self.counters);
        }
        let uptime = Some(header.uptime);
        let head = Head { protocol, exporter: from, domain, received, exported: header.exported, uptime };
        let row_len = netflow5::row_len(protocol, header.count, bytes.len());
        let rows = bytes.0.chunks_exact(row_len).take(usize::from(header.count));
        let mut read = 0;
        for row in rows {
            read += 1;
            self.counters.rows += 1;
            if let Some(flow) = netflow5::row(&head, &header, row) {
                self.counters.rows_without_counters += u64::from(flow.counts_nothing());
                self.counters.flows += 1;
                sink.flow(&flow);
            }
        }
        (read == header.count).then_some(())
    }

    /// RFC 3954.
    fn netflow9(
        &mut self,
        received: Nanos,
        from: IpAddr,
        mut bytes: Bytes<'_>,
        sink: &mut impl ExportSink,
    ) -> Option<()> {
        bytes.u16()?;
        let uptime = bytes.u32()?;
        let exported = seconds(u64::from(bytes.u32()?));
        let (number, domain) = (bytes.u32()?, bytes.u32()?);
        let protocol = Protocol::NetFlow9;
        let key = ExporterKey { address: from, protocol, domain };
        let exporter = self.store.exporter(key, received, &self.limits, &mut self.counters);
        exporter.numbering.handle(number, Some(1), &mut self.counters);
        let head = Head { protocol, exporter: from, domain, received, exported, uptime: Some(uptime) };
        self.sets(key, &head, bytes, sink);
        Some(())
    }

    /// RFC 7011.
    fn ipfix(&mut self, received: Nanos, from: IpAddr, mut bytes: Bytes<'_>, sink: &mut impl ExportSink) -> Option<()> {
        let length = usize::from(bytes.u16()?).checked_sub(16)?;
        let exported = seconds(u64::from(bytes.u32()?));
        let (number, domain) = (bytes.u32()?, bytes.u32()?);
        let protocol = Protocol::Ipfix;
        let key = ExporterKey { address: from, protocol, domain };
        let exporter = self.store.exporter(key, received, &self.limits, &mut self.counters);
        let is_late = exporter.numbering.handle(number, None, &mut self.counters);
        let head = Head { protocol, exporter: from, domain, received, exported, uptime: None };
        let whole = bytes.len() >= length;
        let body = Bytes(bytes.0.get(..length).unwrap_or(bytes.0));
        let records = self.sets(key, &head, body, sink);
        let exporter = self.store.exporter(key, received, &self.limits, &mut self.counters);
        exporter.numbering.read(number, is_late, records.filter(|_| whole), &mut self.counters);
        whole.then_some(())
    }

    /// Reads the sets of a message. Gives the number of data records, `None` where a data set could not be read.
    fn sets(&mut self, key: ExporterKey, head: &Head, mut bytes: Bytes<'_>, sink: &mut impl ExportSink) -> Option<u32> {
        let is_ipfix = key.protocol == Protocol::Ipfix;
        let mut records = Some(0_u32);
        while bytes.len() >= 4 {
            let rest = bytes;
            let (Some(id), Some(length)) = (bytes.u16(), bytes.u16()) else { break };
            let Some(length) = usize::from(length).checked_sub(4) else {
                // Datagrams filled up with zeros are no fault of a set.
                self.counters.sets_bad += u64::from(!rest.is_zero());
                records = records.filter(|_| rest.is_zero());
                break;
            };
            if length > bytes.len() {
                self.counters.sets_cut += 1;
                records = None;
            }
            let set = Bytes(bytes.0.get(..length).unwrap_or(bytes.0));
            bytes.0 = bytes.0.get(length..).unwrap_or_default();
            match (id, is_ipfix) {
                (0, false) | (2, true) => self.templates(key, head, Kind::Data, set, sink),
                (1, false) | (3, true) => self.templates(key, head, Kind::Options, set, sink),
                (256.., _) => {
                    let rows = self.data(key, head, id, set.0, sink);
                    records = records.zip(rows).map(|(sum, rows)| sum.wrapping_add(rows));
                }
                _ => self.counters.sets_bad += 1,
            }
        }
        records
    }

    fn templates(&mut self, key: ExporterKey, head: &Head, kind: Kind, mut set: Bytes<'_>, sink: &mut impl ExportSink) {
        let is_ipfix = key.protocol == Protocol::Ipfix;
        let max = self.limits.max_fields;
        // What is left below a template's header, or all zeros, is padding.
        while set.len() >= 4 && !set.is_zero() {
            if let Some(len) = self.store.repeats(&key, kind, set.0, head.received) {
                self.counters.templates_learnt += 1;
                set.take(len);
                continue;
            }
            let begin = set.0;
            let announced = match (kind, is_ipfix) {
                (Kind::Data, _) => template::data_template(&mut set, is_ipfix, max),
                (Kind::Options, true) => template::ipfix_options_template(&mut set, max),
                (Kind::Options, false) => template::v9_options_template(&mut set, max),
            };
            match announced {
                Ok(Announced { id, template: Some(template) }) => {
                    let announced = begin.get(..begin.len() - set.len()).unwrap_or_default();
                    self.store.learn(key, id, template, announced, head.received, &self.limits, &mut self.counters);
                    self.catch_up(key, id, sink);
                }
                Ok(Announced { id, template: None }) => self.store.withdraw(&key, id, &mut self.counters),
                Err(refused) => {
                    self.counters.templates_refused += 1;
                    // Where the next one begins is not known any more, unless this one was whole.
                    if refused != Refused::Senseless {
                        return;
                    }
                }
            }
        }
    }

    /// Decodes what waited for a template.
    fn catch_up(&mut self, key: ExporterKey, id: u16, sink: &mut impl ExportSink) {
        for Waiting { head, bytes, .. } in self.store.waited_for(&key, id) {
            self.counters.sets_late += 1;
            self.data(key, &head, id, &bytes, sink);
        }
    }

    /// Reads a data set; gives its number of records.
    fn data(&mut self, key: ExporterKey, head: &Head, id: u16, set: &[u8], sink: &mut impl ExportSink) -> Option<u32> {
        let Some(template) = self.store.template(&key, id, head.received) else {
            let waiting = Waiting { id, head: *head, bytes: set.into() };
            self.store.wait(&key, waiting, &self.limits, &mut self.counters);
            return None;
        };
        if template.kind == Kind::Options {
            return Some(self.options(key, &template, set, head.received));
        }
        Some(self.flows(key, head, &template, set, sink))
    }

    fn flows(
        &mut self,
        key: ExporterKey,
        head: &Head,
        template: &Arc<Template>,
        set: &[u8],
        sink: &mut impl ExportSink,
    ) -> u32 {
        let Self { store, counters, decoder, .. } = self;
        let exporter = store.get(&key);
        let context = Context { head: *head, template, system_init: exporter.and_then(|e| e.system_init) };
        let (mut rows, mut count) = (Rows::new(template, set), 0_u32);
        let (names_a_flow, has_frame) = (template.names_a_flow(), template.has_frame());
        // Without a sampler in the rows, one answer serves all.
        let names_sampler = template.has(Int::SamplerId) || template.has(Int::SelectorId);
        let common = exporter.map_or(1, |e| e.sampling(None));
        loop {
            let chunk = rows.next();
            if chunk.is_empty() {
                break;
            }
            count += chunk.len() as u32;
            if !names_a_flow {
                counters.rows_without_addresses += chunk.len() as u64;
                continue;
            }
            for row in chunk {
                let said = own_sampling(row, template);
                let sampling = said.unwrap_or_else(|| match (names_sampler, exporter) {
                    (true, Some(exporter)) => exporter.sampling(sampler(row, template)),
                    _ => common,
                });
                let flow = match context.flow(row) {
                    Ok(flow) => Ok(flow),
                    Err(NoFlow) if has_frame && !row.frame.is_empty() => {
                        counters.samples += 1;
                        let link = match row.frame.first() {
                            Some(byte) if row.frame_is_ip && byte >> 4 == 6 => LinkType::IPV6,
                            Some(_) if row.frame_is_ip => LinkType::IPV4,
                            _ => LinkType::ETHERNET,
                        };
                        let wire_len = row.get(template, Int::FrameSize).unwrap_or(row.frame.len() as u64) as u32;
                        let packet = sampled(decoder, head.exported, link, wire_len, row.frame, counters, sink);
                        packet.map(|packet| context.packet_flow(row, &packet)).ok_or(NoFlow)
                    }
                    Err(NoFlow) => Err(NoFlow),
                };
                match flow {
                    Ok(flow) => {
                        counters.flows += 1;
                        counters.rows_without_counters += u64::from(flow.counts_nothing());
                        sink.flow(&ExportedFlow { sampling, ..flow });
                    }
                    Err(NoFlow) => counters.rows_without_addresses += 1,
                }
            }
        }
        counters.rows += u64::from(count);
        counters.sets_cut += u64::from(rows.left().len() >= template.row_len);
        count
    }

    /// Options data: how the exporter samples, and when it started.
    fn options(&mut self, key: ExporterKey, template: &Arc<Template>, set: &[u8], now: Nanos) -> u32 {
        let max_samplers = self.limits.max_samplers;
        let exporter = self.store.exporter(key, now, &self.limits, &mut self.counters);
        let (mut rows, mut count) = (Rows::new(template, set), 0_u32);
        loop {
            let chunk = rows.next();
            if chunk.is_empty() {
                break;
            }
            count += chunk.len() as u32;
            for row in chunk {
                if let Some(init) = row.get(template, Int::SystemInitMs).filter(|init| *init != 0) {
                    exporter.system_init = Some(build::millis(init));
                }
                let Some(interval) = own_sampling(row, template) else { continue };
                match sampler(row, template) {
                    Some(id) if exporter.samplers.len() < max_samplers || exporter.samplers.contains_key(&id) => {
                        exporter.samplers.insert(id, interval);
                        exporter.only_sampler = Some(interval);
                    }
                    Some(_) => {}
                    None => exporter.sampling = Some(interval),
                }
            }
        }
        self.counters.rows += u64::from(count);
        self.counters.rows_options += u64::from(count);
        count
    }

    fn sflow(&mut self, received: Nanos, mut bytes: Bytes<'_>, sink: &mut impl ExportSink) -> Option<()> {
        let header = sflow::header(&mut bytes)?;
        let (protocol, exporter) = (Protocol::SFlow, header.agent);
        let key = ExporterKey { address: exporter, protocol, domain: header.sub_agent };
        let known = self.store.exporter(key, received, &self.limits, &mut self.counters);
        known.numbering.handle(header.sequence, Some(1), &mut self.counters);
        // sFlow has no clock: a sample is of when it came.
        let head = Head { protocol, exporter, domain: header.sub_agent, received, exported: received, uptime: None };
        for _ in 0..header.samples {
            let (enterprise, format, sample) = sflow::piece(&mut bytes)?;
            match (enterprise, format) {
                (0, 1 | 3) => self.flow_sample(&head, sflow::flow_sample(sample, format == 3)?, sink),
                (0, 2 | 4) => {
                    let counters = &mut self.counters;
                    sflow::counter_sample(sample, format == 4, |generic| {
                        counters.interfaces += 1;
                        sink.interface(&interface(&head, &generic));
                    })?;
                }
                _ => {}
            }
        }
        Some(())
    }

    fn flow_sample(&mut self, head: &Head, sample: sflow::FlowSample<'_>, sink: &mut impl ExportSink) {
        let Self { decoder, counters, .. } = self;
        counters.samples += 1;
        let flow = match sample.packet {
            Some(sflow::Sampled::Header { link, wire_len, bytes }) => {
                sampled(decoder, head.received, link, wire_len, bytes, counters, sink)
                    .map(|packet| build::of_packet(head, &packet))
            }
            Some(sflow::Sampled::Fields { pair, ip_bytes, tcp_flags, tos }) => {
                let forward = ExportedDirection {
                    packets: 1,
                    bytes: u64::from(ip_bytes),
                    tcp_flags: (pair.proto == 6).then_some(tcp_flags),
                    tos: Some(tos),
                };
                let new = ExportedFlow::new(head.protocol, head.exporter, head.domain, head.received, pair);
                Some(ExportedFlow { forward, ..new })
            }
            None => None,
        };
        let Some(flow) = flow else {
            counters.samples_unreadable += 1;
            return;
        };
        counters.flows += 1;
        let masks = sample.masks;
        sink.flow(&ExportedFlow {
            sampling: sample.rate,
            input_if: sample.input_if,
            output_if: sample.output_if,
            // RFC 7270: 128 is dropped, for no known reason.
            fwd_status: sample.dropped.then_some(128),
            vlan: flow.vlan.or(sample.vlan),
            next_hop: sample.next_hop,
            src_mask: masks.map(|m| m.0),
            dst_mask: masks.map(|m| m.1),
            src_as: sample.ases.map(|a| a.0),
            dst_as: sample.ases.map(|a| a.1),
            peer_dst: sample.peer_dst,
            ..flow
        });
    }
}

/// Reads a sampled packet; its application messages go to the sink.
fn sampled(
    decoder: &mut Decoder,
    ts: Nanos,
    link: LinkType,
    wire_len: u32,
    data: &[u8],
    counters: &mut CollectCounters,
    sink: &mut impl ExportSink,
) -> Option<Packet> {
    struct One<'a, S> {
        packet: Option<Packet>,
        messages: u64,
        sink: &'a mut S,
    }
    impl<S: ExportSink> Sink for One<'_, S> {
        fn packet(&mut self, packet: &Packet) {
            self.packet = Some(*packet);
        }
        fn message(&mut self, message: Message) {
            self.messages += 1;
            self.sink.message(message);
        }
    }
    let mut one = One { packet: None, messages: 0, sink };
    // A header is a piece of its frame, whatever the length says.
    let wire_len = wire_len.max(u32::try_from(data.len()).unwrap_or(u32::MAX));
    let fate = decoder.handle_frame(&Frame { ts: Some(ts), wire_len, data, link }, &mut one);
    let One { packet, messages, .. } = one;
    counters.messages += messages;
    packet.filter(|_| matches!(fate, Fate::Received { .. }))
}

/// What a row itself says of sampling.
fn own_sampling(row: &Row<'_>, template: &Template) -> Option<u32> {
    let get = |int| row.get(template, int).filter(|value| *value != 0);
    let ratio = |whole: u64, part: u64| u32::try_from(whole.div_ceil(part.max(1))).ok();
    let said = get(Int::SamplerInterval).or_else(|| get(Int::SamplingInterval)).and_then(|n| u32::try_from(n).ok());
    let spaced = || {
        let interval = get(Int::PacketInterval)?;
        ratio(interval.saturating_add(get(Int::PacketSpace).unwrap_or_default()), interval)
    };
    let drawn = || ratio(get(Int::SamplingPopulation)?, get(Int::SamplingSize)?);
    // With a space, 305 is how many are taken in a row; alone, many exporters mean one in that many.
    let spaced = || if template.has(Int::PacketSpace) { spaced() } else { get(Int::PacketInterval)?.try_into().ok() };
    said.or_else(spaced).or_else(drawn).map(|n| n.max(1))
}

fn sampler(row: &Row<'_>, template: &Template) -> Option<u64> {
    row.get(template, Int::SamplerId).or_else(|| row.get(template, Int::SelectorId))
}

fn interface(head: &Head, generic: &sflow::Generic) -> InterfaceCounters {
    let known = |n: u32| (n != u32::MAX).then_some(n);
    InterfaceCounters {
        exporter: head.exporter,
        received: head.received,
        if_index: generic.if_index,
        if_type: known(generic.if_type),
        if_speed: Some(generic.if_speed).filter(|speed| *speed != u64::MAX),
        if_direction: known(generic.if_direction),
        if_status: known(generic.if_status),
        incoming: generic.incoming,
        outgoing: generic.outgoing,
    }
}
