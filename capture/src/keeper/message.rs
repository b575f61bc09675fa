//! What both processes say to each other.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::live::source::{Interface, LinkEvent, Mode};
use crate::live::{Filter, OpenOptions};

/// What the reader asks for. Interfaces are numbered as they were opened.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Open { name: String, options: Box<OpenOptions> },
    Maintain { interface: usize, read: Read },
    SetFilter { interface: usize, filter: Filter },
    Published { interface: usize, read: Read },
    Counters { interface: usize },
    Stop { interface: usize, read: Read },
    Restore { interface: usize },
}

/// What the keeper answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Opened { interface: usize, mode: Mode, clock: String, way: Way, given: Given },
    Kept { events: Vec<LinkEvent>, given: Given },
    Counters(Vec<(String, u64)>),
    Done,
    Failed(String),
}

/// How an interface is captured: what receivers are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Way {
    /// Areas of the probe: so many receivers.
    Areas(usize),
    /// Packet sockets with a ring of this shape.
    Sockets { block_bytes: u32, blocks: u32, retire: Duration, sample: u32 },
}

/// How far the reader has come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Read {
    /// Receivers that have read all areas they had.
    pub(crate) vacant: Vec<bool>,
    /// Of each probe it knows.
    pub(crate) probes: Vec<ProbeRead>,
}

/// How far the reader has come with a probe.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ProbeRead {
    /// The keeper's number of it.
    pub(crate) number: u64,
    /// Generations each of its areas has read.
    pub(crate) swept: Vec<u64>,
    /// Areas that were read to the end.
    pub(crate) concluded: u32,
}

/// What the keeper hands over since it was asked last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Given {
    /// Areas, each with its descriptors: slots of both versions, books, control, rings of slots and copies, and of a socket itself and its memory.
    pub(crate) parts: Vec<PartHead>,
    /// How all probes stand that have not been read to the end.
    pub(crate) probes: Vec<ProbeState>,
    /// Probes of which nothing outlives the processes any more.
    pub(crate) forgotten: Vec<u64>,
    /// Packet sockets, each one descriptor: of which receiver.
    pub(crate) rings: Vec<usize>,
    /// Frames longer than this were put together by the stack.
    pub(crate) longest_frame: u32,
    /// The last descriptor is the lock on what is pinned: both hold it.
    pub(crate) lock: bool,
}

/// How a probe stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ProbeState {
    pub(crate) number: u64,
    /// Generations closed.
    pub(crate) closed: u64,
    /// No program runs any more.
    pub(crate) ended: bool,
    /// UTC less the monotonic clock, nanoseconds.
    pub(crate) offset: i64,
    /// When tick 0 of the program's clock was, by the monotonic clock, nanoseconds.
    pub(crate) phase: i64,
}

/// An area, beside its descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PartHead {
    /// The receiver it is for.
    pub(crate) seat: usize,
    pub(crate) probe: ProbeState,
    /// The descriptors of the probe's maps come first: with the first part of a probe in a message.
    pub(crate) with_maps: bool,
    /// All areas of the probe, and which this is.
    pub(crate) areas: usize,
    pub(crate) area: usize,
    pub(crate) slots4_shift: u32,
    pub(crate) slots6_shift: u32,
    pub(crate) displaced_shift: u32,
    /// Its number, where it is pinned.
    pub(crate) instance: Option<u64>,
    /// It was a killed process's; whether that one's ledger is ours.
    pub(crate) former: Option<bool>,
    pub(crate) socket: Option<SocketHead>,
}

/// An AF_XDP socket, beside its descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SocketHead {
    pub(crate) chunks: u32,
    pub(crate) chunk_bytes: u32,
    pub(crate) zero_copy: bool,
}

/// An interface as the keeper has it: it makes no receivers of its own.
pub(crate) trait Kept: Interface {
    /// What the reader makes receivers of.
    fn way(&self) -> Way;

    /// The reader has come so far.
    fn has_read(&mut self, read: &Read);

    /// What is new since the last call, with its descriptors in order.
    fn give(&mut self) -> io::Result<(Given, Vec<OwnedFd>)>;
}
