//! Opening an interface in the best way it can be captured.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::af_packet::{AfPacket, AfPacketOptions};
use crate::keeper::Kept;
use crate::live::source::{Interface, SourceError};
use crate::live::{Filter, HostUse, Policy, PolicyChoice, Stacked};

/// Which way of capture is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum ModeChoice {
    /// XDP where it can be had, else AF_PACKET.
    #[default]
    Auto,
    /// XDP or nothing.
    Xdp,
    /// The stack's XDP, though the driver may have its own.
    XdpGeneric,
    /// AF_PACKET.
    AfPacket,
}

impl FromStr for ModeChoice {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "xdp" => Ok(Self::Xdp),
            "xdp_generic" => Ok(Self::XdpGeneric),
            "af_packet" => Ok(Self::AfPacket),
            _ => Err(SourceError::OutOfRange { name: "mode", range: "auto, xdp, xdp_generic or af_packet".to_owned() }),
        }
    }
}

/// How packets that are not only counted come to user space from XDP in a driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum SlowPath {
    /// By AF_XDP where the driver hands its own memory over (zero copy); else by the ring: one copy is made either way, and that
    /// of the socket costs about five times as much.
    #[default]
    Auto,
    /// By AF_XDP sockets.
    AfXdp,
    /// By a ring that they are copied into.
    Ring,
}

impl FromStr for SlowPath {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "af_xdp" => Ok(Self::AfXdp),
            "ring" => Ok(Self::Ring),
            _ => Err(SourceError::OutOfRange { name: "slow path", range: "auto, af_xdp or ring".to_owned() }),
        }
    }
}

/// Settings of [`open`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenOptions {
    /// Way of capture.
    pub mode: ModeChoice,
    /// XDP in a driver: how whole packets come to user space.
    pub slow_path: SlowPath,
    /// What the interface is for.
    pub policy: PolicyChoice,
    /// A tap on an interface the host uses is wanted all the same.
    pub force: bool,
    /// Receivers of an AF_PACKET interface.
    pub receivers: u32,
    /// Bytes of each AF_PACKET receiver's ring.
    pub ring_bytes: u64,
    /// Bytes kept of a frame.
    pub snaplen: u32,
    /// One packet in so many is kept.
    pub sample: u32,
    /// What is dropped early.
    pub filter: Filter,
    /// Flows in different VLANs are different flows (XDP counts them in the kernel).
    pub vlan_in_key: bool,
    /// Of packets in tunnels the inner ones make records, as [`crate::Tunnels`] says.
    pub enters_tunnels: bool,
    /// XDP: folder in a BPF file system where the kernel's counts outlive the process; none: they do not.
    pub pins: Option<PathBuf>,
    /// A number for the lake the records go to.
    pub owner: u64,
}

/// Where the kernel's counts outlive the process by default.
pub const PINS: &str = "/sys/fs/bpf/spotter";

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            mode: ModeChoice::Auto,
            slow_path: SlowPath::Auto,
            policy: PolicyChoice::Auto,
            force: false,
            receivers: 1,
            ring_bytes: 64 << 20,
            snaplen: u32::MAX,
            sample: 1,
            filter: Filter::default(),
            vlan_in_key: false,
            enters_tunnels: true,
            pins: Some(PINS.into()),
            owner: 0,
        }
    }
}

/// Opens the interface: packets come in from now on.
///
/// # Errors
/// It does not exist, is not Ethernet, is refused by its policy, or privileges are missing.
pub fn open(name: &str, options: &OpenOptions) -> Result<Box<dyn Interface>, SourceError> {
    Ok(open_kept(name, options)?)
}

/// The same, for a keeper.
pub(crate) fn open_kept(name: &str, options: &OpenOptions) -> Result<Box<dyn Kept>, SourceError> {
    let policy = HostUse::of(name)?.policy(name, options.policy, options.force)?;
    let (mode, note) = Stacked::of(name).mode(options.mode)?;
    if let Some(note) = note {
        tracing::info!(interface = name, "{note}");
    }
    if mode != ModeChoice::AfPacket {
        match open_xdp(name, policy, options) {
            Ok(interface) => return Ok(interface),
            Err(error) if mode != ModeChoice::Auto => return Err(error),
            Err(error) => tracing::info!(interface = name, %error, "XDP cannot be had: capturing by AF_PACKET"),
        }
    }
    #[cfg(feature = "probe")]
    if let Some(root) = &options.pins {
        crate::probe::give_up_left(root, name);
    }
    let af_packet = AfPacketOptions {
        receivers: options.receivers,
        ring_bytes: options.ring_bytes,
        snaplen: options.snaplen,
        sample: options.sample,
        filter: options.filter.clone(),
        ..AfPacketOptions::new(policy)
    };
    Ok(Box::new(AfPacket::open(name, af_packet)?))
}

#[cfg(feature = "probe")]
fn open_xdp(name: &str, policy: Policy, options: &OpenOptions) -> Result<Box<dyn Kept>, SourceError> {
    use crate::probe::{Xdp, XdpOptions};
    let xdp = XdpOptions {
        sample: options.sample,
        filter: options.filter.clone(),
        vlan_in_key: options.vlan_in_key,
        enters_tunnels: options.enters_tunnels,
        pins: options.pins.clone(),
        owner: options.owner,
        generic: options.mode == ModeChoice::XdpGeneric,
        slow_path: options.slow_path,
        ..XdpOptions::new(policy)
    };
    Ok(Box::new(Xdp::open(name, xdp)?))
}

#[cfg(not(feature = "probe"))]
fn open_xdp(name: &str, _: Policy, _: &OpenOptions) -> Result<Box<dyn Kept>, SourceError> {
    Err(SourceError::Refused(format!("'{name}': Spotter was built without XDP; use --mode af_packet")))
}
