//! DNS words, names and validity against Apache Spot's published behaviour.
#![allow(clippy::unwrap_used, reason = "tests")]

use analytics::words::dns::{DnsInput, DnsScheme, DnsWord, hour_of_frame_time};
use analytics::words::domain::{DomainClass, DomainLists, NameParts, TopDomains, TopDomainsError};
use analytics::words::maths::{entropy, utf16_len};
use analytics::words::{Invalid, Scheme};
use proptest::prelude::*;

fn lists(top: &[&str], user: &str) -> DomainLists {
    DomainLists { top: TopDomains::from_domains(top.iter().copied()), user_domain: user.into() }
}

fn good() -> DnsInput<'static> {
    DnsInput {
        hour: hour_of_frame_time(Some("May  12 2015 11:09:08.123456000 PDT")),
        unix_time: Some(1_431_400_000),
        frame_len: Some(213),
        client_ip: Some("10.0.0.1"),
        qname: Some("abcdefg.apache.com"),
        qclass: Some("0x00000001"),
        qtype: Some(1),
        rcode: Some(0),
    }
}

#[test]
fn spots_word() {
    let word = DnsWord::of(&good(), &lists(&["google", "youtube"], "apache")).unwrap();
    assert_eq!(word.to_string(), "2_7_11_2_10_1_1_0");
    assert_eq!(entropy("abcdefg"), 2.807354922057604);
}

#[test]
fn missing_type_and_rcode_are_minus_one() {
    let input = DnsInput { qtype: None, rcode: None, ..good() };
    assert_eq!(DnsWord::of(&input, &lists(&[], "")).unwrap().to_string(), "0_7_11_2_10_1_-1_-1");
}

#[test]
fn spots_names() {
    // domain, subdomain, parts
    let rows: [(&str, Option<&str>, Option<&str>, usize); 15] = [
        ("fatosdesconhecidos.com.br", Some("fatosdesconhecidos"), None, 3),
        ("panasonic.jp", Some("panasonic"), None, 2),
        ("get.your.best.electronic.at.panasonic.jp", Some("panasonic"), Some("get.your.best.electronic.at"), 7),
        ("forrealz.net", Some("forrealz"), None, 2),
        ("123.103.104.10.in-addr.arpa", None, None, 6),
        ("panasonic.c", None, None, 2),
        ("services.amazon.com.mx", Some("amazon"), Some("services"), 4),
        ("amazon.com.mx", Some("amazon"), None, 3),
        ("services.amazon.com", Some("amazon"), Some("services"), 3),
        ("amazon.com", Some("amazon"), None, 2),
        ("ab..com", Some(""), Some("ab"), 3),
        ("iot.intel.com.mx", Some("intel"), Some("iot"), 4),
        ("maps.company.com", Some("company"), Some("maps"), 3),
        // Its known weaknesses, kept under `spot`.
        ("bbc.co.uk", Some("co"), Some("bbc"), 3),
        ("tunnel.example.info", None, None, 3),
    ];
    for (name, domain, subdomain, parts) in rows {
        assert_eq!(NameParts::of(name), NameParts { domain, subdomain, parts }, "{name}");
    }
    for (name, parts) in [("", 1), (".", 0), ("...", 0), ("com", 1), ("com.br", 2), ("<Root>", 1), ("a.com.", 2)] {
        assert_eq!(NameParts::of(name).parts, parts, "{name:?}");
    }
    assert_eq!(NameParts::of("com.br").domain, None);
    assert_eq!(NameParts::of(".com").domain, Some(""));
}

#[test]
fn spots_subdomain_figures() {
    let lists = lists(&["amazon.com", "intel.com", "company.com"], "");
    let rows = [
        ("services.amazon.com.mx", DomainClass::Top, 8, 2.5),
        ("amazon.com.mx", DomainClass::Top, 0, 0.0),
        ("services.amazon.com", DomainClass::Top, 8, 2.5),
        ("amazon.com", DomainClass::Top, 0, 0.0),
        ("ab..com", DomainClass::Other, 2, 1.0),
        ("iot.intel.com.mx", DomainClass::Top, 3, 1.584962500721156),
        ("maps.company.com", DomainClass::Top, 4, 2.0),
    ];
    for (name, class, length, bits) in rows {
        let parts = NameParts::of(name);
        let subdomain = parts.subdomain.unwrap_or("");
        assert_eq!((parts.class(&lists), utf16_len(subdomain)), (class, length), "{name}");
        assert!((entropy(subdomain) - bits).abs() < 1e-12, "{name}: {}", entropy(subdomain));
    }
}

#[test]
fn spots_validity() {
    let good = good();
    let time = |text| DnsInput { hour: hour_of_frame_time(text), ..good };
    let name = |qname| DnsInput { qname, ..good };
    let client = |client_ip| DnsInput { client_ip, ..good };
    let question = |qclass, qtype, rcode| DnsInput { qclass, qtype, rcode, ..good };
    let invalid = [
        (time(None), Invalid::Time),
        (time(Some("")), Invalid::Time),
        (time(Some("-")), Invalid::Time),
        (DnsInput { unix_time: None, ..good }, Invalid::Time),
        (DnsInput { frame_len: None, ..good }, Invalid::Length),
        (name(None), Invalid::Name),
        (name(Some("")), Invalid::Name),
        (name(Some("-")), Invalid::Name),
        (name(Some("(empty)")), Invalid::Name),
        (client(None), Invalid::Address),
        (client(Some("")), Invalid::Address),
        (client(Some("-")), Invalid::Address),
        (question(None, None, None), Invalid::Question),
        (question(Some(""), None, None), Invalid::Question),
        (question(Some("-"), None, None), Invalid::Question),
    ];
    let valid = [
        question(None, Some(1), Some(0)),
        question(Some(""), Some(1), Some(0)),
        question(Some("-"), Some(1), Some(0)),
        question(Some("1"), None, Some(0)),
        question(Some("1"), Some(1), None),
        question(None, Some(1), None),
        question(None, None, Some(0)),
        question(Some("1"), None, None),
    ];
    let lists = lists(&[], "");
    for (input, cause) in invalid {
        assert_eq!(DnsWord::of(&input, &lists), Err(cause), "{input:?}");
    }
    for input in valid {
        assert!(DnsWord::of(&input, &lists).is_ok(), "{input:?}");
    }
}

#[test]
fn domain_lists_read_the_public_formats() {
    let text = "\u{feff}1,google.com\r\n2,www.example.org\n\n# comment\n\"3\",\"youtube.com\"\nplain.net\n";
    let top = TopDomains::read(text.as_bytes()).unwrap();
    assert_eq!(top.len(), 4);
    for label in ["google", "www", "youtube", "plain"] {
        assert!(top.contains(label), "{label}");
    }
    // The bare first label, as Spot has it: a top domain under any ending, and not the second label.
    assert!(!top.contains("example"));
    assert_eq!(NameParts::of("x.google.tk").class(&DomainLists { top, user_domain: String::new() }), DomainClass::Top);
    for (text, line) in [("google.com\nrank,domain", 2), ("1,2,3", 1), ("two words", 1), ("<html/>", 1)] {
        let found = TopDomains::read(text.as_bytes());
        assert!(
            matches!(&found, Err(TopDomainsError::Line { line: at, .. }) if *at == line),
            "{text:?} gave {found:?}"
        );
    }
    assert!(matches!(TopDomains::read(&b"a\n\xff\n"[..]), Err(TopDomainsError::Read { line: 2, .. })));
}

proptest! {
    #[test]
    fn no_name_panics(name in "\\PC{0,80}|[a-z.]{0,30}|([a-z]{0,5}\\.){0,6}(com|jp|uk|arpa)\\.{0,2}", len in any::<i64>(),
                      qtype in any::<Option<i64>>(), rcode in any::<Option<i64>>()) {
        let input = DnsInput { qname: Some(&name), frame_len: Some(len), qtype, rcode, ..good() };
        if let Ok(word) = DnsWord::of(&input, &lists(&["a", ""], "b")) {
            prop_assert_eq!(word.to_string().split('_').count(), 8);
            for component in 0..8 {
                prop_assert!(!DnsScheme.describe(component, word.code().get(component)).is_empty());
            }
            if qtype.is_none_or(|t| t < i64::from(u32::MAX)) && rcode.is_none_or(|r| r < i64::from(u32::MAX)) {
                prop_assert_eq!(DnsWord::from_code(word.code()), word);
            }
        }
        let parts = NameParts::of(&name);
        let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
        if let Some(domain) = parts.domain {
            prop_assert!(labels.contains(&domain));
        }
        prop_assert!(parts.subdomain.is_none_or(|s| name.starts_with(s)));
    }
}
