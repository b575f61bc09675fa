//! AF_PACKET on a real veth pair. Needs root; says so and passes where it is missing, fails with `CI=true`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;
use std::time::{Duration, Instant};

use capture::Nanos;
use capture::af_packet::{AfPacket, AfPacketOptions, Injector};
use capture::live::source::{Handler, Interface, LinkEvent, LiveFrame, Received, Receiver, VlanTag};
use capture::live::{Filter, Microflow, Policy};

/// A veth pair without IPv6, removed when dropped: frames sent into `a` come out of `b`.
struct Veth {
    a: String,
    b: String,
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Veth {
    /// `None` after saying why, where it cannot be had.
    fn new(test: &str) -> Option<Self> {
        let id = std::process::id() % 1_000_000;
        let (a, b) = (format!("sa{id}x{test}"), format!("sb{id}x{test}"));
        let made = Command::new("ip").args(["link", "add", &a, "type", "veth", "peer", "name", &b]).output();
        if !made.as_ref().is_ok_and(|o| o.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "no veth pair in CI: {made:?}");
            eprintln!("SKIPPED {test}: no veth pair (root and `ip` are needed): {made:?}");
            return None;
        }
        let pair = Self { a, b };
        pair.set_up();
        Some(pair)
    }

    fn set_up(&self) {
        for name in [&self.a, &self.b] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
            ip(&format!("link set {name} up"));
        }
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.a]).output();
    }
}

#[derive(Default)]
struct Seen {
    frames: Vec<(Vec<u8>, u32, Option<VlanTag>)>,
    complete: Nanos,
    late: u32,
}

impl Handler for Seen {
    fn frames(&mut self, frames: &[LiveFrame<'_>]) {
        for frame in frames {
            self.late += u32::from(frame.ts < self.complete);
            self.frames.push((frame.data.to_vec(), frame.wire_len, frame.vlan));
        }
    }

    fn microflows(&mut self, _: &[Microflow]) {}

    fn complete_to(&mut self, ts: Nanos) {
        assert!(ts >= self.complete || ts.0 > 0);
        self.complete = self.complete.max(ts);
    }
}

fn receive_until(receiver: &mut dyn Receiver, seen: &mut Seen, count: usize) {
    let end = Instant::now() + Duration::from_secs(5);
    while seen.frames.len() < count && Instant::now() < end {
        receiver.receive(Duration::from_millis(20), seen).unwrap();
    }
}

fn drain(receiver: &mut dyn Receiver, seen: &mut Seen) {
    let end = Instant::now() + Duration::from_secs(5);
    while receiver.receive(Duration::from_millis(20), seen).unwrap() != Received::Ended {
        assert!(Instant::now() < end, "does not end");
    }
}

/// Ethernet, and IPv4 UDP of this length from 10.0.0.1 to 10.0.0.2.
fn frame(port: u16, length: usize) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let total = (length - 14) as u16;
    out.extend_from_slice(&[0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0, 0, 64, 17, 0, 0]);
    out.extend_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    let udp = total - 20;
    out.extend_from_slice(&[(port >> 8) as u8, port as u8, 0, 9, (udp >> 8) as u8, udp as u8, 0, 0]);
    out.resize(length, 0x55);
    out
}

fn options() -> AfPacketOptions {
    AfPacketOptions { retire: Duration::from_millis(5), ..AfPacketOptions::new(Policy::Tap) }
}

#[test]
fn every_frame_comes_whole_in_order_and_the_books_close() {
    let Some(veth) = Veth::new("o") else { return };
    let mut interface = AfPacket::open(&veth.b, options()).unwrap();
    let mut receiver = interface.take_receivers().remove(0);
    let sent: Vec<Vec<u8>> = (0..5_000_u16).map(|n| frame(n, 60 + usize::from(n % 1_400))).collect();
    let injector = Injector::open(&veth.a).unwrap();
    let mut seen = Seen::default();
    for batch in sent.chunks(500) {
        injector.send(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let count = seen.frames.len() + batch.len();
        receive_until(&mut *receiver, &mut seen, count);
    }
    interface.stop();
    drain(&mut *receiver, &mut seen);
    assert_eq!(seen.frames.len(), sent.len());
    assert!(
        seen.frames
            .iter()
            .zip(&sent)
            .all(|((got, length, vlan), sent)| { got == sent && *length as usize == sent.len() && vlan.is_none() })
    );
    assert_eq!((seen.late, seen.complete), (0, Nanos(i64::MAX)));
    let books = receiver.books();
    assert_eq!(books.imbalances(), []);
    let bytes: usize = sent.iter().map(Vec::len).sum();
    assert_eq!((books.offered.packets, books.received.packets, books.received.bytes), (5_000, 5_000, bytes as u64));
}

#[test]
fn tags_taken_out_by_the_kernel_are_told() {
    let Some(veth) = Veth::new("v") else { return };
    let mut interface = AfPacket::open(&veth.b, options()).unwrap();
    let mut receiver = interface.take_receivers().remove(0);
    let plain = frame(7, 100);
    let tagged = |tags: &[[u8; 4]]| [&plain[..12], &tags.concat(), &plain[12..]].concat();
    let (dot1q, dot1ad) = ([0x81, 0x00, 0x60, 0x64], [0x88, 0xa8, 0x01, 0x2c]);
    let sent = [plain.clone(), tagged(&[dot1q]), tagged(&[dot1ad, dot1q])];
    Injector::open(&veth.a).unwrap().send(&sent.each_ref().map(Vec::as_slice)).unwrap();
    let mut seen = Seen::default();
    receive_until(&mut *receiver, &mut seen, 3);
    let whole: Vec<Vec<u8>> = seen
        .frames
        .iter()
        .map(|(data, length, vlan)| {
            assert_eq!(*length as usize, data.len());
            match vlan {
                Some(tag) => [&data[..12], &tag.bytes(), &data[12..]].concat(),
                None => data.clone(),
            }
        })
        .collect();
    assert_eq!(whole, sent);
    let tag = |tpid, tci| Some(VlanTag { tpid, tci });
    assert_eq!([seen.frames[1].2, seen.frames[2].2], [tag(0x8100, 0x6064), tag(0x88a8, 0x012c)]);
    // The books count the tags, too.
    assert_eq!(receiver.books().seen.bytes, 100 + 104 + 108);
}

/// The ring is not read while more is sent than it holds: what was dropped and what was kept is what was sent.
#[test]
fn what_the_kernel_dropped_is_counted() {
    let Some(veth) = Veth::new("d") else { return };
    let options = AfPacketOptions { ring_bytes: 128 << 10, block_bytes: 16 << 10, ..options() };
    let mut interface = AfPacket::open(&veth.b, options).unwrap();
    let mut receiver = interface.take_receivers().remove(0);
    let sent = frame(7, 400);
    Injector::open(&veth.a).unwrap().send(&vec![sent.as_slice(); 20_000]).unwrap();
    // In two parts, to see that the kernel's counters, which begin again at each look, are summed.
    let half = receiver.books();
    Injector::open(&veth.a).unwrap().send(&vec![sent.as_slice(); 20_000]).unwrap();
    interface.stop();
    let mut seen = Seen::default();
    drain(&mut *receiver, &mut seen);
    let books = receiver.books();
    assert_eq!((half.imbalances(), books.imbalances()), (vec![], vec![]));
    assert_eq!((half.offered.packets, books.offered.packets), (20_000, 40_000));
    assert!(books.missed_before_probe.packets > 30_000, "{books:?}");
    assert_eq!(books.received.packets, seen.frames.len() as u64);
    assert_eq!(books.in_socket_unseen.packets, 0);
    assert!(books.received.packets > 100, "{books:?}");
}

#[test]
fn the_members_of_a_fanout_share_the_packets_by_flow() {
    let Some(veth) = Veth::new("f") else { return };
    let mut interface = AfPacket::open(&veth.b, AfPacketOptions { receivers: 3, ..options() }).unwrap();
    let mut receivers = interface.take_receivers();
    let injector = Injector::open(&veth.a).unwrap();
    for _ in 0..10 {
        let batch: Vec<Vec<u8>> = (0..300_u16).map(|n| frame(1_000 + n, 80)).collect();
        injector.send(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    }
    interface.stop();
    let mut flows: Vec<std::collections::BTreeMap<Vec<u8>, u32>> = Vec::new();
    let mut total = 0;
    for receiver in &mut receivers {
        let mut seen = Seen::default();
        drain(&mut **receiver, &mut seen);
        total += seen.frames.len();
        assert_eq!(receiver.books().received.packets, seen.frames.len() as u64);
        let mut by_flow = std::collections::BTreeMap::new();
        seen.frames.into_iter().for_each(|(data, ..)| *by_flow.entry(data).or_default() += 1);
        flows.push(by_flow);
    }
    assert_eq!(total, 3_000);
    assert!(flows.iter().all(|by_flow| !by_flow.is_empty() && by_flow.values().all(|count| *count == 10)));
    assert_eq!(flows.iter().map(std::collections::BTreeMap::len).sum::<usize>(), 300);
}

#[test]
fn filter_sample_and_snaplen_each_have_their_term() {
    let Some(veth) = Veth::new("s") else { return };
    let options = AfPacketOptions { sample: 4, snaplen: 64, ..options() };
    let mut interface = AfPacket::open(&veth.b, options).unwrap();
    interface.set_filter(&Filter::parse(["port 7 proto udp"]).unwrap()).unwrap();
    let mut receiver = interface.take_receivers().remove(0);
    let batch: Vec<Vec<u8>> = (0..2_000_u16).map(|n| frame(7 + n % 2, 500)).collect();
    Injector::open(&veth.a).unwrap().send(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    interface.stop();
    let mut seen = Seen::default();
    drain(&mut *receiver, &mut seen);
    let books = receiver.books();
    assert_eq!(books.imbalances(), []);
    assert_eq!((books.seen.packets, books.filtered.packets, books.filtered.bytes), (2_000, 1_000, 500_000));
    assert_eq!(books.sampled_out.packets + books.received.packets, 1_000);
    assert!((150..350).contains(&books.received.packets), "{books:?}");
    assert!(seen.frames.iter().all(|(data, length, _)| data.len() == 64 && *length == 500));
}

#[test]
fn an_interface_that_goes_down_vanishes_and_comes_back_is_captured_again() {
    let Some(veth) = Veth::new("g") else { return };
    let mut interface = AfPacket::open(&veth.b, AfPacketOptions { receivers: 2, ..options() }).unwrap();
    let mut receivers = interface.take_receivers();
    let mut seen = [Seen::default(), Seen::default()];
    let mut send = |veth: &Veth, receivers: &mut Vec<Box<dyn Receiver>>, count: usize| {
        let batch: Vec<Vec<u8>> = (0..100_u16).map(|n| frame(n, 80)).collect();
        Injector::open(&veth.a).unwrap().send(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while seen.iter().map(|s| s.frames.len()).sum::<usize>() < count && Instant::now() < end {
            for (receiver, seen) in receivers.iter_mut().zip(&mut seen) {
                let _ = receiver.receive(Duration::from_millis(5), seen);
            }
        }
        assert_eq!(seen.iter().map(|s| s.frames.len()).sum::<usize>(), count);
    };
    send(&veth, &mut receivers, 100);
    ip(&format!("link set {} down", veth.b));
    assert_eq!(interface.maintain().unwrap(), [LinkEvent::Down]);
    veth.set_up();
    assert_eq!(interface.maintain().unwrap(), [LinkEvent::Up]);
    send(&veth, &mut receivers, 200);
    ip(&format!("link del {}", veth.a));
    assert_eq!(interface.maintain().unwrap(), [LinkEvent::Gone]);
    assert_eq!(interface.maintain().unwrap(), []);
    ip(&format!("link add {} type veth peer name {}", veth.a, veth.b));
    veth.set_up();
    let events = interface.maintain().unwrap();
    assert!(matches!(events[..], [LinkEvent::Back { .. }, LinkEvent::Up] | [LinkEvent::Back { .. }]), "{events:?}");
    // The receivers give out what the old sockets hold before they take the new ones.
    std::thread::sleep(Duration::from_millis(50));
    send(&veth, &mut receivers, 300);
    interface.stop();
    for receiver in &mut receivers {
        drain(&mut **receiver, &mut Seen::default());
    }
    let books: u64 = receivers.iter_mut().map(|r| r.books().received.packets).sum();
    assert_eq!(books, 300);
    assert!(receivers.iter_mut().all(|r| r.books().imbalances().is_empty()));
}

/// `gro` of the veth is on before and after, and off in between.
#[test]
fn offloads_that_merge_packets_are_off_while_captured_and_put_back() {
    let Some(veth) = Veth::new("e") else { return };
    let gro = || {
        let output = Command::new("ethtool").args(["-k", &veth.b]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().find(|l| l.starts_with("generic-receive-offload")).map(|l| l.contains(": on"))
    };
    if Command::new("ethtool").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "no ethtool in CI");
        eprintln!("SKIPPED: no ethtool");
        return;
    }
    let done = Command::new("ethtool").args(["-K", &veth.b, "gro", "on"]).status().unwrap();
    assert!(done.success());
    assert_eq!(gro(), Some(true));
    let mut interface = AfPacket::open(&veth.b, options()).unwrap();
    assert_eq!(gro(), Some(false));
    interface.restore();
    assert_eq!(gro(), Some(true));
}

#[test]
fn errors_say_what_to_do() {
    let error = |name: &str, options: AfPacketOptions| AfPacket::open(name, options).map(drop).unwrap_err().to_string();
    assert!(error("no-such-if", options()).contains("there is no interface 'no-such-if'"));
    assert!(error("", options()).contains("''"));
    assert!(error("lo", AfPacketOptions { receivers: 0, ..options() }).contains("1 to 64"));
    assert!(error("lo", AfPacketOptions { block_bytes: 5_000, ..options() }).contains("power of two"));
}
