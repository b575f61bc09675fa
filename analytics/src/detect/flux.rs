//! Fast flux: a name whose addresses lie in ever new networks, each for minutes (Holz et al., NDSS 2008: networks, not addresses, tell it from a delivery
//! network, whose pools are large and few).
//!
//! Networks are /24 and /48; the clients of a name share the evidence, for what many ask for is a service.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::domain::{is_special, registered};
use super::rows::DnsRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Longest time to live of a changing answer, seconds.
const TTL: u32 = 1_800;

/// Networks counted of a domain.
const NETWORKS: usize = 512;

/// Fewest networks to be told.
const FEWEST: usize = 12;

#[derive(Clone, Debug, Default)]
struct Answers {
    networks: HashSet<u64>,
    answers: u64,
    clients: HashSet<IpAddr>,
}

/// Networks by registered domain.
#[derive(Clone, Debug, Default)]
pub struct FastFlux {
    domains: HashMap<String, Answers>,
    overflow: u64,
}

impl FastFlux {
    /// Looks at a record.
    pub fn handle(&mut self, row: &DnsRow<'_>) {
        if row.addresses.is_empty() || row.damaged || is_special(row.qname) {
            return;
        }
        let domain = registered(row.qname);
        if self.domains.len() >= CASES && !self.domains.contains_key(domain) {
            self.overflow += 1;
            return;
        }
        let of = self.domains.entry_ref(domain).or_default();
        of.answers += 1;
        if of.clients.len() < 64 {
            of.clients.insert(row.client);
        }
        for (network, ttl) in row.addresses {
            if *ttl <= TTL && of.networks.len() < NETWORKS {
                of.networks.insert(*network);
            }
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let (mut statistics, mut found) = (Vec::with_capacity(self.domains.len()), Vec::new());
        for (domain, of) in self.domains {
            let (networks, clients) = (of.networks.len(), of.clients.len().max(1));
            let statistic = ((1 + networks) as f64 / clients as f64).ln().max(0.0);
            statistics.push(statistic);
            if networks >= FEWEST {
                let evidence = format!(
                    "{} answers for {domain} name addresses in {networks} different networks, for at most half an hour each; {clients} clients ask for it",
                    of.answers
                );
                for host in of.clients {
                    found.push(Case {
                        statistic,
                        host,
                        covers: Covers::Domain(domain.as_str().into()),
                        evidence: evidence.clone(),
                    });
                }
            }
        }
        // Seven networks are usual.
        findings.add("fast flux", Scale::Quantity { usual: 2.1 }, statistics, found, self.overflow);
    }
}
