//! Long connections to the outside: remote control and tunnels stay open. Whole connections count, from `flow_start`.
//!
//! A connection that is silent for longer than the idle timeout comes in pieces, each a record of its own without a handshake, and seen from whichever
//! end broke the silence. Such pieces ([`FlowRow::is_piece`]) are turned to the client's side and joined by addresses and both ports.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::beacon::seconds;
use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Longest connection by (client, server, port).
#[derive(Clone, Debug, Default)]
pub struct LongConnections {
    longest: HashMap<(IpAddr, IpAddr, u16), i64>,
    clients: HashMap<IpAddr, HashSet<IpAddr>>,
    /// By (client, server, port, client's port).
    pieces: HashMap<(IpAddr, IpAddr, u16, u16), Pieces>,
    overflow: u64,
}

/// What is left of a connection that was silent now and then.
#[derive(Clone, Copy, Debug)]
struct Pieces {
    count: u32,
    first: i64,
    last: i64,
}

/// Longer than this is told.
const SHORTEST: i64 = 20 * 60 * 1_000_000;

/// Fewer pieces may be the ends of different connections.
const FEWEST_PIECES: u32 = 4;

impl LongConnections {
    /// Looks at a record of a client inside and a server outside.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        let duration = row.last_seen.saturating_sub(row.flow_start).max(0);
        let clients = self.clients.len();
        if let Some(known) = self.clients.get_mut(&row.dst) {
            if known.len() < 64 {
                known.insert(row.src);
            }
        } else if clients < CASES {
            self.clients.entry(row.dst).or_default().insert(row.src);
        }
        if row.is_piece() {
            self.piece(row);
        }
        self.lasted((row.src, row.dst, row.dst_port), duration);
    }

    fn piece(&mut self, row: &FlowRow<'_>) {
        let key = (row.src, row.dst, row.dst_port, row.src_port);
        if self.pieces.len() >= CASES && !self.pieces.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let (first, last) = (row.flow_start, row.last_seen.max(row.flow_start));
        let pieces = self.pieces.entry(key).or_insert(Pieces { count: 0, first, last });
        pieces.count = pieces.count.saturating_add(1);
        pieces.first = pieces.first.min(first);
        pieces.last = pieces.last.max(last);
    }

    fn lasted(&mut self, key: (IpAddr, IpAddr, u16), duration: i64) {
        if self.longest.len() >= CASES && !self.longest.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let longest = self.longest.entry(key).or_insert(0);
        *longest = duration.max(*longest);
    }

    pub(crate) fn finish(mut self, findings: &mut Findings) {
        let mut joined: HashMap<(IpAddr, IpAddr, u16), (i64, u32)> = HashMap::new();
        for ((host, peer, port, _), pieces) in std::mem::take(&mut self.pieces) {
            if pieces.count >= FEWEST_PIECES {
                let of_key = joined.entry((host, peer, port)).or_insert((0, 0));
                *of_key = (pieces.last.saturating_sub(pieces.first), pieces.count).max(*of_key);
            }
        }
        joined.retain(|key, (duration, _)| self.longest.get(key).is_none_or(|whole| *duration > *whole));
        for (key, (duration, _)) in &joined {
            self.lasted(*key, *duration);
        }
        let Self { longest, clients, overflow, .. } = self;
        let ports = Ports::of(&longest);
        let (mut statistics, mut found) = (Vec::with_capacity(longest.len()), Vec::new());
        for (key, duration) in longest {
            let (host, peer, port) = key;
            let clients = clients.get(&peer).map_or(1, HashSet::len).max(1);
            let long = duration as f64 / 1e6;
            // Mail and push services are kept open in silence by many: the hosts that go there count three times against it.
            let shared = if joined.contains_key(&key) { 3.0 } else { 1.0 };
            let statistic = (1.0 + long).ln() - shared * (clients as f64).ln() - ports.usual(host, port);
            statistics.push(statistic);
            if duration >= SHORTEST {
                let pieces =
                    joined.get(&key).map_or_else(String::new, |(_, n)| format!(", silent in between ({n} pieces)"));
                let evidence = format!(
                    "a connection of {} to {peer}{pieces}, to which {clients} hosts of the organisation went",
                    seconds(long)
                );
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: Some(port) }, evidence });
            }
        }
        // An hour is usual.
        findings.add("long connection", Scale::Quantity { usual: 8.2 }, statistics, found, overflow);
    }
}

/// How long connections are by port: calls and VPN clients have ports on which they last, and a server of the day for each.
#[derive(Debug, Default)]
struct Ports(HashMap<u16, Port>);

#[derive(Debug, Default)]
struct Port {
    pairs: u64,
    long: u64,
    /// Clients of those.
    clients: HashSet<IpAddr>,
}

impl Ports {
    fn of(longest: &HashMap<(IpAddr, IpAddr, u16), i64>) -> Self {
        let mut ports: HashMap<u16, Port> = HashMap::new();
        for ((host, _, port), duration) in longest {
            let of = ports.entry(*port).or_default();
            of.pairs += 1;
            if *duration >= SHORTEST / 2 {
                of.long += 1;
                if of.clients.len() < 4_096 {
                    of.clients.insert(*host);
                }
            }
        }
        Self(ports)
    }

    /// ln of one and the other clients that have long connections on a port, as far as connections there are long.
    fn usual(&self, host: IpAddr, port: u16) -> f64 {
        let Some(of) = self.0.get(&port) else { return 0.0 };
        let others = of.clients.len() - usize::from(of.clients.contains(&host));
        (1.0 + others as f64 * of.long as f64 / of.pairs.max(1) as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of 66 minutes stood among the first of a quiet day: its server was another for every call.
    #[test]
    fn calls_on_a_port_of_calls_are_usual_and_a_shell_on_443_is_not() {
        let mut longest: HashMap<(IpAddr, IpAddr, u16), i64> = HashMap::new();
        for client in 0..80_u8 {
            let (host, minutes) = (IpAddr::from([10, 0, 0, client]), i64::from(client % 60) + 5);
            longest.insert((host, [198, 51, 100, client].into(), 3480), minutes * MINUTE);
            longest.extend((0..20).map(|site| ((host, [203, 0, 113, site].into(), 443), MINUTE)));
        }
        longest.insert(([10, 0, 0, 7].into(), [192, 0, 2, 9].into(), 443), 120 * MINUTE);
        longest.insert(([10, 0, 0, 7].into(), [192, 0, 2, 9].into(), 4444), 120 * MINUTE);
        let ports = Ports::of(&longest);
        let usual = |port| ports.usual([10, 0, 0, 7].into(), port);
        assert!(usual(3480) > 4.0 && usual(443) < 0.01 && usual(4444) < 0.01, "{}", usual(3480));
    }

    const MINUTE: i64 = 60_000_000;

    /// A record of two seconds, in the middle of a connection, between two ends.
    fn piece(at: i64, (src, src_port): (IpAddr, u16), (dst, dst_port): (IpAddr, u16)) -> FlowRow<'static> {
        FlowRow {
            first_seen: at,
            last_seen: at + 2_000_000,
            flow_start: at,
            segment: 0,
            src,
            dst,
            src_port,
            dst_port,
            proto: 6,
            src_packets: 2,
            src_bytes: 150,
            dst_packets: Some(2),
            dst_bytes: Some(900),
            conn_state: Some("OTH"),
            service: None,
            src_mac: None,
        }
    }

    fn found(rows: &[FlowRow<'static>]) -> Vec<(IpAddr, Covers, String)> {
        let mut flows = super::super::Flows::new(super::super::rows::Internal::default());
        rows.iter().for_each(|row| flows.handle(row));
        let findings = flows.finish();
        let long = findings.list().iter().filter(|finding| finding.detector == "long connection");
        long.map(|finding| (finding.host, finding.covers.clone(), finding.evidence.clone())).collect()
    }

    /// The idle timeout cut a shell that is silent for minutes into 120 records, all but the first seen from the server's end.
    #[test]
    fn a_silent_shell_is_one_long_connection() {
        let (victim, server) = (([10, 0, 0, 7].into(), 51_000), ([198, 51, 100, 9].into(), 4_444));
        let mut rows = vec![FlowRow { conn_state: Some("S1"), ..piece(0, victim, server) }];
        rows.extend((1..=120).map(|n| piece(n * 5 * MINUTE / 2, server, victim)));
        let found_forward = found(&rows);
        let covers = Covers::Pair { peer: server.0, port: Some(4_444) };
        assert_eq!(found_forward.len(), 1, "{found_forward:?}");
        assert_eq!((found_forward[0].0, &found_forward[0].1), (victim.0, &covers));
        assert!(found_forward[0].2.contains("(120 pieces)"), "{}", found_forward[0].2);
        rows.reverse();
        assert_eq!(found(&rows), found_forward);
    }

    #[test]
    fn pieces_of_different_connections_are_not_joined() {
        let server: (IpAddr, u16) = ([198, 51, 100, 9].into(), 443);
        let rows: Vec<_> =
            (0..120).map(|n| piece(i64::from(n) * 5 * MINUTE, server, ([10, 0, 0, 7].into(), 40_000 + n))).collect();
        assert_eq!(found(&rows), []);
    }

    #[test]
    fn the_pieces_from_the_servers_end_belong_to_the_finding() {
        let (victim, server) = (([10, 0, 0, 7].into(), 51_000), ([198, 51, 100, 9].into(), 4_444));
        let mut flows = super::super::Flows::new(super::super::rows::Internal::default());
        (0..60).for_each(|n| flows.handle(&piece(n * 5 * MINUTE, server, victim)));
        let findings = flows.finish();
        let of = |row: &FlowRow<'_>| findings.of_flow(row).count();
        assert_eq!(of(&piece(0, server, victim)), 1);
        assert_eq!(of(&piece(0, victim, server)), 1);
        assert_eq!(of(&FlowRow { conn_state: Some("SF"), ..piece(0, server, victim) }), 0);
        assert_eq!(of(&piece(0, ([198, 51, 100, 9].into(), 4_445), victim)), 0);
    }
}
