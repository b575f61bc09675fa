//! Giving up what a thread does not need: threads that touch packets hold no capability, see no file and make few
//! system calls. What such a thread lost, it and its children never get back.
//!
//! Capabilities, Landlock and seccomp are the kernel's by thread, and so is this. What takes rights, to open interfaces and to
//! open them again when they come back, is another process's ([`crate::keeper`]). What cannot be had from a thread that touches packets by the
//! kernel's word: files, new sockets, other programs, other processes (`ptrace`, `process_vm_writev`, `/proc/PID/mem`), `bpf`,
//! namespaces, and rights back.

mod caps;

use std::io;

use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// What a thread is left with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Memory, waiting, and the sockets it has: receivers.
    OpenSockets,
    /// Memory and waiting: decoders.
    Nothing,
    /// Files, by the rights of its user and those of root on files of others: writers.
    Files,
}

/// Why a thread could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Capabilities.
    #[error("capabilities cannot be given up: {0}")]
    Capabilities(#[from] io::Error),
    /// Landlock.
    #[error("Landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// Seccomp.
    #[error("seccomp: {0}")]
    Seccomp(#[from] seccompiler::Error),
    /// The filter cannot be made for this machine.
    #[error("seccomp: {0}")]
    Filter(#[from] seccompiler::BackendError),
}

/// What became of the calling thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Confined {
    /// The kernel has Landlock, and no file can be opened.
    pub no_files: bool,
    /// System calls are filtered.
    pub few_calls: bool,
}

/// Confines the calling thread.
pub fn confine_thread(keep: Keep) -> Result<Confined, ConfineError> {
    caps::no_new_privileges()?;
    if keep == Keep::Files {
        caps::keep_only(&[caps::DAC_OVERRIDE, caps::CHOWN, caps::FOWNER])?;
        return Ok(Confined { no_files: false, few_calls: false });
    }
    caps::keep_only(&[])?;
    let status = Ruleset::default().handle_access(AccessFs::from_all(ABI::V4))?.create()?.restrict_self()?;
    seccompiler::apply_filter(&filter(keep)?)?;
    Ok(Confined { no_files: status.ruleset != landlock::RulesetStatus::NotEnforced, few_calls: true })
}

/// Leaves a keeper what opening interfaces takes: packet sockets, devices, BPF, and files of others (pins, `/sys`).
pub(crate) fn keep_interfaces() -> io::Result<()> {
    caps::no_new_privileges()?;
    caps::keep_only(&[caps::NET_RAW, caps::NET_ADMIN, caps::IPC_LOCK, caps::PERFMON, caps::BPF, caps::DAC_OVERRIDE])
}

/// What any thread of the standard library and the allocator needs: memory, locks, time, its stack, its end; `write` is the
/// log's.
const EVERYBODY: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mprotect,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_rseq,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_write,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What a receiver needs besides: to wait for its socket, ask for its counters, wake the driver, and close it. No
/// `bpf`: the probe's maps and rings are memory to it.
const SOCKETS: &[libc::c_long] = &[
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_getsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_close,
];

/// Everything else is refused with EPERM.
fn filter(keep: Keep) -> Result<BpfProgram, ConfineError> {
    let more = if keep == Keep::OpenSockets { SOCKETS } else { &[] };
    // `syscall(2)` numbers are 64 bits wide on every machine this is built for.
    #[allow(clippy::useless_conversion, reason = "c_long is i32 elsewhere")]
    let rules = EVERYBODY.iter().chain(more).map(|number| (i64::from(*number), Vec::new())).collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow, arch)?;
    Ok(filter.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confined<T: Send>(keep: Keep, then: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                confine_thread(keep).expect("confined");
                then()
            });
            thread.join().expect("no panic")
        })
    }

    #[test]
    fn a_decoder_opens_no_file_and_no_socket_and_still_has_memory_and_time() {
        confined(Keep::Nothing, || {
            assert!(std::fs::read("/etc/hostname").is_err());
            assert!(std::fs::write("/tmp/spotter-confined", "x").is_err());
            assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err());
            let big: Vec<u64> = (0..1_000_000).collect();
            assert_eq!(big.iter().sum::<u64>(), 499_999_500_000);
            std::thread::sleep(std::time::Duration::from_millis(1));
            let map: std::collections::HashMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
            assert_eq!(map.len(), 100);
        });
        assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok(), "other threads keep their rights");
    }

    /// What somebody would try who runs code on a thread that parses packets.
    #[test]
    #[expect(unsafe_code, reason = "system calls that have no safe interface")]
    fn a_thread_that_was_taken_over_reaches_nothing_outside() {
        let calls: [(&str, [libc::c_long; 4]); 15] = [
            ("ptrace", [libc::SYS_ptrace, libc::PTRACE_ATTACH.into(), 1, 0]),
            ("process_vm_writev", [libc::SYS_process_vm_writev, 1, 0, 0]),
            ("process_vm_readv", [libc::SYS_process_vm_readv, 1, 0, 0]),
            ("execve", [libc::SYS_execve, 0, 0, 0]),
            ("clone", [libc::SYS_clone, libc::SIGCHLD.into(), 0, 0]),
            ("socket", [libc::SYS_socket, libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0]),
            ("bpf", [libc::SYS_bpf, 0, 0, 0]),
            ("unshare", [libc::SYS_unshare, libc::CLONE_NEWUSER.into(), 0, 0]),
            ("setuid", [libc::SYS_setuid, 0, 0, 0]),
            ("kill", [libc::SYS_kill, 1, 0, 0]),
            ("openat", [libc::SYS_openat, libc::AT_FDCWD.into(), 0, 0]),
            ("mount", [libc::SYS_mount, 0, 0, 0]),
            ("capset", [libc::SYS_capset, 0, 0, 0]),
            ("prctl", [libc::SYS_prctl, libc::PR_SET_SECCOMP.into(), 0, 0]),
            ("io_uring_setup", [libc::SYS_io_uring_setup, 1, 0, 0]),
        ];
        for keep in [Keep::Nothing, Keep::OpenSockets] {
            confined(keep, || {
                for (name, [number, a, b, c]) in calls {
                    // SAFETY: refused before any argument is looked at; null pointers otherwise.
                    let result = unsafe { libc::syscall(number, a, b, c, 0, 0, 0) };
                    let error = io::Error::last_os_error().raw_os_error();
                    assert_eq!((result, error), (-1, Some(libc::EPERM)), "{name}, {keep:?}");
                }
                assert!(std::process::Command::new("/bin/true").spawn().is_err());
                assert!(std::fs::File::open("/proc/self/mem").is_err());
            });
        }
    }

    #[test]
    fn capabilities_are_gone() {
        let held = confined(Keep::Files, || std::fs::read_to_string("/proc/thread-self/status").expect("readable"));
        let line = |name: &str| {
            let line = held.lines().find(|l| l.starts_with(name)).expect("there");
            u64::from_str_radix(line.rsplit('\t').next().expect("value"), 16).expect("hexadecimal")
        };
        let files = 1 << caps::DAC_OVERRIDE | 1 << caps::CHOWN | 1 << caps::FOWNER;
        assert_eq!((line("CapEff") & !files, line("CapPrm") & !files, line("CapInh")), (0, 0, 0));
        assert!(held.contains("NoNewPrivs:\t1"));
    }
}
