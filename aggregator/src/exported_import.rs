//! The import of one log: its rows to a set, what cannot be read to a quarantine file with its reason.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use capture::Nanos;
use capture::logs::{Entry, LogReader, LogRow};

use crate::exported_logs::LogRecords;
use crate::lake::{Lake, LakeError, SetWriter};
use crate::record::Records;

/// Rows between two looks at the interrupt, and what is worth handing over.
const STRIDE: u64 = 1_024;
/// Bytes of the quarantine file of one log; what comes after is only counted.
const MAX_QUARANTINE: u64 = 64 << 20;

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
                    LogRow::Request(row) => row.first,
                };
                first = Some(first.map_or(ts, |first| first.min(ts)));
                last = Some(last.map_or(ts, |last| last.max(ts)));
                made.add(row, &mut records);
                stored += 1;
            }
            Ok(Some(Entry::Refused(refused))) => {
                *reasons.entry(refused.reason).or_default() += 1;
                let line = serde_json::json!({ "line": refused.line, "reason": refused.reason, "text": refused.text });
                quarantine.add(&line.to_string())?;
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

/// The file of refused rows; made with the first, in its place when it is whole.
struct Quarantine {
    folder: PathBuf,
    name: String,
    file: Option<BufWriter<File>>,
    bytes: u64,
    cut: u64,
}

impl Quarantine {
    fn new(lake: &Lake, content: &str) -> Self {
        let name = content.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { folder: lake.dir().join("quarantine"), name, file: None, bytes: 0, cut: 0 }
    }

    fn fresh(&self) -> PathBuf {
        self.folder.join(format!(".{}.part", self.name))
    }

    fn add(&mut self, line: &str) -> Result<(), LakeError> {
        if self.bytes + line.len() as u64 >= MAX_QUARANTINE {
            self.cut += 1;
            return Ok(());
        }
        let path = self.fresh();
        if self.file.is_none() {
            fs::create_dir_all(&self.folder).map_err(|e| LakeError::io("creating", &self.folder, e))?;
            self.file = Some(BufWriter::new(File::create(&path).map_err(|e| LakeError::io("creating", &path, e))?));
        }
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}").map_err(|e| LakeError::io("writing", &path, e))?;
            self.bytes += line.len() as u64 + 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<u64, LakeError> {
        if let Some(file) = self.file.take() {
            let (fresh, to) = (self.fresh(), self.folder.join(format!("{}.jsonl", self.name)));
            let file = file.into_inner().map_err(|e| LakeError::io("writing", &fresh, e.into_error()))?;
            file.sync_all().map_err(|e| LakeError::io("syncing", &fresh, e))?;
            fs::rename(&fresh, &to).map_err(|e| LakeError::io("renaming to", &to, e))?;
        }
        Ok(self.cut)
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Interrupted: nothing of the log is in the lake.
            drop(fs::remove_file(self.fresh()));
        }
    }
}
