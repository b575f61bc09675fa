//! The system calls of packet sockets: the only unsafe code of live capture by AF_PACKET.
//!
//! What is handed out is safe: [`Ring::block`] lends the bytes of a block as long as the kernel leaves it to us,
//! everything else is values.

#![expect(unsafe_code, reason = "packet sockets, their memory-mapped ring and ethtool have no safe interface")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A packet socket. Receives nothing before [`bind`](Self::bind).
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// What the kernel counted since it was asked last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Statistics {
    /// Packets for this socket, with those dropped.
    pub(super) packets: u32,
    /// Packets dropped because the ring was full.
    pub(super) drops: u32,
    /// Times the ring was full.
    pub(super) freezes: u32,
}

/// Shape of a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// Bytes of a block: a power of two, at least a page.
    pub(super) block_bytes: u32,
    /// Blocks.
    pub(super) blocks: u32,
    /// After this long a block that is not full is handed out.
    pub(super) retire: Duration,
}

/// `PACKET_FANOUT_FLAG_UNIQUEID` (Linux 4.12): the kernel chooses an id no other group has.
const FANOUT_FLAG_UNIQUE_ID: u32 = 0x2000;
/// `PACKET_FANOUT_HASH`: by flow.
const FANOUT_HASH: u32 = 0;
/// `PACKET_IGNORE_OUTGOING` (Linux 4.20).
const IGNORE_OUTGOING: libc::c_int = 23;
/// `PACKET_QDISC_BYPASS` (Linux 3.14).
const QDISC_BYPASS: libc::c_int = 20;
/// Alignment of the frames in a block (`TPACKET_ALIGNMENT` times what the ring's arithmetic asks for).
const FRAME_SIZE: u32 = 2048;

fn last_error() -> io::Error {
    io::Error::last_os_error()
}

impl Socket {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointer is handed over.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
        if fd < 0 {
            return Err(last_error());
        }
        // SAFETY: the kernel gave this descriptor to us a moment ago, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The socket, for another process.
    pub(super) fn hand_over(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Sets an option to a plain C value.
    fn set<T: Copy>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        // SAFETY: `value` is a live reference to `length` bytes, which the kernel only reads.
        let result = unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, (&raw const *value).cast(), length) };
        if result == 0 { Ok(()) } else { Err(last_error()) }
    }

    /// Reads an option into a plain C value, of which every bit pattern is valid.
    fn get<T: Copy>(&self, level: libc::c_int, name: libc::c_int, mut value: T) -> io::Result<T> {
        let mut length = size_of::<T>() as libc::socklen_t;
        // SAFETY: `value` has room for `length` bytes; the callers ask for integers and structures of integers only.
        let result =
            unsafe { libc::getsockopt(self.0.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length) };
        if result == 0 { Ok(value) } else { Err(last_error()) }
    }

    /// From now on packets of the interface come in.
    pub(super) fn bind(&self, ifindex: u32) -> io::Result<()> {
        self.bind_to(ifindex, libc::ETH_P_ALL as u16)
    }

    /// For sending alone: no packet comes in.
    pub(super) fn bind_to_send(&self, ifindex: u32) -> io::Result<()> {
        self.bind_to(ifindex, 0)
    }

    fn bind_to(&self, ifindex: u32, protocol: u16) -> io::Result<()> {
        // SAFETY: a structure of integers, for which 0 is a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = index(ifindex)?;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is a live value of `length` bytes.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 { Ok(()) } else { Err(last_error()) }
    }

    /// Spreads the interface's packets by flow over the sockets of one group. The first socket makes the group and
    /// gives its id, the others name it.
    pub(super) fn join_fanout(&self, group: Option<u16>) -> io::Result<u16> {
        let argument = match group {
            Some(id) => u32::from(id) | FANOUT_HASH << 16,
            None => (FANOUT_HASH | FANOUT_FLAG_UNIQUE_ID) << 16,
        };
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &argument)?;
        Ok(self.get(libc::SOL_PACKET, libc::PACKET_FANOUT, 0_u32)? as u16)
    }

    /// The interface takes every frame, as long as the socket lives.
    pub(super) fn set_promiscuous(&self, ifindex: u32) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: index(ifindex)?,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Packets that the host sends are not looked at.
    pub(super) fn ignore_outgoing(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, IGNORE_OUTGOING, &1_i32)
    }

    /// At most so many bytes of each frame are kept; with 0 none comes in any more.
    pub(super) fn set_snaplen(&self, bytes: u32) -> io::Result<()> {
        let mut program = [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: bytes }];
        let filter = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
        // The kernel copies the program during the call.
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
    }

    /// What was counted since the last call.
    pub(super) fn take_statistics(&self) -> io::Result<Statistics> {
        let none = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let counted = self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS, none)?;
        Ok(Statistics { packets: counted.tp_packets, drops: counted.tp_drops, freezes: counted.tp_freeze_q_cnt })
    }

    /// Waits until a block is ready. An error of the socket (the interface was set down) is taken from it and returned.
    pub(super) fn wait(&self, wait: Duration) -> io::Result<()> {
        if self.poll(libc::POLLIN, wait)? & libc::POLLERR != 0 {
            match self.get(libc::SOL_SOCKET, libc::SO_ERROR, 0_i32)? {
                0 => (),
                code => return Err(io::Error::from_raw_os_error(code)),
            }
        }
        Ok(())
    }

    /// Sends frames, Ethernet header first, through the interface it is bound to; how many the kernel took.
    pub(super) fn send(&self, frames: &[&[u8]]) -> io::Result<usize> {
        let mut parts: Vec<libc::iovec> = frames
            .iter()
            .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: a structure of integers and pointers, for which 0 is a value.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_iov = &raw mut *part;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        let count = libc::c_uint::try_from(messages.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: `count` messages at most, each with one part; parts and frames outlive the call, and sending only
        // reads the frames.
        let sent = unsafe { libc::sendmmsg(self.0.as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| last_error())
    }

    /// Waits until there is room to send.
    pub(super) fn wait_to_send(&self, wait: Duration) -> io::Result<()> {
        self.poll(libc::POLLOUT, wait).map(drop)
    }

    /// Sent frames go to the driver at once: nothing else may be queued before it.
    pub(super) fn bypass_queueing(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, QDISC_BYPASS, &1_i32)
    }

    fn poll(&self, events: libc::c_short, wait: Duration) -> io::Result<libc::c_short> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events, revents: 0 };
        let millis = libc::c_int::try_from(wait.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one live element.
        let result = unsafe { libc::poll(&raw mut poll, 1, millis) };
        if result < 0 {
            let error = last_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) };
        }
        Ok(poll.revents)
    }

    /// Gives the socket its ring.
    pub(super) fn into_ring(self, shape: Shape) -> io::Result<Ring> {
        let Shape { block_bytes, blocks, retire } = shape;
        self.set(libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as libc::c_int))?;
        let request = libc::tpacket_req3 {
            tp_block_size: block_bytes,
            tp_block_nr: blocks,
            tp_frame_size: FRAME_SIZE,
            tp_frame_nr: block_bytes / FRAME_SIZE * blocks,
            tp_retire_blk_tov: u32::try_from(retire.as_millis()).unwrap_or(u32::MAX).max(1),
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        self.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        self.map_ring(shape)
    }

    /// Maps the ring it has.
    fn map_ring(self, shape: Shape) -> io::Result<Ring> {
        let Shape { block_bytes, blocks, .. } = shape;
        let length = block_bytes as usize * blocks as usize;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; no memory of ours is touched.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, self.0.as_raw_fd(), 0) };
        let base = if base == libc::MAP_FAILED { None } else { NonNull::new(base.cast::<u8>()) };
        let base = base.ok_or_else(last_error)?;
        Ok(Ring { socket: self, base, length, block_bytes: block_bytes as usize, blocks: blocks as usize, next: 0 })
    }
}

fn index(ifindex: u32) -> io::Result<libc::c_int> {
    libc::c_int::try_from(ifindex).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
}

/// A packet socket with its memory-mapped ring of blocks (TPACKET_V3).
///
/// ```text
/// base ─► | block 0            | block 1            | …
///         | head | frame frame | head | frame …     |
///           └ block_status: KERNEL, or USER: then it is ours until we write KERNEL
/// ```
#[derive(Debug)]
pub(super) struct Ring {
    socket: Socket,
    base: NonNull<u8>,
    length: usize,
    block_bytes: usize,
    blocks: usize,
    /// Block that is handed out next: the kernel goes round in order.
    next: usize,
}

// SAFETY: the mapping belongs to the ring alone and has no tie to a thread.
unsafe impl Send for Ring {}

/// Offset of `block_status` in `struct tpacket_block_desc` (linux/if_packet.h): version and offset_to_priv stand before.
const BLOCK_STATUS: usize = 8;

impl Ring {
    /// Of a socket that another process has made, and of which nothing was read.
    pub(super) fn handed(socket: OwnedFd, shape: Shape) -> io::Result<Self> {
        Socket(socket).map_ring(shape)
    }

    pub(super) const fn socket(&self) -> &Socket {
        &self.socket
    }

    fn status(&self) -> &AtomicU32 {
        let at = self.next * self.block_bytes + BLOCK_STATUS;
        // SAFETY: `next < blocks`, so the field is inside the mapping; blocks are page-aligned, so it is aligned; the kernel
        // writes it with plain and release stores of 32 bits, which an atomic may race with.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    /// The next block, if the kernel is done with it. Nothing else becomes of it before [`release`](Self::release).
    pub(super) fn block(&self) -> Option<&[u8]> {
        // Acquire: pairs with the smp_wmb() before the kernel's store of the status in prb_flush_block()
        // (net/packet/af_packet.c): what it wrote into the block is seen.
        if self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: inside the mapping (`next < blocks`). The kernel does not write to a block in user status, and we do
        // not either: `release` takes the ring exclusively, so no such slice lives then. The head's status is read only.
        Some(unsafe {
            std::slice::from_raw_parts(self.base.as_ptr().add(self.next * self.block_bytes), self.block_bytes)
        })
    }

    /// Gives the block back to the kernel and goes on to the next.
    pub(super) fn release(&mut self) {
        // Release: what was read of the block was read before the kernel writes there again.
        self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks;
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; no slice of it outlives the ring.
        let result = unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
        debug_assert_eq!(result, 0, "unmapping a ring");
    }
}

/// A request to the driver: `SIOCETHTOOL`, or the `SIOCGIF…` family.
#[derive(Debug)]
pub(crate) struct Control(OwnedFd);

impl Control {
    pub(crate) fn new() -> io::Result<Self> {
        // SIOCGIFADDR is answered by IPv4 sockets alone.
        // SAFETY: no pointer is handed over.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(last_error());
        }
        // SAFETY: the kernel gave this descriptor to us a moment ago, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn request(name: &str) -> io::Result<libc::ifreq> {
        // SAFETY: a structure of integers and a union of such, for which 0 is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.len() >= request.ifr_name.len() || bytes.contains(&0) {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        Ok(request)
    }

    fn call(&self, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: the callers use numbers whose argument is `struct ifreq`, and set its union as the number asks for.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), number as _, &raw mut *request) };
        if result < 0 { Err(last_error()) } else { Ok(()) }
    }

    /// Index of the interface; `None` where there is none of this name.
    pub(crate) fn index(&self, name: &str) -> io::Result<Option<u32>> {
        let mut request = Self::request(name)?;
        match self.call(libc::SIOCGIFINDEX as libc::c_ulong, &mut request) {
            // SAFETY: the call filled in the index.
            Ok(()) => Ok(u32::try_from(unsafe { request.ifr_ifru.ifru_ifindex }).ok()),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Flags of the interface (IFF_UP …).
    pub(crate) fn flags(&self, name: &str) -> io::Result<libc::c_int> {
        let mut request = Self::request(name)?;
        self.call(libc::SIOCGIFFLAGS as libc::c_ulong, &mut request)?;
        // SAFETY: the call filled in the flags.
        Ok(libc::c_int::from(unsafe { request.ifr_ifru.ifru_flags }))
    }

    /// Whether it has an IPv4 address.
    pub(crate) fn has_ipv4_address(&self, name: &str) -> io::Result<bool> {
        match self.call(libc::SIOCGIFADDR as libc::c_ulong, &mut Self::request(name)?) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Largest packet without its Ethernet header.
    pub(crate) fn mtu(&self, name: &str) -> io::Result<u32> {
        let mut request = Self::request(name)?;
        self.call(libc::SIOCGIFMTU as libc::c_ulong, &mut request)?;
        // SAFETY: the call filled in the MTU.
        Ok(u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).unwrap_or(u32::MAX))
    }

    /// Kind of link (ARPHRD number).
    pub(crate) fn link_kind(&self, name: &str) -> io::Result<u16> {
        let mut request = Self::request(name)?;
        self.call(libc::SIOCGIFHWADDR as libc::c_ulong, &mut request)?;
        // SAFETY: the call filled in the hardware address.
        Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family })
    }

    /// An ethtool request: its structure as 32-bit words, which the kernel reads and writes in place.
    ///
    /// `limit` is how many words the kernel may write at most, by the structure's own count; the buffer must have them.
    pub(crate) fn ethtool(&self, name: &str, words: &mut [u32], limit: usize) -> io::Result<()> {
        if words.len() < limit {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let mut request = Self::request(name)?;
        request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
        self.call(libc::SIOCETHTOOL as libc::c_ulong, &mut request)
    }
}
