//! One interface: its link, driver, queues, rings, offloads, interrupts and losses.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Check, State, line};
use crate::af_packet::{Control, features};
use crate::live::{HostUse, ModeChoice, Policy, PolicyChoice, Stacked};

/// ethtool requests (linux/ethtool.h).
const GET_DRIVER: u32 = 0x03;
const GET_RING: u32 = 0x10;
const GET_RSS: u32 = 0x46;

/// Drivers whose XDP runs in the driver itself, and those that can hand packets to AF_XDP without a copy
/// (Documentation/networking/af_xdp.rst and the drivers' `xsk` parts, Linux 6.6).
const XDP_DRIVERS: [&str; 24] = [
    "veth",
    "virtio_net",
    "tun",
    "ixgbe",
    "ixgbevf",
    "i40e",
    "ice",
    "igb",
    "igc",
    "mlx5_core",
    "mlx4_en",
    "bnxt_en",
    "ena",
    "gve",
    "nfp",
    "qede",
    "sfc",
    "thunder-nicvf",
    "stmmac",
    "mvneta",
    "mvpp2",
    "hv_netvsc",
    "xen-netfront",
    "netdevsim",
];
const ZERO_COPY_DRIVERS: [&str; 8] = ["ixgbe", "i40e", "ice", "igb", "igc", "mlx5_core", "stmmac", "nfp"];

/// The key that sends both directions of a connection to one queue: 6d5a, repeated.
const SYMMETRIC_KEY: [u8; 2] = [0x6d, 0x5a];

/// Names of all interfaces but the loopback one.
pub fn interfaces() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name != "lo" && name != "bonding_masters").collect();
    names.sort();
    names
}

struct Looked<'a> {
    name: &'a str,
    folder: PathBuf,
    control: Control,
}

pub(super) fn checks(name: &str) -> Vec<Check> {
    let there = "an interface that is not there, or not up, brings no packet";
    let control = Control::new().and_then(|control| Ok((control.index(name)?, control)));
    let control = match control {
        Ok((Some(_), control)) => control,
        Ok((None, _)) => {
            let known = interfaces().join(", ");
            let check = Check::new("interface", State::Bad, format!("there is none; there are: {known}"), there);
            return vec![check.mend("ip link").of(name)];
        }
        Err(error) => return vec![Check::new("interface", State::Unknown, error.to_string(), there).of(name)],
    };
    let looked = Looked { name, folder: Path::new("/sys/class/net").join(name), control };
    let mut checks = vec![looked.link(there), looked.policy(), looked.standing()];
    let driver = looked.driver();
    checks.push(looked.xdp(driver.as_deref()));
    checks.extend([
        looked.queues(),
        looked.rss(),
        looked.ring(),
        looked.offloads(),
        looked.interrupts(),
        looked.losses(),
    ]);
    checks.into_iter().map(|check| check.of(name)).collect()
}

impl Looked<'_> {
    fn link(&self, why: &'static str) -> Check {
        let state = line(self.folder.join("operstate")).unwrap_or_default();
        let speed = line(self.folder.join("speed")).and_then(|s| s.parse::<i64>().ok()).filter(|s| *s > 0);
        let mtu = line(self.folder.join("mtu")).unwrap_or_default();
        let speed = speed.map_or(String::new(), |speed| format!(", {speed} Mbit/s"));
        let up = self.control.flags(self.name).is_ok_and(|flags| flags & libc::IFF_UP != 0);
        let carrier = line(self.folder.join("carrier")).as_deref() == Some("1");
        let (level, mend) = match (up, carrier) {
            (true, true) => (State::Good, ""),
            (true, false) => (State::Warning, "check the cable, the transceiver, and the switch's mirror port"),
            (false, _) => (State::Bad, "ip link set IF up"),
        };
        Check::new("interface", level, format!("{state}{speed}, MTU {mtu}"), why).mend(mend.replace("IF", self.name))
    }

    fn policy(&self) -> Check {
        let why = "a port only for capture is opened in promiscuous mode; one the host uses keeps all its traffic";
        match HostUse::of(self.name).and_then(|host| Ok((host.policy(self.name, PolicyChoice::Auto, false)?, host))) {
            Ok((policy, host)) => {
                let HostUse { has_address, has_default_route, has_route, has_master } = host;
                let uses = [
                    (has_address, "an address"),
                    (has_default_route, "the default route"),
                    (has_route, "a route"),
                    (has_master, "a master, or an interface that stands on it"),
                ];
                let uses: Vec<_> = uses.iter().filter(|(there, _)| *there).map(|(_, what)| *what).collect();
                let found = match policy {
                    Policy::Tap => "tap (nothing of the host uses it)".to_owned(),
                    Policy::Inline => format!("inline (it has {})", uses.join(", ")),
                };
                Check::new("policy", State::Good, found, why)
            }
            Err(error) => Check::new("policy", State::Unknown, error.to_string(), why),
        }
    }

    /// What it stands on, and what stands on it.
    fn standing(&self) -> Check {
        let why = "a member of a bond shows a part of the traffic, a VLAN sub-interface no tags";
        let stacked = Stacked::of(self.name);
        match stacked.mode(ModeChoice::Auto) {
            Ok((_, Some(note))) => {
                let below = stacked.master.as_ref().or(stacked.lower.first()).map_or("the other", String::as_str);
                Check::new("standing", State::Warning, note, why).mend(format!("spotter capture --interface {below}"))
            }
            Ok((_, None)) if stacked.is_bond => {
                let members = stacked.lower.join(", ");
                Check::new("standing", State::Good, format!("a bond of {members}: all their traffic"), why)
            }
            Ok((_, None)) => Check::new("standing", State::Good, "on its own", why),
            Err(error) => Check::new("standing", State::Unknown, error.to_string(), why),
        }
    }

    /// `struct ethtool_drvinfo`: its command, then names of 32 bytes each.
    fn driver(&self) -> Option<String> {
        let mut words = [0_u32; 49];
        words[0] = GET_DRIVER;
        self.control.ethtool(self.name, &mut words, 49).ok()?;
        let bytes: Vec<u8> = words[1..9].iter().flat_map(|word| word.to_ne_bytes()).take_while(|b| *b != 0).collect();
        String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
    }

    fn xdp(&self, driver: Option<&str>) -> Check {
        let why = "XDP in the driver counts packets before the kernel allocates memory for them";
        let Some(driver) = driver else {
            return Check::new("driver", State::Unknown, "the driver does not tell its name", why);
        };
        if !XDP_DRIVERS.contains(&driver) {
            let found = format!("{driver}: not known to have XDP in the driver; generic XDP and AF_PACKET work");
            return Check::new("driver", State::Warning, found, why)
                .mend("use a card with ice, i40e, ixgbe, mlx5 or igc");
        }
        let zero_copy = ZERO_COPY_DRIVERS.contains(&driver);
        let slow_path = if zero_copy { "AF_XDP without copy" } else { "packets read whole are copied" };
        Check::new("driver", State::Good, format!("{driver}: XDP in the driver, {slow_path}"), why)
    }

    fn queues(&self) -> Check {
        let why = "each queue is one CPU's work; one queue is one CPU's limit";
        let count = |kind: &str| {
            let entries = fs::read_dir(self.folder.join("queues")).ok()?;
            Some(entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(kind)).count())
        };
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        match count("rx-") {
            Some(0) | None => Check::new("queues", State::Unknown, "sysfs does not tell", why),
            Some(rx) => {
                let state = if rx == 1 && cpus > 2 { State::Warning } else { State::Good };
                let found = format!("{rx} receive queues, {cpus} CPUs");
                Check::new("queues", state, found, why).mend(format!("ethtool -L {} combined {cpus}", self.name))
            }
        }
    }

    /// `struct ethtool_rxfh`: command, context, sizes of table and key, function; then table and key.
    fn rss(&self) -> Check {
        let why = "spreads connections over the queues; both directions in one queue are cheaper, not needed: shards bring them together";
        let mut sizes = [0_u32; 6];
        sizes[0] = GET_RSS;
        if self.control.ethtool(self.name, &mut sizes, 6).is_err() {
            return Check::new("rss", State::Unknown, "the driver has no RSS settings", why);
        }
        let (table, key) = (sizes[2] as usize, sizes[3] as usize);
        if table > 4_096 || key == 0 || key > 1_024 {
            return Check::new("rss", State::Unknown, "the driver does not tell the key", why);
        }
        let mut words = vec![0_u32; 6 + table + key.div_ceil(4)];
        words[..4].copy_from_slice(&[GET_RSS, 0, table as u32, key as u32]);
        let limit = words.len();
        if self.control.ethtool(self.name, &mut words, limit).is_err() {
            return Check::new("rss", State::Unknown, "the driver does not tell the key", why);
        }
        let bytes: Vec<u8> = words.iter().skip(6 + table).flat_map(|word| word.to_ne_bytes()).take(key).collect();
        let symmetric = bytes.chunks_exact(2).all(|pair| pair == SYMMETRIC_KEY);
        let found =
            format!("{table} places, key of {key} bytes, {}", if symmetric { "symmetric" } else { "not symmetric" });
        let found = match symmetric {
            true => found,
            // It works as it is; who wants it cheaper is told how.
            false => {
                format!("{found} (cheaper: ethtool -X {} hkey {})", self.name, ["6d:5a"].repeat(key / 2).join(":"))
            }
        };
        Check::new("rss", State::Good, found, why)
    }

    /// `struct ethtool_ringparam`: command, maxima of rx, mini, jumbo, tx, then the same as they are.
    fn ring(&self) -> Check {
        let why = "the card's own buffer: it bridges the moments in which no CPU looks";
        let mut words = [0_u32; 9];
        words[0] = GET_RING;
        if self.control.ethtool(self.name, &mut words, 9).is_err() || words[1] == 0 {
            return Check::new("ring", State::Unknown, "the driver has no ring settings", why);
        }
        let (most, now) = (words[1], words[5]);
        let state = if now < most && now < 4_096 { State::Warning } else { State::Good };
        Check::new("ring", state, format!("{now} of {most} descriptors"), why)
            .mend(format!("ethtool -G {} rx {most}", self.name))
    }

    fn offloads(&self) -> Check {
        let why = "GRO and LRO make one long packet of several: fewer, larger ones are counted; the VLAN filter hides VLANs. Capture turns them \
            off while it lasts";
        let Ok(features) = features(&self.control, self.name) else {
            return Check::new("offloads", State::Unknown, "the driver does not tell", why);
        };
        let harmful = ["rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding", "rx-vlan-filter"];
        let on = features.iter().filter(|f| f.active && harmful.contains(&f.name.as_str()));
        let (fixed, on): (Vec<_>, Vec<_>) = on.partition(|feature| !feature.changeable);
        let names =
            |list: &[&crate::af_packet::Feature]| list.iter().map(|f| f.name.clone()).collect::<Vec<_>>().join(", ");
        if !fixed.is_empty() {
            let found = format!("cannot be turned off: {}", names(&fixed));
            return Check::new("offloads", State::Warning, found, why)
                .mend("capture on another card; merged frames are counted");
        }
        let found =
            if on.is_empty() { "none on".to_owned() } else { format!("on, will be turned off: {}", names(&on)) };
        Check::new("offloads", State::Good, found, why)
    }

    fn interrupts(&self) -> Check {
        let why = "interrupts of all queues on one CPU make it the limit of the whole card";
        let table = fs::read_to_string("/proc/interrupts").unwrap_or_default();
        let numbers = interrupts_of(&table, self.name);
        if numbers.is_empty() {
            return Check::new("interrupts", State::Unknown, "none carries the interface's name", why);
        }
        let mut lists: Vec<String> =
            numbers.iter().filter_map(|number| line(format!("/proc/irq/{number}/effective_affinity_list"))).collect();
        let total = lists.len();
        lists.sort();
        lists.dedup();
        let crowded = total > 1 && lists.len() == 1;
        let state = if crowded { State::Warning } else { State::Good };
        Check::new("interrupts", state, format!("{total} interrupts on CPUs {}", lists.join(" ")), why)
            .mend("systemctl start irqbalance, or the card's set_irq_affinity script")
    }

    fn losses(&self) -> Check {
        let why = "packets the card lost before anything could count them";
        let statistic =
            |name: &str| line(self.folder.join("statistics").join(name)).and_then(|v| v.parse::<u64>().ok());
        let names = ["rx_missed_errors", "rx_fifo_errors", "rx_over_errors", "rx_crc_errors"];
        let lost: Vec<(&str, u64)> =
            names.iter().filter_map(|name| Some((*name, statistic(name)?))).filter(|(_, value)| *value > 0).collect();
        let packets = statistic("rx_packets").unwrap_or(0);
        if lost.is_empty() {
            return Check::new("losses", State::Good, format!("none of {packets} packets"), why);
        }
        let found: Vec<String> = lost.iter().map(|(name, value)| format!("{name} {value}")).collect();
        Check::new("losses", State::Warning, format!("{} of {packets} packets since the start", found.join(", ")), why)
            .mend(format!("ethtool -S {} tells where; larger rings, more queues", self.name))
    }
}

/// Numbers of the interrupts that carry the interface's name.
fn interrupts_of(table: &str, name: &str) -> Vec<u32> {
    let carries = |word: &str| word == name || word.starts_with(&format!("{name}-"));
    table
        .lines()
        .filter(|line| line.split_whitespace().any(carries))
        .filter_map(|line| line.split(':').next()?.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_are_found_by_whole_names() {
        let table = "           CPU0       CPU1\n 24:  1  2  PCI-MSIX-0000:00:03.0  0-edge  eth1-rx-0\n 25:  1  2  PCI-MSI  1-edge  eth1-tx-0\n \
            26:  1  2  PCI-MSI  2-edge  eth10-rx-0\n NMI:  0  0  Non-maskable eth1\n";
        assert_eq!(interrupts_of(table, "eth1"), [24, 25]);
    }

    #[test]
    fn an_interface_that_is_not_there_is_said_so() {
        let checks = checks("no-such-if");
        assert_eq!((checks.len(), checks[0].state), (1, State::Bad));
        assert!(checks[0].found.contains("there is none") && checks[0].mend.is_some());
    }

    #[test]
    fn the_loopback_interface_is_looked_at_whole() {
        let checks = checks("lo");
        let names: Vec<_> = checks.iter().map(|c| c.name).collect();
        let all =
            ["interface", "policy", "standing", "driver", "queues", "rss", "ring", "offloads", "interrupts", "losses"];
        assert_eq!(names, all);
        assert!(checks.iter().all(|c| c.interface.as_deref() == Some("lo") && !c.found.is_empty()));
    }
}
