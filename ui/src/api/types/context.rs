//! What is known of an address, a name or a user agent.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a value is taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueKind {
    /// An IPv4 or IPv6 address.
    Address,
    /// A host or domain name.
    Name,
    /// A URI.
    Uri,
    /// A user agent.
    Agent,
}

/// How to look.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContextQuery {
    /// What the value is; told by its form if left out.
    pub kind: Option<ValueKind>,
    /// Days of the lake that prevalence is counted over, 1 to 366, up to the latest; 30 if left out.
    pub days: Option<u32>,
}

/// What files of the context know of a value in a row.
#[derive(Debug, Serialize, ToSchema)]
pub struct Known {
    /// The row's field that has the value.
    pub field: String,
    /// What local lists say: −1 unverified, 0 none, 1 low, 2 medium, 3 high.
    pub reputation: Option<i8>,
    /// Which list says so.
    pub reputation_source: Option<String>,
    /// Where it is, in a line.
    pub geo: Option<String>,
    /// What its host or network is called.
    pub network_context: Option<String>,
}

/// What is known of a value.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValueContext {
    /// The value.
    pub value: String,
    /// What it was taken for.
    pub kind: ValueKind,
    /// Is the address one of ours?
    pub internal: Option<bool>,
    /// The organisation's range that holds it.
    pub internal_name: Option<String>,
    /// What its host or network is called.
    pub network_context: Option<String>,
    /// Where it is, in a line.
    pub geo: Option<String>,
    /// ISO 3166 code of its country.
    pub country: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// What local lists say: −1 unverified, 0 none, 1 low, 2 medium, 3 high.
    pub reputation: Option<i8>,
    /// Which list says so.
    pub reputation_source: Option<String>,
    /// Place among the popular names, 1 = the most popular.
    pub popularity: Option<u32>,
    /// Names that DNS or DHCP gave the address, the latest first, 20 at most of each.
    pub names: Vec<SeenName>,
    /// Who talks to it.
    pub prevalence: Prevalence,
}

/// Where a name comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NameSource {
    /// Answers of DNS.
    Dns,
    /// Leases of DHCP: the host that held the address calls itself so.
    Dhcp,
}

/// A name that DNS or DHCP gave an address.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SeenName {
    /// The name that was asked for, or that the host gave.
    pub name: String,
    /// Who says so.
    pub source: NameSource,
    /// Answers that had the address; spans of time in which the host held it without a break.
    pub answers: u64,
    /// First of them.
    pub first_seen: Option<String>,
    /// Last of them.
    pub last_seen: Option<String>,
}

/// Who talks to something.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Prevalence {
    /// Hosts that do.
    pub hosts: u64,
    /// All hosts of the table in that time.
    #[serde(default)]
    pub of_hosts: u64,
    /// Records of it.
    pub records: u64,
    /// First of them.
    pub first_seen: Option<String>,
    /// Last of them.
    pub last_seen: Option<String>,
    /// First day that was looked at; `null` where the lake has none.
    #[serde(default)]
    pub since: Option<String>,
}
