//! The probe on a real veth pair: XDP in its driver, AF_XDP, books under overload.

use std::process::Command;
use std::time::{Duration, Instant};

use capture::Nanos;
use capture::af_packet::Injector;
use capture::live::source::{Handler, Interface, LiveFrame, Mode, QueueBooks, Received, Receiver};
use capture::live::{Microflow, Policy, SlowPath};
use capture::probe::{Xdp, XdpOptions, stage};
use capture::xsk::SocketOptions;

use crate::frames::{Way, tcp, udp};
use crate::support::{Kept, Memory};

/// A veth pair without IPv6, removed when dropped: frames sent into `a` come out of `b`.
pub(crate) struct Veth {
    pub(crate) a: String,
    pub(crate) b: String,
}

impl Veth {
    /// `None` after saying why, where it cannot be had.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let id = std::process::id() % 100_000;
        let pair = Self { a: format!("pa{id}x{test}"), b: format!("pb{id}x{test}") };
        let made = pair.plug();
        if !made.as_ref().is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "no veth pair in CI: {made:?}");
            println!("SKIPPED: no veth pair (root and `ip` are needed): {made:?}");
            return None;
        }
        pair.set_up();
        Some(pair)
    }

    /// Makes both ends, with room for four queues.
    pub(crate) fn plug(&self) -> std::io::Result<std::process::Output> {
        let queues = ["numrxqueues", "4", "numtxqueues", "4"];
        let mut command = Command::new("ip");
        command
            .args(["link", "add", &self.a])
            .args(queues)
            .args(["type", "veth", "peer", "name", &self.b])
            .args(queues);
        let made = command.output()?;
        for name in [&self.a, &self.b] {
            let _ = Command::new("ethtool").args(["-L", name, "rx", "1", "tx", "1"]).output();
        }
        Ok(made)
    }

    pub(crate) fn set_up(&self) {
        for name in [&self.a, &self.b] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
            assert!(Command::new("ip").args(["link", "set", name, "up"]).status().unwrap().success());
        }
    }

    /// Opens `b`, or says why the test is skipped.
    pub(crate) fn open(&self, options: XdpOptions) -> Option<(Xdp, Vec<Box<dyn Receiver>>)> {
        match Xdp::open(&self.b, options) {
            Ok(mut xdp) => {
                let receivers = xdp.take_receivers();
                Some((xdp, receivers))
            }
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "no XDP in CI: {error}");
                println!("SKIPPED: no XDP here: {error}");
                None
            }
        }
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.a]).output();
    }
}

/// Looks after the interface and receives, until `until` says so or five seconds have passed.
pub(crate) fn run(
    xdp: &mut Xdp,
    receivers: &mut [Box<dyn Receiver>],
    memory: &mut Memory,
    until: impl Fn(&Memory) -> bool,
) {
    let end = Instant::now() + Duration::from_secs(5);
    while !until(memory) && Instant::now() < end {
        xdp.maintain().unwrap();
        for receiver in &mut *receivers {
            receiver.receive(Duration::from_millis(5), memory).unwrap();
        }
    }
}

/// Stops, takes what is left, and adds up the books.
pub(crate) fn end(mut xdp: Xdp, receivers: &mut [Box<dyn Receiver>], memory: &mut Memory) -> QueueBooks {
    xdp.stop();
    let mut books = QueueBooks::default();
    for receiver in receivers {
        let end = Instant::now() + Duration::from_secs(5);
        while receiver.receive(Duration::from_millis(5), memory).unwrap() != Received::Ended {
            assert!(Instant::now() < end, "does not end");
        }
        books.add(&receiver.books());
    }
    assert_eq!(books.imbalances(), []);
    books
}

/// 300 plain datagrams between flows, and 100 that user space wants whole, in several generations.
fn traffic() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let plain = (0..300_u16).map(|n| udp(Way::new((n % 50) as u8, 4_000), &[7; 100])).collect();
    let whole = (0..100_u16).map(|n| udp(Way { dst_port: 53, ..Way::new(1, 10_000 + n) }, &[n as u8; 40])).collect();
    (plain, whole)
}

fn goes_both_ways(options: XdpOptions, mode: Mode, test: &str) -> Option<QueueBooks> {
    let veth = Veth::new(test)?;
    let (mut xdp, mut receivers) = veth.open(XdpOptions { sweep: Duration::from_millis(30), ..options })?;
    assert_eq!(xdp.mode(), mode);
    let injector = Injector::open(&veth.a).unwrap();
    let (plain, whole) = traffic();
    let mut memory = Memory::default();
    let before = now();
    for (plain, whole) in plain.chunks(30).zip(whole.chunks(10)) {
        injector.send(&plain.iter().chain(whole).map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let frames = memory.frames.len() + whole.len();
        run(&mut xdp, &mut receivers, &mut memory, |memory| memory.frames.len() >= frames);
        std::thread::sleep(Duration::from_millis(10));
    }
    let books = end(xdp, &mut receivers, &mut memory);
    let mut data: Vec<&Vec<u8>> = memory.frames.iter().map(|f: &Kept| &f.data).collect();
    if receivers.len() > 1 {
        data.sort();
    }
    assert!(data.iter().copied().eq(whole.iter()), "{} frames", data.len());
    let times = memory
        .frames
        .iter()
        .map(|frame| frame.ts.0)
        .chain(memory.microflows.iter().map(|m| m.from_low.first.0.max(m.from_high.first.0)));
    // A clock tick of slack: counted packets have the coarse clock.
    let outside: Vec<i64> = times.filter(|ts| !(before - 20_000_000..=now()).contains(ts)).collect();
    assert_eq!(outside, [0_i64; 0]);
    assert_eq!(memory.packets(), 300);
    assert_eq!((books.seen.packets, books.cached.packets, books.received.packets), (400, 300, 100));
    Some(books)
}

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// Of veth no driver hands its memory over.
#[test]
fn tap_in_the_driver_copies_what_user_space_wants() {
    let options = XdpOptions::new(Policy::Tap);
    let Some(books) = goes_both_ways(options, Mode::XdpDriver, "d") else { return };
    assert_eq!((books.redirected.packets, books.dropped.packets), (0, 400));
}

#[test]
fn tap_in_the_driver_redirects_what_user_space_wants() {
    let options = XdpOptions { slow_path: SlowPath::AfXdp, ..XdpOptions::new(Policy::Tap) };
    let Some(books) = goes_both_ways(options, Mode::XdpDriver, "t") else { return };
    assert_eq!((books.redirected.packets, books.dropped.packets), (100, 300));
}

#[test]
fn inline_copies_and_passes() {
    let options = XdpOptions::new(Policy::Inline);
    let Some(books) = goes_both_ways(options, Mode::XdpDriver, "i") else { return };
    assert_eq!(books.passed.packets, 400);
}

#[test]
fn generic_xdp_counts_the_same() {
    let options = XdpOptions { generic: true, ..XdpOptions::new(Policy::Tap) };
    let Some(books) = goes_both_ways(options, Mode::XdpGeneric, "g") else { return };
    assert_eq!(books.dropped.packets, 400);
}

/// A socket of 64 chunks that nobody reads while 20,000 frames come: each is received or lost, and the kernel's own count
/// of those it lost is the same.
#[test]
fn a_full_socket_loses_frames_in_the_books() {
    let Some(veth) = Veth::new("o") else { return };
    let socket = SocketOptions { chunks: 64, ..SocketOptions::default() };
    let options = XdpOptions { slow_path: SlowPath::AfXdp, socket, ..XdpOptions::new(Policy::Tap) };
    let Some((xdp, mut receivers)) = veth.open(options) else { return };
    let injector = Injector::open(&veth.a).unwrap();
    let frame = tcp(Way::new(1, 2_000), 2, b"");
    for _ in 0..200 {
        injector.send(&[frame.as_slice(); 100]).unwrap();
    }
    let mut memory = Memory::default();
    let books = end(xdp, &mut receivers, &mut memory);
    let explained = |name| books.explained.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value);
    assert!(books.seen.packets > 10_000, "{books:?}");
    assert!(books.received.packets >= 64 && books.lost_xsk.packets > 0, "{books:?}");
    assert_eq!(books.received.packets, memory.frames.len() as u64);
    assert_eq!(books.lost_xsk.packets, explained("xsk_dropped") + explained("xsk_ring_full"));
}

/// Nobody reads while more comes than the ring of copies takes (16 or 32 MiB of entries of 288 bytes), between packets of flows
/// that are only counted: each is in one term, and the sum is what was sent.
fn a_full_copy_ring(options: XdpOptions, test: &str, verdict: fn(&QueueBooks) -> u64) {
    // Where areas are CPUs, each has a ring: two would take it all.
    stage::stay_on([0]).unwrap();
    let Some(veth) = Veth::new(test) else { return };
    let Some((xdp, mut receivers)) = veth.open(options) else { return };
    let injector = Injector::open(&veth.a).unwrap();
    let whole = udp(Way { dst_port: 53, ..Way::new(1, 10_000) }, &[7; 40]);
    let plain = udp(Way::new(2, 4_000), &[7; 100]);
    let mut sent = 0;
    for round in 0..2_000 {
        let frames: Vec<&[u8]> = (0..100).map(|n| if n % 10 == round % 10 { &*plain } else { &*whole }).collect();
        injector.send(&frames).unwrap();
        sent += frames.len() as u64;
    }
    let mut memory = Memory::default();
    let books = end(xdp, &mut receivers, &mut memory);
    assert_eq!((books.seen.packets, verdict(&books)), (sent, sent), "{books:?}");
    assert!(books.lost_copy_ring.packets > 0 && books.received.packets > 50_000, "{books:?}");
    assert_eq!(books.cached.packets + books.received.packets + books.lost_copy_ring.packets, sent, "{books:?}");
    assert_eq!(memory.frames.len() as u64 + memory.packets() + books.lost_copy_ring.packets, sent);
}

#[test]
fn a_full_copy_ring_loses_frames_in_the_books_of_a_generic_tap() {
    let options = XdpOptions { generic: true, ..XdpOptions::new(Policy::Tap) };
    a_full_copy_ring(options, "cg", |books| books.dropped.packets);
}

#[test]
fn a_full_copy_ring_loses_frames_in_the_books_inline() {
    a_full_copy_ring(XdpOptions::new(Policy::Inline), "ci", |books| books.passed.packets);
}

/// While a sweep waits for room, 200 frames come into a socket of 64 chunks: none is lost, and all are handed over after the
/// slots of the generation that was closed before.
#[test]
fn frames_that_come_while_a_generation_is_read_are_kept() {
    let Some(veth) = Veth::new("w") else { return };
    let socket = SocketOptions { chunks: 64, ..SocketOptions::default() };
    let slow_path = SlowPath::AfXdp;
    let options = XdpOptions { sweep: Duration::from_millis(200), slow_path, socket, ..XdpOptions::new(Policy::Tap) };
    let Some((mut xdp, mut receivers)) = veth.open(options) else { return };
    let injector = Injector::open(&veth.a).unwrap();
    let flows: Vec<Vec<u8>> = (0..150).map(|n| udp(Way::new(1, 4_000 + n), &[7; 100])).collect();
    injector.send(&flows.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let mut slow = Slow::new(injector);
    slow.receive(&mut xdp, &mut receivers);
    let books = end(xdp, &mut receivers, &mut slow.memory);
    assert_eq!((books.received.packets, books.lost_xsk.packets), (200, 0));
    assert_eq!(slow.memory.packets(), 150);
    assert_eq!(slow.slots_before, [150; 200]);
}

/// The same of slots that left early, which nobody had room for: they wait, and the frames that came after them do.
#[test]
fn slots_that_left_early_are_not_lost_where_a_shard_is_behind() {
    behind("l", SlowPath::AfXdp);
}

#[test]
fn slots_that_left_early_come_before_frames_that_are_copied() {
    behind("m", SlowPath::Ring);
}

fn behind(test: &str, slow_path: SlowPath) {
    let Some(veth) = Veth::new(test) else { return };
    let socket = SocketOptions { chunks: 64, ..SocketOptions::default() };
    // 64 slots.
    let tap = XdpOptions::new(Policy::Tap);
    let options = XdpOptions { sweep: Duration::from_secs(60), slow_path, socket, cache_bytes: 16 << 10, ..tap };
    let Some((mut xdp, mut receivers)) = veth.open(options) else { return };
    let injector = Injector::open(&veth.a).unwrap();
    let flows: Vec<Vec<u8>> = (0..600).map(|n| udp(Way::new(1, 20_000 + n), &[7; 100])).collect();
    injector.send(&flows.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let mut slow = Slow::new(injector);
    slow.receive(&mut xdp, &mut receivers);
    let displaced = slow.memory.microflows.len();
    assert!((500..600).contains(&displaced), "{displaced}");
    assert_eq!(slow.slots_before, vec![displaced; 200]);
    let books = end(xdp, &mut receivers, &mut slow.memory);
    assert_eq!((books.received.packets, books.lost_xsk.packets, books.lost_ring_full.packets), (200, 0, 0));
    assert_eq!(slow.memory.packets(), 600);
}

/// Has no room for slots until it has sent frames.
struct Slow {
    memory: Memory,
    injector: Injector,
    whole: Vec<Vec<u8>>,
    /// For each frame, how many slots came before it.
    slots_before: Vec<usize>,
}

impl Slow {
    fn new(injector: Injector) -> Self {
        let whole =
            (0..200_u16).map(|n| udp(Way { dst_port: 53, ..Way::new(1, 10_000 + n) }, &[n as u8; 40])).collect();
        Self { memory: Memory::default(), injector, whole, slots_before: Vec::new() }
    }

    /// Until its 200 frames have come.
    fn receive(&mut self, xdp: &mut Xdp, receivers: &mut [Box<dyn Receiver>]) {
        let until = Instant::now() + Duration::from_secs(5);
        while self.memory.frames.len() < 200 && Instant::now() < until {
            xdp.maintain().unwrap();
            receivers[0].receive(Duration::from_millis(5), self).unwrap();
        }
    }
}

impl Handler for Slow {
    fn frames(&mut self, frames: &[LiveFrame<'_>]) {
        self.slots_before.extend(frames.iter().map(|_| self.memory.microflows.len()));
        self.memory.frames(frames);
    }

    fn microflows(&mut self, microflows: &[Microflow]) {
        self.memory.microflows(microflows);
    }

    fn room(&mut self) -> usize {
        let sent = self.whole.len().min(20);
        let now: Vec<Vec<u8>> = self.whole.drain(..sent).collect();
        self.injector.send(&now.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        if sent == 0 { usize::MAX } else { 0 }
    }

    fn complete_to(&mut self, ts: Nanos) {
        self.memory.complete_to(ts);
    }
}
