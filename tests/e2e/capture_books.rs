//! Rule 2 as a reader of the lake can check it: what was sent is in flows, or in one term of the ledger.

use std::path::Path;

use crate::capture_net::Wires;
use crate::support::rows;

/// Where a packet may end that is in no flow.
const ELSEWHERE: [&str; 13] = [
    "not_ip",
    "malformed",
    "filtered",
    "sampled_out",
    "missed_before_probe",
    "lost_ring_full",
    "lost_copy_ring",
    "lost_xsk",
    "redirect_failed",
    "lost_shard_ring",
    "lost_onward_ring",
    "lost_on_write",
    "lost_at_crash",
];

/// A counter of the ledger in packets, summed over queues and intervals.
pub(crate) fn ledger(lake: &Path, name: &str) -> u64 {
    sum(lake, &format!("select sum(value) as n from ledger where counter = 'packets.{name}'"))
}

/// A sum; 0 where there is no row.
fn sum(lake: &Path, sql: &str) -> u64 {
    let n = &rows(lake, sql)[0]["n"];
    if n.is_null() { 0 } else { n.as_u64().expect("a number") }
}

/// Packets in the flows of the lake.
pub(crate) fn in_flows(lake: &Path) -> u64 {
    sum(lake, "select sum(src_packets) as n from flow") + sum(lake, "select sum(dst_packets) as n from flow")
}

/// Each of the packets sent was offered, and has one place. Says where they are.
#[track_caller]
pub(crate) fn assert_every_packet_has_a_place(lake: &Path, sent: u64) -> String {
    let elsewhere: Vec<(&str, u64)> = ELSEWHERE.iter().map(|name| (*name, ledger(lake, name))).collect();
    let (in_flows, offered) = (in_flows(lake), ledger(lake, "offered"));
    let sum = in_flows + elsewhere.iter().map(|(_, value)| value).sum::<u64>();
    let told = format!("{sent} sent, {offered} offered, {in_flows} in flows, {elsewhere:?}");
    assert_eq!((offered, sum), (sent, sent), "{told}");
    told
}

/// Frames that the wire here had no room for: a veth with XDP at its other end takes 256 at a time.
pub(crate) fn refused(wires: &Wires) -> u64 {
    let path = format!("/sys/class/net/{}/statistics/tx_dropped", wires.here[0]);
    std::fs::read_to_string(path).expect("a veth").trim().parse().expect("a number")
}
