//! Capabilities of the calling thread (capabilities(7)).

#![expect(unsafe_code, reason = "capset and prctl have no safe interface")]

use std::io;

/// Bypasses file permissions.
pub(super) const DAC_OVERRIDE: u32 = 1;
/// Changes owners of files.
pub(super) const CHOWN: u32 = 0;
/// Changes files of others as their owner.
pub(super) const FOWNER: u32 = 3;

/// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// No program the thread runs gets more rights than it has itself.
pub(super) fn no_new_privileges() -> io::Result<()> {
    // SAFETY: no pointer is handed over.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens packet sockets, AF_XDP's too.
pub(super) const NET_RAW: u32 = 13;
/// Attaches programs, sets what a device offloads.
pub(super) const NET_ADMIN: u32 = 12;
/// Locks memory.
pub(super) const IPC_LOCK: u32 = 14;
/// Loads programs that read kernel memory (Linux 5.8).
pub(super) const PERFMON: u32 = 38;
/// Loads programs and makes maps (Linux 5.8).
pub(super) const BPF: u32 = 39;

/// Of the capabilities the thread holds, it keeps these and gives up all others.
pub(super) fn keep_only(kept: &[u32]) -> io::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: header and both words of the sets are live and laid out as the kernel's structures.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let mask = kept.iter().fold(0_u64, |mask, number| mask | 1 << number);
    for (set, mask) in sets.iter_mut().zip([mask as u32, (mask >> 32) as u32]) {
        *set = Sets { effective: set.effective & mask, permitted: set.permitted & mask, inheritable: 0 };
    }
    // SAFETY: as above; the kernel only reads them.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
