//! The import of one export file (nfdump, IPFIX, dnstap): its flows, paired, and its DNS transactions to a set; what cannot be
//! read to the quarantine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use capture::collect::file::{ExportFile, ExportFormat};
use capture::collect::{ExportSink, ExportedFlow, InterfaceCounters};
use capture::{Message, Nanos, Sink as _};

use crate::exported::{Exported, ExportedConfig};
use crate::exported_import::LogReading;
use crate::exported_interfaces::interfaces;
use crate::lake::{Lake, LakeError, SetWriter, Table};
use crate::quarantine::Quarantine;
use crate::record::{DnsRecord, Origin};
use crate::{Aggregator, AggregatorConfig};

/// Finished records that are worth handing over.
const BATCH: usize = 1_024;
/// Bytes of what was refused that are kept, as hexadecimal digits.
const MAX_TEXT: usize = 2_048;

/// What became of an export file.
pub(crate) enum FileEnd {
    /// It was read, if only up to a damaged place.
    Read(Box<LogReading>),
    /// The interrupt came first.
    Interrupted,
    /// It ends inside a piece and may still grow.
    Growing,
}

/// Takes what the file gives. Time is when flows were received, as on the network: opposite uniflows are paired within the
/// active timeout of it.
struct Taken {
    exported: Exported,
    messages: Aggregator,
    interfaces: Vec<InterfaceCounters>,
    quarantine: Quarantine,
    reasons: BTreeMap<&'static str, u64>,
    taken: u64,
    first: Option<Nanos>,
    last: Option<Nanos>,
    error: Option<LakeError>,
}

impl ExportSink for Taken {
    fn flow(&mut self, flow: &ExportedFlow) {
        self.took(flow.first, flow.last);
        self.exported.advance(flow.received);
        self.exported.handle_flow(flow);
    }
    fn interface(&mut self, counters: &InterfaceCounters) {
        self.interfaces.push(counters.clone());
    }
    fn message(&mut self, message: Message) {
        self.took(message.first_ts, message.ts);
        self.messages.advance(message.ts);
        self.messages.message(message);
    }
    fn refused(&mut self, number: u64, reason: &'static str, bytes: &[u8]) {
        *self.reasons.entry(reason).or_default() += 1;
        let mut text = String::new();
        for byte in bytes.iter().take(MAX_TEXT) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        if let Err(error) = self.quarantine.add("record", number, reason, &text) {
            self.error.get_or_insert(error);
        }
    }
}

impl Taken {
    fn took(&mut self, first: Nanos, last: Nanos) {
        self.taken += 1;
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        self.last = Some(self.last.map_or(last, |known| known.max(last)));
    }

    fn drain(&mut self, sensor: &str, writer: &mut SetWriter) -> Result<(), LakeError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut records = self.messages.take_records();
        records.flow.append(self.exported.records_mut());
        // Without a frame there is no length of one.
        let no_frame = |record: &&mut DnsRecord| record.response_frame_len == Some(0);
        records.dns.iter_mut().filter(no_frame).for_each(|record| record.response_frame_len = None);
        writer.drain_records(&mut records)?;
        if !self.interfaces.is_empty() {
            let interfaces = std::mem::take(&mut self.interfaces);
            writer.batch(Table::Interfaces, &self::interfaces(sensor, &interfaces)?)?;
        }
        Ok(())
    }

    fn waiting(&self) -> bool {
        self.messages.finished() >= BATCH || self.interfaces.len() >= BATCH
    }
}

/// Reads a file into a set. `may_wait`: a file that ends inside a piece is left for later.
#[expect(clippy::too_many_arguments, reason = "one call, each its own thing")]
pub(crate) fn read(
    lake: &Lake,
    mut file: ExportFile,
    sensor: &str,
    content: &str,
    may_wait: bool,
    writer: &mut SetWriter,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<FileEnd, LakeError> {
    let origin = if file.format() == ExportFormat::Dnstap { Origin::Dnstap } else { Origin::Ipfix };
    let mut taken = Taken {
        exported: Exported::new(ExportedConfig::new(sensor)),
        messages: Aggregator::new(AggregatorConfig::new(sensor.to_owned(), origin)),
        interfaces: Vec::new(),
        quarantine: Quarantine::new(lake, content),
        reasons: BTreeMap::new(),
        taken: 0,
        first: None,
        last: None,
        error: None,
    };
    let mut error = None;
    loop {
        match file.read(&mut taken) {
            Ok(true) => {}
            Ok(false) => break,
            Err(found) if found.may_grow() && may_wait => return Ok(FileEnd::Growing),
            Err(found) => {
                error = Some(found.to_string());
                break;
            }
        }
        // Relaxed: a flag that orders nothing.
        if interrupt.load(Ordering::Relaxed) {
            return Ok(FileEnd::Interrupted);
        }
        if taken.waiting() || taken.exported.records_mut().len() >= BATCH {
            taken.drain(sensor, writer)?;
        }
        progress(file.bytes(), 0);
    }
    file.finish(&mut taken);
    while taken.exported.finish_part(BATCH) {
        taken.drain(sensor, writer)?;
    }
    taken.messages.finish();
    taken.drain(sensor, writer)?;
    let stats = taken.messages.stats().counters();
    let of_messages = stats.into_iter().filter(|(name, _)| name.starts_with("dns.") || name.starts_with("http."));
    let all = file.counters().into_iter().chain(taken.exported.counters().list()).chain(of_messages);
    let mut counters: Vec<(String, u64)> =
        all.filter(|(_, value)| *value > 0).map(|(name, value)| (name.to_owned(), value)).collect();
    counters.push(("bytes.unpacked".to_owned(), file.bytes()));
    for (reason, count) in &taken.reasons {
        counters.push((format!("quarantined.{}", reason.replace(' ', "_")), *count));
    }
    let cut = taken.quarantine.finish()?;
    if cut > 0 {
        counters.push(("quarantine.cut".to_owned(), cut));
    }
    let mut imbalances: Vec<String> = file.imbalance().into_iter().collect();
    if !taken.exported.counters().closes() {
        imbalances.push(format!("exported.flows do not close: {:?}", taken.exported.counters()));
    }
    let rows = taken.taken + taken.reasons.values().sum::<u64>();
    let (first, last) = (taken.first, taken.last);
    // A file without a flow (an hour in which nothing was exported) is read nonetheless.
    Ok(FileEnd::Read(Box::new(LogReading { rows, first, last, error, counters, imbalances })))
}
