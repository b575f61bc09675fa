//! Bursts of connections: a client that opens connections to one service far faster in one hour than in its others.
//!
//! Floods of requests, scanners of web applications, guessing at a login page, connections held open to use a server up: each is a
//! conversation, so no scan; on a port where others connect too, so no odd port. What is regular all day (an application and its database) is no burst:
//! the mean of the pair's other hours, as if it worked eight, is taken off.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Fewest connections in an hour to tell of.
const FEWEST: u32 = 200;

const HOUR: i64 = 3_600_000_000;

/// Connections by (client, server, port) and hour of the day.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    pairs: HashMap<(IpAddr, IpAddr, u16), [u16; 24]>,
    overflow: u64,
}

impl Bursts {
    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        if row.segment != 0 || row.proto != 6 || !row.is_conversation() {
            return;
        }
        let key = (row.src, row.dst, row.dst_port);
        let hour = row.first_seen.div_euclid(HOUR).rem_euclid(24) as usize;
        if self.pairs.len() >= CASES && !self.pairs.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let hours = self.pairs.entry(key).or_default();
        if let Some(count) = hours.get_mut(hour) {
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { pairs, overflow } = self;
        let (mut statistics, mut found) = (Vec::with_capacity(pairs.len()), Vec::new());
        for ((host, peer, port), hours) in pairs {
            let all: u32 = hours.iter().map(|count| u32::from(*count)).sum();
            let most = hours.iter().copied().max().map_or(0, u32::from);
            let usual = f64::from(all - most) / 8.0;
            let statistic = (1.0 + (f64::from(most) - usual).max(0.0)).ln();
            statistics.push(statistic);
            if most >= FEWEST {
                let evidence = format!(
                    "{most} connections to port {port} of {peer} in one hour, {} in all others of the day",
                    all - most
                );
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: Some(port) }, evidence });
            }
        }
        findings.add("connection burst", Scale::Quantity { usual: f64::ln(100.0) }, statistics, found, overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    fn connection(at: i64, src: [u8; 4], dst: [u8; 4], dst_port: u16) -> FlowRow<'static> {
        FlowRow::sample(at, src, dst, dst_port)
    }

    /// Three thousand requests of a web scanner were conversations on a usual port, and nowhere.
    #[test]
    fn a_web_scanner_is_told_from_a_database_s_client() {
        let mut flows = Flows::new(Internal::default());
        for client in 0..200_u8 {
            for n in 0..i64::from(client % 40) {
                flows.handle(&connection(n * 900_000_000, [10, 0, 1, client], [192, 0, 2, 1], 80));
            }
        }
        for n in 0..3_000 {
            flows.handle(&connection(9 * HOUR + n * 100_000, [10, 0, 0, 7], [10, 0, 2, 2], 80));
        }
        for n in 0..20_000 {
            flows.handle(&connection(n * 24 * HOUR / 20_000, [10, 0, 2, 8], [10, 0, 2, 9], 5432));
        }
        let findings = flows.finish();
        let found: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "connection burst").collect();
        let [scanner] = found.as_slice() else { panic!("one: {found:?}") };
        let host: IpAddr = [10, 0, 0, 7].into();
        assert_eq!(scanner.host, host);
        assert!(scanner.ln_expected < 0.0, "{}", scanner.ln_expected);
        assert_eq!(scanner.evidence, "3000 connections to port 80 of 10.0.2.2 in one hour, 0 in all others of the day");
    }
}
