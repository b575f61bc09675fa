//! Exfiltration: bytes that leave for one place, more than come back, against what others send to one place in a day. What many hosts
//! send to the same place (a synchronised drive) is shared by them.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::stats::poisson_surprise;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Less is not told.
const SMALLEST: u64 = 100_000;

/// A place that got less than this is no piece: forms and uploads of pages are smaller.
const PIECE: u64 = 20_000;

#[derive(Clone, Debug, Default)]
struct Volume {
    sent: u64,
    received: u64,
    records: u64,
    /// Mail was delivered.
    mail: bool,
}

/// Mail servers deliver to each other.
const SMTP: u16 = 25;

/// Bytes by (inside, outside), each segment counted.
#[derive(Clone, Debug, Default)]
pub struct Exfiltration {
    pairs: HashMap<(IpAddr, IpAddr), Volume>,
    senders: HashMap<IpAddr, HashSet<IpAddr>>,
    totals: HashMap<IpAddr, u64>,
    /// Hosts inside that take mail: to deliver it in many pieces is their work.
    relays: HashSet<IpAddr>,
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
        volume.mail |= row.dst_port == SMTP;
        let total = self.totals.entry(row.src).or_insert(0);
        *total = total.saturating_add(row.src_bytes);
        let senders = self.senders.entry(row.dst).or_default();
        if senders.len() < 64 {
            senders.insert(row.src);
        }
    }

    /// Looks at a record to a host inside.
    pub fn serves(&mut self, row: &FlowRow<'_>) {
        if row.dst_port == SMTP && row.is_conversation() && self.relays.len() < CASES {
            self.relays.insert(row.dst);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { pairs, senders, totals, relays, overflow } = self;
        let mut pieces: HashMap<IpAddr, Pieces> = HashMap::new();
        let (mut statistics, mut found) = (Vec::with_capacity(pairs.len()), Vec::new());
        for ((host, peer), volume) in pairs {
            let senders = senders.get(&peer).map_or(1, HashSet::len).max(1);
            let net = volume.sent.saturating_sub(volume.received);
            let statistic = ((1.0 + net as f64) / senders as f64).ln();
            statistics.push(statistic);
            if senders <= 2 && net >= PIECE && !(volume.mail && relays.contains(&host)) {
                pieces.entry(host).or_default().add(peer, net);
            }
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
        in_pieces(pieces, totals.len(), findings);
    }
}

/// Places of one or two hosts to which more went than came back.
#[derive(Clone, Debug, Default)]
struct Pieces {
    peers: HashSet<IpAddr>,
    sum: u64,
    largest: u64,
}

impl Pieces {
    fn add(&mut self, peer: IpAddr, net: u64) {
        if self.peers.len() < 4_096 {
            self.peers.insert(peer);
        }
        self.sum = self.sum.saturating_add(net);
        self.largest = self.largest.max(net);
    }
}

/// In pieces: a host with many such places, of which none has the most. `hosts` is how many sent anything.
fn in_pieces(pieces: HashMap<IpAddr, Pieces>, hosts: usize, findings: &mut Findings) {
    let usual: usize = pieces.values().map(|of| of.peers.len().min(5)).sum();
    let rate = (usual as f64 / hosts.max(1) as f64).max(0.5);
    let mut statistics: Vec<f64> = vec![0.0; hosts.saturating_sub(pieces.len())];
    let mut found = Vec::new();
    for (host, of) in pieces {
        let places = of.peers.len() as u64;
        let statistic = poisson_surprise(places as f64, rate);
        statistics.push(statistic);
        if places >= 4 && of.sum / 2 > of.largest {
            let evidence = format!(
                "sent {} more than it got to {places} places to which at most one other host sends, {} to one at most; others have {rate:.1} such places",
                bytes(of.sum),
                bytes(of.largest)
            );
            found.push(Case { statistic, host, covers: Covers::Hosts(of.peers), evidence });
        }
    }
    findings.add("exfiltration in pieces", Scale::Probability, statistics, found, 0);
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

#[cfg(test)]
mod tests {
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    /// The mail server sent 200 kB more than it got to each of five others, as it does every day.
    #[test]
    fn a_mail_server_delivers_in_pieces_and_a_client_does_not() {
        let mut flows = Flows::new(Internal::default());
        let (relay, client) = ([10, 0, 0, 15], [10, 0, 1, 7]);
        flows.handle(&FlowRow::sample(0, [198, 51, 100, 1], relay, 25));
        for n in 0..5_u8 {
            let sent = |host: [u8; 4], net: u8| FlowRow {
                src_bytes: 60_000,
                ..FlowRow::sample(0, host, [203, 0, net, n], 25)
            };
            flows.handle(&sent(relay, 113));
            flows.handle(&sent(client, 114));
        }
        let findings = flows.finish();
        let told = findings.list().iter().filter(|finding| finding.detector == "exfiltration in pieces");
        assert_eq!(told.map(|finding| finding.host).collect::<Vec<_>>(), [IpAddr::from(client)]);
    }
}
