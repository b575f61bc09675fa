//! Service parameters of SVCB and HTTPS records as text (RFC 9460).

use super::rdata::{write_decimal, write_octets};
use domain::utils::base64;
use std::net::{Ipv4Addr, Ipv6Addr};

/// One service parameter in presentation form (RFC 9460 2.1 and 7). `None` if the value does not fit its key.
pub(super) fn write(key: u16, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const NAMES: [&str; 10] = [
        "mandatory",
        "alpn",
        "no-default-alpn",
        "port",
        "ipv4hint",
        "ech",
        "ipv6hint",
        "dohpath",
        "ohttp",
        "tls-supported-groups",
    ];
    match NAMES.get(usize::from(key)) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => {
            out.extend_from_slice(b"key");
            write_decimal(key.into(), out);
        }
    }
    if value.is_empty() {
        return Some(());
    }
    out.push(b'=');
    match key {
        0 => list(value.chunks(2), out, |key, out| {
            let key = usize::from(u16::from_be_bytes(key.try_into().ok()?));
            let name = NAMES.get(key).map_or_else(|| format!("key{key}"), |name| (*name).to_owned());
            out.extend_from_slice(name.as_bytes());
            Some(())
        })?,
        1 => {
            let (mut rest, mut first) = (value, true);
            while let Some((&len, tail)) = rest.split_first() {
                let (id, tail) = tail.split_at_checked(len.into())?;
                if !first {
                    out.push(b',');
                }
                first = false;
                // A comma within an id is escaped twice (RFC 9460 appendix A.1).
                for &b in id {
                    match b {
                        b',' => out.extend(b"\\\\,"),
                        b'\\' => out.extend(b"\\\\\\\\"),
                        _ => write_octets(&[b], b'!', out),
                    }
                }
                rest = tail;
            }
        }
        3 => write_decimal(u16::from_be_bytes(value.try_into().ok()?).into(), out),
        4 => list(value.chunks(4), out, |hint, out| {
            let hint = Ipv4Addr::from_octets(hint.try_into().ok()?);
            out.extend_from_slice(hint.to_string().as_bytes());
            Some(())
        })?,
        5 => out.extend_from_slice(base64::encode_string(&value).as_bytes()),
        6 => list(value.chunks(16), out, |hint, out| {
            let hint = Ipv6Addr::from_octets(hint.try_into().ok()?);
            out.extend_from_slice(hint.to_string().as_bytes());
            Some(())
        })?,
        _ => write_octets(value, b'!', out),
    }
    Some(())
}

/// Writes the items with commas between them.
fn list<'v>(
    items: impl Iterator<Item = &'v [u8]>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&[u8], &mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out)?;
    }
    Some(())
}
