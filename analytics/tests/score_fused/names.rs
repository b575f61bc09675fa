//! What addresses were called: the host that held one by DHCP at that moment, else what DNS said.

use aggregator::record::{DhcpLease, DhcpRecord, DnsRecord};
use capture::{DnsTransport, ResourceRecord};

use super::*;

const HOUR: i64 = 3_600 * SECOND;

fn leased(hour: i64, client: u8, name: &str, valid_s: u32) -> DhcpRecord {
    let mut row = DhcpRecord::new(Origin::Pcap, Micros(MIDNIGHT + hour * HOUR));
    row.record_id = RecordId([hour as u8, client, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    row.mac = Some([2, 0, 0, 0, 0, client]);
    row.host_name = Some(name.to_owned());
    row.msg_types = vec!["REQUEST".into(), "ACK".into()];
    row.leases = vec![DhcpLease { address: std::net::IpAddr::from(VICTIM), prefix_len: 32, valid_s }];
    row
}

fn answered(n: u8, name: &str, address: [u8; 4]) -> DnsRecord {
    DnsRecord {
        record_id: RecordId([n; 16]),
        first_seen: Micros(MIDNIGHT + 6 * HOUR),
        last_seen: Micros(MIDNIGHT + 6 * HOUR),
        origin: Origin::Pcap,
        client_ip: Ip::v4([10, 0, 0, 100]),
        server_ip: Ip::v4([10, 0, 0, 5]),
        version: IpVersion::V4,
        client_port: 40_000,
        server_port: 53,
        transport: DnsTransport::Udp,
        id: n.into(),
        qname: name.to_owned(),
        qname_wire: name.to_owned(),
        qtype: 1,
        qclass: 1,
        question: 0,
        opcode: 0,
        rcode: Some(0),
        rtt_us: None,
        query_len: Some(40),
        response_len: Some(60),
        response_frame_len: Some(102),
        flags: 0x8180,
        edns_udp_size: None,
        answers: vec![ResourceRecord {
            name: name.to_owned(),
            rtype: 1,
            ttl: 60,
            data: std::net::IpAddr::from(address).to_string(),
        }],
        authorities: Vec::new(),
        additional_count: 0,
        damage: None,
    }
}

#[test]
fn a_row_has_the_name_of_the_host_that_held_the_address_then() {
    let place = lake(1);
    let mut set = place.lake.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
    // The lease of the day before is over; that of the morning, too, before the second host has the address.
    set.dhcp(&[leased(-20, 3, "yesterdays", 3_600), leased(8, 1, "anna", 7_200), leased(11, 2, "bert", 86_400)])
        .unwrap();
    set.dns(&[answered(1, "old.example", VICTIM), answered(2, "evil.example", MASTER)]).unwrap();
    set.commit().unwrap();

    let (_, batch) = scored(&place.lake, &all_rows(0));
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (src, dst) = (text("src_ip"), text("dst_ip"));
    let times = batch.column_by_name("first_seen").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
    let names = ["src_name", "src_name_source", "dst_name", "dst_name_source"].map(text);
    let victim = std::net::IpAddr::from(VICTIM).to_string();
    let mut seen = std::collections::BTreeSet::new();
    for row in 0..batch.num_rows() {
        let of = |at: usize| names[at].is_valid(row).then(|| names[at].value(row));
        if src.value(row) != victim {
            assert_eq!((of(0), of(1)), (None, None), "{} has no name", src.value(row));
            continue;
        }
        assert_eq!(dst.value(row), std::net::IpAddr::from(MASTER).to_string());
        let hour = (times.value(row) - MIDNIGHT) / HOUR;
        let expected = match hour {
            ..10 => ("anna", "dhcp"),
            10 => ("old.example", "dns"),
            _ => ("bert", "dhcp"),
        };
        assert_eq!((of(0), of(1)), (Some(expected.0), Some(expected.1)), "at {hour} o'clock");
        assert_eq!((of(2), of(3)), (Some("evil.example"), Some("dns")));
        seen.insert(expected.0);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}
