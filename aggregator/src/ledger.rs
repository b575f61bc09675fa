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
    /// Packets read from frames and lost on their way to the flow table, and their IP bytes.
    lost_before_flows: Totals,
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

    /// Frames that were counted in a flow before they came here: their number, length on the wire and IP bytes.
    pub const fn counted(&mut self, packets: u64, wire_bytes: u64, ip_bytes: u64) {
        self.seen.packets += packets;
        self.seen.bytes += wire_bytes;
        self.received.packets += packets;
        self.received.bytes += wire_bytes;
        self.received_ip_bytes += ip_bytes;
    }

    /// Packets that were received and did not come to the flow table, or not yet (several threads; files lose none).
    pub const fn lost_before_flows(&mut self, packets: u64, ip_bytes: u64) {
        self.lost_before_flows.packets += packets;
        self.lost_before_flows.bytes += ip_bytes;
    }

    /// Adds the books of another decoder of the same input.
    pub fn merge(&mut self, other: &Self) {
        let Self { seen, received, received_ip_bytes, not_ip, malformed, filtered, lost_before_flows } = self;
        let sum = |to: &mut Totals, from: &Totals| {
            to.packets += from.packets;
            to.bytes += from.bytes;
        };
        sum(seen, &other.seen);
        sum(received, &other.received);
        sum(lost_before_flows, &other.lost_before_flows);
        *received_ip_bytes += other.received_ip_bytes;
        for (to, from) in [(not_ip, &other.not_ip), (malformed, &other.malformed), (filtered, &other.filtered)] {
            from.iter().for_each(|(cause, totals)| sum(to.entry(cause).or_default(), totals));
        }
    }

    /// Frames read.
    pub const fn frames(&self) -> Totals {
        self.seen
    }

    /// Frames that were left out, and their length on the wire.
    pub fn filtered(&self) -> Totals {
        let mut sum = Totals::default();
        for Totals { packets, bytes } in self.filtered.values() {
            sum.packets += packets;
            sum.bytes += bytes;
        }
        sum
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
            (
                "packets.received = packets.aggregated + lost",
                self.received.packets,
                s.packets_in + self.lost_before_flows.packets,
            ),
            (
                "ip_bytes.received = ip_bytes.aggregated + lost",
                self.received_ip_bytes,
                s.bytes_in + self.lost_before_flows.bytes,
            ),
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
            ("dhcp.messages = messages_in_rows + messages_waiting", s.dhcp_messages, s.dhcp_in_rows + s.dhcp_waiting),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred frames of 100 bytes, of which the aggregator took 90.
    fn closed() -> (Books, Stats) {
        let mut books = Books::new();
        for i in 0..100_u32 {
            books.seen(100);
            books.fate(
                100,
                match i % 20 {
                    0 => Fate::NotIp("arp"),
                    1 => Fate::Malformed("ipv4_header"),
                    _ => Fate::Received { ip_bytes: 80 },
                },
            );
        }
        let stats = Stats {
            packets_in: 90,
            bytes_in: 7_200,
            packets_exported: 80,
            bytes_exported: 6_400,
            packets_live: 10,
            bytes_live: 800,
            flows_opened: 7,
            flows_idle: 2,
            flows_evicted: 4,
            flows_live: 1,
            ..Stats::default()
        };
        (books, stats)
    }

    #[test]
    fn closed_books_are_fine() {
        let (books, stats) = closed();
        assert_eq!(books.close(&stats), Ok(()));
    }

    /// Each loss opens the equation it belongs to, and no other.
    #[test]
    fn every_loss_is_reported() {
        type Loss = fn(&mut Books, &mut Stats);
        let losses: [(&str, Loss); 12] = [
            ("packets.seen", |books, _| books.seen.packets += 1),
            ("bytes.seen", |books, _| books.seen.bytes += 1),
            ("packets.received", |books, _| {
                books.seen(60);
                books.fate(60, Fate::Received { ip_bytes: 0 });
            }),
            ("ip_bytes.received", |books, _| books.received_ip_bytes += 1),
            ("packets.aggregated", |_, stats| stats.packets_live -= 1),
            ("ip_bytes.aggregated", |_, stats| stats.bytes_exported -= 1),
            ("flows.opened", |_, stats| stats.flows_evicted -= 1),
            ("dns.query_questions", |_, stats| stats.dns_query_questions += 1),
            ("dns.response_questions", |_, stats| stats.dns_unasked += 1),
            ("dhcp.messages", |_, stats| stats.dhcp_messages += 1),
            ("http.requests", |_, stats| stats.http_requests_waiting += 1),
            ("http.responses", |_, stats| stats.http_unasked += 1),
        ];
        for (equation, loss) in losses {
            let (mut books, mut stats) = closed();
            loss(&mut books, &mut stats);
            let open = books.close(&stats).unwrap_err();
            let names: Vec<_> = open.iter().map(|imbalance| imbalance.equation).collect();
            assert!(names.len() == 1 && names[0].starts_with(&format!("{equation} =")), "{equation}: {names:?}");
        }
    }

    #[test]
    fn rows_carry_every_counter_with_its_cause() {
        let (books, _) = closed();
        let head = LedgerHead {
            interval_start: Micros(1),
            interval_end: Micros(2),
            sensor: "tap".into(),
            source: "a.pcap".into(),
            queue: None,
            clock: "file, 1 us".into(),
        };
        let rows = head.rows(books.counters());
        let value = |name: &str| rows.iter().find(|row| row.counter == name).map(|row| row.value);
        assert_eq!(value("packets.seen"), Some(100));
        assert_eq!(value("bytes.not_ip"), Some(500));
        assert_eq!(value("packets.malformed.ipv4_header"), Some(5));
        assert_eq!(value("ip_bytes.received"), Some(7_200));
        assert_eq!(value("packets.filtered"), Some(0));
        assert!(rows.iter().all(|row| row.source == "a.pcap" && row.interval_end == Micros(2)));
    }
}
