//! Floods: attempts at one service, or messages to one host, that nobody answers, more in a minute than anything that waits for an answer sends.
//!
//! By target, so that many sources that flood together are one case. If one source sent most, it is its behaviour; else the target's.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

const MINUTE: i64 = 60_000_000;

/// A record is spread over so many minutes at most: longer ones are no flood's.
const LONGEST: i64 = 16;

/// Host, port, protocol.
type Target = (IpAddr, u16, u8);

/// Unanswered packets by source, target and minute.
#[derive(Clone, Debug, Default)]
pub struct Floods {
    packets: HashMap<(IpAddr, Target, i64), u64>,
    overflow: u64,
}

/// The packets of a minute to one target.
#[derive(Clone, Copy, Debug)]
struct Minute {
    packets: u64,
    sources: u64,
    /// The source with the most, and how many.
    most: (u64, IpAddr),
}

/// Packets a minute that something may send in vain without harm: a client that tries again and again, a stream nobody
/// listens to, a series of pings.
const fn usual(proto: u8) -> f64 {
    match proto {
        6 => 120.0,
        17 => 60_000.0,
        _ => 6_000.0,
    }
}

impl Floods {
    /// Looks at a record. `crosses` = between inside and outside: inside, logs and counters are sent one way in masses.
    pub fn handle(&mut self, row: &FlowRow<'_>, crosses: bool) {
        let in_vain = match row.proto {
            6 => row.is_probe(),
            17 => crosses && row.dst_packets == Some(0),
            1 | 58 => row.is_echo(),
            _ => false,
        };
        if !in_vain || row.src_packets == 0 {
            return;
        }
        let start = row.first_seen.div_euclid(MINUTE);
        let minutes = (row.last_seen.max(row.first_seen).div_euclid(MINUTE) - start + 1).clamp(1, LONGEST);
        for minute in 0..minutes {
            let key = (row.src, (row.dst, row.dst_port, row.proto), start.saturating_add(minute));
            if self.packets.len() >= CASES && !self.packets.contains_key(&key) {
                self.overflow += 1;
                return;
            }
            let of = self.packets.entry(key).or_insert(0);
            *of = of.saturating_add(row.src_packets.div_ceil(minutes as u64));
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let mut minutes: HashMap<(Target, i64), Minute> = HashMap::new();
        for ((source, target, minute), count) in self.packets {
            let of = minutes.entry((target, minute)).or_insert(Minute { packets: 0, sources: 0, most: (0, source) });
            of.packets = of.packets.saturating_add(count);
            of.sources += 1;
            of.most = of.most.max((count, source));
        }
        let mut targets: HashMap<Target, Minute> = HashMap::new();
        for ((target, _), minute) in minutes {
            let busiest = targets.entry(target).or_insert(minute);
            if (minute.packets, minute.most, minute.sources) > (busiest.packets, busiest.most, busiest.sources) {
                *busiest = minute;
            }
        }
        let (mut statistics, mut found) = (Vec::with_capacity(targets.len()), Vec::new());
        for ((target, port, proto), Minute { packets, sources, most }) in targets {
            let statistic = (packets as f64 / usual(proto)).ln();
            statistics.push(statistic);
            if statistic > 0.0 {
                let what = match proto {
                    6 => format!("attempts at port {port} of {target} that carried no data"),
                    17 => format!("packets to UDP port {port} of {target} without an answer"),
                    _ => format!("echo requests to {target}"),
                };
                let evidence = format!("{packets} {what} in one minute, from {sources} addresses");
                let (host, covers) = if most.0 > packets / 2 {
                    (most.1, Covers::Pair { peer: target, port: Some(port) })
                } else {
                    (target, Covers::Served { port, proto })
                };
                found.push(Case { statistic, host, covers, evidence });
            }
        }
        // The bounds above are what is usual: ln 1.
        findings.add("flood", Scale::Quantity { usual: 0.0 }, statistics, found, self.overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    const VICTIM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 78));

    fn syn(at: i64, src: [u8; 4], src_port: u16) -> FlowRow<'static> {
        FlowRow {
            first_seen: at,
            last_seen: at,
            flow_start: at,
            segment: 0,
            src: src.into(),
            dst: VICTIM,
            src_port,
            dst_port: 443,
            proto: 6,
            src_packets: 1,
            src_bytes: 40,
            dst_packets: Some(0),
            dst_bytes: Some(0),
            conn_state: Some("S0"),
            service: None,
            src_mac: None,
        }
    }

    fn found(rows: &[FlowRow<'static>]) -> Vec<(IpAddr, Covers, String)> {
        let mut flows = Flows::new(Internal::default());
        rows.iter().for_each(|row| flows.handle(row));
        let findings = flows.finish();
        let floods = findings.list().iter().filter(|finding| finding.detector == "flood");
        floods.map(|finding| (finding.host, finding.covers.clone(), finding.evidence.clone())).collect()
    }

    /// No scan (one port of one host) and no guessing (nothing was said): nobody saw it.
    #[test]
    fn a_syn_flood_of_one_host_is_its_own() {
        let rows: Vec<_> = (0..3000).map(|n| syn(i64::from(n) * 15_000, [10, 0, 0, 7], 1024 + n as u16)).collect();
        let found = found(&rows);
        let [(host, covers, evidence)] = found.as_slice() else { panic!("one finding: {found:?}") };
        assert_eq!((*host, covers), ([10, 0, 0, 7].into(), &Covers::Pair { peer: VICTIM, port: Some(443) }));
        assert!(
            evidence.starts_with("3000 attempts at port 443") && evidence.ends_with("from 1 addresses"),
            "{evidence}"
        );
    }

    #[test]
    fn a_flood_from_many_is_the_targets() {
        let rows: Vec<_> = (0..3000_u32)
            .map(|n| syn(i64::from(n) * 15_000, [10, 0, (n / 250) as u8, (n % 250) as u8], 1024))
            .collect();
        let found = found(&rows);
        let [(host, covers, _)] = found.as_slice() else { panic!("one finding: {found:?}") };
        assert_eq!((*host, covers), (VICTIM, &Covers::Served { port: 443, proto: 6 }));
    }

    #[test]
    fn who_tries_again_and_again_all_day_floods_nobody() {
        let rows: Vec<_> =
            (0..20_000).map(|n| syn(i64::from(n) * 4_000_000, [10, 0, 0, 7], (1024 + n) as u16)).collect();
        assert_eq!(found(&rows), []);
    }
}
