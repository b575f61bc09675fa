//! DHCP events: a message each. Those of one exchange become one row, as Zeek's log has them.
//!
//! Without `extended: yes` Suricata logs acknowledgements alone, and of their times only the renewal's: the lease is then twice as long, as
//! RFC 2131, 4.4.5 has it.

use std::net::IpAddr;

use super::super::row::{LogDhcp, LogKind};
use super::super::text::mac;
use super::Event;
use crate::Nanos;

/// Messages of one row, as of the wire.
const MESSAGES: usize = 50;

/// Transaction id and hardware address of the client.
pub(super) type Key = (u32, [u8; 6]);

impl Event<'_> {
    /// A message, and whether nothing comes after it.
    pub(super) fn dhcp(&self) -> Result<(Key, LogDhcp, bool), &'static str> {
        let dhcp = self.part("dhcp").ok_or("no dhcp")?;
        let is_request = match dhcp.text("type") {
            Some("request") => true,
            Some("reply") => false,
            _ => return Err("neither a request nor a reply"),
        };
        let ip = |event: &Self, name| match event.text(name).map(str::parse::<IpAddr>) {
            Some(Err(_)) => Err("an address that is none"),
            Some(Ok(ip)) => Ok(Some(ip).filter(is_of_one)),
            None => Ok(None),
        };
        let xid = dhcp.narrow("id").ok_or("no transaction")?;
        let mac = dhcp.text("client_mac").and_then(mac).ok_or("no hardware address")?;
        let (src, dst) = (ip(self, "src_ip")?, ip(self, "dest_ip")?);
        let (src_port, dst_port) = (self.narrow("src_port"), self.narrow("dest_port"));
        let kind = dhcp.text("dhcp_type").unwrap_or("unknown").to_ascii_uppercase();
        let (client, server) = if is_request { (src, dst) } else { (dst, src) };
        let (client_port, server_port) = if is_request { (src_port, dst_port) } else { (dst_port, src_port) };
        // What a relay sends or gets is not the client's.
        let client = client.filter(|_| client_port != Some(67));
        let row = LogDhcp {
            kind: LogKind::Suricata,
            first: self.time("timestamp").ok_or("no time")?,
            duration: None,
            xid: Some(xid),
            client_addr: ip(&dhcp, "client_ip")?.or(client),
            client_port,
            server_addr: server,
            server_port,
            mac: Some(mac),
            host_name: dhcp.owned("hostname"),
            client_fqdn: None,
            domain: None,
            requested_addr: ip(&dhcp, "requested_ip")?,
            assigned_addr: ip(&dhcp, "assigned_ip")?,
            lease_time: dhcp.narrow("lease_time").or_else(|| dhcp.narrow::<u32>("renewal_time")?.checked_mul(2)),
            client_message: None,
            server_message: None,
            msg_types: vec![kind.clone()],
        };
        // A DECLINE or RELEASE has no answer.
        let is_last = matches!(kind.as_str(), "ACK" | "NAK" | "DECLINE" | "RELEASE");
        Ok(((xid, mac), row, is_last))
    }
}

/// Not that of nobody or of all.
fn is_of_one(ip: &IpAddr) -> bool {
    !(ip.is_unspecified() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast()))
}

/// Adds a message to what came before of its exchange; whether the row is full.
pub(super) fn add(row: &mut LogDhcp, message: LogDhcp) -> bool {
    let duration = message.first.0.saturating_sub(row.first.0).max(0);
    row.duration = Some(Nanos(duration).max(row.duration.unwrap_or(Nanos(0))));
    row.client_addr = message.client_addr.or(row.client_addr);
    row.server_addr = message.server_addr.or(row.server_addr);
    // The client's name, which comes first; the server's where it has none.
    row.host_name = row.host_name.take().or(message.host_name);
    row.requested_addr = message.requested_addr.or(row.requested_addr);
    row.assigned_addr = message.assigned_addr.or(row.assigned_addr);
    row.lease_time = message.lease_time.or(row.lease_time);
    row.msg_types.extend(message.msg_types);
    row.msg_types.len() >= MESSAGES
}
