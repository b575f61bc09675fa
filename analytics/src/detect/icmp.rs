//! ICMP tunnels: echo messages that carry data. A ping has 28 to 92 bytes and is the same each time.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::exfiltration::bytes;
use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Bytes of a message up to which it is a ping (Linux sends 84, `traceroute` less).
const PING: u64 = 100;

#[derive(Clone, Debug, Default)]
struct Echo {
    packets: u64,
    bytes: u64,
}

/// Echo bytes beyond a ping's, by (initiator, responder).
#[derive(Clone, Debug, Default)]
pub struct IcmpTunnels {
    pairs: HashMap<(IpAddr, IpAddr), Echo>,
    overflow: u64,
}

impl IcmpTunnels {
    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        // Type 8 is echo, ICMPv6 128; errors carry the packet they are about.
        let kind = row.dst_port >> 8;
        if !row.is_icmp() || !matches!((row.proto, kind), (1, 0 | 8) | (58, 128 | 129)) {
            return;
        }
        let key = (row.src, row.dst);
        if self.pairs.len() >= CASES && !self.pairs.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let echo = self.pairs.entry(key).or_default();
        echo.packets = echo.packets.saturating_add(row.src_packets).saturating_add(row.dst_packets.unwrap_or(0));
        echo.bytes = echo.bytes.saturating_add(row.src_bytes).saturating_add(row.dst_bytes.unwrap_or(0));
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { pairs, overflow } = self;
        let (mut statistics, mut found) = (Vec::with_capacity(pairs.len()), Vec::new());
        for ((host, peer), echo) in pairs {
            let carried = echo.bytes.saturating_sub(echo.packets.saturating_mul(PING));
            let statistic = (1.0 + carried as f64).ln();
            statistics.push(statistic);
            if carried > 10_000 {
                let evidence = format!("{} in {} echo messages with {peer}", bytes(echo.bytes), echo.packets);
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: None }, evidence });
            }
        }
        // 5 kB beyond pings are usual: somebody measures a path with large ones.
        findings.add("icmp tunnel", Scale::Quantity { usual: 8.5 }, statistics, found, overflow);
    }
}
