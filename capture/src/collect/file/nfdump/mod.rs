//! nfdump's files: a header, then blocks of records, each packed by itself. Layout 1 is nfdump 1.6's, layout 2 that of 1.7.
//!
//! Field by field this follows nfdump's published headers `nffile.h`, `nffileV2.h` and `nfxV3.h`. Numbers are the writer's: little
//! endian here; files of big-endian machines are refused.

mod layout1;
mod layout2;
mod unpack;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{ExportFileError, ExportSink, MAX_BLOCK, Source};
use crate::collect::ExportedFlow;
use crate::collect::build::millis;
use crate::{AddressPair, Ip, IpVersion, Nanos};
use layout1::Maps;
use unpack::{Packing, Unpacker};

const MAGIC: [u8; 2] = [0x0c, 0xa5];
/// Exporters and samplers that are known at once; nfdump numbers them in 16 bits.
const MAX_EXPORTERS: usize = 1 << 16;

/// Kinds of records, in both layouts.
mod kind {
    pub(super) const COMMON_V0: u16 = 1;
    pub(super) const EXTENSION_MAP: u16 = 2;
    pub(super) const EXPORTER: u16 = 7;
    /// nfdump 1.6: one packet of so many.
    pub(super) const SAMPLER_INTERVAL: u16 = 9;
    pub(super) const COMMON: u16 = 10;
    pub(super) const V3: u16 = 11;
    /// nfdump 1.7: so many packets taken, then so many left out (IPFIX elements 305 and 306).
    pub(super) const SAMPLER: u16 = 15;
}

/// What was met. `records = flows + refused + other`.
///
/// | counter | meaning |
/// |---|---|
/// | `nfdump.blocks` | blocks |
/// | `nfdump.blocks_unreadable`, `nfdump.records_lost` | of those: that do not unpack or are cut; records that they announced |
/// | `records.seen` | records |
/// | `export.flows` | of those: flows |
/// | `records.quarantined` | of those: refused |
/// | `records.other` | of those: exporters, samplers, statistics, the file's name |
/// | `nfdump.flows_anonymised`, `nfdump.flows_event` | flows whose addresses nfanon changed; that are events, not traffic |
/// | `nfdump.sampler_unknown` | flows that are of sampled packets, and nothing says how many |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counters {
    pub(super) blocks: u64,
    pub(super) blocks_unreadable: u64,
    pub(super) records_lost: u64,
    pub(super) records: u64,
    pub(super) flows: u64,
    pub(super) refused: u64,
    pub(super) other: u64,
    pub(super) anonymised: u64,
    pub(super) events: u64,
    pub(super) sampler_unknown: u64,
}

impl Counters {
    pub(super) fn list(&self) -> Vec<(&'static str, u64)> {
        let c = self;
        vec![
            ("nfdump.blocks", c.blocks),
            ("nfdump.blocks_unreadable", c.blocks_unreadable),
            ("nfdump.records_lost", c.records_lost),
            ("records.seen", c.records),
            ("export.flows", c.flows),
            ("records.quarantined", c.refused),
            ("records.other", c.other),
            ("nfdump.flows_anonymised", c.anonymised),
            ("nfdump.flows_event", c.events),
            ("nfdump.sampler_unknown", c.sampler_unknown),
        ]
    }

    pub(super) fn imbalance(&self) -> Option<String> {
        let right = self.flows + self.refused + self.other;
        (self.records != right).then(|| {
            format!("records.seen = export.flows + records.quarantined + records.other: {} and {right}", self.records)
        })
    }
}

/// What a file's header says.
#[derive(Clone, Copy, Debug)]
struct Head {
    packing: Packing,
    /// Blocks of data and, after them, of the file's own.
    blocks: u32,
}

/// Whether a file begins so.
pub(super) fn is_nfdump(probe: &[u8]) -> bool {
    probe.starts_with(&MAGIC) && matches!(probe.get(2..4), Some([1..=9, 0]))
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Nfdump {
    head: Option<Head>,
    unpacker: Unpacker,
    known: Known,
    maps: Maps,
    counters: Counters,
}

/// What the file said of those who exported.
#[derive(Default)]
struct Known {
    exporters: HashMap<u16, (IpAddr, u32)>,
    samplers: HashMap<u16, u32>,
}

impl Nfdump {
    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn read(&mut self, source: &mut Source, sink: &mut impl ExportSink) -> Result<bool, ExportFileError> {
        let head = match self.head {
            Some(head) => head,
            None => *self.head.insert(header(source)?),
        };
        let begun = source.offset;
        let mut block = [0; 12];
        if !source.fill(&mut block, "a block's header")? {
            return match head.blocks {
                0 if self.counters.blocks > 0 => Err(ExportFileError::NotClosed),
                blocks if self.counters.blocks < u64::from(blocks) => {
                    Err(ExportFileError::Truncated { offset: source.offset, what: "its blocks: the header names more" })
                }
                _ => Ok(false),
            };
        }
        let (announced, size) = (u32_at(&block, 0), u32_at(&block, 4) as usize);
        let (kind, flags) = (u16_at(&block, 8), u16_at(&block, 10));
        self.counters.blocks += 1;
        if size > MAX_BLOCK {
            self.lost(sink, announced, "a block longer than any is", &block);
            return Err(ExportFileError::Damaged { offset: begun, what: "a block longer than any is" });
        }
        let packed = match source.take(size, "a block") {
            Ok(packed) => packed,
            Err(error) => {
                self.lost(sink, announced, "a block that is cut", &block);
                return Err(error);
            }
        };
        // Bit 0: this block is not packed, whatever the file is.
        let packing = if flags & 1 == 1 { Packing::None } else { head.packing };
        let mut unpacker = std::mem::take(&mut self.unpacker);
        match (unpacker.unpack(packing, &packed), kind) {
            (None, _) => self.lost(sink, announced, "a block that does not unpack", &packed),
            (Some(records), 2 | 3) => self.records(records, announced, sink),
            // Histograms, and what came later: not of flows.
            (Some(_), _) => {
                self.counters.records += u64::from(announced);
                self.counters.other += u64::from(announced);
            }
        }
        self.unpacker = unpacker;
        Ok(true)
    }

    fn lost(&mut self, sink: &mut impl ExportSink, announced: u32, reason: &'static str, bytes: &[u8]) {
        self.counters.blocks_unreadable += 1;
        self.counters.records_lost += u64::from(announced);
        sink.refused(self.counters.blocks, reason, bytes);
    }

    fn records(&mut self, mut bytes: &[u8], announced: u32, sink: &mut impl ExportSink) {
        let before = self.counters.records;
        while !bytes.is_empty() {
            let size = if bytes.len() < 4 { 0 } else { usize::from(u16_at(bytes, 2)) };
            let Some((record, rest)) = bytes.split_at_checked(size).filter(|_| size >= 4) else {
                // Where the next record begins is not known any more.
                let read = self.counters.records - before;
                self.lost(sink, announced.saturating_sub(read as u32), "a record longer than its block", bytes);
                return;
            };
            bytes = rest;
            self.counters.records += 1;
            match self.record(record) {
                Ok(Some(flow)) => {
                    self.counters.flows += 1;
                    sink.flow(&flow);
                }
                Ok(None) => self.counters.other += 1,
                Err(reason) => {
                    self.counters.refused += 1;
                    sink.refused(self.counters.records, reason, record);
                }
            }
        }
    }

    /// A flow, where the record is one.
    fn record(&mut self, record: &[u8]) -> Result<Option<ExportedFlow>, &'static str> {
        let read = match u16_at(record, 0) {
            kind::V3 => layout2::flow(record)?,
            kind::COMMON_V0 | kind::COMMON => layout1::flow(record, &self.maps)?,
            kind::EXTENSION_MAP => return self.maps.learn(record).map(|()| None),
            kind::EXPORTER => return self.known.exporter(record).map(|()| None),
            kind::SAMPLER_INTERVAL | kind::SAMPLER => return self.known.sampler(record).map(|()| None),
            _ => return Ok(None),
        };
        let Read { mut flow, exporter, flags } = read;
        if let Some((address, domain)) = self.known.exporters.get(&exporter) {
            if flow.exporter.is_unspecified() {
                flow.exporter = *address;
            }
            flow.domain = *domain;
        }
        if flags.sampled {
            match self.known.samplers.get(&exporter) {
                Some(interval) => flow.sampling = *interval,
                None => self.counters.sampler_unknown += 1,
            }
        }
        self.counters.anonymised += u64::from(flags.anonymised);
        self.counters.events += u64::from(flags.event);
        Ok(Some(flow))
    }
}

/// A record that is a flow.
struct Read {
    flow: ExportedFlow,
    /// The file's own number of who exported it.
    exporter: u16,
    flags: Flags,
}

#[derive(Clone, Copy)]
struct Flags {
    event: bool,
    sampled: bool,
    anonymised: bool,
}

impl Known {
    fn exporter(&mut self, record: &[u8]) -> Result<(), &'static str> {
        if record.len() < 32 {
            return Err("an exporter record that is cut");
        }
        let (family, id, domain) = (u16_at(record, 24), u16_at(record, 26), u32_at(record, 28));
        // struct ip_addr_s: an IPv4 address lies in the third of four words.
        let address = match family {
            2 => v4(u32_at(record, 16)),
            _ => v6(record, 8),
        };
        if self.exporters.len() < MAX_EXPORTERS {
            self.exporters.insert(id, (address, domain));
        }
        Ok(())
    }

    /// What is taken of an exporter's packets; where several samplers of one are told, the last counts.
    fn sampler(&mut self, record: &[u8]) -> Result<(), &'static str> {
        let new = u16_at(record, 0) == kind::SAMPLER;
        if record.len() < if new { 24 } else { 16 } {
            return Err("a sampler record that is cut");
        }
        let (interval, exporter) = if new {
            let (taken, left) = (u32_at(record, 16), u32_at(record, 20));
            (taken.saturating_add(left).checked_div(taken).unwrap_or_default(), u16_at(record, 4))
        } else {
            (u32_at(record, 8), u16_at(record, 14))
        };
        if interval > 0 && self.samplers.len() < MAX_EXPORTERS {
            self.samplers.insert(exporter, interval);
        }
        Ok(())
    }
}

fn header(source: &mut Source) -> Result<Head, ExportFileError> {
    let mut bytes = [0; 8];
    let damaged = |what| ExportFileError::Damaged { offset: 0, what };
    source.fill(&mut bytes, "its header")?;
    match u16_at(&bytes, 2) {
        1 => {
            let rest = source.take(layout1::HEADER - bytes.len(), "its header")?;
            Ok(Head { packing: Packing::of_flags(u32_at(&bytes, 4)), blocks: u32_at(&rest, 0) })
        }
        2 => {
            let rest = source.take(layout2::HEADER - bytes.len(), "its header")?;
            if rest.get(9).is_some_and(|encryption| *encryption != 0) {
                return Err(damaged("it is encrypted: decrypt it with the nfdump that wrote it"));
            }
            let packing = rest.get(8).copied().and_then(Packing::of_number);
            let packing = packing.ok_or_else(|| damaged("packed in a way that is not known"))?;
            let appendix = u32::from(u16_at(&rest, 10));
            let data = u32_at(&rest, 28);
            // A file in work has neither.
            Ok(Head { packing, blocks: data.saturating_add(appendix) })
        }
        _ => Err(damaged(
            "a layout of nfdump that is not known: expected 1 or 2; `nfdump -r FILE -w COPY` of nfdump 1.7 makes one",
        )),
    }
}

/// An address pair of a record; ICMP's type and code are in the destination port.
const fn pair((src, dst, version): (Ip, Ip, IpVersion), (src_port, dst_port): (u16, u16), proto: u8) -> AddressPair {
    let (src_port, dst_port) = match proto {
        1 | 58 => (dst_port >> 8, dst_port & 0xff),
        _ => (src_port, dst_port),
    };
    AddressPair { src, dst, src_port, dst_port, proto, version }
}

/// Both ends of IPv4: two words.
fn ends4(bytes: &[u8]) -> (Ip, Ip, IpVersion) {
    let end = |at| Ip::v4(u32_at(bytes, at).to_be_bytes());
    (end(0), end(4), IpVersion::V4)
}

/// Both ends of IPv6: four double words.
fn ends6(bytes: &[u8]) -> (Ip, Ip, IpVersion) {
    (Ip(v6_bytes(bytes, 0)), Ip(v6_bytes(bytes, 16)), IpVersion::V6)
}

fn v4(word: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(word))
}

fn v6_bytes(bytes: &[u8], at: usize) -> [u8; 16] {
    (u128::from(u64_at(bytes, at)) << 64 | u128::from(u64_at(bytes, at + 8))).to_be_bytes()
}

fn v6(bytes: &[u8], at: usize) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(v6_bytes(bytes, at)))
}

/// `None` for the address that stands for none.
fn known(address: IpAddr) -> Option<IpAddr> {
    (!address.is_unspecified()).then_some(address)
}

fn mac(word: u64) -> [u8; 6] {
    let [_, _, mac @ ..] = word.to_be_bytes();
    mac
}

/// MAC addresses of the sender and of the receiver: as they came in, else as they went out; zeros are none.
fn macs(in_src: u64, out_dst: u64, in_dst: u64, out_src: u64) -> Option<([u8; 6], [u8; 6])> {
    let first = |a: u64, b: u64| if a == 0 { b } else { a };
    let (src, dst) = (first(in_src, out_src), first(in_dst, out_dst));
    (src | dst != 0).then(|| (mac(src), mac(dst)))
}

fn vlan(src: u32, dst: u32) -> Option<u16> {
    [src, dst].into_iter().map(|id| (id & 0xfff) as u16).find(|id| *id != 0)
}

fn time(ms: u64) -> Nanos {
    millis(ms)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).copied().map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).copied().map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).copied().map_or(0, u64::from_le_bytes)
}
