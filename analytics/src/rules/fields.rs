//! Sigma's fields and ours: what a log source of Sigma is as a table, and what a field of it is as a column.

use aggregator::lake::Source;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holds {
    /// Text.
    Text,
    /// An address.
    Address,
    /// A number.
    Number,
    /// A number that has names.
    Named(&'static [(&'static str, u16)]),
}

/// IANA protocol numbers.
const PROTOCOLS: &[(&str, u16)] =
    &[("icmp", 1), ("tcp", 6), ("udp", 17), ("gre", 47), ("esp", 50), ("ipv6-icmp", 58), ("icmp6", 58), ("sctp", 132)];
/// Types of DNS questions (IANA).
const QTYPES: &[(&str, u16)] = &[
    ("a", 1),
    ("ns", 2),
    ("cname", 5),
    ("soa", 6),
    ("null", 10),
    ("ptr", 12),
    ("mx", 15),
    ("txt", 16),
    ("aaaa", 28),
    ("srv", 33),
    ("naptr", 35),
    ("opt", 41),
    ("ds", 43),
    ("https", 65),
    ("axfr", 252),
    ("any", 255),
    ("*", 255),
    ("caa", 257),
];
/// Response codes of DNS (IANA).
const RCODES: &[(&str, u16)] =
    &[("noerror", 0), ("formerr", 1), ("servfail", 2), ("nxdomain", 3), ("notimp", 4), ("refused", 5)];

/// The table of a log source: by category, else by product and service. `None` for what no record here is.
pub(super) fn table(category: Option<&str>, product: Option<&str>, service: Option<&str>) -> Option<Source> {
    match (category, product, service) {
        (Some("firewall" | "network_connection" | "netflow" | "network_traffic"), ..) => Some(Source::Flow),
        (Some("dns" | "dns_query"), ..) => Some(Source::Dns),
        (Some("proxy" | "webserver"), ..) => Some(Source::Proxy),
        (_, Some("zeek"), Some("conn")) | (_, Some("netflow" | "spotter"), Some("flow")) => Some(Source::Flow),
        (_, Some("zeek" | "spotter"), Some("dns")) => Some(Source::Dns),
        (_, Some("zeek"), Some("http" | "ssl" | "x509")) | (_, Some("spotter"), Some("proxy")) => Some(Source::Proxy),
        _ => None,
    }
}

/// The column of a field and what it holds. Our own column names are fields too.
pub(super) fn column(source: Source, field: &str) -> Option<(&'static str, Holds)> {
    use Holds::{Address, Named, Number, Text};
    let field = field.to_lowercase();
    Some(match (source, field.as_str()) {
        (Source::Flow, "src_ip" | "id.orig_h" | "sourceip" | "src" | "source.ip") => ("src_ip", Address),
        (Source::Flow, "dst_ip" | "id.resp_h" | "destinationip" | "dst" | "destination.ip") => ("dst_ip", Address),
        (Source::Flow, "src_port" | "id.orig_p" | "sourceport" | "source.port") => ("src_port", Number),
        (Source::Flow, "dst_port" | "id.resp_p" | "destinationport" | "destination.port") => ("dst_port", Number),
        (Source::Flow, "proto" | "protocol" | "network.transport") => ("proto", Named(PROTOCOLS)),
        (Source::Flow, "src_bytes" | "orig_bytes" | "orig_ip_bytes" | "bytes_out") => ("src_bytes", Number),
        (Source::Flow, "dst_bytes" | "resp_bytes" | "resp_ip_bytes" | "bytes_in") => ("dst_bytes", Number),
        (Source::Flow, "src_packets" | "orig_pkts") => ("src_packets", Number),
        (Source::Flow, "dst_packets" | "resp_pkts") => ("dst_packets", Number),
        (Source::Flow, "service") => ("service", Text),
        (Source::Flow, "conn_state") => ("conn_state", Text),
        (Source::Flow, "history") => ("history", Text),
        (Source::Dns, "query" | "queryname" | "qname" | "dns.question.name" | "question") => ("qname", Text),
        (Source::Dns, "record_type" | "qtype_name" | "querytype" | "qtype" | "dns.question.type") => {
            ("qtype", Named(QTYPES))
        }
        (Source::Dns, "rcode_name" | "rcode" | "response_code" | "dns.response_code") => ("rcode", Named(RCODES)),
        (Source::Dns, "src_ip" | "id.orig_h" | "client_ip" | "sourceip") => ("client_ip", Address),
        (Source::Dns, "dst_ip" | "id.resp_h" | "server_ip" | "destinationip") => ("server_ip", Address),
        (Source::Dns, "dst_port" | "id.resp_p" | "server_port") => ("server_port", Number),
        (Source::Dns, "proto" | "transport") => ("transport", Text),
        (Source::Proxy, "c-uri" | "uri" | "full_uri" | "url.original") => ("full_uri", Text),
        (Source::Proxy, "cs-uri-stem" | "c-uri-path" | "uri_path" | "url.path") => ("uri_path", Text),
        (Source::Proxy, "c-uri-query" | "cs-uri-query" | "uri_query" | "url.query") => ("uri_query", Text),
        (Source::Proxy, "c-uri-extension" | "uri_extension") => ("uri_extension", Text),
        (Source::Proxy, "cs-host" | "r-dns" | "host" | "destination.domain" | "url.domain") => ("host", Text),
        (Source::Proxy, "cs-method" | "method" | "http.request.method") => ("method", Text),
        (Source::Proxy, "c-useragent" | "cs-user-agent" | "user_agent" | "user_agent.original") => ("user_agent", Text),
        (Source::Proxy, "sc-status" | "status_code" | "status" | "http.response.status_code") => ("status", Number),
        (Source::Proxy, "cs-referrer" | "cs-referer" | "referrer" | "referer") => ("referer", Text),
        (Source::Proxy, "cs-content-type" | "content_type" | "resp_mime_types") => ("content_type", Text),
        (Source::Proxy, "cs-username" | "username") => ("username", Text),
        (Source::Proxy, "c-ip" | "src_ip" | "id.orig_h" | "client_ip") => ("client_ip", Address),
        (Source::Proxy, "r-ip" | "dst_ip" | "id.resp_h" | "server_ip") => ("server_ip", Address),
        (Source::Proxy, "dst_port" | "id.resp_p" | "server_port" | "cs-port") => ("server_port", Number),
        (Source::Proxy, "cs-bytes" | "request_body_len" | "request_bytes") => ("request_bytes", Number),
        (Source::Proxy, "sc-bytes" | "response_body_len" | "response_bytes") => ("response_bytes", Number),
        (Source::Proxy, "server_name" | "tls_sni" | "tls.client.server_name") => ("tls_sni", Text),
        (Source::Proxy, "ja4") => ("ja4", Text),
        (Source::Proxy, "category" | "cs-categories") => ("category", Text),
        _ => return None,
    })
}
