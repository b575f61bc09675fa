//! The pcap format (draft-ietf-opsawg-pcap) and its known relatives.
//!
//! Microsecond and nanosecond files in both byte orders; Kuznetsov's format (eight more bytes in each
//! record header) and Ixia's (a total after the file header); the field order of versions before 2.4.
//! Another capture appended to the first (`cat a.pcap b.pcap`) is read on.
//!
//! The record header is parsed here and not by pcap-parser, which stays the tests' oracle: its streaming
//! reader copies everything into a buffer of its own, its slice reader wants the whole file in memory, and
//! neither goes on after a damaged record.

use super::counters::Counters;
use super::record::{Fault, Order, Record, array};
use super::source::Source;
use crate::{LinkType, Nanos};

/// Longest frame a record may hold unless the file header announces more: libpcap's own limit.
const MAX_FRAME: u32 = 262_144;

/// Longest frame a file header may announce.
const MAX_SNAPLEN: u32 = 16 << 20;

/// How far a damaged record is searched for the next good one.
const RESYNC_WINDOW: usize = 4 << 20;

/// File header, bytes.
const FILE_HEADER: usize = 24;

/// Reads the records of a pcap file.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds per unit of the fraction.
    unit: i64,
    /// Bytes of a record header.
    header: usize,
    lengths: Lengths,
    snaplen: u32,
    max_frame: u32,
    link: LinkType,
    last_second: Option<u32>,
    lost: bool,
}

/// Which of the two lengths of a record comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    /// Version 2.3: both were written; the smaller is what was captured.
    Either,
}

struct Header {
    second: u32,
    fraction: u32,
    captured: u32,
    wire: u32,
}

impl Pcap {
    /// Recognises a file header's magic number: byte order, nanoseconds per unit, record header, bytes after the file header.
    fn magic(start: &[u8]) -> Option<(Order, i64, usize, usize)> {
        let magic: [u8; 4] = array(start, 0)?;
        [Order::Little, Order::Big].into_iter().find_map(|order| {
            Some(match order.u32(magic) {
                0xa1b2_c3d4 => (order, 1_000, 16, 0),
                0xa1b2_3c4d => (order, 1, 16, 0),
                0xa1b2_cd34 => (order, 1_000, 24, 0),
                // Ixia's lcap, hardware and software time stamps: the size of all records follows.
                0x1c00_01ac | 0x1c00_01ab => (order, 1, 16, 4),
                _ => return None,
            })
        })
    }

    /// Whether `start` begins a pcap file.
    pub(super) fn detect(start: &[u8]) -> bool {
        Self::magic(start).is_some()
    }

    /// Reads the file header.
    pub(super) fn open(source: &mut Source) -> Result<Self, Fault> {
        let offset = source.offset();
        let truncated = Fault::Truncated { offset, what: "the pcap file header", needed: FILE_HEADER as u64 };
        let start = source.peek(FILE_HEADER + 4);
        let Some((order, unit, header, extra)) = Self::magic(start) else { return Err(truncated) };
        let Some(bytes) = array::<FILE_HEADER>(start, 0) else { return Err(truncated) };
        let [_, _, _, _, a, b, c, d, _, _, _, _, _, _, _, _, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        let (major, minor) = (order.u16([a, b]), order.u16([c, d]));
        let lengths = match (major, minor) {
            (2, 3) => Lengths::Either,
            (0..=1, _) | (2, 0..=2) | (543, 0) => Lengths::WireFirst,
            _ => Lengths::CapturedFirst,
        };
        if major > 2 && major != 543 {
            return Err(Fault::Malformed {
                offset: offset + 4,
                found: format!("pcap version {major}.{minor}"),
                expected: "version 2.4 or before",
            });
        }
        let snaplen = order.u32([s0, s1, s2, s3]);
        // The upper half holds the length of frame check sequences, not the link type.
        let link = LinkType((order.u32([l0, l1, l2, l3]) & 0xffff) as u16);
        source.take(FILE_HEADER + extra);
        let max_frame = if (MAX_FRAME..=MAX_SNAPLEN).contains(&snaplen) { snaplen } else { MAX_FRAME };
        Ok(Self { order, unit, header, lengths, snaplen, max_frame, link, last_second: None, lost: false })
    }

    /// The next record, or `None` at the end.
    #[inline]
    pub(super) fn next(&mut self, source: &mut Source, counters: &mut Counters) -> Result<Option<Record>, Fault> {
        loop {
            if self.lost && !self.resync(source, counters) {
                return Ok(None);
            }
            let offset = source.offset();
            let ahead = source.peek(self.header);
            let Some(header) = self.header(ahead) else {
                return if ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(self.cut(source, "a pcap record header", self.header))
                };
            };
            if header.captured == 0 && self.is_file_header(ahead) {
                *self = Self::open(source).inspect_err(|_| {
                    // A header that is cut off is the end.
                    source.skip(u64::MAX);
                })?;
                counters.concatenated_captures += 1;
                continue;
            }
            if header.captured > self.max_frame {
                self.lost = true;
                counters.damaged_records += 1;
                return Err(Fault::Malformed {
                    offset,
                    found: format!("a record of {} bytes", header.captured),
                    expected: "a record no longer than the snapshot length or 262144 bytes",
                });
            }
            let whole = self.header + header.captured as usize;
            if source.peek(whole).len() < whole {
                return Err(self.cut(source, "a pcap record", whole));
            }
            self.last_second = Some(header.second);
            if header.captured > self.snaplen && self.snaplen != 0 {
                counters.caplen_over_snaplen += 1;
            }
            let range = source.take(whole);
            let nanos = i64::from(header.second) * 1_000_000_000 + i64::from(header.fraction) * self.unit;
            return Ok(Some(Record {
                ts: Some(Nanos(nanos)),
                wire_len: header.wire,
                link: self.link,
                data: range.start + self.header..range.end,
            }));
        }
    }

    #[inline]
    fn header(&self, bytes: &[u8]) -> Option<Header> {
        let [s0, s1, s2, s3, f0, f1, f2, f3, a0, a1, a2, a3, b0, b1, b2, b3] = array::<16>(bytes, 0)?;
        if bytes.len() < self.header {
            return None;
        }
        let (a, b) = (self.order.u32([a0, a1, a2, a3]), self.order.u32([b0, b1, b2, b3]));
        let (captured, wire) = match self.lengths {
            Lengths::CapturedFirst => (a, b),
            Lengths::WireFirst => (b, a),
            Lengths::Either => (a.min(b), a.max(b)),
        };
        Some(Header {
            second: self.order.u32([s0, s1, s2, s3]),
            fraction: self.order.u32([f0, f1, f2, f3]),
            captured,
            wire,
        })
    }

    /// Whether what looks like an empty record is the file header of an appended capture.
    fn is_file_header(&self, ahead: &[u8]) -> bool {
        let Some((order, ..)) = Self::magic(ahead) else { return false };
        array(ahead, 4).map(|b| order.u16(b)) == Some(2) && array(ahead, 6).map(|b| order.u16(b)) <= Some(4)
    }

    /// The input ends within `needed` bytes; passes over what is left.
    fn cut(&self, source: &mut Source, what: &'static str, needed: usize) -> Fault {
        let offset = source.offset();
        let left = source.peek(needed).len();
        source.take(left);
        Fault::Truncated { offset, what, needed: needed as u64 }
    }

    /// After a record that cannot be: searches the next place where two plausible records follow each
    /// other (or one and the end of the file). Says whether there is one.
    #[cold]
    fn resync(&mut self, source: &mut Source, counters: &mut Counters) -> bool {
        self.lost = false;
        let ahead = source.peek(RESYNC_WINDOW);
        let found = (1..ahead.len().min(RESYNC_WINDOW)).find(|&at| self.plausible(ahead, at));
        counters.resynced_bytes += match found {
            Some(at) => source.take(at).len() as u64,
            None => source.skip(u64::MAX),
        };
        found.is_some()
    }

    fn plausible(&self, ahead: &[u8], at: usize) -> bool {
        let Some(first) = self.plausible_record(ahead, at) else { return false };
        first == ahead.len() || self.plausible_record(ahead, first).is_some()
    }

    /// Where the record at `at` ends, if it can be one.
    fn plausible_record(&self, ahead: &[u8], at: usize) -> Option<usize> {
        const DAY: u32 = 86_400;
        let header = self.header(ahead.get(at..)?)?;
        let end = at + self.header + header.captured as usize;
        let good = header.captured > 0
            && header.captured <= self.max_frame
            && (header.captured..=self.max_frame).contains(&header.wire)
            && i64::from(header.fraction) * self.unit < 1_000_000_000
            && self.last_second.is_none_or(|last| header.second.abs_diff(last) <= DAY)
            && end <= ahead.len();
        good.then_some(end)
    }
}
