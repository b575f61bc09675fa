//! DNS messages (RFC 1035, RFC 6891): what they say, and their bytes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Query types the generator asks.
pub(crate) mod qtype {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const NULL: u16 = 10;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const MX: u16 = 15;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const DNSKEY: u16 = 48;
    pub(crate) const HTTPS: u16 = 65;
}

/// Response codes (IANA).
pub(crate) const NXDOMAIN: u16 = 3;

/// One message. Names are in lower case or mixed, without the trailing dot.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    pub(crate) id: u16,
    /// The 16 flag bits, RCODE included.
    pub(crate) flags: u16,
    pub(crate) qname: Arc<str>,
    pub(crate) qtype: u16,
    /// mDNS announcements have no question.
    pub(crate) has_question: bool,
    pub(crate) answers: Vec<Answer>,
    pub(crate) authorities: Vec<Answer>,
    /// UDP payload size offered in an OPT record.
    pub(crate) edns: Option<u16>,
}

/// A resource record.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) name: Arc<str>,
    pub(crate) ttl: u32,
    pub(crate) data: Rdata,
}

/// What a resource record holds.
#[derive(Clone, Debug)]
pub(crate) enum Rdata {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Arc<str>),
    Ns(Arc<str>),
    Ptr(Arc<str>),
    Mx(u16, Arc<str>),
    Srv(u16, Arc<str>),
    Soa(Arc<str>),
    Txt(Box<[u8]>),
    Null(Box<[u8]>),
    /// Public key of the given length, zone signing, algorithm 8.
    Dnskey(u16),
}

impl Rdata {
    pub(crate) fn rtype(&self) -> u16 {
        match self {
            Self::A(_) => qtype::A,
            Self::Aaaa(_) => qtype::AAAA,
            Self::Cname(_) => qtype::CNAME,
            Self::Ns(_) => qtype::NS,
            Self::Ptr(_) => qtype::PTR,
            Self::Mx(..) => qtype::MX,
            Self::Srv(..) => qtype::SRV,
            Self::Soa(_) => qtype::SOA,
            Self::Txt(_) => qtype::TXT,
            Self::Null(_) => qtype::NULL,
            Self::Dnskey(_) => qtype::DNSKEY,
        }
    }
}

impl Dns {
    /// A recursive query.
    pub(crate) fn query(id: u16, qname: Arc<str>, qtype: u16, edns: Option<u16>) -> Self {
        Self { id, flags: 0x0100, qname, qtype, has_question: true, answers: Vec::new(), authorities: Vec::new(), edns }
    }

    /// The resolver's answer to this query: RD and RA set, or AA where the server owns the zone.
    pub(crate) fn answer(
        &self,
        rcode: u16,
        authoritative: bool,
        answers: Vec<Answer>,
        authorities: Vec<Answer>,
    ) -> Self {
        let flags = 0x8000 | (self.flags & 0x0100) | if authoritative { 0x0400 } else { 0x0080 } | rcode;
        Self { flags, answers, authorities, edns: self.edns.map(|_| 1232), ..self.clone() }
    }

    /// The same, cut: TC set, nothing in it.
    pub(crate) fn truncated(&self) -> Self {
        let mut cut = self.answer(0, false, Vec::new(), Vec::new());
        cut.flags |= 0x0200;
        cut
    }

    /// Entries of the additional section.
    pub(crate) fn additional(&self) -> u16 {
        u16::from(self.edns.is_some())
    }

    /// Appends the message.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let base = out.len();
        let mut names = Names { base, seen: Vec::new() };
        for word in [
            self.id,
            self.flags,
            u16::from(self.has_question),
            self.answers.len() as u16,
            self.authorities.len() as u16,
            self.additional(),
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        if self.has_question {
            names.write(&self.qname, out);
            out.extend_from_slice(&self.qtype.to_be_bytes());
            out.extend_from_slice(&1u16.to_be_bytes());
        }
        for record in self.answers.iter().chain(&self.authorities) {
            record.write(&mut names, out);
        }
        if let Some(size) = self.edns {
            out.push(0);
            out.extend_from_slice(&qtype::OPT.to_be_bytes());
            out.extend_from_slice(&size.to_be_bytes());
            out.extend_from_slice(&[0; 6]);
        }
    }
}

impl Answer {
    fn write<'a>(&'a self, names: &mut Names<'a>, out: &mut Vec<u8>) {
        names.write(&self.name, out);
        out.extend_from_slice(&self.data.rtype().to_be_bytes());
        out.extend_from_slice(&1u16.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_be_bytes());
        let length_at = out.len();
        out.extend_from_slice(&[0, 0]);
        match &self.data {
            Rdata::A(a) => out.extend_from_slice(&a.octets()),
            Rdata::Aaaa(a) => out.extend_from_slice(&a.octets()),
            Rdata::Cname(n) | Rdata::Ns(n) | Rdata::Ptr(n) => names.write(n, out),
            Rdata::Mx(preference, n) => {
                out.extend_from_slice(&preference.to_be_bytes());
                names.write(n, out);
            }
            Rdata::Srv(port, n) => {
                // RFC 2782: the target of an SRV record is not compressed.
                for word in [0, 100, *port] {
                    out.extend_from_slice(&word.to_be_bytes());
                }
                labels(n, out);
                out.push(0);
            }
            Rdata::Soa(mname) => {
                names.write(mname, out);
                out.extend_from_slice(b"\x0ahostmaster");
                names.write(mname.split_once('.').map_or("", |(_, zone)| zone), out);
                for word in [2_026_030_401u32, 7200, 900, 1_209_600, 300] {
                    out.extend_from_slice(&word.to_be_bytes());
                }
            }
            Rdata::Txt(bytes) => {
                for chunk in bytes.chunks(255) {
                    out.push(chunk.len() as u8);
                    out.extend_from_slice(chunk);
                }
            }
            Rdata::Null(bytes) => out.extend_from_slice(bytes),
            Rdata::Dnskey(length) => {
                out.extend_from_slice(&[1, 0, 3, 8]);
                out.extend((0..*length).map(|i| (i.wrapping_mul(197) >> 3) as u8));
            }
        }
        let length = (out.len() - length_at - 2) as u16;
        out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }
}

/// Name compression (RFC 1035 section 4.1.4): suffixes written so far and where.
struct Names<'a> {
    base: usize,
    seen: Vec<(&'a str, u16)>,
}

impl<'a> Names<'a> {
    fn write(&mut self, name: &'a str, out: &mut Vec<u8>) {
        let mut rest = name;
        while !rest.is_empty() {
            if let Some((_, at)) = self.seen.iter().find(|(suffix, _)| *suffix == rest) {
                out.extend_from_slice(&(0xc000 | at).to_be_bytes());
                return;
            }
            let at = out.len() - self.base;
            if at < 0x4000 {
                self.seen.push((rest, at as u16));
            }
            let (label, tail) = rest.split_once('.').unwrap_or((rest, ""));
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
            rest = tail;
        }
        out.push(0);
    }
}

fn labels(name: &str, out: &mut Vec<u8>) {
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_becomes_a_pointer() {
        let q = Dns::query(7, "www.a.example".into(), qtype::A, None);
        let a = q.answer(
            0,
            false,
            vec![Answer { name: "www.a.example".into(), ttl: 60, data: Rdata::A([192, 0, 2, 1].into()) }],
            vec![],
        );
        let mut bytes = Vec::new();
        a.write(&mut bytes);
        // RFC 1035: header 12, name 15, type and class 4; then the pointer c00c.
        assert_eq!(&bytes[31..33], &[0xc0, 0x0c]);
        assert_eq!(&bytes[33..47], &[0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        assert_eq!(bytes.len(), 47);
    }
}
