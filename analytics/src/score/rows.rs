//! From columns of records to tokens: which documents a record belongs to, and its word in each.

use std::sync::Arc;

use aggregator::lake::Source;
use arrow::array::{
    Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};

use super::ScoreError;
use super::answers::Answers;
use super::intern::Interner;
use super::parts::column;
use super::request::{ScoreRequest, WordScheme};
use super::rich::{Rich, kind_of};
use super::texts::Texts;
use crate::words::dns::{DnsInput, DnsScheme, DnsWord};
use crate::words::dns_length::message_len;
use crate::words::domain::DomainLists;
use crate::words::flow::{FlowInput, FlowScheme, FlowWords};
use crate::words::proxy::{ProxyInput, ProxyScheme, ProxyWord};
use crate::words::rich::{Features, Popularity};
use crate::words::{Invalid, Scheme, TimeOfDay, WordCode};

/// A record's tokens: one, or for flows one for each side (source first).
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    /// Microseconds: breaks ties.
    pub(super) first_seen: i64,
    /// Document and word of the source, or of the client.
    pub(super) first: (&'a str, WordCode),
    /// Document and word of the destination.
    pub(super) second: Option<(&'a str, WordCode)>,
}

/// Most different user agents counted, and their bytes; what comes after counts as seen once.
const AGENTS: usize = 1_000_000;
const AGENT_BYTES: usize = 256 << 20;

/// Is called for every record of a batch, in order, with its number in the batch.
pub(super) type Each<'e> = &'e mut dyn FnMut(usize, Result<Tokens<'_>, Invalid>) -> Result<(), ScoreError>;

/// Puts the records of a source into words. Holds what outlives a record: lists, texts inside words, counts of user agents. A clone shares the lists and
/// the counts.
#[derive(Clone)]
pub(super) enum Speller {
    Flow(FlowScheme),
    Dns { scheme: DnsScheme, lists: Arc<DomainLists>, counts: Noted },
    Proxy { scheme: ProxyScheme, lists: Arc<DomainLists>, agents: Arc<Agents>, uri: String },
    Rich(Box<Rich>),
}

/// What was counted beside the words. Grows with every pass: take it after the first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    /// Questions without an answer: Spot never had them. Their word has rcode −1 and the query's length.
    pub(super) dns_unanswered: u64,
    /// Frame lengths computed from the message's (+42, +62 for IPv6), for want of the frame's.
    pub(super) dns_lengths_computed: u64,
    /// Message lengths computed from name and answers, for want of any.
    pub(super) dns_lengths_estimated: u64,
    /// Records whose user agent found no room.
    pub(super) agents_overflow: u64,
    /// Methods and content types that found no room.
    pub(super) texts_overflow: u64,
}

/// How often each user agent occurs in the day.
#[derive(Clone)]
pub(super) struct Agents {
    names: Interner,
    counts: Vec<u64>,
    overflow: u64,
}

impl Agents {
    fn new() -> Self {
        Self { names: Interner::new(AGENTS, AGENT_BYTES), counts: Vec::new(), overflow: 0 }
    }

    fn add(&mut self, agent: &str) {
        match self.names.place(agent) {
            Some(place) if place as usize == self.counts.len() => self.counts.push(1),
            Some(place) => {
                if let Some(count) = self.counts.get_mut(place as usize) {
                    *count += 1;
                }
            }
            None => self.overflow += 1,
        }
    }

    fn count(&self, agent: &str) -> u64 {
        self.names.get(agent).and_then(|place| self.counts.get(place as usize)).copied().unwrap_or(1)
    }
}

/// Null and empty are "not there".
fn text(column: &StringArray, row: usize) -> Option<&str> {
    (!column.is_null(row)).then(|| column.value(row))
}

fn address(column: &StringArray, row: usize) -> Option<&str> {
    text(column, row).filter(|text| !text.is_empty())
}

fn hour(micros: i64) -> Option<u8> {
    TimeOfDay::from_micros(micros).hour().ok()
}

impl Speller {
    /// For a request.
    ///
    /// # Errors
    /// A feature that no scheme has.
    pub(super) fn new(request: &ScoreRequest, lists: DomainLists) -> Result<Self, ScoreError> {
        let (source, lists) = (request.source, Arc::new(lists));
        if request.words == WordScheme::Rich {
            let kind = kind_of(source);
            let asked = request.features.iter().map(String::as_str);
            let features = match request.features.is_empty() {
                true => Features::chosen(kind),
                false => Features::of(kind, asked).ok_or_else(|| ScoreError::Setting {
                    name: "features",
                    expected: "keys of rich words, at least one of the source's",
                    found: request.features.join(","),
                })?,
            };
            return Ok(Self::Rich(Box::new(Rich::new(source, features, lists, request.internal.clone()))));
        }
        Ok(match source {
            Source::Flow => Self::Flow(FlowScheme),
            Source::Dns => Self::Dns { scheme: DnsScheme, lists, counts: Noted::default() },
            Source::Proxy => Self::Proxy {
                scheme: ProxyScheme::default(),
                lists,
                agents: Arc::new(Agents::new()),
                uri: String::new(),
            },
        })
    }

    pub(super) fn scheme(&self) -> &dyn Scheme {
        match self {
            Self::Flow(scheme) => scheme,
            Self::Dns { scheme, .. } => scheme,
            Self::Proxy { scheme, .. } => scheme,
            Self::Rich(rich) => rich.scheme(),
        }
    }

    /// Parts may be put into words side by side. Not Spot's requests: methods and content types get their numbers in the order they come.
    pub(super) const fn is_divisible(&self) -> bool {
        !matches!(self, Self::Proxy { .. })
    }

    /// The same with nothing counted.
    pub(super) fn empty(&self) -> Self {
        match self {
            Self::Rich(rich) => Self::Rich(Box::new(rich.empty())),
            Self::Proxy { scheme, lists, uri, .. } => Self::Proxy {
                scheme: scheme.clone(),
                lists: Arc::clone(lists),
                agents: Arc::new(Agents::new()),
                uri: uri.clone(),
            },
            Self::Flow(_) | Self::Dns { .. } => self.clone(),
        }
    }

    /// Takes in what another counted in the pass before any word.
    pub(super) fn take_in(&mut self, other: Self) {
        match (self, other) {
            (Self::Rich(own), Self::Rich(other)) => own.remember(&other.popularity()),
            (own @ Self::Proxy { .. }, other) => *own = other,
            _ => {}
        }
    }

    /// Takes in what another noted while it put records into words.
    pub(super) fn note(&mut self, other: Self) {
        match (self, other) {
            (Self::Rich(own), Self::Rich(other)) => own.note(&other),
            (Self::Dns { counts, .. }, Self::Dns { counts: other, .. }) => {
                counts.dns_unanswered += other.dns_unanswered;
                counts.dns_lengths_computed += other.dns_lengths_computed;
                counts.dns_lengths_estimated += other.dns_lengths_estimated;
            }
            (own @ Self::Proxy { .. }, other) => *own = other,
            _ => {}
        }
    }

    /// The features of rich words, by key.
    pub(super) fn features(&self) -> Vec<&'static str> {
        if let Self::Rich(rich) = self { rich.features() } else { Vec::new() }
    }

    /// What was counted for rich words; nothing for others.
    pub(super) fn popularity(&self) -> Vec<&Popularity> {
        if let Self::Rich(rich) = self { rich.popularity() } else { Vec::new() }
    }

    /// Adds what was counted on a model's day.
    pub(super) fn remember(&mut self, known: &[&Popularity]) {
        if let Self::Rich(rich) = self {
            rich.remember(known);
        }
    }

    /// What was counted beside the words so far.
    pub(super) fn noted(&self) -> Noted {
        match self {
            Self::Flow(_) => Noted::default(),
            Self::Dns { counts, .. } => *counts,
            Self::Proxy { scheme, agents, .. } => Noted {
                agents_overflow: agents.overflow,
                texts_overflow: scheme.lexicon.overflow(),
                ..Noted::default()
            },
            Self::Rich(rich) => rich.noted(),
        }
    }

    /// The columns [`Self::spell`] needs.
    pub(super) const fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Rich(rich) => rich.columns(),
            Self::Flow(_) => {
                &["first_seen", "src_ip", "dst_ip", "src_port", "dst_port", "proto", "src_packets", "src_bytes"]
            }
            Self::Dns { .. } => &[
                "first_seen",
                "last_seen",
                "client_ip",
                "qname_wire",
                "qtype",
                "qclass",
                "rcode",
                "query_len",
                "response_len",
                "response_frame_len",
                "answers",
            ],
            Self::Proxy { .. } => &[
                "first_seen",
                "client_ip",
                "method",
                "host",
                "uri_path",
                "uri_query",
                "user_agent",
                "content_type",
                "status",
            ],
        }
    }

    /// The columns of the pass before any word; none where there is no such pass.
    pub(super) const fn first_columns(&self) -> &'static [&'static str] {
        match self {
            Self::Flow(_) | Self::Dns { .. } => &[],
            Self::Proxy { .. } => &["user_agent"],
            Self::Rich(rich) => rich.first_columns(),
        }
    }

    /// Counts a batch (of [`Self::first_columns`]): who has which user agent, peer, domain.
    pub(super) fn count(&mut self, batch: &RecordBatch) -> Result<(), ScoreError> {
        match self {
            Self::Proxy { agents, .. } => {
                let names: &StringArray = column(batch, "user_agent")?;
                let agents = Arc::make_mut(agents);
                for row in 0..names.len() {
                    agents.add(text(names, row).unwrap_or("-"));
                }
            }
            Self::Rich(rich) => rich.count(batch)?,
            Self::Flow(_) | Self::Dns { .. } => {}
        }
        Ok(())
    }

    /// Calls `each` for every record of a batch, in order, with its number in the batch.
    pub(super) fn spell(&mut self, batch: &RecordBatch, each: Each<'_>) -> Result<(), ScoreError> {
        match self {
            Self::Flow(_) => spell_flow(batch, each),
            Self::Dns { lists, counts, .. } => spell_dns(batch, lists, counts, each),
            Self::Proxy { scheme, lists, agents, uri } => spell_proxy(batch, scheme, lists, agents, uri, each),
            Self::Rich(rich) => rich.spell(batch, each),
        }
    }
}

/// Every record counts, each segment of a long connection too, as each of an exporter's records counted for Spot.
fn spell_flow(batch: &RecordBatch, each: Each<'_>) -> Result<(), ScoreError> {
    let first_seen: &TimestampMicrosecondArray = column(batch, "first_seen")?;
    let (src, dst) = (Texts::of(batch, "src_ip")?, Texts::of(batch, "dst_ip")?);
    let (src_port, dst_port): (&UInt16Array, &UInt16Array) = (column(batch, "src_port")?, column(batch, "dst_port")?);
    let proto: &UInt8Array = column(batch, "proto")?;
    let (packets, bytes): (&UInt64Array, &UInt64Array) = (column(batch, "src_packets")?, column(batch, "src_bytes")?);
    // Spot's counters are signed 64-bit; larger ones stand at the largest.
    let counter = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    for row in 0..batch.num_rows() {
        let time = first_seen.value(row);
        let (src, dst) = (src.filled(row), dst.filled(row));
        let input = FlowInput {
            time: (!first_seen.is_null(row)).then(|| TimeOfDay::from_micros(time)),
            src_ip: src,
            dst_ip: dst,
            src_port: (!src_port.is_null(row)).then(|| src_port.value(row).into()),
            dst_port: (!dst_port.is_null(row)).then(|| dst_port.value(row).into()),
            proto: proto.value(row),
            packets: (!packets.is_null(row)).then(|| counter(packets.value(row))),
            bytes: (!bytes.is_null(row)).then(|| counter(bytes.value(row))),
        };
        let tokens = FlowWords::of(&input).map(|words| Tokens {
            first_seen: time,
            first: (src.unwrap_or(""), words.src.code()),
            second: Some((dst.unwrap_or(""), words.dst.code())),
        });
        each(row, tokens)?;
    }
    Ok(())
}

/// The moment and length are the answer's where there is one, else the query's; records of logs have no length, and get that of a message with
/// their name and answers.
fn spell_dns(batch: &RecordBatch, lists: &DomainLists, counts: &mut Noted, each: Each<'_>) -> Result<(), ScoreError> {
    const HEADERS_V4: u32 = 42;
    const HEADERS_V6: u32 = 62;
    let first_seen: &TimestampMicrosecondArray = column(batch, "first_seen")?;
    let last_seen: &TimestampMicrosecondArray = column(batch, "last_seen")?;
    let (client, qname): (&StringArray, &StringArray) = (column(batch, "client_ip")?, column(batch, "qname_wire")?);
    let (qtype, qclass): (&UInt16Array, &UInt16Array) = (column(batch, "qtype")?, column(batch, "qclass")?);
    let rcode: &UInt16Array = column(batch, "rcode")?;
    let (query, response): (&UInt16Array, &UInt16Array) = (column(batch, "query_len")?, column(batch, "response_len")?);
    let frame: &UInt32Array = column(batch, "response_frame_len")?;
    let answers = Answers::of(batch)?;
    for row in 0..batch.num_rows() {
        let answered = !rcode.is_null(row);
        let time = if answered { last_seen } else { first_seen };
        let client_ip = address(client, row);
        let message = [response, query].into_iter().find(|len| !len.is_null(row)).map(|len| u32::from(len.value(row)));
        let estimated = (message.is_none() && frame.is_null(row))
            .then(|| {
                text(qname, row).map(|name| message_len(name, answers.records(row).map(|(kind, _, data)| (kind, data))))
            })
            .flatten();
        let message = message.or(estimated);
        let headers = if client_ip.is_some_and(|ip| ip.contains(':')) { HEADERS_V6 } else { HEADERS_V4 };
        let frame_len = if frame.is_null(row) { message.map(|len| len + headers) } else { Some(frame.value(row)) };
        counts.dns_unanswered += u64::from(!answered);
        counts.dns_lengths_estimated += u64::from(estimated.is_some());
        counts.dns_lengths_computed += u64::from(frame.is_null(row) && frame_len.is_some() && estimated.is_none());
        let input = DnsInput {
            hour: (!time.is_null(row)).then(|| time.value(row)).and_then(hour),
            unix_time: (!time.is_null(row)).then(|| time.value(row).div_euclid(1_000_000)),
            frame_len: frame_len.map(i64::from),
            client_ip,
            // tshark, which wrote Spot's names, calls the root so.
            qname: text(qname, row).map(|name| if name == "." { "<Root>" } else { name }),
            qclass: (!qclass.is_null(row)).then_some("present"),
            qtype: (!qtype.is_null(row)).then(|| qtype.value(row).into()),
            rcode: answered.then(|| rcode.value(row).into()),
        };
        let tokens = DnsWord::of(&input, lists).map(|word| Tokens {
            first_seen: first_seen.value(row),
            first: (client.value(row), word.code()),
            second: None,
        });
        each(row, tokens)?;
    }
    Ok(())
}

/// The URI is Spot's `fulluri`: host, path and query without the scheme (the view `spot_proxy` says the same).
fn spell_proxy(
    batch: &RecordBatch,
    scheme: &mut ProxyScheme,
    lists: &DomainLists,
    agents: &Agents,
    uri: &mut String,
    each: Each<'_>,
) -> Result<(), ScoreError> {
    let first_seen: &TimestampMicrosecondArray = column(batch, "first_seen")?;
    let (client, method): (&StringArray, &StringArray) = (column(batch, "client_ip")?, column(batch, "method")?);
    let (host, path): (&StringArray, &StringArray) = (column(batch, "host")?, column(batch, "uri_path")?);
    let (query, agent): (&StringArray, &StringArray) = (column(batch, "uri_query")?, column(batch, "user_agent")?);
    let content: &StringArray = column(batch, "content_type")?;
    let status: &UInt16Array = column(batch, "status")?;
    for row in 0..batch.num_rows() {
        let time = first_seen.value(row);
        uri.clear();
        uri.push_str(text(host, row).unwrap_or(""));
        for piece in [text(path, row), text(query, row)].into_iter().flatten() {
            if piece.chars().nth(1).is_some() {
                uri.push_str(piece);
            }
        }
        let input = ProxyInput {
            hour: (!first_seen.is_null(row)).then_some(time).and_then(hour),
            client_ip: address(client, row),
            host: text(host, row),
            method: text(method, row).unwrap_or("-"),
            full_uri: Some(uri),
            content_type: text(content, row),
            agent_count: agents.count(text(agent, row).unwrap_or("-")),
            status: (!status.is_null(row)).then(|| status.value(row).into()),
        };
        let tokens = ProxyWord::of(&input, lists, &mut scheme.lexicon).map(|word| Tokens {
            first_seen: time,
            first: (client.value(row), word.code()),
            second: None,
        });
        each(row, tokens)?;
    }
    Ok(())
}
