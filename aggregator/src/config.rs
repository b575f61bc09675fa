//! What an [`Aggregator`](crate::Aggregator) is told once, at its start.

use std::time::Duration;

use crate::record::Origin;

/// Settings of one [`Aggregator`](crate::Aggregator). Same input and same settings: same records.
#[derive(Clone, Debug)]
pub struct AggregatorConfig {
    /// Name of the sensor; part of every record's identity.
    pub sensor: String,
    /// Where the packets come from; part of every record's identity.
    pub origin: Origin,
    /// When records end.
    pub timeouts: Timeouts,
    /// How much is kept at once.
    pub limits: Limits,
    /// Whether the innermost VLAN id keeps flows apart. Default no: trunk ports see both directions of a
    /// connection under different ids.
    pub vlan_in_key: bool,
    /// Seed of the hash tables. Fixed for files; random for live traffic, so that nobody can choose
    /// packets that collide. Records never depend on it.
    pub hash_seed: u64,
}

impl AggregatorConfig {
    /// The defaults, with a fixed hash seed.
    pub fn new(sensor: impl Into<String>, origin: Origin) -> Self {
        Self {
            sensor: sensor.into(),
            origin,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            vlan_in_key: false,
            hash_seed: 0x5370_6f74_7465_7231,
        }
    }
}

/// When records end. A record's deadline is the earliest that applies; a packet that comes at the deadline
/// or later is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Age at which a flow record is written and the connection goes on in its next segment. 60 s.
    pub active: Duration,
    /// Silence that ends a TCP flow. 60 s.
    pub idle_tcp: Duration,
    /// Silence that ends any other flow. 15 s.
    pub idle_other: Duration,
    /// How long a TCP flow is kept after FIN in both directions, or RST, for what still follows. 2 s.
    pub tcp_end: Duration,
    /// How long a DNS query over UDP waits for its answer. 5 s.
    pub dns_udp: Duration,
    /// The same over TCP. 30 s.
    pub dns_tcp: Duration,
    /// How long a DHCP transaction waits for its next message; it is written when it is twice as old. 30 s, as in Zeek.
    pub dhcp: Duration,
    /// How long an HTTP request waits for the end of its response. 300 s.
    pub http: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            active: Duration::from_secs(60),
            idle_tcp: Duration::from_secs(60),
            idle_other: Duration::from_secs(15),
            tcp_end: Duration::from_secs(2),
            dns_udp: Duration::from_secs(5),
            dns_tcp: Duration::from_secs(30),
            dhcp: Duration::from_secs(30),
            http: Duration::from_secs(300),
        }
    }
}

/// How much is kept at once. What happens at each bound has a counter in [`Stats`](crate::Stats).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Flows the table has room for at the start; it grows from there. 4,096.
    pub initial_flows: usize,
    /// Most flows at once, about 350 bytes each (320 and their places in index and wheel). At the bound the flow nearest to its deadline is written
    /// early, with end reason 5. 524,288.
    pub max_flows: usize,
    /// Most DNS questions that wait for an answer; past it the oldest is written unanswered. 65,536.
    pub max_dns: usize,
    /// Most bytes of text they hold, same rule. 64 MiB.
    pub max_dns_bytes: usize,
    /// Most DHCP transactions at once; past it the one nearest to its deadline is written as it is. 16,384.
    pub max_dhcp: usize,
    /// Most bytes of text they hold, same rule. 16 MiB.
    pub max_dhcp_bytes: usize,
    /// Most HTTP requests that wait for a response; past it the oldest is written unanswered. 16,384.
    pub max_http: usize,
    /// Most bytes of text they hold, same rule. 64 MiB.
    pub max_http_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            initial_flows: 4_096,
            max_flows: 1 << 19,
            max_dns: 1 << 16,
            max_dns_bytes: 64 << 20,
            max_dhcp: 1 << 14,
            max_dhcp_bytes: 16 << 20,
            max_http: 1 << 14,
            max_http_bytes: 64 << 20,
        }
    }
}
