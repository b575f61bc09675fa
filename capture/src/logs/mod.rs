//! Logs of others as a source of records: Zeek (TSV, JSON), Suricata's EVE, Blue Coat and W3C extended format, Squid, HAProxy, pmacct JSON; and
//! those of any program, by a [`Mapping`].
//!
//! Formats are told by content, never by name; gzip, zstd and xz are unpacked. [`LogReader`] yields each row, or the reason why it
//! cannot be read. Every line has one fate: a row, a row refused, or a header, comment or blank line.
//!
//! Promises: nothing panics on input; a line is held up to [`MAX_LINE`] bytes, however long it is; NUL bytes and what is not
//! UTF-8 is replaced.

mod elff;
mod eve;
mod haproxy;
mod mapping;
mod pmacct;
mod row;
mod squid;
mod syslog;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod text;
mod zeek;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use mapping::{Mapped, SquidFormat};
use serde_json::{Map, Value};

pub use mapping::{Mapping, MappingError};
pub use row::{LogAnswer, LogConnection, LogDhcp, LogDns, LogKind, LogRequest, LogRow};

/// What [`LogReader`] reads, for messages.
pub const FORMATS: &str =
    "Zeek (TSV or JSON), Suricata's EVE, Blue Coat or W3C extended, Squid, HAProxy or pmacct JSON";

/// Bytes of a line; of a longer one the rest is skipped, and it is refused.
pub const MAX_LINE: usize = 1 << 20;
/// Bytes by which the format is told.
const PROBE: usize = 64 << 10;
/// Rows tried to tell the format.
const PROBE_LINES: usize = 50;

/// A log.
pub struct LogReader {
    lines: Lines,
    format: Format,
    counters: LogCounters,
}

/// What was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogCounters {
    /// Lines read.
    pub lines: u64,
    /// Of those: headers, comments, blank lines, events of kinds that are not kept, questions that their answers' rows have.
    pub other_lines: u64,
    /// Of those: rows that were read.
    pub rows: u64,
    /// Of those: rows that were refused.
    pub refused: u64,
    /// Of the refused: longer than [`MAX_LINE`].
    pub too_long: u64,
    /// Bytes read, unpacked.
    pub bytes: u64,
}

/// A line that is no row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Number of the line, from 1.
    pub line: u64,
    /// Why.
    pub reason: &'static str,
    /// What stands there, at most 4,096 bytes of it.
    pub text: String,
}

/// What a line gave.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// A row.
    Row(LogRow),
    /// None.
    Refused(Refused),
}

#[derive(Debug)]
enum Format {
    ZeekTsv(zeek::Header),
    Json(eve::Eve),
    Elff(elff::Header),
    Squid,
    /// Squid's format of this name.
    SquidNamed(SquidFormat),
    HaProxy,
    Mapped(Mapped),
}

impl LogReader {
    /// Opens a log. `None` where the content is that of no log known.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        Self::from_reader(Box::new(File::open(path)?))
    }

    /// Opens a log that a mapping describes, whatever it looks like. An error of the kind
    /// [`io::ErrorKind::InvalidData`] says where the mapping does not fit.
    pub fn open_mapped(path: &Path, mapping: &Mapping) -> io::Result<Self> {
        Self::from_mapped_reader(Box::new(File::open(path)?), mapping)
    }

    /// The same of a stream.
    pub fn from_mapped_reader(reader: Box<dyn Read + Send>, mapping: &Mapping) -> io::Result<Self> {
        let wrong = |error: MappingError| io::Error::new(io::ErrorKind::InvalidData, error);
        let (probe, plain) = probed(reader)?;
        let mapped = Mapped::new(mapping.clone()).map_err(wrong)?;
        let text = String::from_utf8_lossy(&probe);
        mapped.check(&probe_lines(&text, probe.len())).map_err(wrong)?;
        Ok(Self::new(probe, plain, Format::Mapped(mapped)))
    }

    /// A log of a stream, told by its content.
    pub fn from_reader(reader: Box<dyn Read + Send>) -> io::Result<Option<Self>> {
        let (probe, plain) = probed(reader)?;
        let Some(format) = Format::detect(&probe) else { return Ok(None) };
        Ok(Some(Self::new(probe, plain, format)))
    }

    fn new(probe: Vec<u8>, plain: Box<dyn Read + Send>, format: Format) -> Self {
        let reader = BufReader::with_capacity(128 << 10, Cursor::new(probe).chain(plain));
        Self { lines: Lines { reader: Box::new(reader), line: Vec::new() }, format, counters: LogCounters::default() }
    }

    /// What was met so far.
    pub const fn counters(&self) -> LogCounters {
        self.counters
    }

    /// The next row, or line refused; `None` at the end. An error ends the file: what was read before it counts.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(row) = self.format.waited(false) {
                return Ok(Some(self.waited(row)));
            }
            let Some(cut) = self.lines.next(&mut self.counters.bytes)? else {
                let last = self.format.waited(true);
                return Ok(last.map(|row| self.waited(row)));
            };
            self.counters.lines += 1;
            let text = String::from_utf8_lossy(&self.lines.line);
            let text = text.trim_end_matches(['\r', '\n']).trim_start_matches('\u{feff}');
            let row = if cut {
                self.counters.too_long += 1;
                Some(Err("longer than a line may be"))
            } else if text.contains('\0') {
                Some(Err("NUL bytes"))
            } else {
                self.format.row(text)
            };
            match row {
                None => self.counters.other_lines += 1,
                Some(Ok(row)) => {
                    self.counters.rows += 1;
                    return Ok(Some(Entry::Row(row)));
                }
                Some(Err(reason)) => {
                    self.counters.refused += 1;
                    let text = text.chars().take(4_096).collect();
                    return Ok(Some(Entry::Refused(Refused { line: self.counters.lines, reason, text })));
                }
            }
        }
    }
}

impl LogReader {
    /// The row of a line that was without one until now.
    const fn waited(&mut self, row: LogRow) -> Entry {
        self.counters.other_lines -= 1;
        self.counters.rows += 1;
        Entry::Row(row)
    }
}

/// The beginning of a stream, unpacked, and what comes behind it.
fn probed(mut reader: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut start = Vec::new();
    reader.by_ref().take(crate::file::Compression::MAGIC_LEN as u64).read_to_end(&mut start)?;
    let compression = crate::file::Compression::detect(&start);
    let whole: Box<dyn Read + Send> = Box::new(Cursor::new(start).chain(reader));
    let mut plain = match compression {
        Some(compression) => compression.reader(whole)?,
        None => whole,
    };
    let mut probe = Vec::new();
    // A damaged end shows again when it is read.
    let probed = plain.by_ref().take(PROBE as u64).read_to_end(&mut probe);
    if probe.is_empty() {
        probed?;
    }
    Ok((probe, plain))
}

/// Whole lines of a probe of `len` bytes that are not blank.
fn probe_lines(text: &str, len: usize) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(|line| line.trim_start_matches('\u{feff}')).collect();
    // The last line of the probe may be cut.
    if len >= PROBE && lines.len() > 1 {
        lines.pop();
    }
    lines.retain(|line| !line.trim().is_empty());
    lines.truncate(PROBE_LINES);
    lines
}

impl Format {
    fn detect(probe: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(probe);
        let lines = probe_lines(&text, probe.len());
        for line in &lines {
            let line = unwrap_syslog(line);
            if line.starts_with("#separator ") || line.starts_with("#fields\t") || is_zeek_names(line) {
                return Some(Self::ZeekTsv(zeek::Header::default()));
            }
            if line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("#fields:")) {
                return Some(Self::Elff(elff::Header::default()));
            }
        }
        let squid = ["combined", "common"].into_iter().filter_map(|name| SquidFormat::parse(name).ok());
        let json = Self::Json(eve::Eve::default());
        let formats = [json, Self::Squid, Self::HaProxy].into_iter().chain(squid.map(Self::SquidNamed));
        let readable = |format: &mut Self| {
            let rows = lines.iter().filter(|line| matches!(format.row(line), Some(Ok(_)))).count();
            // A log may begin with events of which none is a row.
            rows + if let Self::Json(eve) = format { eve.rowless as usize } else { 0 }
        };
        let counted = formats.map(|mut format| (readable(&mut format), format));
        // Of those that read as much the first.
        let best = counted.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.filter(|(count, _)| *count > 0).map(|(_, format)| match format {
            // What waits is of the lines that were tried.
            Self::Json(_) => Self::Json(eve::Eve::default()),
            format => format,
        })
    }

    /// A row that waited for what belongs to it; any at the end.
    fn waited(&mut self, at_end: bool) -> Option<LogRow> {
        if let Self::Json(eve) = self { eve.unanswered(at_end) } else { None }
    }

    /// Reads a line; `None` where it is no row, or none yet.
    fn row(&mut self, line: &str) -> Option<Result<LogRow, &'static str>> {
        if line.trim().is_empty() {
            return None;
        }
        match self {
            Self::ZeekTsv(header) => {
                if line.starts_with('#') {
                    header.read(line);
                    return None;
                }
                if is_zeek_names(line) {
                    header.read(&format!("#fields\t{line}"));
                    return None;
                }
                Some(if header.is_ready() { zeek::tsv(header, line) } else { Err("a row before #fields") })
            }
            Self::Elff(header) => {
                let line = unwrap_syslog(line);
                if line.starts_with('#') {
                    header.read(line);
                    return None;
                }
                Some(if header.is_ready() { header.row(line) } else { Err("a row before #Fields") })
            }
            Self::Json(eve) => json(syslog::message(line), eve),
            Self::Squid => Some(squid::row(syslog::message(line))),
            Self::SquidNamed(format) => Some(format.row(syslog::message(line))),
            Self::HaProxy => Some(haproxy::row(syslog::message(line))),
            // A header that lacks a column was refused when the log was opened.
            Self::Mapped(mapped) => mapped.row(line).unwrap_or(Some(Err("a header that lacks a column"))),
        }
    }
}

fn json(line: &str, eve: &mut eve::Eve) -> Option<Result<LogRow, &'static str>> {
    // serde_json refuses nesting deeper than 128.
    match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(object)) if eve::is_eve(&object) => eve.row(&object),
        Ok(Value::Object(object)) => Some(json_row(&object)),
        Ok(_) => Some(Err("an object of no known log")),
        Err(_) => Some(Err("no JSON object")),
    }
}

/// The row of a JSON object as Zeek or pmacct write them.
///
/// # Errors
/// Why it is none.
pub fn json_row(object: &Map<String, Value>) -> Result<LogRow, &'static str> {
    match object {
        object if zeek::is_zeek(object) => zeek::json(object),
        object if pmacct::is_pmacct(object) => pmacct::row(object),
        _ => Err("an object of no known log"),
    }
}

/// The names of `zeek-cut -c` without `#fields`.
fn is_zeek_names(line: &str) -> bool {
    line.starts_with("ts\tuid\t") && line.contains("\tid.orig_h\t")
}

/// What follows the header of a syslog line (RFC 3164, RFC 5424), where one is there.
fn unwrap_syslog(line: &str) -> &str {
    let Some(rest) = line.strip_prefix('<').and_then(|rest| rest.split_once('>')) else { return line };
    if rest.0.is_empty() || !rest.0.bytes().all(|b| b.is_ascii_digit()) {
        return line;
    }
    // The message begins at the directive, or at the date of the row.
    let body = rest.1;
    if let Some(at) = body.find(" #") {
        return body.get(at + 1..).unwrap_or_default();
    }
    let mut from = 0;
    while let Some(at) = body.get(from..).and_then(|rest| rest.find(' ')).map(|at| from + at + 1) {
        let is_date = |text: &str| {
            text.len() >= 19
                && text.bytes().take(10).all(|b| b.is_ascii_digit() || b == b'-')
                && text.as_bytes().get(10) == Some(&b' ')
        };
        if body.get(at..).is_some_and(is_date) {
            return body.get(at..).unwrap_or_default();
        }
        from = at;
    }
    body.rsplit_once(": ").map_or(body, |(_, message)| message)
}

struct Lines {
    reader: Box<dyn BufRead + Send>,
    line: Vec<u8>,
}

impl Lines {
    /// Reads a line; true where it was cut.
    fn next(&mut self, bytes: &mut u64) -> io::Result<Option<bool>> {
        self.line.clear();
        let mut cut = false;
        let mut any = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(any.then_some(cut));
            }
            any = true;
            let end = buffer.iter().position(|b| *b == b'\n');
            let used = end.map_or(buffer.len(), |at| at + 1);
            let room = MAX_LINE.saturating_sub(self.line.len());
            let kept = buffer.get(..end.unwrap_or(used).min(room)).unwrap_or_default();
            cut |= end.unwrap_or(used) > room;
            self.line.extend_from_slice(kept);
            self.reader.consume(used);
            *bytes += used as u64;
            if end.is_some() {
                return Ok(Some(cut));
            }
        }
    }
}
