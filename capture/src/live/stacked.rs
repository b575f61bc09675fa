//! Interfaces that stand on others: bonds and their members, bridges, VLAN sub-interfaces. What can be captured of them, and how.
//!
//! | interface | what is captured |
//! |---|---|
//! | bond | all its members' traffic. XDP where every member's driver has it, else AF_PACKET |
//! | member of a bond, port of a bridge | its own part of the traffic, inline; name all of them for the whole |
//! | VLAN sub-interface | its VLAN, by AF_PACKET; frames come without their tag, so records have no VLAN id: its parent has both |
//!
//! An interface and one that stands on it are never captured together: every packet would come twice.

use std::fs;
use std::path::Path;

use crate::live::ModeChoice;
use crate::live::source::SourceError;

/// Where the system tells of interfaces.
const SYSFS: &str = "/sys/class/net";

/// An interface among others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stacked {
    /// Its name.
    pub name: String,
    /// It is a bond.
    pub is_bond: bool,
    /// It is a VLAN of the interface below it.
    pub is_vlan: bool,
    /// The bond or bridge it belongs to.
    pub master: Option<String>,
    /// Its master is a bond.
    pub master_is_bond: bool,
    /// Interfaces it stands on: members, ports, the parent of a VLAN.
    pub lower: Vec<String>,
    /// Interfaces that stand on it.
    pub upper: Vec<String>,
}

impl Stacked {
    /// Looks at an interface.
    pub fn of(name: &str) -> Self {
        Self::read(Path::new(SYSFS), name)
    }

    fn read(root: &Path, name: &str) -> Self {
        let folder = root.join(name);
        let target = |link: &str| {
            let target = fs::read_link(folder.join(link)).ok()?;
            Some(target.file_name()?.to_str()?.to_owned())
        };
        let master = target("master");
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let entry = entry.file_name();
            let Some(entry) = entry.to_str() else { continue };
            lower.extend(entry.strip_prefix("lower_").map(str::to_owned));
            upper.extend(entry.strip_prefix("upper_").map(str::to_owned));
        }
        lower.sort();
        upper.sort();
        let uevent = fs::read_to_string(folder.join("uevent")).unwrap_or_default();
        Self {
            name: name.to_owned(),
            is_bond: folder.join("bonding").is_dir(),
            is_vlan: uevent.lines().any(|line| line == "DEVTYPE=vlan"),
            master_is_bond: master.as_ref().is_some_and(|master| root.join(master).join("bonding").is_dir()),
            master,
            lower,
            upper,
        }
    }

    /// The mode in which it is captured, and what its user should know.
    ///
    /// # Errors
    /// It cannot be captured in this mode; says what to do.
    pub fn mode(&self, wanted: ModeChoice) -> Result<(ModeChoice, Option<String>), SourceError> {
        let Self { name, lower, .. } = self;
        if self.is_vlan {
            let parent = lower.first().map_or("its parent", String::as_str);
            if matches!(wanted, ModeChoice::Xdp | ModeChoice::XdpGeneric) {
                return Err(SourceError::Refused(format!(
                    "'{name}' is a VLAN of '{parent}' and has no driver of its own for XDP: capture '{parent}' (--interface {parent}; \
                     records then have the VLAN id too), or use --mode af_packet"
                )));
            }
            let note = format!(
                "a VLAN of '{parent}': its frames come without their tag, so records have no VLAN id; --interface {parent} has all VLANs with theirs"
            );
            return Ok((ModeChoice::AfPacket, Some(note)));
        }
        let note = match &self.master {
            Some(master) if self.master_is_bond => Some(format!(
                "a member of bond '{master}': only its own part of the traffic; --interface {master} has all"
            )),
            Some(master) => Some(format!("a port of '{master}': only what passes this port")),
            None => None,
        };
        Ok((wanted, note))
    }
}

/// Refuses to capture an interface and one that stands on it.
///
/// # Errors
/// Names both, and says what to do.
pub fn check_together(names: &[String]) -> Result<(), SourceError> {
    let all: Vec<Stacked> = names.iter().map(|name| Stacked::of(name)).collect();
    check(&all)
}

fn check(all: &[Stacked]) -> Result<(), SourceError> {
    for above in all {
        if let Some(below) = all.iter().find(|below| above.lower.contains(&below.name)) {
            let (above, below) = (&above.name, &below.name);
            return Err(SourceError::Refused(format!(
                "'{above}' stands on '{below}': captured together, every packet would come twice. Name one of them: --interface {above}, \
                 or --interface {below}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As the kernel shows it: bond0 of eth1 and eth2, br0 with port eth3, eth0 with VLAN eth0.10, and dummy eth9.
    fn sysfs() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        let at = |path: &str| root.path().join(path);
        for name in ["bond0", "eth1", "eth2", "br0", "eth3", "eth0", "eth0.10", "eth9"] {
            fs::create_dir(at(name)).expect("made");
            fs::write(at(name).join("uevent"), format!("INTERFACE={name}\nIFINDEX=1\n")).expect("written");
        }
        fs::create_dir(at("bond0/bonding")).expect("made");
        fs::create_dir(at("br0/bridge")).expect("made");
        for (master, member) in [("bond0", "eth1"), ("bond0", "eth2"), ("br0", "eth3")] {
            symlink(format!("../{master}"), at(member).join("master")).expect("linked");
            symlink(format!("../{master}"), at(member).join(format!("upper_{master}"))).expect("linked");
            symlink(format!("../{member}"), at(master).join(format!("lower_{member}"))).expect("linked");
        }
        fs::write(at("eth0.10/uevent"), "DEVTYPE=vlan\nINTERFACE=eth0.10\n").expect("written");
        symlink("../eth0", at("eth0.10/lower_eth0")).expect("linked");
        symlink("../eth0.10", at("eth0/upper_eth0.10")).expect("linked");
        root
    }

    #[test]
    fn bonds_bridges_and_vlans_are_told_from_sysfs() {
        let root = sysfs();
        let of = |name: &str| Stacked::read(root.path(), name);
        let bond = of("bond0");
        assert_eq!(
            (bond.is_bond, bond.is_vlan, bond.lower.as_slice()),
            (true, false, &["eth1".to_owned(), "eth2".into()][..])
        );
        let member = of("eth1");
        assert_eq!((member.master.as_deref(), member.master_is_bond, member.upper.len()), (Some("bond0"), true, 1));
        let port = of("eth3");
        assert_eq!((port.master.as_deref(), port.master_is_bond), (Some("br0"), false));
        let vlan = of("eth0.10");
        assert_eq!((vlan.is_vlan, vlan.lower.as_slice()), (true, &["eth0".to_owned()][..]));
        assert_eq!(of("eth9"), Stacked { name: "eth9".to_owned(), ..Stacked::default() });
        assert_eq!(of("nowhere").lower, Vec::<String>::new());
    }

    #[test]
    fn a_vlan_is_captured_by_af_packet_or_refused_with_its_parent() {
        let root = sysfs();
        let vlan = Stacked::read(root.path(), "eth0.10");
        let refused = vlan.mode(ModeChoice::Xdp).expect_err("refused").to_string();
        assert!(refused.contains("--interface eth0;") && refused.contains("--mode af_packet"), "{refused}");
        for wanted in [ModeChoice::Auto, ModeChoice::AfPacket] {
            let (mode, note) = vlan.mode(wanted).expect("captured");
            assert!(mode == ModeChoice::AfPacket && note.expect("a note").contains("--interface eth0"));
        }
    }

    #[test]
    fn members_say_that_they_are_a_part() {
        let root = sysfs();
        let note = |name: &str| Stacked::read(root.path(), name).mode(ModeChoice::Auto).expect("captured");
        assert_eq!(note("eth9"), (ModeChoice::Auto, None));
        assert_eq!(note("bond0"), (ModeChoice::Auto, None));
        assert!(note("eth1").1.expect("a note").contains("--interface bond0"));
        assert!(note("eth3").1.expect("a note").contains("'br0'"));
    }

    #[test]
    fn an_interface_and_one_that_stands_on_it_are_not_captured_together() {
        let root = sysfs();
        let together = |names: &[&str]| {
            let all: Vec<_> = names.iter().map(|name| Stacked::read(root.path(), name)).collect();
            check(&all).map_err(|error| error.to_string())
        };
        assert_eq!(together(&["eth1", "eth2", "eth9"]), Ok(()));
        for names in [["bond0", "eth2"], ["eth2", "bond0"], ["eth0", "eth0.10"], ["eth3", "br0"]] {
            let refused = together(&names).expect_err("refused");
            assert!(refused.contains("twice") && names.iter().all(|name| refused.contains(name)), "{refused}");
        }
    }
}
