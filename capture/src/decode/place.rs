//! Whose decoder a frame belongs to, where several share the work: see [`Place`].

use probe_common::parse_ethernet;

use super::hot;
use super::ip;
use super::layers::{self, Layer, Passed};
use super::view::View;
use crate::{Ip, LinkType};

/// Where an Ethernet frame is decoded when several decoders share the work.
///
/// The decoder that keeps an address pair's connections reads plain frames itself. Frames with tunnels and
/// fragments are read where the outermost IP addresses say, since what they carry is known only then: see
/// [`Sink::payload`](crate::Sink::payload).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Read at once, from the frame alone: the addresses of its packet.
    Plain(Ip, Ip),
    /// Has to be read layer by layer: the addresses of its outermost IP header, where it has a readable one.
    Deep(Option<(Ip, Ip)>),
}

impl Place {
    /// The place of the frame that begins with `data` and is `wire_len` bytes long on the wire.
    #[inline]
    pub fn of_ethernet(data: &[u8], wire_len: u32) -> Self {
        match parse_ethernet(data) {
            Ok((_, headers)) if hot::is_plain(&headers, wire_len) => Self::Plain(Ip(headers.src), Ip(headers.dst)),
            _ => Self::Deep(outermost(data, wire_len)),
        }
    }
}

fn outermost(data: &[u8], wire_len: u32) -> Option<(Ip, Ip)> {
    let view = View { data, wire: (wire_len as usize).max(data.len()) };
    let (version, view) = layers::to_ip(Layer::LinkType(LinkType::ETHERNET), view, &mut Passed::default()).ok()?;
    let header = ip::read(version, view).ok()?;
    Some((header.src, header.dst))
}
