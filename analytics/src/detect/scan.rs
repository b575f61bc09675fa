//! Scans: a source whose attempts at ever new (host, port) pairs carry no data.
//!
//! Echo requests that stay without an answer count as well.
//!
//! By source over the day, so that a slow scan is one too. An attempt counts once per responder and port. The chance that so many of a source's
//! different targets fail is binomial with the day's own rate of failure; the evidence says whether the scan is horizontal, vertical or mixed.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::rows::FlowRow;
use super::stats::binomial_surprise;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Targets remembered of a source.
const TARGETS: usize = 65_536;

/// Fewest failed targets that make a scan.
const FEWEST: u64 = 8;

/// Targets by source.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    sources: HashMap<IpAddr, HashMap<(IpAddr, u16, u8), Target>>,
    targets: usize,
    overflow: u64,
}

#[derive(Clone, Debug, Default)]
struct Target {
    answered: bool,
    first: i64,
    last: i64,
}

impl Scans {
    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        if row.segment != 0 || !(matches!(row.proto, 6 | 17) || row.is_echo()) {
            return;
        }
        let answered = !row.is_probe();
        if self.sources.len() >= CASES && !self.sources.contains_key(&row.src) {
            self.overflow += 1;
            return;
        }
        let targets = self.sources.entry(row.src).or_default();
        let key = (row.dst, row.dst_port, row.proto);
        if let Some(target) = targets.get_mut(&key) {
            target.answered |= answered;
            target.first = target.first.min(row.first_seen);
            target.last = target.last.max(row.first_seen);
        } else if targets.len() < TARGETS && self.targets < 8 * CASES {
            self.targets += 1;
            targets.insert(key, Target { answered, first: row.first_seen, last: row.first_seen });
        } else {
            self.overflow += 1;
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { sources, overflow, .. } = self;
        let counts: Vec<(u64, u64)> = sources
            .values()
            .map(|targets| (targets.values().filter(|target| !target.answered).count() as u64, targets.len() as u64))
            .collect();
        // A scanner of thousands must not raise the rate it is judged by.
        let sum = counts.iter().fold((1_u64, 10_u64), |sum, (failed, all)| {
            let share = failed.min(&50) * 50 / all.clamp(&1, &50);
            (sum.0 + share.min(*failed.min(&50)), sum.1 + all.min(&50))
        });
        let rate = (sum.0 as f64 / sum.1 as f64).clamp(0.02, 0.3);
        let (mut statistics, mut found) = (Vec::with_capacity(sources.len()), Vec::new());
        for ((host, targets), (failed, all)) in sources.into_iter().zip(counts) {
            let statistic = if failed >= 2 { binomial_surprise(failed, all, rate) } else { 0.0 };
            statistics.push(statistic);
            if failed >= FEWEST {
                let (covers, evidence) = describe(&targets, failed, all);
                found.push(Case { statistic, host, covers, evidence });
            }
        }
        findings.add("scan", Scale::Probability, statistics, found, overflow);
    }
}

/// `port 445`, or what ICMP has instead.
fn what(targets: &HashMap<(IpAddr, u16, u8), Target>, port: u16) -> String {
    let echo = targets.keys().any(|(_, of, proto)| *of == port && matches!(proto, 1 | 58));
    if echo { "echo requests".to_owned() } else { format!("port {port}") }
}

fn describe(targets: &HashMap<(IpAddr, u16, u8), Target>, failed: u64, all: u64) -> (Covers, String) {
    let missed = || targets.iter().filter(|(_, target)| !target.answered);
    let (mut hosts, mut ports): (HashMap<IpAddr, u64>, HashMap<u16, u64>) = (HashMap::new(), HashMap::new());
    for ((host, port, _), _) in missed() {
        *hosts.entry(*host).or_insert(0) += 1;
        *ports.entry(*port).or_insert(0) += 1;
    }
    let first = missed().map(|(_, target)| target.first).min().unwrap_or(0);
    let last = missed().map(|(_, target)| target.last).max().unwrap_or(0);
    let hours = last.saturating_sub(first) as f64 / 3.6e9;
    let busiest = hosts.iter().max_by_key(|(host, count)| (**count, **host));
    let commonest = ports.iter().max_by_key(|(port, count)| (**count, **port));
    // Vertical or horizontal if three quarters of the failures are.
    let (peer, port, kind) = match (busiest, commonest) {
        (Some((host, count)), _) if *count * 4 > failed * 3 => {
            (Some(*host), None, format!("vertical: {count} ports of {host}"))
        }
        (_, Some((port, count))) if *count * 4 > failed * 3 => {
            (None, Some(*port), format!("horizontal: {} of {count} hosts", what(targets, *port)))
        }
        _ => (None, None, format!("{} hosts, {} ports", hosts.len(), ports.len())),
    };
    let pace = if hours > 2.0 { format!("slow, over {hours:.1} h") } else { format!("within {:.1} min", hours * 60.0) };
    let evidence = format!("{failed} of {all} different targets refused or did not answer; {kind}; {pace}");
    (Covers::Probes { peer, port }, evidence)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    /// A ping of ICMP, or of ICMPv6; `back` = packets that came back.
    fn ping(at: i64, src: IpAddr, dst: IpAddr, back: u64) -> FlowRow<'static> {
        let (dst_port, proto) = if src.is_ipv6() { (128 << 8, 58) } else { (8 << 8, 1) };
        FlowRow {
            first_seen: at,
            last_seen: at,
            flow_start: at,
            segment: 0,
            src,
            dst,
            src_port: 0,
            dst_port,
            proto,
            src_packets: 1,
            src_bytes: 84,
            dst_packets: Some(back),
            dst_bytes: Some(84 * back),
            conn_state: Some("OTH"),
            service: None,
        }
    }

    /// Only TCP and UDP were looked at.
    #[test]
    fn a_ping_sweep_is_a_scan() {
        for (src, base) in [("10.0.0.7", "10.0.2."), ("fd20::7", "fd20::2:")] {
            let src: IpAddr = src.parse().expect("address");
            let mut flows = Flows::new(Internal::default());
            // Others ping a gateway that answers.
            for n in 1..60_u8 {
                let other: IpAddr = if src.is_ipv6() { format!("fd20::1:{n}") } else { format!("10.0.1.{n}") }
                    .parse()
                    .expect("address");
                flows.handle(&ping(i64::from(n), other, "10.0.0.1".parse().expect("address"), 1));
            }
            for n in 1..200_u8 {
                let dst: IpAddr = format!("{base}{n}").parse().expect("address");
                // One of ten is there.
                flows.handle(&ping(i64::from(n) * 100_000, src, dst, u64::from(n % 10 == 0)));
            }
            let findings = flows.finish();
            let scans: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "scan").collect();
            let [scan] = scans.as_slice() else { panic!("one scan: {scans:?}") };
            assert!(scan.host == src && scan.evidence.contains("echo requests of 180 hosts"), "{scan:?}");
        }
    }
}
