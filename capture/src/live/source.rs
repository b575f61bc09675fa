//! What a live source fulfils: the contract between the kernel's ways of handing out packets and the shell that
//! turns them into records.
//!
//! An [`Interface`] is opened with privileges, and gives one [`Receiver`] per queue. Each receiver runs on a thread of
//! its own, without privileges; the interface itself stays with one thread, which calls [`Interface::maintain`] several times a second. What
//! takes privileges may be done by another process on its behalf ([`crate::keeper`]).
//!
//! ```text
//!   open ─► Interface ── take_receivers ─► Receiver, Receiver, …     (one thread each: `receive` in a loop)
//!               │
//!               ├─ maintain      several times a second: links that come and go, generations that are flipped
//!               ├─ set_filter    at SIGHUP
//!               └─ stop          nothing more enters; receivers give out what is left, then `Received::Ended`
//! ```
//!
//! Promises of a source: every packet the kernel showed it is in exactly one term of [`QueueBooks`], which is
//! consistent whenever [`Receiver::books`] is called between two calls of [`Receiver::receive`]; `receive` never blocks
//! for longer than it is told; nothing panics on what is received.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::live::{Filter, Microflow};
use crate::{Frame, LinkType, Nanos};

/// A VLAN tag that the kernel took out of the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VlanTag {
    /// Tag protocol identifier: 0x8100 or 0x88a8.
    pub tpid: u16,
    /// Tag control information: priority, drop eligibility, VLAN id.
    pub tci: u16,
}

impl VlanTag {
    /// Bytes of a tag in a frame.
    pub const LEN: u32 = 4;

    /// The tag as it stands in a frame, after the two addresses.
    pub const fn bytes(self) -> [u8; 4] {
        let [a, b] = self.tpid.to_be_bytes();
        let [c, d] = self.tci.to_be_bytes();
        [a, b, c, d]
    }
}

/// One frame from the wire, Ethernet header first. Borrowed until [`Handler::frames`] returns.
#[derive(Clone, Copy, Debug)]
pub struct LiveFrame<'a> {
    /// When the kernel received it.
    pub ts: Nanos,
    /// Captured bytes, without the tag in `vlan`.
    pub data: &'a [u8],
    /// Length on the wire without frame check sequence and without the tag in `vlan`.
    pub wire_len: u32,
    /// The outermost VLAN tag, where it was taken out. Who keeps the frame puts it back in.
    pub vlan: Option<VlanTag>,
}

impl<'a> LiveFrame<'a> {
    /// Length on the wire with the tag.
    pub const fn full_len(&self) -> u32 {
        self.wire_len + if self.vlan.is_some() { VlanTag::LEN } else { 0 }
    }

    /// The frame as decoders take it. `None` where a tag has to be put back in first.
    pub const fn as_frame(&self) -> Option<Frame<'a>> {
        match self.vlan {
            Some(_) => None,
            None => {
                Some(Frame { ts: Some(self.ts), wire_len: self.wire_len, data: self.data, link: LinkType::ETHERNET })
            }
        }
    }
}

/// Where a receiver puts what it received. It must not block.
pub trait Handler {
    /// Frames, in the order in which this queue received them.
    fn frames(&mut self, frames: &[LiveFrame<'_>]);

    /// Flows counted in the kernel; see [`Microflow`].
    fn microflows(&mut self, microflows: &[Microflow]);

    /// How many microflows can be taken now without losing any, beside what cannot wait. A whole cache is more than any
    /// ring holds: who has one to hand over waits for room.
    fn room(&mut self) -> usize {
        usize::MAX
    }

    /// Everything this queue received before `ts` was handed over: later calls bring later frames only. The clock
    /// of `ts` is that of the frames. Called also when nothing came, so that other queues need not wait.
    fn complete_to(&mut self, ts: Nanos);
}

/// What a call of [`Receiver::receive`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// Something was handed over; there may be more at once.
    Some,
    /// Nothing came in the time given.
    Idle,
    /// The interface was stopped, and all that was left has been handed over.
    Ended,
}

/// Which queue of which interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueName {
    /// Name of the interface.
    pub interface: String,
    /// Its number: the receive queue, or of a fanout the member.
    pub queue: u32,
}

/// The books of memory in the kernel that outlives this process: told with each ledger, so that whoever takes it over after
/// a SIGKILL knows which of its counts have been told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survivor {
    /// Number of the probe.
    pub instance: u64,
    /// Which of its areas.
    pub area: u32,
    /// All of it that was told, since the probe was loaded.
    pub books: QueueBooks,
    /// Handed over of generations that are not closed: in no term of the books.
    pub early: Tally,
}

/// One receive queue.
pub trait Receiver: Send {
    /// Which.
    fn name(&self) -> &QueueName;

    /// Hands over what came, waiting at most `wait` for it. May return early. After an error it can be called again.
    fn receive(&mut self, wait: Duration, to: &mut dyn Handler) -> Result<Received, SourceError>;

    /// The queue's books since it was opened.
    fn books(&mut self) -> QueueBooks;

    /// Those of what outlives the process, as of the same moment.
    fn survivors(&mut self) -> Vec<Survivor> {
        Vec::new()
    }
}

/// How packets leave the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Mode {
    /// XDP program in the driver.
    XdpDriver,
    /// XDP program in the stack, behind the allocation of the packet.
    XdpGeneric,
    /// Packet socket with a memory-mapped ring.
    AfPacket,
}

impl Mode {
    /// The name in the log and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XdpDriver => "xdp_driver",
            Self::XdpGeneric => "xdp_generic",
            Self::AfPacket => "af_packet",
        }
    }
}

/// What happened to an interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LinkEvent {
    /// It is up again.
    Up,
    /// It was set down. Capture waits for it.
    Down,
    /// It does not exist any more. Capture waits for the name to come back.
    Gone,
    /// The name came back, with this interface index; capture goes on there.
    Back {
        /// The new index.
        ifindex: u32,
    },
    /// Its MTU changed.
    Mtu {
        /// Before, bytes.
        from: u32,
        /// Now, bytes.
        to: u32,
    },
    /// Its number of receive queues changed.
    Queues {
        /// Before.
        from: u32,
        /// Now.
        to: u32,
    },
}

/// One interface that is captured.
pub trait Interface: Send {
    /// Its name.
    fn name(&self) -> &str;

    /// How its packets leave the kernel.
    fn mode(&self) -> Mode;

    /// The clock of its times and their resolution, as the ledger says it.
    fn clock(&self) -> String;

    /// The receivers; empty when called again.
    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>>;

    /// Says what was told of the memory that a killed process left, and this one has taken over. To be called once, before
    /// [`take_receivers`](Self::take_receivers).
    fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        let _ = told;
    }

    /// A ledger was published since the last call.
    fn published(&mut self) {}

    /// Looks after the interface; to be called several times a second. What happened since the last call.
    fn maintain(&mut self) -> Result<Vec<LinkEvent>, SourceError>;

    /// From now on these packets are dropped early.
    fn set_filter(&mut self, filter: &Filter) -> Result<(), SourceError>;

    /// Counters of the port since it was opened, beyond those of the queues: name and value. Not part of the equations.
    fn counters(&mut self) -> Vec<(Cow<'static, str>, u64)>;

    /// Nothing more enters. Receivers hand over what is left and then say [`Received::Ended`].
    fn stop(&mut self);

    /// Puts back the settings that were changed (offloads, promiscuous mode); also done when dropped.
    fn restore(&mut self);
}

/// Packets and their bytes on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Packets (frames).
    pub packets: u64,
    /// Their bytes on the wire, without frame check sequence.
    pub bytes: u64,
}

impl Tally {
    /// Counts one frame.
    #[inline]
    pub const fn add(&mut self, bytes: u32) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { packets: self.packets + other.packets, bytes: self.bytes + other.bytes }
    }

    /// The difference, not below 0.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self { packets: self.packets.saturating_sub(other.packets), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}

macro_rules! queue_books {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The books of one queue, counted from its opening. Terms a source does not have are 0.
        ///
        /// ```text
        /// offered      = missed_before_probe + in_socket_unseen + seen
        /// seen         = dropped + passed + redirected
        /// seen         = not_ip + malformed + filtered + sampled_out + cached + to_slow_path
        /// cached       = swept + received_from_ring + lost_ring_full + in_cache + in_ring + cached_at_crash
        /// to_slow_path = received + lost_xsk + lost_copy_ring + redirect_failed + in_xsk + slow_path_at_crash
        /// ```
        ///
        /// Of what was in the hands of a process that was killed, `told_at_crash` stands in its own ledger; the rest,
        /// [`lost_at_crash`](QueueBooks::lost_at_crash), is lost.
        #[derive(Clone, PartialEq, Eq, Debug, Default)]
        pub struct QueueBooks {
            $($(#[doc = $doc])+ pub $name: Tally,)+
            /// Counters that explain and are part of no equation: name and value.
            pub explained: Vec<(&'static str, u64)>,
        }

        impl QueueBooks {
            /// Name and value of each term.
            pub fn terms(&self) -> Vec<(&'static str, Tally)> {
                vec![$((stringify!($name), self.$name),)+]
            }

            /// A term by its name.
            pub fn term_mut(&mut self, name: &str) -> Option<&mut Tally> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }

            /// The terms less those of earlier books of the same; nothing that explains.
            #[must_use]
            pub fn less(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.less(earlier.$name),)+ explained: Vec::new() }
            }

            /// The sum of two books.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
                for (name, value) in &other.explained {
                    match self.explained.iter_mut().find(|(known, _)| known == name) {
                        Some((_, sum)) => *sum += value,
                        None => self.explained.push((name, *value)),
                    }
                }
            }
        }
    };
}

queue_books! {
    /// What the kernel offered to this queue.
    offered,
    /// Lost before the source saw them. AF_PACKET: the socket's ring was full (the kernel does not tell their bytes).
    missed_before_probe,
    /// AF_PACKET: in the socket's ring, not yet looked at (bytes not known).
    in_socket_unseen,
    /// What the source looked at.
    seen,
    /// Verdict: ends here. A packet socket looks at copies: all it sees are `passed`.
    dropped,
    /// Verdict: goes on into the host's stack.
    passed,
    /// Verdict: into an AF_XDP socket.
    redirected,
    /// Fate: carries no IP, told so in the kernel.
    not_ip,
    /// Fate: cannot be read, told so in the kernel.
    malformed,
    /// Fate: dropped early by the filter.
    filtered,
    /// Fate: not in the sample.
    sampled_out,
    /// Fate: counted in the kernel's flow cache.
    cached,
    /// Fate: to user space, whole.
    to_slow_path,
    /// Of the cached: read at a sweep.
    swept,
    /// Of the cached: left early, through the ring.
    received_from_ring,
    /// Of the cached: left early and found the ring full.
    lost_ring_full,
    /// Of the cached: still there.
    in_cache,
    /// Of the cached: in the ring.
    in_ring,
    /// Of those to user space: handed over by the receiver.
    received,
    /// Of those to user space: lost by the AF_XDP socket.
    lost_xsk,
    /// Of those to user space: lost because the copy ring was full.
    lost_copy_ring,
    /// Of those to user space: the redirect failed.
    redirect_failed,
    /// Of those to user space: in the AF_XDP socket.
    in_xsk,
    /// Of the cached: taken by a process that was killed.
    cached_at_crash,
    /// Of those to user space: taken by a process that was killed, or in its socket.
    slow_path_at_crash,
    /// Of both: handed over and told before their generation was closed.
    told_at_crash,
    /// Handed over already, but of a generation that is not closed and so in no other term.
    in_open_generation,
}

/// An equation of the books that does not hold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the books do not close: {unit} of {equation}: {left} on the left, {right} on the right")]
pub struct Open {
    /// Packets or bytes.
    pub unit: &'static str,
    /// The equation.
    pub equation: &'static str,
    /// Value of its left side.
    pub left: u64,
    /// Value of its right side.
    pub right: u64,
}

impl QueueBooks {
    /// Packets that a process that was killed had taken and never told of.
    pub const fn lost_at_crash(&self) -> Tally {
        let Self { cached_at_crash: cached, slow_path_at_crash: slow, told_at_crash: told, .. } = self;
        Tally {
            packets: (cached.packets + slow.packets).saturating_sub(told.packets),
            bytes: (cached.bytes + slow.bytes).saturating_sub(told.bytes),
        }
    }

    /// The equations that do not hold. That of `offered` is checked in packets only.
    pub fn imbalances(&self) -> Vec<Open> {
        let mut open = self.unit("packets", |t| t.packets);
        open.extend(self.unit("bytes", |t| t.bytes));
        open
    }

    fn unit(&self, unit: &'static str, of: fn(&Tally) -> u64) -> Vec<Open> {
        let sum = |terms: &[&Tally]| terms.iter().map(|t| of(t)).sum::<u64>();
        let equations = [
            (
                "offered = missed_before_probe + in_socket_unseen + seen",
                &self.offered,
                sum(&[&self.missed_before_probe, &self.in_socket_unseen, &self.seen]),
            ),
            ("seen = dropped + passed + redirected", &self.seen, sum(&[&self.dropped, &self.passed, &self.redirected])),
            (
                "seen = not_ip + malformed + filtered + sampled_out + cached + to_slow_path",
                &self.seen,
                sum(&[
                    &self.not_ip,
                    &self.malformed,
                    &self.filtered,
                    &self.sampled_out,
                    &self.cached,
                    &self.to_slow_path,
                ]),
            ),
            (
                "cached = swept + received_from_ring + lost_ring_full + in_cache + in_ring + cached_at_crash",
                &self.cached,
                sum(&[
                    &self.swept,
                    &self.received_from_ring,
                    &self.lost_ring_full,
                    &self.in_cache,
                    &self.in_ring,
                    &self.cached_at_crash,
                ]),
            ),
            (
                "to_slow_path = received + lost_xsk + lost_copy_ring + redirect_failed + in_xsk + slow_path_at_crash",
                &self.to_slow_path,
                sum(&[
                    &self.received,
                    &self.lost_xsk,
                    &self.lost_copy_ring,
                    &self.redirect_failed,
                    &self.in_xsk,
                    &self.slow_path_at_crash,
                ]),
            ),
        ];
        let not_in_bytes = |equation: &str| unit == "bytes" && equation.starts_with("offered");
        equations
            .into_iter()
            .filter(|(equation, left, right)| !not_in_bytes(equation) && of(left) != *right)
            .map(|(equation, left, right)| Open { unit, equation, left: of(left), right })
            .collect()
    }
}

/// Why an interface cannot be captured, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such interface.
    #[error("there is no interface '{0}' (`ip link` lists them)")]
    NoInterface(String),
    /// Its link layer is not Ethernet.
    #[error("interface '{interface}' is not Ethernet (link type {kind}); only Ethernet interfaces are captured")]
    NotEthernet {
        /// Which.
        interface: String,
        /// ARPHRD number.
        kind: u16,
    },
    /// Not allowed.
    #[error("{doing} of '{interface}' is not allowed: run as root, or give the program {needs}")]
    NotAllowed {
        /// What was tried.
        doing: &'static str,
        /// Where.
        interface: String,
        /// The capabilities it takes.
        needs: &'static str,
    },
    /// The mode or policy is refused, with the reason and what to do.
    #[error("{0}")]
    Refused(String),
    /// A setting out of its range.
    #[error("{name} is out of range: expected {range}")]
    OutOfRange {
        /// Which setting.
        name: &'static str,
        /// What is allowed.
        range: String,
    },
    /// The kernel refused.
    #[error("{doing} of '{interface}' failed: {error}")]
    Kernel {
        /// What was tried.
        doing: &'static str,
        /// Where.
        interface: String,
        /// What the kernel said.
        error: std::io::Error,
    },
}

impl SourceError {
    /// An error of the kernel, told by what was tried; a refusal for lack of rights says what is needed.
    pub fn kernel(doing: &'static str, interface: &str, error: std::io::Error) -> Self {
        let interface = interface.to_owned();
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            return Self::NotAllowed { doing, interface, needs: "CAP_NET_RAW, CAP_NET_ADMIN (XDP: CAP_BPF too)" };
        }
        Self::Kernel { doing, interface, error }
    }
}
