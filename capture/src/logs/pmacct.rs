//! pmacct's JSON: one object per flow, by the names of its print and kafka plugins.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::row::{LogConnection, LogKind, LogRow};
use super::text::{epoch, iso, protocol};
use crate::{AddressPair, Ip};

/// Whether an object is one of pmacct's.
pub(super) fn is_pmacct(object: &Map<String, Value>) -> bool {
    object.contains_key("ip_src") && object.contains_key("ip_dst")
}

/// Reads a row.
pub(super) fn row(object: &Map<String, Value>) -> Result<LogRow, &'static str> {
    let text = |name: &str| match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
    let narrow = |name: &str| number(name).and_then(|n| u32::try_from(n).ok());
    let ip = |name: &str| text(name).and_then(|text| text.parse::<IpAddr>().ok());
    let time = |names: [&str; 2]| {
        names.iter().find_map(|name| text(name)).and_then(|text| epoch(&text).or_else(|| iso(&text)))
    };
    let (src, version) = ip("ip_src").map(Ip::from_ip_addr).ok_or("no source")?;
    let (dst, other) = ip("ip_dst").map(Ip::from_ip_addr).ok_or("no destination")?;
    if version != other {
        return Err("addresses of two versions");
    }
    let first = time(["timestamp_start", "stamp_inserted"]).ok_or("no time")?;
    let last = time(["timestamp_end", "stamp_updated"]).unwrap_or(first).max(first);
    let proto = text("ip_proto").and_then(|text| protocol(&text)).unwrap_or(0);
    let port = |name: &str| number(name).and_then(|n| u16::try_from(n).ok()).unwrap_or_default();
    let (src_port, dst_port) = match proto {
        1 | 58 => (
            number("icmp_type").unwrap_or_default() as u16 & 0xff,
            number("icmp_code").unwrap_or_default() as u16 & 0xff,
        ),
        _ => (port("port_src"), port("port_dst")),
    };
    let pair = AddressPair { src, dst, src_port, dst_port, proto, version };
    Ok(LogRow::Connection(Box::new(LogConnection {
        src_packets: number("packets").ok_or("no packets")?,
        src_bytes: number("bytes").ok_or("no bytes")?,
        tcp_flags: number("tcp_flags").filter(|_| proto == 6).map(|flags| flags as u8),
        tos: number("tos").map(|tos| tos as u8),
        vlan: number("vlan").and_then(|id| u16::try_from(id).ok()).filter(|id| *id != 0),
        sampling: narrow("sampling_rate").filter(|rate| *rate > 0).unwrap_or(1),
        exporter: ip("peer_ip_src"),
        input_if: narrow("iface_in"),
        output_if: narrow("iface_out"),
        src_as: narrow("as_src"),
        dst_as: narrow("as_dst"),
        ..LogConnection::new(LogKind::Pmacct, first, last, pair)
    })))
}
