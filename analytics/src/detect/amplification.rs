//! Amplification: a server inside that answers strangers over UDP with far more than they asked. Their addresses are those of the victim
//! (US-CERT TA14-017A lists the protocols and what they multiply).

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::exfiltration::bytes;
use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Quote of the day, character generator, DNS, TFTP, port mapper, NTP, NetBIOS, SNMP, LDAP, RIP, SSDP, WS-Discovery, mDNS, memcached.
const PORTS: [u16; 14] = [17, 19, 53, 69, 111, 123, 137, 161, 389, 520, 1900, 3702, 5353, 11_211];

/// Answers of an honest server are larger than questions, too.
const TIMES: u64 = 8;

/// Less harms nobody.
const SMALLEST: u64 = 1_000_000;

#[derive(Clone, Debug, Default)]
struct Answers {
    asked: u64,
    sent: u64,
    clients: HashSet<IpAddr>,
}

/// What servers inside answered to the outside.
#[derive(Clone, Debug, Default)]
pub struct Amplification {
    servers: HashMap<(IpAddr, u16), Answers>,
    overflow: u64,
}

impl Amplification {
    /// Looks at a record from the outside in.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        if row.proto != 17 || !PORTS.contains(&row.dst_port) {
            return;
        }
        let key = (row.dst, row.dst_port);
        if self.servers.len() >= CASES && !self.servers.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let answers = self.servers.entry(key).or_default();
        answers.asked = answers.asked.saturating_add(row.src_bytes);
        answers.sent = answers.sent.saturating_add(row.dst_bytes.unwrap_or(0));
        if answers.clients.len() < 10_000 {
            answers.clients.insert(row.src);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { servers, overflow } = self;
        let (mut statistics, mut found) = (Vec::with_capacity(servers.len()), Vec::new());
        for ((host, port), Answers { asked, sent, clients }) in servers {
            let multiplies = sent / TIMES >= asked;
            let statistic = if multiplies { (1.0 + sent as f64).ln() } else { 0.0 };
            statistics.push(statistic);
            if multiplies && sent >= SMALLEST {
                let evidence = format!(
                    "answered {} addresses outside with {}, {:.0} times what they asked, from UDP port {port}",
                    clients.len(),
                    bytes(sent),
                    sent as f64 / asked.max(1) as f64
                );
                found.push(Case { statistic, host, covers: Covers::Served { port, proto: 17 }, evidence });
            }
        }
        // Half a megabyte is usual.
        findings.add("amplification", Scale::Quantity { usual: 13.1 }, statistics, found, overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    fn found(answer: u64) -> Vec<(IpAddr, Covers, String)> {
        let mut flows = Flows::new(Internal::default());
        for n in 0..5_000_i64 {
            flows.handle(&FlowRow {
                first_seen: n * 100_000,
                last_seen: n * 100_000,
                flow_start: n * 100_000,
                segment: 0,
                src: [203, 0, 113, 200].into(),
                dst: [10, 0, 0, 2].into(),
                src_port: 1024 + n as u16,
                dst_port: 53,
                proto: 17,
                src_packets: 1,
                src_bytes: 68,
                dst_packets: Some(3),
                dst_bytes: Some(answer),
                conn_state: Some("SF"),
                service: Some("dns"),
                src_mac: None,
            });
        }
        let findings = flows.finish();
        let list = findings.list().iter().filter(|finding| finding.detector == "amplification");
        list.map(|finding| (finding.host, finding.covers.clone(), finding.evidence.clone())).collect()
    }

    #[test]
    fn a_resolver_that_multiplies_for_strangers_is_found() {
        let found = found(4_000);
        let [(host, covers, evidence)] = found.as_slice() else { panic!("one finding: {found:?}") };
        assert_eq!((*host, covers), ([10, 0, 0, 2].into(), &Covers::Served { port: 53, proto: 17 }));
        assert!(evidence.contains("1 addresses outside with 20.0 MB, 59 times"), "{evidence}");
    }

    #[test]
    fn an_authoritative_server_is_honest() {
        assert_eq!(found(250), []);
    }
}
