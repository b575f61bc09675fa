//! Lines of every log, and lines no log should have.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::{DnsTransport, Nanos};

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
    assert_eq!((dns.answers[0].clone(), dns.answers.len()), (LogAnswer::new("chat,freenode.net", 85_794), 2));
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

/// Lines as Suricata 7 and 8 write them.
const EVE: &str = r#"{"timestamp":"2026-03-02T10:00:00.000000+0100","event_type":"stats","stats":{"uptime":35}}
{"timestamp":"2026-03-02T10:00:01.000000+0100","flow_id":7,"in_iface":"eth0","event_type":"dns","src_ip":"192.0.2.9","src_port":50663,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{"type":"query","id":60409,"rrname":"Www.Example.com","rrtype":"A","tx_id":0,"opcode":0}}
{"timestamp":"2026-03-02T10:00:01.100000+0100","flow_id":8,"event_type":"dns","src_ip":"192.0.2.9","src_port":50664,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{"type":"query","id":1,"rrname":"silent.example.com","rrtype":"TXT","tx_id":0,"opcode":0}}
{"timestamp":"2026-03-02T10:00:01.020000+0100","flow_id":7,"event_type":"dns","src_ip":"192.0.2.9","src_port":50663,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{"version":2,"type":"answer","id":60409,"flags":"8183","qr":true,"rd":true,"ra":true,"opcode":0,"rrname":"www.example.com","rrtype":"A","rcode":"NXDOMAIN","answers":[{"rrname":"www.example.com","rrtype":"CNAME","ttl":193,"rdata":"a.example.net"},{"rrname":"a.example.net","rrtype":"A","ttl":9,"rdata":"198.51.100.7"}],"grouped":{"A":["198.51.100.7"]}}}
{"timestamp":"2026-03-02T10:00:02.000000+0100","flow_id":9,"event_type":"dns","src_ip":"2001:db8::53","src_port":53,"dest_ip":"2001:db8::9","dest_port":40000,"proto":"TCP","dns":{"version":3,"type":"response","id":4660,"flags":"8580","rcode":"NOERROR","queries":[{"rrname":"_ldap._tcp.example.com","rrtype":"SRV"}],"answers":[{"rrname":"_ldap._tcp.example.com","rrtype":"SRV","ttl":60,"srv":{"priority":0,"weight":0,"port":389,"name":"dc.example.com"}}]}}
{"timestamp":"2026-03-02T10:00:03.000000+0100","flow_id":10,"event_type":"flow","src_ip":"192.0.2.9","src_port":1254,"dest_ip":"198.51.100.1","dest_port":443,"proto":"TCP","app_proto":"tls","vlan":[5,12],"flow":{"pkts_toserver":10,"pkts_toclient":9,"bytes_toserver":1000,"bytes_toclient":9208,"start":"2026-03-02T09:59:48.255531+0100","end":"2026-03-02T10:00:42.668467+0100","age":54,"state":"closed","reason":"shutdown","alerted":false},"tcp":{"tcp_flags":"3b","tcp_flags_ts":"1b","tcp_flags_tc":"3b","state":"closed"}}
{"timestamp":"2026-03-02T10:00:03.100000+0100","flow_id":11,"event_type":"flow","src_ip":"fe80:0000:0000:0000:7836:ddff:fe67:941f","dest_ip":"ff02:0000:0000:0000:0000:0000:0000:0002","proto":"IPV6-ICMP","icmp_type":133,"icmp_code":0,"flow":{"pkts_toserver":3,"pkts_toclient":0,"bytes_toserver":210,"bytes_toclient":0,"start":"2026-03-02T10:00:03.000000+0100","end":"2026-03-02T10:00:04.000000+0100"}}
{"timestamp":"2026-03-02T10:00:04.000000+0100","flow_id":12,"event_type":"http","src_ip":"192.0.2.9","src_port":39438,"dest_ip":"198.51.100.2","dest_port":80,"proto":"TCP","tx_id":1,"http":{"hostname":"mail.example.com","url":"\/portal\/index.php?a=1","http_user_agent":"curl\/8","http_content_type":"text\/html","http_refer":"http:\/\/mail.example.com\/","http_method":"GET","protocol":"HTTP\/1.1","status":200,"length":7326}}
{"timestamp":"2026-03-02T10:00:05.000000+0100","flow_id":13,"event_type":"tls","src_ip":"192.0.2.9","src_port":55510,"dest_ip":"198.51.100.3","dest_port":443,"proto":"TCP","tls":{"sni":"www.example.org","version":"TLS 1.2","client_alpns":["h2","http/1.1"],"ja4":"t12d1207h2_000000000000_000000000000"}}
{"timestamp":"2026-03-02T10:00:06.000000+0100","flow_id":14,"event_type":"quic","src_ip":"192.0.2.9","src_port":50100,"dest_ip":"198.51.100.4","dest_port":443,"proto":"UDP","quic":{"version":"1","sni":"q.example.org","extensions":[{"name":"alpn","type":16,"values":["h3"]}]}}
{"timestamp":"2026-03-02T10:00:07.000000+0100","flow_id":14,"event_type":"quic","src_ip":"198.51.100.4","src_port":443,"dest_ip":"192.0.2.9","dest_port":50100,"proto":"UDP","quic":{"version":"1"}}
{"timestamp":"2026-03-02T10:00:08.000000+0100","pcap_cnt":49,"event_type":"alert","src_ip":"","src_port":0,"dest_ip":"","dest_port":0,"proto":"","alert":{"signature_id":2200003}}
{"timestamp":"2026-03-02T10:00:09.000000+0100","event_type":"flow","src_ip":"192.0.2.9","dest_ip":"2001:db8::1","proto":"UDP","flow":{"pkts_toserver":1,"bytes_toserver":60}}
{"timestamp":"2026-03-02T10:00:09.500000+0100","flow_id":15,"event_type":"dns","src_ip":"192.0.2.9","src_port":1,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{"type":"answer","id":7,"rcode":"NOERROR","rrname":"old.example.com","rrtype":"A","ttl":5,"rdata":"192.0.2.1"}}
"#;

#[test]
fn suricatas_events_of_five_kinds() {
    let (rows, refused, counters) = read(EVE.as_bytes());
    // 10:00 in Central Europe.
    let at = |ms: i64| Nanos(1_772_442_000_000_000_000 + ms * 1_000_000);
    let [LogRow::Dns(answered), LogRow::Dns(turned), LogRow::Connection(tcp), LogRow::Connection(icmp), rest @ ..] =
        rows.as_slice()
    else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (answered.first, answered.rtt, answered.query.as_str()),
        (at(1_000), Some(Nanos(20_000_000)), "Www.Example.com")
    );
    assert_eq!((answered.pair.src_port, answered.pair.dst_port, answered.rcode), (50_663, 53, Some(3)));
    assert_eq!(answered.bits, [false, false, true, true]);
    let answers: Vec<_> = answered.answers.iter().map(|a| (a.data.as_str(), a.ttl, a.rtype)).collect();
    assert_eq!(answers, [("a.example.net", 193, Some(5)), ("198.51.100.7", 9, Some(1))]);
    // Suricata 8 logs an answer from the server.
    assert_eq!((turned.pair.src_port, turned.pair.dst_port, turned.transport), (40_000, 53, DnsTransport::Tcp));
    assert_eq!(
        (turned.rcode, turned.qtype, turned.bits[0], turned.answers[0].data.as_str()),
        (Some(0), 33, true, "dc.example.com")
    );
    // 14 octets of Ethernet and two tags of 4 a packet are not of IP.
    assert_eq!((tcp.src_packets, tcp.src_bytes, tcp.dst), (10, 1_000 - 220, Some((9, 9_208 - 198))));
    assert_eq!((tcp.tcp_flags, tcp.dst_tcp_flags, tcp.vlan), (Some(0x1b), Some(0x3b), Some(12)));
    assert_eq!((tcp.first, tcp.last), (Nanos(at(-11_745).0 + 531_000), Nanos(at(42_668).0 + 467_000)));
    assert_eq!((icmp.pair.proto, icmp.pair.src_port, icmp.pair.dst_port, icmp.src_bytes), (58, 133, 0, 168));
    let [LogRow::Request(http), LogRow::Request(tls), LogRow::Request(quic), LogRow::Dns(old), LogRow::Dns(silent)] =
        rest
    else {
        panic!("{rest:?}")
    };
    // Version 1: without its question.
    assert_eq!((old.query.as_str(), old.rtt, old.answers[0].data.as_str()), ("old.example.com", None, "192.0.2.1"));
    assert_eq!(http.full_uri, "http://mail.example.com/portal/index.php?a=1");
    assert_eq!(
        (http.status, http.response_bytes, http.user_agent.as_deref()),
        (Some(200), Some(7_326), Some("curl/8"))
    );
    assert_eq!(
        (tls.host.as_str(), tls.tls_version.as_deref(), tls.tls_alpn.as_deref()),
        ("www.example.org", Some("TLSv1.2"), Some("h2"))
    );
    assert!(tls.ja4.as_deref().is_some_and(|ja4| ja4.starts_with("t12d")));
    assert_eq!((quic.tls_sni.as_deref(), quic.tls_alpn.as_deref()), (Some("q.example.org"), Some("h3")));
    // The question that nobody answered comes at the end.
    assert_eq!(
        (silent.query.as_str(), silent.qtype, silent.rcode, silent.first),
        ("silent.example.com", 16, None, at(1_100))
    );
    let reasons: Vec<_> = refused.iter().map(|r| (r.line, r.reason)).collect();
    assert_eq!(reasons, [(13, "addresses of two versions")]);
    // Statistics, the alert, QUIC without a name, and the question that its answer's row has.
    assert_eq!((counters.lines, counters.rows, counters.refused, counters.other_lines), (14, 9, 1, 4));
}

/// A lease in four messages, the client's name in the first; an acknowledgement as Suricata logs it without `extended`; a release through a relay.
const EVE_LEASES: &str = r#"{"timestamp":"2026-03-02T10:00:00.000000Z","flow_id":1,"event_type":"dhcp","src_ip":"0.0.0.0","src_port":68,"dest_ip":"255.255.255.255","dest_port":67,"proto":"UDP","dhcp":{"type":"request","id":15645,"client_mac":"00:0b:82:01:fc:42","assigned_ip":"0.0.0.0","client_ip":"0.0.0.0","dhcp_type":"discover","hostname":"ann","params":["subnet_mask"]}}
{"timestamp":"2026-03-02T10:00:00.010000Z","flow_id":2,"event_type":"dhcp","src_ip":"192.0.2.1","src_port":67,"dest_ip":"192.0.2.10","dest_port":68,"proto":"UDP","dhcp":{"type":"reply","id":15645,"client_mac":"00:0b:82:01:fc:42","assigned_ip":"192.0.2.10","client_ip":"0.0.0.0","relay_ip":"0.0.0.0","next_server_ip":"192.0.2.1","dhcp_type":"offer","lease_time":3600,"hostname":"of-the-server"}}
{"timestamp":"2026-03-02T10:00:00.070000Z","flow_id":1,"event_type":"dhcp","src_ip":"0.0.0.0","src_port":68,"dest_ip":"255.255.255.255","dest_port":67,"proto":"UDP","dhcp":{"type":"request","id":15645,"client_mac":"00:0b:82:01:fc:42","assigned_ip":"0.0.0.0","client_ip":"0.0.0.0","dhcp_type":"request","requested_ip":"192.0.2.10"}}
{"timestamp":"2026-03-02T10:00:00.070500Z","flow_id":2,"event_type":"dhcp","src_ip":"192.0.2.1","src_port":67,"dest_ip":"192.0.2.10","dest_port":68,"proto":"UDP","dhcp":{"type":"reply","id":15645,"client_mac":"00:0b:82:01:fc:42","assigned_ip":"192.0.2.10","dhcp_type":"ack","lease_time":3600}}
{"timestamp":"2026-03-02T10:00:01.000000Z","flow_id":3,"event_type":"dhcp","src_ip":"192.0.2.1","src_port":67,"dest_ip":"192.0.2.11","dest_port":68,"proto":"UDP","dhcp":{"type":"reply","id":7,"client_mac":"00:0b:82:01:fc:43","assigned_ip":"192.0.2.11","dhcp_type":"ack","renewal_time":1800}}
{"timestamp":"2026-03-02T10:00:02.000000Z","flow_id":4,"event_type":"dhcp","src_ip":"192.0.2.2","src_port":67,"dest_ip":"192.0.2.1","dest_port":67,"proto":"UDP","dhcp":{"type":"request","id":8,"client_mac":"00:0b:82:01:fc:44","assigned_ip":"0.0.0.0","client_ip":"192.0.2.12","dhcp_type":"release"}}
{"timestamp":"2026-03-02T10:00:03.000000Z","flow_id":5,"event_type":"dhcp","src_ip":"0.0.0.0","src_port":68,"dest_ip":"255.255.255.255","dest_port":67,"proto":"UDP","dhcp":{"type":"request","id":9,"client_mac":"00:0b:82:01:fc:45","dhcp_type":"discover"}}
{"timestamp":"2026-03-02T10:00:04.000000Z","flow_id":6,"event_type":"dhcp","src_ip":"192.0.2.1","dest_ip":"192.0.2.2","dhcp":{"type":"reply","id":9,"client_mac":"none"}}
"#;

#[test]
fn the_messages_of_a_lease_in_suricatas_log_are_one_row() {
    let (rows, refused, counters) = read(EVE_LEASES.as_bytes());
    let rows: Vec<&LogDhcp> =
        rows.iter().map(|row| if let LogRow::Dhcp(row) = row { &**row } else { panic!("{row:?}") }).collect();
    let [lease, short, release, alone] = rows.as_slice() else { panic!("{rows:?}") };
    let ip = |last: u8| Some(std::net::IpAddr::from([192, 0, 2, last]));
    assert_eq!(lease.msg_types, ["DISCOVER", "OFFER", "REQUEST", "ACK"]);
    assert_eq!((lease.duration, lease.lease_time), (Some(Nanos(70_500_000)), Some(3_600)));
    assert_eq!((lease.host_name.as_deref(), lease.mac), (Some("ann"), Some([0, 0x0b, 0x82, 1, 0xfc, 0x42])));
    assert_eq!(
        (lease.client_addr, lease.server_addr, lease.requested_addr, lease.assigned_addr),
        (ip(10), ip(1), ip(10), ip(10))
    );
    assert_eq!((lease.client_port, lease.server_port, lease.xid), (Some(68), Some(67), Some(15_645)));
    assert_eq!((short.assigned_addr, short.lease_time, short.duration), (ip(11), Some(3_600), None));
    assert_eq!((release.client_addr, &*release.msg_types), (ip(12), &["RELEASE".to_owned()][..]));
    assert_eq!((alone.server_addr, alone.client_addr, &*alone.msg_types), (None, None, &["DISCOVER".to_owned()][..]));
    let reasons: Vec<_> = refused.iter().map(|r| (r.line, r.reason)).collect();
    assert_eq!(reasons, [(8, "no hardware address")]);
    assert_eq!((counters.lines, counters.rows, counters.refused, counters.other_lines), (8, 4, 1, 3));
}

#[test]
fn an_answer_of_version_1_is_one_row_however_many_records_it_has() {
    let line = |ms: u32, id: u16, kind: &str, rest: &str| {
        format!(
            r#"{{"timestamp":"2026-03-02T10:00:{:02}.{:03}Z","flow_id":9,"event_type":"dns","src_ip":"192.0.2.9","src_port":5000,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{{"type":"{kind}","id":{id},{rest}}}}}"#,
            ms / 1_000,
            ms % 1_000
        )
    };
    let log = [
        line(0, 1, "query", r#""rrname":"www.example.com","rrtype":"A","tx_id":0"#),
        line(5, 2, "query", r#""rrname":"www.example.com","rrtype":"AAAA","tx_id":1"#),
        line(
            20,
            1,
            "answer",
            r#""rcode":"NOERROR","rrname":"www.example.com","rrtype":"CNAME","ttl":60,"rdata":"a.example.net""#,
        ),
        line(21, 2, "answer", r#""rcode":"NXDOMAIN","rrname":"www.example.com""#),
        line(
            20,
            1,
            "answer",
            r#""rcode":"NOERROR","rrname":"a.example.net","rrtype":"A","ttl":9,"rdata":"198.51.100.7""#,
        ),
        line(
            20,
            1,
            "answer",
            r#""rcode":"NOERROR","rrname":"a.example.net","rrtype":"A","ttl":9,"rdata":"198.51.100.8""#,
        ),
        line(21, 2, "answer", r#""rcode":"NXDOMAIN","rrname":"example.com","rrtype":"SOA","ttl":900"#),
        line(5_000, 3, "query", r#""rrname":"later.example.com","rrtype":"A","tx_id":2"#),
    ];
    let (rows, refused, counters) = read(log.join("\n").as_bytes());
    let seen: Vec<_> = rows
        .iter()
        .map(|row| match row {
            LogRow::Dns(row) => {
                let data: Vec<_> = row.answers.iter().map(|answer| answer.data.as_str()).collect();
                (row.query.as_str(), row.qtype, row.rcode, row.rtt.map(|rtt| rtt.0 / 1_000_000), data.join(" "))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let www = "www.example.com";
    assert_eq!(
        seen,
        [
            (www, 1, Some(0), Some(20), "a.example.net 198.51.100.7 198.51.100.8".to_owned()),
            (www, 28, Some(3), Some(16), String::new()),
            ("later.example.com", 1, None, None, String::new()),
        ]
    );
    assert_eq!((refused.len(), counters.lines, counters.rows, counters.other_lines), (0, 8, 3, 5));
}

#[test]
fn questions_wait_for_a_minute_of_the_log_and_each_answer_takes_the_oldest() {
    let line = |second: u32, flow: u32, kind: &str| {
        format!(
            r#"{{"timestamp":"2026-03-02T10:{:02}:{:02}.0Z","flow_id":{flow},"event_type":"dns","src_ip":"192.0.2.9","src_port":5000,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{{"version":2,"type":"{kind}","id":5,"rrname":"a.test","rrtype":"A","rcode":"NOERROR"}}}}"#,
            second / 60,
            second % 60
        )
    };
    // Asked twice, answered twice; asked, and answered too late.
    let log =
        [line(0, 1, "query"), line(1, 1, "query"), line(2, 1, "answer"), line(3, 1, "answer"), line(4, 2, "query")];
    let log = log.into_iter().chain([line(70, 3, "query"), line(71, 2, "answer")]).collect::<Vec<_>>().join("\n");
    let (rows, refused, counters) = read(log.as_bytes());
    let seen: Vec<_> = rows
        .iter()
        .map(|row| match row {
            LogRow::Dns(row) => {
                (row.first.0 / 1_000_000_000 % 600, row.rtt.map(|rtt| rtt.0 / 1_000_000_000), row.rcode)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        seen,
        [(0, Some(2), Some(0)), (1, Some(2), Some(0)), (4, None, None), (71, None, Some(0)), (70, None, None)]
    );
    assert_eq!((refused.len(), counters.lines, counters.rows + counters.other_lines), (0, 7, 7));
}

#[test]
fn one_question_without_an_answer_kept_all_that_were_answered_after_it() {
    let line = |flow: u32, kind: &str, name: &str| {
        format!(
            r#"{{"timestamp":"2026-03-02T10:00:00.0Z","flow_id":{flow},"event_type":"dns","src_ip":"192.0.2.9","src_port":5000,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{{"version":2,"type":"{kind}","id":5,"rrname":"{name}","rrtype":"A","rcode":"NOERROR"}}}}"#
        )
    };
    let read = |eve: &mut eve::Eve, text: &str| json(text, eve);
    let mut eve = eve::Eve::default();
    assert_eq!(read(&mut eve, &line(0, "query", "never.test")), None);
    // No time passes.
    let mut early = 0;
    for flow in 1..70_000 {
        assert_eq!(read(&mut eve, &line(flow, "query", "a.test")), None);
        assert!(matches!(read(&mut eve, &line(flow, "answer", "a.test")), Some(Ok(_))));
        early += u32::from(eve.unanswered(false).is_some());
        assert!(eve.remembered() <= 65_537);
    }
    assert_eq!((early, eve.unanswered(true), eve.remembered()), (1, None, 0));
    let long = line(1, "query", &"a".repeat(1_025));
    assert_eq!(read(&mut eve, &long), Some(Err("a name longer than names are")));
}
