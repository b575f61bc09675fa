//! DHCP transactions: the messages of one exchange become one record, as Zeek's dhcp.log has them.
//!
//! - Messages belong together by version, transaction id and client (hardware address, or DUID), whatever the addresses: a
//!   client has none yet, and relays put theirs in place. A message that nothing answers is a record, too.
//! - A record is written when its transaction was silent for the timeout, is twice as old, or has [`MAX_MESSAGES`] messages;
//!   what comes after is another record.
//! - Of what several messages say: names are the client's (the server's where the client gave none), the address asked for
//!   is that of the last request, the address assigned that of the last offer, or of the acknowledgement once it came. `leases` has what was
//!   acknowledged alone (ACK, REPLY), and with 0 seconds what the client gave up (RELEASE, DECLINE).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use capture::{DhcpAddress, DhcpMessage, IpVersion};

use crate::aggregate::Carried;
use crate::community_id::CommunityId;
use crate::config::AggregatorConfig;
use crate::flow::nanos;
use crate::record::{DhcpLease, DhcpRecord, Micros, Origin};
use crate::record_id::RecordIds;
use crate::stats::Stats;

/// Messages of one record, as in Zeek (`DHCP::max_msg_types_by_txid`).
pub(crate) const MAX_MESSAGES: usize = 50;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    version: IpVersion,
    xid: u32,
    client: Box<[u8]>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    began: i64,
    deadline: i64,
    record: DhcpRecord,
    acknowledged: bool,
    cost: usize,
}

/// Where rows and counters go.
pub(crate) struct Out<'a> {
    pub(crate) records: &'a mut Vec<DhcpRecord>,
    pub(crate) stats: &'a mut Stats,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct DhcpMatcher {
    waiting: HashMap<Key, Waiting>,
    /// By deadline and number.
    queue: BTreeMap<(i64, u64), Key>,
    timeout: i64,
    bytes: usize,
    max_count: usize,
    max_bytes: usize,
    next_number: u64,
    origin: Origin,
    ids: RecordIds,
}

impl DhcpMatcher {
    pub(crate) fn new(config: &AggregatorConfig, ids: RecordIds) -> Self {
        Self {
            waiting: HashMap::new(),
            queue: BTreeMap::new(),
            timeout: nanos(config.timeouts.dhcp),
            bytes: 0,
            max_count: config.limits.max_dhcp.max(1),
            max_bytes: config.limits.max_dhcp_bytes,
            next_number: 0,
            origin: config.origin,
            ids,
        }
    }

    /// A message, at `clock`. `carried` has the times and the addresses.
    pub(crate) fn handle(&mut self, clock: i64, carried: &Carried, message: DhcpMessage, out: &mut Out<'_>) {
        self.advance(clock, out);
        out.stats.dhcp_messages += 1;
        let key = Key::of(&message);
        let number = self.next_number;
        let waiting = self.waiting.entry(key.clone()).or_insert_with(|| Waiting {
            number,
            began: clock,
            deadline: i64::MIN,
            record: DhcpRecord::new(self.origin, Micros(carried.first_ts.micros())),
            acknowledged: false,
            cost: 0,
        });
        if waiting.number == number {
            self.next_number += 1;
            waiting.record.community_id = Some(CommunityId::new(&carried.pair).as_str().to_owned());
        } else {
            self.queue.remove(&(waiting.deadline, waiting.number));
        }
        waiting.add(carried, message);
        self.bytes -= waiting.cost;
        waiting.cost = key.client.len() + waiting.record.cost();
        self.bytes += waiting.cost;
        let oldest = waiting.began.saturating_add(self.timeout.saturating_mul(2));
        waiting.deadline = clock.saturating_add(self.timeout).min(oldest);
        let is_full = waiting.record.msg_types.len() >= MAX_MESSAGES;
        let at = (waiting.deadline, waiting.number);
        self.queue.insert(at, key);
        if is_full {
            self.write(at, out);
        }
        while self.waiting.len() > self.max_count || self.bytes > self.max_bytes {
            let Some((&at, _)) = self.queue.first_key_value() else { break };
            out.stats.dhcp_evicted += 1;
            self.write(at, out);
        }
    }

    /// Writes what is due at `now`.
    pub(crate) fn advance(&mut self, now: i64, out: &mut Out<'_>) {
        while let Some((&at, _)) = self.queue.first_key_value().filter(|((deadline, _), _)| *deadline <= now) {
            self.write(at, out);
        }
    }

    /// Writes all.
    pub(crate) fn finish(&mut self, out: &mut Out<'_>) {
        while let Some((&at, _)) = self.queue.first_key_value() {
            self.write(at, out);
        }
    }

    fn write(&mut self, at: (i64, u64), out: &mut Out<'_>) {
        let Some(waiting) = self.queue.remove(&at).and_then(|key| self.waiting.remove(&key)) else { return };
        self.bytes -= waiting.cost;
        let mut record = waiting.record;
        record.record_id = self.ids.dhcp(&record);
        out.stats.dhcp_rows += 1;
        out.stats.dhcp_in_rows += record.msg_types.len() as u64;
        out.records.push(record);
    }

    /// Messages that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.values().map(|waiting| waiting.record.msg_types.len()).sum()
    }
}

impl Key {
    fn of(message: &DhcpMessage) -> Self {
        let id = message.client_id.as_deref();
        let client = match (message.version, &message.mac) {
            (IpVersion::V4, Some(mac)) => Some(&mac[..]),
            // Few servers say the identifier of version 4 again: the transaction id alone is left.
            (IpVersion::V4, None) => None,
            (IpVersion::V6, _) => id,
        };
        Self { version: message.version, xid: message.xid, client: client.unwrap_or_default().into() }
    }
}

impl Waiting {
    fn add(&mut self, carried: &Carried, message: DhcpMessage) {
        let is_final = is_acknowledgement(&message);
        let Self { record, acknowledged, .. } = self;
        let (first, last) = (Micros(carried.first_ts.micros()), Micros(carried.ts.micros()));
        record.first_seen = record.first_seen.min(first);
        record.last_seen = record.last_seen.max(last).max(record.first_seen);
        record.version = message.version as u8;
        record.xid = Some(message.xid);
        record.msg_types.push(type_name(&message));
        let ports = (carried.pair.src_port, carried.pair.dst_port);
        let (client, server) = if message.from_server { (ports.1, ports.0) } else { ports };
        record.client_port.get_or_insert(client);
        record.server_port.get_or_insert(server);
        fill(&mut record.client_addr, message.client_addr);
        fill(&mut record.relay_addr, message.relay_addr);
        fill(&mut record.mac, message.mac);
        fill(&mut record.client_id, message.client_id.as_deref().map(hex));
        fill(&mut record.damage, message.damage);
        if is_final || !message.from_server {
            replace(&mut record.server_addr, message.server_addr);
        } else {
            fill(&mut record.server_addr, message.server_addr);
        }
        if message.from_server {
            fill(&mut record.host_name, message.host_name);
            fill(&mut record.client_fqdn, message.client_fqdn);
            replace(&mut record.domain, message.domain);
            replace(&mut record.server_message, message.text);
            set_assigned(record, &message.addresses, is_final, *acknowledged);
            *acknowledged |= is_final;
        } else {
            replace(&mut record.host_name, message.host_name);
            replace(&mut record.client_fqdn, message.client_fqdn);
            fill(&mut record.domain, message.domain);
            replace(&mut record.client_message, message.text);
            fill(&mut record.vendor_class, message.vendor_class);
            fill(&mut record.param_list, codes(&message.param_list));
            set_requested(record, &message.addresses);
        }
    }
}

fn fill<T>(to: &mut Option<T>, from: Option<T>) {
    if to.is_none() {
        *to = from;
    }
}

fn replace<T>(to: &mut Option<T>, from: Option<T>) {
    if from.is_some() {
        *to = from;
    }
}

fn lease(address: &DhcpAddress) -> Option<DhcpLease> {
    let DhcpAddress { address, prefix_len, valid } = *address;
    Some(DhcpLease { address, prefix_len, valid_s: valid? })
}

fn set_assigned(record: &mut DhcpRecord, addresses: &[DhcpAddress], is_final: bool, acknowledged: bool) {
    let Some(first) = addresses.first().filter(|_| is_final || !acknowledged) else { return };
    record.assigned_addr = Some(first.address);
    record.lease_time = first.valid;
    if is_final {
        record.leases = addresses.iter().filter_map(lease).collect();
    }
}

fn set_requested(record: &mut DhcpRecord, addresses: &[DhcpAddress]) {
    for address in addresses {
        match lease(address) {
            // Given up.
            Some(lease) if !record.leases.contains(&lease) => record.leases.push(lease),
            Some(_) => (),
            None => {
                record.requested_addr = addresses.first().map(|first| first.address);
                return;
            }
        }
    }
}

/// ACK of version 4, REPLY of version 6: what binds.
fn is_acknowledgement(message: &DhcpMessage) -> bool {
    matches!((message.version, message.message_type), (IpVersion::V4, 5) | (IpVersion::V6, 7)) && message.from_server
}

/// Octets as Zeek shows addresses of hardware.
fn hex(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len() * 3);
    for (at, octet) in octets.iter().enumerate() {
        let colon = if at > 0 { ":" } else { "" };
        // To a string: it does not fail.
        let _ = write!(out, "{colon}{octet:02x}");
    }
    out
}

fn codes(list: &[u16]) -> Option<String> {
    (!list.is_empty()).then(|| list.iter().map(u16::to_string).collect::<Vec<_>>().join(","))
}

/// Names of message types: IANA's without `DHCP`, as Zeek has them.
fn type_name(message: &DhcpMessage) -> Cow<'static, str> {
    const V4: [&str; 18] = [
        "DISCOVER",
        "OFFER",
        "REQUEST",
        "DECLINE",
        "ACK",
        "NAK",
        "RELEASE",
        "INFORM",
        "FORCERENEW",
        "LEASEQUERY",
        "LEASEUNASSIGNED",
        "LEASEUNKNOWN",
        "LEASEACTIVE",
        "BULKLEASEQUERY",
        "LEASEQUERYDONE",
        "ACTIVELEASEQUERY",
        "LEASEQUERYSTATUS",
        "TLS",
    ];
    const V6: [&str; 23] = [
        "SOLICIT",
        "ADVERTISE",
        "REQUEST",
        "CONFIRM",
        "RENEW",
        "REBIND",
        "REPLY",
        "RELEASE",
        "DECLINE",
        "RECONFIGURE",
        "INFORMATION-REQUEST",
        "RELAY-FORW",
        "RELAY-REPL",
        "LEASEQUERY",
        "LEASEQUERY-REPLY",
        "LEASEQUERY-DONE",
        "LEASEQUERY-DATA",
        "RECONFIGURE-REQUEST",
        "RECONFIGURE-REPLY",
        "DHCPV4-QUERY",
        "DHCPV4-RESPONSE",
        "ACTIVELEASEQUERY",
        "STARTTLS",
    ];
    let names = if message.version == IpVersion::V4 { &V4[..] } else { &V6[..] };
    match message.message_type.checked_sub(1).map(usize::from) {
        None if message.from_server => "BOOTREPLY".into(),
        None => "BOOTREQUEST".into(),
        Some(at) => match names.get(at) {
            Some(name) => (*name).into(),
            None => format!("UNKNOWN-{}", message.message_type).into(),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
