//! Why a frame made no packet: the ledger's counter names.

use crate::Fate;

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $fate:ident $name:ident = $text:literal;)+) => {
        /// A cause, with the fate it belongs to.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Cause {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Cause {
            /// The frame's fate.
            pub(super) const fn fate(self) -> Fate {
                match self {
                    $(Self::$name => Fate::$fate($text),)+
                }
            }
        }
    };
}

causes! {
    /// ARP or RARP.
    NotIp Arp = "not_ip_arp";
    /// LLDP.
    NotIp Lldp = "not_ip_lldp";
    /// Another EtherType that carries no IP.
    NotIp EtherType = "not_ip_ethertype";
    /// IEEE 802.2 without IP: spanning tree, IS-IS, NetBIOS, Cisco's discovery protocols.
    NotIp Llc = "not_ip_llc";
    /// PPP without IP: link and network control, compressed and encrypted payloads.
    NotIp Ppp = "not_ip_ppp";
    /// PPPoE discovery.
    NotIp PppoeDiscovery = "not_ip_pppoe_discovery";
    /// MPLS with neither IP nor Ethernet in it.
    NotIp Mpls = "not_ip_mpls";
    /// MACsec, encrypted.
    NotIp MacSec = "not_ip_macsec";
    /// 802.11 without data: management, control, null.
    NotIp Wlan = "not_ip_80211";
    /// 802.11 data that is encrypted.
    NotIp WlanEncrypted = "not_ip_80211_encrypted";
    /// A later fragment of an 802.11 frame.
    NotIp WlanFragment = "not_ip_80211_fragment";
    /// A cooked, loopback, log or tap header that announces something other than IP.
    NotIp Pseudo = "not_ip_pseudo_header";
    /// A link type that cannot carry IP, or is not known here.
    NotIp LinkType = "not_ip_link_type";
    /// The link-layer headers are cut off, or contradict themselves.
    Malformed Link = "malformed_link";
    /// More layers below IP than anyone sends.
    Malformed Layers = "malformed_layers";
    /// The IP version is not the one the layer below announces.
    Malformed IpVersion = "malformed_ip_version";
    /// The IP header is cut off.
    Malformed IpTruncated = "malformed_ip_truncated";
    /// The IPv4 header says it is shorter than 20 bytes.
    Malformed IpHeaderLength = "malformed_ip_header_length";
    /// The IPv4 datagram says it is shorter than its header.
    Malformed IpTotalLength = "malformed_ip_total_length";
}
