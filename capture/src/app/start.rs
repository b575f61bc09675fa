//! Does a payload begin something whose stream is worth following? Asked for every TCP payload outside a
//! followed stream, so the common answer, no, must come after a byte or two.

use super::preface::{self, Preface};

/// What a payload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A request or response of HTTP/1.x.
    Http,
    /// A TLS record with a ClientHello.
    Tls,
    /// Too short to tell, but so far it agrees with one of the above.
    Maybe,
    /// Anything else.
    Other,
}

/// Methods that are believed without the rest of the request line (RFC 9110 9.3, RFC 5789, RFC 4918, …).
const METHODS: [&[u8]; 18] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"REPORT ",
    b"SEARCH ",
];
const STATUS: &[u8] = b"HTTP/1.";
/// How far the end of a request line with an unknown method is looked for.
const LINE: usize = 8_192;

/// What `payload` begins, perhaps behind a header of the PROXY protocol.
pub(super) fn classify(payload: &[u8]) -> Start {
    match preface::of(payload) {
        Preface::Whole(length) if length == payload.len() => Start::Maybe,
        Preface::Whole(length) => classify_own(payload.get(length..).unwrap_or_default()),
        Preface::Part => Start::Maybe,
        Preface::None => classify_own(payload),
    }
}

/// The same of the client's own bytes.
pub(super) fn classify_own(payload: &[u8]) -> Start {
    match *payload {
        [0x16, 3, 0..=4, _, _, 1, ..] => Start::Tls,
        [0x16] | [0x16, 3] | [0x16, 3, 0..=4] | [0x16, 3, 0..=4, _] | [0x16, 3, 0..=4, _, _] => Start::Maybe,
        [first, ..] if is_token(first) => {
            if is_http(payload) {
                Start::Http
            } else if payload.len() < 10 && is_prefix(payload) {
                Start::Maybe
            } else {
                Start::Other
            }
        }
        _ => Start::Other,
    }
}

/// Whether `payload` begins an HTTP/1.x message.
pub(super) fn is_http(payload: &[u8]) -> bool {
    if !payload.first().is_some_and(|&b| is_token(b)) {
        return false;
    }
    is_response(payload) || known_method(payload) || odd_request(payload)
}

/// Whether `payload` begins an HTTP/1.x response.
pub(super) fn is_response(payload: &[u8]) -> bool {
    payload.starts_with(STATUS)
}

/// Whether `payload` is too short to tell, but agrees with a response so far.
pub(super) fn may_be_response(payload: &[u8]) -> bool {
    STATUS.starts_with(payload)
}

fn known_method(payload: &[u8]) -> bool {
    // Most text begins with a small letter.
    if !payload.first().is_some_and(u8::is_ascii_uppercase) {
        return false;
    }
    let Some(method) = METHODS.iter().find(|m| payload.starts_with(m)) else { return false };
    let target = payload.get(method.len()..).unwrap_or_default();
    if target.first().is_some_and(|b| !b.is_ascii_graphic()) {
        return false;
    }
    // HTTP/0.9 and those who forge it send a path and no version.
    if target.starts_with(b"/") || target.starts_with(b"http://") {
        return true;
    }
    // Other protocols have such words too ("HEAD <id>" of news); a line that is all there says which it is.
    let line = target.get(..target.len().min(LINE)).unwrap_or_default();
    line.iter().position(|&b| b == b'\n').is_none_or(|end| has_version(line.get(..end).unwrap_or_default()))
}

/// A token, a target and "HTTP/1.": a whole request line, whatever the method.
fn odd_request(payload: &[u8]) -> bool {
    let method = payload.iter().take(32).take_while(|&&b| is_token(b)).count();
    // Ordinary text has words and spaces too: only a path or an absolute URI is looked at any further.
    match payload.get(method..) {
        Some([b' ', b'/' | b'*', ..]) => (),
        Some([b' ', rest @ ..]) if rest.starts_with(b"http://") || rest.starts_with(b"https://") => (),
        _ => return false,
    }
    let line = payload.get(..payload.len().min(LINE)).unwrap_or_default();
    line.iter().position(|&b| b == b'\n').and_then(|end| line.get(..end)).is_some_and(has_version)
}

/// Whether a request line, without its line feed, ends in a version of HTTP/1.x.
fn has_version(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.len() > 9 && line.get(line.len() - 9..line.len() - 1) == Some(b" HTTP/1.")
}

fn is_prefix(payload: &[u8]) -> bool {
    STATUS.starts_with(payload) || METHODS.iter().any(|m| m.starts_with(payload))
}

/// tchar (RFC 9110 5.6.2).
pub(super) const fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings() {
        for http in [
            "GET / HTTP/1.1\r\n",
            "GET /very-long",
            "get /lower HTTP/1.0\n",
            "FOO-BAR http://a/ HTTP/1.1\r\nx",
            "HTTP/1.1 200 OK",
            "CONNECT a:443 HTTP/1.1\r\n",
            "OPTIONS * HTTP/1.1\r\n",
            "CONNECT [2001:db8::1]:443",
            "GET . HTTP/1.0\r\n",
            "GET /0.9\r\n",
        ] {
            assert_eq!(classify(http.as_bytes()), Start::Http, "{http}");
        }
        for maybe in ["G", "GET", "HTTP", "PROPFIND", "\x16", "\x16\x03\x01\x02\x00"] {
            assert_eq!(classify(maybe.as_bytes()), Start::Maybe, "{maybe}");
        }
        for other in [
            "",
            "PRI * HTTP/2.0\r\n\r\n",
            "get /lower HTTP/1.0",
            "EHLO mail.example\r\n",
            "OPTIONS sip:a SIP/2.0\r\n",
            "\x16\x03\x03\x00\x40\x02",
            "\x17\x03\x03\x00\x40\x02",
            "hello",
            "HEAD <1@news.example>\r\n",
            "\0\0\0\u{1}",
        ] {
            assert_eq!(classify(other.as_bytes()), Start::Other, "{other}");
        }
    }
}
