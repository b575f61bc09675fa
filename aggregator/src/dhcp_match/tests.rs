use std::net::IpAddr;

use capture::{AddressPair, Ip, Nanos};

use super::*;

const SECOND: i64 = 1_000_000_000;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v4(kind: u8, xid: u32, mac: u8) -> DhcpMessage {
    DhcpMessage {
        message_type: kind,
        from_server: matches!(kind, 2 | 5 | 6),
        xid,
        mac: Some([2, 0, 0, 0, 0, mac]),
        ..DhcpMessage::empty(IpVersion::V4)
    }
}

fn address(text: &str, valid: Option<u32>) -> Vec<DhcpAddress> {
    vec![DhcpAddress { address: ip(text), prefix_len: 32, valid }]
}

/// A matcher, and the seconds of its clock.
struct Bench(DhcpMatcher, Vec<DhcpRecord>, Stats);

impl Bench {
    fn new() -> Self {
        Self::with(AggregatorConfig::new("tap", Origin::Pcap))
    }

    fn with(config: AggregatorConfig) -> Self {
        Self(DhcpMatcher::new(&config, RecordIds::new("tap", Origin::Pcap)), Vec::new(), Stats::default())
    }

    fn say(&mut self, seconds: i64, message: DhcpMessage) {
        let ts = Nanos(seconds * SECOND);
        let (src, dst) = if message.from_server { (67, 68) } else { (68, 67) };
        let (any, all) = (Ip::v4([0; 4]), Ip::v4([255; 4]));
        let pair = AddressPair { src: any, dst: all, src_port: src, dst_port: dst, proto: 17, version: IpVersion::V4 };
        let carried = Carried { first_ts: ts, ts, pair };
        self.0.handle(ts.0, &carried, message, &mut Out { records: &mut self.1, stats: &mut self.2 });
        assert_eq!(self.2.dhcp_messages, self.2.dhcp_in_rows + self.0.waiting() as u64);
    }

    fn end(mut self) -> (Vec<DhcpRecord>, Stats) {
        self.0.finish(&mut Out { records: &mut self.1, stats: &mut self.2 });
        assert_eq!((self.0.waiting(), self.0.bytes, self.0.queue.len()), (0, 0, 0));
        assert_eq!((self.2.dhcp_messages, self.2.dhcp_rows), (self.2.dhcp_in_rows, self.1.len() as u64));
        (self.1, self.2)
    }
}

#[test]
fn four_messages_are_one_record() {
    let mut bench = Bench::new();
    let named = |message: DhcpMessage| DhcpMessage {
        host_name: Some("laptop-7".into()),
        vendor_class: Some("MSFT 5.0".into()),
        param_list: vec![1, 3, 6],
        ..message
    };
    bench.say(0, DhcpMessage { addresses: address("10.0.0.9", None), ..named(v4(1, 7, 1)) });
    let server = Some(ip("10.0.0.1"));
    let other =
        DhcpMessage { addresses: address("10.0.0.4", Some(60)), server_addr: Some(ip("10.0.0.2")), ..v4(2, 7, 1) };
    bench.say(1, DhcpMessage { addresses: address("10.0.0.5", Some(60)), server_addr: server, ..v4(2, 7, 1) });
    bench.say(1, other.clone());
    bench.say(2, DhcpMessage { addresses: address("10.0.0.5", None), server_addr: server, ..named(v4(3, 7, 1)) });
    let ack = DhcpMessage { addresses: address("10.0.0.5", Some(3_600)), server_addr: server, ..v4(5, 7, 1) };
    bench.say(3, DhcpMessage { domain: Some("corp".into()), ..ack });
    // An offer that came late changes nothing.
    bench.say(4, other);
    let (rows, _) = bench.end();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row.msg_types, ["DISCOVER", "OFFER", "OFFER", "REQUEST", "ACK", "OFFER"]);
    assert_eq!((row.first_seen, row.last_seen), (Micros(0), Micros(4_000_000)));
    assert_eq!((row.requested_addr, row.assigned_addr), (Some(ip("10.0.0.5")), Some(ip("10.0.0.5"))));
    assert_eq!((row.server_addr, row.lease_time, row.xid, row.version), (server, Some(3_600), Some(7), 4));
    assert_eq!(row.leases, [DhcpLease { address: ip("10.0.0.5"), prefix_len: 32, valid_s: 3_600 }]);
    assert_eq!((row.host_name.as_deref(), row.domain.as_deref()), (Some("laptop-7"), Some("corp")));
    assert_eq!((row.vendor_class.as_deref(), row.param_list.as_deref()), (Some("MSFT 5.0"), Some("1,3,6")));
    assert_eq!((row.client_port, row.server_port), (Some(68), Some(67)));
    // By Python's hashlib, from the specification: 0.0.0.0:68 to 255.255.255.255:67, UDP.
    assert_eq!(row.community_id.as_deref(), Some("1:t9O1j0qj71O4wJM7gnaHtgmfev8="));
}

#[test]
fn an_offer_alone_is_no_lease() {
    let mut bench = Bench::new();
    bench.say(0, v4(1, 7, 1));
    bench.say(1, DhcpMessage { addresses: address("10.0.0.5", Some(60)), ..v4(2, 7, 1) });
    bench.say(2, DhcpMessage { text: Some("wrong network".into()), ..v4(6, 7, 1) });
    let (rows, _) = bench.end();
    assert_eq!((rows[0].assigned_addr, rows[0].leases.len()), (Some(ip("10.0.0.5")), 0));
    assert_eq!(rows[0].server_message.as_deref(), Some("wrong network"));
}

#[test]
fn what_is_given_up_is_a_lease_of_no_time() {
    let mut bench = Bench::new();
    bench.say(
        0,
        DhcpMessage { addresses: address("10.0.0.5", Some(0)), client_addr: Some(ip("10.0.0.5")), ..v4(7, 9, 1) },
    );
    bench.say(1, DhcpMessage { addresses: address("10.0.0.5", Some(0)), ..v4(7, 9, 1) });
    let (rows, _) = bench.end();
    assert_eq!(rows[0].leases, [DhcpLease { address: ip("10.0.0.5"), prefix_len: 32, valid_s: 0 }]);
    assert_eq!((rows[0].requested_addr, rows[0].client_addr), (None, Some(ip("10.0.0.5"))));
}

#[test]
fn one_id_of_two_clients_is_two_transactions() {
    let mut bench = Bench::new();
    bench.say(0, v4(1, 7, 1));
    bench.say(0, v4(1, 7, 2));
    bench.say(0, DhcpMessage { version: IpVersion::V6, client_id: Some([1, 2].into()), ..v4(1, 7, 1) });
    let (rows, _) = bench.end();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2].msg_types, ["SOLICIT"]);
    assert_eq!(rows[2].client_id.as_deref(), Some("01:02"));
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| row.record_id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_transaction_ends_by_silence_by_age_and_by_number() {
    let mut bench = Bench::new();
    // Every 20 s: never silent for 30 s, but older than 60 s at the fourth.
    for n in 0..5 {
        bench.say(n * 20, v4(1, 1, 1));
    }
    bench.say(200, v4(1, 2, 2));
    bench.say(229, v4(2, 2, 2));
    bench.say(260, v4(5, 2, 2));
    for _ in 0..120 {
        bench.say(300, v4(1, 3, 3));
    }
    let (rows, stats) = bench.end();
    let lengths: Vec<usize> = rows.iter().map(|row| row.msg_types.len()).collect();
    assert_eq!(lengths, [3, 2, 2, 1, 50, 50, 20]);
    assert_eq!((stats.dhcp_messages, stats.dhcp_evicted), (128, 0));
}

#[test]
fn a_flood_of_clients_is_written_early_and_counted() {
    let mut config = AggregatorConfig::new("tap", Origin::Pcap);
    config.limits.max_dhcp = 10;
    let mut bench = Bench::with(config);
    for n in 0..100 {
        bench.say(0, v4(1, n, 1));
    }
    assert_eq!((bench.1.len(), bench.2.dhcp_evicted, bench.0.waiting.len()), (90, 90, 10));
    assert_eq!(bench.end().0.len(), 100);
    // The same by bytes.
    let mut config = AggregatorConfig::new("tap", Origin::Pcap);
    config.limits.max_dhcp_bytes = 20_000;
    let mut bench = Bench::with(config);
    for n in 0..100 {
        bench.say(0, DhcpMessage { host_name: Some("a".repeat(255)), ..v4(1, n, 1) });
        assert!(bench.0.bytes <= 20_000);
    }
    assert!(bench.2.dhcp_evicted > 50);
    assert_eq!(bench.end().0.len(), 100);
}

#[test]
fn types_have_the_names_of_their_version() {
    let name = |version, message_type, from_server| {
        type_name(&DhcpMessage { version, message_type, from_server, ..v4(0, 0, 0) }).into_owned()
    };
    let names =
        [(IpVersion::V4, 0, true), (IpVersion::V4, 8, false), (IpVersion::V4, 18, true), (IpVersion::V4, 19, true)];
    let names = names.map(|(version, kind, server)| name(version, kind, server));
    assert_eq!(names, ["BOOTREPLY", "INFORM", "TLS", "UNKNOWN-19"]);
    let names = [7, 11, 13, 23, 36].map(|kind| name(IpVersion::V6, kind, false));
    assert_eq!(names, ["REPLY", "INFORMATION-REQUEST", "RELAY-REPL", "STARTTLS", "UNKNOWN-36"]);
}
