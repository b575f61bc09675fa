//! The header that syslog puts before a log's line, on the wire and in the files of rsyslog and syslog-ng.

/// The message of a line: what follows a header of RFC 5424, of RFC 3164 (with or without its priority), or of a file with
/// times of RFC 3339. A line without one is its own message.
pub(super) fn message(line: &str) -> &str {
    let body = without_priority(line);
    match (body.len() < line.len()).then(|| rfc5424(body)).flatten() {
        Some(message) => message,
        None => dated(body).unwrap_or(line),
    }
}

/// What follows `<134>`.
fn without_priority(line: &str) -> &str {
    let Some((number, rest)) = line.strip_prefix('<').and_then(|rest| rest.split_once('>')) else { return line };
    if (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()) { rest } else { line }
}

/// `1 TIME HOST APP PROCID MSGID STRUCTURED-DATA MESSAGE` (RFC 5424, 6).
fn rfc5424(body: &str) -> Option<&str> {
    let mut rest = body.strip_prefix("1 ")?;
    for _ in 0..5 {
        rest = rest.split_once(' ')?.1;
    }
    if let Some(rest) = rest.strip_prefix('-') {
        return Some(rest.trim_start_matches([' ', '\u{feff}']));
    }
    // Elements one after the other; in their values a bracket stands behind a backslash.
    while rest.starts_with('[') {
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, c)| {
            let is_end = *c == ']' && !escaped;
            escaped = *c == '\\' && !escaped;
            is_end
        })?;
        rest = rest.get(end.0 + 1..)?;
    }
    Some(rest.trim_start_matches([' ', '\u{feff}']))
}

/// `Nov 14 22:13:20 HOST TAG: MESSAGE` (RFC 3164, 4.1), or the same with a time of RFC 3339.
fn dated(body: &str) -> Option<&str> {
    let rest = after_old_date(body).or_else(|| after_new_date(body))?;
    let (_host, rest) = rest.split_once(' ')?;
    // A tag is a word, often with the process number; without one this is somebody's text.
    let (tag, message) = rest.split_once(": ")?;
    (!tag.contains(' ')).then(|| message.trim_start())
}

fn after_old_date(body: &str) -> Option<&str> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, rest) = body.split_at_checked("Nov 14 22:13:20 ".len())?;
    let is_date = MONTHS.contains(&date.get(..3)?) && date.as_bytes().get(9) == Some(&b':') && date.ends_with(' ');
    is_date.then_some(rest)
}

fn after_new_date(body: &str) -> Option<&str> {
    let (date, rest) = body.split_once(' ')?;
    let bytes = date.as_bytes();
    let is_date = bytes.len() >= 19 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':';
    (is_date && bytes.iter().take(4).all(u8::is_ascii_digit)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn the_message_is_what_follows_the_header() {
        for (line, expected) in [
            // RFC 5424, 6.5: examples 1, 3 and 4.
            (
                "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed",
                "'su root' failed",
            ),
            (
                "<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [exampleSDID@32473 iut=\"3\" eventID=\"1011\"] An entry",
                "An entry",
            ),
            ("<165>1 2003-10-11T22:14:15.003Z h e - ID47 [a@1 b=\"x\\]y\"][c@2 d=\"e\"]", ""),
            // RFC 3164, 5.4: example 1.
            ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "'su root' failed"),
            ("Nov  4 22:13:21 lb1 haproxy[14389]: 10.0.1.2:33318 [x]", "10.0.1.2:33318 [x]"),
            ("2023-11-14T22:13:20.1+01:00 proxy (squid-1): 1700000000.123 1", "1700000000.123 1"),
            // No header.
            ("1700000000.123    345 10.0.0.1 TCP_MISS/200", "1700000000.123    345 10.0.0.1 TCP_MISS/200"),
            ("<script> a: b", "<script> a: b"),
            ("Nov 14 22:13:20 words of somebody: text", "Nov 14 22:13:20 words of somebody: text"),
            ("", ""),
        ] {
            assert_eq!(message(line), expected, "{line}");
        }
    }
}
