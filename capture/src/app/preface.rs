//! The PROXY protocol (haproxy.org, proxy-protocol.txt): what a proxy says of its client before the client's own bytes, in a line
//! (version 1) or in binary (version 2). Only its length is of interest here: what follows is read as if it were the beginning.

/// What the beginning of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preface {
    /// A header of so many octets.
    Whole(usize),
    /// Too short to tell, but so far it agrees with a header.
    Part,
    /// Something else.
    None,
}

/// Octets of a header that are waited for: version 1 has at most 107 (2.1); of version 2 a proxy sends less than 1 KiB, certificates
/// of clients included.
pub(super) const MAX: usize = 2_048;

const LINE: &[u8] = b"PROXY ";
/// Octets of a line, CR and LF included.
const MAX_LINE: usize = 107;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Whether `payload` begins with a header.
pub(super) fn of(payload: &[u8]) -> Preface {
    match payload {
        [b'P', ..] => line(payload),
        [b'\r', ..] => binary(payload),
        _ => Preface::None,
    }
}

fn line(payload: &[u8]) -> Preface {
    if !agrees(payload, LINE) {
        return Preface::None;
    }
    let protocol = payload.get(LINE.len()..).unwrap_or_default();
    if ![&b"TCP4 "[..], b"TCP6 ", b"UNKNOWN"].iter().any(|known| agrees(protocol, known)) {
        return Preface::None;
    }
    let line = payload.get(..payload.len().min(MAX_LINE)).unwrap_or_default();
    match line.windows(2).position(|two| two == b"\r\n") {
        Some(end) => Preface::Whole(end + 2),
        None if payload.len() < MAX_LINE => Preface::Part,
        None => Preface::None,
    }
}

fn binary(payload: &[u8]) -> Preface {
    if !agrees(payload, SIGNATURE) {
        return Preface::None;
    }
    let Some(&[version, _family, l0, l1]) = payload.get(SIGNATURE.len()..).and_then(|rest| rest.first_chunk()) else {
        return Preface::Part;
    };
    let length = SIGNATURE.len() + 4 + usize::from(u16::from_be_bytes([l0, l1]));
    match version >> 4 {
        2 if length <= payload.len() => Preface::Whole(length),
        2 if length <= MAX => Preface::Part,
        _ => Preface::None,
    }
}

/// Whether two beginnings are the same as far as both go.
fn agrees(payload: &[u8], known: &[u8]) -> bool {
    let both = payload.len().min(known.len());
    payload.get(..both) == known.get(..both)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of proxy-protocol.txt, 2.1, and one of version 2 by its 2.2.
    #[test]
    fn headers_have_their_length_and_every_part_of_one_is_waited_for() {
        let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        let binary =
            [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &[192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 4, 1, 0xbb][..]].concat();
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        let headers: [&[u8]; 6] = [
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            longest.as_bytes(),
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            &binary,
            local,
        ];
        for header in headers {
            let with_more = [header, b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(of(&with_more), Preface::Whole(header.len()));
            for end in 1..header.len() {
                assert_eq!(of(&header[..end]), Preface::Part, "{:?}", String::from_utf8_lossy(&header[..end]));
            }
        }
    }

    #[test]
    fn what_is_no_header() {
        let endless = format!("PROXY TCP4 {}", "1".repeat(200));
        let mut old = *b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c";
        for other in [
            &b""[..],
            b"POST / HTTP/1.1\r\n",
            b"PROXYZ",
            b"PROXY /x HTTP/1.1\r\n",
            endless.as_bytes(),
            b"\r\nGET",
            &old,
        ] {
            assert_eq!(of(other), Preface::None, "{:?}", String::from_utf8_lossy(other));
        }
        // Longer than is waited for.
        old[12..].copy_from_slice(&[0x21, 0x11, 0xff, 0xff]);
        assert_eq!(of(&old), Preface::None);
    }
}
