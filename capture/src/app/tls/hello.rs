//! The fields of a ClientHello (RFC 8446 4.1.2), as far as there are any.

use super::Over;
use super::ja4::{self, Fingerprint, numbers};
use crate::TlsClientHello;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// Bytes of the ALPN text kept.
const MAX_ALPN: usize = 1_024;

/// Reads the body of a ClientHello. `whole`: it is all there, so that it can be fingerprinted.
/// `None` if not even its version is there. Its `bytes` are left to the caller.
pub(in super::super) fn read(body: &[u8], whole: bool, over: Over) -> Option<TlsClientHello> {
    let mut rest = Rest(body);
    let legacy_version = rest.u16()?;
    let mut hello = TlsClientHello { version: legacy_version, ..TlsClientHello::default() };
    let extensions = Vec::with_capacity(32);
    let mut fingerprint = Fingerprint { over, version: legacy_version, extensions, ..Fingerprint::default() };
    let intact = fields(&mut rest, &mut hello, &mut fingerprint).is_some();
    if whole && intact {
        hello.ja4 = Some(fingerprint.text());
    }
    Some(hello)
}

/// All after the version. `None` if it ends too early.
fn fields<'a>(rest: &mut Rest<'a>, hello: &mut TlsClientHello, fingerprint: &mut Fingerprint<'a>) -> Option<()> {
    rest.take(32)?;
    let id = rest.u8()?;
    rest.take(id.into())?;
    let suites = rest.u16()?;
    fingerprint.ciphers = rest.take(suites.into())?;
    let compressions = rest.u8()?;
    rest.take(compressions.into())?;
    if rest.0.is_empty() {
        // Extensions came with TLS 1.2 (RFC 5246 7.4.1.2).
        return Some(());
    }
    let length = usize::from(rest.u16()?);
    let extensions = rest.0.get(..length);
    let mut all = Rest(extensions.unwrap_or(rest.0));
    while !all.0.is_empty() {
        let kind = all.u16()?;
        let length = usize::from(all.u16()?);
        let data = all.0.get(..length);
        fingerprint.extensions.push(kind);
        // What is there of an extension that is cut is still read.
        extension(kind, data.unwrap_or(all.0), hello, fingerprint);
        all.take(length)?;
    }
    extensions.map(|_| ())
}

fn extension<'a>(kind: u16, data: &'a [u8], hello: &mut TlsClientHello, fingerprint: &mut Fingerprint<'a>) {
    let mut data = Rest(data);
    match kind {
        SERVER_NAME if hello.sni.is_none() => hello.sni = server_name(&mut data),
        ALPN if hello.alpn.is_none() => {
            let protocols = protocols(&mut data);
            fingerprint.alpn = protocols.first().copied();
            let mut text = String::new();
            for protocol in protocols {
                if text.len() > MAX_ALPN {
                    break;
                }
                if !text.is_empty() {
                    text.push(',');
                }
                text.push_str(&String::from_utf8_lossy(protocol));
            }
            hello.alpn = (!text.is_empty()).then_some(text);
        }
        SIGNATURE_ALGORITHMS => {
            fingerprint.signatures = data.u16().map(|len| data.up_to(len.into())).unwrap_or_default();
        }
        SUPPORTED_VERSIONS => {
            let versions = data.u8().map(|len| data.up_to(len.into())).unwrap_or_default();
            if let Some(highest) = numbers(versions).filter(|&v| !ja4::is_grease(v)).max() {
                (hello.version, fingerprint.version) = (highest, highest);
            }
        }
        _ => (),
    }
}

/// The first host name of the list (RFC 6066 3).
fn server_name(data: &mut Rest<'_>) -> Option<String> {
    data.u16()?;
    while let Some(kind) = data.u8() {
        let length = data.u16()?;
        let name = data.take(length.into())?;
        if kind == 0 {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
    }
    None
}

/// The protocol names (RFC 7301 3.1).
fn protocols<'a>(data: &mut Rest<'a>) -> Vec<&'a [u8]> {
    let mut names = Vec::new();
    if data.u16().is_some() {
        while let Some(name) = data.u8().and_then(|length| data.take(length.into())) {
            names.push(name);
        }
    }
    names
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn up_to(&mut self, len: usize) -> &'a [u8] {
        self.take(len.min(self.0.len())).unwrap_or_default()
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }
}
