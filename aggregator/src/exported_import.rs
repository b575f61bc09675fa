//! The import of one log: its rows to a set, what cannot be read to a quarantine file with its reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use capture::Nanos;
use capture::logs::{Entry, LogReader, LogRow};

use crate::exported_logs::LogRecords;
use crate::lake::{Lake, LakeError, SetWriter};
use crate::quarantine::Quarantine;
use crate::record::Records;

/// Rows between two looks at the interrupt, and what is worth handing over.
const STRIDE: u64 = 1_024;

/// What was read of a log.
///
/// Counters: `lines.seen = rows.stored + rows.quarantined + lines.other` (headers, comments, blank lines), and
/// `rows.quarantined.REASON`; `quarantine.cut`: rows that the quarantine file has no room for.
pub(crate) struct LogReading {
    pub(crate) rows: u64,
    pub(crate) first: Option<Nanos>,
    pub(crate) last: Option<Nanos>,
    pub(crate) error: Option<String>,
    pub(crate) counters: Vec<(String, u64)>,
    pub(crate) imbalances: Vec<String>,
}

/// Reads a log into a set; `None` where the interrupt came first. `content` names the quarantine file,
/// `LAKE/quarantine/CONTENT.jsonl`, with an object `{"line", "reason", "text"}` for each row refused.
pub(crate) fn read(
    lake: &Lake,
    mut reader: LogReader,
    sensor: &str,
    content: &str,
    writer: &mut SetWriter,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<LogReading>, LakeError> {
    let (mut made, mut records, mut until) = (LogRecords::new(sensor), Records::default(), STRIDE);
    let (mut first, mut last, mut error) = (None::<Nanos>, None::<Nanos>, None);
    let (mut stored, mut reasons) = (0_u64, BTreeMap::<&'static str, u64>::new());
    let mut quarantine = Quarantine::new(lake, content);
    loop {
        match reader.next_entry() {
            Ok(Some(Entry::Row(row))) => {
                let ts = match &row {
                    LogRow::Connection(row) => row.first,
                    LogRow::Dns(row) => row.first,
                    LogRow::Dhcp(row) => row.first,
                    LogRow::Request(row) => row.first,
                };
                first = Some(first.map_or(ts, |first| first.min(ts)));
                last = Some(last.map_or(ts, |last| last.max(ts)));
                made.add(row, &mut records);
                stored += 1;
            }
            Ok(Some(Entry::Refused(refused))) => {
                *reasons.entry(refused.reason).or_default() += 1;
                quarantine.add("line", refused.line, refused.reason, &refused.text)?;
            }
            Ok(None) => break,
            Err(found) => {
                error = Some(format!("line {}: {found}", reader.counters().lines + 1));
                break;
            }
        }
        until -= 1;
        if until == 0 {
            until = STRIDE;
            // Relaxed: a flag that orders nothing.
            if interrupt.load(Ordering::Relaxed) {
                return Ok(None);
            }
            writer.drain_records(&mut records)?;
            progress(reader.counters().bytes, 0);
        }
    }
    writer.drain_records(&mut records)?;
    let c = reader.counters();
    let refused: u64 = reasons.values().sum();
    let cut = quarantine.finish()?;
    let mut counters = vec![
        ("lines.seen".to_owned(), c.lines),
        ("lines.other".to_owned(), c.other_lines),
        ("bytes.unpacked".to_owned(), c.bytes),
        ("rows.stored".to_owned(), stored),
        ("rows.quarantined".to_owned(), refused),
    ];
    counters.extend(
        reasons.iter().map(|(reason, count)| (format!("rows.quarantined.{}", reason.replace(' ', "_")), *count)),
    );
    if cut > 0 {
        counters.push(("quarantine.cut".to_owned(), cut));
    }
    let mut imbalances = Vec::new();
    if c.lines != stored + refused + c.other_lines {
        imbalances.push(format!(
            "lines.seen = rows.stored + rows.quarantined + lines.other: {} on the left, {} on the right",
            c.lines,
            stored + refused + c.other_lines
        ));
    }
    Ok(Some(LogReading { rows: stored + refused, first, last, error, counters, imbalances }))
}
