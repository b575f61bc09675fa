//! A rule as SQL: comments that say what it is, then one SELECT that gives `record_id` (and maybe `evidence`) of the day `$1`.

use super::{Level, RuleError, RuleFile};

/// Reads `-- title:`, `-- source:`, `-- level:` and the statement.
pub(super) fn read(name: &str, text: &str) -> Result<RuleFile, RuleError> {
    let wrong = |line: usize, what: &str| Err(RuleError { line, what: what.to_owned() });
    let (mut title, mut source, mut level) = (None, None, Level::Medium);
    for (line, number) in text.lines().zip(1..) {
        let Some((key, value)) = line.trim().strip_prefix("--").and_then(|comment| comment.split_once(':')) else {
            continue;
        };
        let value = value.trim();
        match key.trim() {
            "title" => title = Some(value.chars().take(200).collect::<String>()),
            "source" => match value.parse() {
                Ok(read) => source = Some(read),
                Err(_) => return wrong(number, "-- source: must be flow, dns or proxy"),
            },
            "level" => match Level::read(value) {
                Some(read) => level = read,
                None => return wrong(number, "-- level: must be informational, low, medium, high or critical"),
            },
            _ => {}
        }
    }
    let Some(source) = source else { return wrong(1, "a comment `-- source: flow` (or dns, proxy) is missing") };
    if !text.contains("$1") {
        return wrong(1, "the statement must keep to the day it is asked about: WHERE date = $1");
    }
    Ok(RuleFile {
        title: title.filter(|title| !title.is_empty()).unwrap_or_else(|| name.to_owned()),
        source,
        level,
        sql: text.to_owned(),
        params: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_it_is_stands_in_comments() {
        let text = "-- title: Telnet\n-- source: flow\n-- level: high\nSELECT record_id FROM flow WHERE date = $1 AND dst_port = 23";
        let rule = read("x.sql", text).unwrap();
        assert_eq!((rule.title.as_str(), rule.source.as_str(), rule.level), ("Telnet", "flow", Level::High));
        for (text, line) in [
            ("SELECT 1", 1),
            ("-- source: http\nSELECT $1", 1),
            ("-- source: dns\n-- level: loud\nSELECT $1", 2),
            ("-- source: dns\nSELECT record_id FROM dns", 1),
        ] {
            assert_eq!(read("x.sql", text).unwrap_err().line, line, "{text}");
        }
    }
}
