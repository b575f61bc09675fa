//! Keys of a client's Initial packets (RFC 9001, 5.2; RFC 9369, 3.3): anybody who sees the connection id can derive them.

use ring::aead::{self, quic::HeaderProtectionKey};
use ring::hkdf::{self, KeyType, Prk, Salt};

/// Versions whose Initial packets are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    /// RFC 9000, and the drafts 23 to 34 that differ in the salt.
    V1(&'static [u8; 20]),
    /// RFC 9369.
    V2,
}

const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e,
    0xd9,
];
const SALT_DRAFT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8,
    0x99,
];
const SALT_DRAFT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5,
    0x02,
];

impl Version {
    pub(super) const fn of(number: u32) -> Option<Self> {
        Some(match number {
            1 | 0xff00_0021 | 0xff00_0022 => Self::V1(&SALT_V1),
            0x6b33_43cf => Self::V2,
            0xff00_001d..=0xff00_0020 => Self::V1(&SALT_DRAFT_29),
            // The last two are drafts 27 of mvfst (Meta).
            0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => Self::V1(&SALT_DRAFT_23),
            _ => return None,
        })
    }

    /// Salt, and the labels of key, IV and header protection.
    const fn constants(self) -> (&'static [u8; 20], [&'static str; 3]) {
        match self {
            Self::V1(salt) => (salt, ["quic key", "quic iv", "quic hp"]),
            Self::V2 => (&SALT_V2, ["quicv2 key", "quicv2 iv", "quicv2 hp"]),
        }
    }
}

/// Which end sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sender {
    Client,
    #[cfg(test)]
    Server,
}

/// Keys of one end's Initial packets.
pub(super) struct InitialKeys {
    key: aead::LessSafeKey,
    iv: [u8; 12],
    header: HeaderProtectionKey,
}

/// A length that is asked of HKDF.
struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without context (RFC 8446, 7.1).
fn expand<const N: usize>(secret: &Prk, label: &str) -> Option<[u8; N]> {
    let (length, name) = ((N as u16).to_be_bytes(), label.len() as u8 + 6);
    let info = [&length[..], &[name], b"tls13 ", label.as_bytes(), &[0]];
    let mut out = [0; N];
    secret.expand(&info, Len(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

impl InitialKeys {
    /// Of the connection id that the client's first Initial packet is sent to.
    pub(super) fn new(version: Version, connection: &[u8], sender: Sender) -> Option<Self> {
        let (salt, [key, iv, header]) = version.constants();
        let initial = Salt::new(hkdf::HKDF_SHA256, salt).extract(connection);
        let label = match sender {
            Sender::Client => "client in",
            #[cfg(test)]
            Sender::Server => "server in",
        };
        let secret = Prk::new_less_safe(hkdf::HKDF_SHA256, &expand::<32>(&initial, label)?);
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &expand::<16>(&secret, key)?).ok()?;
        let header = HeaderProtectionKey::new(&aead::quic::AES_128, &expand::<16>(&secret, header)?).ok()?;
        Some(Self { key: aead::LessSafeKey::new(key), iv: expand(&secret, iv)?, header })
    }

    /// Opens a packet (RFC 9001, 5.3 and 5.4). `number_at` is where its packet number stands; the packet ends with its tag. `None`
    /// where the keys are not its.
    pub(super) fn open(&self, packet: &[u8], number_at: usize) -> Option<Vec<u8>> {
        let mask = self.header.new_mask(packet.get(number_at + 4..)?.get(..16)?).ok()?;
        let mut head = packet.get(..number_at + 4)?.to_vec();
        let first = head.first_mut()?;
        *first ^= mask[0] & 0x0f;
        let len = usize::from(*first & 3) + 1;
        head.truncate(number_at + len);
        let mut number = 0_u64;
        for (byte, mask) in head.get_mut(number_at..)?.iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        // Few Initial packets are sent: what is left out of the number is zero.
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        let mut payload = packet.get(number_at + len..)?.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let plain = self.key.open_in_place(nonce, aead::Aad::from(&head), &mut payload).ok()?.len();
        payload.truncate(plain);
        Some(payload)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
impl InitialKeys {
    /// Protects a packet: its head up to the packet number of `number_len` bytes, and its payload.
    pub(super) fn seal(&self, head: &[u8], number: u64, number_len: usize, payload: &[u8]) -> Vec<u8> {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        let mut sealed = payload.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, aead::Aad::from(head), &mut sealed).unwrap();
        let mut packet = [head, &sealed].concat();
        let number_at = head.len() - number_len;
        let mask = self.header.new_mask(&packet[number_at + 4..number_at + 20]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        packet[number_at..number_at + number_len].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        packet
    }
}
