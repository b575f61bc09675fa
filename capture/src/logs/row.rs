//! What a log row says, whatever the log.

use std::net::IpAddr;

use crate::{AddressPair, DnsTransport, Nanos};

/// Which log a row is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the programs'")]
pub enum LogKind {
    Zeek,
    BlueCoat,
    Squid,
    HaProxy,
    W3c,
    Suricata,
    Pmacct,
    Csv,
    Json,
    /// Apache Spot's own tables.
    Spot,
}

impl LogKind {
    /// The `origin` of its records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zeek => "zeek",
            Self::BlueCoat => "bluecoat",
            Self::Squid => "squid",
            Self::HaProxy => "haproxy",
            Self::W3c => "w3c",
            Self::Suricata => "suricata",
            Self::Pmacct => "pmacct",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Spot => "spot",
        }
    }
}

/// A row.
#[derive(Clone, PartialEq, Debug)]
pub enum LogRow {
    /// A connection.
    Connection(Box<LogConnection>),
    /// A DNS question.
    Dns(Box<LogDns>),
    /// A request.
    Request(Box<LogRequest>),
    /// A DHCP transaction.
    Dhcp(Box<LogDhcp>),
}

/// A connection, or a flow.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct LogConnection {
    pub kind: LogKind,
    pub first: Nanos,
    pub last: Nanos,
    /// ICMP: type and code in the ports.
    pub pair: AddressPair,
    pub src_packets: u64,
    pub src_bytes: u64,
    /// Packets and bytes that came back, where the log says them.
    pub dst: Option<(u64, u64)>,
    pub tcp_flags: Option<u8>,
    /// Of the packets that came back.
    pub dst_tcp_flags: Option<u8>,
    pub tos: Option<u8>,
    pub conn_state: Option<String>,
    pub history: Option<String>,
    pub service: Option<String>,
    pub vlan: Option<u16>,
    pub tunnelled: bool,
    pub macs: Option<([u8; 6], [u8; 6])>,
    pub sampling: u32,
    pub exporter: Option<IpAddr>,
    pub input_if: Option<u32>,
    pub output_if: Option<u32>,
    pub src_as: Option<u32>,
    pub dst_as: Option<u32>,
}

impl LogConnection {
    /// A connection of which only times and addresses are known.
    pub const fn new(kind: LogKind, first: Nanos, last: Nanos, pair: AddressPair) -> Self {
        Self {
            kind,
            first,
            last,
            pair,
            src_packets: 0,
            src_bytes: 0,
            dst: None,
            tcp_flags: None,
            dst_tcp_flags: None,
            tos: None,
            conn_state: None,
            history: None,
            service: None,
            vlan: None,
            tunnelled: false,
            macs: None,
            sampling: 1,
            exporter: None,
            input_if: None,
            output_if: None,
            src_as: None,
            dst_as: None,
        }
    }
}

/// A DNS question.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct LogDns {
    pub kind: LogKind,
    pub first: Nanos,
    pub rtt: Option<Nanos>,
    /// Client to server.
    pub pair: AddressPair,
    pub transport: DnsTransport,
    pub id: u16,
    pub query: String,
    pub qtype: u16,
    pub qclass: u16,
    pub rcode: Option<u16>,
    /// AA, TC, RD, RA.
    pub bits: [bool; 4],
    pub answers: Vec<LogAnswer>,
}

/// A record of a DNS answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct LogAnswer {
    pub data: String,
    /// Seconds.
    pub ttl: u32,
    /// Where the log says it.
    pub rtype: Option<u16>,
}

impl LogAnswer {
    /// A record whose type is not said.
    pub fn new(data: impl Into<String>, ttl: u32) -> Self {
        Self { data: data.into(), ttl, rtype: None }
    }
}

/// A DHCP transaction, as Zeek has it. Names have no octets that do not print: they stand as RFC 1035 `\DDD`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct LogDhcp {
    pub kind: LogKind,
    pub first: Nanos,
    pub duration: Option<Nanos>,
    pub xid: Option<u32>,
    pub client_addr: Option<IpAddr>,
    pub client_port: Option<u16>,
    pub server_addr: Option<IpAddr>,
    pub server_port: Option<u16>,
    pub mac: Option<[u8; 6]>,
    pub host_name: Option<String>,
    pub client_fqdn: Option<String>,
    pub domain: Option<String>,
    pub requested_addr: Option<IpAddr>,
    pub assigned_addr: Option<IpAddr>,
    /// Seconds.
    pub lease_time: Option<u32>,
    pub client_message: Option<String>,
    pub server_message: Option<String>,
    /// Empty in the logs of old versions, which have acknowledged transactions alone.
    pub msg_types: Vec<String>,
}

/// A request to a web server or through a proxy. Text is as logged; absent (`-`) is `None` or empty.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub struct LogRequest {
    pub kind: LogKind,
    pub first: Nanos,
    pub client_ip: IpAddr,
    pub client_port: Option<u16>,
    pub server_ip: Option<IpAddr>,
    pub server_port: Option<u16>,
    pub scheme: String,
    pub method: String,
    pub host: String,
    pub uri_path: String,
    pub uri_query: Option<String>,
    pub uri_extension: Option<String>,
    pub full_uri: String,
    pub user_agent: Option<String>,
    pub referer: Option<String>,
    pub content_type: Option<String>,
    pub status: Option<u16>,
    pub username: Option<String>,
    pub auth_group: Option<String>,
    pub category: Option<String>,
    pub action: Option<String>,
    pub filter_result: Option<String>,
    pub exception_id: Option<String>,
    pub virus_id: Option<String>,
    pub app_name: Option<String>,
    pub app_operation: Option<String>,
    pub duration_us: Option<u64>,
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
    pub tls_version: Option<String>,
    pub tls_sni: Option<String>,
    pub tls_alpn: Option<String>,
    pub ja4: Option<String>,
}

impl LogRequest {
    /// A request of which only the moment and the client are known.
    pub const fn new(kind: LogKind, first: Nanos, client_ip: IpAddr) -> Self {
        Self {
            kind,
            first,
            client_ip,
            client_port: None,
            server_ip: None,
            server_port: None,
            scheme: String::new(),
            method: String::new(),
            host: String::new(),
            uri_path: String::new(),
            uri_query: None,
            uri_extension: None,
            full_uri: String::new(),
            user_agent: None,
            referer: None,
            content_type: None,
            status: None,
            username: None,
            auth_group: None,
            category: None,
            action: None,
            filter_result: None,
            exception_id: None,
            virus_id: None,
            app_name: None,
            app_operation: None,
            duration_us: None,
            request_bytes: None,
            response_bytes: None,
            tls_version: None,
            tls_sni: None,
            tls_alpn: None,
            ja4: None,
        }
    }

    /// A request of a connection, client to server, of which nothing more is known.
    pub(super) fn of_pair(kind: LogKind, first: Nanos, pair: &AddressPair) -> Self {
        Self {
            client_port: Some(pair.src_port),
            server_ip: Some(pair.dst.to_ip_addr(pair.version)),
            server_port: Some(pair.dst_port),
            ..Self::new(kind, first, pair.src.to_ip_addr(pair.version))
        }
    }

    /// The target of a request as it stood on the wire: a path, a whole URI, or for CONNECT host and port. `host` is set before.
    pub(super) fn set_target(&mut self, target: &str) {
        // The port that was spoken to, which may be a proxy's.
        let server_port = self.server_port;
        if target.contains("://") || self.method == "CONNECT" {
            self.set_uri(target);
        } else {
            self.scheme = "http".into();
            self.set_path(target);
            if self.host.is_empty() {
                self.host = self.server_ip.map(|ip| ip.to_string()).unwrap_or_default();
            }
            self.compose_uri();
        }
        self.server_port = server_port;
    }

    /// A TLS connection with the name that its client asked for.
    pub(super) fn set_tunnel(&mut self, name: Option<String>) {
        self.method = "CONNECT".into();
        self.scheme = "tls".into();
        self.host = name.clone().or_else(|| self.server_ip.map(|ip| ip.to_string())).unwrap_or_default();
        self.full_uri.clone_from(&self.host);
        self.tls_sni = name;
    }

    /// Takes a whole URI apart: scheme, host, port, path, query. `host:port` alone is that of CONNECT.
    pub(super) fn set_uri(&mut self, uri: &str) {
        self.full_uri = uri.to_owned();
        let (scheme, rest) = match uri.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None if self.method == "CONNECT" => ("connect".to_owned(), uri),
            None => ("http".to_owned(), uri),
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, port.parse().ok())
            }
            _ => (authority, None),
        };
        if !host.is_empty() {
            self.host = host.to_owned();
        }
        self.server_port = port.or(self.server_port).or(match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        self.scheme = scheme;
        self.set_path(path);
    }

    /// Path with query.
    pub(super) fn set_path(&mut self, path: &str) {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        self.uri_path = path.to_owned();
        self.uri_query = query.map(str::to_owned);
        let name = path.rsplit('/').next().unwrap_or_default();
        self.uri_extension = name.rsplit_once('.').map(|(_, ext)| ext.to_owned()).filter(|ext| !ext.is_empty());
    }

    /// The URI of its parts, where the log has only those.
    pub(super) fn compose_uri(&mut self) {
        let port = match (self.scheme.as_str(), self.server_port) {
            (_, None) | ("http", Some(80)) | ("https", Some(443)) | (_, Some(0)) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        let query = match self.uri_query.as_deref() {
            None => String::new(),
            Some(query) if query.starts_with('?') => query.to_owned(),
            Some(query) => format!("?{query}"),
        };
        let head = match self.scheme.as_str() {
            "" | "connect" | "tcp" | "tunnel" => String::new(),
            scheme => format!("{scheme}://"),
        };
        self.full_uri = format!("{head}{}{port}{}{query}", self.host, self.uri_path);
    }
}
