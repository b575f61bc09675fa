//! Raw records.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Source;

/// Raw flows between two addresses in one minute, either way.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FlowDetailsQuery {
    /// One address.
    pub src: String,
    /// The other.
    pub dst: String,
    /// A moment in the minute, RFC 3339.
    pub time: String,
    /// Rows at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
    /// The record that they are looked at for: it stands in the audit log then.
    pub record_id: Option<String>,
}

/// Raw questions for one name in one hour.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DnsDetailsQuery {
    /// The name, lower case; names below it count too.
    pub name: String,
    /// A moment in the hour, RFC 3339.
    pub time: String,
    /// Rows at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
    /// The record that they are looked at for: it stands in the audit log then.
    pub record_id: Option<String>,
}

/// Raw requests of one client for one address in one hour.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProxyDetailsQuery {
    /// The whole address.
    pub uri: String,
    /// The client.
    pub client: String,
    /// A moment in the hour, RFC 3339.
    pub time: String,
    /// Rows at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
    /// The record that they are looked at for: it stands in the audit log then.
    pub record_id: Option<String>,
}

/// Raw flow records.
#[derive(Debug, Serialize, ToSchema)]
pub struct FlowDetails {
    /// First moment of the span, and the first after it.
    pub from: String,
    /// The first moment after the span.
    pub to: String,
    /// Are there more than `rows` has?
    pub more: bool,
    /// The records, oldest first.
    pub rows: Vec<FlowDetail>,
}

/// One raw flow record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FlowDetail {
    /// Identity.
    pub record_id: String,
    /// First packet.
    pub first_seen: String,
    /// Last packet.
    pub last_seen: String,
    /// Initiator.
    pub src_ip: String,
    /// Responder.
    pub dst_ip: String,
    /// Initiator's port.
    pub src_port: u16,
    /// Responder's port.
    pub dst_port: u16,
    /// IANA protocol number.
    pub proto: u8,
    /// OR of the initiator's TCP flags.
    pub src_tcp_flags: Option<u8>,
    /// OR of the responder's TCP flags.
    pub dst_tcp_flags: Option<u8>,
    /// TOS of the initiator's first packet.
    pub src_tos: Option<u8>,
    /// Initiator to responder.
    pub src_packets: u64,
    /// Initiator to responder.
    pub src_bytes: u64,
    /// Responder to initiator.
    pub dst_packets: Option<u64>,
    /// Responder to initiator.
    pub dst_bytes: Option<u64>,
    /// Zeek's conn_state.
    pub conn_state: Option<String>,
    /// Protocol recognised.
    pub service: Option<String>,
    /// Exporter (Spot's router).
    pub exporter_ip: Option<String>,
    /// Interface it came in by.
    pub input_if: Option<u32>,
    /// Interface it went out by.
    pub output_if: Option<u32>,
}

/// Raw DNS questions.
#[derive(Debug, Serialize, ToSchema)]
pub struct DnsDetails {
    /// First moment of the span.
    pub from: String,
    /// The first moment after the span.
    pub to: String,
    /// Are there more than `rows` has?
    pub more: bool,
    /// The records, oldest first.
    pub rows: Vec<DnsDetail>,
}

/// One raw DNS question.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DnsDetail {
    /// Identity.
    pub record_id: String,
    /// Query, or answer if alone.
    pub first_seen: String,
    /// Who asked.
    pub client_ip: String,
    /// Who was asked.
    pub server_ip: String,
    /// Name as it was sent.
    pub qname: String,
    /// Type.
    pub qtype: u16,
    /// Class.
    pub qclass: u16,
    /// Response code; `null` where no answer was seen.
    pub rcode: Option<u16>,
    /// Bytes of the answer's frame.
    pub response_frame_len: Option<u32>,
    /// Time to the answer.
    pub rtt_us: Option<u32>,
    /// Data of the answers.
    #[serde(default)]
    #[schema(required = true)]
    pub answers: Vec<String>,
    /// What could not be read.
    pub damage: Option<String>,
}

/// Raw requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProxyDetails {
    /// First moment of the span.
    pub from: String,
    /// The first moment after the span.
    pub to: String,
    /// Are there more than `rows` has?
    pub more: bool,
    /// The records, oldest first.
    pub rows: Vec<ProxyDetail>,
}

/// One raw request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProxyDetail {
    /// Identity.
    pub record_id: String,
    /// When it was made.
    pub first_seen: String,
    /// Who asked.
    pub client_ip: String,
    /// Who answered.
    pub server_ip: Option<String>,
    /// Their port.
    pub server_port: Option<u16>,
    /// Host asked for.
    pub host: String,
    /// Method.
    pub method: String,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Web category.
    pub category: Option<String>,
    /// User agent.
    pub user_agent: Option<String>,
    /// Content type.
    pub content_type: Option<String>,
    /// Referer.
    pub referer: Option<String>,
    /// Bytes of the request.
    pub request_bytes: Option<u64>,
    /// Bytes of the answer.
    pub response_bytes: Option<u64>,
    /// The whole address.
    pub full_uri: String,
}

/// A record with every column of its table.
#[derive(Debug, Serialize, ToSchema)]
pub struct LakeRecord {
    /// Which table.
    pub source: Source,
    /// Identity.
    pub record_id: String,
    /// Every column, in the table's order. Numbers are exact as text.
    pub columns: Vec<RecordColumn>,
}

/// One column of a record.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordColumn {
    /// Name, as in the data model.
    pub name: String,
    /// Value as text; `null` = not observed.
    pub value: Option<String>,
}
