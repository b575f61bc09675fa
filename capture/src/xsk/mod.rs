//! AF_XDP sockets: frames that an XDP program redirects, by shared memory.
//!
//! ```text
//!   UMEM: chunks ──────── free ring ──►  kernel  ──► received ring ──► Socket::receive ──┐
//!      ▲                                                                                 │
//!      └──────────────────────────── given back when the frames were handled ◄───────────┘
//! ```
//!
//! One socket has its own memory and one receive queue. Every chunk is in exactly one place: the free ring, the kernel,
//! the received ring, or lent out within [`Socket::receive`]. The free ring is filled before the socket is bound.
//! Zero copy where the driver has it. Sockets must be closed after the XDP program was detached.
//!
//! Memory: [`SocketOptions::chunks`] × [`SocketOptions::chunk_bytes`].

mod sys;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::keeper::message::SocketHead;
use sys::{Fd, Memory, Ring};

/// Bytes that the program may put before a frame, and its time as the last 8 of them.
const METADATA: usize = 8;

/// Frames handed over in one call of the handler, at most.
pub const BATCH: usize = 64;

/// Whether the driver writes into our memory by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Copying {
    /// Zero copy if it can.
    #[default]
    Auto,
    /// Zero copy or an error.
    Never,
    /// Always a copy.
    Always,
}

/// Settings of a [`Socket`].
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// Chunks of memory: a power of two. Default 4,096.
    pub chunks: u32,
    /// Bytes of a chunk: 2,048 or 4,096. Longer frames take several where the driver can. Default 4,096.
    pub chunk_bytes: u32,
    /// Copies or not.
    pub copying: Copying,
    /// Frames in several chunks.
    pub multi_buffer: bool,
    /// Huge pages, if the system has some set aside.
    pub huge_pages: bool,
    /// Microseconds the kernel polls the queue for us; 0 = it does not.
    pub busy_poll: u32,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            chunks: 4_096,
            chunk_bytes: 4_096,
            copying: Copying::Auto,
            multi_buffer: true,
            huge_pages: false,
            busy_poll: 0,
        }
    }
}

/// What the kernel counted since the socket was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SocketStatistics {
    /// Frames lost: no free chunk, or too long.
    pub dropped: u64,
    /// Frames lost: the received ring was full.
    pub ring_full: u64,
    /// Times the free ring was empty; explains, is no loss of its own.
    pub free_ring_empty: u64,
    /// Frames that came but could not be read; always 0 if the kernel keeps its promises.
    pub strange: u64,
}

/// A frame of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What the program put into the 8 bytes before the frame.
    pub stamp: u64,
    /// The frame.
    pub data: &'a [u8],
}

/// See the [module](self).
#[derive(Debug)]
pub struct Socket {
    // Fields are dropped in their order: the socket is closed before the memory goes.
    fd: Fd,
    received: Ring<libc::xdp_desc>,
    free: Ring<u64>,
    memory: Memory,
    chunk_bytes: u32,
    zero_copy: bool,
    strange: u64,
    /// A frame in several chunks.
    assembled: Vec<u8>,
}

impl Socket {
    /// Opens a socket and binds it to a queue. Takes CAP_NET_RAW.
    pub fn open(ifindex: u32, queue: u32, options: &SocketOptions) -> io::Result<Self> {
        let SocketOptions { chunks, chunk_bytes, copying, multi_buffer, huge_pages, busy_poll } = *options;
        if !chunks.is_power_of_two() || !(64..=1 << 20).contains(&chunks) || !matches!(chunk_bytes, 2_048 | 4_096) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "chunks must be a power of two from 64 to 1048576, of 2048 or 4096 bytes",
            ));
        }
        let fd = Fd::new()?;
        let memory = Memory::new(chunks as usize * chunk_bytes as usize, huge_pages)?;
        fd.register(&memory, chunk_bytes)?;
        let (received, mut free) = fd.rings(chunks)?;
        for chunk in 0..chunks {
            free.set(chunk, u64::from(chunk) * u64::from(chunk_bytes));
        }
        // Before the socket is bound: some drivers take the first chunks at once.
        free.produce_to(chunks);
        if busy_poll > 0 {
            fd.busy_poll(busy_poll, BATCH as u32)?;
        }
        let flags = libc::XDP_USE_NEED_WAKEUP
            | if multi_buffer { libc::XDP_USE_SG } else { 0 }
            | match copying {
                Copying::Auto => 0,
                Copying::Never => libc::XDP_ZEROCOPY,
                Copying::Always => libc::XDP_COPY,
            };
        fd.bind(ifindex, queue, flags)?;
        let zero_copy = fd.is_zero_copy()?;
        Ok(Self { fd, received, free, memory, chunk_bytes, zero_copy, strange: 0, assembled: Vec::new() })
    }

    /// What another process makes this socket of: itself and its memory. Nothing may have been received.
    pub(crate) fn hand_over(&self) -> io::Result<(SocketHead, [OwnedFd; 2])> {
        let Self { memory, chunk_bytes, zero_copy, .. } = self;
        let head = SocketHead { chunks: self.free.size(), chunk_bytes: *chunk_bytes, zero_copy: *zero_copy };
        Ok((head, [self.fd.as_fd().try_clone_to_owned()?, memory.file().try_clone()?]))
    }

    /// A socket that another process has opened.
    pub(crate) fn handed(head: &SocketHead, socket: OwnedFd, memory: OwnedFd) -> io::Result<Self> {
        let SocketHead { chunks, chunk_bytes, zero_copy } = *head;
        let fd = Fd::of(socket);
        let memory = Memory::of(memory, chunks as usize * chunk_bytes as usize)?;
        let (received, free) = fd.map_rings(chunks)?;
        Ok(Self { fd, received, free, memory, chunk_bytes, zero_copy, strange: 0, assembled: Vec::new() })
    }

    /// Whether frames come without a copy.
    pub const fn is_zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Chunks of its memory: frames it has room for.
    pub fn chunks(&self) -> u32 {
        self.free.size()
    }

    /// Frames in the received ring (their chunks, where a frame has several).
    pub fn waiting(&self) -> u32 {
        self.received.produced().wrapping_sub(self.received.consumed())
    }

    /// Hands over up to `most` received frames in batches; their chunks are free again afterwards. How many there were.
    pub fn receive(&mut self, most: u32, mut to: impl FnMut(&[Received<'_>])) -> u32 {
        let Self { received, free, memory, chunk_bytes, strange, assembled, .. } = self;
        let mut at = received.consumed();
        let there = received.produced().wrapping_sub(at).min(most);
        let mut frames = 0;
        let mut left = there;
        while left > 0 {
            let batch = left.min(BATCH as u32);
            let mut out = [Received { stamp: 0, data: &[] }; BATCH];
            let mut filled = 0;
            for index in 0..batch {
                let descriptor = received.get(at.wrapping_add(index));
                let more = descriptor.options & libc::XDP_PKT_CONTD != 0;
                if more || !assembled.is_empty() {
                    // Rare (longer than a chunk): put together, and handed over by itself, in its order.
                    to(out.get(..filled).unwrap_or_default());
                    frames += filled as u32;
                    filled = 0;
                    frames += assemble(memory, descriptor, more, assembled, strange, &mut to);
                    continue;
                }
                match frame(memory, descriptor.addr, descriptor.len) {
                    Some(frame) => {
                        out[filled] = frame;
                        filled += 1;
                    }
                    None => *strange += 1,
                }
            }
            if filled > 0 {
                to(&out[..filled]);
                frames += filled as u32;
            }
            // Every chunk of the batch goes back; there is room for all chunks there are.
            let place = free.produced();
            let mask = !u64::from(*chunk_bytes - 1);
            for index in 0..batch {
                free.set(place.wrapping_add(index), received.get(at.wrapping_add(index)).addr & mask);
            }
            at = at.wrapping_add(batch);
            received.consume_to(at);
            free.produce_to(place.wrapping_add(batch));
            left -= batch;
        }
        frames
    }

    /// Waits until frames are there, or the time is over; wakes the driver where it asks for that.
    pub fn wait(&self, wait: Duration) -> io::Result<()> {
        self.fd.wait(wait)
    }

    /// Wakes the driver if it ran out of free chunks and asks for that.
    pub fn wake(&self) -> io::Result<()> {
        if self.free.needs_wakeup() { self.fd.wait(Duration::ZERO) } else { Ok(()) }
    }

    /// What the kernel counted since the socket was opened.
    pub fn statistics(&self) -> io::Result<SocketStatistics> {
        let statistics = self.fd.statistics()?;
        Ok(SocketStatistics {
            dropped: statistics.rx_dropped,
            ring_full: statistics.rx_ring_full,
            free_ring_empty: statistics.rx_fill_ring_empty_descs,
            strange: self.strange,
        })
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The frame at an address of the memory, with the time before it.
fn frame(memory: &Memory, address: u64, len: u32) -> Option<Received<'_>> {
    let start = usize::try_from(address).ok()?;
    let data = memory.bytes(start, len as usize)?;
    let stamp = memory.bytes(start.checked_sub(METADATA)?, METADATA)?;
    Some(Received { stamp: stamp.first_chunk().copied().map_or(0, u64::from_ne_bytes), data })
}

/// One chunk of a frame in several; the frame is handed over with its last. The stamp is kept in its first 8 bytes.
fn assemble(
    memory: &Memory,
    descriptor: libc::xdp_desc,
    more: bool,
    assembled: &mut Vec<u8>,
    strange: &mut u64,
    to: &mut impl FnMut(&[Received<'_>]),
) -> u32 {
    let part = if assembled.is_empty() {
        frame(memory, descriptor.addr, descriptor.len).map(|frame| {
            assembled.extend_from_slice(&frame.stamp.to_ne_bytes());
            frame.data
        })
    } else {
        usize::try_from(descriptor.addr).ok().and_then(|at| memory.bytes(at, descriptor.len as usize))
    };
    match part {
        Some(part) => assembled.extend_from_slice(part),
        None => *strange += 1,
    }
    if more {
        return 0;
    }
    let handed = match assembled.split_first_chunk::<METADATA>() {
        Some((stamp, data)) => {
            to(&[Received { stamp: u64::from_ne_bytes(*stamp), data }]);
            1
        }
        None => 0,
    };
    assembled.clear();
    handed
}

/// Promiscuous mode: as long as it lives, the interface takes every frame, whoever it is for.
#[derive(Debug)]
pub struct Promiscuous(#[expect(dead_code, reason = "held: dropping it ends the mode")] sys::EveryFrame);

impl Promiscuous {
    /// Takes CAP_NET_RAW.
    pub fn of(ifindex: u32) -> io::Result<Self> {
        sys::EveryFrame::of(ifindex).map(Self)
    }
}
