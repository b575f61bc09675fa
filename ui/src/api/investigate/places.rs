//! Where a subject and its peers are, as far as the files of the context know.

use std::net::IpAddr;

use analytics::context::{Context, Geo};

use super::Subject;
use crate::api::types::{Direction, Peer, Place};

/// The subject, if it is one address, then its peers in their order; who has no latitude and longitude is left out.
pub(super) fn of(context: &Context, subject: &Subject, peers: &[Peer]) -> Vec<Place> {
    let itself = match subject {
        Subject::Address(ip) => place(context, *ip),
        _ => None,
    };
    let itself = itself.map(|place| Place { is_subject: true, ..place });
    let peers = peers.iter().filter_map(|peer| {
        let place = place(context, peer.peer.parse().ok()?)?;
        Some(Place { way: peer.way, bytes: peer.bytes_in + peer.bytes_out, ..place })
    });
    itself.into_iter().chain(peers).collect()
}

fn place(context: &Context, ip: IpAddr) -> Option<Place> {
    let geo = context.geo(ip)?;
    let location = location(&geo);
    let Geo { latitude: Some(latitude), longitude: Some(longitude), .. } = geo else { return None };
    Some(Place {
        ip: ip.to_string(),
        latitude,
        longitude,
        location,
        way: Direction::TwoWay,
        bytes: 0,
        is_subject: false,
    })
}

/// City, region, country, owner: those that are known.
fn location(geo: &Geo) -> String {
    let parts = [&geo.city, &geo.region, &geo.country, &geo.owner];
    let parts: Vec<&str> = parts.into_iter().filter_map(Option::as_deref).collect();
    parts.join(", ")
}
