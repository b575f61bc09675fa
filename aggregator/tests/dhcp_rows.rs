//! DHCP from a capture to the lake: a lease of version 4 and one of version 6 behind a relay, imported, imported again, merged,
//! backed up and let go.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lake_support;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aggregator::import::{FileOutcome, ImportOptions, Input, import};
use aggregator::lake::{CompactOptions, Lake, RetainOptions, Table, restore};
use aggregator::record::Micros;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{UInt8Type, UInt32Type, UInt64Type};
use lake_support::*;

fn option(code: u8, octets: &[u8]) -> Vec<u8> {
    [&[code, octets.len() as u8], octets].concat()
}

fn option6(code: u16, octets: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &(octets.len() as u16).to_be_bytes(), octets].concat()
}

fn address(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

fn udp(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    [&ports[0].to_be_bytes(), &ports[1].to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

fn v4(kind: u8, yours: [u8; 4], options: &[Vec<u8>]) -> Vec<u8> {
    let from_server = matches!(kind, 2 | 5);
    let mut message = vec![1 + u8::from(from_server), 1, 6, 0, 0, 0, 0x12, 0x34];
    message.resize(16, 0);
    message.extend(yours);
    message.resize(28, 0);
    message.extend([2, 0, 0, 0, 0, 7]);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, kind]);
    message.extend(options.concat());
    message.push(255);
    let (src, ports) = if from_server { ([10, 0, 0, 1], [67, 68]) } else { ([0; 4], [68, 67]) };
    let datagram = udp(ports, &message);
    let [l0, l1] = (20 + datagram.len() as u16).to_be_bytes();
    [&[0x45, 0, l0, l1, 0, 0, 0, 0, 64, 17, 0, 0][..], &src, &[255; 4], &datagram].concat()
}

fn relayed(kind: u8, inner: u8, options: &[Vec<u8>]) -> Vec<u8> {
    let inner = [&[inner, 0, 0x56, 0x78][..], &options.concat()].concat();
    let message = [&[kind, 0][..], &address("2001:db8:1::1"), &address("fe80::aa"), &option6(9, &inner)].concat();
    let datagram = udp([547, 547], &message);
    let [l0, l1] = (datagram.len() as u16).to_be_bytes();
    let ends = [address("2001:db8:1::1"), address("2001:db8::547")];
    let (src, dst) = if kind == 12 { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
    [&[0x60, 0, 0, 0, l0, l1, 17, 64][..], &src, &dst, &datagram].concat()
}

/// Packets and the seconds they come at; LINKTYPE_RAW.
fn pcap(packets: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101].map(u32::to_be_bytes).concat();
    for (seconds, packet) in packets {
        let length = packet.len() as u32;
        out.extend([1_772_618_400 + seconds, 250_000, length, length].map(u32::to_be_bytes).concat());
        out.extend(packet);
    }
    out
}

fn packets() -> Vec<(u32, Vec<u8>)> {
    let name = option(12, b"laptop-7");
    let lease = [option(54, &[10, 0, 0, 1]), option(51, &[0, 0, 0x0e, 0x10]), option(15, b"corp.example")];
    let duid = option6(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 9]);
    let ia = option6(5, &[&address("2001:db8:1::5")[..], &[0, 0, 0, 60, 0, 0, 0, 120]].concat());
    let ia = option6(3, &[&[0; 12][..], &ia].concat());
    vec![
        (0, v4(1, [0; 4], std::slice::from_ref(&name))),
        (1, v4(2, [10, 0, 0, 5], &lease)),
        (1, v4(3, [0; 4], &[name, option(50, &[10, 0, 0, 5]), option(54, &[10, 0, 0, 1])])),
        (2, v4(5, [10, 0, 0, 5], &lease)),
        (3, relayed(12, 3, &[duid.clone(), option6(39, b"\0\x06server\x04corp\0")])),
        (4, relayed(13, 7, &[duid, ia])),
        // Of no known kind, and not the whole of a message: counted.
        (
            5,
            [&[0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &udp([68, 67], &[1, 1])]
                .concat(),
        ),
    ]
}

fn rows(lake: &Lake) -> RecordBatch {
    let parts = lake.parts(Table::Dhcp, None).unwrap();
    assert_eq!(parts.len(), 1);
    let batches = read(&parts[0]);
    assert_eq!(batches.len(), 1);
    batches[0].clone()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

fn put(folder: &std::path::Path, name: &str, packets: &[(u32, Vec<u8>)]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, pcap(packets)).unwrap();
    path
}

#[test]
fn leases_come_into_the_lake_once_and_read_back() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let file = put(dir.path(), "dhcp.pcap", &packets());
    let take = |lake: &Lake| {
        let inputs = [Input::Path(file.clone())];
        import(lake, &inputs, &ImportOptions::new("tap"), &AtomicBool::new(false), &mut ()).unwrap()
    };
    let report = take(&lake);
    let [only] = &report.files[..] else { panic!("{report:?}") };
    assert_eq!((only.outcome, only.records["dhcp"]), (FileOutcome::Imported, 2));
    assert!(only.imbalances.is_empty(), "{:?}", only.imbalances);
    let counted = |name: &str| only.ledger.get(name).copied().unwrap_or_default();
    let counters = ["dhcp_messages", "dhcp_not_dhcp", "dhcp.messages", "dhcp.messages_in_rows", "dhcp.rows"];
    assert_eq!(counters.map(counted), [6, 1, 6, 6, 2]);

    let batch = rows(&lake);
    let two = |a: &str, b: &str| [Some(a.to_owned()), Some(b.to_owned())];
    let first = |a: &str| [Some(a.to_owned()), None];
    assert_eq!(texts(&batch, "mac"), two("02:00:00:00:00:07", "02:00:00:00:00:09"));
    assert_eq!(texts(&batch, "host_name"), first("laptop-7"));
    assert_eq!(texts(&batch, "client_fqdn"), [None, Some("server.corp".to_owned())]);
    assert_eq!(texts(&batch, "domain"), first("corp.example"));
    assert_eq!(texts(&batch, "server_addr"), first("10.0.0.1"));
    assert_eq!(texts(&batch, "client_addr"), [None, Some("fe80::aa".to_owned())]);
    assert_eq!(texts(&batch, "relay_addr"), [None, Some("2001:db8:1::1".to_owned())]);
    assert_eq!(texts(&batch, "requested_addr"), first("10.0.0.5"));
    assert_eq!(texts(&batch, "assigned_addr"), two("10.0.0.5", "2001:db8:1::5"));
    assert_eq!(
        (texts(&batch, "sensor"), texts(&batch, "origin")),
        (two("tap", "tap").to_vec(), two("pcap", "pcap").to_vec())
    );
    assert_eq!(texts(&batch, "damage"), [None, None]);
    let column = |name: &str| batch.column_by_name(name).unwrap();
    assert_eq!(column("version").as_primitive::<UInt8Type>().values()[..], [4, 6]);
    assert_eq!(column("xid").as_primitive::<UInt32Type>().values()[..], [0x1234, 0x5678]);
    assert_eq!(column("lease_time").as_primitive::<UInt32Type>().values()[..], [3_600, 120]);
    assert_eq!(column("duration_us").as_primitive::<UInt64Type>().values()[..], [2_000_000, 1_000_000]);
    let types = column("msg_types").as_list::<i32>();
    let types = |at: usize| types.value(at).as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(" ");
    assert_eq!([types(0), types(1)], ["DISCOVER OFFER REQUEST ACK", "REQUEST REPLY"]);
    let leases = column("leases").as_list::<i32>().value(1);
    let lease = leases.as_struct();
    assert_eq!(lease.column(0).as_string::<i32>().value(0), "2001:db8:1::5");
    assert_eq!(lease.column(1).as_primitive::<UInt8Type>().value(0), 128);
    assert_eq!(lease.column(2).as_primitive::<UInt32Type>().value(0), 120);
    assert_eq!(lease.len(), 1);

    let before = ids(&lake, Table::Dhcp);
    assert_eq!(take(&lake).files[0].outcome, FileOutcome::AlreadyImported);
    assert_eq!(ids(&lake, Table::Dhcp), before);
    let other = Lake::open(dir.path().join("other")).unwrap();
    take(&other);
    assert_eq!(ids(&other, Table::Dhcp), before, "the same ids in another lake");
    assert_tidy(&lake);
}

#[test]
fn what_the_lake_does_with_its_tables_it_does_with_leases() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let backup = dir.path().join("backup");
    lake.state().backup(&backup).unwrap();
    let packets = packets();
    for (name, some) in [("a.pcap", &packets[..4]), ("b.pcap", &packets[4..])] {
        let inputs = [Input::Path(put(dir.path(), name, some))];
        import(&lake, &inputs, &ImportOptions::new("tap"), &AtomicBool::new(false), &mut ()).unwrap();
    }
    let before = ids(&lake, Table::Dhcp);
    assert_eq!((before.len(), lake.parts(Table::Dhcp, None).unwrap().len()), (2, 2));
    let mut all_hours = CompactOptions::new(Micros(i64::MAX), Duration::ZERO);
    all_hours.min_parts = 2;
    lake.compact(&all_hours).unwrap();
    assert_eq!(lake.parts(Table::Dhcp, None).unwrap().len(), 1, "merged");
    assert_eq!(ids(&lake, Table::Dhcp), before);
    assert_eq!(texts(&rows(&lake), "assigned_addr").len(), 2);

    let path = lake.dir().to_owned();
    drop(lake);
    restore(&backup, &path).unwrap();
    let lake = Lake::open(&path).unwrap();
    assert_eq!(ids(&lake, Table::Dhcp), before, "rows written after the backup are adopted");
    assert_tidy(&lake);

    let now = Micros(TEN + 48 * HOUR);
    lake.retain(&RetainOptions { max_age: Some(Duration::from_secs(3_600)), max_bytes: None, now }).unwrap();
    assert!(ids(&lake, Table::Dhcp).is_empty(), "let go with its hour");
    assert_tidy(&lake);
}
