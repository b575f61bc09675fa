//! The Arrow schemas of the lake's tables, exactly DATA-MODEL's: names, order, types, nullability.
//!
//! Promise: a column is never reused with another meaning; new columns come at the end, so a reader
//! asks for columns by name and takes a missing one (an old file) as null.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::{Source, Table};

/// Version of the schemas, written to every file as `spotter.schema`. Counted up when columns are added.
pub const VERSION: u32 = 1;

/// The type of every time column: microseconds since the epoch, UTC.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The type of `record_id`.
pub const RECORD_ID: DataType = DataType::FixedSizeBinary(16);

fn ts(name: &str) -> Field {
    Field::new(name, timestamp(), false)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn of(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

/// A column whose null means "not observed".
fn opt(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn opt_text(name: &str) -> Field {
    opt(name, DataType::Utf8)
}

fn list_of(name: &str, fields: Fields) -> Field {
    of(name, DataType::List(Arc::new(Field::new("item", DataType::Struct(fields), false))))
}

/// One DNS resource record: the element of `answers` and `authorities`.
pub fn resource_record() -> Fields {
    vec![text("name"), of("type", DataType::UInt16), of("ttl", DataType::UInt32), text("data")].into()
}

/// `flow`: one row per biflow record.
pub fn flow() -> SchemaRef {
    use DataType::{UInt8, UInt16, UInt32, UInt64};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            of("record_id", RECORD_ID),
            ts("first_seen"),
            ts("last_seen"),
            ts("flow_start"),
            of("segment", UInt32),
            text("sensor"),
            text("origin"),
            text("src_ip"),
            text("dst_ip"),
            of("src_port", UInt16),
            of("dst_port", UInt16),
            of("proto", UInt8),
            of("src_packets", UInt64),
            of("src_bytes", UInt64),
            opt("dst_packets", UInt64),
            opt("dst_bytes", UInt64),
            opt("src_tcp_flags", UInt8),
            opt("dst_tcp_flags", UInt8),
            opt("src_tos", UInt8),
            opt("dst_tos", UInt8),
            opt_text("conn_state"),
            opt_text("history"),
            opt_text("src_mac"),
            opt_text("dst_mac"),
            opt("ethertype", UInt16),
            opt("vlan", UInt16),
            opt("cos", UInt8),
            of("end_reason", UInt8),
            opt_text("exporter_ip"),
            opt("input_if", UInt32),
            opt("output_if", UInt32),
            opt("fwd_status", UInt8),
            opt("src_as", UInt32),
            opt("dst_as", UInt32),
            opt("src_mask", UInt8),
            opt("dst_mask", UInt8),
            opt_text("next_hop"),
            opt_text("peer_src"),
            opt_text("peer_dst"),
            of("sampling", UInt32),
            of("observations", UInt16),
            opt_text("tunnel"),
            opt_text("service"),
            text("community_id"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// `dns`: one row per question.
pub fn dns() -> SchemaRef {
    use DataType::{UInt8, UInt16, UInt32};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            of("record_id", RECORD_ID),
            ts("first_seen"),
            ts("last_seen"),
            text("sensor"),
            text("origin"),
            text("client_ip"),
            of("client_port", UInt16),
            text("server_ip"),
            of("server_port", UInt16),
            text("transport"),
            of("id", UInt16),
            text("qname"),
            text("qname_wire"),
            of("qtype", UInt16),
            of("qclass", UInt16),
            of("question", UInt8),
            of("opcode", UInt8),
            opt("rcode", UInt16),
            opt("rtt_us", UInt32),
            opt("query_len", UInt16),
            opt("response_len", UInt16),
            opt("response_frame_len", UInt32),
            of("flags", UInt16),
            opt("edns_udp_size", UInt16),
            list_of("answers", resource_record()),
            list_of("authorities", resource_record()),
            of("additional_count", UInt16),
            opt_text("damage"),
            text("community_id"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// `proxy`: one row per request.
pub fn proxy() -> SchemaRef {
    use DataType::{UInt16, UInt64};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            of("record_id", RECORD_ID),
            ts("first_seen"),
            ts("last_seen"),
            text("sensor"),
            text("origin"),
            text("client_ip"),
            opt("client_port", UInt16),
            opt_text("server_ip"),
            opt("server_port", UInt16),
            text("scheme"),
            text("method"),
            text("host"),
            text("uri_path"),
            opt_text("uri_query"),
            opt_text("uri_extension"),
            text("full_uri"),
            opt_text("user_agent"),
            opt_text("referer"),
            opt_text("content_type"),
            opt("status", UInt16),
            opt_text("username"),
            opt_text("auth_group"),
            opt_text("category"),
            opt_text("action"),
            opt_text("filter_result"),
            opt_text("exception_id"),
            opt_text("virus_id"),
            opt_text("app_name"),
            opt_text("app_operation"),
            opt("duration_us", UInt64),
            opt("request_bytes", UInt64),
            opt("response_bytes", UInt64),
            opt_text("tls_version"),
            opt_text("tls_sni"),
            opt_text("tls_alpn"),
            opt_text("ja4"),
            opt_text("community_id"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// An address or prefix in `leases`: for how many seconds; 0 = given up by the client.
pub fn lease() -> Fields {
    vec![text("address"), of("prefix_len", DataType::UInt8), of("valid_s", DataType::UInt32)].into()
}

/// `dhcp`: one row per transaction. Names are Zeek's (dhcp.log) where it has them.
pub fn dhcp() -> SchemaRef {
    use DataType::{UInt8, UInt16, UInt32, UInt64};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            of("record_id", RECORD_ID),
            ts("first_seen"),
            ts("last_seen"),
            text("sensor"),
            text("origin"),
            of("version", UInt8),
            opt("xid", UInt32),
            opt_text("client_addr"),
            opt("client_port", UInt16),
            opt_text("server_addr"),
            opt("server_port", UInt16),
            opt_text("relay_addr"),
            opt_text("mac"),
            opt_text("client_id"),
            opt_text("host_name"),
            opt_text("client_fqdn"),
            opt_text("domain"),
            opt_text("requested_addr"),
            opt_text("assigned_addr"),
            opt("lease_time", UInt32),
            list_of("leases", lease()),
            opt_text("client_message"),
            opt_text("server_message"),
            opt_text("vendor_class"),
            opt_text("param_list"),
            of("msg_types", DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)))),
            of("duration_us", UInt64),
            opt_text("damage"),
            opt_text("community_id"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// `ledger`: one row per sensor, source, interval and counter.
pub fn ledger() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            ts("interval_start"),
            ts("interval_end"),
            text("sensor"),
            text("source"),
            opt("queue", DataType::Int32),
            text("clock"),
            text("counter"),
            of("value", DataType::UInt64),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// `interfaces`: one row per exporter interface and counter sample. The counters are sFlow's generic
/// interface counters (if_counters, sFlow v5 section 5.4), which are those of the IF-MIB (RFC 2863).
pub fn interfaces() -> SchemaRef {
    use DataType::{UInt32, UInt64};
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields =
            vec![ts("ts"), text("sensor"), text("exporter_ip"), of("if_index", UInt32), opt_text("if_name")];
        fields.extend([opt("if_type", UInt32), opt("if_speed", UInt64), opt("if_direction", UInt32)]);
        fields.push(opt("if_status", UInt32));
        let counters = [
            "if_in_octets",
            "if_in_ucast_pkts",
            "if_in_multicast_pkts",
            "if_in_broadcast_pkts",
            "if_in_discards",
            "if_in_errors",
            "if_in_unknown_protos",
            "if_out_octets",
            "if_out_ucast_pkts",
            "if_out_multicast_pkts",
            "if_out_broadcast_pkts",
            "if_out_discards",
            "if_out_errors",
        ];
        fields.extend(counters.map(|name| opt(name, UInt64)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// The struct of the `explanation` column: what made the deciding side's word rare.
pub fn explanation() -> Fields {
    use DataType::Float64;
    vec![
        opt("deciding_score", Float64),
        opt_text("feature"),
        opt_text("value"),
        opt("host_share", Float64),
        opt("all_share", Float64),
        opt_text("nearest_common"),
    ]
    .into()
}

/// The struct inside the `usual` list: a feature as the deciding host usually has it.
pub fn usual() -> Fields {
    vec![text("feature"), text("value"), of("share", DataType::Float64)].into()
}

/// The struct inside the `detectors` list.
pub fn detector() -> Fields {
    vec![text("name"), of("strength", DataType::Float64), text("evidence")].into()
}

/// Key columns and counters of the scored record, copied into its score row: same names and types as
/// in the record's own table.
fn record_columns(source: Source) -> Vec<Field> {
    let (table, names): (SchemaRef, &[&str]) = match source {
        Source::Flow => (
            flow(),
            &[
                "first_seen",
                "last_seen",
                "sensor",
                "origin",
                "src_ip",
                "dst_ip",
                "src_port",
                "dst_port",
                "proto",
                "src_packets",
                "src_bytes",
                "dst_packets",
                "dst_bytes",
                "src_tcp_flags",
                "dst_tcp_flags",
                "conn_state",
                "service",
                "community_id",
            ],
        ),
        Source::Dns => (
            dns(),
            &[
                "first_seen",
                "last_seen",
                "sensor",
                "origin",
                "client_ip",
                "client_port",
                "server_ip",
                "server_port",
                "transport",
                "qname",
                "qname_wire",
                "qtype",
                "qclass",
                "rcode",
                "rtt_us",
                "query_len",
                "response_len",
                "response_frame_len",
                "community_id",
            ],
        ),
        Source::Proxy => (
            proxy(),
            &[
                "first_seen",
                "last_seen",
                "sensor",
                "origin",
                "client_ip",
                "client_port",
                "server_ip",
                "server_port",
                "scheme",
                "method",
                "host",
                "full_uri",
                "user_agent",
                "referer",
                "content_type",
                "status",
                "username",
                "category",
                "duration_us",
                "request_bytes",
                "response_bytes",
                "tls_sni",
                "ja4",
                "community_id",
            ],
        ),
    };
    names.iter().filter_map(|name| table.field_with_name(name).ok().cloned()).collect()
}

/// `scores`: one row per scored record kept. The record's key columns and counters stand between
/// `words` and the words themselves (`src_word`, `dst_word` for flow; `word` for dns and proxy).
pub fn scores(source: Source) -> SchemaRef {
    static SCHEMAS: LazyLock<[SchemaRef; 3]> =
        LazyLock::new(|| [Source::Flow, Source::Dns, Source::Proxy].map(|source| Arc::new(build_scores(source))));
    let [flow, dns, proxy] = &*SCHEMAS;
    Arc::clone(match source {
        Source::Flow => flow,
        Source::Dns => dns,
        Source::Proxy => proxy,
    })
}

fn build_scores(source: Source) -> Schema {
    use DataType::{Boolean, Float64, Int8, UInt8, UInt32, UInt64};
    let mut fields = vec![
        text("run_id"),
        ts("scored_at"),
        of("record_id", RECORD_ID),
        of("rank", UInt32),
        of("fused_rank", UInt32),
        of("group_id", UInt64),
        of("group_size", UInt32),
        of("score", Float64),
        opt("surprise_bits", Float64),
        opt("leo", Float64),
        opt("lift_bits", Float64),
        opt("tail_log10", Float64),
        of("word_df", UInt64),
        of("percentile", Float64),
        of("confidence", Float64),
        text("model"),
        text("words"),
    ];
    fields.extend(record_columns(source));
    match source {
        Source::Flow => fields.extend([text("src_word"), text("dst_word")]),
        Source::Dns | Source::Proxy => fields.push(text("word")),
    }
    fields.extend([
        opt_text("deciding_side"),
        of("explanation", DataType::Struct(explanation())),
        list_of("detectors", detector()),
        of("rules_applied", DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)))),
        opt("score_before", Float64),
        opt("src_internal", Boolean),
        opt("dst_internal", Boolean),
        opt_text("src_geo"),
        opt_text("dst_geo"),
        opt_text("src_name"),
        opt_text("dst_name"),
        opt("reputation", Int8),
        opt_text("reputation_source"),
        opt_text("network_context"),
        opt("usual", DataType::List(Arc::new(Field::new("item", DataType::Struct(usual()), false)))),
        opt_text("src_name_source"),
        opt_text("dst_name_source"),
    ]);
    if source == Source::Flow {
        // P(src_word | src_ip) and P(dst_word | dst_ip): the smaller is `score`.
        fields.extend([opt("src_score", Float64), opt("dst_score", Float64)]);
    }
    // Of the seven scored days before: those whose list had the group.
    fields.push(opt("days_before", UInt8));
    Schema::new(fields)
}

/// The schema of a table.
pub fn of_table(table: Table) -> SchemaRef {
    match table {
        Table::Flow => flow(),
        Table::Dns => dns(),
        Table::Proxy => proxy(),
        Table::Dhcp => dhcp(),
        Table::Ledger => ledger(),
        Table::Interfaces => interfaces(),
        Table::Scores(source) => scores(source),
    }
}

/// The column by which a table's rows are put in their hour.
pub const fn time_column(table: Table) -> &'static str {
    match table {
        Table::Flow | Table::Dns | Table::Proxy | Table::Dhcp | Table::Scores(_) => "first_seen",
        Table::Ledger => "interval_start",
        Table::Interfaces => "ts",
    }
}
