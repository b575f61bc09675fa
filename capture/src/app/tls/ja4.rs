//! The JA4 fingerprint of a ClientHello, by FoxIO's public specification (JA4, technical details). GREASE
//! values (RFC 8701) are left out everywhere.

use sha2::{Digest, Sha256};

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// What of a ClientHello the fingerprint is made of, in the order it was sent.
#[derive(Debug, Default)]
pub(super) struct Fingerprint {
    /// Highest version offered.
    pub(super) version: u16,
    pub(super) ciphers: Vec<u16>,
    pub(super) extensions: Vec<u16>,
    pub(super) signatures: Vec<u16>,
    /// First protocol name of ALPN.
    pub(super) alpn: Option<Vec<u8>>,
}

/// 0x0a0a, 0x1a1a … 0xfafa.
pub(super) const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

impl Fingerprint {
    /// The fingerprint for TLS over TCP.
    pub(super) fn text(&self) -> String {
        let ciphers = sorted(self.ciphers.iter());
        let counted = self.extensions.iter().filter(|&&e| !is_grease(e)).count();
        let hashed = sorted(self.extensions.iter().filter(|&&e| e != SERVER_NAME && e != ALPN));
        let sni = if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        let mut list = hex_list(&hashed);
        let signatures: Vec<u16> = self.signatures.iter().copied().filter(|&s| !is_grease(s)).collect();
        if !signatures.is_empty() {
            list.push('_');
            list.push_str(&hex_list(&signatures));
        }
        format!(
            "t{}{sni}{:02}{:02}{}_{}_{}",
            self.version_code(),
            ciphers.len().min(99),
            counted.min(99),
            self.alpn_code(),
            if ciphers.is_empty() { NOTHING.to_owned() } else { hash(&hex_list(&ciphers)) },
            if hashed.is_empty() { NOTHING.to_owned() } else { hash(&list) },
        )
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
    fn alpn_code(&self) -> String {
        match self.alpn.as_deref() {
            None | Some([]) => "00".to_owned(),
            Some(name @ ([first, .., last] | [first @ last])) => {
                if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                    [char::from(*first), char::from(*last)].iter().collect()
                } else {
                    let digits: String = name.iter().map(|b| format!("{b:02x}")).collect();
                    digits.chars().next().into_iter().chain(digits.chars().next_back()).collect()
                }
            }
        }
    }
}

const NOTHING: &str = "000000000000";

fn sorted<'a>(values: impl Iterator<Item = &'a u16>) -> Vec<u16> {
    let mut values: Vec<u16> = values.copied().filter(|&v| !is_grease(v)).collect();
    values.sort_unstable();
    values
}

fn hex_list(values: &[u16]) -> String {
    values.iter().map(|v| format!("{v:04x}")).collect::<Vec<_>>().join(",")
}

/// The first 12 digits of the SHA-256.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(6).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the specification, in the order sent, with GREASE added.
    fn example() -> Fingerprint {
        Fingerprint {
            version: 0x0304,
            ciphers: vec![
                0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
                0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
                0xff01, 0x000b, 0x000a, 0x0015, 0xfafa,
            ],
            signatures: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
            alpn: Some(b"h2".to_vec()),
        }
    }

    #[test]
    fn the_specification_s_example() {
        assert_eq!(example().text(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        let unsigned = Fingerprint { signatures: Vec::new(), ..example() };
        assert_eq!(unsigned.text(), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn nothing_in_a_list_is_zeros() {
        let bare = Fingerprint { version: 0x0300, ..Fingerprint::default() };
        assert_eq!(bare.text(), "ts3i000000_000000000000_000000000000");
        let grease = Fingerprint { version: 0x0a0a, ciphers: vec![0x0a0a], extensions: vec![0xaaaa, 0], ..bare };
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
            let fingerprint = Fingerprint { alpn: Some(name.to_vec()), ..Fingerprint::default() };
            assert_eq!(fingerprint.alpn_code(), code, "{name:?}");
        }
    }
}
