//! Packets of a QUIC datagram (RFC 9000, 17.2) and the CRYPTO frames of an Initial packet (19.6). Cut and senseless ones end it.

use super::keys::Version;

/// Longest connection id (RFC 9000, 17.2).
const MAX_ID: usize = 20;

/// What is still to read.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number of variable length (RFC 9000, 16).
    fn number(&mut self) -> Option<u64> {
        let first = self.u8()?;
        let more = self.take((1 << (first >> 6)) - 1)?;
        Some(more.iter().fold(u64::from(first & 0x3f), |n, b| n << 8 | u64::from(*b)))
    }

    fn length(&mut self) -> Option<usize> {
        self.number().and_then(|n| usize::try_from(n).ok())
    }
}

/// An Initial packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initial<'a> {
    pub(super) version: Version,
    /// Destination connection id.
    pub(super) to: &'a [u8],
    /// The packet, from its first byte to its tag.
    pub(super) bytes: &'a [u8],
    /// Where its packet number stands.
    pub(super) number_at: usize,
}

/// The Initial packets of a datagram. Packets of other types are stepped over; what has a short header, and a Retry, is the last.
pub(super) fn initials(datagram: &[u8]) -> impl Iterator<Item = Initial<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        loop {
            let (packet, after) = long(rest)?;
            rest = after;
            if packet.is_some() {
                return packet;
            }
        }
    })
}

/// A packet with a long header, where it is an Initial one, and what follows it.
fn long(datagram: &[u8]) -> Option<(Option<Initial<'_>>, &[u8])> {
    let mut bytes = Bytes(datagram);
    let first = bytes.u8()?;
    let version = Version::of(u32::from_be_bytes(*bytes.take(4)?.first_chunk()?)).filter(|_| first & 0xc0 == 0xc0)?;
    let to = bytes.u8().map(usize::from).filter(|len| *len <= MAX_ID)?;
    let to = bytes.take(to)?;
    let from = bytes.u8().map(usize::from).filter(|len| *len <= MAX_ID)?;
    bytes.take(from)?;
    // The types are numbered anew in version 2 (RFC 9369, 3.2).
    let (initial, retry) = if version == Version::V2 { (1, 0) } else { (0, 3) };
    let kind = first >> 4 & 3;
    if kind == retry {
        return None;
    }
    if kind == initial {
        let token = bytes.length()?;
        bytes.take(token)?;
    }
    let length = bytes.length()?;
    let number_at = datagram.len() - bytes.0.len();
    bytes.take(length)?;
    let packet = datagram.get(..number_at + length)?;
    Some(((kind == initial).then_some(Initial { version, to, bytes: packet, number_at }), bytes.0))
}

/// Hands over the CRYPTO frames of an Initial packet: offset in the handshake and data. Other frames that may stand there
/// (RFC 9000, 12.4) are stepped over.
pub(super) fn crypto_frames<'a>(payload: &'a [u8], mut crypto: impl FnMut(u64, &'a [u8])) -> Option<()> {
    let mut bytes = Bytes(payload);
    while !bytes.0.is_empty() {
        match bytes.number()? {
            // PADDING, PING.
            0 | 1 => {}
            kind @ (2 | 3) => {
                bytes.number()?;
                bytes.number()?;
                let ranges = bytes.number()?;
                bytes.number()?;
                for _ in 0..ranges {
                    bytes.number()?;
                    bytes.number()?;
                }
                if kind == 3 {
                    for _ in 0..3 {
                        bytes.number()?;
                    }
                }
            }
            6 => {
                let (offset, length) = (bytes.number()?, bytes.length()?);
                crypto(offset, bytes.take(length)?);
            }
            0x1c => {
                bytes.number()?;
                bytes.number()?;
                let reason = bytes.length()?;
                bytes.take(reason)?;
            }
            _ => return None,
        }
    }
    Some(())
}
