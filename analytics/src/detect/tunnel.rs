//! DNS tunnels: the information that a client's different names under one registered domain can carry.
//!
//! After the information-based heavy hitters of Ozery, Nadler and Shabtai (2023): a tunnel must put what it says into names never asked before, so
//! the bits in *distinct* subdomains per client and domain bound its rate from below, whatever the record type. Bits of a label: its characters
//! times log2 of the alphabet it uses.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::domain::{is_special, registered};
use super::rows::DnsRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Different names remembered of a case; at the bound it has said enough.
const NAMES: usize = 4_096;

#[derive(Clone, Debug, Default)]
struct Said {
    names: HashSet<u64>,
    bits: f64,
    questions: u64,
    /// TXT, NULL and other types that carry data down.
    carriers: u64,
    missing: u64,
    longest: usize,
}

/// What a client said under a domain.
#[derive(Clone, Debug, Default)]
pub struct DnsTunnels {
    cases: HashMap<(IpAddr, Box<str>), Said>,
    clients: HashMap<String, HashSet<IpAddr>>,
    names: usize,
    overflow: u64,
}

/// FNV-1a: the same on every machine. A collision loses the bits of one name.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
        if said.names.len() < NAMES && self.names < 16 * CASES && said.names.insert(fingerprint(subdomain)) {
            self.names += 1;
            said.bits += bits(subdomain);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { cases, clients, overflow, .. } = self;
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
