//! What the traffic generator of the benches shares with user space; see `ebpf/src/wire.rs`.

/// What is to be sent, and what was. The program writes everything from [`Orders::random`] on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Orders {
    /// Nanoseconds from packet to packet, times 65,536; 0 = as fast as can be.
    pub gap: u64,
    /// Behind by more packets than this, the generator leaves them out: it does not make up for a pause by a burst.
    pub patience: u64,
    /// Flows of the plain traffic, each as often as the others.
    pub flows: u64,
    /// Of 65,536 packets, how many are DNS, question and answer in turn.
    pub dns: u64,
    /// Interface that sends.
    pub ifindex: u64,
    /// State of the random numbers; not 0.
    pub random: u64,
    /// When the first packet was sent, nanoseconds of the monotonic clock; 0 = not yet.
    pub start: u64,
    /// Packets that may be sent before the clock is read again.
    pub credit: u64,
    /// Packets handed to the interface.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those, DNS.
    pub dns_sent: u64,
    /// Packets left out.
    pub skipped: u64,
}

/// Packets the generator sends without a look at its clock.
pub const BURST: u64 = 64;
