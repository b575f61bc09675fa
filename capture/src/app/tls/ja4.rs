//! The JA4 fingerprint of a ClientHello, by FoxIO's public specification (JA4, technical details). GREASE
//! values (RFC 8701) are left out everywhere.

use sha2::{Digest, Sha256};

use super::Over;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// What of a ClientHello the fingerprint is made of, in the order it was sent. Lists are as on the wire: 16 bits a value.
#[derive(Debug, Default)]
pub(super) struct Fingerprint<'a> {
    pub(super) over: Over,
    /// Highest version offered.
    pub(super) version: u16,
    pub(super) ciphers: &'a [u8],
    pub(super) extensions: Vec<u16>,
    pub(super) signatures: &'a [u8],
    /// First protocol name of ALPN.
    pub(super) alpn: Option<&'a [u8]>,
}

/// 0x0a0a, 0x1a1a … 0xfafa.
pub(super) const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// The values of a list on the wire; an odd byte at its end is none.
pub(super) fn numbers(list: &[u8]) -> impl Iterator<Item = u16> {
    list.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair))
}

impl Fingerprint<'_> {
    /// The fingerprint.
    pub(super) fn text(&self) -> String {
        let (mut values, mut list) = (Vec::with_capacity(64), Vec::with_capacity(512));
        let mut text = String::with_capacity(36);
        text.push(match self.over {
            Over::Tcp => 't',
            Over::Quic => 'q',
        });
        text.push_str(self.version_code());
        text.push(if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' });

        sort(numbers(self.ciphers), &mut values);
        push_hex_list(values.iter().copied(), &mut list);
        push_count(values.len(), &mut text);
        push_count(self.extensions.iter().filter(|&&e| !is_grease(e)).count(), &mut text);
        text.extend(self.alpn_code());
        push_hash(&list, &mut text);

        list.clear();
        sort(self.extensions.iter().copied().filter(|&e| e != SERVER_NAME && e != ALPN), &mut values);
        push_hex_list(values.iter().copied(), &mut list);
        if !list.is_empty() {
            let before = list.len();
            list.push(b'_');
            push_hex_list(numbers(self.signatures).filter(|&s| !is_grease(s)), &mut list);
            if list.len() == before + 1 {
                list.pop();
            }
        }
        push_hash(&list, &mut text);
        text
    }

    const fn version_code(&self) -> &'static str {
        match self.version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            0xfeff => "d1",
            0xfefd => "d2",
            0xfefc => "d3",
            _ => "00",
        }
    }

    /// First and last character of the first protocol, or of its hexadecimal digits.
    fn alpn_code(&self) -> [char; 2] {
        match self.alpn {
            None | Some([]) => ['0', '0'],
            Some([first, .., last] | [first @ last]) => {
                if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                    [char::from(*first), char::from(*last)]
                } else {
                    [digit(first >> 4), digit(last & 0xf)]
                }
            }
        }
    }
}

/// Puts the values, without GREASE, in order.
fn sort(list: impl Iterator<Item = u16>, values: &mut Vec<u16>) {
    values.clear();
    values.extend(list.filter(|&v| !is_grease(v)));
    values.sort_unstable();
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn digit(value: u8) -> char {
    char::from(DIGITS[usize::from(value & 0xf)])
}

/// Appends four digits for each value, with commas between them.
fn push_hex_list(values: impl Iterator<Item = u16>, list: &mut Vec<u8>) {
    for (at, value) in values.enumerate() {
        if at > 0 {
            list.push(b',');
        }
        list.extend([12, 8, 4, 0].map(|shift| DIGITS[usize::from(value >> shift & 0xf)]));
    }
}

/// Two decimal digits, at most 99.
fn push_count(count: usize, text: &mut String) {
    let count = count.min(99) as u8;
    text.extend([count / 10, count % 10].map(|d| char::from(b'0' + d)));
}

/// Appends `_` and the first 12 digits of the SHA-256; zeros for an empty list.
fn push_hash(list: &[u8], text: &mut String) {
    text.push('_');
    let hash: [u8; 32] = if list.is_empty() { [0; 32] } else { Sha256::digest(list).into() };
    text.extend(hash.iter().take(6).flat_map(|b| [digit(b >> 4), digit(b & 0xf)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the specification, in the order sent, with GREASE added.
    fn example() -> Fingerprint<'static> {
        Fingerprint {
            over: Over::Tcp,
            version: 0x0304,
            ciphers: b"\x3a\x3a\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\xcc\xa9\xcc\xa8\xc0\x13\xc0\x14\x00\x9c\
                \x00\x9d\x00\x2f\x00\x35",
            extensions: vec![
                0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
                0xff01, 0x000b, 0x000a, 0x0015, 0xfafa,
            ],
            signatures: b"\x04\x03\x08\x04\x04\x01\x05\x03\x08\x05\x05\x01\x08\x06\x06\x01",
            alpn: Some(b"h2"),
        }
    }

    #[test]
    fn the_specification_s_example() {
        assert_eq!(example().text(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        let unsigned = Fingerprint { signatures: &[], ..example() };
        assert_eq!(unsigned.text(), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn nothing_in_a_list_is_zeros() {
        let bare = Fingerprint { version: 0x0300, ..Fingerprint::default() };
        assert_eq!(bare.text(), "ts3i000000_000000000000_000000000000");
        let grease = Fingerprint { version: 0x0a0a, ciphers: b"\x0a\x0a", extensions: vec![0xaaaa, 0], ..bare };
        assert_eq!(grease.text(), "t00d000100_000000000000_000000000000");
    }

    #[test]
    fn alpn_characters() {
        for (name, code) in [
            (b"h2".as_slice(), "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (b"", "00"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"\x30\xab", "3b"),
            (b"\x30\x31\xab\xcd", "3d"),
            (b"\x30\xab\xcd\x31", "01"),
        ] {
            let fingerprint = Fingerprint { alpn: Some(name), ..Fingerprint::default() };
            assert_eq!(String::from_iter(fingerprint.alpn_code()), code, "{name:?}");
        }
    }
}
