//! The days before a day, as far as slow beacons need them ([`crate::detect::slow`]): the contacts of the pairs that the day itself leaves open.

use std::net::IpAddr;

use aggregator::lake::{Day, Lake, Part, Source};
use arrow::array::{Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt16Array, UInt32Array, UInt64Array};
use rayon::prelude::*;

use super::passes::{Reading, all};
use super::request::{Progress, ScoreRequest, Stage};
use super::texts::Texts;
use super::watch::{Peers, Watch};
use super::{ScoreError, parts};
use crate::detect::Findings;
use crate::detect::rows::{Internal, segment_bytes};
use crate::detect::slow::{SlowFlows, SlowRequests};

/// Days that are looked at before the day.
const DAYS: i32 = 6;

/// A contact of a watched case: microseconds, bytes sent, source port.
type Contact<K> = (K, i64, u64, u16);

/// What earlier days tell of cases that the day's detectors leave open. Reads a few columns of the six days before, and nothing where no case
/// is open.
///
/// # Errors
/// The journal or a part cannot be read, or the run was stopped.
pub(super) fn look_back(
    lake: &Lake,
    request: &ScoreRequest,
    watches: &[Watch],
    progress: &mut dyn Progress,
) -> Result<Findings, ScoreError> {
    let mut findings = Findings::default();
    let mut before: Vec<Part> = Vec::new();
    for back in 1..=DAYS {
        before.extend(parts::of_day(lake, request.source.table(), Day(request.date.0.saturating_sub(back)))?);
    }
    if before.is_empty() {
        return Ok(findings);
    }
    let reading = Reading::new(&before, 0, progress);
    for watch in watches {
        match (watch, request.source) {
            (Watch::Flow(flows, _), Source::Flow) => {
                let mut slow = flows.seldom();
                if !slow.is_empty() {
                    of_flows(&reading, &request.internal, &mut slow)?;
                    slow.finish(&mut findings);
                }
            }
            (Watch::Proxy(requests), Source::Proxy) => {
                let mut slow = requests.seldom();
                if !slow.is_empty() {
                    of_requests(&reading, &mut slow)?;
                    slow.finish(&mut findings);
                }
            }
            _ => (),
        }
    }
    Ok(findings)
}

/// Contacts with watched places of all parts, side by side, in the order of the parts.
fn contacts<K: Send>(
    reading: &Reading<'_>,
    columns: &[&str],
    each: impl Fn(&RecordBatch, &mut Peers, &mut Vec<Contact<K>>) -> Result<(), ScoreError> + Sync,
) -> Result<Vec<Contact<K>>, ScoreError> {
    let of_parts: Result<Vec<Vec<Contact<K>>>, ScoreError> = (0..reading.parts.len())
        .into_par_iter()
        .map(|part| {
            let (mut peers, mut found) = (Peers::default(), Vec::new());
            reading.read(Stage::Before, part..part + 1, columns, &all, &mut |_, _, batch| {
                each(batch, &mut peers, &mut found)
            })?;
            Ok(found)
        })
        .collect();
    Ok(of_parts?.into_iter().flatten().collect())
}

fn of_flows(reading: &Reading<'_>, internal: &Internal, slow: &mut SlowFlows) -> Result<(), ScoreError> {
    const COLUMNS: [&str; 9] =
        ["first_seen", "flow_start", "segment", "src_ip", "dst_ip", "src_port", "dst_port", "src_packets", "src_bytes"];
    let watched = &*slow;
    let found = contacts(reading, &COLUMNS, |batch, [sources, destinations], found| {
        let (first, start): (&TimestampMicrosecondArray, &TimestampMicrosecondArray) =
            (parts::column(batch, "first_seen")?, parts::column(batch, "flow_start")?);
        let segment: &UInt32Array = parts::column(batch, "segment")?;
        let ports: [&UInt16Array; 2] = [parts::column(batch, "src_port")?, parts::column(batch, "dst_port")?];
        let sent: [&UInt64Array; 2] = [parts::column(batch, "src_packets")?, parts::column(batch, "src_bytes")?];
        let (src, dst) = (sources.of(Texts::of(batch, "src_ip")?), destinations.of(Texts::of(batch, "dst_ip")?));
        for row in 0..batch.num_rows() {
            let place = dst.get(row).map(|dst| (dst, ports[1].value(row)));
            let Some((place, src)) = place.filter(|place| watched.watches(place)).zip(src.get(row)) else { continue };
            if segment.value(row) == 0 && internal.holds(src) {
                let time = if start.is_null(row) { first.value(row) } else { start.value(row) };
                found.push((
                    (src, place.0, place.1),
                    time,
                    segment_bytes(src, sent[0].value(row), sent[1].value(row)),
                    ports[0].value(row),
                ));
            }
        }
        Ok(())
    })?;
    found.iter().for_each(|(case, time, bytes, port)| slow.handle(case, *time, *bytes, *port));
    Ok(())
}

fn of_requests(reading: &Reading<'_>, slow: &mut SlowRequests) -> Result<(), ScoreError> {
    const COLUMNS: [&str; 4] = ["first_seen", "client_ip", "host", "request_bytes"];
    let watched = &*slow;
    let found = contacts(reading, &COLUMNS, |batch, _, found| {
        let first: &TimestampMicrosecondArray = parts::column(batch, "first_seen")?;
        let (client, host): (&StringArray, &StringArray) =
            (parts::column(batch, "client_ip")?, parts::column(batch, "host")?);
        let bytes: &UInt64Array = parts::column(batch, "request_bytes")?;
        // One text for a run of requests of one name.
        let mut place: Box<str> = Box::default();
        let mut is_watched = false;
        for row in (0..batch.num_rows()).filter(|row| !host.is_null(*row) && !client.is_null(*row)) {
            if *place != *host.value(row) {
                place = host.value(row).into();
                is_watched = watched.watches(&place);
            }
            let Some(client) = is_watched.then(|| client.value(row).parse::<IpAddr>().ok()).flatten() else { continue };
            found.push(((client, place.clone()), first.value(row), bytes.value(row), 0));
        }
        Ok(())
    })?;
    found.iter().for_each(|(case, time, bytes, port)| slow.handle(case, *time, *bytes, *port));
    Ok(())
}
