//! Scans: a source whose attempts at ever new (host, port) pairs carry no data.
//!
//! Echo requests that stay without an answer count as well, and IP protocols that nobody answers.
//!
//! By source over the day, so that a slow scan is one too. An attempt counts once per responder and port. The chance that so many of a source's
//! different targets fail is binomial with the day's own rate of failure; the evidence says whether the scan is horizontal, vertical or mixed.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::rows::FlowRow;
use super::stations::Hosts;
use super::stats::binomial_surprise;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Targets remembered of a source.
const TARGETS: u32 = 65_536;

/// Fewest failed targets that make a scan.
const FEWEST: u64 = 8;

/// Targets by source.
///
/// Most records are answered and have a target that is known: that is one look into one table of 16 bytes a target.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    numbers: HashMap<IpAddr, u32>,
    sources: Vec<Source>,
    targets: HashTable<Target>,
    failed: Vec<Failed>,
    hasher: DefaultHashBuilder,
    overflow: u64,
}

#[derive(Clone, Debug)]
struct Source {
    host: IpAddr,
    targets: u32,
}

/// A source's target, by a keyed hash of both: of 2²³ targets two are taken for one in one run of a million.
#[derive(Clone, Debug)]
struct Target {
    hash: u64,
    /// Place in `failed`, or [`ANSWERED`].
    failed: u32,
}

const ANSWERED: u32 = u32::MAX;

/// A target of which nothing came back so far.
#[derive(Clone, Debug)]
struct Failed {
    source: u32,
    host: IpAddr,
    port: u16,
    proto: u8,
    answered: bool,
    first: i64,
    last: i64,
}

impl Scans {
    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        if row.segment != 0 || row.is_icmp() && !row.is_echo() {
            return;
        }
        let answered = !row.is_probe();
        let hash = self.hash(row);
        let Some(target) = self.targets.find_mut(hash, |target| target.hash == hash) else {
            self.add(hash, row, answered);
            return;
        };
        let Some(failed) = self.failed.get_mut(target.failed as usize) else { return };
        if answered {
            failed.answered = true;
            target.failed = ANSWERED;
        }
        failed.first = failed.first.min(row.first_seen);
        failed.last = failed.last.max(row.first_seen);
    }

    fn hash(&self, row: &FlowRow<'_>) -> u64 {
        let number = |host: IpAddr| match host {
            IpAddr::V4(host) => host.to_ipv6_mapped().to_bits(),
            IpAddr::V6(host) => host.to_bits(),
        };
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u128(number(row.src));
        hasher.write_u128(number(row.dst));
        hasher.write_u32(u32::from(row.dst_port) << 8 | u32::from(row.proto));
        hasher.finish()
    }

    fn add(&mut self, hash: u64, row: &FlowRow<'_>, answered: bool) {
        let Self { numbers, sources, targets, failed, overflow, .. } = self;
        let number = match numbers.get(&row.src) {
            Some(number) => *number,
            None if sources.len() < CASES => {
                let number = sources.len() as u32;
                sources.push(Source { host: row.src, targets: 0 });
                numbers.insert(row.src, number);
                number
            }
            None => {
                *overflow += 1;
                return;
            }
        };
        let Some(source) = sources.get_mut(number as usize) else { return };
        if source.targets >= TARGETS || targets.len() >= 8 * CASES {
            *overflow += 1;
            return;
        }
        source.targets += 1;
        let place = if answered { ANSWERED } else { failed.len() as u32 };
        targets.insert_unique(hash, Target { hash, failed: place }, |target| target.hash);
        if !answered {
            let (host, port, proto, at) = (row.dst, row.dst_port, row.proto, row.first_seen);
            failed.push(Failed { source: number, host, port, proto, answered, first: at, last: at });
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings, known: &Hosts) {
        let Self { sources, mut failed, overflow, .. } = self;
        failed.retain(|target| !target.answered);
        let sources = as_hosts(sources, &mut failed, known);
        failed.sort_unstable_by_key(|target| target.source);
        let mut missed = vec![0_u64; sources.len()];
        for target in &failed {
            missed.get_mut(target.source as usize).into_iter().for_each(|missed| *missed += 1);
        }
        // A scanner of thousands must not raise the rate it is judged by.
        let sum = sources.iter().zip(&missed).fold((1_u64, 10_u64), |sum, (source, missed)| {
            let all = u64::from(source.targets);
            let share = missed.min(&50) * 50 / all.clamp(1, 50);
            (sum.0 + share.min(*missed.min(&50)), sum.1 + all.min(50))
        });
        let rate = (sum.0 as f64 / sum.1 as f64).clamp(0.02, 0.3);
        let of = |missed: u64, all: u64| if missed >= 2 { binomial_surprise(missed, all, rate) } else { 0.0 };
        let statistics =
            sources.iter().zip(&missed).map(|(source, missed)| of(*missed, source.targets.into())).collect();
        let mut found = Vec::new();
        for targets in failed.chunk_by(|a, b| a.source == b.source) {
            let Some(source) = targets.first().and_then(|target| sources.get(target.source as usize)) else { continue };
            let (missed, all) = (targets.len() as u64, u64::from(source.targets));
            if missed >= FEWEST {
                let (covers, evidence) = describe(targets, all);
                found.push(Case { statistic: of(missed, all), host: source.host, covers, evidence });
            }
        }
        findings.add("scan", Scale::Probability, statistics, found, overflow);
    }
}

/// The addresses of one host taken together: one scanner is one case.
fn as_hosts(sources: Vec<Source>, failed: &mut [Failed], known: &Hosts) -> Vec<Source> {
    if known.is_empty() {
        return sources;
    }
    let (mut hosts, mut numbers): (Vec<Source>, HashMap<IpAddr, u32>) = (Vec::new(), HashMap::new());
    let places: Vec<u32> = sources
        .into_iter()
        .map(|Source { host, targets }| {
            let host = known.of(host);
            let number = *numbers.entry(host).or_insert(hosts.len() as u32);
            match hosts.get_mut(number as usize) {
                Some(of) => of.targets = of.targets.saturating_add(targets),
                None => hosts.push(Source { host, targets }),
            }
            number
        })
        .collect();
    for target in failed {
        target.source = places.get(target.source as usize).copied().unwrap_or(u32::MAX);
    }
    hosts
}

/// `port 445`, or what ICMP has instead.
fn what(targets: &[Failed], port: u16) -> String {
    let echo = targets.iter().any(|target| target.port == port && matches!(target.proto, 1 | 58));
    if echo { "echo requests".to_owned() } else { format!("port {port}") }
}

/// What the failed targets of a source, of `all` it tried, have in common.
fn describe(targets: &[Failed], all: u64) -> (Covers, String) {
    let failed = targets.len() as u64;
    let (mut hosts, mut ports): (HashMap<IpAddr, u64>, HashMap<u16, u64>) = (HashMap::new(), HashMap::new());
    for target in targets {
        *hosts.entry(target.host).or_insert(0) += 1;
        *ports.entry(target.port).or_insert(0) += 1;
    }
    let first = targets.iter().map(|target| target.first).min().unwrap_or(0);
    let last = targets.iter().map(|target| target.last).max().unwrap_or(0);
    let hours = last.saturating_sub(first) as f64 / 3.6e9;
    let busiest = hosts.iter().max_by_key(|(host, count)| (**count, **host));
    let commonest = ports.iter().max_by_key(|(port, count)| (**count, **port));
    // Vertical or horizontal if three quarters of the failures are.
    let (peer, port, kind) = match (busiest, commonest) {
        (Some((host, count)), _) if *count * 4 > failed * 3 => {
            let protocols = targets.iter().all(|target| !matches!(target.proto, 1 | 6 | 17 | 58));
            (
                Some(*host),
                None,
                format!("vertical: {count} {} of {host}", if protocols { "protocols" } else { "ports" }),
            )
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
    use super::super::rows::{Internal, Mac};
    use super::*;

    /// A ping of ICMP, or of ICMPv6; `back` = packets that came back.
    fn ping(at: i64, src: IpAddr, dst: IpAddr, back: u64) -> FlowRow<'static> {
        let (dst_port, proto) = if src.is_ipv6() { (128 << 8, 58) } else { (8 << 8, 1) };
        FlowRow {
            src_port: 0,
            proto,
            src_packets: 1,
            src_bytes: 84,
            dst_packets: Some(back),
            dst_bytes: Some(84 * back),
            conn_state: Some("OTH"),
            ..FlowRow::sample(at, src, dst, dst_port)
        }
    }

    /// nmap -sO: a few packets of each IP protocol.
    #[test]
    fn a_scan_of_ip_protocols_is_a_scan() {
        let (src, dst): (IpAddr, IpAddr) = ([10, 0, 0, 7].into(), [10, 0, 2, 2].into());
        let mut flows = Flows::new(Internal::default());
        for proto in 60..180_u8 {
            let other: IpAddr = [10, 0, 1, proto].into();
            flows.handle(&ping(i64::from(proto), other, dst, 1));
            let probe = FlowRow { proto, dst_port: 0, ..ping(i64::from(proto) * 50_000, src, dst, 0) };
            flows.handle(&probe);
        }
        let findings = flows.finish();
        let scans: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "scan").collect();
        let [scan] = scans.as_slice() else { panic!("one scan: {scans:?}") };
        assert!(scan.host == src && scan.evidence.contains("vertical: 120 protocols of 10.0.2.2"), "{scan:?}");
        let probe = FlowRow { proto: 77, dst_port: 0, ..ping(0, src, dst, 0) };
        assert_eq!(findings.of_flow(&probe).count(), 1);
    }

    /// A scanner of two address families was two groups of every quiet day.
    #[test]
    fn a_scanner_of_two_families_is_one_finding() {
        let ends = |family: u8, n: u8| -> (IpAddr, IpAddr) {
            match family {
                4 => ([10, 0, 0, 7].into(), [10, 0, 2, n].into()),
                _ => ("fd20::7".parse().expect("address"), format!("fd20::2:{n:x}").parse().expect("address")),
            }
        };
        let of = |family: u8, n: u8| {
            let (src, dst) = ends(family, n);
            FlowRow { src_mac: Some(Mac([2, 0, 0, 0, 0, 7])), ..ping(i64::from(n) * 1_000_000, src, dst, 0) }
        };
        let mut flows = Flows::new(Internal::default());
        for n in 0..60_u8 {
            flows.handle(&of(4, n));
            flows.handle(&of(6, n));
            flows.handle(&ping(i64::from(n), [10, 0, 1, n].into(), [10, 0, 0, 1].into(), 1));
        }
        let findings = flows.finish();
        let scans: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "scan").collect();
        let [scan] = scans.as_slice() else { panic!("one scan: {scans:?}") };
        assert_eq!(scan.host, IpAddr::from([10, 0, 0, 7]));
        assert!(scan.evidence.starts_with("120 of 120 different targets"), "{}", scan.evidence);
        let at = findings.list().iter().position(|finding| finding == *scan).expect("there") as u32;
        assert!([4, 6].iter().all(|family| findings.of_flow(&of(*family, 9)).any(|of| of == at)));
        // Not what others do.
        assert_eq!(findings.of_flow(&ping(0, "fd20::8".parse().expect("address"), ends(6, 9).1, 0)).count(), 0);
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
