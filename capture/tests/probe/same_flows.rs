//! The same flows both ways: every Ethernet capture through the kernel program, what it hands over whole through the decoder,
//! gives the packets, bytes, times, flags and DNS messages that the decoder alone gives.
//!
//! Frames cut by the capture are filled with zeros for the kernel program, which knows a frame's length only from the
//! frame; the decoder gets them as they were captured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use capture::file::CaptureReader;
use capture::live::{MicroDirection, Microflow};
use capture::probe::{Area, Probe, ProbeOptions};
use capture::{
    Body, Decoder, DecoderConfig, Frame, Ip, IpVersion, LinkType, Message, Nanos, Packet, Service, Sink, Tunnel,
};

use crate::frames::{Way, udp};
use crate::support::{Memory, by_hand, load};

/// The longest frame the test run takes: a page less headroom and tail for the first buffer, sixteen pages behind it.
const LONGEST: u32 = 64_900;

/// One end of a flow, and the other.
type Key = ([(Ip, u16); 2], u8, IpVersion);

/// What one direction of a key sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sent {
    packets: u64,
    bytes: u64,
    flags: u8,
    first: i64,
    tos: u8,
}

/// What is known of a key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Known {
    sent: [Sent; 2],
    last: i64,
    service: Option<Service>,
    /// Packets came in a tunnel of this kind.
    tunnel: Option<Tunnel>,
}

/// Adds up packets and microflows; keeps messages.
#[derive(Default)]
struct Sum {
    flows: BTreeMap<Key, Known>,
    messages: Vec<Message>,
}

const ICMP: [u8; 2] = [1, 58];

impl Sum {
    fn known(&mut self, src: (Ip, u16), dst: (Ip, u16), proto: u8, version: IpVersion) -> (&mut Known, usize) {
        // ICMP has type and code in the ports: ordered by address alone, so that they stay where they are.
        let key = |end: (Ip, u16)| (end.0.0, if ICMP.contains(&proto) { 0 } else { end.1 });
        let side = usize::from(key(src) > key(dst));
        let mut ends = if side == 0 { [src, dst] } else { [dst, src] };
        if ICMP.contains(&proto) {
            (ends[0].1, ends[1].1) = (src.1, dst.1);
        }
        (self.flows.entry((ends, proto, version)).or_default(), side)
    }

    fn add(known: &mut Known, side: usize, sent: Sent, last: i64) {
        let direction = &mut known.sent[side];
        if direction.packets == 0 || sent.first < direction.first {
            direction.first = sent.first;
            direction.tos = sent.tos;
        }
        direction.packets += sent.packets;
        direction.bytes += sent.bytes;
        direction.flags |= sent.flags;
        known.last = known.last.max(last);
    }

    fn microflow(&mut self, flow: &Microflow) {
        let Microflow { low, high, low_port, high_port, proto, version, tunnel, from_low, from_high, .. } = *flow;
        let sent = |d: &MicroDirection| Sent {
            packets: d.packets,
            bytes: d.ip_bytes,
            flags: d.tcp_flags,
            first: d.first.micros(),
            tos: d.tos,
        };
        let icmp = ICMP.contains(&proto);
        let ends = ((low, low_port), (high, high_port));
        let back = if icmp { ((high, low_port), (low, high_port)) } else { (ends.1, ends.0) };
        for ((src, dst), direction) in [(ends, from_low), (back, from_high)] {
            if direction.packets > 0 {
                let (known, side) = self.known(src, dst, proto, version);
                Self::add(known, side, sent(&direction), direction.last.micros());
                known.tunnel = known.tunnel.or(tunnel);
            }
        }
    }
}

impl Sink for Sum {
    fn packet(&mut self, packet: &Packet) {
        let pair = &packet.pair;
        let sent = Sent {
            packets: 1,
            bytes: u64::from(packet.ip_bytes),
            flags: packet.tcp.flags,
            first: packet.ts.micros(),
            tos: packet.tos,
        };
        let (known, side) = self.known((pair.src, pair.src_port), (pair.dst, pair.dst_port), pair.proto, pair.version);
        Self::add(known, side, sent, packet.ts.micros());
        known.service = known.service.or(packet.service);
        known.tunnel = known.tunnel.or(packet.tunnel);
    }

    fn message(&mut self, message: Message) {
        self.messages.push(message);
    }
}

/// The kernel's part: runs frames, and gives the decoder those that come back.
struct Kernel {
    probe: Probe,
    area: Area,
    base: u64,
    decoder: Decoder,
    sum: Sum,
}

impl Kernel {
    fn frame(&mut self, frame: &Frame<'_>, ts: Nanos) {
        let micros = ts.micros() as u64;
        // Each flip waits for the kernel: a generation is a minute.
        if micros < self.base || micros > self.base + 60_000_000 {
            self.flip(micros);
        }
        let mut full = frame.data.to_vec();
        full.resize(frame.data.len().max(frame.wire_len as usize).max(14), 0);
        self.probe.test_run(micros, &full, 1).unwrap();
        let mut memory = Memory::default();
        self.area.drain_evicted(&mut memory, usize::MAX);
        self.area.drain_copies(&mut memory, usize::MAX);
        memory.microflows.iter().for_each(|flow| self.sum.microflow(flow));
        if let [copy] = memory.frames.as_slice() {
            let there = copy.data.len();
            assert!(copy.data == full[..there] && copy.wire_len as usize == full.len());
            assert!(there == full.len() || there == 16_383, "{there} of {}", full.len());
            // Bit 0 of its nanoseconds is the generation.
            assert_eq!(copy.ts.micros() as u64, micros, "the time of a frame");
            self.decoder.handle_frame(frame, &mut self.sum);
        }
    }

    fn flip(&mut self, micros: u64) {
        self.probe.flip(micros);
        let mut memory = Memory::default();
        self.area.sweep(&mut memory);
        memory.microflows.iter().for_each(|flow| self.sum.microflow(flow));
        self.base = micros;
    }
}

/// Ethernet captures under the shared folder.
fn captures() -> Vec<PathBuf> {
    let shared = std::env::var_os("SPOTTER_SHARED").map_or_else(|| Path::new("../../shared").to_owned(), PathBuf::from);
    let mut folders = vec![shared.join("data/pcap")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn sorted_dns(messages: &[Message]) -> Vec<String> {
    let dns = messages.iter().filter(|message| matches!(message.body, Body::Dns(_)));
    let mut lines: Vec<String> = dns.map(|message| format!("{message:?}")).collect();
    lines.sort();
    lines
}

/// The frame in VXLAN: Ethernet, IPv4 and UDP before it, as long as it was on the wire.
fn in_vxlan(data: &[u8], wire_len: u32) -> Vec<u8> {
    let outer = Way { src: [10, 255, 0, 1], dst: [10, 255, 0, 2], src_port: 51_000, dst_port: 4_789 };
    let mut head = udp(outer, &[0x08, 0, 0, 0, 0, 0, 42, 0]);
    for (at, before) in [(16, 36_u16), (38, 16)] {
        let length = before + u16::try_from(wire_len).expect("short enough");
        head[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
    head.extend_from_slice(data);
    head
}

#[test]
fn every_ethernet_capture_gives_the_same_flows() {
    same_flows(|frame| (frame.data.to_vec(), frame.wire_len));
}

/// The kernel counts the packets in the tunnel, as the decoder does.
#[test]
fn every_ethernet_capture_gives_the_same_flows_in_vxlan() {
    same_flows(|frame| (in_vxlan(frame.data, frame.wire_len), frame.wire_len + 50));
}

/// `as_sent`: what becomes of a frame and its length before it is sent.
fn same_flows(as_sent: impl Fn(&Frame<'_>) -> (Vec<u8>, u32)) {
    let files = captures();
    if files.is_empty() {
        println!("SKIPPED: no captures (SPOTTER_SHARED or ../shared)");
        return;
    }
    let (mut compared, mut frames_in_all, mut cached_in_all, mut wrong) = (0, 0, 0, Vec::new());
    // Small: flows displace each other.
    let options = ProbeOptions { slots4_shift: 8, slots6_shift: 8, ..by_hand() };
    let Some((probe, areas)) = load(&options) else { return };
    let area = areas.into_iter().next().unwrap();
    let decoder = || Decoder::new(DecoderConfig::default());
    let mut kernel = Kernel { probe, area, base: 0, decoder: decoder(), sum: Sum::default() };
    for path in &files {
        let Ok(mut reader) = CaptureReader::open(path) else { continue };
        (kernel.decoder, kernel.sum) = (decoder(), Sum::default());
        let (mut alone, mut expected, mut frames) = (decoder(), Sum::default(), 0_u64);
        while let Ok(Some(frame)) = reader.next_frame() {
            let Some(ts) = frame.ts.filter(|ts| ts.0 > 0) else { continue };
            // Microseconds: what the kernel program gets, and what records have.
            let ts = Nanos(ts.micros() * 1_000);
            if frame.link != LinkType::ETHERNET || frame.wire_len > LONGEST || frame.data.len() < 14 {
                continue;
            }
            let (data, wire_len) = as_sent(&frame);
            let frame = Frame { ts: Some(ts), data: &data, wire_len, link: frame.link };
            frames += 1;
            alone.handle_frame(&frame, &mut expected);
            kernel.frame(&frame, ts);
        }
        if frames == 0 {
            continue;
        }
        alone.finish(&mut expected);
        kernel.decoder.finish(&mut kernel.sum);
        kernel.flip(kernel.base);
        let books = kernel.area.books();
        assert_eq!(books.imbalances(), [], "{}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let got = std::mem::take(&mut kernel.sum);
        for (key, known) in &expected.flows {
            let found = got.flows.get(key);
            if found != Some(known) {
                wrong.push(format!("{name}: {key:?}\n    alone  {known:?}\n    kernel {found:?}"));
            }
        }
        wrong.extend(
            got.flows.keys().filter(|key| !expected.flows.contains_key(key)).map(|key| format!("{name}: new {key:?}")),
        );
        if sorted_dns(&got.messages) != sorted_dns(&expected.messages) {
            wrong.push(format!("{name}: DNS messages differ"));
        }
        compared += 1;
        frames_in_all += frames;
        cached_in_all = books.cached.packets;
    }
    let cached = cached_in_all as f64 / frames_in_all.max(1) as f64;
    println!("{compared} captures, {frames_in_all} frames, {cached_in_all} counted in the kernel");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(compared > 0 && cached > 0.1, "{cached:.3} of the frames were counted in the kernel");
}
