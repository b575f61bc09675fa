//! Long connections to the outside: remote control and tunnels stay open. Whole connections count, from `flow_start`.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::beacon::seconds;
use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Longest connection by (client, server, port).
#[derive(Clone, Debug, Default)]
pub struct LongConnections {
    longest: HashMap<(IpAddr, IpAddr, u16), i64>,
    clients: HashMap<IpAddr, HashSet<IpAddr>>,
    overflow: u64,
}

/// Longer than this is told.
const SHORTEST: i64 = 20 * 60 * 1_000_000;

impl LongConnections {
    /// Looks at a record from the inside out.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        let duration = row.last_seen.saturating_sub(row.flow_start).max(0);
        let clients = self.clients.len();
        if let Some(known) = self.clients.get_mut(&row.dst) {
            if known.len() < 64 {
                known.insert(row.src);
            }
        } else if clients < CASES {
            self.clients.entry(row.dst).or_default().insert(row.src);
        }
        let key = (row.src, row.dst, row.dst_port);
        if self.longest.len() >= CASES && !self.longest.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let longest = self.longest.entry(key).or_insert(0);
        *longest = duration.max(*longest);
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { longest, clients, overflow } = self;
        let (mut statistics, mut found) = (Vec::with_capacity(longest.len()), Vec::new());
        for ((host, peer, port), duration) in longest {
            let clients = clients.get(&peer).map_or(1, HashSet::len).max(1);
            let long = duration as f64 / 1e6;
            let statistic = (1.0 + long).ln() - (clients as f64).ln();
            statistics.push(statistic);
            if duration >= SHORTEST {
                let evidence = format!(
                    "a connection of {} to {peer}, to which {clients} hosts of the organisation went",
                    seconds(long)
                );
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: Some(port) }, evidence });
            }
        }
        // An hour is usual.
        findings.add("long connection", Scale::Quantity { usual: 8.2 }, statistics, found, overflow);
    }
}
