//! Collection: a client that takes far more from one service inside than clients do: a database copied, a share emptied.
//!
//! Hosts that others ask (application servers, backups) move much by profession and are not judged. What many clients of a service take in equal measure
//! (an update, a morning's profiles) is shared by them.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::exfiltration::bytes;
use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Less is not told.
const SMALLEST: u64 = 20_000_000;

/// Clients counted of a host: from two on it is a server.
const CLIENTS: usize = 2;

/// Bytes taken by (client, server, port), each segment counted.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    taken: HashMap<(IpAddr, IpAddr, u16), (u64, u64)>,
    /// By host inside: who asked it.
    asked: HashMap<IpAddr, HashSet<IpAddr>>,
    overflow: u64,
}

impl Collection {
    /// Looks at a record between two hosts inside.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        if !matches!(row.proto, 6 | 17) || row.dst_port == 0 {
            return;
        }
        let key = (row.src, row.dst, row.dst_port);
        if self.taken.len() >= CASES && !self.taken.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let (received, sent) = self.taken.entry(key).or_default();
        *received = received.saturating_add(row.dst_bytes.unwrap_or(0));
        *sent = sent.saturating_add(row.src_bytes);
        if row.is_conversation() {
            let clients = self.asked.entry(row.dst).or_default();
            if clients.len() < CLIENTS {
                clients.insert(row.src);
            }
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { mut taken, asked, overflow } = self;
        taken.retain(|(client, ..), _| asked.get(client).is_none_or(|clients| clients.len() < CLIENTS));
        let net = |(received, sent): (u64, u64)| received.saturating_sub(sent);
        let mut services: HashMap<(IpAddr, u16), Vec<u64>> = HashMap::new();
        for ((_, server, port), volume) in &taken {
            services.entry((*server, *port)).or_default().push(net(*volume));
        }
        services.values_mut().for_each(|taken| taken.sort_unstable());
        let (mut statistics, mut found) = (Vec::new(), Vec::new());
        for ((client, server, port), volume) in taken {
            let net = net(volume);
            let all = services.get(&(server, port)).map_or(&[][..], Vec::as_slice);
            // It is one of them.
            let alike = (all.len() - all.partition_point(|other| *other < net / 10)).max(1);
            let statistic = ((1.0 + net as f64) / alike as f64).ln();
            statistics.push(statistic);
            if net >= SMALLEST {
                let evidence = format!(
                    "got {} from port {port} of {server} and sent {}; {alike} of the {} clients there that serve nobody get a tenth of it or more",
                    bytes(volume.0),
                    bytes(volume.1),
                    all.len()
                );
                found.push(Case {
                    statistic,
                    host: client,
                    covers: Covers::Pair { peer: server, port: Some(port) },
                    evidence,
                });
            }
        }
        // 100 MB from one service are usual.
        findings.add("collection", Scale::Quantity { usual: f64::ln(1e8) }, statistics, found, overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    fn taken(client: [u8; 4], server: [u8; 4], port: u16, megabytes: u64) -> FlowRow<'static> {
        FlowRow {
            src_bytes: 40_000,
            dst_packets: Some(700 * megabytes + 3),
            dst_bytes: Some(megabytes * 1_000_000 + 500),
            ..FlowRow::sample(0, client, server, port)
        }
    }

    /// A workstation copied a database, and was nowhere in the list.
    #[test]
    fn a_database_copied_to_a_workstation_is_told_and_a_backup_is_not() {
        let mut flows = Flows::new(Internal::default());
        for client in 0..200_u8 {
            let host = [10, 0, 1, client];
            flows.handle(&taken(host, [10, 0, 0, 4], 445, u64::from(client) % 40));
            // All get the same update in the morning.
            flows.handle(&taken(host, [10, 0, 0, 5], 8530, 900));
            flows.handle(&taken(host, [10, 0, 0, 6], 443, 0));
        }
        // The application server asks the database all day.
        flows.handle(&taken([10, 0, 0, 6], [10, 0, 0, 7], 1433, 60_000));
        flows.handle(&taken([10, 0, 1, 77], [10, 0, 0, 7], 1433, 3_000));
        let findings = flows.finish();
        let told =
            findings.list().iter().filter(|finding| finding.detector == "collection" && finding.ln_expected < 0.0);
        let told: Vec<_> = told.collect();
        let [copy] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(copy.host, IpAddr::from([10, 0, 1, 77]));
        assert!(copy.ln_expected < -3.0, "{}", copy.ln_expected);
        assert!(copy.evidence.starts_with("got 3.00 GB from port 1433 of 10.0.0.7"), "{}", copy.evidence);
    }
}
