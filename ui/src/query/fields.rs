//! The fields a query can name, by source. A field of several columns is true of a record if one of them is.

use crate::api::types::Source;

/// What a field holds, and with it what can be said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An address as text: `==`, networks, patterns, regular expressions.
    Address,
    /// A whole number that is never negative; `names` reads a word as one (`tcp`, `AAAA`).
    Number(Names),
    /// A whole number.
    Integer,
    /// A number.
    Real,
    /// Text, as it was sent.
    Text,
    /// A domain name or host: without regard to case.
    Name,
    /// True or false.
    Flag,
    /// A moment.
    Time,
}

/// Words that stand for numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Names {
    /// None.
    Plain,
    /// IANA protocol numbers.
    Protocol,
    /// DNS types.
    QueryType,
    /// DNS classes.
    QueryClass,
    /// DNS response codes; `none` is "no answer seen".
    ResponseCode,
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// SQL: columns, or expressions of columns.
    pub(crate) columns: &'static [&'static str],
    /// Only the tables of scores have it.
    pub(crate) scores: bool,
    /// Is it looked at for a value that stands alone?
    pub(crate) anywhere: bool,
    pub(crate) help: &'static str,
}

/// The table a query is about: a source's records, or its scores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scope {
    pub(crate) source: Source,
    /// The scores of the source's records, which have fewer columns of the record and some of their own.
    pub(crate) scores: bool,
}

const fn field(name: &'static str, kind: Kind, columns: &'static [&'static str], help: &'static str) -> Field {
    Field { name, kind, columns, scores: false, anywhere: false, help }
}

const fn anywhere(mut field: Field) -> Field {
    field.anywhere = true;
    field
}

const fn scores(mut field: Field) -> Field {
    field.scores = true;
    field
}

use Kind::{Address, Flag, Integer, Name, Number, Real, Text, Time};
use Names::{Plain, Protocol, QueryClass, QueryType, ResponseCode};

const COMMON: &[Field] = &[
    field("time", Time, &["first_seen"], "when it was first seen: time >= \"2016-07-08 10:00\", in UTC"),
    field("hour", Number(Plain), &["date_part('hour', first_seen)"], "hour of the day in UTC, 0 to 23"),
    field("sensor", Text, &["sensor"], "sensor that saw it"),
    field("origin", Text, &["origin"], "how it came: xdp, af_packet, pcap, netflow9, zeek …"),
    scores(field("rank", Number(Plain), &["fused_rank"], "place by all evidence; 1 is the most suspicious")),
    scores(field("spot_rank", Number(Plain), &["rank"], "place by the topic model's score alone")),
    scores(field("surprise", Real, &["coalesce(surprise_bits, 1e9)"], "bits of surprise")),
    scores(field("score", Real, &["score"], "P(word | host)")),
    scores(field("percentile", Real, &["percentile"], "share of records less surprising, 0 to 1")),
    scores(field("confidence", Real, &["confidence"], "evidence behind the host, 0 to 1")),
    scores(field("group_size", Number(Plain), &["group_size"], "records of the same host for the same reason")),
    scores(field("word_hosts", Number(Plain), &["word_df"], "hosts that have the word at all")),
    scores(field(
        "days_before",
        Number(Plain),
        &["days_before"],
        "scored days, of the seven before, whose list had the same: 0 is new",
    )),
    scores(field("reputation", Integer, &["reputation"], "Spot's scale, -1 to 3")),
    scores(anywhere(field("context", Text, &["network_context"], "network context of the address"))),
];

const FLOW: &[Field] = &[
    anywhere(field("ip", Address, &["src_ip", "dst_ip"], "source or destination address")),
    field("src_ip", Address, &["src_ip"], "source address, the initiator"),
    field("dst_ip", Address, &["dst_ip"], "destination address, the responder"),
    anywhere(field("port", Number(Plain), &["src_port", "dst_port"], "source or destination port")),
    field("src_port", Number(Plain), &["src_port"], "source port"),
    field("dst_port", Number(Plain), &["dst_port"], "destination port"),
    field("proto", Number(Protocol), &["proto"], "protocol, by name or number: tcp, 17"),
    anywhere(field("service", Text, &["service"], "protocol recognised: dns, http, tls, ssh …")),
    field("state", Text, &["conn_state"], "Zeek's conn_state: SF, S0, REJ …"),
    field("src_bytes", Number(Plain), &["src_bytes"], "bytes from source to destination; k, M, G may follow"),
    field("dst_bytes", Number(Plain), &["dst_bytes"], "bytes from destination to source"),
    field(
        "bytes",
        Number(Plain),
        &["src_bytes + coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED))"],
        "bytes in both directions",
    ),
    field("src_packets", Number(Plain), &["src_packets"], "packets from source to destination"),
    field("dst_packets", Number(Plain), &["dst_packets"], "packets from destination to source"),
    field("src_flags", Number(Plain), &["src_tcp_flags"], "TCP flags of the source, as a number"),
    field("dst_flags", Number(Plain), &["dst_tcp_flags"], "TCP flags of the destination, as a number"),
    field("community_id", Text, &["community_id"], "Community ID v1"),
    scores(field("src_internal", Flag, &["src_internal"], "is the source one of ours? true or false")),
    scores(field("dst_internal", Flag, &["dst_internal"], "is the destination one of ours? true or false")),
    scores(anywhere(field("geo", Text, &["src_geo", "dst_geo"], "place of source or destination"))),
    scores(anywhere(field("name", Name, &["src_name", "dst_name"], "name of source or destination"))),
    scores(field("src_word", Text, &["src_word"], "the source's word")),
    scores(field("dst_word", Text, &["dst_word"], "the destination's word")),
];

const DNS: &[Field] = &[
    anywhere(field("ip", Address, &["client_ip", "server_ip"], "client or server address")),
    field("client_ip", Address, &["client_ip"], "who asked"),
    field("server_ip", Address, &["server_ip"], "who was asked"),
    anywhere(field("qname", Name, &["qname"], "name asked for; *.example.com for all below a name")),
    field("qtype", Number(QueryType), &["qtype"], "type, by name or number: AAAA, 16"),
    field("qclass", Number(QueryClass), &["qclass"], "class: IN, CH"),
    field("rcode", Number(ResponseCode), &["rcode"], "response code: NXDOMAIN, 0; none where no answer was seen"),
    field("transport", Text, &["transport"], "udp, tcp, mdns, llmnr"),
    field("length", Number(Plain), &["response_frame_len"], "bytes of the answer's frame"),
    field("community_id", Text, &["community_id"], "Community ID v1"),
    scores(field("word", Text, &["word"], "the record's word")),
];

const PROXY: &[Field] = &[
    anywhere(field("ip", Address, &["client_ip", "server_ip"], "client or server address")),
    field("client_ip", Address, &["client_ip"], "who asked"),
    field("server_ip", Address, &["server_ip"], "who answered"),
    anywhere(field("host", Name, &["host"], "host asked for; *.example.com for all below a name")),
    anywhere(field("uri", Text, &["full_uri"], "the whole address")),
    field("method", Text, &["method"], "GET, POST, CONNECT …"),
    field("scheme", Text, &["scheme"], "http, https, connect, tls"),
    field("status", Number(Plain), &["status"], "status of the answer"),
    anywhere(field("agent", Text, &["user_agent"], "user agent")),
    field("referer", Text, &["referer"], "referer"),
    field("content_type", Text, &["content_type"], "content type of the answer"),
    field("category", Text, &["category"], "web category, where a proxy gave one"),
    field("request_bytes", Number(Plain), &["request_bytes"], "bytes of the request"),
    field("response_bytes", Number(Plain), &["response_bytes"], "bytes of the answer"),
    scores(field("word", Text, &["word"], "the record's word")),
];

/// Other names: the columns', and what Spot, Zeek and Arkime call them.
const ALIASES: [(&str, &str); 18] = [
    ("sip", "src_ip"),
    ("dip", "dst_ip"),
    ("sport", "src_port"),
    ("dport", "dst_port"),
    ("conn_state", "state"),
    ("full_uri", "uri"),
    ("user_agent", "agent"),
    ("ip.src", "src_ip"),
    ("ip.dst", "dst_ip"),
    ("port.src", "src_port"),
    ("port.dst", "dst_port"),
    ("response_frame_len", "length"),
    ("dns_qry_name", "qname"),
    ("query", "qname"),
    ("first_seen", "time"),
    ("fused_rank", "rank"),
    ("surprise_bits", "surprise"),
    ("protocol", "proto"),
];

impl Scope {
    /// The fields of this table.
    pub(crate) fn fields(self) -> impl Iterator<Item = &'static Field> {
        let own = match self.source {
            Source::Flow => FLOW,
            Source::Dns => DNS,
            Source::Proxy => PROXY,
        };
        own.iter().chain(COMMON).filter(move |field| self.scores || !field.scores)
    }

    /// The field of that name or alias.
    pub(crate) fn field(self, name: &str) -> Option<&'static Field> {
        let find = |name: &str| self.fields().find(|field| field.name.eq_ignore_ascii_case(name));
        find(name).or_else(|| {
            let (_, real) = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name))?;
            find(real)
        })
    }

    /// The name that was most likely meant.
    pub(crate) fn nearest(self, name: &str) -> Option<&'static str> {
        let name = name.to_lowercase();
        self.fields()
            .map(|field| (strsim::damerau_levenshtein(&name, field.name), field.name))
            .filter(|(distance, other)| *distance <= 2.max(other.len() / 3))
            .min()
            .map(|(_, name)| name)
    }

    /// The table's name in SQL.
    pub(crate) fn table(self) -> String {
        format!("{}{}", if self.scores { "scores_" } else { "" }, self.source.as_str())
    }
}

const PROTOCOLS: [(&str, u64); 15] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("sctp", 132),
    ("udplite", 136),
];
const TYPES: [(&str, u64); 26] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("NULL", 10),
    ("PTR", 12),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("KEY", 25),
    ("AAAA", 28),
    ("LOC", 29),
    ("SRV", 33),
    ("NAPTR", 35),
    ("DS", 43),
    ("SSHFP", 44),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("NSEC3", 50),
    ("TLSA", 52),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("AXFR", 252),
    ("ANY", 255),
    ("CAA", 257),
];
const CLASSES: [(&str, u64); 5] = [("IN", 1), ("CH", 3), ("HS", 4), ("NONE", 254), ("ANY", 255)];
const CODES: [(&str, u64); 11] = [
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
    ("YXDOMAIN", 6),
    ("YXRRSET", 7),
    ("NXRRSET", 8),
    ("NOTAUTH", 9),
    ("NOTZONE", 10),
];

impl Names {
    /// The words and what they stand for.
    pub(crate) const fn all(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Plain => &[],
            Self::Protocol => &PROTOCOLS,
            Self::QueryType => &TYPES,
            Self::QueryClass => &CLASSES,
            Self::ResponseCode => &CODES,
        }
    }
}
