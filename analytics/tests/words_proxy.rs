//! Proxy words and validity against Apache Spot's published behaviour, and the arithmetic all words share.
#![allow(clippy::unwrap_used, reason = "tests")]

use analytics::words::domain::{DomainLists, TopDomains};
use analytics::words::maths::{
    bin, ceil_log2, counter_bin, entropy, floor_log, floor_log2, hour_of_clock, seconds_of_clock,
};
use analytics::words::proxy::{Lexicon, ProxyInput, ProxyScheme, ProxyWord, top_level_content_type};
use analytics::words::{Invalid, Scheme};
use proptest::prelude::*;

fn lists() -> DomainLists {
    DomainLists { top: TopDomains::from_domains(["bronto.com"]), user_domain: "intel".into() }
}

fn good() -> ProxyInput<'static> {
    ProxyInput {
        hour: Some(0),
        client_ip: Some("10.0.0.1"),
        host: Some("maw.bronto.com"),
        method: "PUT",
        full_uri: Some("ab"),
        content_type: Some("text/plain"),
        agent_count: 9,
        status: Some(202),
    }
}

#[test]
fn spots_ten_rows() {
    let abc33 = format!("{}{}{}", "a".repeat(11), "b".repeat(11), "c".repeat(11));
    // 32 different characters twice: 5 bits, 64 characters.
    let rich = "abcdefghijklmnopqrstuvwxyz012345".repeat(2);
    let rows = [
        ("2_0_PUT_4_text_0_1_202", "intel.com", 0, "PUT", "ab", "text/plain", 1, 202),
        ("1_1_PUT_6_image_3_1_202", "maw.bronto.com", 1, "PUT", "abc", "image/png", 9, 202),
        ("1_2_PUT_7_image_3_2_304", "maw.bronto.com", 2, "PUT", "abcd", "image/png", 9, 304),
        ("1_3_PUT_8_binary_3_2_304", "maw.bronto.com", 3, "PUT", "abcde", "binary/octet-stream", 9, 304),
        ("1_10_PUT_9_binary_3_2_206", "maw.bronto.com", 10, "PUT", "abcdef", "binary/octet-stream", 9, 206),
        ("1_11_GET_16_binary_3_4_206", "maw.bronto.com", 11, "GET", "abcdefghijklmnopqrstuvwxyz", "binary/", 9, 206),
        ("1_13_GET_0_text_3_1_200", "maw.bronto.com", 13, "GET", "aaa", "text/html", 9, 200),
        ("1_14_GET_4_text_3_2_200", "maw.bronto.com", 14, "GET", "aaabbb", "text/html", 9, 200),
        ("1_22_GET_6_text_3_5_302", "maw.bronto.com", 22, "GET", &abc33, "text/html", 9, 302),
        ("1_23_GET_17_text_3_6_302", "maw.bronto.com", 23, "GET", &rich, "text/html", 9, 302),
    ];
    let mut lexicon = Lexicon::default();
    for (expected, host, hour, method, uri, content, agent_count, status) in rows {
        let input = ProxyInput {
            hour: Some(hour),
            host: Some(host),
            method,
            full_uri: Some(uri),
            content_type: Some(content),
            agent_count,
            status: Some(status),
            ..good()
        };
        let word = ProxyWord::of(&input, &lists(), &mut lexicon).unwrap();
        assert_eq!(word.render(&lexicon), expected);
        assert_eq!(ProxyWord::from_code(word.code()), word);
    }
}

#[test]
fn nothing_known_is_written_as_spot_does() {
    let mut lexicon = Lexicon::default();
    let input = ProxyInput { content_type: None, status: None, ..good() };
    let word = ProxyWord::of(&input, &DomainLists::default(), &mut lexicon).unwrap();
    assert_eq!(word.render(&lexicon), "0_0_PUT_4_-_3_1_unknown_response_code");
    let types =
        [(None, "-"), (Some("/"), "unknown_content_type"), (Some(""), ""), (Some("/x"), ""), (Some("a/b/c"), "a")];
    for (text, expected) in types {
        assert_eq!(top_level_content_type(text), expected, "{text:?}");
    }
}

#[test]
fn spots_validity() {
    let rows = [
        (ProxyInput { hour: None, ..good() }, Some(Invalid::Time)),
        (ProxyInput { hour: hour_of_clock("no time"), ..good() }, Some(Invalid::Time)),
        (ProxyInput { client_ip: None, ..good() }, Some(Invalid::Address)),
        (ProxyInput { host: None, ..good() }, Some(Invalid::Host)),
        (ProxyInput { full_uri: None, ..good() }, Some(Invalid::Uri)),
        (good(), None),
    ];
    for (input, expected) in rows {
        assert_eq!(ProxyWord::of(&input, &lists(), &mut Lexicon::default()).err(), expected, "{input:?}");
    }
}

#[test]
fn crafted_methods_cannot_grow_the_lexicon() {
    let mut lexicon = Lexicon::default();
    for n in 0..Lexicon::LIMIT + 10 {
        lexicon.place(&n.to_string());
    }
    assert_eq!(lexicon.overflow(), 10);
    assert_eq!(lexicon.place(&"x".repeat(300)), Lexicon::OTHER);
    assert_eq!((lexicon.text(Lexicon::OTHER), lexicon.text(7), lexicon.overflow()), ("other", "7", 11));
}

#[test]
fn spots_utilities() {
    assert_eq!([floor_log(4.0, 2.0), floor_log(8.0, 2.0), floor_log(1.9, 2.0), floor_log(9.5, 3.0)], [2, 3, 0, 2]);
    let cuts = [0.0, 1.0, 2.0, 3.0, f64::INFINITY];
    assert_eq!([-1.0, 0.0, 1.5, 50.0].map(|v| bin(v, &cuts)), [Some(0), Some(0), Some(2), Some(4)]);
    assert_eq!(bin(4.0, &cuts[..4]), None);
    assert_eq!((seconds_of_clock("2:35:45"), hour_of_clock("2:35:45")), (Some(9345), Some(2)));
    assert_eq!(entropy(""), 0.0);
    for power in 0..62 {
        let x = 1_u64 << power;
        assert_eq!((floor_log2(x), ceil_log2(x)), (power, power));
        // Spot's formula, which the integers stand for.
        assert_eq!(((x as f64).log10() / 2_f64.log10()).trunc() as u32, power);
    }
    assert_eq!([0, 1, 2, 3, 4, 222, u64::MAX].map(counter_bin), [0, 1, 2, 2, 3, 8, 64]);
}

proptest! {
    #[test]
    fn no_record_panics(host in "\\PC{0,40}", uri in "\\PC{0,200}", method in "\\PC{0,20}", content in proptest::option::of("[a-z/]{0,12}"),
                        agents in any::<u64>(), status in proptest::option::of(0_u32..100_000)) {
        let mut scheme = ProxyScheme::default();
        let input = ProxyInput { host: Some(&host), full_uri: Some(&uri), method: &method, content_type: content.as_deref(),
            agent_count: agents, status, ..good() };
        let word = ProxyWord::of(&input, &lists(), &mut scheme.lexicon).unwrap();
        prop_assert_eq!(ProxyWord::from_code(word.code()), word);
        prop_assert!(scheme.render(word.code()).contains(&method));
        prop_assert!((entropy(&uri)).is_finite());
    }

    #[test]
    fn integer_logarithms_are_spots(x in 1_u64..(1 << 50)) {
        prop_assert_eq!(floor_log2(x), ((x as f64).log2().floor()) as u32);
        prop_assert_eq!(ceil_log2(x), ((x as f64).log2().ceil()) as u32);
    }
}
