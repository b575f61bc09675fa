//! Device cookies: a browser that has signed in to an account is known by one, so that guessing by others does not slow it
//! down ([`super::throttle`]). It opens nothing by itself.

use super::session::cookie;
use super::site::Site;
use axum::http::HeaderMap;

/// How long a device is known, in seconds.
pub(crate) const LIFE_SECONDS: i64 = 180 * 24 * 3600;

/// Name of the cookie.
pub(crate) fn name(site: &Site, port: u16) -> String {
    if site.scheme == "https" { "__Host-spotter-device".to_owned() } else { format!("spotter_device_{port}") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8; 32], account: &str, number: &str, until: i64) -> blake3::Hash {
    let text = format!("device\n{}\n{number}\n{until}", account.to_lowercase());
    blake3::keyed_hash(key, text.as_bytes())
}

/// The cookie's value for a device that has just signed in to `account`.
pub(crate) fn issue(key: &[u8; 32], account: &str, now_seconds: i64) -> Result<String, getrandom::Error> {
    let mut number = [0; 16];
    getrandom::fill(&mut number)?;
    let (number, until) = (hex(&number), now_seconds + LIFE_SECONDS);
    Ok(format!("{number}.{until}.{}", mac(key, account, &number, until).to_hex()))
}

/// The number of the device, if its cookie was made here for this account and is not too old.
pub(crate) fn known(
    key: &[u8; 32],
    headers: &HeaderMap,
    name: &str,
    account: &str,
    now_seconds: i64,
) -> Option<[u8; 16]> {
    let mut parts = cookie(headers, name)?.splitn(3, '.');
    let (number, until, given) = (parts.next()?, parts.next()?, parts.next()?);
    let until: i64 = until.parse().ok()?;
    if until < now_seconds || number.len() != 32 || !number.is_ascii() {
        return None;
    }
    // Compared in constant time.
    if mac(key, account, number, until) != blake3::Hash::from_hex(given).ok()? {
        return None;
    }
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(number.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_known_for_its_account_and_time_only() {
        let (key, now) = ([1; 32], 1_000_000);
        let value = issue(&key, "Alice", now).unwrap();
        let ask = |value: &str, account: &str, key: &[u8; 32], now: i64| {
            let mut headers = HeaderMap::new();
            headers.insert("cookie", format!("x=y; d={value}").parse().unwrap());
            known(key, &headers, "d", account, now)
        };
        assert!(ask(&value, "alice", &key, now).is_some());
        assert!(ask(&value, "bob", &key, now).is_none());
        assert!(ask(&value, "alice", &[2; 32], now).is_none());
        assert!(ask(&value, "alice", &key, now + LIFE_SECONDS + 1).is_none());
        for wrong in ["", "..", "a.b.c", &value.replacen('.', ".9", 1), &value[..value.len() - 1]] {
            assert!(ask(wrong, "alice", &key, now).is_none(), "{wrong}");
        }
    }
}
