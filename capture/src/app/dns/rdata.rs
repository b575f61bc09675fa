//! RDATA as text: what RFC 1035 master files would say, with names in lower case and without the dot at
//! their end. Types without a layout here, and RDATA that does not fit its layout, are octets: printable
//! ASCII as it is, the rest as `\DDD` (RFC 1035 5.1).

use super::name::{self, Name};
use super::param;
use domain::base::iana::Rtype;
use domain::utils::{base32, base64};
use std::net::Ipv6Addr;
use std::ops::Range;

/// RDATA that is shorter or longer than its type says.
const BAD_RDATA: &str = "bad_rdata";

/// A piece of RDATA.
#[derive(Clone, Copy)]
enum Field {
    Ipv4,
    Ipv6,
    U8,
    U16,
    U32,
    /// Domain name, possibly compressed.
    Name,
    /// One `<character-string>`, quoted.
    Str,
    /// Strings up to the end.
    Strs,
    /// Type mnemonic.
    Type,
    /// Seconds since 1970 as YYYYMMDDHHmmSS (RFC 4034 3.2).
    Time,
    /// The rest in hexadecimal digits.
    Hex,
    /// The rest in Base64.
    Base64,
    /// The rest as one quoted string.
    Text,
    /// Length and octets, in hexadecimal digits or "-".
    Salt,
    /// Length and octets, in Base32 (RFC 5155 3.3).
    Hash,
    /// Type bit maps (RFC 4034 4.1.2).
    Types,
    /// Length and letters (RFC 8659 4.1).
    Tag,
    /// Service parameters (RFC 9460 2.2).
    Params,
    /// The rest as octets, not quoted.
    Opaque,
}

/// The layout of a type's RDATA.
const fn layout(rtype: u16) -> &'static [Field] {
    use Field::*;
    match rtype {
        1 => &[Ipv4],
        28 => &[Ipv6],
        // NS MD MF CNAME MB MG MR PTR DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => &[Name],
        6 => &[Name, Name, U32, U32, U32, U32, U32],
        13 => &[Str, Str],
        // MINFO RP
        14 | 17 => &[Name, Name],
        // MX AFSDB RT KX
        15 | 18 | 21 | 36 => &[U16, Name],
        // TXT X25 ISDN SPF
        16 | 19 | 20 | 99 => &[Strs],
        // SIG RRSIG
        24 | 46 => &[Type, U8, U8, U32, Time, Time, U16, Name, Base64],
        // KEY DNSKEY CDNSKEY
        25 | 48 | 60 => &[U16, U8, U8, Base64],
        26 => &[U16, Name, Name],
        33 => &[U16, U16, U16, Name],
        35 => &[U16, U16, Str, Str, Str, Name],
        37 => &[U16, U16, U8, Base64],
        // DS CDS DLV
        43 | 59 | 32_769 => &[U16, U8, U8, Hex],
        44 => &[U8, U8, Hex],
        47 => &[Name, Types],
        49 | 61 => &[Base64],
        50 => &[U8, U8, U16, Salt, Hash, Types],
        51 => &[U8, U8, U16, Salt],
        // TLSA SMIMEA
        52 | 53 => &[U8, U8, U8, Hex],
        62 => &[U32, U16, Types],
        63 => &[U32, U8, U8, Hex],
        // SVCB HTTPS
        64 | 65 => &[U16, Name, Params],
        256 => &[U16, U16, Text],
        257 => &[U8, Tag, Text],
        _ => &[Opaque],
    }
}

/// The RDATA in `range` of `msg` as text, and its damage. `name` is working space.
pub(super) fn text(msg: &[u8], rtype: u16, range: Range<usize>, name: &mut Name) -> (String, Option<&'static str>) {
    let rdata = msg.get(range.clone()).unwrap_or_default();
    // An empty RDATA is how updates (RFC 2136) speak of all records of a type.
    if rdata.is_empty() {
        return (String::new(), None);
    }
    let rest = Rest { msg, pos: range.start, end: range.end };
    let mut writer = Writer { rest, name, out: Vec::with_capacity(16), damage: None };
    let fits = layout(rtype).iter().enumerate().try_for_each(|(i, &field)| {
        // Types and parameters may be absent.
        if i > 0 && (!writer.rest.is_empty() || !matches!(field, Field::Types | Field::Params)) {
            writer.out.push(b' ');
        }
        writer.field(field)
    });
    let Writer { rest, mut out, mut damage, .. } = writer;
    if fits.is_none() {
        out.clear();
        write_octets(rdata, b' ', &mut out);
        damage = damage.or(Some(BAD_RDATA));
    } else if !rest.is_empty() {
        damage = damage.or(Some(BAD_RDATA));
    }
    (into_string(out), damage)
}

/// What is left of the RDATA.
struct Rest<'m> {
    msg: &'m [u8],
    pos: usize,
    end: usize,
}

impl<'m> Rest<'m> {
    const fn is_empty(&self) -> bool {
        self.pos >= self.end
    }

    fn take(&mut self, len: usize) -> Option<&'m [u8]> {
        let end = self.pos.checked_add(len).filter(|&end| end <= self.end)?;
        let taken = self.msg.get(self.pos..end)?;
        self.pos = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length octet and as many octets.
    fn counted(&mut self) -> Option<&'m [u8]> {
        let [len] = self.array()?;
        self.take(len.into())
    }

    fn all(&mut self) -> &'m [u8] {
        self.take(self.end.saturating_sub(self.pos)).unwrap_or_default()
    }
}

struct Writer<'m, 'n> {
    rest: Rest<'m>,
    name: &'n mut Name,
    out: Vec<u8>,
    damage: Option<&'static str>,
}

impl Writer<'_, '_> {
    /// Writes one field; `None` if it is not there.
    fn field(&mut self, field: Field) -> Option<()> {
        let Self { rest, out, .. } = self;
        match field {
            Field::Ipv4 => {
                for (i, octet) in rest.array::<4>()?.into_iter().enumerate() {
                    if i > 0 {
                        out.push(b'.');
                    }
                    write_decimal(octet.into(), out);
                }
            }
            Field::Ipv6 => write_str(&Ipv6Addr::from_octets(rest.array()?).to_string(), out),
            Field::U8 => write_decimal(rest.array::<1>()?[0].into(), out),
            Field::U16 => write_decimal(rest.u16()?.into(), out),
            Field::U32 => write_decimal(rest.u32()?, out),
            Field::Name => self.name()?,
            Field::Str => write_quoted(rest.counted()?, out),
            Field::Strs => {
                write_quoted(rest.counted()?, out);
                while !rest.is_empty() {
                    out.push(b' ');
                    write_quoted(rest.counted()?, out);
                }
            }
            Field::Type => write_type(rest.u16()?, out),
            Field::Time => write_time(rest.u32()?, out),
            Field::Hex => write_hex(rest.all(), out),
            Field::Base64 => write_str(&base64::encode_string(&rest.all()), out),
            Field::Text => write_quoted(rest.all(), out),
            Field::Salt => match rest.counted()? {
                [] => out.push(b'-'),
                salt => write_hex(salt, out),
            },
            Field::Hash => write_str(&base32::encode_string_hex(&rest.counted()?), out),
            Field::Types => write_types(rest, out)?,
            Field::Tag => write_octets(rest.counted()?, b' ', out),
            Field::Params => write_params(rest, out)?,
            Field::Opaque => write_octets(rest.all(), b' ', out),
        }
        Some(())
    }

    fn name(&mut self) -> Option<()> {
        let end = self.name.read(self.rest.msg, self.rest.pos);
        // A name may lie elsewhere, by a pointer, but must end here.
        let next = end.next.filter(|&next| next <= self.rest.end)?;
        self.damage = self.damage.or(end.damage);
        let from = self.out.len();
        self.name.write(&mut self.out);
        if let Some(written) = self.out.get_mut(from..) {
            written.make_ascii_lowercase();
        }
        self.rest.pos = next;
        Some(())
    }
}

fn write_types(rest: &mut Rest<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut first = true;
    while !rest.is_empty() {
        let [window, len] = rest.array()?;
        // A window has 32 octets at most (RFC 4034 4.1.2).
        let bits = rest.take(len.into()).filter(|bits| bits.len() <= 32)?;
        for (byte, &octet) in (0_u16..).zip(bits) {
            for bit in (0_u16..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                if !first {
                    out.push(b' ');
                }
                first = false;
                write_type(u16::from(window) << 8 | byte << 3 | bit, out);
            }
        }
    }
    Some(())
}

fn write_params(rest: &mut Rest<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut first = true;
    while !rest.is_empty() {
        let (key, len) = (rest.u16()?, rest.u16()?);
        let value = rest.take(len.into())?;
        if !first {
            out.push(b' ');
        }
        first = false;
        param::write(key, value, out)?;
    }
    Some(())
}

fn write_str(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn write_type(rtype: u16, out: &mut Vec<u8>) {
    write_str(&Rtype::from_int(rtype).to_string(), out);
}

fn write_time(seconds: u32, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let second = seconds % 86_400;
    for (value, width) in
        [(year, 4), (month, 2), (day, 2), (second / 3_600, 2), (second / 60 % 60, 2), (second % 60, 2)]
    {
        (0..width).rev().for_each(|place| out.push(b'0' + (value / 10_u32.pow(place) % 10) as u8));
    }
}

/// Octets as text: printable ASCII from `lowest` on as it is, `\` doubled, the rest as `\DDD`.
pub(in crate::app) fn write_octets(octets: &[u8], lowest: u8, out: &mut Vec<u8>) {
    out.reserve(octets.len());
    for &b in octets {
        match b {
            b'\\' => out.extend(b"\\\\"),
            b if b >= lowest && b < 0x7f => out.push(b),
            _ => name::write_ddd(b, out),
        }
    }
}

fn write_quoted(octets: &[u8], out: &mut Vec<u8>) {
    out.reserve(octets.len() + 2);
    out.push(b'"');
    for part in octets.split_inclusive(|&b| b == b'"') {
        match part.split_last() {
            Some((b'"', before)) => {
                write_octets(before, b' ', out);
                out.extend(b"\\\"");
            }
            _ => write_octets(part, b' ', out),
        }
    }
    out.push(b'"');
}

fn write_hex(octets: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend(octets.iter().flat_map(|&b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 0xf)]]));
}

pub(super) fn write_decimal(mut value: u32, out: &mut Vec<u8>) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Year, month and day of a day since the epoch, by the calendar's cycle of 400 years from 1 March.
const fn civil_from_days(days: u32) -> (u32, u32, u32) {
    let day = days + 719_468;
    let cycle = day / 146_097;
    let of_cycle = day % 146_097;
    let year_of_cycle = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (cycle * 400 + year_of_cycle + if month <= 2 { 1 } else { 0 }, month, day)
}

/// All text written here is ASCII, so nothing is ever replaced.
pub(in crate::app) fn into_string(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(rtype: u16, rdata: &[u8]) -> String {
        let (text, damage) = text(rdata, rtype, 0..rdata.len(), &mut Name::new());
        assert_eq!(damage, None, "{text}");
        text
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hexadecimal"))
            .collect()
    }

    #[test]
    fn addresses_are_canonical() {
        assert_eq!(plain(1, &[192, 0, 2, 1]), "192.0.2.1");
        assert_eq!(plain(1, &[255, 10, 100, 0]), "255.10.100.0");
        assert_eq!(plain(28, &bytes("20010db8000000000001000000000001")), "2001:db8::1:0:0:1");
    }

    #[test]
    fn text_and_null_are_escaped() {
        assert_eq!(plain(16, b"\x05a\"b\\c\x00\x03\x00\xff "), r#""a\"b\\c" "" "\000\255 ""#);
        assert_eq!(plain(10, b"\x00ab\\\xfe"), r"\000ab\\\254");
        assert_eq!(plain(65_280, b"\x01x"), r"\001x");
        assert_eq!(plain(257, b"\x00\x05issueca.example.net"), r#"0 issue "ca.example.net""#);
    }

    #[test]
    fn names_are_lower_case_without_dot() {
        assert_eq!(plain(15, b"\x00\x0a\x04MAIL\x07Example\x00"), "10 mail.example");
        assert_eq!(plain(33, b"\x00\x01\x00\x02\x1f\x90\x00"), "1 2 8080 .");
        let soa = [b"\x02ns\x00\x05admin\x00".as_slice(), &bytes("0000000100000002000000030000000400000005")].concat();
        assert_eq!(plain(6, &soa), "ns admin 1 2 3 4 5");
    }

    #[test]
    fn rfc_9460_appendix_d_vectors() {
        // D.1 alias, D.2 figures 3 to 10.
        assert_eq!(plain(65, &bytes("0000 03666f6f 076578616d706c65 03636f6d 00")), "0 foo.example.com");
        assert_eq!(plain(64, &bytes("0001 00")), "1 .");
        assert_eq!(
            plain(64, &bytes("0010 03666f6f076578616d706c6503636f6d00 0003 0002 0035")),
            "16 foo.example.com port=53"
        );
        assert_eq!(
            plain(64, &bytes("0001 03666f6f076578616d706c6503636f6d00 029b 0005 68656c6c6f")),
            "1 foo.example.com key667=hello"
        );
        assert_eq!(
            plain(64, &bytes("0001 03666f6f076578616d706c6503636f6d00 029b 0009 68656c6c6fd2716f6f")),
            r"1 foo.example.com key667=hello\210qoo"
        );
        assert_eq!(
            plain(
                64,
                &bytes(
                    "0001 03666f6f076578616d706c6503636f6d00 0006 0020 20010db8000000000000000000000001
                     20010db8000000000000000000530001"
                )
            ),
            "1 foo.example.com ipv6hint=2001:db8::1,2001:db8::53:1"
        );
        assert_eq!(
            plain(
                64,
                &bytes(
                    "0010 03666f6f076578616d706c65036f726700 0000 0004 0001 0004 0001 0009 02 6832 05 68332d3139
                     0004 0004 c0000201"
                )
            ),
            "16 foo.example.org mandatory=alpn,ipv4hint alpn=h2,h3-19 ipv4hint=192.0.2.1"
        );
        assert_eq!(
            plain(64, &bytes("0010 03666f6f076578616d706c65036f726700 0001 000c 08 665c6f6f2c626172 02 6832")),
            r"16 foo.example.org alpn=f\\\\oo\\,bar,h2"
        );
    }

    #[test]
    fn rfc_4034_and_5155_examples() {
        // RFC 4034 2.3 begins this key, 5.4 gives the digest; 3.3 the times of the signature.
        assert_eq!(
            plain(43, &bytes("ec45 05 01 2BB183AF5F22588179A53B0A98631FAD1A292118")),
            "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"
        );
        let rrsig =
            [&bytes("0001 05 03 00015180 3e7c9dd7 3e5510d7 0a52")[..], b"\x07example\x03com\x00", b"\x01\x02\x03"]
                .concat();
        assert_eq!(plain(46, &rrsig), "A 5 3 86400 20030322173103 20030220173103 2642 example.com AQID");
        // RFC 4034 4.3.
        let nsec = [
            b"\x04host\x07example\x03com\x00".as_slice(),
            &bytes("0006 400100000003 041b 000000000000000000000000000000000000000000000000000020"),
        ]
        .concat();
        assert_eq!(plain(47, &nsec), "host.example.com A MX RRSIG NSEC TYPE1234");
        // RFC 5155 appendix A: 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.
        assert_eq!(
            plain(50, &bytes("01 01 000c 04 aabbccdd 14 174eb2409fe28bcb4887a1836f957f0a8425e27b 0007 22010000000290")),
            "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS SOA MX RRSIG DNSKEY NSEC3PARAM"
        );
        assert_eq!(plain(51, &bytes("01 00 0000 00")), "1 0 0 -");
    }

    #[test]
    fn rdata_that_does_not_fit_is_kept_and_marked() {
        let read = |rtype, rdata: &[u8]| text(rdata, rtype, 0..rdata.len(), &mut Name::new());
        assert_eq!(read(1, &[10, 0, 0]), (r"\010\000\000".into(), Some(BAD_RDATA)));
        assert_eq!(read(1, &[10, 0, 0, 1, 7]), ("10.0.0.1".into(), Some(BAD_RDATA)));
        assert_eq!(read(16, b"\x09short"), (r"\009short".into(), Some(BAD_RDATA)));
        assert_eq!(read(5, b"\xc0\x00"), (".".into(), Some(name::COMPRESSION_LOOP)));
        assert_eq!(read(1, b""), (String::new(), None));
        // A name that ends outside its RDATA is not its name.
        assert_eq!(text(b"\x01a\x00", 5, 0..2, &mut Name::new()), (r"\001a".into(), Some(BAD_RDATA)));
    }
}
