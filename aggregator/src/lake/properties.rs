//! How each column is encoded. Times are delta-packed, the bytes of counters apart; text that repeats has a dictionary,
//! text that does not has none; what is looked up by value has a bloom filter.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Table, schema};

/// What rises slowly, and numbers that are nearly always the same: delta-packed, no dictionary, which would look up
/// every value.
const PACKED: &[&str] = &["first_seen", "last_seen", "segment", "sampling", "observations", "rank", "fused_rank"];

/// Ports and counters: their bytes apart, for the compressor. 1.4 bytes a counter instead of 2.2 delta-packed.
const SPLIT: &[&str] = &[
    "src_port",
    "src_packets",
    "src_bytes",
    "dst_packets",
    "dst_bytes",
    "client_port",
    "id",
    "rtt_us",
    "duration_us",
    "request_bytes",
    "response_bytes",
];

/// Times of flows near to the one that rows are sorted by: as they are, for the compressor. 2.4 bytes instead of 3.2
/// delta-packed. (Messages are over at once: theirs are nearly in order.)
const WHOLE: &[&str] = &["last_seen", "flow_start"];

/// Text that hardly repeats: no dictionary.
const UNIQUE: &[&str] = &["record_id", "community_id", "full_uri", "score", "surprise_bits", "value"];

/// What is not compressed: the bytes of a hash, which cannot be; and columns that nearly always hold one value or none,
/// whose runs are a few bytes already: a compressor for each costs more to set up than their data to write.
const UNCOMPRESSED: &[&str] = &[
    "record_id",
    "segment",
    "sensor",
    "origin",
    "src_tos",
    "dst_tos",
    "ethertype",
    "vlan",
    "cos",
    "exporter_ip",
    "fwd_status",
    "peer_src",
    "sampling",
    "observations",
    "tunnel",
    "transport",
    "qclass",
    "question",
    "opcode",
    "rcode",
    "edns_udp_size",
    "additional_count",
    "damage",
    "scheme",
    "method",
    "username",
    "auth_group",
    "category",
    "action",
    "filter_result",
    "exception_id",
    "virus_id",
    "app_name",
    "app_operation",
    "tls_version",
    "tls_alpn",
];

/// Text of which the front is always the same: it is written once.
const PREFIXED: &[&str] = &["community_id"];

/// Columns that are looked up by value: bloom filter.
const LOOKED_UP: &[&str] =
    &["src_ip", "dst_ip", "client_ip", "server_ip", "exporter_ip", "qname", "host", "tls_sni", "community_id"];

/// Columns whose pages are told apart by smallest and largest value.
const PRUNED: &[&str] = &["first_seen", "last_seen", "interval_start", "interval_end", "ts", "rank"];

/// Columns whose smallest and largest value tell nothing: hashes, and text in which every part has the whole range
/// (addresses are found by their bloom filters).
/// Comparing every value twice is a good part of what such a column costs.
const WITHOUT_STATISTICS: &[&str] = &[
    "record_id",
    "community_id",
    "sensor",
    "origin",
    "src_ip",
    "dst_ip",
    "conn_state",
    "history",
    "src_mac",
    "dst_mac",
    "service",
    "tunnel",
];

/// Share of false hits of a bloom filter.
const FALSE_POSITIVES: f64 = 0.02;

/// Rows of a data page at most: the unit in which readers skip.
pub(super) const PAGE_ROWS: usize = 16_384;

/// The properties of a part. `rows` is what its row groups will hold at most.
pub(super) fn properties(table: Table, rows: usize, metadata: Vec<KeyValue>) -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    let schema = schema::of_table(table);
    // Not `field_with_name`: what it says of a name that is not there lists all that are, and costs more than the rest.
    let has = |name: &&&str| schema.fields().find(name).is_some();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("spotter ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(metadata));
    if !matches!(table, Table::Scores(_)) {
        let key = [schema::time_column(table), "record_id"];
        let order = key.iter().filter_map(|name| schema.index_of(name).ok()).filter_map(|at| i32::try_from(at).ok());
        let order = order.map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false });
        builder = builder.set_sorting_columns(Some(order.collect()));
    }
    for name in PACKED.iter().filter(has) {
        builder = builder
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in UNIQUE.iter().filter(has) {
        builder = builder.set_column_dictionary_enabled(column(name), false);
    }
    let whole = if table == Table::Flow { WHOLE } else { &[] };
    for (names, encoding) in [(SPLIT, Encoding::BYTE_STREAM_SPLIT), (whole, Encoding::PLAIN)] {
        for name in names.iter().filter(has) {
            builder =
                builder.set_column_dictionary_enabled(column(name), false).set_column_encoding(column(name), encoding);
        }
    }
    for name in PREFIXED.iter().filter(has) {
        builder = builder.set_column_encoding(column(name), Encoding::DELTA_BYTE_ARRAY);
    }
    for name in UNCOMPRESSED.iter().filter(has) {
        builder = builder.set_column_compression(column(name), Compression::UNCOMPRESSED);
    }
    for name in LOOKED_UP.iter().filter(has) {
        builder = builder
            .set_column_bloom_filter_enabled(column(name), true)
            .set_column_bloom_filter_fpp(column(name), FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column(name), rows.max(1) as u64);
    }
    for name in PRUNED.iter().filter(has) {
        builder = builder.set_column_statistics_enabled(column(name), EnabledStatistics::Page);
    }
    for name in WITHOUT_STATISTICS.iter().filter(has) {
        builder = builder.set_column_statistics_enabled(column(name), EnabledStatistics::None);
    }
    builder.build()
}
