//! The days before a day, as far as slow beacons need them ([`crate::detect::slow`]): the contacts of the pairs that the day itself leaves open.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::IpAddr;

use aggregator::lake::{Day, Lake, Part, Source};
use arrow::array::{Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt16Array, UInt32Array, UInt64Array};
use hashbrown::HashMap;
use rayon::prelude::*;

use super::passes::{Reading, all};
use super::request::{Progress, ScoreRequest, Stage};
use super::texts::Texts;
use super::watch::{Peers, Watch};
use super::{ScoreError, parts};
use crate::detect::Findings;
use crate::detect::beacon::PlaceOf;
use crate::detect::rows::{Internal, segment_bytes};
use crate::detect::slow::{Slow, SlowFlows, SlowRequests};

/// Days that are looked at before the day.
const DAYS: i32 = 6;

/// Parts that are read side by side: what one brings is held until those before it are counted.
const SIDE_BY_SIDE: usize = 8;

/// A contact: case, microseconds, bytes sent, source port.
type Contact<K> = (K, i64, u64, u16);

/// What earlier days tell of cases that the day's detectors leave open. Reads a few columns of the six days before, and nothing where no case
/// is open. A file of them that is broken is left out with a warning: the day itself can be scored.
///
/// # Errors
/// The journal cannot be read, a part was replaced meanwhile, or the run was stopped.
pub(super) fn look_back(
    lake: &Lake,
    request: &ScoreRequest,
    watches: &[Watch],
    progress: &mut dyn Progress,
) -> Result<Findings, ScoreError> {
    let mut findings = Findings::default();
    let mut before: Vec<Part> = Vec::new();
    if !watches.is_empty() && request.source != Source::Dns {
        for back in 1..=DAYS {
            before.extend(parts::of_day(lake, request.source.table(), Day(request.date.0.saturating_sub(back)))?);
        }
    }
    if before.is_empty() {
        return Ok(findings);
    }
    let reading = Reading::new(&before, 0, progress);
    for watch in watches {
        match watch {
            Watch::Flow(flows, _) => {
                let mut slow = flows.seldom();
                if !slow.is_empty() {
                    look(&reading, &FLOWS, &mut slow, |batch, peers, slow, take| {
                        flow_contacts(batch, peers, &request.internal, slow, take)
                    })?;
                    slow.finish(&mut findings);
                }
            }
            Watch::Proxy(requests) => {
                let mut slow = requests.seldom();
                if !slow.is_empty() {
                    look(&reading, &REQUESTS, &mut slow, |batch, _, slow, take| request_contacts(batch, slow, take))?;
                    slow.finish(&mut findings);
                }
            }
            Watch::Dns(_) => (),
        }
    }
    Ok(findings)
}

/// Gives the contacts with watched places of all parts to `slow`, in the order of the parts. `each` says those of a batch. Memory: of a part, what
/// [`Slow::counts`] of each pair of client and place.
fn look<K, P>(
    reading: &Reading<'_>,
    columns: &[&str],
    slow: &mut Slow<K, P>,
    each: impl Fn(&RecordBatch, &mut Peers, &Slow<K, P>, &mut dyn FnMut(Contact<K>)) -> Result<(), ScoreError> + Sync,
) -> Result<(), ScoreError>
where
    K: Hash + Eq + Clone + Debug + PlaceOf<P> + Send + Sync,
    P: Hash + Eq + Sync,
{
    for first in (0..reading.parts.len()).step_by(SIDE_BY_SIDE) {
        let watched = &*slow;
        let found: Result<Vec<Vec<Contact<K>>>, ScoreError> = (first..reading.parts.len().min(first + SIDE_BY_SIDE))
            .into_par_iter()
            .map(|part| {
                let (mut peers, mut found, mut counts) = (Peers::default(), Vec::new(), HashMap::<K, usize>::new());
                let outcome = reading.read(Stage::Before, part..part + 1, columns, &all, &mut |_, _, batch| {
                    each(batch, &mut peers, watched, &mut |contact: Contact<K>| {
                        let count = counts.entry(contact.0.clone()).or_insert(0);
                        *count += 1;
                        if *count <= watched.counts(&contact.0) {
                            found.push(contact);
                        }
                    })
                });
                match outcome {
                    Err(error @ (ScoreError::Parquet { .. } | ScoreError::Arrow { .. } | ScoreError::Open { .. })) => {
                        tracing::warn!(%error, "a file of an earlier day is left out of the look for slow beacons");
                        Ok(Vec::new())
                    }
                    outcome => outcome.map(|()| found),
                }
            })
            .collect();
        for (case, time, bytes, port) in found?.iter().flatten() {
            slow.handle(case, *time, *bytes, *port);
        }
    }
    Ok(())
}

const FLOWS: [&str; 9] =
    ["first_seen", "flow_start", "segment", "src_ip", "dst_ip", "src_port", "dst_port", "src_packets", "src_bytes"];

fn flow_contacts(
    batch: &RecordBatch,
    [sources, destinations]: &mut Peers,
    internal: &Internal,
    slow: &SlowFlows,
    take: &mut dyn FnMut(Contact<(IpAddr, IpAddr, u16)>),
) -> Result<(), ScoreError> {
    let (first, start): (&TimestampMicrosecondArray, &TimestampMicrosecondArray) =
        (parts::column(batch, "first_seen")?, parts::column(batch, "flow_start")?);
    let segment: &UInt32Array = parts::column(batch, "segment")?;
    let ports: [&UInt16Array; 2] = [parts::column(batch, "src_port")?, parts::column(batch, "dst_port")?];
    let sent: [&UInt64Array; 2] = [parts::column(batch, "src_packets")?, parts::column(batch, "src_bytes")?];
    let (src, dst) = (sources.of(Texts::of(batch, "src_ip")?), destinations.of(Texts::of(batch, "dst_ip")?));
    for row in 0..batch.num_rows() {
        let place = dst.get(row).map(|dst| (dst, ports[1].value(row)));
        let Some((place, src)) = place.filter(|place| slow.watches(place)).zip(src.get(row)) else { continue };
        if segment.value(row) == 0 && internal.holds(src) {
            let time = if start.is_null(row) { first.value(row) } else { start.value(row) };
            let bytes = segment_bytes(src, sent[0].value(row), sent[1].value(row));
            take(((src, place.0, place.1), time, bytes, ports[0].value(row)));
        }
    }
    Ok(())
}

const REQUESTS: [&str; 4] = ["first_seen", "client_ip", "host", "request_bytes"];

fn request_contacts(
    batch: &RecordBatch,
    slow: &SlowRequests,
    take: &mut dyn FnMut(Contact<(IpAddr, Box<str>)>),
) -> Result<(), ScoreError> {
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
            is_watched = slow.watches(&place);
        }
        let Some(client) = is_watched.then(|| client.value(row).parse::<IpAddr>().ok()).flatten() else { continue };
        take(((client, place.clone()), first.value(row), bytes.value(row), 0));
    }
    Ok(())
}
