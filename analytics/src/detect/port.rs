//! Services where they do not belong: a protocol recognised by its content on a port on which hardly anybody speaks it.
//!
//! The day says what is usual: the share of a protocol's clients that use it on this port. Ports registered for the protocol are never odd.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Ports a protocol is registered for, or at home on by long custom. Empty = not judged.
const fn home(service: &str) -> &'static [u16] {
    match service.as_bytes() {
        b"ssh" => &[22],
        b"tls" => &[443, 465, 563, 636, 853, 989, 990, 993, 995, 5061, 5986, 8443, 9443],
        b"http" => &[80, 631, 3128, 5985, 8000, 8008, 8080, 8081, 8088, 8530, 8888],
        b"dns" => &[53, 5353, 5355],
        b"smtp" => &[25, 465, 587],
        b"rdp" => &[3389],
        b"smb" => &[139, 445],
        b"ftp" => &[21],
        _ => &[],
    }
}

#[derive(Debug, Default)]
struct Use {
    clients: HashSet<IpAddr>,
    pairs: HashSet<(IpAddr, IpAddr)>,
}

/// Clients by protocol and port.
#[derive(Debug, Default)]
pub struct OddPorts {
    uses: HashMap<(Box<str>, u16), Use>,
    services: HashMap<String, HashSet<IpAddr>>,
    pairs: usize,
    outside: HashSet<IpAddr>,
    overflow: u64,
}

impl OddPorts {
    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>, to_outside: bool) {
        let Some(service) = row.service.filter(|service| !home(service).is_empty()) else { return };
        if self.services.len() < 1000 {
            let clients = self.services.entry_ref(service).or_default();
            if clients.len() < CASES / 10 {
                clients.insert(row.src);
            }
        }
        if home(service).contains(&row.dst_port) {
            return;
        }
        if self.pairs >= CASES {
            self.overflow += 1;
            return;
        }
        if to_outside {
            self.outside.insert(row.dst);
        }
        let of = self.uses.entry((service.into(), row.dst_port)).or_default();
        of.clients.insert(row.src);
        self.pairs += usize::from(of.pairs.insert((row.src, row.dst)));
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { uses, services, outside, overflow, .. } = self;
        let (mut statistics, mut found) = (Vec::new(), Vec::new());
        // Clients at home on their ports are cases too, with nothing to show.
        statistics.resize(services.values().map(HashSet::len).sum(), 0.0);
        for ((service, port), of) in uses {
            let all = services.get(&*service).map_or(1, HashSet::len).max(1) as f64;
            let clients = of.clients.len() as f64;
            for (host, peer) in of.pairs {
                // To the outside is worse: inside an odd port is mostly somebody's product.
                let way = if outside.contains(&peer) { 3.0 } else { 0.0 };
                let statistic = (all.max(20.0) / clients).ln().max(0.0) + way;
                statistics.push(statistic);
                let evidence = format!(
                    "{service} on port {port} of {peer}; {clients} of the {all} clients of {service} use it on this port"
                );
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: Some(port) }, evidence });
            }
        }
        findings.add("odd port", Scale::Probability, statistics, found, overflow);
    }
}
