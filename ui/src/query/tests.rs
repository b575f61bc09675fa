use analytics::sql::Param;
use proptest::prelude::*;

use super::parse::parse;
use super::{Condition, Context, MAX_DEPTH, MAX_LENGTH, Scope, Span, bytes, compile, context, literal, utf16};
use crate::api::types::Source;

const FLOW: Scope = Scope { source: Source::Flow, scores: true };
const DNS: Scope = Scope { source: Source::Dns, scores: true };
const PROXY: Scope = Scope { source: Source::Proxy, scores: true };

fn of(scope: Scope, text: &str) -> Condition {
    compile(scope, text, 3).unwrap_or_else(|error| panic!("{text}: {error} at {:?}", error.span))
}

fn fault(scope: Scope, text: &str) -> (String, Span) {
    let error = compile(scope, text, 1).map(|found| found.sql).unwrap_err();
    (error.message, error.span)
}

#[test]
fn addresses_networks_and_text_alone_are_told_apart() {
    let found = of(FLOW, " 10.0.0.5 ");
    assert_eq!((found.sql.as_str(), found.params), ("((src_ip = $3 OR dst_ip = $3))", vec!["10.0.0.5".into()]));
    // The lake has the canonical text.
    assert_eq!(of(FLOW, "2001:DB8:0:0::1").params, vec![Param::from("2001:db8::1")]);
    assert_eq!(of(DNS, "10.0.0.0/8").sql, "((in_cidr(client_ip, '10.0.0.0/8') OR in_cidr(server_ip, '10.0.0.0/8')))");
    assert!(of(FLOW, "443").sql.contains("src_port = $4 OR dst_port = $4"));
    assert!(of(DNS, "Evil.Example").sql.contains("strpos(lower(qname), $3) > 0"));
    assert_eq!(of(DNS, "Evil.Example").params, vec![Param::from("evil.example")]);
    // Quoted: text, whatever it looks like.
    assert!(of(FLOW, "\"10.0.0.5\"").sql.contains("strpos(lower(src_ip), $3) > 0"));
    assert_eq!(of(FLOW, "").sql, "true");
}

#[test]
fn comparisons_are_those_of_the_field() {
    let sql = |scope, text| of(scope, text).literal();
    assert_eq!(sql(FLOW, "src_ip == 10.0.0.5"), "src_ip = '10.0.0.5'");
    assert_eq!(sql(FLOW, "src_ip != 10.0.0.0/8"), "((in_cidr(src_ip, '10.0.0.0/8')) IS NOT TRUE)");
    assert_eq!(
        sql(FLOW, "dst_port in (80, 443, 8000..8999)"),
        "(dst_port = 80 OR dst_port = 443 OR (dst_port >= 8000 AND dst_port <= 8999))"
    );
    assert_eq!(sql(FLOW, "proto == tcp and src_bytes > 10M"), "(proto = 6 AND src_bytes > 10000000)");
    assert_eq!(sql(FLOW, "proto = TCP src_bytes >= dst_bytes"), "(proto = 6 AND src_bytes >= dst_bytes)");
    assert_eq!(sql(FLOW, "dst_bytes exists"), "dst_bytes IS NOT NULL");
    assert_eq!(
        sql(FLOW, "src_internal == true or not service exists"),
        "(src_internal = true OR (((service IS NOT NULL AND service <> '')) IS NOT TRUE))"
    );
    assert_eq!(
        sql(DNS, "qname == *.Evil_1.example and rcode != NXDOMAIN"),
        "(lower(qname) LIKE '%.evil\\_1.example' AND ((rcode = 3) IS NOT TRUE))"
    );
    assert_eq!(sql(DNS, "rcode == none && qtype in (AAAA, 16)"), "(rcode IS NULL AND (qtype = 28 OR qtype = 16))");
    assert_eq!(sql(DNS, r#"qname ~ "^[a-f0-9]{16,}\.""#), r"regexp_like(qname, '(?i)^[a-f0-9]{16,}\.')");
    assert_eq!(
        sql(PROXY, "agent !~ '^Mozilla' status in 400..599"),
        "(((regexp_like(user_agent, '^Mozilla')) IS NOT TRUE) AND ((status >= 400 AND status <= 599)))"
    );
    assert_eq!(
        sql(PROXY, "time >= \"2016-07-08 10:15\" and time < 2016-07-08T12:30+02:00"),
        "(first_seen >= TIMESTAMP '2016-07-08T10:15:00.000000Z' AND first_seen < TIMESTAMP '2016-07-08T10:30:00.000000Z')"
    );
    assert_eq!(sql(FLOW, "DPORT == 22"), "dst_port = 22");
    assert_eq!(sql(FLOW, r#"service == "it's""#), "service = 'it''s'");
}

#[test]
fn or_binds_less_than_and_and_not_binds_most() {
    let sql = |text| of(FLOW, text).literal();
    assert_eq!(
        sql("dst_port == 1 or dst_port == 2 and dst_port == 3"),
        "(dst_port = 1 OR (dst_port = 2 AND dst_port = 3))"
    );
    assert_eq!(sql("not dst_port == 1 and dst_port == 2"), "(((dst_port = 1) IS NOT TRUE) AND dst_port = 2)");
    assert_eq!(sql("!(dst_port == 1 || dst_port == 2)"), "(((dst_port = 1 OR dst_port = 2)) IS NOT TRUE)");
}

#[test]
fn faults_name_their_place() {
    for (scope, text, start, end, says) in [
        (FLOW, "scr_ip == 1.2.3.4", 0, 6, "did you mean src_ip?"),
        (FLOW, "src_ip == 1.2.3", 10, 15, "takes an address"),
        (FLOW, "src_ip == 10.0.0.0/33", 10, 21, "is no network"),
        (FLOW, "src_ip > 10.0.0.1", 0, 6, "has no order"),
        (FLOW, "dst_port == ", 12, 12, "a value is missing"),
        (FLOW, "(dst_port == 1", 0, 1, "not closed"),
        (FLOW, "dst_port == 1)", 13, 14, "was not opened"),
        (FLOW, "dst_port in (1, 2", 12, 13, "list that is not closed"),
        (FLOW, "dst_port in 5..", 12, 15, "two ends"),
        (FLOW, "dst_port ~ 4.*", 0, 8, "is no text"),
        (FLOW, "proto == tpc", 9, 12, "such as icmp"),
        (FLOW, "service == \"abc", 11, 15, "not closed"),
        (FLOW, "service == \"\\u{110000}\"", 12, 22, "is no character"),
        (DNS, "qname ~ \"(a\"", 8, 12, "unclosed group"),
        (DNS, "qname ~ \"\\w{500}{500}\"", 8, 22, "too big"),
        (DNS, "src_ip == 1.2.3.4", 0, 6, "dns records have no field"),
        (FLOW, "and", 0, 3, "is missing"),
        (FLOW, "time > noon", 7, 11, "takes a time"),
        (FLOW, "src_bytes > 99999999999999999999", 12, 32, "whole number"),
    ] {
        let (message, span) = fault(scope, text);
        assert_eq!(span, Span::new(start, end), "{text}: {message}");
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    assert!(fault(FLOW, &"a".repeat(MAX_LENGTH + 1)).0.contains("4096"));
    assert!(fault(FLOW, &"é".repeat(MAX_LENGTH)).0.contains("4096"));
    let deep = |levels: usize| format!("{}dst_port == 1{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(of(FLOW, &deep(MAX_DEPTH)).literal(), "dst_port = 1");
    assert!(fault(FLOW, &deep(MAX_DEPTH + 1)).0.contains("levels"));
    assert!(fault(FLOW, &"not ".repeat(MAX_DEPTH + 1)).0.contains("levels"));
    assert!(fault(FLOW, &"(".repeat(MAX_LENGTH)).0.contains("levels"));
}

#[test]
fn text_from_outside_never_becomes_sql() {
    for text in ["' OR 1=1 --", "x'); DROP TABLE flow; --", "$1", "%_", "\u{202e}'\"", "*'*"] {
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        for (scope, field) in [(FLOW, "service"), (DNS, "qname"), (PROXY, "uri")] {
            for query in [quoted.clone(), format!("{field} == {quoted}"), format!("{field} in ({quoted}, a)")] {
                let found = of(scope, &query);
                assert!(
                    !found.sql.contains("DROP") && !found.sql.contains("1=1") && !found.sql.contains('\''),
                    "{}",
                    found.sql
                );
                let texts: Vec<&Param> = found.params.iter().filter(|param| matches!(param, Param::Text(_))).collect();
                let folded = Param::from(text.to_lowercase());
                assert!(
                    texts.iter().any(|param| **param == folded || **param == Param::from(text)),
                    "{:?}",
                    found.params
                );
            }
        }
    }
}

#[test]
fn offsets_are_the_browser_s() {
    let text = "é𝄞 == x";
    assert_eq!((utf16(text, 0), utf16(text, 2), utf16(text, 6), utf16(text, text.len())), (0, 1, 3, 8));
    for at in 0..=8 {
        let byte = bytes(text, at);
        assert!(text.is_char_boundary(byte));
        assert!(utf16(text, byte) >= at.min(8));
    }
    assert_eq!(bytes(text, 99), text.len());
}

#[test]
fn what_may_come_next_is_known() {
    let at = |text: &str| {
        let cursor = text.find('|').unwrap();
        let whole = text.replacen('|', "", 1);
        let (context, span, prefix) = context(FLOW, &whole, cursor);
        let kind = match context {
            Context::Field => "field".to_owned(),
            Context::Operator(field) => format!("operator {}", field.name),
            Context::Value(field) => format!("value {}", field.name),
            Context::Joint => "joint".to_owned(),
        };
        (kind, whole[span.start..span.end].to_owned(), prefix)
    };
    let is = |kind: &str, part: &str, prefix: &str| (kind.to_owned(), part.to_owned(), prefix.to_owned());
    assert_eq!(at("|"), is("field", "", ""));
    assert_eq!(at("sr|"), is("field", "sr", "sr"));
    assert_eq!(at("sr|c_ip == 1"), is("field", "src_ip", "sr"));
    assert_eq!(at("src_ip |"), is("operator src_ip", "", ""));
    assert_eq!(at("src_ip == |"), is("value src_ip", "", ""));
    assert_eq!(at("src_ip == 10.|"), is("value src_ip", "10.", "10."));
    assert_eq!(at("src_ip == 10.0.0.1 |"), is("joint", "", ""));
    assert_eq!(at("src_ip == 10.0.0.1 and d|"), is("field", "d", "d"));
    assert_eq!(at("proto == tcp and dst_port in (80, 4|"), is("value dst_port", "4", "4"));
    assert_eq!(at("service == \"ht|"), is("value service", "\"ht", "ht"));
    assert_eq!(at("(not |"), is("field", "", ""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is typed gives a condition or a fault that lies within the text; and completion has an answer.
    #[test]
    fn any_text_is_answered(text in any_query()) {
        for scope in [FLOW, DNS, PROXY, Scope { scores: false, ..FLOW }] {
            match compile(scope, &text, 1) {
                Ok(found) => {
                    let count = found.params.len();
                    let beyond = format!("${}", count + 1);
                    prop_assert!(!found.sql.contains(&beyond), "{}: {}", beyond, found.sql);
                    for number in 1..=count {
                        let placeholder = format!("${number}");
                        prop_assert!(found.sql.contains(&placeholder), "{}: {}", placeholder, found.sql);
                    }
                }
                Err(error) => {
                    prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{:?} of {}", error.span, text.len());
                    prop_assert!(text.is_char_boundary(error.span.start) && text.is_char_boundary(error.span.end), "{:?}", error);
                }
            }
            for at in 0..=text.len().min(40) {
                let (_, span, _) = context(scope, &text, at);
                prop_assert!(text.get(span.start..span.end).is_some(), "{:?}", span);
            }
        }
    }

    /// A value in quotes says itself, and nothing after it is taken for part of it.
    #[test]
    fn quoted_values_are_values(value in "\\PC{0,40}|[\u{0}-\u{1f}'\"\\\\]{0,20}") {
        let quoted: String = value.chars().flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c => vec![c],
        }).collect();
        for written in [format!("\"{quoted}\""), literal(&value)] {
            let found = compile(PROXY, &format!("uri == {written} and status == 200"), 1);
            let found = found.map_err(|error| TestCaseError::fail(format!("{written}: {error} at {:?}", error.span)))?;
            prop_assert_eq!(found.params, vec![Param::from(value.as_str()), Param::from(200_u64)]);
        }
    }

    /// Parsing does not depend on the space between tokens.
    #[test]
    fn space_says_nothing(port in 0_u16.., space in "[ \t\n\r]{1,5}") {
        let tight = parse(&format!("(dst_port=={port})or(src_ip==10.0.0.0/8)")).unwrap();
        let wide = parse(&["(", "dst_port", "==", &port.to_string(), ")", "or", "(", "src_ip", "==", "10.0.0.0/8", ")"].join(&space)).unwrap();
        prop_assert_eq!(without_places(tight), without_places(wide));
    }
}

/// Text of anything, and text of the language's own pieces in any order.
fn any_query() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("src_ip"),
        Just("qname"),
        Just("dst_port"),
        Just("time"),
        Just("=="),
        Just("!="),
        Just("<"),
        Just(">="),
        Just("~"),
        Just("!~"),
        Just("in"),
        Just("exists"),
        Just("and"),
        Just("or"),
        Just("not"),
        Just("!"),
        Just("("),
        Just(")"),
        Just(","),
        Just("10.0.0.0/8"),
        Just("443"),
        Just("1..9"),
        Just("*.a"),
        Just("\"q\\"),
        Just("'"),
        Just("é"),
        Just("\u{0}"),
        Just("\\u{"),
    ];
    prop_oneof![
        ".{0,120}",
        proptest::collection::vec((piece, prop_oneof![Just(""), Just(" ")]), 0..24)
            .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, space)| [piece, space]).collect::<String>()),
    ]
}

fn without_places<T: std::fmt::Debug>(tree: T) -> String {
    let text = format!("{tree:?}");
    regex::Regex::new(r"Span \{[^}]*\}").unwrap().replace_all(&text, "").into_owned()
}
