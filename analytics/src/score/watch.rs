//! The detectors over a day of a source: from columns to the rows they look at.

use std::net::IpAddr;

use aggregator::lake::Source;
use arrow::array::{
    Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};

use super::ScoreError;
use super::answers::Answers;
use super::parts::column;
use super::texts::{Addresses, Readings, Texts};
use crate::detect::rows::{DnsRow, FlowRow, Internal, Mac, ProxyRow};
use crate::detect::{Findings, Flows, Names, Requests};

/// The value of a row; `None` for null.
macro_rules! value {
    ($column:expr, $row:expr) => {
        (!$column.is_null($row)).then(|| $column.value($row))
    };
}

/// The detectors of a source, while they look.
#[derive(Clone)]
pub(super) enum Watch {
    Flow(Box<Flows>, Box<Ends>),
    Dns(Box<Names>),
    Proxy(Box<Requests>),
}

/// The columns the detectors of a source need.
pub(super) const fn columns(source: Source) -> &'static [&'static str] {
    match source {
        Source::Flow => &[
            "first_seen",
            "last_seen",
            "flow_start",
            "segment",
            "src_ip",
            "dst_ip",
            "src_port",
            "dst_port",
            "proto",
            "src_packets",
            "src_bytes",
            "dst_packets",
            "dst_bytes",
            "conn_state",
            "service",
            "src_mac",
        ],
        Source::Dns => {
            &["first_seen", "client_ip", "server_ip", "qname", "qtype", "rcode", "damage", "response_len", "answers"]
        }
        Source::Proxy => &[
            "first_seen",
            "client_ip",
            "server_ip",
            "method",
            "host",
            "uri_path",
            "uri_query",
            "status",
            "user_agent",
            "referer",
            "ja4",
            "request_bytes",
            "response_bytes",
        ],
    }
}

/// Flows the detectors look at together: few enough to stay in the cache nearest.
const TOGETHER: usize = 256;

impl Watch {
    /// The detectors of a source, in as many as can look side by side.
    pub(super) fn of(source: Source, internal: &Internal) -> Vec<Self> {
        match source {
            Source::Flow => {
                Flows::side_by_side(internal).map(|flows| Self::Flow(Box::new(flows), Box::default())).into()
            }
            Source::Dns => vec![Self::Dns(Box::default())],
            Source::Proxy => vec![Self::Proxy(Box::new(Requests::new(internal.clone())))],
        }
    }

    /// Looks at a batch.
    pub(super) fn handle(&mut self, batch: &RecordBatch) -> Result<(), ScoreError> {
        match self {
            Self::Flow(flows, ends) => {
                let mut rows = Vec::with_capacity(TOGETHER);
                flow_rows(batch, ends, &mut |_, row| {
                    rows.push(row);
                    if rows.len() == TOGETHER {
                        flows.handle_all(&rows);
                        rows.clear();
                    }
                })?;
                flows.handle_all(&rows);
                Ok(())
            }
            Self::Dns(names) => dns_rows(batch, &mut |_, row| names.handle(&row)),
            Self::Proxy(requests) => proxy_rows(batch, &mut |_, row| requests.handle(&row)),
        }
    }

    /// What all of them found.
    pub(super) fn finish(watches: Vec<Self>) -> Findings {
        let mut findings = Findings::default();
        for watch in watches {
            findings.append(match watch {
                Self::Flow(flows, _) => flows.finish(),
                Self::Dns(names) => names.finish(),
                Self::Proxy(requests) => requests.finish(),
            });
        }
        findings
    }
}

/// The findings of every row of a batch, by row; rows without an address have none.
pub(super) fn of_batch(
    findings: &Findings,
    source: Source,
    batch: &RecordBatch,
    ends: &mut Ends,
) -> Result<Vec<Vec<u32>>, ScoreError> {
    let mut by_row = vec![Vec::new(); batch.num_rows()];
    let mut put = |row: usize, found: &mut dyn Iterator<Item = u32>| {
        if let Some(place) = by_row.get_mut(row) {
            place.extend(found);
        }
    };
    match source {
        _ if findings.list().is_empty() => (),
        Source::Flow => flow_rows(batch, ends, &mut |at, row| put(at, &mut findings.of_flow(&row)))?,
        Source::Dns => dns_rows(batch, &mut |at, row| put(at, &mut findings.of_name(&row)))?,
        Source::Proxy => proxy_rows(batch, &mut |at, row| put(at, &mut findings.of_request(&row)))?,
    }
    Ok(by_row)
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    (!column.is_null(row)).then(|| column.value(row)).filter(|text| !text.is_empty())
}

fn address(column: &StringArray, row: usize) -> Option<IpAddr> {
    text(column, row)?.parse().ok()
}

/// Source and destination addresses, as they were read from the dictionaries of a file.
pub(super) type Peers = [Addresses; 2];

/// The same, and the hardware address of the source.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    peers: Peers,
    macs: Readings<Mac>,
}

fn flow_rows<'b>(
    batch: &'b RecordBatch,
    Ends { peers: [sources, destinations], macs }: &mut Ends,
    each: &mut dyn FnMut(usize, FlowRow<'b>),
) -> Result<(), ScoreError> {
    let first: &TimestampMicrosecondArray = column(batch, "first_seen")?;
    let last: &TimestampMicrosecondArray = column(batch, "last_seen")?;
    let start: &TimestampMicrosecondArray = column(batch, "flow_start")?;
    let segment: &UInt32Array = column(batch, "segment")?;
    let (src, dst) = (sources.of(Texts::of(batch, "src_ip")?), destinations.of(Texts::of(batch, "dst_ip")?));
    let (src_port, dst_port): (&UInt16Array, &UInt16Array) = (column(batch, "src_port")?, column(batch, "dst_port")?);
    let proto: &UInt8Array = column(batch, "proto")?;
    let (sent, sent_bytes): (&UInt64Array, &UInt64Array) = (column(batch, "src_packets")?, column(batch, "src_bytes")?);
    let (back, back_bytes): (&UInt64Array, &UInt64Array) = (column(batch, "dst_packets")?, column(batch, "dst_bytes")?);
    let (state, service) = (Texts::of(batch, "conn_state")?, Texts::of(batch, "service")?);
    let macs = macs.of(Texts::of(batch, "src_mac")?);
    for at in 0..batch.num_rows() {
        let (Some(src), Some(dst)) = (src.get(at), dst.get(at)) else { continue };
        let first_seen = value!(first, at).unwrap_or(0);
        each(
            at,
            FlowRow {
                first_seen,
                last_seen: value!(last, at).unwrap_or(first_seen),
                // Files of exporters without it: each record is a connection.
                flow_start: value!(start, at).unwrap_or(first_seen),
                segment: value!(segment, at).unwrap_or(0),
                src,
                dst,
                src_port: value!(src_port, at).unwrap_or(0),
                dst_port: value!(dst_port, at).unwrap_or(0),
                proto: value!(proto, at).unwrap_or(0),
                src_packets: value!(sent, at).unwrap_or(0),
                src_bytes: value!(sent_bytes, at).unwrap_or(0),
                dst_packets: value!(back, at),
                dst_bytes: value!(back_bytes, at),
                conn_state: state.filled(at),
                service: service.filled(at),
                src_mac: macs.get(at),
            },
        );
    }
    Ok(())
}

fn dns_rows(batch: &RecordBatch, each: &mut dyn FnMut(usize, DnsRow<'_>)) -> Result<(), ScoreError> {
    let first: &TimestampMicrosecondArray = column(batch, "first_seen")?;
    let (client, server): (&StringArray, &StringArray) = (column(batch, "client_ip")?, column(batch, "server_ip")?);
    let qname: &StringArray = column(batch, "qname")?;
    let (qtype, rcode): (&UInt16Array, &UInt16Array) = (column(batch, "qtype")?, column(batch, "rcode")?);
    let length: &UInt16Array = column(batch, "response_len")?;
    let damage: &StringArray = column(batch, "damage")?;
    let answers = Answers::of(batch)?;
    let mut addresses = Vec::new();
    for at in 0..batch.num_rows() {
        let Some(client) = address(client, at) else { continue };
        networks(&answers, at, &mut addresses);
        each(
            at,
            DnsRow {
                first_seen: value!(first, at).unwrap_or(0),
                client,
                server: address(server, at).unwrap_or(client),
                qname: text(qname, at).unwrap_or(""),
                qtype: value!(qtype, at).unwrap_or(0),
                rcode: value!(rcode, at),
                damaged: !damage.is_null(at),
                response_len: value!(length, at),
                addresses: &addresses,
            },
        );
    }
    Ok(())
}

/// Addresses looked at of one answer.
const ADDRESSES: usize = 64;

/// Network and time to live of each address in a row's answer.
fn networks(answers: &Answers<'_>, row: usize, networks: &mut Vec<(u64, u32)>) {
    networks.clear();
    for (_, ttl, data) in answers.records(row).take(ADDRESSES).filter(|(kind, ..)| matches!(kind, 1 | 28)) {
        let network = match data.parse() {
            Ok(IpAddr::V4(v4)) => u64::from(v4.to_bits() >> 8),
            // 48 bits, apart from those of IPv4.
            Ok(IpAddr::V6(v6)) => (v6.to_bits() >> 80) as u64 | 1 << 63,
            Err(_) => continue,
        };
        networks.push((network, ttl));
    }
}

fn proxy_rows(batch: &RecordBatch, each: &mut dyn FnMut(usize, ProxyRow<'_>)) -> Result<(), ScoreError> {
    let first: &TimestampMicrosecondArray = column(batch, "first_seen")?;
    let (client, server): (&StringArray, &StringArray) = (column(batch, "client_ip")?, column(batch, "server_ip")?);
    let (method, host): (&StringArray, &StringArray) = (column(batch, "method")?, column(batch, "host")?);
    let (agent, ja4): (&StringArray, &StringArray) = (column(batch, "user_agent")?, column(batch, "ja4")?);
    let (path, query): (&StringArray, &StringArray) = (column(batch, "uri_path")?, column(batch, "uri_query")?);
    let referer: &StringArray = column(batch, "referer")?;
    let status: &UInt16Array = column(batch, "status")?;
    let request: &UInt64Array = column(batch, "request_bytes")?;
    let response: &UInt64Array = column(batch, "response_bytes")?;
    for at in 0..batch.num_rows() {
        let Some(client) = address(client, at) else { continue };
        each(
            at,
            ProxyRow {
                first_seen: value!(first, at).unwrap_or(0),
                client,
                server: address(server, at),
                method: text(method, at).unwrap_or(""),
                host: text(host, at).unwrap_or(""),
                uri_path: text(path, at).unwrap_or(""),
                uri_query: text(query, at).unwrap_or(""),
                status: value!(status, at),
                user_agent: text(agent, at),
                referer: text(referer, at),
                ja4: text(ja4, at),
                request_bytes: value!(request, at),
                response_bytes: value!(response, at),
            },
        );
    }
    Ok(())
}
