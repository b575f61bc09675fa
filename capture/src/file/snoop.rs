//! The snoop format (RFC 1761), versions 1 and 2 as Solaris writes them.

use super::counters::Counters;
use super::record::{Fault, Record, array};
use super::source::Source;
use crate::{LinkType, Nanos};

/// Longest record accepted.
const MAX_RECORD: u32 = 1 << 20;
const FILE_HEADER: usize = 16;
const RECORD_HEADER: usize = 24;

/// Reads the records of a snoop file.
#[derive(Debug)]
pub(super) struct Snoop {
    link: LinkType,
    drops: u32,
    lost: bool,
}

impl Snoop {
    /// Whether `start` begins a snoop file.
    pub(super) fn detect(start: &[u8]) -> bool {
        start.starts_with(b"snoop\0\0\0")
    }

    /// Reads the file header.
    pub(super) fn open(source: &mut Source) -> Result<Self, Fault> {
        let ahead = source.peek(FILE_HEADER);
        let (Some(version), Some(datalink)) = (array(ahead, 8), array(ahead, 12)) else {
            return Err(Fault::Truncated { offset: 0, what: "the snoop file header", needed: FILE_HEADER as u64 });
        };
        let version = u32::from_be_bytes(version);
        if !(1..=2).contains(&version) {
            return Err(Fault::Malformed {
                offset: 8,
                found: format!("snoop version {version}"),
                expected: "version 1 or 2",
            });
        }
        // RFC 1761's datalink types, where the pcap registry has the same header.
        let link = match u32::from_be_bytes(datalink) {
            0 | 4 => LinkType::ETHERNET,
            2 => LinkType::TOKEN_RING,
            5 => LinkType::C_HDLC,
            8 => LinkType::FDDI,
            _ => LinkType::UNKNOWN,
        };
        source.take(FILE_HEADER);
        Ok(Self { link, drops: 0, lost: false })
    }

    /// The next record, or `None` at the end.
    pub(super) fn next(&mut self, source: &mut Source, counters: &mut Counters) -> Result<Option<Record>, Fault> {
        if self.lost {
            counters.resynced_bytes += source.skip(u64::MAX);
            return Ok(None);
        }
        let offset = source.offset();
        let ahead = source.peek(RECORD_HEADER);
        if ahead.is_empty() {
            return Ok(None);
        }
        let fields = array::<RECORD_HEADER>(ahead, 0).map(|h| {
            let field = |i: usize| array(&h, 4 * i).map_or(0, u32::from_be_bytes);
            [field(0), field(1), field(2), field(3), field(4), field(5)]
        });
        let Some([wire_len, captured, record_len, drops, second, micros]) = fields else {
            let needed = RECORD_HEADER as u64;
            source.skip(u64::MAX);
            return Err(Fault::Truncated { offset, what: "a snoop record header", needed });
        };
        let whole = u64::from(captured) + RECORD_HEADER as u64;
        if record_len > MAX_RECORD || u64::from(record_len) < whole {
            self.lost = true;
            counters.damaged_records += 1;
            return Err(Fault::Malformed {
                offset,
                found: format!("a record of {record_len} bytes with a frame of {captured}"),
                expected: "a record of at most 1 MiB that holds its header and its frame",
            });
        }
        let present = source.peek(record_len as usize).len();
        // The last record may lack its padding.
        if (present as u64) < whole {
            source.skip(u64::MAX);
            return Err(Fault::Truncated { offset, what: "a snoop record", needed: u64::from(record_len) });
        }
        // Cumulative in the file; counted once.
        counters.dropped_before_file += u64::from(drops.saturating_sub(self.drops));
        self.drops = self.drops.max(drops);
        let range = source.take((record_len as usize).min(present));
        let data = range.start + RECORD_HEADER;
        Ok(Some(Record {
            ts: Some(Nanos(i64::from(second) * 1_000_000_000 + i64::from(micros) * 1_000)),
            wire_len,
            link: self.link,
            data: data..data + captured as usize,
        }))
    }
}
