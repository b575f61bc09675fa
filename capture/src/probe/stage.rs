//! Where benches play: a network namespace of the calling thread's own, its CPU and its priority.

#![expect(unsafe_code, reason = "namespaces, CPU sets and priorities have no safe interface")]

use std::io;

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// From now on this thread and whatever it starts are in a network namespace that nobody else sees, with a `/sys` that
/// shows it; it vanishes with the last of them. Takes CAP_SYS_ADMIN.
pub fn enter_own_network() -> io::Result<()> {
    // SAFETY: no pointer is handed over. The thread's own view changes, not that of others.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) })?;
    // What is mounted here must not reach the others.
    // SAFETY: strings that end with 0; the null pointers are allowed with these flags.
    check(unsafe {
        libc::mount(
            std::ptr::null(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        )
    })?;
    // SAFETY: as above.
    check(unsafe { libc::mount(c"sysfs".as_ptr(), c"/sys".as_ptr(), c"sysfs".as_ptr(), 0, std::ptr::null()) })
}

/// The calling thread and what it starts run on these CPUs only.
pub fn stay_on(cpus: impl IntoIterator<Item = usize>) -> io::Result<()> {
    // SAFETY: a set of bits, for which all 0 is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus {
        // SAFETY: a live set; CPUs beyond it are ignored.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: a live set of this size; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
}

/// The calling thread's nice value, which what it starts has, too. Below 0 takes CAP_SYS_NICE.
pub fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: no pointer is handed over; 0 is the calling thread.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })
}

/// The calling thread runs before all that are not of this kind. Takes CAP_SYS_NICE.
pub fn go_first() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: a live parameter; 0 is the calling thread.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) })
}

/// The number of an interface in the thread's network namespace.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let index = crate::af_packet::Control::new()?.index(name)?;
    index.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no interface '{name}'")))
}
