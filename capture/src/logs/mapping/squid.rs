//! Squid's custom logformat (squid-cache.org/Doc/config/logformat): codes with text between them.
//!
//! A code's value ends where the text behind it begins, so that two codes need text between them, or the first a width that says
//! how long it is. What a code says that no column has is stepped over.

use std::net::IpAddr;

use crate::Nanos;
use crate::logs::row::{LogKind, LogRequest, LogRow};
use crate::logs::text::{common, given};

/// Formats that Squid defines by name.
const NAMED: [(&str, &str); 3] = [
    ("squid", "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"),
    ("common", "%>a %[ui %[un [%tl] \"%rm %ru HTTP/%rv\" %>Hs %<st %Ss:%Sh"),
    ("combined", "%>a %[ui %[un [%tl] \"%rm %ru HTTP/%rv\" %>Hs %<st \"%{Referer}>h\" \"%{User-Agent}>h\" %Ss:%Sh"),
];

/// Most codes of a format.
const MAX_PARTS: usize = 128;

/// A format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::logs) struct Format(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Code { code: Code, width: Option<usize> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Code {
    Seconds,
    Thousandths,
    LocalTime,
    ClientIp,
    ClientPort,
    ServerIp,
    ServerPort,
    Elapsed,
    User,
    Status,
    Action,
    Method,
    Uri,
    Path,
    Host,
    Scheme,
    Port,
    ResponseBytes,
    RequestBytes,
    ContentType,
    UserAgent,
    Referer,
    HostHeader,
    Sni,
    TlsVersion,
    Other,
}

fn code(argument: Option<&str>, name: &str) -> Code {
    let header = argument.map(str::to_ascii_lowercase);
    match (name, header.as_deref()) {
        ("ts", _) => Code::Seconds,
        ("tu", _) => Code::Thousandths,
        // With a form of strftime's of one's own, the time cannot be told.
        ("tl" | "tg", None) => Code::LocalTime,
        (">a", _) => Code::ClientIp,
        (">p", _) => Code::ClientPort,
        ("<a", _) => Code::ServerIp,
        ("<p", _) => Code::ServerPort,
        ("tr", _) => Code::Elapsed,
        ("un" | "ul" | "ui" | "us" | "ue" | "credentials", _) => Code::User,
        (">Hs" | "Hs", _) => Code::Status,
        ("Ss", _) => Code::Action,
        ("rm" | ">rm", _) => Code::Method,
        ("ru" | ">ru", _) => Code::Uri,
        ("rp" | ">rp" | "urlpath", _) => Code::Path,
        (">rd" | "<rd", _) => Code::Host,
        (">rs" | "<rs", _) => Code::Scheme,
        (">rP" | "<rP", _) => Code::Port,
        ("<st", _) => Code::ResponseBytes,
        (">st", _) => Code::RequestBytes,
        ("mt", _) => Code::ContentType,
        (">h" | ">ha", Some("user-agent")) => Code::UserAgent,
        (">h" | ">ha", Some("referer")) => Code::Referer,
        (">h" | ">ha", Some("host")) => Code::HostHeader,
        ("ssl::>sni", _) => Code::Sni,
        ("ssl::>negotiated_version" | "tls::>negotiated_version", _) => Code::TlsVersion,
        _ => Code::Other,
    }
}

impl Format {
    /// Reads a format, or takes one by its name.
    pub(in crate::logs) fn parse(text: &str) -> Result<Self, String> {
        let text = NAMED.iter().find(|(name, _)| *name == text).map_or(text, |(_, format)| format);
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(first) = rest.chars().next() {
            if parts.len() >= MAX_PARTS {
                return Err(format!("more than {MAX_PARTS} codes"));
            }
            if first == '%' && !rest.starts_with("%%") {
                let (part, after) = part(rest)?;
                parts.push(part);
                rest = after;
                continue;
            }
            let skip = if first == '%' { 2 } else { first.len_utf8() };
            match parts.last_mut() {
                Some(Part::Text(text)) => text.push(first),
                _ => parts.push(Part::Text(first.to_string())),
            }
            rest = rest.get(skip..).unwrap_or_default();
        }
        for pair in parts.windows(2) {
            if let [Part::Code { width: None, .. }, Part::Code { .. }] = pair {
                return Err("two codes without text between them cannot be told apart".to_owned());
            }
        }
        let has =
            |wanted: &[Code]| parts.iter().any(|part| matches!(part, Part::Code { code, .. } if wanted.contains(code)));
        if !has(&[Code::Seconds, Code::LocalTime]) {
            return Err("no time in it: %ts, or %tl or %tg without a form of their own".to_owned());
        }
        if !has(&[Code::ClientIp]) {
            return Err("no client in it: %>a".to_owned());
        }
        Ok(Self(parts))
    }

    /// Reads a row.
    pub(in crate::logs) fn row(&self, line: &str) -> Result<LogRow, &'static str> {
        let mut values = Vec::with_capacity(self.0.len());
        let mut rest = line;
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => rest = after_text(rest, text).ok_or("not written as the logformat says")?,
                Part::Code { code, width } => {
                    // Values shorter than their width are filled up with blanks.
                    let left = if width.is_some() { rest.trim_start_matches(' ') } else { rest };
                    let next = match self.0.get(at + 1) {
                        Some(Part::Text(text)) => Some(text.as_str()),
                        _ => None,
                    };
                    // Between time and zone is a blank that is no end.
                    let least = if *code == Code::LocalTime { left.find(' ').map_or(0, |at| at + 1) } else { 0 };
                    let end = match (next, self.0.get(at + 1), width) {
                        (Some(text), ..) => find_text(left, text, least).ok_or("not written as the logformat says")?,
                        (None, Some(_), Some(width)) => {
                            left.char_indices().nth(*width).map_or(left.len(), |(at, _)| at)
                        }
                        _ => left.len(),
                    };
                    let (value, after) = left.split_at_checked(end).ok_or("not written as the logformat says")?;
                    values.push((*code, value.trim_end_matches(' ')));
                    rest = after;
                }
            }
        }
        request(&values)
    }
}

/// A code: `%` encoding, width, argument, name, argument (Squid takes either place).
fn part(text: &str) -> Result<(Part, &str), String> {
    let shown = || text.chars().take(24).collect::<String>();
    let mut rest = text.strip_prefix('%').unwrap_or(text);
    rest = rest.strip_prefix(['"', '[', '#', '/', '\'']).unwrap_or(rest);
    rest = rest.strip_prefix('-').unwrap_or(rest);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (width, after) = rest.split_at_checked(digits).unwrap_or(("", rest));
    rest = after;
    let width = width.split('.').next().unwrap_or_default().trim_start_matches('0').parse().ok();
    let mut argument = None;
    let mut take_argument = |rest: &mut &str| -> Result<(), String> {
        if let Some(inside) = rest.strip_prefix('{') {
            let (name, after) =
                inside.split_once('}').ok_or_else(|| format!("`{}`: a brace is not closed", shown()))?;
            argument.get_or_insert_with(|| name.to_owned());
            *rest = after;
        }
        Ok(())
    };
    take_argument(&mut rest)?;
    let arrow = rest.len() - rest.trim_start_matches(['<', '>']).len();
    let letters = rest.get(arrow..).unwrap_or_default();
    let name_len = |text: &str| text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let mut len = name_len(letters);
    // As in `%ssl::>sni`.
    if let Some(more) = letters.get(len..).and_then(|rest| rest.strip_prefix("::")) {
        let name = more.trim_start_matches(['<', '>']);
        len += 2 + (more.len() - name.len()) + name_len(name);
    }
    let (name, after) = rest.split_at_checked(arrow + len).unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(format!("`{}`: no code behind the per cent sign", shown()));
    }
    rest = after;
    take_argument(&mut rest)?;
    Ok((Part::Code { code: code(argument.as_deref(), name), width }, rest))
}

/// What follows the text; a blank of it stands for any number.
fn after_text<'a>(line: &'a str, text: &str) -> Option<&'a str> {
    let mut rest = line;
    for c in text.chars() {
        rest = rest.strip_prefix(c)?;
        if c == ' ' {
            rest = rest.trim_start_matches(' ');
        }
    }
    Some(rest)
}

/// Where the text begins: the first place, not before `least`, from which all of it can be read. A quote behind a backslash is
/// one of the value.
fn find_text(line: &str, text: &str, least: usize) -> Option<usize> {
    let first = text.chars().next()?;
    let is_escaped = |before: &str| before.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
    let is_here = |at: &usize| {
        line.split_at_checked(*at)
            .is_some_and(|(before, rest)| after_text(rest, text).is_some() && !(first == '"' && is_escaped(before)))
    };
    line.match_indices(first).map(|(at, _)| at).filter(|at| *at >= least).find(is_here)
}

fn request(values: &[(Code, &str)]) -> Result<LogRow, &'static str> {
    let get = |wanted: Code| values.iter().filter(|(code, _)| *code == wanted).find_map(|(_, value)| given(value));
    let owned = |wanted: Code| get(wanted).map(str::to_owned);
    let client: IpAddr = get(Code::ClientIp).ok_or("no client")?.parse().map_err(|_| "the client is no address")?;
    let time = match (get(Code::Seconds), get(Code::LocalTime)) {
        (Some(seconds), _) => {
            let seconds = seconds.parse::<i64>().ok().and_then(|n| n.checked_mul(1_000_000_000)).ok_or("no time")?;
            let thousandths =
                get(Code::Thousandths).map_or(Ok(0), |text| text.parse::<i64>().map_err(|_| "no time"))?;
            Nanos(seconds.saturating_add(thousandths.clamp(0, 999) * 1_000_000))
        }
        (None, text) => text.and_then(common).ok_or("no time")?,
    };
    let mut row = LogRequest::new(LogKind::Squid, time, client);
    row.method = owned(Code::Method).unwrap_or_default();
    if let Some(uri) = get(Code::Uri) {
        row.set_uri(uri);
    }
    let number = |wanted: Code| get(wanted).and_then(|text| text.parse::<u64>().ok());
    let port = |wanted: Code| get(wanted).and_then(|text| text.parse::<u16>().ok()).filter(|port| *port != 0);
    if row.full_uri.is_empty() {
        row.scheme = owned(Code::Scheme).unwrap_or_else(|| "http".to_owned());
        row.host = owned(Code::Host).or_else(|| owned(Code::HostHeader)).unwrap_or_default();
        row.server_port = port(Code::Port);
        row.set_path(get(Code::Path).unwrap_or_default());
        row.compose_uri();
    }
    row.client_port = port(Code::ClientPort);
    row.server_ip = get(Code::ServerIp).and_then(|text| text.parse().ok());
    row.server_port = port(Code::ServerPort).or(row.server_port);
    row.action = owned(Code::Action);
    row.status = number(Code::Status).and_then(|n| u16::try_from(n).ok()).filter(|status| *status != 0);
    row.response_bytes = number(Code::ResponseBytes);
    row.request_bytes = number(Code::RequestBytes);
    row.username = owned(Code::User);
    row.content_type = owned(Code::ContentType);
    row.user_agent = owned(Code::UserAgent);
    row.referer = owned(Code::Referer);
    row.tls_sni = owned(Code::Sni);
    row.tls_version = owned(Code::TlsVersion);
    let elapsed = number(Code::Elapsed);
    row.duration_us = elapsed.and_then(|ms| ms.checked_mul(1_000));
    // The time is of the end.
    let back = elapsed.and_then(|ms| i64::try_from(ms).ok()).map_or(0, |ms| ms.saturating_mul(1_000_000));
    row.first.0 = row.first.0.saturating_sub(back);
    Ok(LogRow::Request(Box::new(row)))
}
