//! Generated domain names: a client that asks for many registered domains that do not exist.
//!
//! Two tests, added up: how many different domains of a client are missing, against the day's own rate; and how few of the day's existing names are as
//! odd as they are. What is odd is learned: letter pairs of the registered labels that did resolve, so it speaks the language of the network. Domains
//! that are another client's with a letter wrong are typed, not generated.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::domain::{is_special, registered};
use super::rows::DnsRow;
use super::stats::{binomial_surprise, fingerprint};
use super::tail::Scale;
use super::typo::Typos;
use super::{CASES, Case, Covers, Findings};

/// Fewest missing domains to be told.
const FEWEST: u64 = 4;

/// Domains remembered of a client.
const DOMAINS: usize = 4_096;

/// The question was answered with NXDOMAIN, for a name of the public tree.
pub fn is_missing(row: &DnsRow<'_>) -> bool {
    row.rcode == Some(3) && !is_special(row.qname)
}

#[derive(Clone, Debug, Default)]
struct Client {
    missing: HashSet<Box<str>>,
    existing: HashSet<u64>,
}

/// Who asked for a domain that exists.
#[derive(Clone, Copy, Debug)]
struct Known {
    first: IpAddr,
    /// Others did, too: what one client alone asks for may be where its generated names lead.
    shared: bool,
}

/// Missing and existing domains by client.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    clients: HashMap<IpAddr, Client>,
    known: HashMap<Box<str>, Known>,
    domains: usize,
    overflow: u64,
}

impl Generated {
    /// Looks at a record.
    pub fn handle(&mut self, row: &DnsRow<'_>) {
        if row.damaged || is_special(row.qname) || row.rcode.is_none() || !row.qname.contains('.') {
            return;
        }
        let domain = registered(row.qname);
        if (self.clients.len() >= CASES && !self.clients.contains_key(&row.client)) || self.domains >= 4 * CASES {
            self.overflow += 1;
            return;
        }
        let client = self.clients.entry(row.client).or_default();
        if row.rcode == Some(3) {
            if client.missing.len() < DOMAINS && !client.missing.contains(domain) {
                self.domains += usize::from(client.missing.insert(domain.into()));
            }
        } else if row.rcode == Some(0) {
            if client.existing.len() < DOMAINS {
                self.domains += usize::from(client.existing.insert(fingerprint(domain)));
            }
            if let Some(known) = self.known.get_mut(domain) {
                known.shared |= known.first != row.client;
            } else if self.known.len() < CASES {
                self.known.insert(domain.into(), Known { first: row.client, shared: false });
            }
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { mut clients, known, overflow, .. } = self;
        let letters = Letters::of(known.keys());
        let typos = Typos::of(known.iter().filter(|(_, of)| of.shared).map(|(domain, _)| &**domain));
        for client in clients.values_mut() {
            // A domain of which some names exist is not generated: its owner mistyped, or its names change.
            client.missing.retain(|domain| !known.contains_key(domain) && !typos.has(domain));
        }
        let sum = clients.values().fold((1_u64, 20_u64), |sum, client| {
            let missing = (client.missing.len() as u64).min(5);
            (sum.0 + missing, sum.1 + missing + client.existing.len().min(200) as u64)
        });
        let rate = (sum.0 as f64 / sum.1 as f64).clamp(0.005, 0.2);
        let (mut statistics, mut found) = (Vec::with_capacity(clients.len()), Vec::new());
        for (host, client) in clients {
            let (missing, all) = (client.missing.len() as u64, (client.missing.len() + client.existing.len()) as u64);
            let odd = letters.oddness(&client.missing);
            // How many do not exist, and how few existing names look as these do: two tests, which do not say the same.
            let many = binomial_surprise(missing, all, rate);
            let wild = letters.wildness(&client.missing);
            let statistic = if missing >= 2 { many + wild } else { 0.0 };
            statistics.push(statistic);
            if missing >= FEWEST {
                let mut names: Vec<&str> = client.missing.iter().map(|name| &**name).collect();
                names.sort_unstable();
                let shown = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
                let evidence = format!(
                    "{missing} different domains that do not exist, of {all} asked for ({shown} …); their letters are {:+.1} bits a letter \
                     from those of names that exist",
                    odd
                );
                found.push(Case { statistic, host, covers: Covers::Missing, evidence });
            }
        }
        findings.add("generated names", Scale::Probability, statistics, found, overflow);
    }
}

/// Letter pairs of the registered labels that exist.
struct Letters {
    pairs: HashMap<(u8, u8), f64>,
    firsts: HashMap<u8, f64>,
    usual: f64,
    /// Bits a letter of each existing label, ascending.
    existing: Vec<f64>,
}

/// Existing names from which on the day knows what names look like.
const KNOWN: usize = 50;

impl Letters {
    fn of<'a>(known: impl Iterator<Item = &'a Box<str>> + Clone) -> Self {
        let mut this = Self { pairs: HashMap::new(), firsts: HashMap::new(), usual: 0.0, existing: Vec::new() };
        for label in known.clone().map(|name| label(name)) {
            let mut before = b'^';
            for byte in label.bytes() {
                *this.pairs.entry((before, byte)).or_insert(0.0) += 1.0;
                *this.firsts.entry(before).or_insert(0.0) += 1.0;
                before = byte;
            }
        }
        let mut existing: Vec<f64> = known.filter_map(|name| this.bits(label(name))).collect();
        // In order: a sum in hash order would differ in the last bit from run to run.
        existing.sort_unstable_by(f64::total_cmp);
        this.usual = existing.iter().sum::<f64>() / existing.len().max(1) as f64;
        this.existing = existing;
        this
    }

    /// Fisher's sum over the names of −ln of the share of existing names that are as unlike the others, less what chance gives (1 a name). The
    /// existing names were learned from and look more alike than they are: their own share is taken three times. Short labels say nothing.
    fn wildness(&self, names: &HashSet<Box<str>>) -> f64 {
        if self.existing.len() < KNOWN {
            return 0.0;
        }
        let mut each: Vec<f64> = names
            .iter()
            .map(|name| label(name))
            .filter(|label| label.len() >= 7)
            .filter_map(|label| self.bits(label))
            .map(|bits| {
                let as_odd = self.existing.len() - self.existing.partition_point(|known| *known < bits);
                let share = (3.0 * (as_odd as f64 + 1.0) / (self.existing.len() as f64 + 1.0)).min(1.0);
                -share.ln()
            })
            .collect();
        each.sort_unstable_by(f64::total_cmp);
        let names = each.len() as f64;
        // Gamma(n, 1) has mean n; the Chernoff bound of its tail.
        let sum: f64 = each.iter().sum();
        if names > 0.0 && sum > names { sum - names - names * (sum / names).ln() } else { 0.0 }
    }

    /// Bits a letter of the label, by the pairs seen.
    fn bits(&self, label: &str) -> Option<f64> {
        let (mut sum, mut before) = (0.0, b'^');
        for byte in label.bytes() {
            let pair = self.pairs.get(&(before, byte)).copied().unwrap_or(0.0);
            let first = self.firsts.get(&before).copied().unwrap_or(0.0);
            sum -= ((pair + 0.1) / (first + 3.7)).log2();
            before = byte;
        }
        (!label.is_empty()).then(|| sum / label.len() as f64)
    }

    /// How much less like the existing names these are: bits a letter above the usual. 0 where too few names exist to know.
    fn oddness(&self, names: &HashSet<Box<str>>) -> f64 {
        let mut bits: Vec<f64> = names.iter().filter_map(|name| self.bits(label(name))).collect();
        bits.sort_unstable_by(f64::total_cmp);
        if bits.is_empty() || self.existing.len() < KNOWN {
            return 0.0;
        }
        bits.iter().sum::<f64>() / bits.len() as f64 - self.usual
    }
}

/// The registered label: `example` of `example.co.uk`.
fn label(domain: &str) -> &str {
    domain.split('.').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::super::Names;
    use super::*;

    fn question(client: [u8; 4], qname: &str, rcode: u16) -> DnsRow<'_> {
        DnsRow {
            first_seen: 0,
            client: client.into(),
            server: [10, 0, 0, 2].into(),
            qname,
            qtype: 1,
            rcode: Some(rcode),
            damaged: false,
            response_len: Some(90),
            addresses: &[],
        }
    }

    /// Five of seven domains of a client did not exist: it could not type.
    #[test]
    fn typing_errors_are_not_generated_and_neighbours_of_ones_own_domain_are() {
        const SITES: [&str; 8] = [
            "brighttimes",
            "embersports",
            "greenhealth",
            "riverschool",
            "citypaints",
            "dailylinks",
            "novastore",
            "orbitbank",
        ];
        let sites = SITES.map(|site| format!("www.{site}.example"));
        let (typos, wild): (Vec<String>, Vec<String>) = (
            ["brigwhttimes", "efmbersports", "greenhtealth", "rivershool", "citypiants"]
                .map(|name| format!("{name}.example"))
                .into(),
            (0..6).map(|n| format!("qzkvj{}xwtp.example", char::from(b'a' + n))).collect(),
        );
        let mut names = Names::default();
        for client in 0..60 {
            sites.iter().for_each(|site| names.handle(&question([10, 0, 1, client], site, 0)));
        }
        typos.iter().for_each(|name| names.handle(&question([10, 0, 1, 7], name, 3)));
        // The one that exists is its own alone: its neighbours are no typing errors.
        names.handle(&question([10, 0, 1, 9], "qzkvjgxwtp.example", 0));
        wild.iter().for_each(|name| names.handle(&question([10, 0, 1, 9], name, 3)));
        let findings = names.finish();
        let told = findings.list().iter().filter(|finding| finding.detector == "generated names");
        let hosts: Vec<IpAddr> = told.map(|finding| finding.host).collect();
        assert_eq!(hosts, [IpAddr::from([10, 0, 1, 9])]);
    }
}
