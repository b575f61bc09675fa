//! Unanswered beacons: a client inside that tries the same place outside over and over at even intervals, and gets nothing back.
//!
//! An implant whose master is gone or blocked. The test is that of [`beacon`](super::beacon). Scanners try many places once or twice: of a
//! client only the first places are watched.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::beacon::Beacons;
use super::rows::FlowRow;
use super::slow::Slow;
use super::{CASES, Covers, Findings};

/// Places watched of a client.
const PLACES: u16 = 512;

/// Attempts by client and place.
#[derive(Clone, Debug, Default)]
pub struct Unanswered {
    attempts: Beacons<(IpAddr, IpAddr, u16), (IpAddr, u16)>,
    /// Places watched, by client.
    watched: HashMap<IpAddr, u16>,
}

impl Unanswered {
    /// Looks at an attempt from the inside out that carried no data.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        let case = (row.src, row.dst, row.dst_port);
        if !self.attempts.watches(&case) {
            let watched = self.watched.get(&row.src).copied().unwrap_or(0);
            if watched >= PLACES || watched == 0 && self.watched.len() >= CASES {
                self.attempts.leave_out();
                return;
            }
            self.watched.insert(row.src, watched + 1);
        }
        let port = if row.proto == 6 { row.src_port } else { 0 };
        self.attempts.handle(case, (row.dst, row.dst_port), row.flow_start, row.src_bytes, port);
    }

    /// See [`Beacons::seldom`].
    pub(super) fn seldom(&self, into: &mut Slow<(IpAddr, IpAddr, u16), (IpAddr, u16)>) {
        self.attempts.seldom(into, |_| true);
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        self.attempts.finish(findings, "unanswered beacon", |(host, peer, port)| {
            Some((*host, Covers::Probes { peer: Some(*peer), port: Some(*port) }))
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    fn attempt(at: i64, src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> FlowRow<'static> {
        FlowRow {
            src_port: ports.0,
            src_packets: 2,
            src_bytes: 104,
            dst_packets: Some(0),
            dst_bytes: Some(0),
            conn_state: Some("S0"),
            ..FlowRow::sample(at, src, dst, ports.1)
        }
    }

    /// Only conversations were looked at: an implant that called a dead server every 23 seconds was nowhere.
    #[test]
    fn a_dead_master_that_is_called_all_the_time_is_found() {
        let mut flows = Flows::new(Internal::default());
        for n in 0..120_u16 {
            let at = i64::from(n) * 23_000_000;
            let implant = attempt(at, [10, 0, 0, 7], [203, 0, 113, 9], (50_000 + n, 1177));
            flows.handle(&implant);
            // The same socket tries again: no contact of its own.
            flows.handle(&FlowRow { flow_start: at + 9_000_000, first_seen: at + 9_000_000, ..implant });
            // A scanner, and browsers that meet dead servers now and then.
            let scanned = attempt(at, [10, 0, 0, 8], [198, 51, 100, n as u8], (40_000, 80));
            flows.handle(&scanned);
            let at = i64::from(n) * i64::from(n) * i64::from(n % 7 + 1) * 1_000_000;
            flows.handle(&attempt(at, [10, 0, 0, 20 + (n % 30) as u8], [192, 0, 2, (n % 4) as u8], (n + 1, 443)));
        }
        let findings = flows.finish();
        let found: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "unanswered beacon").collect();
        let [implant] = found.as_slice() else { panic!("one: {found:?}") };
        let (host, peer): (IpAddr, IpAddr) = ([10, 0, 0, 7].into(), [203, 0, 113, 9].into());
        assert_eq!(implant.host, host);
        assert_eq!(implant.covers, Covers::Probes { peer: Some(peer), port: Some(1177) });
        assert!(implant.evidence.starts_with("120 contacts in 0.8 h, one every 23 s"), "{}", implant.evidence);
        assert!(implant.ln_expected < -20.0, "{}", implant.ln_expected);
    }
}
