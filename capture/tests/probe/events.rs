//! What happens to interfaces while they are captured: nothing that arrives while they are there is lost or counted twice.

use std::process::Command;
use std::time::{Duration, Instant};

use capture::af_packet::Injector;
use capture::live::Policy;
use capture::live::source::{Interface, LinkEvent, QueueBooks, Receiver};
use capture::probe::{Xdp, XdpOptions};

use crate::frames::{Way, udp};
use crate::support::Memory;
use crate::veth::{Veth, end};

fn command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A capture of `b` under way.
struct Captured {
    veth: Veth,
    xdp: Xdp,
    receivers: Vec<Box<dyn Receiver>>,
    memory: Memory,
    events: Vec<LinkEvent>,
}

impl Captured {
    fn new(test: &str) -> Option<Self> {
        Self::with(test, Policy::Tap)
    }

    fn with(test: &str, policy: Policy) -> Option<Self> {
        let veth = Veth::new(test)?;
        let options = XdpOptions { sweep: Duration::from_millis(50), ..XdpOptions::new(policy) };
        let (xdp, receivers) = veth.open(options)?;
        Some(Self { veth, xdp, receivers, memory: Memory::default(), events: Vec::new() })
    }

    fn step(&mut self) {
        self.events.extend(self.xdp.maintain().unwrap());
        for receiver in &mut self.receivers {
            receiver.receive(Duration::from_millis(2), &mut self.memory).unwrap();
        }
    }

    /// Goes on until an event comes; all that came since the last time.
    #[track_caller]
    fn until(&mut self, is: impl Fn(&LinkEvent) -> bool) -> Vec<LinkEvent> {
        let end = Instant::now() + Duration::from_secs(10);
        while !self.events.iter().any(&is) {
            assert!(Instant::now() < end, "did not come; there were {:?}", self.events);
            self.step();
        }
        std::mem::take(&mut self.events)
    }

    /// Sends a plain datagram and a question for a name, so many times, and waits until the questions are there.
    #[track_caller]
    fn exchange(&mut self, times: u16, payload: usize) {
        let injector = Injector::open(&self.veth.a).unwrap();
        let frames = self.memory.frames.len() + usize::from(times);
        for n in 0..times {
            let way = Way::new(n as u8, 5_000 + n);
            let (plain, name) = (udp(way, &vec![0; payload]), udp(Way { dst_port: 53, ..way }, &vec![0; payload]));
            injector.send(&[&plain, &name]).unwrap();
            self.step();
        }
        let end = Instant::now() + Duration::from_secs(5);
        while self.memory.frames.len() < frames {
            assert!(Instant::now() < end, "{} of {frames} frames", self.memory.frames.len());
            self.step();
        }
    }

    fn end(self) -> (QueueBooks, Memory, Vec<(std::borrow::Cow<'static, str>, u64)>) {
        let Self { mut xdp, mut receivers, mut memory, veth: _veth, .. } = self;
        let counters = xdp.counters();
        let books = end(xdp, &mut receivers, &mut memory);
        (books, memory, counters)
    }
}

#[track_caller]
fn assert_books(books: &QueueBooks, memory: &Memory, exchanges: u64) {
    assert_eq!(
        (books.seen.packets, books.cached.packets, books.received.packets),
        (2 * exchanges, exchanges, exchanges)
    );
    assert_eq!((memory.packets(), memory.frames.len() as u64), (exchanges, exchanges));
}

#[test]
fn an_interface_set_down_and_up_again_goes_on() {
    let Some(mut captured) = Captured::new("ud") else { return };
    captured.exchange(10, 20);
    let name = captured.veth.b.clone();
    command("ip", &["link", "set", &name, "down"]);
    assert_eq!(captured.until(|event| *event == LinkEvent::Down), [LinkEvent::Down]);
    command("ip", &["link", "set", &name, "up"]);
    assert_eq!(captured.until(|event| *event == LinkEvent::Up), [LinkEvent::Up]);
    captured.exchange(10, 20);
    let (books, memory, counters) = captured.end();
    assert_books(&books, &memory, 20);
    assert!(counters.contains(&("interface_reopened".into(), 0)), "{counters:?}");
}

#[test]
fn an_interface_that_comes_back_with_another_index_is_captured_again() {
    let Some(mut captured) = Captured::new("gb") else { return };
    captured.exchange(10, 20);
    command("ip", &["link", "del", &captured.veth.a.clone()]);
    assert_eq!(captured.until(|event| *event == LinkEvent::Gone), [LinkEvent::Gone]);
    // Away for a while: receivers go on, the time goes on.
    (0..20).for_each(|_| captured.step());
    assert!(captured.veth.plug().unwrap().status.success());
    captured.veth.set_up();
    let events = captured.until(|event| matches!(event, LinkEvent::Back { .. }));
    assert!(matches!(events.as_slice(), [.., LinkEvent::Back { ifindex: 1.. }]), "{events:?}");
    // Set down or up on the way.
    captured.exchange(10, 20);
    let (books, memory, counters) = captured.end();
    assert_books(&books, &memory, 20);
    assert!(counters.contains(&("interface_returns".into(), 1)), "{counters:?}");
}

/// More queues than receivers, then fewer: whatever is captured is in the books of the receivers there are.
fn queues_change(test: &str, policy: Policy, changes: &[(u32, u32)]) {
    let Some(mut captured) = Captured::with(test, policy) else { return };
    captured.exchange(10, 20);
    let name = captured.veth.b.clone();
    for (&(from, to), reopened) in changes.iter().zip(1..) {
        command("ethtool", &["-L", &name, "rx", &to.to_string()]);
        assert_eq!(captured.until(|event| matches!(event, LinkEvent::Queues { .. })), [LinkEvent::Queues { from, to }]);
        let end = Instant::now() + Duration::from_secs(10);
        while !captured.xdp.counters().contains(&("interface_reopened".into(), reopened)) {
            assert!(Instant::now() < end, "not opened anew");
            captured.step();
        }
        captured.exchange(10, 20);
    }
    let (books, memory, _) = captured.end();
    assert_books(&books, &memory, 10 + 10 * changes.len() as u64);
}

/// Fewer are refused by the kernel (6.18) while AF_XDP sockets are bound to those that would go.
#[test]
fn more_queues_open_a_tap_anew() {
    queues_change("qt", Policy::Tap, &[(1, 3)]);
}

#[test]
fn more_and_fewer_queues_open_an_inline_interface_anew() {
    queues_change("qi", Policy::Inline, &[(1, 3), (3, 2)]);
}

#[test]
fn a_larger_mtu_lets_longer_frames_in() {
    let Some(mut captured) = Captured::new("mt") else { return };
    captured.exchange(5, 1_000);
    for end in [captured.veth.b.clone(), captured.veth.a.clone()] {
        command("ip", &["link", "set", &end, "mtu", "9000"]);
    }
    let events = captured.until(|event| matches!(event, LinkEvent::Mtu { .. }));
    assert_eq!(events, [LinkEvent::Mtu { from: 1_500, to: 9_000 }]);
    // Longer than a chunk of the socket, too.
    captured.exchange(5, 8_000);
    let (books, memory, _) = captured.end();
    assert_books(&books, &memory, 10);
    assert!(books.swept.bytes > 5 * 9_000, "{books:?}");
}
