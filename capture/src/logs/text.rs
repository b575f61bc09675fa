//! Words, quotes and times of log lines, and names of numbers.

use crate::Nanos;

/// Words at blanks; `"…"` keeps blanks, `\"` and `""` a quote. Two blanks are an empty word only with `empty`.
pub(super) fn words(line: &str, empty: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = line;
    while !rest.is_empty() && out.len() < 1_024 {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (word, after) = unquote(quoted);
            out.push(word);
            rest = after.strip_prefix([' ', '\t']).unwrap_or(after);
            continue;
        }
        let (word, after) = match rest.find([' ', '\t']) {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
            None => (rest, ""),
        };
        if empty || !word.is_empty() {
            out.push(word.to_owned());
        }
        rest = after;
    }
    out
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                word.extend(chars.next().map(|(_, next)| next));
            }
            '"' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                word.push('"');
                chars.next();
            }
            '"' => return (word, text.get(at + 1..).unwrap_or_default()),
            c => word.push(c),
        }
    }
    (word, "")
}

/// A protocol's number of its name, or of its digits.
pub(super) fn protocol(text: &str) -> Option<u8> {
    Some(match text.to_ascii_lowercase().as_str() {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "icmp6" | "icmpv6" | "ipv6-icmp" => 58,
        "igmp" => 2,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "ospf" => 89,
        "pim" => 103,
        "vrrp" => 112,
        "sctp" => 132,
        "ipip" | "ip-in-ip" => 4,
        "ipv6" => 41,
        number => number.parse().ok()?,
    })
}

/// A DNS type's number (IANA) of its name.
pub(super) fn qtype(text: &str) -> Option<u16> {
    Some(match text.to_ascii_uppercase().as_str() {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "SOA" => 6,
        "NULL" => 10,
        "PTR" => 12,
        "HINFO" => 13,
        "MX" => 15,
        "TXT" => 16,
        "RP" => 17,
        "AFSDB" => 18,
        "SIG" => 24,
        "KEY" => 25,
        "AAAA" => 28,
        "LOC" => 29,
        "NXT" => 30,
        "SRV" => 33,
        "NAPTR" => 35,
        "KX" => 36,
        "CERT" => 37,
        "DNAME" => 39,
        "OPT" => 41,
        "DS" => 43,
        "SSHFP" => 44,
        "IPSECKEY" => 45,
        "RRSIG" => 46,
        "NSEC" => 47,
        "DNSKEY" => 48,
        "DHCID" => 49,
        "NSEC3" => 50,
        "NSEC3PARAM" => 51,
        "TLSA" => 52,
        "SMIMEA" => 53,
        "HIP" => 55,
        "CDS" => 59,
        "CDNSKEY" => 60,
        "OPENPGPKEY" => 61,
        "SVCB" => 64,
        "HTTPS" => 65,
        "SPF" => 99,
        "TKEY" => 249,
        "TSIG" => 250,
        "IXFR" => 251,
        "AXFR" => 252,
        "ANY" => 255,
        "URI" => 256,
        "CAA" => 257,
        other => other.strip_prefix("TYPE")?.parse().ok()?,
    })
}

/// A DNS response code of its name.
pub(super) fn rcode(text: &str) -> Option<u16> {
    const NAMES: [&str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
        "NOTZONE",
    ];
    NAMES.iter().position(|name| text.eq_ignore_ascii_case(name)).map(|code| code as u16)
}

/// Seconds since the epoch with a fraction, exactly.
pub(super) fn epoch(text: &str) -> Option<Nanos> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let nanos = format!("{:0<9}", fraction.get(..fraction.len().min(9))?).parse::<i64>().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(nanos).map(Nanos)
}

/// A duration in seconds with a fraction, never negative.
pub(super) fn seconds(text: &str) -> Option<Nanos> {
    epoch(text).filter(|n| n.0 >= 0).or_else(|| {
        let float: f64 = text.parse().ok()?;
        (float.is_finite() && (0.0..1e9).contains(&float)).then_some(Nanos((float * 1e9) as i64))
    })
}

/// Midnight UTC of a day (proleptic Gregorian).
fn day(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || !(1_000..=9_999).contains(&year) {
        return None;
    }
    let (y, m) = if month <= 2 { (year - 1, i64::from(month) + 9) } else { (year, i64::from(month) - 3) };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * m + 2) / 5 + i64::from(day) - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// `hh:mm:ss`, with a fraction perhaps.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let second = epoch(parts.next()?)?.0;
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..61_000_000_000).contains(&second) {
        return None;
    }
    Some((hour * 3_600 + minute * 60) * 1_000_000_000 + second)
}

fn at(days: i64, nanos: i64) -> Option<Nanos> {
    days.checked_mul(86_400_000_000_000)?.checked_add(nanos).map(Nanos)
}

/// `2011-08-04` and `21:00:00`, UTC as the W3C format says.
pub(super) fn date_time(date: &str, time: &str) -> Option<Nanos> {
    let mut parts = date.split('-');
    let (year, month, of_month) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    at(day(year, month, of_month)?, clock(time)?)
}

/// `2011-08-15T03:36:16.748830Z`, with an offset perhaps.
pub(super) fn iso(text: &str) -> Option<Nanos> {
    let (date, time) = text.split_once(['T', ' '])?;
    let (time, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => (time.get(..at)?, time.get(at..)?),
        None => (time, "Z"),
    };
    let offset = match offset {
        "Z" => 0,
        offset => {
            let digits: String = offset.get(1..)?.chars().filter(char::is_ascii_digit).collect();
            let (hours, minutes): (i64, i64) =
                (digits.get(..2)?.parse().ok()?, digits.get(2..4).unwrap_or("0").parse().ok()?);
            (hours * 3_600 + minutes * 60) * if offset.starts_with('-') { -1 } else { 1 }
        }
    };
    let utc = date_time(date, time)?;
    Some(Nanos(utc.0.checked_sub(offset * 1_000_000_000)?))
}

/// `09/Dec/2013:12:59:46.633`; no zone is UTC.
pub(super) fn common(text: &str) -> Option<Nanos> {
    let (text, offset) = text.split_once(' ').unwrap_or((text, "+0000"));
    let (date, time) = text.split_once(':')?;
    let mut parts = date.split('/');
    let (of_month, name, year) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?.parse().ok()?);
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = NAMES.iter().position(|known| *known == name)? as u32 + 1;
    let number: i64 = offset.parse().ok()?;
    let back = (number / 100 * 3_600 + number % 100 * 60).checked_mul(1_000_000_000)?;
    Some(Nanos(at(day(year, month, of_month)?, clock(time)?)?.0 - back))
}

/// `-` and nothing are absent.
pub(super) fn given(text: &str) -> Option<&str> {
    (!text.is_empty() && text != "-").then_some(text)
}

/// A hardware address, its octets in hexadecimal between colons.
pub(super) fn mac(text: &str) -> Option<[u8; 6]> {
    let mut octets = text.split(':').map(|hex| u8::from_str_radix(hex, 16).ok());
    let mut mac = [0; 6];
    for slot in &mut mac {
        *slot = octets.next()??;
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        // date -u -d … +%s
        assert_eq!(date_time("2011-08-04", "21:00:00"), Some(Nanos(1_312_491_600_000_000_000)));
        assert_eq!(common("09/Dec/2013:12:59:46.633"), Some(Nanos(1_386_593_986_633_000_000)));
        assert_eq!(common("09/Dec/2013:12:59:46 +0100"), Some(Nanos(1_386_590_386_000_000_000)));
        assert_eq!(iso("2011-08-15T03:36:16.748830Z"), Some(Nanos(1_313_379_376_748_830_000)));
        assert_eq!(epoch("1258531221.486539"), Some(Nanos(1_258_531_221_486_539_000)));
        for wrong in ["2011-02-29", "2011-13-01", "XXXX-01-01", "2011-1"] {
            assert_eq!(date_time(wrong, "00:00:00"), None, "{wrong}");
        }
        assert_eq!((epoch("XXXXXXXXXX.XXXXXX"), epoch("."), common("[]")), (None, None, None));
    }

    #[test]
    fn quotes_keep_blanks() {
        assert_eq!(words(r#"a "b c"  "d\"e" f"#, true), ["a", "b c", "", r#"d"e"#, "f"]);
        assert_eq!(words(r#"a  b "open"#, false), ["a", "b", "open"]);
    }
}
