//! The books of one input: every frame has one fate, every packet is in one flow record, and an equation
//! says so (ARCHITECTURE.md, rule 2).
//!
//! The two sides of each equation are counted in different places (what was read, what became of it, what
//! the flow table took, what it handed over), so a frame lost between two stages shows as an [`Imbalance`].
//!
//! Counters of a file import, beside those of [`Stats`] and of the decoder:
//!
//! | counter | meaning |
//! |---|---|
//! | `packets.seen`, `bytes.seen` | frames read, and their length on the wire |
//! | `packets.received`, `bytes.received`, `ip_bytes.received` | … counted in a flow; with the length of their IP packets |
//! | `packets.not_ip`, `packets.malformed`, `packets.filtered` and `bytes.` | the other fates |
//! | `packets.not_ip.CAUSE` … and `bytes.` | the same by cause |

use std::collections::BTreeMap;

use capture::Fate;

use crate::record::{LedgerRow, Micros};
use crate::stats::Stats;

/// Packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Packets (frames).
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Totals {
    fn add(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

/// What was read from one input and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Books {
    seen: Totals,
    received: Totals,
    received_ip_bytes: u64,
    not_ip: BTreeMap<&'static str, Totals>,
    malformed: BTreeMap<&'static str, Totals>,
    filtered: BTreeMap<&'static str, Totals>,
}

/// One equation that does not hold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the books do not close: {equation}: {left} on the left, {right} on the right")]
pub struct Imbalance {
    /// The equation, in the ledger's names.
    pub equation: &'static str,
    /// Value of its left side.
    pub left: u64,
    /// Value of its right side.
    pub right: u64,
}

impl Books {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame was read. `wire_len` is its length on the wire, bytes.
    pub fn seen(&mut self, wire_len: u32) {
        self.seen.add(u64::from(wire_len));
    }

    /// What the decoder said became of it.
    pub fn fate(&mut self, wire_len: u32, fate: Fate) {
        let bytes = u64::from(wire_len);
        match fate {
            Fate::Received { ip_bytes } => {
                self.received.add(bytes);
                self.received_ip_bytes += u64::from(ip_bytes);
            }
            Fate::NotIp(cause) => self.not_ip.entry(cause).or_default().add(bytes),
            Fate::Malformed(cause) => self.malformed.entry(cause).or_default().add(bytes),
            Fate::Filtered(cause) => self.filtered.entry(cause).or_default().add(bytes),
        }
    }

    /// Frames read.
    pub const fn frames(&self) -> Totals {
        self.seen
    }

    /// Frames that were counted in a flow, and their length on the wire.
    pub const fn received(&self) -> Totals {
        self.received
    }

    /// Checks every equation against what the aggregator counted.
    ///
    /// # Errors
    /// The equations that do not hold.
    pub fn close(&self, stats: &Stats) -> Result<(), Vec<Imbalance>> {
        let other = [&self.not_ip, &self.malformed, &self.filtered];
        let fates = |value: fn(&Totals) -> u64| {
            value(&self.received) + other.iter().flat_map(|causes| causes.values()).map(value).sum::<u64>()
        };
        let s = stats;
        let equations = [
            ("packets.seen = not_ip + malformed + filtered + received", self.seen.packets, fates(|t| t.packets)),
            ("bytes.seen = not_ip + malformed + filtered + received", self.seen.bytes, fates(|t| t.bytes)),
            ("packets.received = packets.aggregated", self.received.packets, s.packets_in),
            ("ip_bytes.received = ip_bytes.aggregated", self.received_ip_bytes, s.bytes_in),
            ("packets.aggregated = exported + live", s.packets_in, s.packets_exported + s.packets_live),
            ("ip_bytes.aggregated = exported + live", s.bytes_in, s.bytes_exported + s.bytes_live),
            ("flows.opened = exported + live", s.flows_opened, s.flows_exported() + s.flows_live),
            (
                "dns.query_questions = rows.answered + rows.unanswered + query_repeats + waiting",
                s.dns_query_questions,
                s.dns_answered + s.dns_unanswered + s.dns_repeats + s.dns_waiting,
            ),
            (
                "dns.response_questions = rows.answered + rows.unasked",
                s.dns_response_questions,
                s.dns_answered + s.dns_unasked,
            ),
            (
                "http.requests = rows.answered + rows.unanswered + requests_waiting",
                s.http_requests,
                s.http_answered + s.http_unanswered + s.http_requests_waiting,
            ),
            (
                "http.responses = rows.answered + responses_unasked + responses_waiting",
                s.http_responses,
                s.http_answered + s.http_unasked + s.http_responses_waiting,
            ),
        ];
        let open: Vec<Imbalance> = equations
            .into_iter()
            .filter(|(_, left, right)| left != right)
            .map(|(equation, left, right)| Imbalance { equation, left, right })
            .collect();
        if open.is_empty() { Ok(()) } else { Err(open) }
    }

    /// Name and value of each counter of the books themselves, without those of [`Stats`].
    pub fn counters(&self) -> Vec<(String, u64)> {
        let mut out = vec![
            ("packets.seen".to_owned(), self.seen.packets),
            ("bytes.seen".to_owned(), self.seen.bytes),
            ("packets.received".to_owned(), self.received.packets),
            ("bytes.received".to_owned(), self.received.bytes),
            ("ip_bytes.received".to_owned(), self.received_ip_bytes),
        ];
        for (fate, causes) in [("not_ip", &self.not_ip), ("malformed", &self.malformed), ("filtered", &self.filtered)] {
            let packets = causes.values().map(|t| t.packets).sum();
            let bytes = causes.values().map(|t| t.bytes).sum();
            out.push((format!("packets.{fate}"), packets));
            out.push((format!("bytes.{fate}"), bytes));
            for (cause, totals) in causes {
                out.push((format!("packets.{fate}.{cause}"), totals.packets));
                out.push((format!("bytes.{fate}.{cause}"), totals.bytes));
            }
        }
        out
    }
}

/// What all ledger rows of one interval of one input share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerHead {
    /// First moment of the interval.
    pub interval_start: Micros,
    /// Its end.
    pub interval_end: Micros,
    /// Name of the sensor.
    pub sensor: String,
    /// Name of the input.
    pub source: String,
    /// Receive queue, where there are several.
    pub queue: Option<i32>,
    /// Which clock gave the times, and its resolution.
    pub clock: String,
}

impl LedgerHead {
    /// A row for each counter.
    pub fn rows<N: Into<String>>(&self, counters: impl IntoIterator<Item = (N, u64)>) -> Vec<LedgerRow> {
        counters
            .into_iter()
            .map(|(counter, value)| LedgerRow {
                interval_start: self.interval_start,
                interval_end: self.interval_end,
                sensor: self.sensor.clone(),
                source: self.source.clone(),
                queue: self.queue,
                clock: self.clock.clone(),
                counter: counter.into(),
                value,
            })
            .collect()
    }
}
