//! Endace's Extensible Record Format, as DAG cards write it. It has no magic number: a file is taken for
//! ERF if its first records chain.

use super::counters::Counters;
use super::record::{Fault, Record, array};
use super::source::Source;
use crate::{LinkType, Nanos};

const HEADER: usize = 16;
/// Records that must chain for a file to be taken for ERF.
const CHAIN: usize = 3;
/// Enough for [`CHAIN`] records of the greatest length.
pub(super) const DETECT_LEN: usize = 4 << 16;

/// Reads the records of an ERF file.
#[derive(Debug)]
pub(super) struct Erf {
    lost: bool,
}

impl Erf {
    /// Whether `start` begins an ERF file; `whole` says that `start` is all of it.
    pub(super) fn detect(start: &[u8], whole: bool) -> bool {
        let (mut at, mut last) = (0, 0);
        for n in 0..CHAIN {
            if whole && n > 0 && at == start.len() {
                return true;
            }
            let (Some(ts), Some([kind, _, r0, r1])) = (array(start, at), array(start, at + 8)) else { return false };
            let (seconds, length) = (u64::from_le_bytes(ts) >> 32, usize::from(u16::from_be_bytes([r0, r1])));
            let known = matches!(kind & 0x7f, 1..=25 | 27 | 28 | 48);
            // Records of different ports may be out of order by a little.
            if !known || length < HEADER || seconds == 0 || seconds + 3_600 < last || seconds > last + 86_400 && n > 0 {
                return false;
            }
            last = seconds;
            at += length;
        }
        true
    }

    /// A reader at the first record.
    pub(super) fn open() -> Self {
        Self { lost: false }
    }

    /// The next record, or `None` at the end.
    pub(super) fn next(&mut self, source: &mut Source, counters: &mut Counters) -> Result<Option<Record>, Fault> {
        loop {
            if self.lost {
                counters.resynced_bytes += source.skip(u64::MAX);
                return Ok(None);
            }
            let offset = source.offset();
            let ahead = source.peek(HEADER);
            if ahead.is_empty() {
                return Ok(None);
            }
            let Some(header) = array::<HEADER>(ahead, 0) else {
                source.skip(u64::MAX);
                return Err(Fault::Truncated { offset, what: "an ERF record header", needed: HEADER as u64 });
            };
            let [t0, t1, t2, t3, t4, t5, t6, t7, kind, _, r0, r1, l0, l1, w0, w1] = header;
            let length = usize::from(u16::from_be_bytes([r0, r1]));
            if length < HEADER {
                self.lost = true;
                counters.damaged_records += 1;
                return Err(Fault::Malformed {
                    offset,
                    found: format!("an ERF record of {length} bytes"),
                    expected: "at least the 16 bytes of its header",
                });
            }
            if source.peek(length).len() < length {
                source.skip(u64::MAX);
                return Err(Fault::Truncated { offset, what: "an ERF record", needed: length as u64 });
            }
            let range = source.take(length);
            let Some((link, before)) = payload(kind, source.bytes(range.clone())) else {
                counters.blocks_skipped += 1;
                continue;
            };
            // The loss counter shares its place with other uses in the coloured types.
            if matches!(kind & 0x7f, 1 | 2 | 22 | 23) {
                counters.dropped_before_file += u64::from(u16::from_be_bytes([l0, l1]));
            }
            let start = (range.start + before).min(range.end);
            let wire_len = u32::from(u16::from_be_bytes([w0, w1]));
            // rlen is rounded up for alignment; wlen says where the frame ends.
            let end = range.end.min(start + wire_len as usize);
            let ts = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
            let nanos = (ts >> 32) * 1_000_000_000 + (((ts & 0xffff_ffff) * 1_000_000_000) >> 32);
            return Ok(Some(Record { ts: i64::try_from(nanos).ok().map(Nanos), wire_len, link, data: start..end }));
        }
    }
}

/// Link type of a record and where its frame begins; `None` for records without a frame.
pub(crate) fn payload(kind: u8, record: &[u8]) -> Option<(LinkType, usize)> {
    let mut before = HEADER;
    // Extension headers of 8 bytes, as long as the highest bit of their first byte is set.
    let mut more = kind & 0x80 != 0;
    while more {
        more = record.get(before)? & 0x80 != 0;
        before += 8;
    }
    Some(match kind & 0x7f {
        1 | 10 | 15 | 19 => (LinkType::PPP_HDLC_OR_C_HDLC, before),
        // Offset and padding come before the frame.
        2 | 11 | 16 | 20 => (LinkType::ETHERNET, before + 2),
        22 => (LinkType::IPV4, before),
        23 => (LinkType::IPV6, before),
        _ => return None,
    })
}
