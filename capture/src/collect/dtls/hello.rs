//! ClientHellos before there is any state for them: told apart, and answered by a cookie (RFC 6347, 4.2.1).

use std::net::{IpAddr, SocketAddr};

use ring::hmac;
use ring::rand::SystemRandom;

use crate::collect::bytes::Bytes;

/// Bytes of a record's header, and of a handshake message's.
const RECORD: usize = 13;
const HANDSHAKE: usize = 12;
/// `supported_versions` (RFC 8446, 4.2.1), and DTLS 1.3 in it.
const SUPPORTED_VERSIONS: u16 = 43;
const DTLS_1_3: u16 = 0xfefc;
/// Cookies are taken back for at least so many seconds, and at most for twice as many.
const COOKIE_SECONDS: u64 = 60;

/// What a cookie is: the library takes exactly 32 bytes.
pub(super) type Cookie = [u8; 32];

/// A ClientHello that is whole in the first record of a datagram; in several records it is not understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello<'a> {
    /// 0 for the first of a handshake, 1 for the one that brings a cookie.
    pub(super) message_seq: u16,
    pub(super) random: [u8; 32],
    pub(super) cookie: &'a [u8],
    /// DTLS 1.3 is among the versions offered.
    pub(super) is_13: bool,
    record_version: [u8; 2],
    /// Version, random, session.
    before: &'a [u8],
    /// Cipher suites and compression methods.
    suites: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Hello<'a> {
    /// `None` where a datagram does not begin with one.
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes(datagram);
        let kind = bytes.u8()?;
        let record_version = bytes.array::<2>()?;
        let epoch = bytes.u16()?;
        bytes.take(6)?;
        if kind != 22 || !matches!(record_version, [0xfe, 0xff | 0xfd]) || epoch != 0 {
            return None;
        }
        let length = bytes.u16()?;
        let mut bytes = Bytes(bytes.take(usize::from(length))?);
        let [kind, length @ ..] = bytes.array::<4>()?;
        let message_seq = bytes.u16()?;
        let (offset, fragment) = (bytes.array::<3>()?, bytes.array::<3>()?);
        let [a, b, c] = length;
        if kind != 1
            || offset != [0; 3]
            || fragment != length
            || bytes.len() != u32::from_be_bytes([0, a, b, c]) as usize
        {
            return None;
        }
        let body = bytes.0;
        bytes.u16()?;
        let random = bytes.array()?;
        let session = bytes.u8()?;
        bytes.take(usize::from(session))?;
        let before = body.get(..body.len() - bytes.len())?;
        let cookie = bytes.u8()?;
        let cookie = bytes.take(usize::from(cookie))?;
        let rest = bytes.0;
        let suites = bytes.u16()?;
        bytes.take(usize::from(suites))?;
        let methods = bytes.u8()?;
        bytes.take(usize::from(methods))?;
        let suites = rest.get(..rest.len() - bytes.len())?;
        let (extensions, is_13) = (bytes.0, offers_13(bytes));
        Some(Self { message_seq, random, cookie, is_13, record_version, before, suites, extensions })
    }

    /// The ClientHello that came before this one: the same without a cookie. RFC 6347, 4.2.1 has a client repeat everything else.
    pub(super) fn first(&self) -> Vec<u8> {
        let body = [self.before, &[0], self.suites, self.extensions].concat();
        let [_, a, b, c] = (body.len() as u32).to_be_bytes();
        let record = ((HANDSHAKE + body.len()) as u16).to_be_bytes();
        let [major, minor] = self.record_version;
        let mut datagram = vec![22, major, minor, 0, 0, 0, 0, 0, 0, 0, 0, record[0], record[1]];
        datagram.extend([1, a, b, c, 0, 0, 0, 0, 0, a, b, c]);
        datagram.extend(body);
        datagram
    }
}

/// Whether the extensions of a ClientHello offer DTLS 1.3.
fn offers_13(mut bytes: Bytes<'_>) -> bool {
    let Some(mut bytes) = bytes.u16().and_then(|length| bytes.take(usize::from(length))).map(Bytes) else {
        return false;
    };
    while let (Some(kind), Some(length)) = (bytes.u16(), bytes.u16()) {
        let Some(extension) = bytes.take(usize::from(length)) else { return false };
        if kind == SUPPORTED_VERSIONS {
            let versions = extension.get(1..).unwrap_or_default();
            return versions.chunks_exact(2).any(|version| version == DTLS_1_3.to_be_bytes());
        }
    }
    false
}

/// Cookies by which a client shows that it receives what is sent to its address. Nothing is kept of those that do not come back.
pub(super) struct Cookies(hmac::Key);

impl Cookies {
    /// With a secret of its own.
    pub(super) fn new() -> Result<Self, ring::error::Unspecified> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map(Self)
    }

    fn slot(seconds: u64) -> u64 {
        seconds / COOKIE_SECONDS
    }

    /// What a cookie vouches for: the address, the time, and what a client repeats (RFC 6347, 4.2.1: version, random, session, suites,
    /// compression).
    fn said(from: SocketAddr, slot: u64, hello: &Hello<'_>) -> Vec<u8> {
        let ip = match from.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let (port, slot) = (from.port().to_be_bytes(), slot.to_be_bytes());
        [&ip.octets(), &port[..], &slot, hello.before, hello.suites].concat()
    }

    /// The cookie that a ClientHello brings, if it is ours, of this client, and not too old. `seconds` since any time.
    pub(super) fn brought(&self, from: SocketAddr, seconds: u64, hello: &Hello<'_>) -> Option<Cookie> {
        let brought = Cookie::try_from(hello.cookie).ok()?;
        let now = Self::slot(seconds);
        let slots = [Some(now), now.checked_sub(1)];
        let is_of = |slot| hmac::verify(&self.0, &Self::said(from, slot, hello), &brought).is_ok();
        let is_ours = slots.into_iter().flatten().any(is_of);
        is_ours.then_some(brought)
    }

    /// A HelloVerifyRequest: 60 bytes, less than any ClientHello that asks for it.
    pub(super) fn ask(&self, from: SocketAddr, seconds: u64, hello: &Hello<'_>) -> Vec<u8> {
        let cookie = hmac::sign(&self.0, &Self::said(from, Self::slot(seconds), hello));
        // Record number 0 whatever the ClientHello has: the library numbers its ServerHello from 1, and no number may come twice. The
        // version is that of DTLS 1.0, whatever is agreed on later.
        let mut datagram = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 47];
        datagram.extend([3, 0, 0, 35, 0, 0, 0, 0, 0, 0, 0, 35, 0xfe, 0xff, 32]);
        datagram.extend(cookie.as_ref());
        debug_assert_eq!(datagram.len(), RECORD + HANDSHAKE + 35);
        datagram
    }
}
