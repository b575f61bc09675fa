//! What a client does to one server name: requests that fail, and bytes that leave.
//!
//! Behind a proxy every flow goes to the proxy; names tell who is meant. Failing: a scanner of web applications, injection by trial, guessing at a
//! login page have errors for answers. What many clients fail at (a blocked advertiser, a server that is down) is shared by them; a handshake
//! of NTLM has up to two refusals for every request that succeeds, and a proxy's own (407) is none of the server's.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::exfiltration::bytes;
use super::rows::ProxyRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Fewest failures to tell of.
const FEWEST: u64 = 100;

/// Less sent is not told.
const SMALLEST: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Dealings {
    failed: u64,
    succeeded: u64,
    sent: u64,
    received: u64,
}

impl Dealings {
    fn excess(&self) -> u64 {
        self.failed.saturating_sub(self.succeeded.saturating_mul(2))
    }

    fn net(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

/// Dealings by server name and client.
#[derive(Clone, Debug, Default)]
pub struct Web {
    hosts: HashMap<String, HashMap<IpAddr, Dealings>>,
    pairs: usize,
    overflow: u64,
}

impl Web {
    /// Looks at a record.
    pub fn handle(&mut self, row: &ProxyRow<'_>) {
        if row.host.is_empty() {
            return;
        }
        let known = self.hosts.get(row.host).is_some_and(|clients| clients.contains_key(&row.client));
        if !known {
            if self.pairs >= CASES {
                self.overflow += 1;
                return;
            }
            self.pairs += 1;
        }
        let dealings = self.hosts.entry_ref(row.host).or_default().entry(row.client).or_default();
        match row.status {
            Some(407) | None => (),
            Some(400..) => dealings.failed += 1,
            Some(_) => dealings.succeeded += 1,
        }
        dealings.sent = dealings.sent.saturating_add(row.request_bytes.unwrap_or(0));
        dealings.received = dealings.received.saturating_add(row.response_bytes.unwrap_or(0));
    }

    /// `own` = names of servers of the organisation: what is sent there stays.
    pub(crate) fn finish(self, findings: &mut Findings, own: &HashSet<Box<str>>) {
        let Self { hosts, overflow, .. } = self;
        let (mut failing, mut failures) = (Vec::new(), Vec::new());
        let (mut sending, mut uploads) = (Vec::new(), Vec::new());
        for (host, clients) in hosts {
            let shared = |has: &dyn Fn(&Dealings) -> bool| clients.values().filter(|of| has(of)).count().max(1) as f64;
            let also_fail = shared(&|of| of.excess() > 0);
            let also_send = shared(&|of| of.net() >= SMALLEST / 10);
            let case = |statistic, client, evidence| Case {
                statistic,
                host: client,
                covers: Covers::Host(host.as_str().into()),
                evidence,
            };
            for (client, of) in &clients {
                let statistic = (1.0 + of.excess() as f64 / also_fail).ln();
                failing.push(statistic);
                if of.excess() >= FEWEST {
                    let evidence = format!(
                        "{} requests to {host} failed, {} did not; {also_fail} clients fail there like this",
                        of.failed, of.succeeded
                    );
                    failures.push(case(statistic, *client, evidence));
                }
                if own.contains(host.as_str()) {
                    continue;
                }
                let statistic = ((1.0 + of.net() as f64) / also_send).ln();
                sending.push(statistic);
                if of.net() >= SMALLEST {
                    let evidence = format!(
                        "sent {} to {host} and got {} back; {also_send} clients sent there",
                        bytes(of.sent),
                        bytes(of.received)
                    );
                    uploads.push(case(statistic, *client, evidence));
                }
            }
        }
        findings.add("failing requests", Scale::Quantity { usual: f64::ln(50.0) }, failing, failures, overflow);
        // A megabyte to one name is usual.
        findings.add("upload", Scale::Quantity { usual: f64::ln(1e6) }, sending, uploads, overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Requests;
    use super::super::rows::Internal;
    use super::*;

    fn request(client: u8, host: &str, status: u16, bytes: [u64; 2]) -> ProxyRow<'_> {
        ProxyRow {
            method: "POST",
            host,
            status: Some(status),
            request_bytes: Some(bytes[0]),
            response_bytes: Some(bytes[1]),
            ..ProxyRow::sample([10, 0, 0, client])
        }
    }

    fn of<'f>(findings: &'f Findings, detector: &str) -> Vec<(IpAddr, &'f Covers)> {
        let mut found: Vec<_> = findings
            .list()
            .iter()
            .filter(|f| f.detector == detector && f.ln_expected < 0.0)
            .map(|f| (f.host, &f.covers))
            .collect();
        found.sort_by_key(|(host, _)| *host);
        found
    }

    /// Two thousand requests for pages that are not there, and 300 MB to a popular name, were at places 304 to 626.
    #[test]
    fn a_web_scanner_and_an_upload_are_found_and_what_all_do_is_not() {
        let mut watch = Requests::new(Internal::default());
        for client in 1..200 {
            for n in 0..20 {
                // NTLM; a blocked advertiser; pages.
                [401, 401, 200]
                    .into_iter()
                    .for_each(|status| watch.handle(&request(client, "sharepoint.example", status, [900, 2_000])));
                (0..10).for_each(|_| watch.handle(&request(client, "ads.example", 403, [500, 300])));
                watch.handle(&request(client, "drive.example", 200, [u64::from(client) * n * 20, 9_000]));
            }
        }
        (0..2_000)
            .for_each(|n| watch.handle(&request(201, "shop.example", if n % 50 == 0 { 200 } else { 404 }, [300, 200])));
        (0..4).for_each(|_| watch.handle(&request(202, "drive.example", 200, [300_000_000, 900])));
        let findings = watch.finish();
        let at = |name: &str| Covers::Host(name.into());
        let [scanner, sender]: [IpAddr; 2] = [[10, 0, 0, 201].into(), [10, 0, 0, 202].into()];
        assert_eq!(of(&findings, "failing requests"), [(scanner, &at("shop.example"))]);
        assert_eq!(of(&findings, "upload"), [(sender, &at("drive.example"))]);
    }
}
