//! Password guessing: many short connections to one service that asks for a password.
//!
//! Against a Poisson rate learned from the other pairs of the same port. SSHCure's brute-force phase has 11 to 51 packets a flow; the
//! bounds here are wider, so that other protocols fit.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::beacon::seconds;
use super::rows::FlowRow;
use super::stats::poisson_surprise;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Services that ask who you are.
const PORTS: [u16; 20] =
    [21, 22, 23, 88, 110, 139, 143, 389, 445, 587, 636, 1433, 2222, 3306, 3389, 5432, 5900, 5985, 5986, 6379];

/// Fewest connections.
const FEWEST: u64 = 20;

/// Connections counted of one pair towards the rate of a port.
const CAPPED: u64 = 40;

#[derive(Clone, Debug, Default)]
struct Tries {
    count: u64,
    short: u64,
    first: i64,
    last: i64,
    /// Short ones by hour since the epoch, at most a day's.
    hours: HashMap<i64, u64>,
}

impl Tries {
    /// Short connections of the busiest hour: what is regular all day long is a machine at work.
    fn busiest(&self) -> u64 {
        self.hours.values().max().copied().unwrap_or(0)
    }
}

/// Connections by (source, server, port).
#[derive(Clone, Debug, Default)]
pub struct Guessing {
    pairs: HashMap<(IpAddr, IpAddr, u16), Tries>,
    overflow: u64,
}

impl Guessing {
    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        let asks = PORTS.contains(&row.dst_port) || row.service == Some("ssh");
        if row.segment != 0 || row.proto != 6 || !asks || !row.is_conversation() {
            return;
        }
        let key = (row.src, row.dst, row.dst_port);
        if self.pairs.len() >= CASES && !self.pairs.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let tries =
            self.pairs.entry(key).or_insert(Tries { first: row.first_seen, last: row.first_seen, ..Tries::default() });
        tries.count += 1;
        if row.src_packets <= 60 && row.last_seen.saturating_sub(row.first_seen) < 90_000_000 {
            tries.short += 1;
            let hour = row.first_seen.div_euclid(3_600_000_000);
            if tries.hours.len() < 25 || tries.hours.contains_key(&hour) {
                *tries.hours.entry(hour).or_insert(0) += 1;
            }
        }
        tries.first = tries.first.min(row.first_seen);
        tries.last = tries.last.max(row.first_seen);
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { pairs, overflow } = self;
        let mut ports: HashMap<u16, (u64, u64)> = HashMap::new();
        for ((_, _, port), tries) in &pairs {
            let sum = ports.entry(*port).or_insert((0, 0));
            *sum = (sum.0 + tries.busiest().min(CAPPED), sum.1 + 1);
        }
        let (mut statistics, mut found) = (Vec::with_capacity(pairs.len()), Vec::new());
        for ((host, peer, port), tries) in pairs {
            let (sum, others) = ports.get(&port).copied().unwrap_or((0, 1));
            // The rate of the others: a host does not vouch for itself. Four is what a day has where nobody else uses the port.
            let rate = ((sum - tries.busiest().min(CAPPED)) as f64 + 4.0) / (others - 1 + 1) as f64;
            let rate = rate.max(4.0);
            let statistic =
                poisson_surprise(tries.busiest() as f64, rate) * tries.short as f64 / tries.count.max(1) as f64;
            statistics.push(statistic);
            if tries.short >= FEWEST {
                let time = seconds(tries.last.saturating_sub(tries.first) as f64 / 1e6);
                let evidence = format!(
                    "{} short connections to port {port} of {peer} within {time}, {} in one hour; other pairs on this port have at most {rate:.0} an hour",
                    tries.short,
                    tries.busiest()
                );
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: Some(port) }, evidence });
            }
        }
        findings.add("password guessing", Scale::Probability, statistics, found, overflow);
    }
}
