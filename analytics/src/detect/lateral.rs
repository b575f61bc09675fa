//! Lateral movement: a host that logs in to many peers by administrative protocols where hardly anybody else does.
//!
//! Counts a host's conversations with responders inside on such ports that have at most two clients all day: servers have many, workstations
//! none. What one host has is compared with a Poisson rate learned from the others.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::stats::poisson_surprise;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Remote administration: RPC, SMB, SSH, telnet, RDP, VNC, WinRM, and the first dynamic RPC ports.
const fn is_administrative(port: u16) -> bool {
    matches!(port, 22 | 23 | 135 | 139 | 445 | 3389 | 5900 | 5985 | 5986 | 49_152..=49_700)
}

/// Clients by responder and port.
#[derive(Clone, Debug, Default)]
pub struct Lateral {
    clients: HashMap<(IpAddr, u16), HashSet<IpAddr>>,
    overflow: u64,
}

impl Lateral {
    /// Looks at a record between hosts inside.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        if row.proto != 6 || !is_administrative(row.dst_port) || !row.is_conversation() {
            return;
        }
        let key = (row.dst, row.dst_port);
        if self.clients.len() >= CASES && !self.clients.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let clients = self.clients.entry(key).or_default();
        // Three are as many as a thousand.
        if clients.len() < 3 {
            clients.insert(row.src);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { clients, overflow } = self;
        let mut hosts: HashMap<IpAddr, HashSet<(IpAddr, u16)>> = HashMap::new();
        for (target, clients) in &clients {
            for client in clients {
                let targets = hosts.entry(*client).or_default();
                if clients.len() < 3 {
                    targets.insert(*target);
                }
            }
        }
        let peers = |targets: &HashSet<(IpAddr, u16)>| {
            targets.iter().map(|(peer, _)| *peer).collect::<HashSet<IpAddr>>().len() as u64
        };
        let counts: Vec<u64> = hosts.values().map(peers).collect();
        let usual: u64 = counts.iter().map(|count| (*count).min(3)).sum();
        let rate = (usual as f64 / counts.len().max(1) as f64).max(0.2);
        let (mut statistics, mut found) = (Vec::with_capacity(hosts.len()), Vec::new());
        for ((host, targets), count) in hosts.into_iter().zip(counts) {
            let statistic = poisson_surprise(count as f64, rate);
            statistics.push(statistic);
            if count >= 2 {
                let mut ports: Vec<u16> = targets.iter().map(|(_, port)| *port).collect();
                ports.sort_unstable();
                ports.dedup();
                ports.truncate(6);
                let evidence = format!(
                    "logged in to {count} hosts to which at most one other goes, on ports {ports:?}; others have {rate:.1} such hosts"
                );
                found.push(Case { statistic, host, covers: Covers::Peers(targets), evidence });
            }
        }
        findings.add("lateral movement", Scale::Probability, statistics, found, overflow);
    }
}
