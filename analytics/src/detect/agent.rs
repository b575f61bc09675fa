//! Rare programs: a user agent or a TLS fingerprint (JA4) that one client has, towards a server name that one client asks for.
//!
//! Each alone is common; together, and again and again, they are a program that nobody else runs with a master of its own.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::ProxyRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

#[derive(Clone, Debug, Default)]
struct Use {
    requests: u64,
    posts: u64,
}

/// Clients of agents and of server names.
#[derive(Clone, Debug, Default)]
pub struct RareAgents {
    /// By client, agent, server name.
    uses: HashMap<(IpAddr, u32, Box<str>), Use>,
    agents: HashMap<String, (u32, HashSet<IpAddr>)>,
    hosts: HashMap<String, HashSet<IpAddr>>,
    clients: HashSet<IpAddr>,
    overflow: u64,
}

impl RareAgents {
    /// Looks at a record.
    pub fn handle(&mut self, row: &ProxyRow<'_>) {
        let Some(agent) = row.user_agent.or(row.ja4) else { return };
        if row.host.is_empty() {
            return;
        }
        if self.uses.len() >= CASES || self.agents.len() >= CASES || self.hosts.len() >= CASES {
            self.overflow += 1;
            return;
        }
        self.clients.insert(row.client);
        let next = self.agents.len() as u32;
        let (number, clients) = self.agents.entry_ref(agent).or_insert_with(|| (next, HashSet::new()));
        if clients.len() < 1000 {
            clients.insert(row.client);
        }
        let hosts = self.hosts.entry_ref(row.host).or_default();
        if hosts.len() < 1000 {
            hosts.insert(row.client);
        }
        let of = self.uses.entry((row.client, *number, row.host.into())).or_default();
        of.requests += 1;
        of.posts += u64::from(row.method == "POST" || row.method == "PUT");
    }

    /// Adds the findings; `own` are the names of the organisation's servers, which are not judged.
    pub(crate) fn finish(self, findings: &mut Findings, own: &HashSet<Box<str>>) {
        let Self { uses, agents, hosts, clients, overflow } = self;
        let mut names: Vec<(&str, usize)> = vec![("", 0); agents.len()];
        for (agent, (number, users)) in &agents {
            if let Some(name) = names.get_mut(*number as usize) {
                *name = (agent, users.len());
            }
        }
        let all = clients.len().max(1) as f64;
        let (mut statistics, mut found) = (Vec::with_capacity(uses.len()), Vec::new());
        for ((client, agent, host), of) in uses.into_iter().filter(|((_, _, host), _)| !own.contains(host)) {
            let (agent, users) = names.get(agent as usize).copied().unwrap_or_default();
            let visitors = hosts.get(&*host).map_or(1, HashSet::len).max(1);
            let rare = (all / users.max(1) as f64).ln() + (all / visitors as f64).ln();
            let statistic = rare + (1.0 + of.posts as f64 + 0.2 * of.requests as f64).ln();
            statistics.push(statistic);
            if users <= 3 && visitors <= 3 && of.requests >= 2 {
                let shown: String = agent.chars().take(120).collect();
                let evidence = format!(
                    "{} requests ({} with data) to {host}, to which {visitors} of {all} clients go, by the program \"{shown}\", which {users} of {all} clients have",
                    of.requests, of.posts
                );
                found.push(Case { statistic, host: client, covers: Covers::Host(host), evidence });
            }
        }
        findings.add("rare program", Scale::Probability, statistics, found, overflow);
    }
}
