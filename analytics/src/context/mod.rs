//! What is known of addresses, names and ports from files that the user gives: Spot's context files, MaxMind databases, lists of what is bad and of what is
//! popular, names of services; and names as DNS answered them.
//!
//! The files lie in `LAKE/context`, a folder for each kind ([`Kind`]); [`Store`] reads them when they change, without a restart. Nothing is asked of any
//! server. Promises: a file is read within bounds (bytes, lines, depth), and what cannot be taken of it is counted with its line; one bad file does not keep
//! the others from being used; IPv6 is read wherever IPv4 is; of overlapping ranges the smallest wins.

pub mod bundle;
pub mod geo;
pub mod leases;
mod names;
pub mod ranges;
pub mod reputation;
mod services;
mod store;
mod text;

pub use geo::Geo;
pub use leases::Leases;
pub use names::{NameSource, Names};
pub use reputation::Reputation;
pub use store::{FileReport, Store, check};
pub use text::Rejected;

use std::net::IpAddr;

use aggregator::record::Micros;
use hashbrown::HashMap;

use crate::detect::domain::registered;
use ranges::RangeMap;

/// What a file is, and the folder it lies in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The organisation's networks: Spot's `ipranges.csv` (`start,end,name`), or a network and a name a line.
    Internal,
    /// Where addresses are: Spot's `iploc.csv`.
    Geo,
    /// The same in MaxMind's format: country, city or ASN.
    Mmdb,
    /// Names of hosts and networks: Spot's `networkcontext_1.csv` (`key,name`; an address, a network, or two addresses).
    Network,
    /// What is known to be bad: CSV, a plain list, STIX 2.1, MISP.
    Reputation,
    /// What is popular: `rank,name` (Tranco, Umbrella).
    Domains,
    /// Names of ports: IANA's `service-names-port-numbers.csv`.
    Services,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Internal, Self::Geo, Self::Mmdb, Self::Network, Self::Reputation, Self::Domains, Self::Services];

    /// Its name, and that of its folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Geo => "geo",
            Self::Mmdb => "mmdb",
            Self::Network => "network",
            Self::Reputation => "reputation",
            Self::Domains => "domains",
            Self::Services => "services",
        }
    }

    /// Bytes a file of the kind may have.
    pub const fn max_bytes(self) -> u64 {
        match self {
            Self::Mmdb => 1 << 30,
            Self::Geo | Self::Reputation => 512 << 20,
            Self::Domains => 128 << 20,
            Self::Internal | Self::Network | Self::Services => 32 << 20,
        }
    }

    /// What a file is by its name, where that says it.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let has = |part: &str| name.contains(part);
        match name.as_str() {
            _ if name.ends_with(".mmdb") => Some(Self::Mmdb),
            _ if has("ipranges") => Some(Self::Internal),
            _ if has("iploc") => Some(Self::Geo),
            _ if has("networkcontext") => Some(Self::Network),
            _ if has("tranco") || has("umbrella") || has("top-1m") => Some(Self::Domains),
            _ if has("service-names") => Some(Self::Services),
            _ if has("stix") || has("misp") || name.ends_with(".json") => Some(Self::Reputation),
            _ => None,
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("unknown kind {text:?}: {}", all.join(", "))
        })
    }
}

/// Why a file or bundle is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// What is wrong with it.
    #[error("{0}")]
    File(String),
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: std::path::PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// All that is loaded.
#[derive(Debug, Default)]
pub struct Context {
    internal: RangeMap<String>,
    network: RangeMap<String>,
    geo: geo::Places,
    reputation: reputation::Reputations,
    domains: HashMap<Box<str>, u32>,
    services: HashMap<(u8, u16), String>,
    files: Vec<FileReport>,
    stamp: String,
}

impl Context {
    /// Differs whenever a file came, went or changed: for the keys of caches.
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    /// The files it was made of, those that could not be read too.
    pub fn files(&self) -> &[FileReport] {
        &self.files
    }

    /// The name of the organisation's range that holds an address. `None` for an address outside all of them.
    pub fn internal(&self, ip: IpAddr) -> Option<&str> {
        self.internal.get(ip).map(String::as_str)
    }

    /// Any range of the organisation is known.
    pub const fn knows_internal(&self) -> bool {
        !self.internal.is_empty()
    }

    /// Is there any file that places addresses?
    pub const fn has_geo(&self) -> bool {
        !self.geo.is_empty()
    }

    /// Where an address is.
    pub fn geo(&self, ip: IpAddr) -> Option<Geo> {
        self.geo.get(ip)
    }

    /// What the host or network of an address is called.
    pub fn network(&self, ip: IpAddr) -> Option<&str> {
        self.network.get(ip).map(String::as_str)
    }

    /// What the lists say of an address at a moment.
    pub fn of_address(&self, ip: IpAddr, at: Micros) -> Option<&Reputation> {
        self.reputation.of_address(ip, at)
    }

    /// What the lists say of a name, or of a domain it lies under.
    pub fn of_name(&self, name: &str, at: Micros) -> Option<&Reputation> {
        self.reputation.of_name(name, at)
    }

    /// What the lists say of a URI; of its host where they do not know it.
    pub fn of_uri(&self, uri: &str, at: Micros) -> Option<&Reputation> {
        self.reputation.of_uri(uri, at).or_else(|| {
            let bare = uri.split_once("://").map_or(uri, |(_, rest)| rest);
            let host = bare.split(['/', '?', '#']).next().unwrap_or_default();
            let host =
                host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
            match host.trim_matches(['[', ']']).parse() {
                Ok(ip) => self.of_address(ip, at),
                Err(_) => self.of_name(host, at),
            }
        })
    }

    /// Place of a name, or of its registered domain, among the popular ones: 1 = the most popular.
    pub fn popularity(&self, name: &str) -> Option<u32> {
        if self.domains.is_empty() {
            return None;
        }
        let name = name.trim_end_matches('.').to_lowercase();
        self.domains.get(name.as_str()).or_else(|| self.domains.get(registered(&name))).copied()
    }

    /// What a port is for: of the user's file, else of the built-in table.
    pub fn service(&self, proto: u8, port: u16) -> Option<&str> {
        self.services.get(&(proto, port)).map(String::as_str).or_else(|| services::built_in(proto, port))
    }
}
