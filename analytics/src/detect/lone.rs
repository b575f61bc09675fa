//! Names that one client alone goes to, over much of the day: a channel needs no rhythm, but it needs a server of its own and time.
//!
//! What people visit alone they visit for minutes; what a program needs all day others need too.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::domain::registered;
use super::rows::ProxyRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Parts of a day, ten minutes each.
const PARTS: usize = 144;

const TEN_MINUTES: i64 = 10 * 60 * 1_000_000;

/// Clients of a registered domain that are told apart.
const CLIENTS: usize = 1_000;

/// With more clients a domain is nobody's own.
const FEW: usize = 2;

/// Fewer parts of the day are a visit.
const SHORTEST: u32 = 9;

/// When a client went to a name.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    requests: u64,
    parts: [u64; PARTS.div_ceil(64)],
}

/// Clients and names, and when they met.
#[derive(Clone, Debug, Default)]
pub struct LoneNames {
    uses: HashMap<(IpAddr, Box<str>), Use>,
    overflow: u64,
}

impl LoneNames {
    /// Looks at a record.
    pub fn handle(&mut self, row: &ProxyRow<'_>) {
        if row.host.is_empty() {
            return;
        }
        if self.uses.len() >= CASES {
            self.overflow += 1;
            return;
        }
        let of = self.uses.entry((row.client, row.host.into())).or_default();
        of.requests += 1;
        let part = row.first_seen.div_euclid(TEN_MINUTES).rem_euclid(PARTS as i64) as usize;
        if let Some(word) = of.parts.get_mut(part / 64) {
            *word |= 1 << (part % 64);
        }
    }

    /// Adds the findings; `own` are the names of the organisation's servers, which are not judged.
    pub(crate) fn finish(self, findings: &mut Findings, own: &HashSet<Box<str>>) {
        let Self { uses, overflow } = self;
        let mut clients: HashMap<String, HashSet<IpAddr>> = HashMap::new();
        for (client, host) in uses.keys() {
            let of = clients.entry_ref(registered(host)).or_default();
            if of.len() < CLIENTS {
                of.insert(*client);
            }
        }
        let (mut statistics, mut found) = (Vec::with_capacity(uses.len()), Vec::new());
        for ((client, host), of) in uses.into_iter().filter(|((_, host), _)| !own.contains(host)) {
            let visitors = clients.get(registered(&host)).map_or(1, HashSet::len).max(1);
            let parts: u32 = of.parts.iter().map(|word| word.count_ones()).sum();
            let statistic = f64::from(parts.max(1)).ln() - (visitors as f64).ln();
            statistics.push(statistic);
            if visitors <= FEW && parts >= SHORTEST {
                let whose = if visitors == 1 { "no other client goes" } else { "one other client goes" };
                let evidence = format!(
                    "{} requests to {host} in {parts} of the day's {PARTS} ten minutes; {whose} to {}",
                    of.requests,
                    registered(&host)
                );
                found.push(Case { statistic, host: client, covers: Covers::Host(host), evidence });
            }
        }
        // Four hours in all.
        findings.add("lone name", Scale::Quantity { usual: f64::ln(24.0) }, statistics, found, overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Requests;
    use super::super::rows::Internal;
    use super::*;

    fn request(minute: i64, client: u8, host: &str) -> ProxyRow<'_> {
        ProxyRow {
            first_seen: minute * 60_000_000,
            server: Some([192, 0, 2, 200].into()),
            method: "CONNECT",
            host,
            status: None,
            request_bytes: Some(250),
            response_bytes: None,
            ..ProxyRow::sample([10, 0, 0, client])
        }
    }

    /// A hundred clients at common names, ten names visited by one client for some minutes each.
    fn with(rows: &[(i64, u8, &str)]) -> Vec<(IpAddr, Covers, String)> {
        let mut requests = Requests::new(Internal::default());
        for client in 0..100 {
            for minute in (0..1440).step_by(97) {
                requests.handle(&request(minute + i64::from(client), client, "www.news.example"));
                requests.handle(&request(minute + i64::from(client), client, "api.chat.example"));
            }
            for minute in 0..6 {
                requests.handle(&request(600 + minute, client, &format!("www.hobby{client}.example")));
            }
        }
        rows.iter().for_each(|(minute, client, host)| requests.handle(&request(*minute, *client, host)));
        let findings = requests.finish();
        let lone = findings.list().iter().filter(|finding| finding.detector == "lone name");
        lone.map(|finding| (finding.host, finding.covers.clone(), finding.evidence.clone())).collect()
    }

    /// Connections at random times all day: no beacon sees a rhythm in them.
    #[test]
    fn a_channel_without_rhythm_is_found_by_its_own_server() {
        let minutes = (1..200_i64).scan(0, |at, n| {
            *at += (n * n * 7919) % 11;
            Some(*at)
        });
        let channel: Vec<_> = minutes.map(|minute| (minute % 1440, 7, "doh.resolver.example")).collect();
        let found = with(&channel);
        let [(host, covers, evidence)] = found.as_slice() else { panic!("one finding: {found:?}") };
        assert_eq!((*host, covers), ([10, 0, 0, 7].into(), &Covers::Host("doh.resolver.example".into())));
        assert!(evidence.contains("199 requests") && evidence.contains("no other client"), "{evidence}");
    }

    #[test]
    fn what_others_use_too_and_what_is_only_visited_is_usual() {
        let shared: Vec<_> =
            (0..1440).step_by(10).flat_map(|at| (7..12).map(move |c| (at, c, "x.tool.example"))).collect();
        assert_eq!(with(&shared), []);
        let visit: Vec<_> = (600..660).map(|at| (at, 7, "www.visit.example")).collect();
        assert_eq!(with(&visit), []);
    }
}
