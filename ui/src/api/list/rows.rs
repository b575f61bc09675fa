//! A scored record of each source: the columns that are read, and the row they become.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::types::{
    DnsRow, Feature, Fired, FlowRow, Known, ProxyRow, Said, Source, Standing, Usual, ValueKind, Why,
};
use crate::api::words;

/// Columns that every scores table has.
pub(super) const COMMON: &str = "record_id, rank, fused_rank, detectors, group_id, group_size, score, surprise_bits, word_df, percentile, confidence, words, \
    deciding_side, explanation, first_seen, sensor, community_id, rules_applied, score_before, usual, days_before";

/// What the list needs to know of a source.
pub(super) trait Listed: Sized {
    const SOURCE: Source;
    /// Columns beyond [`COMMON`], as SQL.
    const COLUMNS: &'static str;
    /// Columns it can be sorted by.
    const SORTS: &'static [&'static str];
    /// A row as it is read.
    type Raw: DeserializeOwned;
    fn of(raw: Self::Raw) -> Self;
    /// Identity of the record, and what is said of it.
    fn said(&mut self) -> (&str, &mut Said);
    /// Fields that files of the context may know, with their values.
    fn values(&self) -> Vec<(&'static str, &str, ValueKind)>;
    /// Where what they know is kept.
    fn known(&mut self) -> &mut Vec<Known>;
}

/// The common columns of a row as it is read.
#[derive(Deserialize)]
pub(super) struct Common {
    record_id: String,
    rank: u32,
    fused_rank: u32,
    #[serde(default)]
    detectors: Option<Vec<Fired>>,
    group_id: u64,
    group_size: u32,
    score: f64,
    surprise_bits: Option<f64>,
    word_df: u64,
    percentile: f64,
    confidence: f64,
    words: String,
    deciding_side: Option<String>,
    explanation: Option<Explanation>,
    first_seen: String,
    sensor: String,
    community_id: Option<String>,
    #[serde(default)]
    rules_applied: Option<Vec<String>>,
    score_before: Option<f64>,
    #[serde(default)]
    usual: Option<Vec<Usual>>,
    days_before: Option<u8>,
}

#[derive(Deserialize, Default)]
struct Explanation {
    deciding_score: Option<f64>,
    feature: Option<String>,
    value: Option<String>,
    host_share: Option<f64>,
    all_share: Option<f64>,
    nearest_common: Option<String>,
}

impl Common {
    fn standing(&self) -> Standing {
        Standing {
            rank: self.fused_rank,
            spot_rank: self.rank,
            group_id: format!("{:016x}", self.group_id),
            group_size: self.group_size,
            score: self.score,
            surprise_bits: self.surprise_bits,
            percentile: self.percentile,
            confidence: self.confidence,
            word_hosts: self.word_df,
            words: self.words.clone(),
            days_before: self.days_before,
        }
    }

    fn said(&mut self) -> Said {
        Said { moved_by: self.rules_applied.take().unwrap_or_default(), before: self.score_before, ..Said::default() }
    }

    fn why(
        &mut self,
        host: String,
        word: String,
        (other_word, other_score): (Option<String>, Option<f64>),
        features: Vec<Feature>,
    ) -> Why {
        let explanation = self.explanation.take().unwrap_or_default();
        Why {
            host,
            side: self.deciding_side.take(),
            word,
            other_word,
            other_score,
            features,
            feature: explanation.feature,
            value: explanation.value,
            deciding_score: explanation.deciding_score,
            host_share: explanation.host_share,
            all_share: explanation.all_share,
            nearest_common: explanation.nearest_common,
            fired: self.detectors.take().unwrap_or_default(),
            usual: self.usual.take().unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawFlow {
    #[serde(flatten)]
    common: Common,
    last_seen: String,
    src_ip: String,
    dst_ip: String,
    src_port: u16,
    dst_port: u16,
    proto: u8,
    src_packets: u64,
    src_bytes: u64,
    dst_packets: Option<u64>,
    dst_bytes: Option<u64>,
    conn_state: Option<String>,
    service: Option<String>,
    src_word: String,
    dst_word: String,
    src_score: Option<f64>,
    dst_score: Option<f64>,
    src_internal: Option<bool>,
    dst_internal: Option<bool>,
}

impl Listed for FlowRow {
    const SOURCE: Source = Source::Flow;
    const COLUMNS: &'static str = "last_seen, src_ip, dst_ip, src_port, dst_port, proto, src_packets, src_bytes, dst_packets, \
        dst_bytes, conn_state, service, src_word, dst_word, src_score, dst_score, src_internal, dst_internal";
    const SORTS: &'static [&'static str] =
        &["src_ip", "dst_ip", "src_port", "dst_port", "proto", "src_packets", "src_bytes", "dst_packets", "dst_bytes"];
    type Raw = RawFlow;

    fn said(&mut self) -> (&str, &mut Said) {
        (&self.record_id, &mut self.said)
    }

    fn values(&self) -> Vec<(&'static str, &str, ValueKind)> {
        vec![("src_ip", &self.src_ip, ValueKind::Address), ("dst_ip", &self.dst_ip, ValueKind::Address)]
    }

    fn known(&mut self) -> &mut Vec<Known> {
        &mut self.known
    }

    fn of(mut raw: RawFlow) -> Self {
        let (host, word, other) = if raw.common.deciding_side.as_deref() == Some("dst") {
            (raw.dst_ip.clone(), raw.dst_word, (Some(raw.src_word), raw.src_score))
        } else {
            (raw.src_ip.clone(), raw.src_word, (Some(raw.dst_word), raw.dst_score))
        };
        let features = words::flow(&word, raw.proto);
        Self {
            standing: raw.common.standing(),
            said: raw.common.said(),
            known: Vec::new(),
            why: raw.common.why(host, word, other, features),
            record_id: raw.common.record_id,
            first_seen: raw.common.first_seen,
            last_seen: raw.last_seen,
            sensor: raw.common.sensor,
            src_ip: raw.src_ip,
            dst_ip: raw.dst_ip,
            src_port: raw.src_port,
            dst_port: raw.dst_port,
            proto: raw.proto,
            src_packets: raw.src_packets,
            src_bytes: raw.src_bytes,
            dst_packets: raw.dst_packets,
            dst_bytes: raw.dst_bytes,
            conn_state: raw.conn_state,
            service: raw.service,
            src_internal: raw.src_internal,
            dst_internal: raw.dst_internal,
            community_id: raw.common.community_id.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawDns {
    #[serde(flatten)]
    common: Common,
    client_ip: String,
    server_ip: String,
    transport: String,
    qname: String,
    qname_wire: String,
    qtype: u16,
    qclass: u16,
    rcode: Option<u16>,
    response_frame_len: Option<u32>,
    word: String,
}

impl Listed for DnsRow {
    const SOURCE: Source = Source::Dns;
    const COLUMNS: &'static str =
        "client_ip, server_ip, transport, qname, qname_wire, qtype, qclass, rcode, response_frame_len, word";
    const SORTS: &'static [&'static str] = &["client_ip", "qname", "qtype", "qclass", "rcode", "response_frame_len"];
    type Raw = RawDns;

    fn said(&mut self) -> (&str, &mut Said) {
        (&self.record_id, &mut self.said)
    }

    fn values(&self) -> Vec<(&'static str, &str, ValueKind)> {
        vec![("client_ip", &self.client_ip, ValueKind::Address), ("qname", &self.qname, ValueKind::Name)]
    }

    fn known(&mut self) -> &mut Vec<Known> {
        &mut self.known
    }

    fn of(mut raw: RawDns) -> Self {
        let features = words::dns(&raw.word);
        Self {
            standing: raw.common.standing(),
            said: raw.common.said(),
            known: Vec::new(),
            why: raw.common.why(raw.client_ip.clone(), raw.word, (None, None), features),
            record_id: raw.common.record_id,
            first_seen: raw.common.first_seen,
            sensor: raw.common.sensor,
            client_ip: raw.client_ip,
            server_ip: raw.server_ip,
            transport: raw.transport,
            qname: raw.qname,
            qname_wire: raw.qname_wire,
            qtype: raw.qtype,
            qclass: raw.qclass,
            rcode: raw.rcode,
            response_frame_len: raw.response_frame_len,
            community_id: raw.common.community_id.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawProxy {
    #[serde(flatten)]
    common: Common,
    client_ip: String,
    server_ip: Option<String>,
    scheme: String,
    method: String,
    host: String,
    full_uri: String,
    user_agent: Option<String>,
    referer: Option<String>,
    content_type: Option<String>,
    category: Option<String>,
    status: Option<u16>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    word: String,
}

impl Listed for ProxyRow {
    const SOURCE: Source = Source::Proxy;
    const COLUMNS: &'static str = "client_ip, server_ip, scheme, method, host, full_uri, user_agent, referer, content_type, \
        category, status, request_bytes, response_bytes, word";
    const SORTS: &'static [&'static str] =
        &["client_ip", "host", "method", "full_uri", "category", "status", "response_bytes"];
    type Raw = RawProxy;

    fn said(&mut self) -> (&str, &mut Said) {
        (&self.record_id, &mut self.said)
    }

    fn values(&self) -> Vec<(&'static str, &str, ValueKind)> {
        let name = if self.host.parse::<std::net::IpAddr>().is_ok() { ValueKind::Address } else { ValueKind::Name };
        vec![
            ("client_ip", &self.client_ip, ValueKind::Address),
            ("host", &self.host, name),
            ("full_uri", &self.full_uri, ValueKind::Uri),
        ]
    }

    fn known(&mut self) -> &mut Vec<Known> {
        &mut self.known
    }

    fn of(mut raw: RawProxy) -> Self {
        let features = words::proxy(&raw.word, &raw.method);
        Self {
            standing: raw.common.standing(),
            said: raw.common.said(),
            known: Vec::new(),
            why: raw.common.why(raw.client_ip.clone(), raw.word, (None, None), features),
            record_id: raw.common.record_id,
            first_seen: raw.common.first_seen,
            sensor: raw.common.sensor,
            client_ip: raw.client_ip,
            server_ip: raw.server_ip,
            scheme: raw.scheme,
            method: raw.method,
            host: raw.host,
            full_uri: raw.full_uri,
            user_agent: raw.user_agent,
            referer: raw.referer,
            content_type: raw.content_type,
            category: raw.category,
            status: raw.status,
            request_bytes: raw.request_bytes,
            response_bytes: raw.response_bytes,
        }
    }
}
