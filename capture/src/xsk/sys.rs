//! System calls and shared memory of AF_XDP sockets: the only unsafe code of this module.
//!
//! Ring indices are free-running 32-bit numbers that wrap; entries are at the index modulo the ring's size.

#![expect(unsafe_code, reason = "AF_XDP sockets and their memory-mapped rings have no safe interface")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

/// An AF_XDP socket, not yet bound.
#[derive(Debug)]
pub(super) struct Fd(OwnedFd);

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Fd {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointer is handed over.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel gave this descriptor to us a moment ago, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// A socket that another process has made.
    pub(super) const fn of(socket: OwnedFd) -> Self {
        Self(socket)
    }

    fn set<T: Copy>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        // SAFETY: `value` is a live reference to `length` bytes, which the kernel only reads.
        check(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, (&raw const *value).cast(), length) })
    }

    fn get<T: Copy>(&self, name: libc::c_int) -> io::Result<T> {
        // SAFETY: the callers ask for structures of integers only, for which 0 is a value.
        let mut value: T = unsafe { std::mem::zeroed() };
        let mut length = size_of::<T>() as libc::socklen_t;
        // SAFETY: `value` has room for `length` bytes, and every bit pattern is valid.
        check(unsafe {
            libc::getsockopt(self.0.as_raw_fd(), libc::SOL_XDP, name, (&raw mut value).cast(), &raw mut length)
        })?;
        Ok(value)
    }

    /// Registers the memory that frames are put into.
    pub(super) fn register(&self, memory: &Memory, chunk: u32) -> io::Result<()> {
        // SAFETY: a structure of integers, for which 0 is a value.
        let mut umem: libc::xdp_umem_reg = unsafe { std::mem::zeroed() };
        umem.addr = memory.0.as_ptr() as u64;
        umem.len = memory.0.len() as u64;
        umem.chunk_size = chunk;
        self.set(libc::SOL_XDP, libc::XDP_UMEM_REG, &umem)
    }

    /// Makes the rings: received frames, free chunks, and the completion ring a socket must have though it sends nothing.
    pub(super) fn rings(&self, size: u32) -> io::Result<(Ring<libc::xdp_desc>, Ring<u64>)> {
        self.set(libc::SOL_XDP, libc::XDP_UMEM_FILL_RING, &size)?;
        self.set(libc::SOL_XDP, libc::XDP_UMEM_COMPLETION_RING, &64_u32)?;
        self.set(libc::SOL_XDP, libc::XDP_RX_RING, &size)?;
        self.map_rings(size)
    }

    /// Maps rings that are there.
    pub(super) fn map_rings(&self, size: u32) -> io::Result<(Ring<libc::xdp_desc>, Ring<u64>)> {
        let offsets: libc::xdp_mmap_offsets = self.get(libc::XDP_MMAP_OFFSETS)?;
        let received = Ring::map(&self.0, libc::XDP_PGOFF_RX_RING as u64, offsets.rx, size)?;
        let free = Ring::map(&self.0, libc::XDP_UMEM_PGOFF_FILL_RING, offsets.fr, size)?;
        Ok((received, free))
    }

    /// Binds to a receive queue.
    pub(super) fn bind(&self, ifindex: u32, queue: u32, flags: u16) -> io::Result<()> {
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: ifindex,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let length = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
        // SAFETY: the address is a live value of `length` bytes.
        check(unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) })
    }

    /// Whether frames come without a copy.
    pub(super) fn is_zero_copy(&self) -> io::Result<bool> {
        let options: libc::xdp_options = self.get(libc::XDP_OPTIONS)?;
        Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }

    /// The kernel polls the queue on our behalf while we wait (`SO_PREFER_BUSY_POLL`, Linux 5.11).
    pub(super) fn busy_poll(&self, micros: u32, budget: u32) -> io::Result<()> {
        const PREFER_BUSY_POLL: libc::c_int = 69;
        const BUSY_POLL_BUDGET: libc::c_int = 70;
        self.set(libc::SOL_SOCKET, PREFER_BUSY_POLL, &1_i32)?;
        self.set(libc::SOL_SOCKET, libc::SO_BUSY_POLL, &micros)?;
        self.set(libc::SOL_SOCKET, BUSY_POLL_BUDGET, &budget)
    }

    pub(super) fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        self.get(libc::XDP_STATISTICS)
    }

    /// Waits until frames are there, or the time is over; wakes the driver where it asks for that.
    pub(super) fn wait(&self, wait: Duration) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let wait = libc::timespec { tv_sec: wait.as_secs() as libc::time_t, tv_nsec: wait.subsec_nanos().into() };
        // SAFETY: one live pollfd and a live time.
        let result = unsafe { libc::ppoll(&raw mut poll, 1, &raw const wait, std::ptr::null()) };
        if result >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// The memory frames are put into.
///
/// It is a file without a name, so that another process can map it, too.
#[derive(Debug)]
pub(super) struct Memory(MmapRaw, OwnedFd);

impl Memory {
    /// So many bytes, on huge pages if there are any and they are wanted.
    pub(super) fn new(bytes: usize, huge: bool) -> io::Result<Self> {
        if huge && let Ok(memory) = Self::with(bytes, MemfdFlags::HUGETLB) {
            return Ok(memory);
        }
        Self::with(bytes, MemfdFlags::empty())
    }

    fn with(bytes: usize, flags: MemfdFlags) -> io::Result<Self> {
        let file = memfd_create("spotter-frames", flags | MemfdFlags::CLOEXEC)?;
        ftruncate(&file, bytes as u64)?;
        Self::of(file, bytes)
    }

    /// What another process has made, so many bytes.
    pub(super) fn of(file: OwnedFd, bytes: usize) -> io::Result<Self> {
        Ok(Self(MmapOptions::new().len(bytes).populate().map_raw(&file)?, file))
    }

    pub(super) const fn file(&self) -> &OwnedFd {
        &self.1
    }

    /// The bytes of a frame that the kernel gave to us. `None` if it is not within the memory.
    ///
    /// The caller holds the chunk until it gives it back through the ring of free chunks.
    pub(super) fn bytes(&self, start: usize, len: usize) -> Option<&[u8]> {
        let end = start.checked_add(len)?;
        if end > self.0.len() {
            return None;
        }
        // SAFETY: within the mapping. The kernel does not write chunks that are not in its ring of free chunks.
        Some(unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(start), len) })
    }
}

/// One side of a ring shared with the kernel.
#[derive(Debug)]
pub(super) struct Ring<T> {
    memory: MmapRaw,
    offsets: libc::xdp_ring_offset,
    mask: u32,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T: Copy> Ring<T> {
    fn map(fd: &OwnedFd, place: u64, offsets: libc::xdp_ring_offset, size: u32) -> io::Result<Self> {
        let bytes = offsets.desc as usize + size as usize * size_of::<T>();
        let memory = MmapOptions::new().len(bytes).offset(place).populate().map_raw(fd)?;
        Ok(Self { memory, offsets, mask: size - 1, of: std::marker::PhantomData })
    }

    fn word(&self, offset: u64) -> &AtomicU32 {
        // SAFETY: the kernel gave the offset of an aligned 32-bit word within the mapping, which both sides use as an
        // atomic (smp_load_acquire and smp_store_release in net/xdp/xsk_queue.h).
        unsafe { AtomicU32::from_ptr(self.memory.as_mut_ptr().add(offset as usize).cast()) }
    }

    /// How many entries it has.
    pub(super) const fn size(&self) -> u32 {
        self.mask + 1
    }

    /// Where the producer stands.
    pub(super) fn produced(&self) -> u32 {
        // Pairs with the release store of whoever produces: the entries before it are complete.
        self.word(self.offsets.producer).load(Ordering::Acquire)
    }

    /// Where the consumer stands.
    pub(super) fn consumed(&self) -> u32 {
        self.word(self.offsets.consumer).load(Ordering::Acquire)
    }

    /// Entries before `index` were read and may be overwritten.
    pub(super) fn consume_to(&mut self, index: u32) {
        self.word(self.offsets.consumer).store(index, Ordering::Release);
    }

    /// Entries before `index` are complete.
    pub(super) fn produce_to(&mut self, index: u32) {
        self.word(self.offsets.producer).store(index, Ordering::Release);
    }

    /// The kernel asks to be woken.
    pub(super) fn needs_wakeup(&self) -> bool {
        self.word(self.offsets.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    fn entry(&self, index: u32) -> *mut T {
        let at = self.offsets.desc as usize + (index & self.mask) as usize * size_of::<T>();
        // SAFETY: within the mapping, which was made for `mask + 1` entries.
        unsafe { self.memory.as_mut_ptr().add(at).cast() }
    }

    /// An entry between consumer and producer.
    pub(super) fn get(&self, index: u32) -> T {
        // SAFETY: a live, aligned entry of integers.
        unsafe { self.entry(index).read_volatile() }
    }

    /// Sets an entry at or behind the producer.
    pub(super) fn set(&mut self, index: u32, value: T) {
        // SAFETY: as above; the kernel does not read it before the producer has passed.
        unsafe { self.entry(index).write_volatile(value) }
    }
}

/// As long as it lives, an interface takes every frame, whoever it is for.
#[derive(Debug)]
pub(super) struct EveryFrame(#[expect(dead_code, reason = "held: closing it ends the mode")] Fd);

impl EveryFrame {
    pub(super) fn of(ifindex: u32) -> io::Result<Self> {
        // SAFETY: no pointer is handed over. Protocol 0: no packet comes in.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel gave this descriptor to us a moment ago, and nobody else knows it.
        let fd = Fd(unsafe { OwnedFd::from_raw_fd(fd) });
        let request = libc::packet_mreq {
            mr_ifindex: ifindex.cast_signed(),
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        fd.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)?;
        Ok(Self(fd))
    }
}
