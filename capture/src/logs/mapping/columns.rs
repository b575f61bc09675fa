//! The columns a mapping may name: those of the lake's tables (README and the data model say what they mean), and durations, which the
//! lake has as times.

/// A table of the lake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Flow,
    Dns,
    Proxy,
}

pub(super) const FLOW: &[&str] = &[
    "first_seen",
    "last_seen",
    "duration",
    "duration_ms",
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
    "src_tos",
    "vlan",
    "service",
    "sampling",
    "exporter_ip",
    "input_if",
    "output_if",
    "src_as",
    "dst_as",
];

pub(super) const DNS: &[&str] = &[
    "first_seen",
    "rtt",
    "rtt_ms",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "transport",
    "id",
    "qname",
    "qtype",
    "qclass",
    "rcode",
    "answers",
];

pub(super) const PROXY: &[&str] = &[
    "first_seen",
    "duration",
    "duration_ms",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "scheme",
    "method",
    "host",
    "uri_path",
    "uri_query",
    "full_uri",
    "user_agent",
    "referer",
    "content_type",
    "status",
    "username",
    "auth_group",
    "category",
    "action",
    "filter_result",
    "exception_id",
    "virus_id",
    "app_name",
    "app_operation",
    "request_bytes",
    "response_bytes",
    "tls_version",
    "tls_sni",
    "tls_alpn",
];

impl Table {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
        }
    }

    /// Without these a row says nothing.
    pub(super) const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Flow => &["first_seen", "src_ip", "dst_ip"],
            Self::Dns => &["first_seen", "client_ip", "server_ip", "qname"],
            Self::Proxy => &["first_seen", "client_ip"],
        }
    }
}
