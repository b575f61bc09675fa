//! HAProxy's HTTP and TCP log formats (docs.haproxy.org, 8.2), with or without the syslog header.

use std::net::IpAddr;

use super::row::{LogKind, LogRequest, LogRow};
use super::text::{common, given};

/// Reads a row.
pub(super) fn row(line: &str) -> Result<LogRow, &'static str> {
    // A header of another shape than syslog's ends with the program's name.
    let line = match line.find("haproxy[") {
        Some(at) => line.get(at..).and_then(|rest| rest.split_once("]: ")).map_or(line, |(_, rest)| rest),
        None => line,
    };
    let (from, rest) = line.split_once(" [").ok_or("no client and date")?;
    let (date, rest) = rest.split_once("] ").ok_or("no client and date")?;
    let first = common(date).ok_or("no time")?;
    let (client, port) = from.rsplit_once(':').ok_or("no client")?;
    let client: IpAddr = client.trim_matches(['[', ']']).parse().map_err(|_| "the client is no address")?;
    let (head, request) = match rest.split_once('"') {
        Some((head, request)) => (head, Some(request.trim_end().trim_end_matches('"'))),
        None => (rest, None),
    };
    let mut words = head.split_ascii_whitespace();
    let mut next = || words.next().ok_or("too few columns");
    let (frontend, backend) = (next()?, next()?);
    // A custom field may stand before the timers, which are four or five numbers.
    let mut timers = next()?;
    let mut extra = None;
    if !is_timers(timers) {
        extra = Some(timers);
        timers = next()?;
    }
    if !is_timers(timers) {
        return Err("no timers");
    }
    let total = timers.rsplit('/').next().unwrap_or_default().trim_start_matches('+').parse::<i64>().ok();
    let mut row = LogRequest::new(LogKind::HaProxy, first, client);
    row.client_port = port.parse().ok();
    row.duration_us = total.and_then(|ms| u64::try_from(ms).ok()).and_then(|ms| ms.checked_mul(1_000));
    row.app_name = Some(format!("{frontend} {backend}"));
    let Some(request) = request else {
        row.response_bytes = next()?.trim_start_matches('+').parse().ok();
        row.action = given(next()?).map(str::to_owned);
        row.scheme = "tcp".into();
        row.host = backend.to_owned();
        row.full_uri = backend.to_owned();
        return Ok(LogRow::Request(Box::new(row)));
    };
    row.status = next()?.parse().ok();
    row.response_bytes = next()?.trim_start_matches('+').parse().ok();
    let state = head
        .split_ascii_whitespace()
        .find(|word| word.len() == 4 && word.bytes().all(|b| b == b'-' || b.is_ascii_alphabetic()));
    row.action = state.map(str::to_owned);
    let mut words = request.split(' ');
    row.method = words.next().unwrap_or_default().to_owned();
    let uri = words.next().unwrap_or_default();
    let secure = frontend.ends_with('~');
    if uri.contains("://") || row.method == "CONNECT" {
        row.set_uri(uri);
    } else {
        row.scheme = if secure { "https" } else { "http" }.into();
        // The Host header, where it is captured first.
        let captured = head.split_once('{').and_then(|(_, rest)| rest.split(['|', '}']).next()).unwrap_or_default();
        let is_host = |name: &&str| name.contains('.') && !name.contains([' ', '/']);
        row.host = extra.or(Some(captured)).filter(is_host).unwrap_or(backend).to_owned();
        row.set_path(uri);
        row.compose_uri();
    }
    Ok(LogRow::Request(Box::new(row)))
}

fn is_timers(word: &str) -> bool {
    let parts = word.split('/');
    (3..=6).contains(&parts.clone().count())
        && parts
            .into_iter()
            .all(|n| !n.is_empty() && n.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_digit()))
}
