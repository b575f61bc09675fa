//! One DNS message: header, questions, records.

use super::HEADER;
use super::name::{self, Name};
use super::rdata;
use crate::{DnsMessage, DnsQuestion, DnsTransport, ResourceRecord};

/// Bytes of text kept of one message; what a maximal message unpacks to without compression is below.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// Questions kept of one message: each may become a record of its own.
const MAX_QUESTIONS: usize = 256;

/// The message was not captured to its end.
const TRUNCATED: &str = "truncated";
/// The message ends before the records its header promises.
const ENDS_EARLY: &str = "ends_early";
/// Bytes follow the last record.
const TRAILING_BYTES: &str = "trailing_bytes";
/// More text than [`MAX_TEXT`] or more questions than [`MAX_QUESTIONS`]: the rest was left out.
const OVER_LIMIT: &str = "over_limit";
/// A second OPT record (RFC 6891 6.1.1 allows one).
const SECOND_OPT: &str = "second_opt";

const OPT: u16 = 41;

/// What is known of a message before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) transport: DnsTransport,
    /// Length by the transport; more than the bytes at hand where the capture cut it.
    pub(crate) message_len: usize,
    /// Wire length of the frame that carried its end.
    pub(crate) frame_len: u32,
}

/// Reads a message. `None` if not even the header is there. Second: records and questions left out
/// because of [`MAX_TEXT`].
pub(crate) fn read(msg: &[u8], envelope: Envelope) -> Option<(DnsMessage, u64)> {
    let header = msg.first_chunk::<HEADER>()?;
    let word = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
    let message_len = envelope.message_len.max(msg.len());
    let mut reader = Reader {
        msg,
        pos: HEADER,
        end_damage: if message_len > msg.len() { TRUNCATED } else { ENDS_EARLY },
        name: Name::new(),
        text: 0,
        damage: None,
        left_out: 0,
        first_is_plain: false,
    };
    let questions = reader.questions(word(4));
    let answers = reader.records(word(6), &questions);
    let authorities = reader.records(word(8), &questions);
    let edns = reader.additional(word(10));
    if reader.pos < msg.len() && reader.damage.is_none() {
        reader.damage = Some(TRAILING_BYTES);
    }
    let flags = word(2);
    let message = DnsMessage {
        transport: envelope.transport,
        id: word(0),
        flags,
        rcode: edns.map_or(0, |e| u16::from(e.rcode_high) << 4) | flags & 0xf,
        message_len: u16::try_from(message_len).unwrap_or(u16::MAX),
        frame_len: envelope.frame_len,
        questions,
        answers,
        authorities,
        additional_count: word(10),
        edns_udp_size: edns.map(|e| e.udp_size),
        damage: reader.damage,
    };
    Some((message, reader.left_out))
}

/// What is kept of an OPT record (RFC 6891 6.1).
#[derive(Clone, Copy)]
struct Edns {
    rcode_high: u8,
    udp_size: u16,
}

struct Reader<'a> {
    msg: &'a [u8],
    pos: usize,
    /// How it is called if the bytes end too early.
    end_damage: &'static str,
    name: Name,
    /// Bytes of text so far.
    text: usize,
    /// First damage found. `pos` is past the end once nothing more can be read.
    damage: Option<&'static str>,
    left_out: u64,
    /// The first question's name is sound and not compressed: a pointer to it is that name.
    first_is_plain: bool,
}

/// A pointer to the first question's name, which is the owner of most answers.
const TO_FIRST_QUESTION: [u8; 2] = [0xc0, HEADER as u8];

impl Reader<'_> {
    fn questions(&mut self, count: u16) -> Vec<DnsQuestion> {
        let mut out = Vec::with_capacity(usize::from(count.min(4)));
        for read in 0..count {
            if !self.more(count - read) {
                break;
            }
            if out.len() >= MAX_QUESTIONS {
                self.skip_question();
                continue;
            }
            let end = self.read_name();
            if read == 0 {
                self.first_is_plain = self.damage.is_none() && end == Some(HEADER + self.name.wire_len());
            }
            let Some(next) = end else {
                // The name is worth keeping even if its type is not there.
                if !self.name.is_empty() {
                    out.push(self.question(0, 0));
                }
                break;
            };
            let fields = self.msg.get(next..).and_then(|b| b.first_chunk::<4>());
            let Some(&[t0, t1, c0, c1]) = fields else {
                out.push(self.question(0, 0));
                self.stop(self.end_damage);
                break;
            };
            out.push(self.question(u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1])));
            self.pos = next + 4;
        }
        out
    }

    fn skip_question(&mut self) {
        self.left_out += 1;
        self.note(Some(OVER_LIMIT));
        match name::skip(self.msg, self.pos).map(|next| next + 4).filter(|&next| next <= self.msg.len()) {
            Some(next) => self.pos = next,
            None => self.stop(self.end_damage),
        }
    }

    fn question(&mut self, qtype: u16, qclass: u16) -> DnsQuestion {
        let name_wire = self.name_text();
        self.text += 2 * name_wire.len();
        DnsQuestion { name: name_wire.to_ascii_lowercase(), name_wire, qtype, qclass }
    }

    fn records(&mut self, count: u16, questions: &[DnsQuestion]) -> Vec<ResourceRecord> {
        let mut out = Vec::new();
        for read in 0..count {
            if !self.more(count - read) {
                break;
            }
            let owner = self.msg.get(self.pos..).and_then(|rest| rest.first_chunk::<2>());
            let first = questions.first().filter(|_| self.first_is_plain && owner == Some(&TO_FIRST_QUESTION));
            let next = if first.is_some() { Some(self.pos + 2) } else { self.read_name() };
            let Some(next) = next else { break };
            let Some(fixed) = self.fixed_fields(next) else { break };
            if out.is_empty() {
                // A record takes 11 bytes at the least, so a lying count reserves little.
                out.reserve_exact(usize::from(count).min((self.msg.len() - next) / 11 + 1).min(64));
            }
            let name = first.map_or_else(|| lower_case(self.name_text()), |question| question.name.clone());
            let (data, damage) = rdata::text(self.msg, fixed.rtype, fixed.rdata.clone(), &mut self.name);
            if !fixed.cut {
                self.note_name(damage);
            }
            self.text += name.len() + data.len();
            out.push(ResourceRecord { name, rtype: fixed.rtype, ttl: fixed.ttl, data });
            self.pos = fixed.rdata.end;
            if fixed.cut {
                self.stop(self.end_damage);
            }
        }
        out
    }

    /// Walks over the additional section for its OPT record.
    fn additional(&mut self, count: u16) -> Option<Edns> {
        let mut edns = None;
        for _ in 0..count {
            if self.pos > self.msg.len() {
                break;
            }
            let Some(next) = name::skip(self.msg, self.pos) else {
                self.stop(self.end_damage);
                break;
            };
            let Some(fixed) = self.fixed_fields(next) else { break };
            if fixed.rtype == OPT {
                if edns.is_some() {
                    self.note(Some(SECOND_OPT));
                } else {
                    edns = Some(Edns { rcode_high: (fixed.ttl >> 24) as u8, udp_size: fixed.class });
                }
            }
            self.pos = fixed.rdata.end;
            if fixed.cut {
                self.stop(self.end_damage);
            }
        }
        edns
    }

    /// TYPE, CLASS, TTL, RDLENGTH and where RDATA is.
    fn fixed_fields(&mut self, at: usize) -> Option<Fixed> {
        let Some(&[t0, t1, c0, c1, l0, l1, l2, l3, d0, d1]) = self.msg.get(at..).and_then(|b| b.first_chunk::<10>())
        else {
            self.stop(self.end_damage);
            return None;
        };
        let start = at + 10;
        let end = start + usize::from(u16::from_be_bytes([d0, d1]));
        Some(Fixed {
            rtype: u16::from_be_bytes([t0, t1]),
            class: u16::from_be_bytes([c0, c1]),
            ttl: u32::from_be_bytes([l0, l1, l2, l3]),
            rdata: start..end.min(self.msg.len()),
            cut: end > self.msg.len(),
        })
    }

    /// Whether there is anything left to read, and room for it; `rest` entries are left out if not.
    fn more(&mut self, rest: u16) -> bool {
        if self.text > MAX_TEXT {
            self.left_out += u64::from(rest);
            self.stop(OVER_LIMIT);
        }
        self.pos <= self.msg.len()
    }

    /// Reads the name at `pos`; `None`, and the end of reading, if its end cannot be told.
    fn read_name(&mut self) -> Option<usize> {
        let end = self.name.read(self.msg, self.pos);
        self.note_name(end.damage);
        if end.next.is_none() {
            self.pos = self.msg.len() + 1;
        }
        end.next
    }

    fn name_text(&self) -> String {
        let mut text = Vec::new();
        self.name.write(&mut text);
        rdata::into_string(text)
    }

    fn note(&mut self, damage: Option<&'static str>) {
        self.damage = self.damage.or(damage);
    }

    /// The same, of something that may be cut.
    fn note_name(&mut self, damage: Option<&'static str>) {
        self.note(damage.map(|d| if d == name::NAME_CUT { self.end_damage } else { d }));
    }

    /// Nothing more can be read.
    fn stop(&mut self, damage: &'static str) {
        self.note(Some(damage));
        self.pos = self.msg.len() + 1;
    }
}

fn lower_case(mut text: String) -> String {
    text.make_ascii_lowercase();
    text
}

struct Fixed {
    rtype: u16,
    class: u16,
    ttl: u32,
    rdata: std::ops::Range<usize>,
    cut: bool,
}
