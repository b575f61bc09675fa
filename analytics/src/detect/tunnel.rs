//! DNS tunnels: the information that a client's different names under one registered domain can carry.
//!
//! After the information-based heavy hitters of Ozery, Nadler and Shabtai (2023): a tunnel must put what it says into names never asked before, so
//! the bits in *distinct* subdomains per client and domain bound its rate from below, whatever the record type. Bits of a label: its characters
//! times log2 of the alphabet it uses.
//!
//! A short or slow tunnel says too little for that. What tells it is how it gets its answers: by record types that carry data (TXT, NULL, CNAME, …),
//! name after name under one domain, where hardly any other client does so anywhere. The day itself says how usual a type is.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::domain::{is_special, registered};
use super::rows::DnsRow;
use super::stats::fingerprint;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Different names remembered of a case; at the bound it has said enough.
const NAMES: usize = 4_096;

/// Names by types other than addresses remembered of a case; at the bound it has said enough.
const TYPED: usize = 64;

/// No type is rarer than this: a day is short.
const RAREST: f64 = 0.001;

/// Cases of its own from which on a client's habits weigh as much as the day's.
const HABITS: f64 = 20.0;

#[derive(Clone, Debug, Default)]
struct Said {
    names: HashSet<u64>,
    bits: f64,
    questions: u64,
    /// TXT, NULL and other types that carry data down.
    carriers: u64,
    missing: u64,
    longest: usize,
    /// Different names by type, of the types that are not for addresses.
    typed: Typed,
}

/// Different names by record type.
#[derive(Clone, Debug, Default)]
struct Typed {
    seen: HashSet<u64>,
    counts: Vec<(u16, u32)>,
}

impl Typed {
    fn add(&mut self, name: u64, qtype: u16) {
        // A, AAAA and HTTPS: what every browser asks for.
        if matches!(qtype, 1 | 28 | 65) || self.seen.len() >= TYPED {
            return;
        }
        if self.seen.insert(name ^ u64::from(qtype).wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            match self.counts.iter_mut().find(|(known, _)| *known == qtype) {
                Some((_, count)) => *count += 1,
                None => self.counts.push((qtype, 1)),
            }
        }
    }
}

/// What a client said under a domain.
#[derive(Clone, Debug, Default)]
pub struct DnsTunnels {
    cases: HashMap<(IpAddr, Box<str>), Said>,
    clients: HashMap<String, HashSet<IpAddr>>,
    names: usize,
    overflow: u64,
}

/// Bits a subdomain can carry: letters count by the alphabet in use, digits and letters beyond f make it larger.
fn bits(subdomain: &str) -> f64 {
    let mut counts = [0_u32; 256];
    let mut all = 0_u32;
    for byte in subdomain.bytes().filter(|byte| *byte != b'.') {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
        all += 1;
    }
    // Empirical entropy, with the bias of short texts (Miller and Madow) added.
    let n = f64::from(all.max(1));
    let used = counts.iter().filter(|count| **count > 0).count() as f64;
    let entropy: f64 =
        counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / n).map(|p| -p * p.log2()).sum();
    (entropy + (used - 1.0).max(0.0) / (2.0 * n * std::f64::consts::LN_2)).min(6.0) * f64::from(all)
}

impl DnsTunnels {
    /// Looks at a record.
    pub fn handle(&mut self, row: &DnsRow<'_>) {
        if row.damaged || is_special(row.qname) {
            return;
        }
        let domain = registered(row.qname);
        let subdomain = row.qname.strip_suffix(domain).unwrap_or("").trim_end_matches('.');
        if subdomain.is_empty() {
            return;
        }
        let key = (row.client, domain.into());
        if self.cases.len() >= CASES && !self.cases.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        if self.clients.len() < CASES || self.clients.contains_key(domain) {
            let clients = self.clients.entry_ref(domain).or_default();
            if clients.len() < 64 {
                clients.insert(row.client);
            }
        }
        let said = self.cases.entry(key).or_default();
        said.questions += 1;
        said.carriers += u64::from(matches!(row.qtype, 10 | 16 | 15 | 5 | 33 | 65_399));
        said.missing += u64::from(row.rcode == Some(3));
        said.longest = said.longest.max(row.qname.len());
        said.typed.add(fingerprint(subdomain), row.qtype);
        if said.names.len() < NAMES && self.names < 16 * CASES && said.names.insert(fingerprint(subdomain)) {
            self.names += 1;
            said.bits += bits(subdomain);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { cases, clients, overflow, .. } = self;
        by_type(&cases, &clients, findings);
        let (mut statistics, mut found) = (Vec::with_capacity(cases.len()), Vec::new());
        for ((host, domain), said) in cases {
            let clients = clients.get(&*domain).map_or(1, HashSet::len).max(1);
            // Names many clients ask for are the domain's, not the client's.
            let statistic = ((1.0 + said.bits) / clients as f64).ln();
            statistics.push(statistic);
            if said.bits >= 150.0 {
                let evidence = format!(
                    "{} different names under {domain} carry about {:.0} bytes; {} of {} questions were for TXT, NULL, CNAME, MX or SRV, the longest name \
                     has {} characters; {clients} clients ask there",
                    said.names.len(),
                    said.bits / 8.0,
                    said.carriers,
                    said.questions,
                    said.longest
                );
                found.push(Case { statistic, host, covers: Covers::Domain(domain), evidence });
            }
        }
        // 2,000 bits are usual: forty short names.
        findings.add("dns tunnel", Scale::Quantity { usual: 7.6 }, statistics, found, overflow);
    }
}

/// What a client says under a domain by types that hardly anybody uses.
fn by_type(
    cases: &HashMap<(IpAddr, Box<str>), Said>,
    clients: &HashMap<String, HashSet<IpAddr>>,
    findings: &mut Findings,
) {
    let mut day: HashMap<u16, f64> = HashMap::new();
    let mut habits: HashMap<(IpAddr, u16), f64> = HashMap::new();
    let mut of_client: HashMap<IpAddr, f64> = HashMap::new();
    for ((host, _), said) in cases {
        *of_client.entry(*host).or_insert(0.0) += 1.0;
        for (qtype, _) in &said.typed.counts {
            *day.entry(*qtype).or_insert(0.0) += 1.0;
            *habits.entry((*host, *qtype)).or_insert(0.0) += 1.0;
        }
    }
    let all = cases.len() as f64;
    let (mut statistics, mut found) = (Vec::with_capacity(cases.len()), Vec::new());
    for ((host, domain), said) in cases {
        let mut surprise = 0.0;
        for (qtype, names) in &said.typed.counts {
            // The share of the other cases that use the type: the day's, or the client's own where it has a habit of it (a mail server).
            let of = |map: Option<&f64>| map.copied().unwrap_or(1.0) - 1.0;
            let share = ((of(day.get(qtype)) + 1.0) / all.max(1.0)).clamp(RAREST, 1.0);
            let own = (of(habits.get(&(*host, *qtype))) + HABITS * share) / (of(of_client.get(host)) + HABITS);
            surprise -= f64::from(*names) * share.max(own).min(1.0).ln();
        }
        let shared = clients.get(&**domain).map_or(1, HashSet::len).max(1) as f64;
        let statistic = surprise / shared;
        statistics.push(statistic);
        if surprise > 0.0 {
            let mut types = said.typed.counts.clone();
            types.sort_unstable_by_key(|(qtype, names)| (std::cmp::Reverse(*names), *qtype));
            let types: Vec<String> = types
                .iter()
                .take(3)
                .map(|(qtype, names)| {
                    let users = day.get(qtype).copied().unwrap_or(1.0);
                    format!(
                        "{names} different names by type {qtype}, which {users} of {all} pairs of client and domain use"
                    )
                })
                .collect();
            let evidence = format!("{} under {domain}; {shared} clients ask there", types.join("; "));
            found.push(Case { statistic, host: *host, covers: Covers::Domain(domain.clone()), evidence });
        }
    }
    findings.add("rare record type", Scale::Probability, statistics, found, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(watch: &mut DnsTunnels, client: [u8; 4], qname: &str, qtype: u16) {
        let client = client.into();
        let row = DnsRow {
            first_seen: 0,
            client,
            server: client,
            qname,
            qtype,
            rcode: Some(0),
            damaged: false,
            response_len: None,
            addresses: &[],
        };
        watch.handle(&row);
    }

    /// A tunnel of four questions stood behind the names of delivery networks: it says hardly anything. A mail server that looks up policies
    /// by TXT at every domain it hears from must not stand before it.
    #[test]
    fn few_questions_by_a_type_nobody_uses_are_told_and_a_mail_server_is_not() {
        let mut watch = DnsTunnels::default();
        for client in 0..200 {
            for domain in 0..20 {
                ask(&mut watch, [10, 0, 1, client], &format!("www.site{}.example", u32::from(client) * 7 + domain), 1);
            }
        }
        for domain in 0..100 {
            ask(&mut watch, [10, 0, 2, 25], &format!("_dmarc.sender{domain}.example"), 16);
            ask(&mut watch, [10, 0, 2, 25], &format!("s1._domainkey.sender{domain}.example"), 16);
        }
        for name in ["paaa1", "paaab", "pabt3", "pabyq"] {
            ask(&mut watch, [10, 0, 1, 9], &format!("{name}.www.relay.example"), 5);
        }
        let mut findings = Findings::default();
        watch.finish(&mut findings);
        let told: Vec<_> =
            findings.list().iter().filter(|f| f.detector == "rare record type" && f.ln_expected < 0.0).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told.iter().all(|f| f.subject() == "relay.example" && f.evidence.starts_with("4 different names")));
    }
}
