//! From columns of records to rich words ([`crate::words::rich`]).

use std::sync::Arc;

use aggregator::lake::Source;
use arrow::array::{Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt64Array};

use super::ScoreError;
use super::answers::Answers;
use super::parts::column;
use super::rows::{Each, Noted, Tokens};
use super::texts::Texts;
use super::watch::Peers;
use crate::detect::rows::Internal;
use crate::words::domain::DomainLists;
use crate::words::rich::dns::{RichDns, count_client};
use crate::words::rich::flow::{RichFlow, count_peers};
use crate::words::rich::proxy::{Programs, RichProxy};
use crate::words::rich::{Features, Kind, Popularity, RichScheme};

/// Peers, domains, programs whose hosts are counted, of each.
const THINGS: usize = 4_000_000;

/// The value of a row; `None` for null.
macro_rules! value {
    ($column:expr, $row:expr) => {
        (!$column.is_null($row)).then(|| $column.value($row))
    };
}

/// Puts records into rich words. Holds what was counted by the pass before; a clone shares it.
#[derive(Clone)]
pub(super) struct Rich {
    scheme: RichScheme,
    lists: Arc<DomainLists>,
    internal: Internal,
    counted: Arc<Counted>,
    unanswered: u64,
    peers: Peers,
}

/// Who has what.
#[derive(Clone)]
enum Counted {
    Peers(Popularity),
    Domains(Popularity),
    Programs(Box<Programs>),
}

impl Counted {
    fn nothing(kind: Kind) -> Self {
        match kind {
            Kind::Flow => Self::Peers(Popularity::new(THINGS)),
            Kind::Dns => Self::Domains(Popularity::new(THINGS)),
            Kind::Proxy => Self::Programs(Box::new(Programs::new(THINGS))),
        }
    }
}

/// The scheme's kind of a source.
pub(super) const fn kind_of(source: Source) -> Kind {
    match source {
        Source::Flow => Kind::Flow,
        Source::Dns => Kind::Dns,
        Source::Proxy => Kind::Proxy,
    }
}

impl Rich {
    pub(super) fn new(source: Source, features: Features, lists: Arc<DomainLists>, internal: Internal) -> Self {
        let scheme = RichScheme::new(kind_of(source), features);
        let counted = Arc::new(Counted::nothing(kind_of(source)));
        Self { scheme, lists, internal, counted, unanswered: 0, peers: Peers::default() }
    }

    /// The same with nothing counted.
    pub(super) fn empty(&self) -> Self {
        Self { counted: Arc::new(Counted::nothing(self.scheme.kind())), unanswered: 0, ..self.clone() }
    }

    /// Takes in what another noted.
    pub(super) const fn note(&mut self, other: &Self) {
        self.unanswered += other.unanswered;
    }

    pub(super) const fn scheme(&self) -> &RichScheme {
        &self.scheme
    }

    pub(super) fn features(&self) -> Vec<&'static str> {
        self.scheme.features().keys(self.scheme.kind()).collect()
    }

    /// What was counted: to be kept with the model.
    pub(super) fn popularity(&self) -> Vec<&Popularity> {
        match &*self.counted {
            Counted::Peers(list) | Counted::Domains(list) => vec![list],
            Counted::Programs(programs) => programs.lists().to_vec(),
        }
    }

    /// Adds what was counted elsewhere.
    pub(super) fn remember(&mut self, known: &[&Popularity]) {
        match Arc::make_mut(&mut self.counted) {
            Counted::Peers(list) | Counted::Domains(list) => known.iter().take(1).for_each(|known| list.merge(known)),
            Counted::Programs(programs) => {
                programs.lists_mut().into_iter().zip(known).for_each(|(list, known)| list.merge(known));
            }
        }
    }

    pub(super) fn noted(&self) -> Noted {
        let overflow = match &*self.counted {
            Counted::Peers(list) | Counted::Domains(list) => list.overflow(),
            Counted::Programs(programs) => programs.overflow(),
        };
        Noted { dns_unanswered: self.unanswered, agents_overflow: overflow, ..Noted::default() }
    }

    /// The columns of the pass before any word.
    pub(super) const fn first_columns(&self) -> &'static [&'static str] {
        match self.scheme.kind() {
            Kind::Flow => &["src_ip", "dst_ip"],
            Kind::Dns => &["client_ip", "qname"],
            Kind::Proxy => &["client_ip", "host", "user_agent", "ja4"],
        }
    }

    /// The columns of a word.
    pub(super) const fn columns(&self) -> &'static [&'static str] {
        match self.scheme.kind() {
            Kind::Flow => &[
                "first_seen",
                "last_seen",
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
            ],
            Kind::Dns => &[
                "first_seen",
                "client_ip",
                "qname",
                "qtype",
                "rcode",
                "transport",
                "query_len",
                "response_len",
                "answers",
            ],
            Kind::Proxy => &[
                "first_seen",
                "client_ip",
                "host",
                "method",
                "scheme",
                "uri_path",
                "uri_query",
                "content_type",
                "status",
                "user_agent",
                "ja4",
                "referer",
                "request_bytes",
                "response_bytes",
            ],
        }
    }

    /// Counts a batch of the pass before any word.
    pub(super) fn count(&mut self, batch: &RecordBatch) -> Result<(), ScoreError> {
        let texts = |name| column::<StringArray>(batch, name);
        let Self { counted, peers: [sources, destinations], .. } = self;
        match Arc::make_mut(counted) {
            Counted::Peers(peers) => {
                let (src, dst) = (Texts::of(batch, "src_ip")?, Texts::of(batch, "dst_ip")?);
                let (src, dst) = (sources.of(src), destinations.of(dst));
                for row in 0..batch.num_rows() {
                    if let (Some(src), Some(dst)) = (src.get(row), dst.get(row)) {
                        count_peers(peers, src, dst);
                    }
                }
            }
            Counted::Domains(domains) => {
                let (client, qname) = (texts("client_ip")?, texts("qname")?);
                for row in 0..batch.num_rows() {
                    if let (Some(client), Some(qname)) = (value!(client, row), value!(qname, row)) {
                        count_client(domains, client, qname);
                    }
                }
            }
            Counted::Programs(programs) => {
                let (client, host) = (texts("client_ip")?, texts("host")?);
                let (agent, ja4) = (texts("user_agent")?, texts("ja4")?);
                for row in 0..batch.num_rows() {
                    if let Some(client) = value!(client, row) {
                        programs.add(client, value!(host, row), value!(agent, row), value!(ja4, row));
                    }
                }
            }
        }
        Ok(())
    }

    /// Calls `each` for every record of a batch, in order.
    pub(super) fn spell(&mut self, batch: &RecordBatch, each: Each<'_>) -> Result<(), ScoreError> {
        match self.scheme.kind() {
            Kind::Flow => self.flows(batch, each),
            Kind::Dns => self.questions(batch, each),
            Kind::Proxy => self.requests(batch, each),
        }
    }

    fn flows(&mut self, batch: &RecordBatch, each: Each<'_>) -> Result<(), ScoreError> {
        let Self { scheme, internal, counted, peers: [sources, destinations], .. } = self;
        let Counted::Peers(peers) = &**counted else { return Ok(()) };
        let first: &TimestampMicrosecondArray = column(batch, "first_seen")?;
        let last: &TimestampMicrosecondArray = column(batch, "last_seen")?;
        let (src, dst) = (Texts::of(batch, "src_ip")?, Texts::of(batch, "dst_ip")?);
        let (from, to) = (sources.of(src), destinations.of(dst));
        let (src_port, dst_port): (&UInt16Array, &UInt16Array) =
            (column(batch, "src_port")?, column(batch, "dst_port")?);
        let proto: &UInt8Array = column(batch, "proto")?;
        let counters = |name| column::<UInt64Array>(batch, name);
        let (packets, bytes) = (counters("src_packets")?, counters("src_bytes")?);
        let (back_packets, back_bytes) = (counters("dst_packets")?, counters("dst_bytes")?);
        let (flags, back_flags): (&UInt8Array, &UInt8Array) =
            (column(batch, "src_tcp_flags")?, column(batch, "dst_tcp_flags")?);
        let (state, service) = (Texts::of(batch, "conn_state")?, Texts::of(batch, "service")?);
        for row in 0..batch.num_rows() {
            let input = RichFlow {
                first_seen: value!(first, row),
                last_seen: value!(last, row),
                src: from.get(row),
                dst: to.get(row),
                src_port: value!(src_port, row),
                dst_port: value!(dst_port, row),
                proto: value!(proto, row).unwrap_or(0),
                src_packets: value!(packets, row),
                src_bytes: value!(bytes, row),
                dst_packets: value!(back_packets, row),
                dst_bytes: value!(back_bytes, row),
                src_flags: value!(flags, row),
                dst_flags: value!(back_flags, row),
                conn_state: state.get(row),
                service: service.get(row),
            };
            let words = input.words(scheme.features(), peers, internal);
            let tokens = words.map(|[one, other]| Tokens {
                first_seen: first.value(row),
                first: (src.get(row).unwrap_or(""), one),
                second: Some((dst.get(row).unwrap_or(""), other)),
            });
            each(row, tokens)?;
        }
        Ok(())
    }

    fn questions(&mut self, batch: &RecordBatch, each: Each<'_>) -> Result<(), ScoreError> {
        let Self { scheme, lists, counted, unanswered, .. } = self;
        let Counted::Domains(domains) = &**counted else { return Ok(()) };
        let first: &TimestampMicrosecondArray = column(batch, "first_seen")?;
        let (client, qname): (&StringArray, &StringArray) = (column(batch, "client_ip")?, column(batch, "qname")?);
        let (qtype, rcode): (&UInt16Array, &UInt16Array) = (column(batch, "qtype")?, column(batch, "rcode")?);
        let transport: &StringArray = column(batch, "transport")?;
        let (query, response): (&UInt16Array, &UInt16Array) =
            (column(batch, "query_len")?, column(batch, "response_len")?);
        let answers = Answers::of(batch)?;
        for row in 0..batch.num_rows() {
            let rcode = value!(rcode, row);
            *unanswered += u64::from(rcode.is_none());
            let input = RichDns {
                first_seen: value!(first, row),
                client: value!(client, row),
                qname: value!(qname, row),
                qtype: value!(qtype, row),
                rcode,
                transport: value!(transport, row),
                query_len: value!(query, row),
                response_len: value!(response, row),
                answers: if rcode.is_some() { answers.row(row) } else { None },
            };
            let tokens = input.word(scheme.features(), domains, lists).map(|word| Tokens {
                first_seen: first.value(row),
                first: (client.value(row), word),
                second: None,
            });
            each(row, tokens)?;
        }
        Ok(())
    }

    fn requests(&self, batch: &RecordBatch, each: Each<'_>) -> Result<(), ScoreError> {
        let Counted::Programs(programs) = &*self.counted else { return Ok(()) };
        let first: &TimestampMicrosecondArray = column(batch, "first_seen")?;
        let texts = |name| column::<StringArray>(batch, name);
        let (client, host, method) = (texts("client_ip")?, texts("host")?, texts("method")?);
        let (scheme, path, query) = (texts("scheme")?, texts("uri_path")?, texts("uri_query")?);
        let (content, agent, ja4) = (texts("content_type")?, texts("user_agent")?, texts("ja4")?);
        let referer = texts("referer")?;
        let status: &UInt16Array = column(batch, "status")?;
        let (sent, got): (&UInt64Array, &UInt64Array) =
            (column(batch, "request_bytes")?, column(batch, "response_bytes")?);
        let mut uri = String::new();
        for row in 0..batch.num_rows() {
            uri.clear();
            uri.push_str(value!(path, row).unwrap_or(""));
            uri.push_str(value!(query, row).unwrap_or(""));
            let input = RichProxy {
                first_seen: value!(first, row),
                client: value!(client, row),
                host: value!(host, row),
                method: value!(method, row).unwrap_or(""),
                scheme: value!(scheme, row),
                uri: &uri,
                content_type: value!(content, row),
                status: value!(status, row),
                user_agent: value!(agent, row),
                ja4: value!(ja4, row),
                referer: value!(referer, row).is_some_and(|text| !text.is_empty()),
                request_bytes: value!(sent, row),
                response_bytes: value!(got, row),
            };
            let tokens = input.word(self.scheme.features(), programs, &self.lists).map(|word| Tokens {
                first_seen: first.value(row),
                first: (client.value(row), word),
                second: None,
            });
            each(row, tokens)?;
        }
        Ok(())
    }
}
