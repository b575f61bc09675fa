//! Lone scripts: a program of a web server inside that one client alone calls, where others use the rest of the site.
//!
//! A web shell (T1505.003): put beside the pages of a site, called by who put it there, by hand, with nothing that refers to it. Pages that many clients
//! use are the site's; so are those that a page of the site leads to.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::ProxyRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// What web servers run by its ending.
const ENDINGS: [&str; 14] = [
    ".php", ".php5", ".phtml", ".phar", ".asp", ".aspx", ".ashx", ".asmx", ".jsp", ".jspx", ".cfm", ".cgi", ".pl",
    ".py",
];

/// Fewest calls that succeeded to tell of.
const FEWEST: u64 = 3;

/// Clients counted of a site or a script.
const CLIENTS: usize = 4_096;

/// A script of more clients is the site's.
const USERS: usize = 2;

/// Longest path kept.
const PATH: usize = 512;

#[derive(Clone, Debug, Default)]
struct Script {
    clients: HashSet<IpAddr>,
    calls: u64,
    posts: u64,
    /// A page led to it.
    referred: u64,
}

#[derive(Clone, Debug, Default)]
struct Site {
    clients: HashSet<IpAddr>,
    scripts: HashMap<String, Script>,
}

/// Clients by site and script.
#[derive(Clone, Debug, Default)]
pub struct LoneScripts {
    sites: HashMap<String, Site>,
    scripts: usize,
    /// Clients of all sites, counted.
    clients: usize,
    overflow: u64,
}

/// Whether a path names a program.
fn is_script(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.')
        .and_then(|dot| name.get(dot..))
        .is_some_and(|end| ENDINGS.iter().any(|one| one.eq_ignore_ascii_case(end)))
}

impl LoneScripts {
    /// Looks at a record of a server inside.
    pub fn handle(&mut self, row: &ProxyRow<'_>) {
        if row.host.is_empty() || !row.status.is_some_and(|status| (200..400).contains(&status)) {
            return;
        }
        if self.sites.len() >= CASES / 10 && !self.sites.contains_key(row.host) {
            self.overflow += 1;
            return;
        }
        let site = self.sites.entry_ref(row.host).or_default();
        if site.clients.len() < CLIENTS && self.clients < CASES {
            self.clients += usize::from(site.clients.insert(row.client));
        }
        if row.uri_path.len() > PATH || !is_script(row.uri_path) {
            return;
        }
        if !site.scripts.contains_key(row.uri_path) {
            if self.scripts >= CASES {
                self.overflow += 1;
                return;
            }
            self.scripts += 1;
        }
        let script = site.scripts.entry_ref(row.uri_path).or_default();
        script.calls += 1;
        script.posts += u64::from(row.method == "POST");
        script.referred += u64::from(row.referer.is_some_and(|referer| !referer.is_empty()));
        if script.clients.len() <= USERS {
            script.clients.insert(row.client);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { sites, overflow, .. } = self;
        let (mut statistics, mut found) = (Vec::new(), Vec::new());
        for (host, site) in sites {
            let clients = site.clients.len();
            for (path, script) in site.scripts {
                let own = script.clients.len().max(1);
                // A page that leads there vouches for it; what takes what is sent is worth more than what is looked at.
                let unreferred = (script.calls - script.referred) as f64 / script.calls.max(1) as f64;
                let takes = if script.posts > 0 { f64::ln(3.0) } else { 0.0 };
                let rarity = (clients as f64 / own as f64).ln().max(0.0);
                let statistic = if own > USERS { 0.0 } else { (rarity + takes) * unreferred };
                statistics.push(statistic);
                if own <= USERS && clients > own && script.calls >= FEWEST {
                    for client in &script.clients {
                        let evidence = format!(
                            "{path} of {host} answered {} calls ({} with data, {} from a page); {own} of the {clients} clients of the site use it",
                            script.calls, script.posts, script.referred
                        );
                        let covers = Covers::Path { host: host.as_str().into(), path: path.as_str().into() };
                        found.push(Case { statistic, host: *client, covers, evidence });
                    }
                }
            }
        }
        findings.add("lone script", Scale::Probability, statistics, found, overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Requests;
    use super::super::rows::Internal;
    use super::*;

    fn call<'a>(client: [u8; 4], method: &'a str, path: &'a str, referer: Option<&'a str>) -> ProxyRow<'a> {
        ProxyRow {
            method,
            host: "shop.example",
            uri_path: path,
            referer,
            server: Some([10, 0, 0, 80].into()),
            ..ProxyRow::sample(client)
        }
    }

    /// Commands to a shell among the pictures of a shop stood at place 304 and below.
    #[test]
    fn a_web_shell_is_told_and_the_pages_of_a_site_are_not() {
        let mut requests = Requests::new(Internal::default());
        let page = Some("http://shop.example/");
        for client in 0..120 {
            let client = [198, 51, 100, client];
            requests.handle(&call(client, "GET", "/", None));
            requests.handle(&call(client, "GET", "/cart.php", page));
            requests.handle(&call(client, "POST", "/login.php", None));
        }
        // The shop's keeper has pages of his own, which pages lead to.
        for _ in 0..9 {
            requests.handle(&call([10, 0, 1, 5], "POST", "/admin/orders.php", page));
        }
        let shell: Vec<_> = (0..6).map(|_| call([203, 0, 113, 66], "POST", "/images/thumb.PHP", None)).collect();
        shell.iter().for_each(|row| requests.handle(row));
        let findings = requests.finish();
        let told: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "lone script").collect();
        let strong: Vec<_> = told.iter().filter(|finding| finding.ln_expected < 0.0).collect();
        let [shell_found] = strong.as_slice() else { panic!("{told:?}") };
        assert_eq!(shell_found.host, IpAddr::from([203, 0, 113, 66]));
        assert!(shell_found.evidence.starts_with("/images/thumb.PHP of shop.example answered 6 calls (6 with data"));
        assert!(shell.iter().all(|row| findings.of_request(row).count() > 0));
        assert_eq!(findings.of_request(&call([203, 0, 113, 66], "GET", "/", None)).count(), 0);
    }

    #[test]
    fn programs_are_told_by_their_ending() {
        assert!(["/a/b.php", "/x.ASPX", "/cgi-bin/run.cgi"].iter().all(|path| is_script(path)));
        assert!(["/", "/a.php/index.html", "/logo.png", "/php", ""].iter().all(|path| !is_script(path)));
    }
}
