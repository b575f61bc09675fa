//! Which information elements are read, and into which slot of a row.
//!
//! Numbers are IANA's IPFIX elements; NetFlow v9 shares those below 128 and, in practice, most above.

/// A slot of [`Row::ints`](super::rows::Row): an unsigned integer of up to eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Int {
    Octets,
    Packets,
    TotalOctets,
    TotalPackets,
    PostOctets,
    PostPackets,
    InitiatorOctets,
    ResponderOctets,
    InitiatorPackets,
    ResponderPackets,
    RevOctets,
    RevPackets,
    RevTcpFlags,
    RevTos,
    SrcPort,
    DstPort,
    Proto,
    Tos,
    TcpFlags,
    InputIf,
    OutputIf,
    SrcAs,
    DstAs,
    SrcMask,
    DstMask,
    SrcMask6,
    DstMask6,
    StartUptime,
    EndUptime,
    StartSec,
    EndSec,
    StartMs,
    EndMs,
    StartUs,
    EndUs,
    StartNs,
    EndNs,
    StartDelta,
    EndDelta,
    SystemInitMs,
    DurationMs,
    DurationUs,
    ObservedSec,
    ObservedMs,
    ObservedUs,
    ObservedNs,
    IcmpTypeCode,
    IcmpType,
    IcmpCode,
    Icmp6TypeCode,
    Icmp6Type,
    Icmp6Code,
    Vlan,
    Dot1qVlan,
    CustomerVlan,
    Cos,
    EtherType,
    FwdStatus,
    EndReason,
    Direction,
    IpVersion,
    SrcMac,
    DstMac,
    SamplerId,
    SamplingInterval,
    SamplerInterval,
    SelectorId,
    SelectorAlgorithm,
    PacketInterval,
    PacketSpace,
    SamplingSize,
    SamplingPopulation,
    FrameSize,
    OptionsInterface,
}

/// How many there are.
pub(super) const INTS: usize = Int::OptionsInterface as usize + 1;

/// A slot of [`Row::addrs`](super::rows::Row).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Addr {
    Src4,
    Dst4,
    Src6,
    Dst6,
    NextHop4,
    NextHop6,
    BgpHop4,
    BgpHop6,
}

/// How many there are.
pub(super) const ADDRS: usize = Addr::BgpHop6 as usize + 1;

/// What is done with a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Int(Int),
    Addr(Addr),
    /// A sampled frame from the link layer on.
    Frame,
    /// A sampled packet from the IP header on.
    Packet,
    Skip,
}

/// Private enterprise number of reverse elements (RFC 5103).
const REVERSE: u32 = 29_305;
/// CERT's, of the YAF exporter.
const CERT: u32 = 6_871;

/// Where a field goes. A length that the element cannot have is skipped: `None` of it is believed.
pub(super) fn target(enterprise: u32, id: u16, len: u16) -> Target {
    let target = match enterprise {
        0 => standard(id),
        REVERSE => match id {
            1 => Target::Int(Int::RevOctets),
            2 => Target::Int(Int::RevPackets),
            5 => Target::Int(Int::RevTos),
            6 => Target::Int(Int::RevTcpFlags),
            85 => Target::Int(Int::RevOctets),
            86 => Target::Int(Int::RevPackets),
            _ => Target::Skip,
        },
        // initialTCPFlags is in unionTCPFlags of the packets after it only; both make the OR.
        CERT if id == 15 => Target::Int(Int::TcpFlags),
        CERT if id == 15 | 0x4000 => Target::Int(Int::RevTcpFlags),
        _ => Target::Skip,
    };
    let fits = match target {
        Target::Int(Int::SrcMac | Int::DstMac) => len == 6,
        Target::Int(Int::StartUs | Int::EndUs | Int::StartNs | Int::EndNs | Int::ObservedUs | Int::ObservedNs) => {
            len == 8
        }
        Target::Int(_) => (1..=8).contains(&len),
        Target::Addr(Addr::Src4 | Addr::Dst4 | Addr::NextHop4 | Addr::BgpHop4) => len == 4,
        Target::Addr(_) => len == 16,
        Target::Frame | Target::Packet | Target::Skip => true,
    };
    if fits { target } else { Target::Skip }
}

fn standard(id: u16) -> Target {
    use Int::*;
    let int = match id {
        1 => Octets,
        2 => Packets,
        4 => Proto,
        5 => Tos,
        6 => TcpFlags,
        7 | 180 | 182 => SrcPort,
        9 => SrcMask,
        10 => InputIf,
        11 | 181 | 183 => DstPort,
        13 => DstMask,
        14 => OutputIf,
        16 => SrcAs,
        17 => DstAs,
        21 => EndUptime,
        22 => StartUptime,
        23 => PostOctets,
        24 => PostPackets,
        29 => SrcMask6,
        30 => DstMask6,
        32 => IcmpTypeCode,
        34 => SamplingInterval,
        48 => SamplerId,
        50 => SamplerInterval,
        56 => SrcMac,
        58 => Vlan,
        60 => IpVersion,
        61 => Direction,
        80 => DstMac,
        85 => TotalOctets,
        86 => TotalPackets,
        89 => FwdStatus,
        136 => EndReason,
        139 => Icmp6TypeCode,
        150 => StartSec,
        151 => EndSec,
        152 => StartMs,
        153 => EndMs,
        154 => StartUs,
        155 => EndUs,
        156 => StartNs,
        157 => EndNs,
        158 => StartDelta,
        159 => EndDelta,
        160 => SystemInitMs,
        161 => DurationMs,
        162 => DurationUs,
        176 => IcmpType,
        177 => IcmpCode,
        178 => Icmp6Type,
        179 => Icmp6Code,
        231 => InitiatorOctets,
        232 => ResponderOctets,
        243 => Dot1qVlan,
        244 => Cos,
        245 => CustomerVlan,
        256 => EtherType,
        298 => InitiatorPackets,
        299 => ResponderPackets,
        302 => SelectorId,
        304 => SelectorAlgorithm,
        305 => PacketInterval,
        306 => PacketSpace,
        309 => SamplingSize,
        310 => SamplingPopulation,
        312 => FrameSize,
        322 => ObservedSec,
        323 => ObservedMs,
        324 => ObservedUs,
        325 => ObservedNs,
        _ => return other(id),
    };
    Target::Int(int)
}

const fn other(id: u16) -> Target {
    match id {
        8 => Target::Addr(Addr::Src4),
        12 => Target::Addr(Addr::Dst4),
        15 => Target::Addr(Addr::NextHop4),
        18 => Target::Addr(Addr::BgpHop4),
        27 => Target::Addr(Addr::Src6),
        28 => Target::Addr(Addr::Dst6),
        62 => Target::Addr(Addr::NextHop6),
        63 => Target::Addr(Addr::BgpHop6),
        // dataLinkFrameSection; v9's layer2packetSectionData.
        315 | 104 => Target::Frame,
        313 => Target::Packet,
        _ => Target::Skip,
    }
}
