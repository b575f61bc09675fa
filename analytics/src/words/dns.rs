//! Words of DNS records: `class_length_hour_subdomainLength_subdomainEntropy_parts_qtype_rcode`.

use super::domain::{DomainClass, DomainLists, NameParts};
use super::maths::{ENTROPY_CUTS, entropy_bin, floor_bin_range, floor_log2, hour_of_clock, utf16_len};
use super::{Component, Invalid, Scheme, WordCode, code_to_optional, optional_to_code};

/// The columns of a DNS record that decide its word and whether it has one. `None` is null.
#[derive(Clone, Copy, Debug)]
pub struct DnsInput<'a> {
    /// Hour of `frame_time`, already read ([`hour_of_frame_time`] for Spot's text).
    pub hour: Option<u8>,
    /// `unix_tstamp`, seconds.
    pub unix_time: Option<i64>,
    /// Length of the response frame in bytes.
    pub frame_len: Option<i64>,
    /// The client: the document.
    pub client_ip: Option<&'a str>,
    /// The name as sent.
    pub qname: Option<&'a str>,
    /// Class as text (`0x00000001`, `1`): only its absence matters.
    pub qclass: Option<&'a str>,
    /// Query type.
    pub qtype: Option<i64>,
    /// Response code; `None` where no answer was seen.
    pub rcode: Option<i64>,
}

/// The features of a DNS word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DnsWord {
    /// Which kind of domain.
    pub class: u8,
    /// ⌊log2⌋ of the frame length.
    pub length_bin: u32,
    /// Hour of the day, UTC.
    pub hour: u8,
    /// ⌊log2⌋ of the subdomain's length in characters.
    pub subdomain_bin: u32,
    /// Bin of the subdomain's entropy.
    pub entropy_bin: u32,
    /// ⌊log2⌋ of the number of labels.
    pub parts_bin: u32,
    /// Query type; `None` is Spot's −1.
    pub qtype: Option<u32>,
    /// Response code; `None` is Spot's −1.
    pub rcode: Option<u32>,
}

/// The placeholders Spot takes for "nothing".
fn present(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty() && *text != "-")
}

/// Hour of Spot's `frame_time` (`May 20 2016 02:10:25.970987000 PDT`): of the fourth token, several blanks being one.
/// `None` for null, empty, `-`, and text of another shape.
pub fn hour_of_frame_time(text: Option<&str>) -> Option<u8> {
    present(text)?.split_whitespace().nth(3).and_then(hour_of_clock)
}

impl DnsWord {
    /// The word of a record, or why it has none.
    ///
    /// # Errors
    /// The first cause found.
    pub fn of(record: &DnsInput<'_>, lists: &DomainLists) -> Result<Self, Invalid> {
        let hour = record.hour.filter(|hour| *hour < 24).ok_or(Invalid::Time)?;
        record.unix_time.filter(|time| *time >= 0).ok_or(Invalid::Time)?;
        let length = record.frame_len.and_then(|len| u64::try_from(len).ok()).ok_or(Invalid::Length)?;
        let name = present(record.qname).filter(|name| *name != "(empty)").ok_or(Invalid::Name)?;
        present(record.client_ip).ok_or(Invalid::Address)?;
        let number = |value: Option<i64>| value.and_then(|v| u32::try_from(v).ok());
        let (qtype, rcode) = (number(record.qtype), number(record.rcode));
        if present(record.qclass).is_none() && record.qtype.is_none() && rcode.is_none() {
            return Err(Invalid::Question);
        }
        let parts = NameParts::of(name);
        let subdomain = parts.subdomain.unwrap_or("");
        Ok(Self {
            class: parts.class(lists) as u8,
            length_bin: floor_log2(length),
            hour,
            subdomain_bin: floor_log2(utf16_len(subdomain) as u64),
            entropy_bin: entropy_bin(subdomain),
            parts_bin: floor_log2(parts.parts as u64),
            qtype,
            rcode,
        })
    }

    /// As numbers.
    pub fn code(self) -> WordCode {
        let Self { class, length_bin, hour, subdomain_bin, entropy_bin, parts_bin, qtype, rcode } = self;
        WordCode::of([
            class.into(),
            length_bin,
            hour.into(),
            subdomain_bin,
            entropy_bin,
            parts_bin,
            optional_to_code(qtype),
            optional_to_code(rcode),
        ])
    }

    /// The way back.
    pub fn from_code(code: WordCode) -> Self {
        let [class, length_bin, hour, subdomain_bin, entropy_bin, parts_bin, qtype, rcode, ..] = code.0;
        Self {
            class: class as u8,
            length_bin,
            hour: hour as u8,
            subdomain_bin,
            entropy_bin,
            parts_bin,
            qtype: code_to_optional(qtype),
            rcode: code_to_optional(rcode),
        }
    }
}

impl std::fmt::Display for DnsWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { class, length_bin, hour, subdomain_bin, entropy_bin, parts_bin, qtype, rcode } = *self;
        let (qtype, rcode) = (OrMinusOne(qtype), OrMinusOne(rcode));
        write!(f, "{class}_{length_bin}_{hour}_{subdomain_bin}_{entropy_bin}_{parts_bin}_{qtype}_{rcode}")
    }
}

/// A number, or −1.
struct OrMinusOne(Option<u32>);

impl std::fmt::Display for OrMinusOne {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("-1"),
        }
    }
}

/// Scheme `spot` for DNS.
#[derive(Clone, Copy, Debug, Default)]
pub struct DnsScheme;

/// `8 to 15 characters`: the raw values of a ⌊log2⌋ bin.
pub(crate) fn floor_range(bin: u32, unit: &str) -> String {
    let (low, high) = floor_bin_range(bin);
    format!("{low} to {high} {unit}")
}

/// `2.7 to 3.0 bits per character`: the range of an entropy bin.
pub(crate) fn entropy_range(bin: u32) -> String {
    match bin {
        0 => "entropy 0".into(),
        _ => {
            let low = ENTROPY_CUTS.get(bin.saturating_sub(1) as usize).copied().unwrap_or(5.4);
            match ENTROPY_CUTS.get(bin as usize).copied().filter(|high| high.is_finite()) {
                Some(high) => format!("{low:.1} to {high:.1} bits per character"),
                None => "over 5.4 bits per character".into(),
            }
        }
    }
}

impl Scheme for DnsScheme {
    fn components(&self) -> &'static [Component] {
        &[
            Component { name: "domain class", ordered: false },
            Component { name: "frame length", ordered: true },
            Component { name: "hour", ordered: true },
            Component { name: "subdomain length", ordered: true },
            Component { name: "subdomain entropy", ordered: true },
            Component { name: "labels", ordered: true },
            Component { name: "query type", ordered: false },
            Component { name: "response code", ordered: false },
        ]
    }

    fn render(&self, word: WordCode) -> String {
        DnsWord::from_code(word).to_string()
    }

    fn describe(&self, component: usize, value: u32) -> String {
        match component {
            0 => DomainClass::describe(value).into(),
            1 => floor_range(value, "bytes"),
            2 => format!("{value:02}:00 to {value:02}:59 UTC"),
            3 => floor_range(value, "characters"),
            4 => entropy_range(value),
            5 => floor_range(value, "labels"),
            6 => code_to_optional(value).map_or("no type".into(), query_type),
            _ => code_to_optional(value).map_or("no answer seen".into(), response_code),
        }
    }
}

pub(crate) fn query_type(number: u32) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        43 => "DS",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        252 => "AXFR",
        255 => "ANY",
        _ => return format!("type {number}"),
    };
    name.into()
}

pub(crate) fn response_code(number: u32) -> String {
    let name = match number {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => return format!("rcode {number}"),
    };
    name.into()
}
