//! The pcapng format (draft-ietf-opsawg-pcapng): sections in either byte order, interfaces with their
//! time resolutions and offsets, and every block type that carries a packet.
//!
//! Blocks are parsed here for the same reasons as in [`super::pcap`]. A block whose content contradicts
//! itself is left out and counted, the first of them reported; reading goes on at the next block.

use super::counters::Counters;
use super::record::{Fault, Order, Record, array};
use super::source::{MAX_WINDOW, Source};
use crate::{LinkType, Nanos};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Block type and both lengths.
const BLOCK_OVERHEAD: usize = 12;

/// Interfaces one section may describe.
const MAX_INTERFACES: usize = 65_536;

/// Longest block that is held in memory; longer ones carry no packet anyone captures.
const MAX_BLOCK: u32 = MAX_WINDOW as u32;

/// Reads the packets of a pcapng file.
#[derive(Debug)]
pub(super) struct PcapNg {
    order: Order,
    interfaces: Vec<Interface>,
    /// The next section header is searched for: the block lengths lead nowhere.
    lost: bool,
    /// A damaged block was reported; further ones are only counted.
    reported: bool,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    unit: Unit,
    offset_seconds: i64,
    dropped: u64,
}

/// What one unit of a time stamp is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    /// So many nanoseconds.
    Nanos(u64),
    /// So many make a nanosecond.
    PerNano(u64),
    /// 2 to this power make a second.
    Binary(u8),
}

impl Unit {
    /// From the value of option if_tsresol.
    fn from_option(value: u8) -> Self {
        let power = u32::from(value & 0x7f);
        match value {
            0x80.. => Self::Binary(value & 0x7f),
            0..=9 => Self::Nanos(10_u64.pow(9 - power)),
            // Units too fine for 64 bits: every time stamp rounds down to 0 ns.
            _ => Self::PerNano(10_u64.checked_pow(power - 9).unwrap_or(u64::MAX)),
        }
    }

    #[inline]
    fn nanos(self, stamp: u64) -> Option<i64> {
        let nanos = match self {
            Self::Nanos(n) => u128::from(stamp) * u128::from(n),
            Self::PerNano(n) => u128::from(stamp / n),
            Self::Binary(power) => (u128::from(stamp) * 1_000_000_000) >> power,
        };
        i64::try_from(nanos).ok()
    }
}

/// A packet block's fields and where its frame is within the block.
struct PacketFields {
    interface: usize,
    stamp: Option<u64>,
    captured: u32,
    wire: u32,
    at: usize,
    dropped: u64,
}

impl PcapNg {
    /// Whether `start` begins a pcapng file.
    pub(super) fn detect(start: &[u8]) -> bool {
        array(start, 0).map(u32::from_be_bytes) == Some(SECTION_HEADER)
            && (start.len() < 12 || section_order(start).is_some())
    }

    /// A reader before the first section header.
    pub(super) fn open() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), lost: false, reported: false }
    }

    /// The next packet, or `None` at the end.
    pub(super) fn next(&mut self, source: &mut Source, counters: &mut Counters) -> Result<Option<Record>, Fault> {
        loop {
            if self.lost && !self.resync(source, counters) {
                return Ok(None);
            }
            let offset = source.offset();
            let ahead = source.peek(BLOCK_OVERHEAD);
            let Some([t0, t1, t2, t3, l0, l1, l2, l3, _, _, _, _]) = array::<BLOCK_OVERHEAD>(ahead, 0) else {
                return if ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(cut(source, "a pcapng block header", BLOCK_OVERHEAD))
                };
            };
            let mut kind = self.order.u32([t0, t1, t2, t3]);
            if kind == SECTION_HEADER {
                match section_order(ahead) {
                    Some(order) => self.order = order,
                    None => kind = 0,
                }
            }
            let length = self.order.u32([l0, l1, l2, l3]);
            let minimum = minimum_length(kind);
            if kind == 0 && offset == 0 || length < minimum {
                self.lost = true;
                counters.damaged_records += 1;
                return Err(Fault::Malformed {
                    offset,
                    found: format!("a block of type {kind:#010x} and {length} bytes"),
                    expected: "a section header with a byte-order magic, or a block with a length that holds its fields",
                });
            }
            // Some writers leave the padding out of the length.
            let whole = u64::from(length).next_multiple_of(4);
            let packet = matches!(kind, PACKET | SIMPLE_PACKET | ENHANCED_PACKET);
            if !packet && !matches!(kind, SECTION_HEADER | INTERFACE | STATISTICS) || whole > u64::from(MAX_BLOCK) {
                if source.skip(whole) < whole {
                    return Err(Fault::Truncated { offset, what: "a pcapng block", needed: whole });
                }
                counters.blocks_skipped += 1;
                if packet {
                    let found = format!("a packet block of {length} bytes");
                    if let Some(fault) = self.damaged(counters, offset, found, "at most 16 MiB") {
                        return Err(fault);
                    }
                }
                continue;
            }
            let whole = whole as usize;
            let block = source.peek(whole);
            if block.len() < whole {
                return Err(cut(source, "a pcapng block", whole));
            }
            let block = block.get(..whole).unwrap_or_default();
            let trailer = array(block, whole - 4).map(|b| self.order.u32(b));
            if trailer != Some(length) && !self.block_follows(source, whole) {
                self.lost = true;
                counters.damaged_records += 1;
                return Err(Fault::Malformed {
                    offset,
                    found: format!("a block of {length} bytes that ends with length {trailer:?}"),
                    expected: "the same length at both ends, or another block after it",
                });
            }
            let range = source.take(whole);
            match self.block(kind, source.bytes(range.clone()), counters) {
                Ok(None) => {}
                Ok(Some(record)) => {
                    let data = range.start + record.data.start..range.start + record.data.end;
                    return Ok(Some(Record { data, ..record }));
                }
                Err((found, expected)) => {
                    if let Some(fault) = self.damaged(counters, offset, found, expected) {
                        return Err(fault);
                    }
                }
            }
        }
    }

    /// Reads a whole block: its packet, if it has one, with the data's place in the block.
    #[inline]
    fn block(
        &mut self,
        kind: u32,
        block: &[u8],
        counters: &mut Counters,
    ) -> Result<Option<Record>, (String, &'static str)> {
        match kind {
            SECTION_HEADER => {
                let major = array(block, 12).map(|b| self.order.u16(b));
                self.interfaces.clear();
                if major != Some(1) {
                    return Err((format!("pcapng major version {major:?}"), "version 1"));
                }
                Ok(None)
            }
            INTERFACE => self.interface(block).map(|()| None),
            STATISTICS => {
                self.statistics(block, counters);
                counters.blocks_skipped += 1;
                Ok(None)
            }
            _ => {
                let cut_short =
                    || (format!("a packet block of {} bytes", block.len()), "a block that holds its fields");
                let fields = self.packet_fields(kind, block).ok_or_else(cut_short)?;
                self.record(&fields, block, counters)
            }
        }
    }

    /// The fixed fields of the three kinds of packet block.
    #[inline]
    fn packet_fields(&self, kind: u32, block: &[u8]) -> Option<PacketFields> {
        let u32_at = |at| array(block, at).map(|b| self.order.u32(b));
        let stamp = |at| Some(u64::from(u32_at(at)?) << 32 | u64::from(u32_at(at + 4)?));
        Some(match kind {
            ENHANCED_PACKET => PacketFields {
                interface: u32_at(8)? as usize,
                stamp: Some(stamp(12)?),
                captured: u32_at(20)?,
                wire: u32_at(24)?,
                at: 28,
                dropped: 0,
            },
            PACKET => {
                let drops = array(block, 10).map(|b| self.order.u16(b))?;
                PacketFields {
                    interface: usize::from(array(block, 8).map(|b| self.order.u16(b))?),
                    stamp: Some(stamp(12)?),
                    captured: u32_at(20)?,
                    wire: u32_at(24)?,
                    at: 28,
                    // 0xffff: not known.
                    dropped: if drops == u16::MAX { 0 } else { u64::from(drops) },
                }
            }
            _ => {
                let wire = u32_at(8)?;
                // The block has no captured length: it is what the first interface's limit leaves.
                let limit = match self.interfaces.first() {
                    Some(Interface { snaplen: 0, .. }) | None => u32::MAX,
                    Some(interface) => interface.snaplen,
                };
                let room = (block.len() - BLOCK_OVERHEAD - 4) as u32;
                PacketFields {
                    interface: 0,
                    stamp: None,
                    captured: wire.min(limit).min(room),
                    wire,
                    at: 12,
                    dropped: 0,
                }
            }
        })
    }

    #[inline]
    fn record(
        &self,
        fields: &PacketFields,
        block: &[u8],
        counters: &mut Counters,
    ) -> Result<Option<Record>, (String, &'static str)> {
        let Some(interface) = self.interfaces.get(fields.interface) else {
            counters.frames_without_interface += 1;
            return Err((
                format!("a packet of interface {} where {} are described", fields.interface, self.interfaces.len()),
                "the number of an interface described before",
            ));
        };
        let end = fields.at + fields.captured as usize;
        if end + 4 > block.len() {
            return Err((
                format!("a packet of {} bytes in a block of {}", fields.captured, block.len()),
                "a captured length that fits its block",
            ));
        }
        if fields.captured > interface.snaplen && interface.snaplen != 0 {
            counters.caplen_over_snaplen += 1;
        }
        counters.dropped_before_file += fields.dropped;
        let ts = fields.stamp.and_then(|stamp| {
            let offset = interface.offset_seconds.checked_mul(1_000_000_000);
            let nanos = interface.unit.nanos(stamp).zip(offset).and_then(|(a, b)| a.checked_add(b));
            counters.time_out_of_range += u64::from(nanos.is_none());
            nanos.map(Nanos)
        });
        Ok(Some(Record { ts, wire_len: fields.wire, link: interface.link, data: fields.at..end }))
    }

    fn interface(&mut self, block: &[u8]) -> Result<(), (String, &'static str)> {
        let (Some(link), Some(snaplen)) = (array(block, 8), array(block, 12)) else {
            return Err((format!("an interface block of {} bytes", block.len()), "a block that holds its fields"));
        };
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(("an interface after the 65536th".to_owned(), "at most 65536 interfaces in a section"));
        }
        let mut interface = Interface {
            link: LinkType(self.order.u16(link)),
            snaplen: self.order.u32(snaplen),
            unit: Unit::Nanos(1_000),
            offset_seconds: 0,
            dropped: 0,
        };
        for (code, value) in options(self.order, block, 16) {
            match (code, value) {
                (9, [resolution, ..]) => interface.unit = Unit::from_option(*resolution),
                (14, _) => {
                    if let Some(seconds) = array(value, 0) {
                        interface.offset_seconds = self.order.u64(seconds).cast_signed();
                    }
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// Packets the interface and its system dropped. The blocks' figures are totals since the start.
    fn statistics(&mut self, block: &[u8], counters: &mut Counters) {
        let number = array(block, 8).map(|b| self.order.u32(b) as usize);
        let Some(interface) = number.and_then(|n| self.interfaces.get_mut(n)) else { return };
        let mut dropped = 0_u64;
        for (code, value) in options(self.order, block, 20) {
            // isb_ifdrop and isb_osdrop.
            if let (5 | 7, Some(count)) = (code, array(value, 0)) {
                dropped = dropped.saturating_add(self.order.u64(count));
            }
        }
        counters.dropped_before_file =
            counters.dropped_before_file.saturating_add(dropped.saturating_sub(interface.dropped));
        interface.dropped = interface.dropped.max(dropped);
    }

    /// Counts a damaged block; the first one is reported.
    fn damaged(
        &mut self,
        counters: &mut Counters,
        offset: u64,
        found: String,
        expected: &'static str,
    ) -> Option<Fault> {
        counters.damaged_records += 1;
        let first = !self.reported;
        self.reported = true;
        first.then_some(Fault::Malformed { offset, found, expected })
    }

    /// Whether, after a block of `whole` bytes, the input ends or a block begins that can be one.
    fn block_follows(&self, source: &mut Source, whole: usize) -> bool {
        let ahead = source.peek(whole + BLOCK_OVERHEAD).get(whole..).unwrap_or_default();
        let (Some(kind), Some(length)) = (array(ahead, 0), array(ahead, 4)) else { return ahead.is_empty() };
        let (kind, length) = (self.order.u32(kind), self.order.u32(length));
        kind == SECTION_HEADER || matches!(kind, 1..=10) && (minimum_length(kind)..MAX_BLOCK).contains(&length)
    }

    /// After a block that leads nowhere: goes to the next section header, if there is one.
    #[cold]
    fn resync(&mut self, source: &mut Source, counters: &mut Counters) -> bool {
        self.lost = false;
        let mut first = true;
        loop {
            let ahead = source.peek(64 << 10);
            let at = (usize::from(first)..ahead.len()).find(|&at| {
                let here = ahead.get(at..).unwrap_or_default();
                array(here, 0).map(u32::from_be_bytes) == Some(SECTION_HEADER) && section_order(here).is_some()
            });
            first = false;
            // A section header may begin in the last bytes of the window.
            let step = at.unwrap_or_else(|| ahead.len().saturating_sub(BLOCK_OVERHEAD - 1));
            if at.is_none() && step == 0 {
                counters.resynced_bytes += source.skip(u64::MAX);
                return false;
            }
            counters.resynced_bytes += source.take(step).len() as u64;
            if at.is_some() {
                return true;
            }
        }
    }
}

/// Byte order of the section whose header begins `block`.
fn section_order(block: &[u8]) -> Option<Order> {
    match array(block, 8)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(Order::Big),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(Order::Little),
        _ => None,
    }
}

/// Least length of a block of this type.
const fn minimum_length(kind: u32) -> u32 {
    match kind {
        SECTION_HEADER => 28,
        INTERFACE => 20,
        PACKET | ENHANCED_PACKET => 32,
        SIMPLE_PACKET => 16,
        STATISTICS => 24,
        _ => BLOCK_OVERHEAD as u32,
    }
}

/// The options of a block, from `at` on; ends at opt_endofopt or where they make no sense.
fn options(order: Order, block: &[u8], at: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let end = block.len().saturating_sub(4);
    let mut rest = block.get(at..end).unwrap_or_default();
    std::iter::from_fn(move || {
        let code = order.u16(array(rest, 0)?);
        let length = usize::from(order.u16(array(rest, 2)?));
        let value = rest.get(4..4 + length)?;
        rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    })
}

/// The input ends within `needed` bytes; passes over what is left.
fn cut(source: &mut Source, what: &'static str, needed: usize) -> Fault {
    let offset = source.offset();
    source.skip(u64::MAX);
    Fault::Truncated { offset, what, needed: needed as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_resolutions() {
        assert_eq!(Unit::from_option(6).nanos(1_500_000), Some(1_500_000_000));
        assert_eq!(Unit::from_option(9).nanos(7), Some(7));
        assert_eq!(Unit::from_option(0).nanos(3), Some(3_000_000_000));
        assert_eq!(Unit::from_option(12).nanos(2_999), Some(2));
        assert_eq!(Unit::from_option(0x80 | 10).nanos(1_536), Some(1_500_000_000));
        assert_eq!(Unit::from_option(127).nanos(u64::MAX - 1), Some(0));
        assert_eq!(Unit::from_option(0x80 | 127).nanos(u64::MAX), Some(0));
        assert_eq!(Unit::from_option(0).nanos(u64::MAX), None);
    }
}
