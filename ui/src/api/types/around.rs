//! What surrounds a host.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Whose peers.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AroundFlowQuery {
    /// The address.
    pub ip: String,
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// Peers at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
}

/// The peers of an address.
#[derive(Debug, Serialize, ToSchema)]
pub struct AroundFlow {
    /// Those with the most bytes first.
    pub peers: Vec<AroundPeer>,
    /// Are there more than were asked for?
    pub more: bool,
}

/// A peer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AroundPeer {
    /// Its address.
    pub peer: String,
    /// Is it of a network that is not routed in the Internet?
    pub internal: bool,
    /// Bytes that the address sent to it. A sum of floating point: exact up to 2^53.
    pub bytes_out: f64,
    /// Bytes that it sent to the address, likewise.
    pub bytes_in: f64,
    /// Flow records.
    pub connections: u64,
}

/// Of which client or name; one of the two.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AroundDnsQuery {
    /// A client: the names it asked for.
    pub client: Option<String>,
    /// A name: who asked for it.
    pub name: Option<String>,
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// Rows at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
}

/// Names, clients and answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct AroundDns {
    /// The most frequent first.
    pub names: Vec<AroundName>,
    /// Are there more than were asked for?
    pub more: bool,
}

/// A client that asked for a name and was answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct AroundName {
    /// The client.
    pub client_ip: String,
    /// The name.
    pub qname: String,
    /// Response code; `null` where no answer was seen.
    pub rcode: Option<u16>,
    /// Addresses answered.
    pub answers: Vec<String>,
    /// Records.
    pub records: u64,
}
