//! Squid's native access.log, and the like of other proxies:
//! `time elapsed client action/code size method URI ident hierarchy/from type` (wiki.squid-cache.org/Features/LogFormat).

use std::net::IpAddr;

use super::row::{LogKind, LogRequest, LogRow};
use super::text::{epoch, given};

/// Reads a row.
pub(super) fn row(line: &str) -> Result<LogRow, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let mut next = || words.next().ok_or("too few columns");
    let first = epoch(next()?).ok_or("no time")?;
    let elapsed = next()?.parse::<i64>().map_err(|_| "the elapsed time is no number")?;
    let client = next()?;
    let (action, status) = next()?.split_once('/').ok_or("no action/status")?;
    let bytes = next()?.parse::<i64>().map_err(|_| "the size is no number")?;
    let (method, uri) = (next()?, next()?);
    // The user may be a distinguished name with blanks: the hierarchy is the first word after it with a slash and a known shape.
    let rest: Vec<&str> = words.collect();
    let at = rest.iter().position(|word| is_hierarchy(word)).filter(|at| *at > 0).ok_or("no hierarchy")?;
    let client: IpAddr = client.parse().map_err(|_| "the client is no address")?;
    let mut row = LogRequest::new(LogKind::Squid, first, client);
    row.action = given(action).map(str::to_owned);
    row.status = status.parse().ok().filter(|status| *status != 0);
    row.response_bytes = u64::try_from(bytes).ok();
    row.duration_us = u64::try_from(elapsed).ok().and_then(|ms| ms.checked_mul(1_000));
    row.method = method.to_owned();
    row.set_uri(uri);
    let user = rest.get(..at).unwrap_or_default().join(" ");
    row.username = given(&user).map(str::to_owned);
    let from = rest.get(at).and_then(|word| word.split_once('/')).map_or("", |(_, from)| from);
    row.server_ip = from.parse().ok();
    row.content_type = rest.get(at + 1).copied().and_then(given).map(str::to_owned);
    // Blue Coat's like of it goes on with the category and the user agent.
    row.category = rest.get(at + 2).copied().and_then(given).map(str::to_owned);
    let agent = rest.get(at + 3..).unwrap_or_default().join(" ");
    row.user_agent = given(&agent).map(str::to_owned);
    if row.category.is_some() {
        row.kind = LogKind::BlueCoat;
    }
    // The time is of the end.
    row.first.0 = row.first.0.saturating_sub(elapsed.max(0).saturating_mul(1_000_000));
    Ok(LogRow::Request(Box::new(row)))
}

fn is_hierarchy(word: &str) -> bool {
    word.split_once('/').is_some_and(|(code, _)| {
        !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    })
}
