//! Lines of every log, and lines no log should have.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::Nanos;

fn read(text: &[u8]) -> (Vec<LogRow>, Vec<Refused>, LogCounters) {
    let Some(mut reader) = LogReader::from_reader(Box::new(Cursor::new(text.to_vec()))).unwrap() else {
        return (Vec::new(), Vec::new(), LogCounters::default());
    };
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.next_entry().unwrap() {
        match entry {
            Entry::Row(row) => rows.push(row),
            Entry::Refused(line) => refused.push(line),
        }
    }
    let c = reader.counters();
    assert_eq!((c.rows, c.refused), (rows.len() as u64, refused.len() as u64));
    assert_eq!(c.lines, c.rows + c.refused + c.other_lines);
    (rows, refused, c)
}

fn request(row: &LogRow) -> &LogRequest {
    match row {
        LogRow::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

/// Squid's documentation, and what Metron makes of the same line.
#[test]
fn squid_native() {
    let line = b"1461576382.642    161 127.0.0.1 TCP_MISS/200 103701 GET http://www.cnn.com/a/b.html?x=1 - DIRECT/199.27.79.73 text/html\n";
    let (rows, ..) = read(line);
    let row = request(&rows[0]);
    assert_eq!(row.first, Nanos(1_461_576_382_481_000_000), "the log has the time of the end");
    assert_eq!((row.duration_us, row.status, row.response_bytes), (Some(161_000), Some(200), Some(103_701)));
    assert_eq!((row.host.as_str(), row.uri_path.as_str(), row.server_port), ("www.cnn.com", "/a/b.html", Some(80)));
    assert_eq!((row.uri_query.as_deref(), row.uri_extension.as_deref()), (Some("x=1"), Some("html")));
    assert_eq!((row.action.as_deref(), row.username.as_deref()), (Some("TCP_MISS"), None));
    assert_eq!(row.server_ip.map(|ip| ip.to_string()).as_deref(), Some("199.27.79.73"));
}

/// Squid's `logformat combined`, without a mapping that says so.
#[test]
fn squid_combined_is_told_by_its_content() {
    let log = b"10.0.0.7 - bob [14/Nov/2023:22:13:21 +0000] \"GET http://www.example.org/x HTTP/1.1\" 200 1234 \"http://ref.example/\" \"Mozilla/5.0 (X11)\" TCP_MISS:HIER_DIRECT\n\
        10.0.0.8 - - [14/Nov/2023:22:13:22 +0000] \"CONNECT mail.example:443 HTTP/1.1\" 200 39 \"-\" \"curl/8\" TCP_TUNNEL:HIER_DIRECT\n";
    let (rows, refused, _) = read(log);
    assert_eq!((rows.len(), refused.len()), (2, 0));
    let (get, connect) = (request(&rows[0]), request(&rows[1]));
    assert_eq!(get.first, Nanos(1_700_000_001_000_000_000));
    assert_eq!((get.full_uri.as_str(), get.username.as_deref()), ("http://www.example.org/x", Some("bob")));
    assert_eq!((get.user_agent.as_deref(), get.action.as_deref()), (Some("Mozilla/5.0 (X11)"), Some("TCP_MISS")));
    assert_eq!(
        (connect.method.as_str(), connect.host.as_str(), connect.server_port),
        ("CONNECT", "mail.example", Some(443))
    );
    let common = b"10.0.0.7 - bob [14/Nov/2023:22:13:21 +0000] \"GET http://www.example.org/x HTTP/1.1\" 200 1234 TCP_MISS:HIER_DIRECT\n";
    assert_eq!(request(&read(common).0[0]).host, "www.example.org");
}

#[test]
fn rows_in_syslog_of_any_kind_are_read() {
    let haproxy = "10.0.0.7:33317 [14/Nov/2023:22:13:20.100] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {www.example.org} {} \"GET /index.html HTTP/1.1\"";
    let squid =
        "1461576382.642 161 127.0.0.1 TCP_MISS/200 103 GET http://www.example.org/a - DIRECT/199.27.79.73 text/html";
    for (row, tag) in [(haproxy, "haproxy"), (squid, "(squid-1)")] {
        for header in [
            format!("<134>1 2023-11-14T22:13:20.123456Z lb1 {tag} 1234 - - "),
            format!("<134>Nov 14 22:13:21 lb1 {tag}: "),
            format!("Nov  4 22:13:21 lb1 {tag}[14389]: "),
            format!("2023-11-14T22:13:21.000+01:00 lb1 {tag}[14389]: "),
        ] {
            let (rows, refused, _) = read(format!("{header}{row}\n").as_bytes());
            assert_eq!(refused, [], "{header}");
            assert_eq!(request(&rows[0]).host, "www.example.org", "{header}");
        }
    }
}

/// IIS names no host: the server's address stands for it.
#[test]
fn iis_rows_have_the_server_for_a_host() {
    let log = b"#Software: Microsoft Internet Information Services 10.0\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n\
        2023-11-14 22:13:21 10.1.1.1 POST /api/x a=1 8080 DOM\\bob 10.0.0.10 - http://ref/ 500 0 64 1500\n";
    let (rows, ..) = read(log);
    let row = request(&rows[0]);
    assert_eq!((row.host.as_str(), row.full_uri.as_str()), ("10.1.1.1", "http://10.1.1.1:8080/api/x?a=1"));
    assert_eq!((row.username.as_deref(), row.duration_us), (Some("DOM\\bob"), Some(1_500_000)));
}

#[test]
fn blue_coat_by_its_header_and_inside_syslog() {
    let log = "#Software: SGOS 5.4\n#Fields: date time time-taken c-ip cs-username cs-method cs-uri-scheme cs-host cs-uri-port cs-uri-path cs-uri-query cs(User-Agent) sc-status sc-bytes cs-bytes\n\
        2011-08-04 21:00:00 11 10.0.0.1 - GET http kh.google.com 80 /flatfile ?f1-0203 \"Google Earth\" 200 16827 406\n\
        <134>Aug  4 21:00:01 proxy bluecoat[1]: 2011-08-04 21:00:01 12 10.0.0.2 joe CONNECT tcp mail.example 443 / - - 200 39 200\n\
        2011-08-04 21:00:02 13 10.0.0.3 - GET\n\
        2011-08-04 21:00:03 13 nobody - GET http a 80 / - - 200 1 1\n";
    let (rows, refused, c) = read(log.as_bytes());
    let [a, b] = rows.as_slice() else { panic!("{rows:?} {refused:?}") };
    let a = request(a);
    assert_eq!((a.kind, a.full_uri.as_str()), (LogKind::BlueCoat, "http://kh.google.com/flatfile?f1-0203"));
    assert_eq!((a.user_agent.as_deref(), a.request_bytes), (Some("Google Earth"), Some(406)));
    assert_eq!(a.first, Nanos(1_312_491_600_000_000_000));
    assert_eq!((request(b).username.as_deref(), request(b).server_port), (Some("joe"), Some(443)));
    let reasons: Vec<_> = refused.iter().map(|r| (r.line, r.reason)).collect();
    assert_eq!(reasons, [(5, "too few columns"), (6, "the client is no address")]);
    assert_eq!(c.other_lines, 2);
}

#[test]
fn zeek_in_tsv_and_in_json_is_the_same() {
    let tsv = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\tquery\tqclass\tqtype\trcode\tAA\tTC\tRD\tRA\tanswers\tTTLs\n\
        1313153722.154618\tC\t147.32.84.165\t1141\t147.32.80.9\t53\tudp\t553\tirc.freenode.net\t1\t1\t0\tF\tF\tT\tT\tchat\\x2cfreenode.net,213.179.58.83\t85794.000000,60.000000\n";
    let json = r#"{"ts":"2011-08-12T12:55:22.154618Z","uid":"C","id.orig_h":"147.32.84.165","id.orig_p":1141,"id.resp_h":"147.32.80.9","id.resp_p":53,"proto":"udp","trans_id":553,"query":"irc.freenode.net","qclass":1,"qtype":1,"qtype_name":"A","rcode":0,"AA":false,"TC":false,"RD":true,"RA":true,"answers":["chat,freenode.net","213.179.58.83"],"TTLs":[85794.0,60.0]}"#;
    let (a, ..) = read(tsv.as_bytes());
    let (b, ..) = read(json.as_bytes());
    assert_eq!(a, b);
    let LogRow::Dns(dns) = &a[0] else { panic!("{a:?}") };
    assert_eq!((dns.answers[0].clone(), dns.answers.len()), (("chat,freenode.net".to_owned(), 85_794), 2));
    assert_eq!((dns.bits, dns.rcode, dns.id), ([false, false, true, true], Some(0), 553));
}

#[test]
fn a_lease_of_what_is_no_address_is_refused_and_zeros_are_none() {
    let line = |client: &str| {
        format!(r#"{{"_path":"dhcp","ts":1.5,"client_addr":"{client}","mac":"zz","msg_types":["ACK"]}}"#)
    };
    let (rows, refused, ..) = read(format!("{}\n{}\n", line("0.0.0.0"), line("10.0.0.300")).as_bytes());
    let [LogRow::Dhcp(row)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.client_addr, row.mac), (None, None));
    assert_eq!(refused.len(), 1);
}

#[test]
fn haproxy_http_and_tcp() {
    let log = "Dec  9 13:01:26 localhost haproxy[28029]: 127.0.0.1:39759 [09/Dec/2013:12:59:46.633] lb default/i8 0/51536/1/48082/99627 200 83285 - - ---- 87/87/87/1/0 0/67 {www.example.com} \"GET /path/to/image?a HTTP/1.1\"\n\
        10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0\n\
        10.0.1.2:33313 [] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0\n";
    let (rows, refused, _) = read(log.as_bytes());
    let row = request(&rows[0]);
    assert_eq!((row.full_uri.as_str(), row.status), ("http://www.example.com/path/to/image?a", Some(200)));
    assert_eq!((row.first, row.duration_us), (Nanos(1_386_593_986_633_000_000), Some(99_627_000)));
    assert_eq!((request(&rows[1]).scheme.as_str(), request(&rows[1]).response_bytes), ("tcp", Some(212)));
    assert_eq!(refused[0].reason, "no time");
}

#[test]
fn pmacct_objects_are_flows() {
    let line = r#"{"event_type":"purge","ip_src":"10.0.0.1","ip_dst":"10.0.0.2","port_src":1,"port_dst":2,"tcp_flags":"24","ip_proto":"tcp","timestamp_start":"2020-01-01 00:00:01.5","packets":3,"bytes":200}"#;
    let (rows, ..) = read(line.as_bytes());
    let LogRow::Connection(c) = &rows[0] else { panic!() };
    assert_eq!((c.src_packets, c.src_bytes, c.tcp_flags, c.pair.proto), (3, 200, Some(24), 6));
    assert_eq!(c.first, Nanos(1_577_836_801_500_000_000));
}

#[test]
fn long_lines_nul_bytes_and_bombs_end_in_a_reason() {
    let good = b"1461576382.642 161 127.0.0.1 TCP_MISS/200 1 GET http://a/ - DIRECT/1.1.1.1 text/html\n".to_vec();
    let log = [good.clone(), vec![b'x'; 3 << 20], b"\n1461\0\n".to_vec(), good.clone()].concat();
    let (rows, refused, c) = read(&log);
    assert_eq!((rows.len(), c.too_long), (2, 1));
    assert_eq!(refused.iter().map(|r| r.reason).collect::<Vec<_>>(), ["longer than a line may be", "NUL bytes"]);
    assert_eq!(refused[0].text.len(), 4_096);
    // 64 MiB of one line, packed into 64 KiB: read through a buffer.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    Write::write_all(&mut packer, &good).unwrap();
    for _ in 0..64 {
        Write::write_all(&mut packer, &vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = packer.finish().unwrap();
    let (rows, refused, c) = read(&bomb);
    assert_eq!((rows.len(), refused.len(), c.bytes), (1, 1, good.len() as u64 + (64 << 20)));
}

#[test]
fn text_that_is_no_log_is_told() {
    for text in [
        "Lorem ipsum dolor sit amet.\n\nMore of it.",
        "",
        "{\"a\":1}\n",
        "localhost - - [22/Mar/2009:09:30:31 +0100] \"POST / HTTP/2.0\" 300 2698",
    ] {
        assert!(LogReader::from_reader(Box::new(Cursor::new(text.as_bytes().to_vec()))).unwrap().is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn damage_is_counted_and_never_panics(
        which in 0_usize..4,
        changes in prop::collection::vec((0_usize..700, any::<u8>()), 0..40),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let logs: [&[u8]; 4] = [
            b"#separator \\x09\n#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_pkts\n1.5\t10.0.0.1\t1\t10.0.0.2\t2\ttcp\t1.0\t3\n",
            b"#Fields: date time c-ip cs-method cs-uri\n2011-08-04 21:00:00 10.0.0.1 GET http://a/b?c\n",
            b"1461576382.642 161 127.0.0.1 TCP_MISS/200 1 GET http://a/ - DIRECT/1.1.1.1 text/html\n",
            b"{\"ts\":1.5,\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":1,\"id.resp_h\":\"::1\",\"id.resp_p\":2,\"history\":\"S\"}\n",
        ];
        let mut log = [logs[which], &noise, b"\n", logs[which]].concat();
        for (at, byte) in changes {
            if let Some(slot) = log.get_mut(at) {
                *slot = byte;
            }
        }
        read(&log);
    }
}
