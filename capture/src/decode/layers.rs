//! From the first byte of a frame, or of a tunnel's payload, to the IP header.

use super::cause::Cause;
use super::view::View;
use super::{ethernet, link, mpls, ppp};
use crate::{IpVersion, Link, LinkType, Tunnel};

/// Layers below IP that are passed over in one go, at most.
const MAX_LAYERS: usize = 32;

/// What a view begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layer {
    /// A link type of the registry.
    LinkType(LinkType),
    /// MAC addresses, then a type or length.
    Ethernet,
    /// The payload of this EtherType.
    EtherType(u16),
    /// IEEE 802.2.
    Llc,
    /// PPP, perhaps with address and control.
    Ppp,
    /// A PPPoE session header.
    Pppoe,
    /// MPLS labels.
    Mpls,
    /// A network service header (RFC 8300).
    Nsh,
    /// IPv4 or IPv6, by the version field.
    Ip,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// The next layer and where it begins.
pub(super) type Next<'a> = Result<(Layer, View<'a>), Cause>;

/// What is learnt on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    pub(super) link: Link,
    pub(super) tunnel: Option<Tunnel>,
    /// The frame is an 802.11 aggregate: only its first part is read.
    pub(super) aggregated: bool,
}

/// Passes over every layer below IP.
pub(super) fn to_ip<'a>(start: Layer, view: View<'a>, passed: &mut Passed) -> Result<(IpVersion, View<'a>), Cause> {
    let (mut layer, mut view) = (start, view);
    for _ in 0..MAX_LAYERS {
        (layer, view) = match layer {
            Layer::LinkType(link) => link::enter(link, view, passed)?,
            Layer::Ethernet => ethernet::header(view, &mut passed.link)?,
            Layer::EtherType(ethertype) => ethernet::payload(ethertype, view, &mut passed.link)?,
            Layer::Llc => ethernet::llc(view)?,
            Layer::Ppp => ppp::header(view)?,
            Layer::Pppoe => {
                passed.tunnel = Some(Tunnel::Pppoe);
                ppp::pppoe(view)?
            }
            Layer::Mpls => {
                passed.tunnel = Some(Tunnel::Mpls);
                mpls::labels(view)?
            }
            Layer::Nsh => ethernet::nsh(view)?,
            Layer::Ip => {
                let version = match view.u8(0).ok_or(Cause::IpTruncated)? >> 4 {
                    4 => IpVersion::V4,
                    6 => IpVersion::V6,
                    _ => return Err(Cause::IpVersion),
                };
                return Ok((version, view));
            }
            Layer::Ipv4 => return Ok((IpVersion::V4, view)),
            Layer::Ipv6 => return Ok((IpVersion::V6, view)),
        };
    }
    Err(Cause::Layers)
}
