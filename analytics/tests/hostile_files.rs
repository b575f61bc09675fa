//! Files that people give: rules, verdicts, context. Whatever is in them, reading ends in what was taken and what was not,
//! and never in a panic; no rejection is silent.
#![allow(clippy::unwrap_used, reason = "tests")]

use aggregator::lake::Lake;
use aggregator::record::Micros;
use analytics::context::{Kind, check};
use analytics::feedback::{Matcher, Reach, exchange};
use analytics::rules::RuleFile;
use proptest::prelude::*;

const SIGMA: &str = "title: Long TXT questions\nid: 1\nlevel: high\nlogsource:\n  product: zeek\n  service: dns\ndetection:\n  selection:\n    \
    qtype_name: TXT\n    query|endswith:\n      - '.evil_1.example'\n      - '*x?'\n  again:\n    id.orig_h|cidr: 10.9.0.0/16\n    query|re: '^a+$'\n  \
    condition: selection and not (1 of ag* or all of them)\n";
const SQL: &str = "-- title: Many bytes\n-- level: low\n-- table: flow\nSELECT record_id, 'x' AS evidence FROM flow WHERE date = $1 AND src_bytes > 5\n";
const VERDICTS: &str = r#"[{"source":"flow","severity":3,"scope":"host","record_id":"00112233445566778899aabbccddeeff","date":"2026-03-11",
    "matcher":{"client":"10.0.0.1"},"author":"a","time":"2026-03-11T00:00:00Z","note":"n","expires":"2026-04-11T00:00:00Z"},{"source":"dns"}]"#;
const VERDICTS_CSV: &str = "id,source,severity,scope,record_id,date,matcher,reach,author,time,note,expires,state\n\
    1,proxy,1,record,00112233445566778899aabbccddeeff,2026-03-11,\"{\"\"host\"\":\"\"a\"\"}\",,a,2026-03-11T00:00:00Z,\"a \"\"note\"\"\",,in_force\n";
const SPOT: &str =
    "sev\ttstart\tsip\tdip\tsport\tdport\tipkt\tibyt\n1\t2016-07-08 00:00:08\t10.0.0.1\t10.0.0.2\t1\t2\t3\t4\n";
const CONTEXT: [(Kind, &str, &str); 6] = [
    (Kind::Internal, "ipranges.csv", "10.0.0.1,10.255.255.255,office\nfd00::/8,,labs\n192.168.0.0/16,home\n"),
    (Kind::Geo, "iploc.csv", "16777216,16777471,AU,Australia,Queensland,Brisbane,-27.46,153.02,APNIC,net.example\n"),
    (Kind::Network, "networkcontext_1.csv", "10.0.0.1,server\n10.1.0.0/16,guests\n"),
    (
        Kind::Reputation,
        "stix.json",
        r#"{"type":"bundle","objects":[{"type":"indicator","pattern_type":"stix","confidence":40,
        "pattern":"[ipv4-addr:value = '192.0.2.1' OR domain-name:value = 'a.example']","valid_until":"2031-01-01T00:00:00Z"}],
        "Event":{"info":"x","Attribute":[{"type":"ip-dst|port","value":"192.0.2.1|80","to_ids":true}]}}"#,
    ),
    (Kind::Domains, "tranco.csv", "1,example.org\n2,xn--e1afmkfd.example\n3,\"q\"\"uoted\"\n"),
    (Kind::Services, "service-names.csv", "http,80,tcp,World Wide Web\nx,6000-6063,udp,\n"),
];

/// What stands in such files and what nobody expects there.
const PIECES: [&str; 26] = [
    "\0",
    "\u{feff}",
    "\r\n",
    "\n\n",
    ",",
    "\"",
    "\t",
    "'",
    "{",
    "[[[[[[[[[[[[[[[[",
    "}",
    "&a [*a, *a]",
    "<<: *b",
    "|re: '(((((((((((((a+)+)+)+)+)'",
    "99999999999999999999",
    "-1",
    "1e999",
    "NaN",
    "::ffff:10.0.0.1",
    "10.0.0.0/33",
    "255.255.255.255",
    "\u{202e}",
    "%s%n",
    "$2",
    "null",
    "é\u{1f600}",
];

/// A change of a text: where, how much of it goes, what comes.
type Change = (prop::sample::Index, usize, usize, bool);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, 0..PIECES.len(), any::<bool>()), 0..6)
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, gone, piece, twice) in changes {
        let at = at.index(chars.len() + 1);
        let end = (at + gone).min(chars.len());
        let old: Vec<char> = chars.splice(at..end, PIECES[*piece].chars()).collect();
        if *twice {
            chars.extend(old);
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn no_rule_file_breaks_its_reader(changes in changes()) {
        for (name, text) in [("rule.yml", SIGMA), ("rule.sql", SQL)] {
            match RuleFile::read(name, &changed(text, &changes)) {
                Ok(rule) => prop_assert!(!rule.sql.is_empty()),
                Err(error) => prop_assert!(error.line >= 1 && !error.what.is_empty(), "{error:?}"),
            }
        }
    }

    #[test]
    fn no_verdict_breaks_its_reader(changes in changes(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path()).unwrap();
        for text in [VERDICTS, VERDICTS_CSV, SPOT] {
            if let Ok(imported) = exchange::import(&lake, changed(text, &changes).as_bytes(), "tester", Micros(1_772_618_400_000_000)) {
                prop_assert_eq!(imported.rejections as usize, imported.rejected.len(), "one by one, so few");
            }
        }
        drop(exchange::import(&lake, &bytes, "tester", Micros(0)));
        let json = changed(r#"{"of":{"client":"10.0.0.1"},"first_seen":1}"#, &changes);
        drop((Reach::read(&json), serde_json::from_str::<Matcher>(&json)));
    }

    #[test]
    fn no_context_file_breaks_its_reader(changes in changes(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        for (kind, name, text) in CONTEXT {
            match check(kind, &file(name, changed(text, &changes).as_bytes())) {
                Ok(report) => prop_assert!(report.entries > 0, "{:?}", report),
                Err(error) => prop_assert!(!changes.is_empty() && !error.to_string().is_empty(), "{}", error),
            }
        }
        for kind in Kind::ALL {
            drop(check(kind, &file("any", &bytes)));
        }
        // An MMDB ends in its description, behind this mark.
        let marked = [&bytes[..bytes.len() / 2], b"\xab\xcd\xefMaxMind.com", &bytes[bytes.len() / 2..]].concat();
        drop(check(Kind::Mmdb, &file("geo.mmdb", &marked)));
    }
}
