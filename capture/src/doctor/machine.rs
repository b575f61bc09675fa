//! The kernel, its clock and memory, and the rights of this process.

use std::fs;
use std::path::Path;

use super::{Check, State, line};

pub(super) fn checks() -> Vec<Check> {
    vec![
        kernel(),
        btf(),
        bpf_fs(),
        capabilities(),
        jit(),
        memory_lock(),
        huge_pages(),
        clock_source(),
        clock_sync(),
        cpus(),
    ]
}

fn kernel() -> Check {
    let release = line("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (state, found) = match version(&release) {
        Some(version) if version >= (6, 6) => (State::Good, format!("Linux {release}")),
        Some(version) if version >= (5, 18) => (
            State::Warning,
            format!("Linux {release}: no TCX (6.6), so inline capture by XDP does not see what is sent"),
        ),
        Some(_) => (State::Bad, format!("Linux {release}: XDP needs 5.18, AF_PACKET 4.20")),
        None => (State::Unknown, format!("'{release}' is no version")),
    };
    Check::new("kernel", state, found, "what can be captured by depends on it").mend("install a kernel from 6.6 on")
}

/// Major and minor of a release like `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn btf() -> Check {
    let there = Path::new("/sys/kernel/btf/vmlinux").exists();
    let state = if there { State::Good } else { State::Warning };
    let found = if there { "/sys/kernel/btf/vmlinux" } else { "the kernel has no BTF" };
    Check::new("btf", state, found, "tells programs loaded into the kernel how its structures are laid out")
        .mend("use a kernel built with CONFIG_DEBUG_INFO_BTF=y; AF_PACKET needs none")
}

fn bpf_fs() -> Check {
    const MAGIC: u64 = 0xcafe_4a11;
    let why = "what the kernel has counted outlives a kill of the capture there, until the next one goes on with it";
    let folder = Path::new(crate::live::PINS).parent().unwrap_or(Path::new("/sys/fs/bpf"));
    let at = folder.display();
    match rustix::fs::statfs(folder) {
        Ok(found) if found.f_type as u64 == MAGIC => Check::new("bpf_fs", State::Good, format!("mounted at {at}"), why),
        _ => Check::new("bpf_fs", State::Warning, format!("none at {at}"), why)
            .mend(format!("mount -t bpf bpf {at} (systemd does it at start)")),
    }
}

/// Number and name of what capture uses, and whether AF_PACKET needs it.
const CAPABILITIES: [(u32, &str, bool); 5] = [
    (12, "CAP_NET_ADMIN", true),
    (13, "CAP_NET_RAW", true),
    (14, "CAP_IPC_LOCK", false),
    (38, "CAP_PERFMON", false),
    (39, "CAP_BPF", false),
];

fn capabilities() -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let why = "opening sockets and loading programs takes them; they are given up before the first packet";
    let Some(held) = held(&status) else {
        return Check::new("capabilities", State::Unknown, "/proc/self/status does not tell", why);
    };
    let missing: Vec<_> = CAPABILITIES.iter().filter(|(number, ..)| held >> number & 1 == 0).collect();
    let state = match missing.as_slice() {
        [] => State::Good,
        some if some.iter().any(|(.., needed)| *needed) => State::Bad,
        _ => State::Warning,
    };
    let names: Vec<&str> = missing.iter().map(|(_, name, _)| *name).collect();
    let found = if names.is_empty() { "all there".to_owned() } else { format!("missing: {}", names.join(", ")) };
    let all: Vec<String> = CAPABILITIES.iter().map(|(_, name, _)| name.to_lowercase()).collect();
    Check::new("capabilities", state, found, why)
        .mend(format!("run as root, or: setcap {}+ep /usr/bin/spotter", all.join(",")))
}

fn held(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn jit() -> Check {
    let why = "without the compiler programs in the kernel are interpreted, many times slower";
    match line("/proc/sys/net/core/bpf_jit_enable").as_deref() {
        Some("0") => Check::new("bpf_jit", State::Warning, "off", why).mend("sysctl -w net.core.bpf_jit_enable=1"),
        Some(value) => Check::new("bpf_jit", State::Good, format!("on ({value})"), why),
        None => Check::new("bpf_jit", State::Unknown, "no net.core.bpf_jit_enable here", why),
    }
}

fn memory_lock() -> Check {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let why = "buffers shared with the network card are locked in memory";
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max locked memory")).map(str::split_whitespace);
    match limit.and_then(|mut words| words.next().map(str::to_owned)).as_deref() {
        Some("unlimited") => Check::new("memory_lock", State::Good, "unlimited", why),
        Some(text) => {
            let bytes: u64 = text.parse().unwrap_or(0);
            let state = if bytes >= 256 << 20 { State::Good } else { State::Warning };
            Check::new("memory_lock", state, format!("{} MiB", bytes >> 20), why)
                .mend("LimitMEMLOCK=infinity in the systemd unit, or ulimit -l unlimited")
        }
        None => Check::new("memory_lock", State::Unknown, "/proc/self/limits does not tell", why),
    }
}

fn huge_pages() -> Check {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let value = |name: &str| -> Option<u64> {
        memory.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    let why = "packet buffers and flow tables on huge pages miss the TLB less; an option, never a need";
    match (value("HugePages_Total:"), value("HugePages_Free:")) {
        (Some(0), _) => Check::new("huge_pages", State::Good, "none reserved (none needed)", why),
        (Some(total), Some(free)) => Check::new("huge_pages", State::Good, format!("{free} of {total} free"), why),
        _ => Check::new("huge_pages", State::Unknown, "/proc/meminfo does not tell", why),
    }
}

fn clock_source() -> Check {
    let folder = Path::new("/sys/devices/system/clocksource/clocksource0");
    let why = "the time is read for every packet: a clock that is not the CPU's own costs up to a microsecond each";
    match line(folder.join("current_clocksource")) {
        Some(source) => {
            let fast =
                matches!(source.as_str(), "tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page" | "arch_sys_counter");
            let state = if fast { State::Good } else { State::Warning };
            Check::new("clock_source", state, source, why)
                .mend(format!("echo tsc > {}/current_clocksource", folder.display()))
        }
        None => Check::new("clock_source", State::Unknown, "sysfs does not tell", why),
    }
}

fn clock_sync() -> Check {
    let why = "records of several sensors, and logs, are put side by side by time";
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Check::new("clock_sync", State::Good, "synchronised by systemd-timesyncd", why);
    }
    let running = |name: &str| Path::new("/run").join(name).exists();
    if running("chrony/chronyd.pid") || running("chronyd.pid") || running("ntpd.pid") || running("ptp4l") {
        return Check::new("clock_sync", State::Good, "a time service is running", why);
    }
    Check::new("clock_sync", State::Warning, "no time service is known to be running", why)
        .mend("apt-get install chrony (or systemd-timesyncd)")
}

fn cpus() -> Check {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let governor = line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    let why = "receiving, decoding and writing each want a CPU, at full clock";
    let slow = governor.as_deref().is_some_and(|g| matches!(g, "powersave" | "ondemand" | "conservative"));
    let state = if count < 2 || slow { State::Warning } else { State::Good };
    let found = match &governor {
        Some(governor) => format!("{count} CPUs, governor {governor}"),
        None => format!("{count} CPUs"),
    };
    let mend = if slow { "cpupower frequency-set -g performance" } else { "give the sensor at least two CPUs" };
    Check::new("cpus", state, found, why).mend(mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.14.0-362.el9.x86_64"), Some((5, 14)));
        assert_eq!(version("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version("weird"), None);
    }

    #[test]
    fn capabilities_are_read_by_their_bits() {
        assert_eq!(held("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(held("Name:\tx\n"), None);
    }

    #[test]
    fn every_check_says_why_and_what_is_wrong_says_what_to_do() {
        for check in checks() {
            assert!(!check.why.is_empty() && !check.found.is_empty(), "{check:?}");
            assert_eq!(check.state >= State::Warning, check.mend.is_some(), "{check:?}");
        }
    }
}
