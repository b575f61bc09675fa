//! HTTP transactions: a request and its response become one record; a TLS ClientHello is one by itself.
//!
//! - Request and response have the same number on the same connection. A request whose response was not seen is
//!   a record (`status` null) when its time is up. A response may end before its request does (an error before
//!   the body is read): it waits, too. A response without request has no row and is counted.
//! - A request with the number of one that still waits belongs to another connection with the same ports: the
//!   earlier is written.
//! - `host` is the target's if it has one (absolute form: a proxy is asked), else the Host header's; lower case,
//!   without port. `uri_query` begins with `?`. `full_uri` is Apache Spot's: host, path if longer than one
//!   character, query if longer than one character.
//! - CONNECT and ClientHello: path `/`, `full_uri` = host, with `:port` unless that is 443. A ClientHello without
//!   SNI has the server's address for host.

use std::collections::{HashMap, VecDeque};

use capture::{AddressPair, HttpRequest, HttpResponse, Nanos, TlsClientHello};

use crate::aggregate::Carried;
use crate::community_id::CommunityId;
use crate::config::AggregatorConfig;
use crate::flow::nanos;
use crate::record::{Micros, ProxyRecord};
use crate::record_id::{RecordIds, WireRequest};
use crate::stats::Stats;

const ORIGIN: &str = "wire";

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    client_to_server: AddressPair,
    index: u32,
}

#[derive(Debug)]
enum Half {
    Request(HttpRequest),
    Response(HttpResponse),
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    first_ts: Nanos,
    ts: Nanos,
    half: Half,
}

/// Where rows and counters go.
pub(crate) struct Out<'a> {
    pub(crate) records: &'a mut Vec<ProxyRecord>,
    pub(crate) stats: &'a mut Stats,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct HttpMatcher {
    waiting: HashMap<Key, Waiting>,
    /// (deadline, key, number) in the order of deadlines; entries of what has gone are passed over.
    queue: VecDeque<(i64, Key, u64)>,
    timeout: i64,
    bytes: usize,
    max_count: usize,
    max_bytes: usize,
    next_number: u64,
    ids: RecordIds,
}

impl HttpMatcher {
    pub(crate) fn new(config: &AggregatorConfig, ids: RecordIds) -> Self {
        Self {
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            timeout: nanos(config.timeouts.http),
            bytes: 0,
            max_count: config.limits.max_http.max(1),
            max_bytes: config.limits.max_http_bytes,
            next_number: 0,
            ids,
        }
    }

    /// A request, at `clock`.
    pub(crate) fn request(&mut self, clock: i64, message: &Carried, request: HttpRequest, out: &mut Out<'_>) {
        self.advance(clock, out);
        out.stats.http_requests += 1;
        let key = Key { client_to_server: message.pair, index: request.index };
        match self.take(&key) {
            Some(Waiting { half: Half::Response(response), first_ts, ts, .. }) if first_ts >= message.first_ts => {
                let response = Some((response, ts));
                self.write(&key, request, (message.first_ts, message.ts), response, out);
            }
            earlier => {
                self.give_up(&key, earlier, out);
                self.wait(clock, key, message, Half::Request(request), out);
            }
        }
    }

    /// A response, at `clock`.
    pub(crate) fn response(&mut self, clock: i64, message: &Carried, response: HttpResponse, out: &mut Out<'_>) {
        self.advance(clock, out);
        out.stats.http_responses += 1;
        let key = Key { client_to_server: message.pair.reversed(), index: response.index };
        match self.take(&key) {
            Some(Waiting { half: Half::Request(request), first_ts, ts, .. }) => {
                self.write(&key, request, (first_ts, ts), Some((response, message.ts)), out);
            }
            earlier => {
                self.give_up(&key, earlier, out);
                self.wait(clock, key, message, Half::Response(response), out);
            }
        }
    }

    /// A ClientHello.
    pub(crate) fn client_hello(&mut self, message: &Carried, hello: TlsClientHello, out: &mut Out<'_>) {
        out.stats.tls_hellos += 1;
        let pair = &message.pair;
        let mut record = ProxyRecord::new(ORIGIN, pair.src.to_ip_addr(pair.version));
        let server = pair.dst.to_ip_addr(pair.version);
        "tls".clone_into(&mut record.scheme);
        "CONNECT".clone_into(&mut record.method);
        record.host = match &hello.sni {
            Some(sni) => sni.to_ascii_lowercase(),
            None => host_of_address(server),
        };
        set_tunnel_uri(&mut record, Some(pair.dst_port));
        record.request_bytes = Some(hello.bytes);
        record.tls_version = Some(tls_version(hello.version));
        record.tls_sni = hello.sni;
        record.tls_alpn = hello.alpn;
        record.ja4 = hello.ja4;
        self.complete(record, pair, (message.first_ts, message.ts), (true, 0), out);
    }

    /// Gives up what waits longer than the timeout at `now`.
    pub(crate) fn advance(&mut self, now: i64, out: &mut Out<'_>) {
        while self.queue.front().is_some_and(|&(deadline, ..)| deadline <= now) {
            self.give_up_first(out);
        }
    }

    /// Gives up all that waits.
    pub(crate) fn finish(&mut self, out: &mut Out<'_>) {
        while !self.queue.is_empty() {
            self.give_up_first(out);
        }
    }

    /// Requests and responses that wait.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let requests = self.waiting.values().filter(|waiting| matches!(waiting.half, Half::Request(_))).count();
        (requests, self.waiting.len() - requests)
    }

    fn take(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.bytes -= waiting.half.cost();
        Some(waiting)
    }

    fn wait(&mut self, clock: i64, key: Key, message: &Carried, half: Half, out: &mut Out<'_>) {
        let number = self.next_number;
        self.next_number += 1;
        self.bytes += half.cost();
        self.waiting.insert(key, Waiting { number, first_ts: message.first_ts, ts: message.ts, half });
        self.queue.push_back((clock.saturating_add(self.timeout), key, number));
        if self.queue.len() > self.max_count.saturating_mul(2).saturating_add(64) {
            self.queue
                .retain(|(_, key, number)| self.waiting.get(key).is_some_and(|waiting| waiting.number == *number));
        }
        while (self.waiting.len() > self.max_count || self.bytes > self.max_bytes) && !self.queue.is_empty() {
            if self.give_up_first(out) {
                out.stats.http_evicted += 1;
            }
        }
    }

    fn give_up_first(&mut self, out: &mut Out<'_>) -> bool {
        let Some((_, key, number)) = self.queue.pop_front() else { return false };
        if self.waiting.get(&key).is_none_or(|waiting| waiting.number != number) {
            return false;
        }
        let waiting = self.take(&key);
        self.give_up(&key, waiting, out);
        true
    }

    /// What was taken has no counterpart.
    fn give_up(&mut self, key: &Key, waiting: Option<Waiting>, out: &mut Out<'_>) {
        match waiting {
            Some(Waiting { half: Half::Request(request), first_ts, ts, .. }) => {
                self.write(key, request, (first_ts, ts), None, out);
            }
            Some(Waiting { half: Half::Response(_), .. }) => out.stats.http_unasked += 1,
            None => {}
        }
    }

    fn write(
        &mut self,
        key: &Key,
        request: HttpRequest,
        (first, last): (Nanos, Nanos),
        response: Option<(HttpResponse, Nanos)>,
        out: &mut Out<'_>,
    ) {
        let pair = &key.client_to_server;
        let mut record = ProxyRecord::new(ORIGIN, pair.src.to_ip_addr(pair.version));
        let index = request.index;
        set_request(&mut record, request);
        let mut last = last;
        if let Some((response, ts)) = response {
            out.stats.http_answered += 1;
            last = last.max(ts);
            record.status = Some(response.status);
            record.content_type = response.content_type;
            record.response_bytes = Some(response.bytes);
            record.duration_us = ts.0.checked_sub(first.0).and_then(|ns| u64::try_from(ns / 1_000).ok());
        } else {
            out.stats.http_unanswered += 1;
        }
        self.complete(record, pair, (first, last), (false, index), out);
    }

    /// Fills in what is common to all.
    fn complete(
        &mut self,
        mut record: ProxyRecord,
        pair: &AddressPair,
        (first, last): (Nanos, Nanos),
        (is_tls, index): (bool, u32),
        out: &mut Out<'_>,
    ) {
        record.first_seen = Micros(first.micros());
        record.last_seen = Micros(last.max(first).micros());
        record.client_port = Some(pair.src_port);
        record.server_ip = Some(pair.dst.to_ip_addr(pair.version));
        record.server_port = Some(pair.dst_port);
        record.community_id = Some(CommunityId::new(pair).as_str().to_owned());
        let identity = WireRequest { first_seen: record.first_seen, pair: *pair, is_tls, index };
        record.record_id = self.ids.wire_request(&identity);
        out.records.push(record);
    }
}

impl Half {
    /// Bytes it holds, about.
    fn cost(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Waiting>()
            + match self {
                Self::Request(HttpRequest { method, target, host, user_agent, referer, username, .. }) => {
                    method.len() + target.len() + text(host) + text(user_agent) + text(referer) + text(username)
                }
                Self::Response(HttpResponse { content_type, .. }) => text(content_type),
            }
    }
}

/// The columns that the request alone decides.
fn set_request(record: &mut ProxyRecord, request: HttpRequest) {
    let HttpRequest { method, target, host, user_agent, referer, username, bytes, index: _ } = request;
    record.user_agent = user_agent;
    record.referer = referer;
    record.username = username;
    record.request_bytes = Some(bytes);
    if method.eq_ignore_ascii_case("CONNECT") {
        "connect".clone_into(&mut record.scheme);
        // Authority form: host:port.
        let (name, port) = split_port(&target);
        record.host = name.to_ascii_lowercase();
        set_tunnel_uri(record, port);
    } else {
        set_uri(record, &target, host.as_deref());
    }
    record.method = method;
}

/// Host, path, query and what follows from them, for a target in origin, absolute or asterisk form.
fn set_uri(record: &mut ProxyRecord, target: &str, host_header: Option<&str>) {
    let absolute = target.split_once("://").filter(|(scheme, _)| {
        let mut letters = scheme.bytes();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
    });
    let (scheme, authority, rest) = match absolute {
        Some((scheme, after)) => {
            let end = after.find(['/', '?']).unwrap_or(after.len());
            let (authority, rest) = after.split_at(end);
            // user:password@ has no place in a URI of HTTP; the password must not be kept.
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            (scheme.to_ascii_lowercase(), Some(host), rest)
        }
        None => ("http".to_owned(), host_header, target),
    };
    record.scheme = scheme;
    record.host = authority.map(|authority| split_port(authority.trim()).0.to_ascii_lowercase()).unwrap_or_default();
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    record.uri_path = path.to_owned();
    record.uri_query = (!query.is_empty()).then(|| query.to_owned());
    record.uri_extension = extension(path).map(str::to_owned);
    let part = |part: &str| if part.chars().nth(1).is_some() { part.to_owned() } else { String::new() };
    record.full_uri = format!("{}{}{}", record.host, part(path), part(query));
}

/// A tunnel has no path: `full_uri` is the host, and the port where it tells something.
fn set_tunnel_uri(record: &mut ProxyRecord, port: Option<u16>) {
    "/".clone_into(&mut record.uri_path);
    record.full_uri = match port {
        Some(port) if port != 443 => format!("{}:{port}", record.host),
        _ => record.host.clone(),
    };
}

/// Host and port of an authority; an IPv6 address stays in its brackets.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) => {
            (host, port.parse().ok())
        }
        _ => (authority, None),
    }
}

/// An address as it stands in a URI.
fn host_of_address(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// What follows the last dot of the last segment.
fn extension(path: &str) -> Option<&str> {
    let (_, file) = path.rsplit_once('/')?;
    let (name, extension) = file.rsplit_once('.')?;
    (!name.is_empty() && !extension.is_empty()).then_some(extension)
}

/// The name of a TLS version; its number if it has none.
fn tls_version(version: u16) -> String {
    match version {
        0x0300 => "SSLv3".to_owned(),
        0x0301 => "TLSv1.0".to_owned(),
        0x0302 => "TLSv1.1".to_owned(),
        0x0303 => "TLSv1.2".to_owned(),
        0x0304 => "TLSv1.3".to_owned(),
        other => format!("{other:#06x}"),
    }
}
