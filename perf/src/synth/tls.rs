//! TLS hellos (RFC 8446 4.1.2, 4.1.3) of the client programs on the synthetic network.
//!
//! Each program has its own cipher suites, extensions and their order, so that fingerprints such as JA4 tell them
//! apart. The lists have the shape of well-known clients; they do not claim to be any release of one.

/// A TLS client program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Client {
    /// Chromium family, with GREASE (RFC 8701).
    Chromium,
    /// Firefox family.
    Firefox,
    /// Apple's network stack.
    Apple,
    /// Windows services.
    Windows,
    /// Command-line tools on OpenSSL.
    OpenSsl,
    /// Programs written in Go.
    Go,
    /// Cameras and other devices: TLS 1.2, few suites, no ALPN.
    Device,
    /// The injected implant: TLS 1.2, an order nobody else has.
    Implant,
}

/// What a client offers.
struct Offer {
    grease: bool,
    ciphers: &'static [u16],
    extensions: &'static [u16],
    groups: &'static [u16],
    signatures: &'static [u16],
    alpn: &'static [&'static str],
    versions: &'static [u16],
}

const TLS13: &[u16] = &[0x0304, 0x0303];
const MODERN: &[u16] = &[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

impl Client {
    fn offer(self) -> Offer {
        let base = Offer {
            grease: false,
            ciphers: &[],
            extensions: &[0, 23, 65281, 10, 11, 35, 16, 5, 13, 51, 45, 43],
            groups: &[0x001d, 0x0017, 0x0018],
            signatures: MODERN,
            alpn: &["h2", "http/1.1"],
            versions: TLS13,
        };
        match self {
            Self::Chromium => Offer {
                grease: true,
                ciphers: &[
                    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
                    0x009d, 0x002f, 0x0035,
                ],
                extensions: &[0, 23, 65281, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27],
                ..base
            },
            Self::Firefox => Offer {
                ciphers: &[
                    0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013,
                    0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
                ],
                extensions: &[0, 23, 65281, 10, 11, 35, 16, 5, 51, 43, 13, 45, 28],
                groups: &[0x001d, 0x0017, 0x0018, 0x0019, 0x0100, 0x0101],
                signatures: &[0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201],
                ..base
            },
            Self::Apple => Offer {
                grease: true,
                ciphers: &[
                    0x1301, 0x1302, 0x1303, 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xc02f, 0xcca8, 0xc00a, 0xc009, 0xc014,
                    0xc013, 0x009d, 0x009c, 0x0035, 0x002f,
                ],
                extensions: &[0, 23, 65281, 10, 11, 16, 5, 13, 18, 51, 45, 43, 27],
                groups: &[0x001d, 0x0017, 0x0018, 0x0019],
                ..base
            },
            Self::Windows => Offer {
                ciphers: &[
                    0x1302, 0x1301, 0xc02c, 0xc02b, 0xc030, 0xc02f, 0xc024, 0xc023, 0xc028, 0xc027, 0xc00a, 0xc009,
                    0xc014, 0xc013, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f,
                ],
                extensions: &[0, 5, 10, 11, 13, 35, 16, 23, 43, 45, 51, 65281],
                ..base
            },
            Self::OpenSsl => Offer {
                ciphers: &[
                    0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x009e,
                    0xc024, 0xc028, 0x006b, 0xc023, 0xc027, 0x0067, 0x00ff,
                ],
                extensions: &[0, 11, 10, 35, 22, 23, 13, 43, 45, 51],
                groups: &[0x001d, 0x0017, 0x001e, 0x0019, 0x0018],
                alpn: &[],
                ..base
            },
            Self::Go => Offer {
                ciphers: &[
                    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x1301, 0x1302,
                    0x1303,
                ],
                extensions: &[0, 5, 10, 11, 13, 65281, 18, 43, 51],
                alpn: &[],
                ..base
            },
            Self::Device => Offer {
                ciphers: &[0xc02f, 0xc030, 0x009c, 0x002f, 0x0035, 0x00ff],
                extensions: &[0, 10, 11, 13],
                groups: &[0x0017, 0x0018],
                signatures: &[0x0401, 0x0501, 0x0201],
                alpn: &[],
                versions: &[],
                ..base
            },
            Self::Implant => Offer {
                ciphers: &[0xc014, 0xc013, 0xc00a, 0xc009, 0x0035, 0x002f, 0x000a],
                extensions: &[65281, 0, 5, 10, 11, 35, 23],
                groups: &[0x0018, 0x0017],
                signatures: &[],
                alpn: &[],
                versions: &[],
                ..base
            },
        }
    }

    /// The highest version offered.
    pub(crate) fn version(self) -> u16 {
        self.offer().versions.first().copied().unwrap_or(0x0303)
    }
}

/// A ClientHello.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) client: Client,
    /// Server name; none where the client connects to an address.
    pub(crate) sni: Option<std::sync::Arc<str>>,
    /// Seeds random, session id and key share.
    pub(crate) nonce: u64,
}

impl Hello {
    /// The record layer's bytes: one handshake record.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let offer = self.client.offer();
        // RFC 8701: a client draws its GREASE values anew for each connection.
        let grease = 0x0a0a + 0x1010 * (self.nonce % 15) as u16;
        let mut body = Vec::with_capacity(640);
        word(&mut body, 0x0303);
        noise(self.nonce, 32, &mut body);
        body.push(32);
        noise(!self.nonce, 32, &mut body);
        let ciphers: Vec<u16> =
            offer.grease.then_some(grease).into_iter().chain(offer.ciphers.iter().copied()).collect();
        words(&mut body, &ciphers);
        body.extend_from_slice(&[1, 0]);
        let at = open(&mut body);
        if offer.grease {
            extension(&mut body, grease, |_| ());
        }
        for &kind in offer.extensions {
            if kind != 0 || self.sni.is_some() {
                extension(&mut body, kind, |b| self.extension(&offer, kind, grease, b));
            }
        }
        close(&mut body, at);
        out.extend_from_slice(&[22, 3, 1]);
        word(out, body.len() as u16 + 4);
        out.extend_from_slice(&[1, 0]);
        word(out, body.len() as u16);
        out.extend_from_slice(&body);
    }

    fn extension(&self, offer: &Offer, kind: u16, grease: u16, b: &mut Vec<u8>) {
        match kind {
            0 => {
                let name = self.sni.as_deref().unwrap_or_default().as_bytes();
                word(b, name.len() as u16 + 3);
                b.push(0);
                word(b, name.len() as u16);
                b.extend_from_slice(name);
            }
            5 => b.extend_from_slice(&[1, 0, 0, 0, 0]),
            10 => words(b, offer.groups),
            11 => b.extend_from_slice(&[1, 0]),
            13 => words(b, offer.signatures),
            16 => {
                let at = open(b);
                for name in offer.alpn {
                    b.push(name.len() as u8);
                    b.extend_from_slice(name.as_bytes());
                }
                close(b, at);
            }
            27 => b.extend_from_slice(&[2, 0, 2]),
            28 => word(b, 0x4001),
            43 => {
                let own: Vec<u16> =
                    offer.grease.then_some(grease).into_iter().chain(offer.versions.iter().copied()).collect();
                b.push(own.len() as u8 * 2);
                own.iter().for_each(|v| word(b, *v));
            }
            45 => b.extend_from_slice(&[1, 1]),
            51 => {
                word(b, 36);
                word(b, 0x001d);
                word(b, 32);
                noise(self.nonce.rotate_left(21), 32, b);
            }
            65281 => b.push(0),
            _ => (),
        }
    }
}

/// The server's first flight: ServerHello, then ChangeCipherSpec; what follows is encrypted. With TLS 1.2 the
/// session is resumed (RFC 5246 section 7.3), so there is no certificate in the clear.
pub(crate) fn write_server_hello(client: Client, nonce: u64, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(128);
    word(&mut body, 0x0303);
    noise(nonce.rotate_left(7), 32, &mut body);
    body.push(32);
    noise(!nonce, 32, &mut body);
    let modern = client.version() == 0x0304;
    word(&mut body, if modern { 0x1301 } else { 0xc02f });
    body.push(0);
    let at = open(&mut body);
    if modern {
        extension(&mut body, 43, |b| word(b, 0x0304));
        extension(&mut body, 51, |b| {
            word(b, 0x001d);
            word(b, 32);
            noise(nonce.rotate_left(33), 32, b);
        });
    } else {
        extension(&mut body, 65281, |b| b.push(0));
    }
    close(&mut body, at);
    out.extend_from_slice(&[22, 3, 3]);
    word(out, body.len() as u16 + 4);
    out.extend_from_slice(&[2, 0]);
    word(out, body.len() as u16);
    out.extend_from_slice(&body);
    out.extend_from_slice(&[20, 3, 3, 0, 1, 1]);
}

/// Bytes that look random.
pub(crate) fn noise(seed: u64, n: usize, out: &mut Vec<u8>) {
    let mut random = super::random::Random::new(seed, 0x7175);
    out.extend((0..n).map(|_| random.bits() as u8));
}

fn word(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn words(out: &mut Vec<u8>, values: &[u16]) {
    word(out, values.len() as u16 * 2);
    values.iter().for_each(|v| word(out, *v));
}

fn open(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0, 0]);
    out.len()
}

fn close(out: &mut [u8], at: usize) {
    let length = (out.len() - at) as u16;
    out[at - 2..at].copy_from_slice(&length.to_be_bytes());
}

fn extension(out: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    word(out, kind);
    let at = open(out);
    fill(out);
    close(out, at);
}

#[cfg(test)]
mod tests {
    use capture::app::{AppConfig, AppDecoder};
    use capture::{AddressPair, Body, Fragment, Ip, IpVersion, Link, Message, Nanos, Packet, Sink, Tcp};
    use sha2::{Digest, Sha256};

    use super::*;

    const CLIENTS: [Client; 8] = [
        Client::Chromium,
        Client::Firefox,
        Client::Apple,
        Client::Windows,
        Client::OpenSsl,
        Client::Go,
        Client::Device,
        Client::Implant,
    ];

    /// From the lists, not the bytes. JA4 (FoxIO's specification): version, SNI, counts, ALPN; hashes of the sorted suites and extensions.
    fn ja4(hello: &Hello) -> String {
        let offer = hello.client.offer();
        let version = if hello.client.version() == 0x0304 { "13" } else { "12" };
        let sni = if hello.sni.is_some() { 'd' } else { 'i' };
        let sent: Vec<u16> = offer.extensions.iter().copied().filter(|&e| e != 0 || hello.sni.is_some()).collect();
        let alpn = offer
            .alpn
            .first()
            .map_or_else(|| "00".to_owned(), |a| a.chars().next().into_iter().chain(a.chars().next_back()).collect());
        let mut ciphers: Vec<String> = offer.ciphers.iter().map(|c| format!("{c:04x}")).collect();
        ciphers.sort_unstable();
        let mut listed: Vec<String> = sent.iter().filter(|&&e| e != 0 && e != 16).map(|e| format!("{e:04x}")).collect();
        listed.sort_unstable();
        let mut extensions = listed.join(",");
        if !offer.signatures.is_empty() && sent.contains(&13) {
            let signatures: Vec<String> = offer.signatures.iter().map(|s| format!("{s:04x}")).collect();
            extensions = format!("{extensions}_{}", signatures.join(","));
        }
        format!(
            "t{version}{sni}{:02}{:02}{alpn}_{}_{}",
            offer.ciphers.len(),
            sent.len(),
            short_hash(&ciphers.join(",")),
            short_hash(&extensions)
        )
    }

    fn short_hash(text: &str) -> String {
        if text.is_empty() {
            return "000000000000".to_owned();
        }
        Sha256::digest(text.as_bytes()).iter().take(6).map(|b| format!("{b:02x}")).collect()
    }

    #[derive(Default)]
    struct Heard(Vec<Message>);

    impl Sink for Heard {
        fn packet(&mut self, _: &Packet) {}

        fn message(&mut self, message: Message) {
            self.0.push(message);
        }
    }

    #[test]
    fn the_decoder_reads_the_fingerprint_that_was_meant() {
        let mut prints = std::collections::BTreeSet::new();
        for client in CLIENTS {
            for sni in [None, Some("www.a.example")] {
                let hello = Hello { client, sni: sni.map(Into::into), nonce: 0x1234_5678_9abc_def0 };
                let mut bytes = Vec::new();
                hello.write(&mut bytes);
                let address = Ip::v4([192, 0, 2, 1]);
                let packet = Packet {
                    ts: Nanos(1),
                    pair: AddressPair {
                        src: address,
                        dst: address,
                        src_port: 50_000,
                        dst_port: 443,
                        proto: 6,
                        version: IpVersion::V4,
                    },
                    ip_bytes: bytes.len() as u32 + 40,
                    payload_bytes: bytes.len() as u32,
                    tcp: Tcp { flags: 0x18, seq: 1, ack: 1, window: 1 },
                    tos: 0,
                    fragment: Fragment::Whole,
                    link: Link::default(),
                    tunnel: None,
                    service: None,
                };
                let mut heard = Heard::default();
                AppDecoder::new(AppConfig::default()).handle_payload(&packet, &bytes, packet.ip_bytes + 14, &mut heard);
                let [Message { body: Body::TlsClientHello(read), .. }] = heard.0.as_slice() else {
                    unreachable!("{heard:?}", heard = heard.0)
                };
                assert_eq!(read.sni.as_deref(), sni);
                assert_eq!(read.version, client.version());
                assert_eq!(read.ja4.as_deref(), Some(ja4(&hello).as_str()), "{client:?}");
                prints.extend(read.ja4.clone());
            }
        }
        assert_eq!(prints.len(), 16, "each client has its own fingerprint: {prints:?}");
    }
}
