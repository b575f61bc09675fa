//! A Sigma rule from a condition, for Zeek's logs.
//!
//! Values are quoted for YAML, and what Sigma reads as a wildcard (`*`, `?`) or escape (`\`) is escaped, so a rule finds the
//! text it was made from and nothing else.

use std::fmt::Write;

use aggregator::lake::Source;

use super::stix::{OURS, uuid5};

/// How a field is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// Is it.
    Is,
    /// Ends with it.
    EndsWith,
    /// Has it in it.
    Contains,
    /// Lies in the network.
    Cidr,
}

/// One test on a field of Zeek's log: `id.resp_h`, `query`, `host` …
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// The field.
    pub field: String,
    /// How.
    pub how: Match,
    /// With what.
    pub value: String,
}

/// A rule: any of `any` (each a conjunction) matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Which log.
    pub source: Source,
    /// Title.
    pub title: String,
    /// Why it was made.
    pub description: String,
    /// Day it was made, `YYYY-MM-DD`.
    pub date: String,
    /// Alternatives; each is met when all of its tests are.
    pub any: Vec<Vec<Test>>,
}

/// The rule as YAML.
pub fn write(rule: &Rule) -> String {
    let service = match rule.source {
        Source::Flow => "conn",
        Source::Dns => "dns",
        Source::Proxy => "http",
    };
    let id = uuid5(&OURS, &format!("sigma {} {:?}", rule.title, rule.any));
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "title: {}\nid: {id}\nstatus: experimental\ndescription: {}\ndate: {}\nauthor: Spotter\nlogsource:\n    product: zeek\n    service: {service}\ndetection:\n",
        quoted(&rule.title),
        quoted(&rule.description),
        quoted(&rule.date)
    );
    let mut names = Vec::new();
    for (at, tests) in rule.any.iter().enumerate() {
        let name = if rule.any.len() == 1 { "selection".to_owned() } else { format!("selection_{}", at + 1) };
        let _ = writeln!(out, "    {name}:");
        for test in tests {
            let how = match test.how {
                Match::Is => "",
                Match::EndsWith => "|endswith",
                Match::Contains => "|contains",
                Match::Cidr => "|cidr",
            };
            let _ =
                writeln!(out, "        {}: {}", quoted(&format!("{}{how}", test.field)), quoted(&plain(&test.value)));
        }
        names.push(name);
    }
    let _ = write!(
        out,
        "    condition: {}\nfalsepositives:\n    - Unknown\nlevel: medium\n",
        if names.is_empty() { "selection".to_owned() } else { names.join(" or ") }
    );
    out
}

/// Escapes what Sigma would read as more than text.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A double-quoted YAML scalar (YAML 1.2, 7.3.1).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => out.write_str("\\n"),
            '\t' => out.write_str("\\t"),
            c if crate::output::is_unsafe(c) && (c as u32) > 0xffff => write!(out, "\\U{:08x}", c as u32),
            c if crate::output::is_unsafe(c) => write!(out, "\\u{:04x}", c as u32),
            c => out.write_char(c),
        };
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_what_it_was_made_from_and_nothing_else() {
        let test = |field: &str, how, value: &str| Test { field: field.into(), how, value: value.into() };
        let rule = Rule {
            source: Source::Dns,
            title: "Names below evil.example".into(),
            description: "x: \"y\"\n- z".into(),
            date: "2026-03-11".into(),
            any: vec![
                vec![test("query", Match::Is, "evil.example")],
                vec![test("query", Match::EndsWith, ".evil*?\\.example\u{202e}")],
            ],
        };
        let text = write(&rule);
        assert!(text.contains("    service: dns\n"), "{text}");
        assert!(text.contains("description: \"x: \\\"y\\\"\\n- z\"\n"), "{text}");
        assert!(text.contains("        \"query|endswith\": \".evil\\\\*\\\\?\\\\\\\\.example\\u202e\"\n"), "{text}");
        assert!(text.contains("    condition: selection_1 or selection_2\n"), "{text}");
    }
}
