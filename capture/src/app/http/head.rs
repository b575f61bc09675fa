//! Heads of HTTP/1.x messages (RFC 9112 2 to 6), read leniently: what can be read is kept, as a server
//! would have to guess, and a head that was cut is read as far as it goes.

use crate::{HttpRequest, HttpResponse};
use domain::utils::base64;

/// How the end of a body is found (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    Length(u64),
    Chunked,
    /// It ends with the connection.
    Close,
    /// No message follows: a tunnel begins.
    Tunnel,
    /// The head contradicts itself.
    Unclear,
}

/// What of a request's method decides the length of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Connect,
    Other,
}

/// Bytes of the head that `bytes` begins with, its empty line included. `from`: how much was searched
/// before.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    // The empty line may have begun within what was searched.
    let mut at = from.saturating_sub(3);
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|&b| b == b'\n')? + 1;
        match bytes.get(at..) {
            Some([b'\n', ..]) => return Some(at + 1),
            Some([b'\r', b'\n', ..]) => return Some(at + 2),
            _ => (),
        }
    }
}

/// Reads a request's head, whole or cut.
pub(super) fn request(head: &[u8]) -> Option<(HttpRequest, Framing, Method)> {
    let (line, fields) = first_line(head);
    let space = line.iter().position(|&b| b == b' ')?;
    let (method, rest) = line.split_at_checked(space).filter(|(method, _)| !method.is_empty())?;
    let rest = rest.trim_ascii();
    let target = match rest.len().checked_sub(9).and_then(|at| rest.split_at_checked(at)) {
        Some((target, version)) if version.starts_with(b" HTTP/") => target.trim_ascii(),
        _ => rest,
    };
    let mut request = HttpRequest { method: text(method), target: text(target), ..HttpRequest::default() };
    let mut body = BodyFields::default();
    for (name, value) in fields_of(fields) {
        match name.len() {
            4 if is(name, b"host") => set(&mut request.host, value),
            7 if is(name, b"referer") => set(&mut request.referer, value),
            10 if is(name, b"user-agent") => set(&mut request.user_agent, value),
            13 if is(name, b"authorization") => user(&mut request.username, value),
            19 if is(name, b"proxy-authorization") => user(&mut request.username, value),
            _ => body.take(name, value),
        }
    }
    let kind = match method {
        b"HEAD" => Method::Head,
        b"CONNECT" => Method::Connect,
        _ => Method::Other,
    };
    let framing = body.framing(Framing::Empty);
    Some((request, framing, kind))
}

/// Reads a response's head, whole or cut. `asked` is the method of its request.
pub(super) fn response(head: &[u8], asked: Method) -> Option<(HttpResponse, Framing)> {
    let (line, fields) = first_line(head);
    let status = line.strip_prefix(b"HTTP/1.")?.get(1..)?.trim_ascii_start().first_chunk::<3>()?;
    let status = status.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u16::from(b - b'0')))?;
    let mut response = HttpResponse { status, ..HttpResponse::default() };
    let mut body = BodyFields::default();
    for (name, value) in fields_of(fields) {
        match name.len() {
            12 if is(name, b"content-type") => set(&mut response.content_type, value),
            _ => body.take(name, value),
        }
    }
    let framing = match (status, asked) {
        (101, _) | (200..=299, Method::Connect) => Framing::Tunnel,
        (100..=199 | 204 | 304, _) | (_, Method::Head) => Framing::Empty,
        _ => body.framing(Framing::Close),
    };
    Some((response, framing))
}

/// The fields that say how long a body is.
#[derive(Default)]
struct BodyFields {
    length: Option<u64>,
    chunked: bool,
    encoded: bool,
    unclear: bool,
}

impl BodyFields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            14 if is(name, b"content-length") => {
                for number in value.split(|&b| b == b',') {
                    match decimal(number.trim_ascii()) {
                        Some(n) if self.length.is_none_or(|length| length == n) => self.length = Some(n),
                        _ => self.unclear = true,
                    }
                }
            }
            17 if is(name, b"transfer-encoding") => {
                let last = value.rsplit(|&b| b == b',').next().unwrap_or_default();
                self.encoded = true;
                self.chunked = is(last.trim_ascii(), b"chunked");
            }
            _ => (),
        }
    }

    /// Transfer-Encoding overrides Content-Length; where neither is, it is `otherwise`.
    fn framing(&self, otherwise: Framing) -> Framing {
        match self.length {
            _ if self.chunked => Framing::Chunked,
            _ if self.encoded && otherwise == Framing::Close => Framing::Close,
            _ if self.encoded || self.unclear => Framing::Unclear,
            Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
            None => otherwise,
        }
    }
}

/// The first line without its end, and what follows.
fn first_line(head: &[u8]) -> (&[u8], &[u8]) {
    let end = head.iter().position(|&b| b == b'\n');
    let (line, rest) = end.and_then(|end| head.split_at_checked(end)).unwrap_or((head, &[]));
    (line.trim_ascii_end(), rest.get(1..).unwrap_or_default())
}

/// Names and values of the header fields. Lines without a colon are passed over.
fn fields_of(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|&b| b == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&b| b == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    })
}

fn is(name: &[u8], lower: &[u8]) -> bool {
    name.eq_ignore_ascii_case(lower)
}

/// The first of several fields counts.
fn set(field: &mut Option<String>, value: &[u8]) {
    if field.is_none() {
        *field = Some(text(value));
    }
}

/// The user of `Basic` credentials (RFC 7617 2); the password is not kept.
fn user(field: &mut Option<String>, value: &[u8]) {
    let Some((scheme, rest)) = value.split_at_checked(6).filter(|(scheme, _)| is(scheme, b"basic ")) else { return };
    debug_assert_eq!(scheme.len(), 6);
    let decoded = std::str::from_utf8(rest.trim_ascii()).ok().and_then(|text| base64::decode::<Vec<u8>>(text).ok());
    if let Some(decoded) = decoded {
        set(field, decoded.split(|&b| b == b':').next().unwrap_or_default());
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
