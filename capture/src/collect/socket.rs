//! UDP sockets for many datagrams: several sockets on one port, batches, and what the kernel had to drop.
//!
//! Sockets of one group share a port (SO_REUSEPORT); a classic BPF program chooses by the sender's address, so that an exporter's
//! templates and data meet in one receiver even if it changes its port.

#![expect(unsafe_code, reason = "recvmmsg, reuseport groups and drop counters have no safe interface in std")]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Datagrams received by one call.
const BATCH: usize = 64;
/// Bytes of the largest datagram, rounded up.
const DATAGRAM: usize = 1 << 16;
/// Room for control messages: SO_RXQ_OVFL and SCM_TIMESTAMPNS.
const CONTROL: usize = 128;

/// One socket of a group.
#[derive(Debug)]
pub struct Receiver {
    socket: UdpSocket,
    buffers: Vec<u8>,
    dropped: u32,
    counters: ReceiverCounters,
}

/// Answers from the address of a [`Receiver`].
#[derive(Debug)]
pub struct Replier {
    socket: UdpSocket,
    is_v6: bool,
}

impl Replier {
    /// Sends a datagram to an address that [`Receiver::receive`] gave.
    ///
    /// # Errors
    /// The system's.
    pub fn send_to(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let to = match to {
            // A v6 socket knows v4 only in v6.
            SocketAddr::V4(v4) if self.is_v6 => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
            to => to,
        };
        self.socket.send_to(datagram, to).map(drop)
    }
}

/// What a receiver counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiverCounters {
    /// Datagrams received.
    pub datagrams: u64,
    /// Datagrams the kernel dropped because the socket's buffer was full. Told with the next datagram received.
    pub dropped_by_socket: u64,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set<T: Copy>(socket: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is a live reference to `length` bytes, which the kernel only reads.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), length) }).map(drop)
}

/// Opens a group of sockets on one address. `buffer_bytes` is asked for as receive buffer of each; the kernel may give less
/// without CAP_NET_ADMIN. Port 0 takes a free one, the same for all.
pub fn open_group(address: SocketAddr, count: usize, buffer_bytes: usize) -> io::Result<Vec<Receiver>> {
    let mut receivers: Vec<Receiver> = Vec::with_capacity(count);
    let mut address = address;
    for _ in 0..count.max(1) {
        let socket = open(address, buffer_bytes)?;
        if let Some(first) = receivers.first() {
            debug_assert_eq!(first.socket.local_addr().ok(), socket.local_addr().ok());
        }
        address = socket.local_addr()?;
        receivers.push(Receiver {
            socket,
            buffers: vec![0; BATCH * DATAGRAM],
            dropped: 0,
            counters: ReceiverCounters::default(),
        });
    }
    if let (Some(first), 2..) = (receivers.first(), receivers.len()) {
        balance(&first.socket, receivers.len() as u32)?;
    }
    Ok(receivers)
}

fn open(address: SocketAddr, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointer is handed over.
    let fd = check(unsafe { libc::socket(domain, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel gave this descriptor to us a moment ago, and nobody else knows it.
    let socket = UdpSocket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, &1_i32)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &1_i32)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32)?;
    let bytes = i32::try_from(buffer_bytes).unwrap_or(i32::MAX);
    // Beyond net.core.rmem_max only with CAP_NET_ADMIN; without, as much as is allowed.
    if set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes).is_err() {
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes)?;
    }
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: all zeros is a valid sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            bind(&socket, &raw)?;
        }
        SocketAddr::V6(v6) => {
            // SAFETY: all zeros is a valid sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            bind(&socket, &raw)?;
        }
    }
    Ok(socket)
}

fn bind<T>(socket: &UdpSocket, address: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `address` is a live sockaddr of `length` bytes, which the kernel only reads.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const *address).cast(), length) }).map(drop)
}

/// Chooses the socket by the sender's address: the last four bytes of it, mixed, modulo the number of sockets.
fn balance(socket: &UdpSocket, count: u32) -> io::Result<()> {
    /// Loads relative to the network header (linux/filter.h).
    const NET: u32 = -0x10_0000_i32 as u32;
    let op = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let (ld, ldb) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_LD | libc::BPF_B | libc::BPF_ABS);
    let alu = libc::BPF_ALU | libc::BPF_K;
    let mut program = [
        op(ldb, 0, 0, NET),
        op(alu | libc::BPF_RSH, 0, 0, 4),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 2, 6),
        // IPv6: the last four bytes of the source; IPv4: the source.
        op(ld, 0, 0, NET.wrapping_add(20)),
        op(libc::BPF_JMP | libc::BPF_JA, 0, 0, 1),
        op(ld, 0, 0, NET.wrapping_add(12)),
        op(alu | libc::BPF_MUL, 0, 0, 0x9e37_79b1),
        op(alu | libc::BPF_RSH, 0, 0, 16),
        op(alu | libc::BPF_MOD, 0, 0, count),
        op(libc::BPF_RET | libc::BPF_A, 0, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &filter)
}

impl Receiver {
    /// The address it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends from the same address.
    ///
    /// # Errors
    /// The system's.
    pub fn replier(&self) -> io::Result<Replier> {
        Ok(Replier { socket: self.socket.try_clone()?, is_v6: self.local_addr()?.is_ipv6() })
    }

    /// What was counted so far.
    pub const fn counters(&self) -> ReceiverCounters {
        self.counters
    }

    /// Waits up to `timeout` for datagrams and gives each with its sender and the nanoseconds since the epoch at which the kernel
    /// received it. Returns how many there were.
    pub fn receive(&mut self, timeout: Duration, mut each: impl FnMut(SocketAddr, i64, &[u8])) -> io::Result<usize> {
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: `poll` is one live pollfd.
        match check(unsafe { libc::poll(&raw mut poll, 1, millis) }) {
            Ok(0) => return Ok(0),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(error),
        }
        let Self { socket, buffers, dropped, counters } = self;
        // SAFETY: all zeros is valid for each of these C structures.
        let mut names: [libc::sockaddr_in6; BATCH] = unsafe { zeroed() };
        let mut controls = [MaybeUninit::<[u64; CONTROL / 8]>::zeroed(); BATCH];
        // SAFETY: as above.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let parts = headers.iter_mut().zip(&mut vectors).zip(names.iter_mut().zip(&mut controls));
        for (((header, vector), (name, control)), buffer) in parts.zip(buffers.chunks_exact_mut(DATAGRAM)) {
            *vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            header.msg_hdr.msg_iov = &raw mut *vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: each header points to its own name, control and buffer, all of which live until the call is over.
        let received = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), BATCH as u32, flags as _, std::ptr::null_mut())
        };
        let received = match check(received) {
            Ok(received) => received.unsigned_abs() as usize,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        for ((header, name), buffer) in headers.iter().zip(&names).zip(buffers.chunks_exact(DATAGRAM)).take(received) {
            let (drops, stamp) = control(&header.msg_hdr);
            if let Some(drops) = drops {
                counters.dropped_by_socket += u64::from(drops.wrapping_sub(*dropped));
                *dropped = drops;
            }
            counters.datagrams += 1;
            let Some(from) = sender(name) else { continue };
            each(from, stamp.unwrap_or_default(), buffer.get(..header.msg_len as usize).unwrap_or_default());
        }
        Ok(received)
    }
}

/// Drop counter and receive time of a message.
fn control(header: &libc::msghdr) -> (Option<u32>, Option<i64>) {
    let (mut drops, mut stamp) = (None, None);
    // SAFETY: the kernel filled the control buffer that `header` points to, and its length with it.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give headers that are within the buffer.
        let (level, kind, data) = unsafe { ((*message).cmsg_level, (*message).cmsg_type, libc::CMSG_DATA(message)) };
        if level == libc::SOL_SOCKET && kind == libc::SO_RXQ_OVFL {
            // SAFETY: the data of this message is a u32.
            drops = Some(unsafe { data.cast::<u32>().read_unaligned() });
        } else if level == libc::SOL_SOCKET && kind == libc::SCM_TIMESTAMPNS {
            // SAFETY: the data of this message is a timespec.
            let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
            stamp = Some(time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec));
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    (drops, stamp)
}

fn sender(name: &libc::sockaddr_in6) -> Option<SocketAddr> {
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET6 => {
            let (ip, port) = (Ipv6Addr::from(name.sin6_addr.s6_addr), u16::from_be(name.sin6_port));
            Some(match IpAddr::V6(ip).to_canonical() {
                // Who answers a link-local address has to know its link.
                IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, name.sin6_scope_id)),
                v4 @ IpAddr::V4(_) => SocketAddr::new(v4, port),
            })
        }
        libc::AF_INET => {
            // sockaddr_in: family, port, address; the last stands where sockaddr_in6 has its flow label.
            let ip = Ipv4Addr::from(name.sin6_flowinfo.to_ne_bytes());
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(name.sin6_port)))
        }
        _ => None,
    }
}
