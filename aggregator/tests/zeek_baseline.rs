//! conn_state, history, packets and bytes, against what Zeek itself says of the same captures: the `conn.log`
//! baselines of Zeek's own tests.
//!
//! They are test data that is not part of this repository: looked for in `$SPOTTER_SHARED/data`, else beside
//! the checkout.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use aggregator::record::{FlowRecord, Origin};
use aggregator::{Aggregator, AggregatorConfig, Timeouts};
use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig};

fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("SPOTTER_SHARED").map_or_else(|| PathBuf::from("../../shared"), PathBuf::from);
    let data = shared.join("data");
    data.join("zeeklogs/zeek_btest_baseline").is_dir().then_some(data)
}

/// A connection as both say it: originator, responder, protocol, conn_state, history, packets and IP bytes of
/// the originator and of the responder.
type Connection = (String, String, String, String, String, [String; 4]);

/// Rows of a baseline, if it has the columns.
fn baseline(text: &str) -> Option<BTreeSet<Connection>> {
    let fields: Vec<&str> = text.lines().find_map(|line| line.strip_prefix("#fields\t"))?.split('\t').collect();
    let mut rows = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let row: BTreeMap<&str, &str> = fields.iter().copied().zip(line.split('\t')).collect();
        let field = |name: &str| row.get(name).map(|value| value.to_string());
        let proto = field("proto")?;
        let port = |name: &str| if proto == "icmp" { Some("0".to_owned()) } else { field(name) };
        let end = |ip: &str, port_name: &str| Some(format!("{} {}", field(ip)?, port(port_name)?));
        let counters = [field("orig_pkts")?, field("orig_ip_bytes")?, field("resp_pkts")?, field("resp_ip_bytes")?];
        rows.insert((
            end("id.orig_h", "id.orig_p")?,
            end("id.resp_h", "id.resp_p")?,
            proto,
            field("conn_state")?,
            field("history")?,
            counters,
        ));
    }
    Some(rows)
}

fn connection(r: &FlowRecord) -> Connection {
    let (proto, has_ports) = match r.proto {
        6 => ("tcp", true),
        17 => ("udp", true),
        1 | 58 => ("icmp", false),
        _ => ("unknown_transport", false),
    };
    let end = |ip: capture::Ip, port| format!("{} {}", ip.to_ip_addr(r.version), if has_ports { port } else { 0 });
    let dst = r.dst.unwrap();
    let history = r.history.map_or("-".to_owned(), |history| history.as_str().to_owned());
    (
        end(r.src_ip, r.src_port),
        end(r.dst_ip, r.dst_port),
        proto.to_owned(),
        r.conn_state.unwrap().to_owned(),
        history,
        [r.src.packets, r.src.bytes, dst.packets, dst.bytes].map(|n| n.to_string()),
    )
}

/// Our connections of a capture, never cut by an active timeout.
fn connections(path: &std::path::Path) -> BTreeSet<Connection> {
    let hour = Duration::from_secs(3_600);
    let timeouts = Timeouts {
        active: 24 * hour,
        idle_tcp: hour,
        idle_other: hour,
        tcp_end: Duration::from_secs(5),
        ..Timeouts::default()
    };
    let mut aggregator = Aggregator::new(AggregatorConfig { timeouts, ..AggregatorConfig::new("test", Origin::Pcap) });
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut reader = CaptureReader::open(path).unwrap();
    while let Ok(Some(frame)) = reader.next_frame() {
        decoder.handle_frame(&frame, &mut aggregator);
    }
    decoder.finish(&mut aggregator);
    aggregator.finish();
    aggregator.take_records().flow.iter().map(connection).collect()
}

/// Baselines that say something else on purpose; each with the reason.
const DIFFERENT: [(&str, &str); 4] = [
    ("core.pcap.dynamic-filter", "Zeek was given a filter for part of the packets"),
    ("core.pcap.read-trace-with-filter", "Zeek was given a filter for part of the packets"),
    ("scripts.base.frameworks.netcontrol.packetfilter", "Zeek stopped looking at connections it had seen begin"),
    ("core.tunnels.gtp.outer_ip_frag", "Zeek puts the fragments of the carrier together before it counts"),
];

/// Two IPv6 packets with Payload Length 0 and 3 more bytes in the frame: we count what the frame has (as for
/// superframes), Zeek the 40 bytes of the header.
const PAYLOAD_LENGTH_0: (&str, &str, &str) = ("zeek__cisco-fabric-path.pcap", "86", "80");

/// What carries tunnels is not a record of its own (`tunnels = "inner"`): Geneve, GTP-U, VXLAN.
const CARRIERS: [&str; 3] = [" 6081", " 2152", " 4789"];

#[test]
fn connections_are_what_zeek_logged() {
    let Some(data) = shared() else {
        println!("skipped: no test data (zeeklogs/zeek_btest_baseline)");
        return;
    };
    let mut compared = 0;
    let mut differences = String::new();
    let mut seen = BTreeSet::new();
    let mut files: Vec<_> =
        std::fs::read_dir(data.join("zeeklogs/zeek_btest_baseline")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let Some((capture, _)) = name.split_once("__conn.log") else { continue };
        if DIFFERENT.iter().any(|(different, _)| name.ends_with(different)) {
            continue;
        }
        let Some(expected) = baseline(&std::fs::read_to_string(&file).unwrap()) else { continue };
        let path = data.join("pcap").join(capture);
        if expected.is_empty() || !path.is_file() || !seen.insert(capture.to_owned()) {
            continue;
        }
        let mut ours = connections(&path);
        if capture == PAYLOAD_LENGTH_0.0 {
            let (_, ours_say, zeek_says) = PAYLOAD_LENGTH_0;
            ours = ours
                .into_iter()
                .map(|mut row| {
                    row.5.iter_mut().filter(|bytes| *bytes == ours_say).for_each(|bytes| zeek_says.clone_into(bytes));
                    row
                })
                .collect();
        }
        for row in ours.difference(&expected) {
            differences += &format!("{name}\n  ours {row:?}\n");
        }
        for row in expected.difference(&ours).filter(|row| !CARRIERS.iter().any(|port| row.1.ends_with(port))) {
            differences += &format!("{name}\n  Zeek {row:?}\n");
        }
        compared += expected.len();
    }
    assert!(compared >= 127, "only {compared} connections were compared");
    assert!(differences.is_empty(), "{compared} compared\n{differences}");
}
