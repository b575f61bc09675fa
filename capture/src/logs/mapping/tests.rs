use super::*;
use crate::logs::{Entry, LogReader};

fn mapping(text: &str) -> Mapping {
    Mapping::parse(text).unwrap()
}

fn wrong(text: &str) -> String {
    Mapping::parse(text).unwrap_err().to_string()
}

fn entries(mapping_text: &str, log: &'static str) -> Vec<Entry> {
    let mut reader = LogReader::from_mapped_reader(Box::new(log.as_bytes()), &mapping(mapping_text)).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        all.push(entry);
    }
    let c = reader.counters();
    assert_eq!(c.lines, c.rows + c.refused + c.other_lines);
    all
}

fn does_not_fit(mapping_text: &str, log: &'static str) -> String {
    match LogReader::from_mapped_reader(Box::new(log.as_bytes()), &mapping(mapping_text)) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it fits"),
    }
}

const FLOWS: &str = "table = \"flow\"\nformat = \"csv\"\ntime = \"epoch_ms\"\n[columns]\nfirst_seen = \"start\"\nduration_ms = \"took\"\n\
    src_ip = \"src\"\ndst_ip = \"dst\"\nsrc_port = \"sp\"\ndst_port = \"dp\"\nproto = \"proto\"\nsrc_packets = \"packets\"\nsrc_bytes = \"bytes\"\n\
    src_tcp_flags = \"flags\"\n";

#[test]
fn flows_of_csv() {
    let rows = entries(
        FLOWS,
        "start,took,src,dst,sp,dp,proto,packets,bytes,flags,note\n\
         1700000000123,1500.5,10.0.0.1,192.0.2.9,50000,443,TCP,7,900,.AP.SF,\"a, \"\"b\"\"\"\n\
         1700000000123,0,2001:db8::1,2001:db8::2,0,32768,58,1,64,,\n\
         1700000000123,0,10.0.0.1,2001:db8::2,1,2,UDP,1,64,,\n\
         yesterday,0,10.0.0.1,10.0.0.2,1,2,UDP,1,64,,\n\
         1700000000123,0,10.0.0.1,10.0.0.2,1,70000,UDP,1,64,,\n\
         1700000000123,0,10.0.0.1\n",
    );
    let Entry::Row(LogRow::Connection(tcp)) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!((tcp.first.0, tcp.last.0), (1_700_000_000_123_000_000, 1_700_000_001_623_500_000));
    assert_eq!((tcp.pair.src_port, tcp.pair.dst_port, tcp.pair.proto), (50_000, 443, 6));
    assert_eq!((tcp.src_packets, tcp.src_bytes, tcp.tcp_flags), (7, 900, Some(0x1b)));
    let Entry::Row(LogRow::Connection(icmp)) = &rows[1] else { panic!("{rows:?}") };
    assert_eq!((icmp.pair.src_port, icmp.pair.dst_port, icmp.kind), (128, 0, LogKind::Csv));
    let reasons: Vec<_> = rows[2..]
        .iter()
        .map(|entry| match entry {
            Entry::Refused(refused) => (refused.line, refused.reason),
            Entry::Row(row) => panic!("{row:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [
            (4, "addresses of two versions"),
            (5, "a time that is not written as the mapping says"),
            (6, "a number that is none, or too large"),
            (7, "too few columns"),
        ]
    );
}

#[test]
fn dns_of_json_lines() {
    let text = "table = \"dns\"\nformat = \"json\"\ntime = \"iso\"\n[columns]\nfirst_seen = \"@timestamp\"\nclient_ip = \"client.ip\"\n\
        server_ip = \"server.ip\"\nqname = \"dns.question.name\"\nqtype = \"dns.question.type\"\nrcode = \"dns.response_code\"\nanswers = \"dns.answers\"\n\
        rtt_ms = \"took\"\n";
    let rows = entries(
        text,
        r#"{"@timestamp":"2023-11-14T22:13:20.5Z","client":{"ip":"10.0.0.1"},"server":{"ip":"10.0.0.2"},"dns":{"question":{"name":"Example.COM","type":"HTTPS"},"response_code":"NXDOMAIN","answers":["a.example","b.example"]},"took":2.5}
[1]
{"@timestamp":"2023-11-14T22:13:20.5Z","client":{"ip":"10.0.0.1"},"server":{"ip":"10.0.0.2"},"dns":{"question":{"name":"x","type":"NEVER"}}}
{"@timestamp":"2023-11-14T22:13:20.5Z","client":{"ip":"10.0.0.1"},"dns":{"question":{"name":"x"}}}
"#,
    );
    let Entry::Row(LogRow::Dns(row)) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!((row.first.0, row.rtt), (1_700_000_000_500_000_000, Some(crate::Nanos(2_500_000))));
    assert_eq!((row.query.as_str(), row.qtype, row.rcode, row.answers.len()), ("Example.COM", 65, Some(3), 2));
    assert_eq!((row.pair.dst_port, row.kind), (53, LogKind::Json));
    assert!(rows[1..].iter().all(|entry| matches!(entry, Entry::Refused(_))));
}

#[test]
fn a_custom_logformat_of_squid() {
    let text = r#"format = "squid"
logformat = '%tl %6tr %>a:%>p %Ss/%03>Hs %<st %rm %ru "%{Referer}>h" "%{User-Agent}>h" %[un %Sh/%<a %mt %ssl::>sni'"#;
    let rows = entries(
        text,
        "14/Nov/2023:22:13:20 +0000    250 10.0.0.1:51000 TCP_MISS/200 1234 GET http://example.com:8080/a/b.html?q=1 \"-\" \"Agent \\\"x\\\" 1.0 (y; z)\" joe HIER_DIRECT/192.0.2.1 text/html -\n\
         14/Nov/2023:22:13:20 +0000   1250 10.0.0.1:51000 TCP_TUNNEL/200 99 CONNECT example.com:443 \"-\" \"-\" - HIER_DIRECT/192.0.2.1 - example.com\n\
         not one of them\n",
    );
    let Entry::Row(LogRow::Request(row)) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!((row.first.0, row.duration_us), (1_699_999_999_750_000_000, Some(250_000)));
    assert_eq!((row.client_port, row.status, row.response_bytes), (Some(51_000), Some(200), Some(1_234)));
    assert_eq!((row.host.as_str(), row.server_port, row.uri_path.as_str()), ("example.com", Some(8_080), "/a/b.html"));
    assert_eq!(row.user_agent.as_deref(), Some("Agent \\\"x\\\" 1.0 (y; z)"));
    assert_eq!((row.username.as_deref(), row.server_ip), (Some("joe"), "192.0.2.1".parse().ok()));
    assert_eq!((row.referer.as_deref(), row.content_type.as_deref()), (None, Some("text/html")));
    let Entry::Row(LogRow::Request(tunnel)) = &rows[1] else { panic!("{rows:?}") };
    assert_eq!(
        (tunnel.scheme.as_str(), tunnel.host.as_str(), tunnel.server_port),
        ("connect", "example.com", Some(443))
    );
    assert_eq!(tunnel.tls_sni.as_deref(), Some("example.com"));
    assert!(matches!(&rows[2], Entry::Refused(refused) if refused.reason == "not written as the logformat says"));
}

#[test]
fn squid_s_own_formats_by_name() {
    let native = "1461576382.642    161 127.0.0.1 TCP_MISS/200 1 GET http://a/ - HIER_DIRECT/1.1.1.1 text/html\n";
    let mapped = entries("format = \"squid\"\nlogformat = \"squid\"\n", native);
    let mut reader = LogReader::from_reader(Box::new(native.as_bytes())).unwrap().unwrap();
    let told = reader.next_entry().unwrap().unwrap();
    assert_eq!(mapped, [told]);
    let rows = entries(
        "format = \"squid\"\nlogformat = \"combined\"\n",
        "10.0.0.1 - joe [14/Nov/2023:22:13:20 +0100] \"GET http://a/x HTTP/1.1\" 404 10 \"http://r/\" \"Agent/1 (b)\" TCP_MISS:HIER_DIRECT\n",
    );
    let Entry::Row(LogRow::Request(row)) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!((row.first.0, row.username.as_deref()), (1_699_996_400_000_000_000, Some("joe")));
    assert_eq!((row.user_agent.as_deref(), row.action.as_deref()), (Some("Agent/1 (b)"), Some("TCP_MISS")));
}

#[test]
fn columns_by_number_and_other_delimiters() {
    let text = "table = \"proxy\"\nformat = \"csv\"\ndelimiter = \"\\t\"\nheader = false\n[columns]\nfirst_seen = 1\nclient_ip = 2\nmethod = 3\nfull_uri = \"4\"\n";
    let rows = entries(text, "1700000000.25\t10.0.0.1\tGET\thttps://example.com/a?b\n");
    let Entry::Row(LogRow::Request(row)) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!((row.first.0, row.server_port), (1_700_000_000_250_000_000, Some(443)));
    assert_eq!((row.scheme.as_str(), row.uri_query.as_deref()), ("https", Some("b")));
}

#[test]
fn mappings_that_are_none_say_what_was_expected() {
    for (text, says) in [
        ("format = ", "TOML parse error"),
        ("table = \"flow\"", "`format` is missing"),
        ("format = \"xml\"", "expected csv, json or squid"),
        ("format = \"csv\"\ntable = \"flows\"", "expected flow, dns or proxy"),
        ("format = \"csv\"\ntable = \"flow\"", "`[columns]` is missing"),
        ("format = \"csv\"\ntable = \"flow\"\ncolumn = 1", "`column` is no key of a mapping of csv"),
        (
            "format = \"csv\"\ntable = \"flow\"\n[columns]\nsource = \"x\"",
            "`source` is no column of flow: expected first_seen",
        ),
        ("format = \"csv\"\ntable = \"flow\"\n[columns]\nsrc_ip = \"x\"", "lacks first_seen, dst_ip, which flow needs"),
        ("format = \"csv\"\ntable = \"flow\"\ntime = \"unix\"\n[columns]\n", "expected epoch, epoch_ms"),
        ("format = \"csv\"\ntable = \"flow\"\ndelimiter = \";;\"\n[columns]\n", "expected one ASCII character"),
        (
            "format = \"csv\"\ntable = \"proxy\"\nheader = false\n[columns]\nfirst_seen = \"a\"\nclient_ip = \"b\"",
            "numbers from 1",
        ),
        ("format = \"squid\"", "`logformat` is missing"),
        ("format = \"squid\"\nlogformat = \"%ts%>a\"", "without text between them"),
        ("format = \"squid\"\nlogformat = \"%>a %rm\"", "no time in it"),
        ("format = \"squid\"\nlogformat = \"%ts %rm\"", "no client in it"),
        ("format = \"squid\"\nlogformat = \"%ts %{x>h\"", "a brace is not closed"),
        ("format = \"squid\"\nlogformat = \"%ts %>a %\"", "no code behind"),
    ] {
        assert!(wrong(text).contains(says), "{text}: {}", wrong(text));
    }
}

#[test]
fn a_mapping_that_does_not_fit_the_log_says_so() {
    let says = does_not_fit(FLOWS, "a,b,c\n1,2,3\n");
    assert!(
        says.contains("`first_seen = \"start\"`: no such column in the header: a, b, c")
            || says.contains("no such column"),
        "{says}"
    );
    let says = does_not_fit("format = \"squid\"\nlogformat = \"squid\"\n", "a,b,c\n1,2,3\n");
    assert!(says.contains("reads none of its first rows"), "{says}");
}
