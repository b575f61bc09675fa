//! How long a DNS message must have been, where only what it says is known: records of logs (Zeek, Suricata) have names and answers, and
//! no lengths. Spot's words have the length as ⌊log2⌋: met where a message has answers alone, and short by one or two where authorities and
//! EDNS stood behind them. The same message always has the same length, so what is unusual for a host still is.

/// A resource record as the lake has it: its type, 0 if that is not said, and its data as text.
pub type Record<'a> = (u16, &'a str);

const HEADER: u32 = 12;
/// Type and class behind the name of a question.
const QUESTION: u32 = 4;
/// Type, class, TTL and length before the data of a record.
const RECORD: u32 = 10;
/// An owner's name that stands earlier in the message, as nearly all do.
const POINTER: u32 = 2;

/// Octets of a message that asks for `qname` and has these records, with names compressed as servers do (RFC 1035 section 4.1.4).
/// Without EDNS, authorities and additional records, which no log has. At most 65,535.
pub fn message_len<'a>(qname: &str, records: impl Iterator<Item = Record<'a>> + Clone) -> u32 {
    let mut len = HEADER + name_len(qname) + QUESTION;
    let mut last = qname;
    for (rtype, data) in records {
        len = len.saturating_add(POINTER + RECORD + data_len(rtype, data, qname, last));
        last = data;
    }
    len.min(u32::from(u16::MAX))
}

/// Octets of a text in which those that do not print stand as `\DDD`, and dots and backslashes within a label as `\X` (RFC 1035 section 5.1).
fn octets(text: &str) -> u32 {
    let (mut bytes, mut count) = (text.bytes(), 0);
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && bytes.next().is_some_and(|next| next.is_ascii_digit()) {
            bytes.nth(1);
        }
        count += 1;
    }
    count
}

/// A name written out: a length before each label, and the root.
fn name_len(name: &str) -> u32 {
    match name.trim_end_matches('.') {
        "" => 1,
        labels => octets(labels).saturating_add(2),
    }
}

/// A name of which the end stands earlier in the message.
fn compressed_len(name: &str, earlier: [&str; 2]) -> u32 {
    let shared = earlier.into_iter().map(|other| shared_labels(name, other)).max().unwrap_or(0);
    match shared {
        0 => name_len(name),
        // What remains has a length before each label: the dot behind each in the text.
        _ => octets(name.trim_end_matches('.')).saturating_sub(shared) + POINTER,
    }
}

/// Octets of text of the labels that both names end with.
fn shared_labels(name: &str, other: &str) -> u32 {
    let labels = |name: &'_ str| name.trim_end_matches('.').to_ascii_lowercase();
    let (name, other) = (labels(name), labels(other));
    let same = name.rsplit('.').zip(other.rsplit('.')).take_while(|(a, b)| a == b && !a.is_empty());
    let (count, text) = same.fold((0, 0), |(count, text), (label, _)| (count + 1, text + octets(label)));
    text + u32::saturating_sub(count, 1)
}

fn data_len(rtype: u16, data: &str, qname: &str, last: &str) -> u32 {
    const A: u16 = 1;
    const NAMES: [u16; 3] = [2, 5, 12];
    const MX: u16 = 15;
    const TXT: u16 = 16;
    const AAAA: u16 = 28;
    const SRV: u16 = 33;
    let name = |text: &str| compressed_len(text, [qname, last]);
    // The numbers before the name of an exchange or a server are text here.
    let target = data.rsplit(' ').next().unwrap_or(data);
    match rtype {
        A => 4,
        AAAA => 16,
        MX => 2 + name(target),
        // RFC 2782 forbids compression here.
        SRV => 6 + name_len(target),
        TXT => octets(data).saturating_add(1 + octets(data) / 256),
        _ if NAMES.contains(&rtype) => name(data),
        _ => octets(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn len(qname: &str, records: &[Record<'_>]) -> u32 {
        message_len(qname, records.iter().copied())
    }

    #[test]
    fn lengths_are_those_of_messages_counted_by_hand() {
        // 12 + (1+3+1+7+1+3+1) + 4.
        assert_eq!(len("www.example.com", &[]), 33);
        assert_eq!(len(".", &[]), 17);
        // One address: a pointer, ten octets, four of data.
        assert_eq!(len("www.example.com", &[(1, "198.51.100.7")]), 33 + 16);
        assert_eq!(len("www.example.com", &[(28, "2001:db8::7")]), 33 + 28);
        // An alias in the same domain: its first label and a pointer.
        assert_eq!(len("www.example.com", &[(5, "web.EXAMPLE.com.")]), 33 + 12 + 6);
        // A chain: what the alias brought is pointed at by the next.
        assert_eq!(
            len("www.example.com", &[(5, "a.cdn.example.net"), (5, "b.cdn.example.net")]),
            33 + (12 + 19) + (12 + 4)
        );
        // The very name.
        assert_eq!(len("example.com", &[(15, "10 example.com")]), 29 + 12 + 2 + 2);
        assert_eq!(len("_ldap._tcp.example.com", &[(33, "0 0 389 dc.example.com")]), 40 + 12 + 6 + 16);
        // Octets that do not print.
        assert_eq!(len("\\000\\255a\\.b.example", &[(10, "\\001\\\\x")]), 12 + 15 + 4 + 12 + 3);
        // 300 octets are two strings.
        assert_eq!(len("t.example", &[(16, &"x".repeat(300))]), 27 + 12 + 302);
        assert_eq!(len("t.example", &vec![(16, "x"); 9_000]), 65_535);
    }
}
