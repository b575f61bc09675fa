//! Sigma rules (<https://sigmahq.io/docs/basics/rules.html>): selections and a condition over them become one statement.
//!
//! Text is compared without regard to case unless `cased` is asked for; `*` and `?` are wildcards, a backslash takes their meaning away. Supported
//! modifiers: contains, startswith, endswith, all, cased, re, cidr, exists, lt, lte, gt, gte. Anything else is an error.

use std::fmt::Write;

use aggregator::lake::Source;
use serde_json::Value;

use super::condition::{self, Condition};
use super::fields::{self, Holds};
use super::{Level, RuleError, RuleFile};
use crate::sql::Param;

/// Values of a rule at most.
const MAX_VALUES: usize = 400;
/// Characters of a condition.
const MAX_CONDITION: usize = 4096;

#[derive(serde::Deserialize)]
struct File {
    title: Option<String>,
    level: Option<String>,
    #[serde(default)]
    logsource: LogSource,
    #[serde(default)]
    detection: serde_json::Map<String, Value>,
}

#[derive(serde::Deserialize, Default)]
struct LogSource {
    category: Option<String>,
    product: Option<String>,
    service: Option<String>,
}

/// Reads a rule.
pub(super) fn read(text: &str) -> Result<RuleFile, RuleError> {
    let at = |line, what: String| RuleError { line, what };
    let File { title, level, logsource, detection } = serde_saphyr::from_str::<File>(text).map_err(|error| {
        let line = error.location().map_or(1, |place| place.line() as usize);
        at(line, error.to_string().lines().next().unwrap_or("no YAML").chars().take(300).collect())
    })?;
    let LogSource { category, product, service } = logsource;
    let known = fields::table(category.as_deref(), product.as_deref(), service.as_deref());
    let source = known.ok_or_else(|| {
        let told = [("category", &category), ("product", &product), ("service", &service)];
        let told: Vec<String> = told.iter().filter_map(|(key, value)| Some(format!("{key} {}", value.as_ref()?))).collect();
        let what = "the log source must be category firewall, network_connection, dns or proxy, or product zeek with service conn, dns, http or ssl";
        at(line_of(text, "logsource"), format!("{what}, not {}", if told.is_empty() { "nothing".into() } else { told.join(", ") }))
    })?;
    let level = match level.as_deref() {
        None => Level::Medium,
        Some(level) => Level::read(level).ok_or_else(|| {
            at(line_of(text, "level"), format!("level {level:?}: informational, low, medium, high or critical"))
        })?,
    };
    let title = title.filter(|title| !title.trim().is_empty()).ok_or_else(|| at(1, "a title is missing".to_owned()))?;
    let mut writer = Writer { text, source, params: Vec::new(), values: 0 };
    let takes = writer.detection(&detection)?;
    let sql = format!("SELECT record_id FROM {} WHERE date = $1 AND ({takes})", source.as_str());
    Ok(RuleFile { title: title.chars().take(200).collect(), source, level, sql, params: writer.params })
}

/// The first line that has a key, or the text.
fn line_of(text: &str, part: &str) -> usize {
    let key = |line: &&str| line.trim_start().trim_start_matches("- ").trim_matches(['"', '\'']).starts_with(part);
    let found = text.lines().position(|line| key(&line)).or_else(|| text.lines().position(|line| line.contains(part)));
    found.map_or(1, |line| line + 1)
}

/// Writes the statement of a rule.
struct Writer<'t> {
    text: &'t str,
    source: Source,
    params: Vec<Param>,
    values: usize,
}

impl Writer<'_> {
    fn wrong<T>(&self, part: &str, what: impl Into<String>) -> Result<T, RuleError> {
        Err(RuleError { line: line_of(self.text, part), what: what.into() })
    }

    fn detection(&mut self, detection: &serde_json::Map<String, Value>) -> Result<String, RuleError> {
        let searches: Vec<String> =
            detection.keys().filter(|key| !matches!(key.as_str(), "condition" | "timeframe")).cloned().collect();
        if detection.contains_key("timeframe") {
            return self.wrong("timeframe", "timeframe is not supported; write the rule as SQL");
        }
        let conditions: Vec<&str> = match detection.get("condition") {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if conditions.is_empty() || conditions.iter().any(|text| text.len() > MAX_CONDITION) {
            return self
                .wrong("detection", format!("detection must have a condition of at most {MAX_CONDITION} characters"));
        }
        let mut parts = Vec::new();
        for text in conditions {
            match condition::parse(text, &searches) {
                Ok(condition) => parts.push(self.condition(&condition, detection)?),
                Err(what) => return self.wrong("condition", what),
            }
        }
        Ok(parts.join(" OR "))
    }

    fn condition(
        &mut self,
        condition: &Condition,
        searches: &serde_json::Map<String, Value>,
    ) -> Result<String, RuleError> {
        let mut each = |list: &[Condition], word: &str| {
            let parts: Result<Vec<String>, _> = list.iter().map(|part| self.condition(part, searches)).collect();
            parts.map(|parts| format!("({})", parts.join(word)))
        };
        match condition {
            Condition::All(list) => each(list, " AND "),
            Condition::Any(list) => each(list, " OR "),
            // What is not observed does not match, and so its negation holds.
            Condition::Not(inner) => Ok(format!("NOT coalesce({}, false)", self.condition(inner, searches)?)),
            Condition::Search(name) => self.search(name, searches.get(name).unwrap_or(&Value::Null)),
        }
    }

    /// A map: all of its fields; a list of maps: one of them.
    fn search(&mut self, name: &str, search: &Value) -> Result<String, RuleError> {
        match search {
            Value::Object(map) if !map.is_empty() => {
                let mut parts = Vec::new();
                for (field, value) in map {
                    parts.push(self.field(field, value)?);
                }
                Ok(format!("({})", parts.join(" AND ")))
            }
            Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_object) => {
                let parts: Result<Vec<String>, _> = list.iter().map(|map| self.search(name, map)).collect();
                Ok(format!("({})", parts?.join(" OR ")))
            }
            Value::Array(_) | Value::String(_) => {
                self.wrong(name, format!("{name}: keywords without a field are not supported: name the field"))
            }
            _ => self.wrong(name, format!("{name}: fields with values are expected")),
        }
    }

    fn field(&mut self, key: &str, value: &Value) -> Result<String, RuleError> {
        let mut parts = key.split('|');
        let field = parts.next().unwrap_or_default();
        let modifiers: Vec<&str> = parts.collect();
        let Some((column, holds)) = fields::column(self.source, field) else {
            return self.wrong(key, format!("field {field:?} is not in {} records", self.source.as_str()));
        };
        let (mut test, mut all, mut cased) = (Test::Equals, false, false);
        for modifier in modifiers {
            match modifier {
                "contains" => test = Test::Contains,
                "startswith" => test = Test::Starts,
                "endswith" => test = Test::Ends,
                "re" => test = Test::Regex,
                "cidr" => test = Test::Cidr,
                "exists" => test = Test::Exists,
                "lt" => test = Test::Compare("<"),
                "lte" => test = Test::Compare("<="),
                "gt" => test = Test::Compare(">"),
                "gte" => test = Test::Compare(">="),
                "all" => all = true,
                "cased" => cased = true,
                other => return self.wrong(key, format!("modifier {other:?} is not supported")),
            }
        }
        let values: Vec<&Value> = match value {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        self.values += values.len();
        if values.is_empty() || self.values > MAX_VALUES {
            return self.wrong(key, format!("a field needs a value, and a rule may have {MAX_VALUES} of them"));
        }
        // Many plain values are one list: a chain of OR would be too deep.
        if !all
            && !cased
            && test == Test::Equals
            && values.len() > 1
            && holds == Holds::Text
            && let Some(plain) = values.iter().map(|value| plain(value)).collect::<Option<Vec<String>>>()
        {
            let list: Vec<String> = plain.into_iter().map(|text| self.param(text.to_lowercase())).collect();
            return Ok(format!("lower({column}) IN ({})", list.join(", ")));
        }
        let tests: Result<Vec<String>, _> =
            values.into_iter().map(|value| self.value(key, column, holds, test, cased, value)).collect();
        Ok(format!("({})", tests?.join(if all { " AND " } else { " OR " })))
    }

    fn param(&mut self, value: impl Into<Param>) -> String {
        self.params.push(value.into());
        // $1 is the day.
        format!("${}", self.params.len() + 1)
    }

    fn value(
        &mut self,
        key: &str,
        column: &str,
        holds: Holds,
        test: Test,
        cased: bool,
        value: &Value,
    ) -> Result<String, RuleError> {
        match (test, value) {
            (Test::Exists, Value::Bool(true)) => return Ok(format!("{column} IS NOT NULL")),
            (Test::Exists, Value::Bool(false)) => return Ok(format!("{column} IS NULL")),
            (Test::Exists, _) => return self.wrong(key, "exists needs true or false"),
            (Test::Equals, Value::Null) => return Ok(format!("{column} IS NULL")),
            (_, Value::Null | Value::Array(_) | Value::Object(_)) => {
                return self.wrong(key, format!("{key}: a text or a number is expected"));
            }
            _ => {}
        }
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match (test, holds) {
            (Test::Cidr, Holds::Address) => match crate::feedback::matcher::read_network(&text) {
                // From a parsed address and a number.
                Some((ip, bits)) => Ok(format!("in_cidr({column}, '{ip}/{bits}')")),
                None => self.wrong(key, format!("{text:?} is no network")),
            },
            (Test::Cidr, _) => self.wrong(key, format!("{key}: cidr is for addresses")),
            (Test::Compare(operator), Holds::Number) => match text.parse::<u64>() {
                Ok(number) => Ok(format!("CAST({column} AS BIGINT UNSIGNED) {operator} {number}")),
                Err(_) => self.wrong(key, format!("{text:?} is no whole number")),
            },
            (Test::Compare(_), _) => self.wrong(key, format!("{key}: only numbers are compared by size")),
            (Test::Equals, Holds::Number | Holds::Named(_)) => {
                let named = match holds {
                    Holds::Named(names) => names
                        .iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(&text))
                        .map(|(_, number)| u64::from(*number)),
                    _ => None,
                };
                match named.or_else(|| text.parse::<u64>().ok()) {
                    Some(number) => Ok(format!("CAST({column} AS BIGINT UNSIGNED) = {number}")),
                    None => self.wrong(key, format!("{text:?} is no value of {key}")),
                }
            }
            (_, Holds::Number | Holds::Named(_)) => self.wrong(key, format!("{key}: a number has no such test")),
            (Test::Regex, _) => {
                if let Err(error) = regex::RegexBuilder::new(&text).size_limit(1 << 20).build() {
                    let first = error.to_string().lines().last().unwrap_or_default().to_owned();
                    return self.wrong(key, format!("{text:?} is no regular expression: {first}"));
                }
                let pattern = self.param(text);
                Ok(format!("regexp_like({column}, {pattern})"))
            }
            (test, _) => {
                let mut pattern = like(&text);
                if matches!(test, Test::Contains | Test::Ends) {
                    pattern.insert(0, '%');
                }
                if matches!(test, Test::Contains | Test::Starts) {
                    pattern.push('%');
                }
                let (column, pattern) = if cased {
                    (column.to_owned(), pattern)
                } else {
                    (format!("lower({column})"), pattern.to_lowercase())
                };
                let pattern = self.param(pattern);
                Ok(format!("{column} LIKE {pattern}"))
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Test {
    Equals,
    Contains,
    Starts,
    Ends,
    Regex,
    Cidr,
    Exists,
    Compare(&'static str),
}

/// A value without wildcards, as it is meant.
fn plain(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.contains(['*', '?', '\\'])).then(|| text.to_owned())
}

/// Sigma's wildcards as LIKE's. `\*`, `\?` and `\\` stand for themselves; so does a backslash before anything else.
fn like(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                Some('\\') | None => out.push_str("\\\\"),
                Some(c) => out.push(c),
            },
            '*' => out.push('%'),
            '?' => out.push('_'),
            '%' | '_' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\{c}");
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HEAD: &str = "title: T\nlogsource:\n  category: dns\n";

    fn text(params: &[Param]) -> Vec<String> {
        params
            .iter()
            .map(|param| match param {
                Param::Text(text) => text.clone(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_rule_becomes_a_statement_and_its_texts_stay_values() {
        let rule = read(
            "title: Long TXT questions\nid: 1\nlevel: high\nlogsource:\n  product: zeek\n  service: dns\ndetection:\n  selection:\n    qtype_name: TXT\n    \
             query|endswith:\n      - '.evil_1.example'\n      - \".x'; DROP TABLE dns; --\"\n  filter_own:\n    query: ['a.example', 'b.example']\n  \
             filter_net:\n    id.orig_h|cidr: 10.9.0.0/16\n  condition: selection and not 1 of filter_*\n",
        )
        .unwrap();
        assert_eq!((rule.title.as_str(), rule.source, rule.level), ("Long TXT questions", Source::Dns, Level::High));
        assert_eq!(
            rule.sql,
            "SELECT record_id FROM dns WHERE date = $1 AND ((((CAST(qtype AS BIGINT UNSIGNED) = 16) AND \
             (lower(qname) LIKE $2 OR lower(qname) LIKE $3)) AND NOT coalesce((((in_cidr(client_ip, '10.9.0.0/16'))) OR \
             (lower(qname) IN ($4, $5))), false)))"
        );
        assert_eq!(text(&rule.params), ["%.evil\\_1.example", "%.x'; drop table dns; --", "a.example", "b.example"]);
    }

    #[test]
    fn wildcards_of_sigma_and_of_like() {
        for (sigma, sql) in
            [("a*b?", "a%b_"), ("50%_", "50\\%\\_"), ("\\*\\?", "*?"), ("a\\b", "a\\\\b"), ("a\\\\*", "a\\\\%")]
        {
            assert_eq!(like(sigma), sql, "{sigma}");
        }
    }

    #[test]
    fn what_is_not_supported_is_an_error_with_its_line() {
        let rule = |detection: &str| read(&format!("{HEAD}detection:\n{detection}"));
        for (detection, line, part) in [
            ("  s:\n    nosuch: x\n  condition: s\n", 6, "not in dns records"),
            ("  s:\n    query|base64: x\n  condition: s\n", 6, "base64"),
            ("  s:\n    query: x\n  condition: s | count() > 3\n", 7, "aggregations"),
            ("  s:\n    query: x\n  timeframe: 5m\n  condition: s\n", 7, "timeframe"),
            ("  s:\n    - keyword\n  condition: s\n", 5, "keywords"),
            ("  s:\n    query: x\n  condition: t\n", 7, "no search is called"),
            ("  s:\n    query|re: '('\n  condition: s\n", 6, "regular expression"),
            ("  s:\n    client_ip|cidr: 10.0.0.0/99\n  condition: s\n", 6, "no network"),
            ("  s:\n    qtype: NOPE\n  condition: s\n", 6, "no value"),
            ("  s:\n    query: x\n", 4, "condition"),
        ] {
            let error = rule(detection).unwrap_err();
            assert!(error.what.contains(part) && error.line == line, "{detection}: {error}");
        }
        let windows = read("title: T\nlogsource:\n  category: process_creation\n  product: windows\ndetection: {}\n")
            .unwrap_err();
        assert!(windows.line == 2 && windows.what.contains("process_creation"), "{windows}");
        assert!(read("title: [").is_err() && read("").is_err());
        let bomb = format!(
            "{HEAD}a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
            d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ndetection: {{s: {{query: *f}}, condition: s}}\n"
        );
        assert!(read(&bomb).is_err());
        let many: Vec<String> = (0..1000).map(|n| format!("n{n}")).collect();
        assert!(rule(&format!("  s:\n    query: [{}]\n  condition: s\n", many.join(","))).is_err());
    }
}
