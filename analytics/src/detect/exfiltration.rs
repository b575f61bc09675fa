//! Exfiltration: bytes that leave for one place, more than come back, against what others send to one place in a day. What many hosts
//! send to the same place (a synchronised drive) is shared by them.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Less is not told.
const SMALLEST: u64 = 100_000;

#[derive(Debug, Default)]
struct Volume {
    sent: u64,
    received: u64,
    records: u64,
}

/// Bytes by (inside, outside), each segment counted.
#[derive(Debug, Default)]
pub struct Exfiltration {
    pairs: HashMap<(IpAddr, IpAddr), Volume>,
    senders: HashMap<IpAddr, HashSet<IpAddr>>,
    totals: HashMap<IpAddr, u64>,
    overflow: u64,
}

impl Exfiltration {
    /// Looks at a record from the inside out.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        let key = (row.src, row.dst);
        if self.pairs.len() >= CASES && !self.pairs.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let volume = self.pairs.entry(key).or_default();
        volume.sent = volume.sent.saturating_add(row.src_bytes);
        volume.received = volume.received.saturating_add(row.dst_bytes.unwrap_or(0));
        volume.records += 1;
        let total = self.totals.entry(row.src).or_insert(0);
        *total = total.saturating_add(row.src_bytes);
        let senders = self.senders.entry(row.dst).or_default();
        if senders.len() < 64 {
            senders.insert(row.src);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { pairs, senders, totals, overflow } = self;
        let (mut statistics, mut found) = (Vec::with_capacity(pairs.len()), Vec::new());
        for ((host, peer), volume) in pairs {
            let senders = senders.get(&peer).map_or(1, HashSet::len).max(1);
            let net = volume.sent.saturating_sub(volume.received);
            let statistic = ((1.0 + net as f64) / senders as f64).ln();
            statistics.push(statistic);
            if net >= SMALLEST {
                let total = totals.get(&host).copied().unwrap_or(volume.sent).max(1);
                let evidence = format!(
                    "sent {} to {peer} and got {} back, in {} records: {:.0} % of all this host sent out; {senders} hosts sent there",
                    bytes(volume.sent),
                    bytes(volume.received),
                    volume.records,
                    100.0 * volume.sent as f64 / total as f64
                );
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: None }, evidence });
            }
        }
        // 100 kB to one place are usual.
        findings.add("exfiltration", Scale::Quantity { usual: 11.5 }, statistics, found, overflow);
    }
}

/// `1.2 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{b} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}
