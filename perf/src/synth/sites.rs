//! The synthetic Internet: sites, where they are hosted, and the programs that visit them.
//!
//! Names are under the reserved `example` domain (RFC 2606), addresses in the benchmarking network 198.18.0.0/15
//! (RFC 2544) and the documentation prefixes, so that no real party is ever accused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::dns::{Answer, Rdata};
use super::random::{ALPHANUMERIC, Random};
use super::session::{HOUR, MILLI};
use super::tls::Client;

/// What a site offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    News,
    Search,
    Social,
    Shop,
    Work,
    Video,
    Tracker,
    Storage,
    Repository,
    Update,
    Telemetry,
}

/// A site.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) domain: Arc<str>,
    /// Host names; the first is the main one.
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) kind: Kind,
    /// Served by this content delivery network, else by itself.
    cdn: Option<u8>,
    alias: Option<Arc<str>>,
    first: u16,
    pub(crate) six: bool,
    pub(crate) plain: bool,
    pub(crate) ttl: u32,
    pub(crate) rtt: i64,
}

const FIRST: [&str; 32] = [
    "harbour", "north", "silver", "daily", "open", "green", "city", "blue", "quick", "river", "stone", "bright",
    "metro", "cloud", "red", "prime", "swift", "lumen", "alpine", "coast", "delta", "union", "pixel", "terra", "nova",
    "atlas", "ember", "willow", "orbit", "cedar", "summit", "echo",
];
const SECOND: [&str; 28] = [
    "post", "times", "find", "shop", "works", "desk", "video", "media", "link", "space", "store", "board", "forge",
    "mail", "travel", "bank", "sports", "wiki", "maps", "school", "health", "books", "games", "parts", "labs",
    "stream", "market", "tools",
];

/// Content delivery networks: name, and first address of a pool of 64.
const CDNS: [(&str, u16); 4] = [
    ("edge.quickcache.example", 0xf000),
    ("global.fastline.example", 0xf080),
    ("cdn.nearby-edge.example", 0xf100),
    ("dist.cloudpool.example", 0xf180),
];

/// Sites with a fixed purpose stand after the browsing ones.
pub(crate) const SERVICES: [(&str, Kind); 6] = [
    ("telemetry-win.example", Kind::Telemetry),
    ("telemetry-mac.example", Kind::Telemetry),
    ("packages-linux.example", Kind::Update),
    ("devicecloud.example", Kind::Telemetry),
    ("meetings.example", Kind::Video),
    ("drive-sync.example", Kind::Storage),
];

impl Site {
    /// The whole Internet: `count` sites by falling popularity, then [`SERVICES`].
    pub(crate) fn all(count: usize, random: &mut Random) -> Vec<Self> {
        let mut order: Vec<usize> = (0..FIRST.len() * SECOND.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, random.index(i + 1));
        }
        let browsing = (0..count).map(|i| {
            let pick = order[i % order.len()];
            let round = i / order.len();
            let number = if round == 0 { String::new() } else { round.to_string() };
            let name = format!("{}{}{number}.example", FIRST[pick % FIRST.len()], SECOND[pick / FIRST.len()]);
            let kind = *random.weighted(&[
                (18, Kind::News),
                (6, Kind::Search),
                (10, Kind::Social),
                (18, Kind::Shop),
                (18, Kind::Work),
                (5, Kind::Video),
                (15, Kind::Tracker),
                (4, Kind::Storage),
                (6, Kind::Repository),
            ]);
            (name, kind)
        });
        let all: Vec<(String, Kind)> = browsing.chain(SERVICES.iter().map(|(n, k)| ((*n).to_owned(), *k))).collect();
        all.into_iter().enumerate().map(|(i, (domain, kind))| Self::new(i, domain, kind, random)).collect()
    }

    fn new(index: usize, domain: String, kind: Kind, random: &mut Random) -> Self {
        let prefixes: &[&str] = match kind {
            Kind::News | Kind::Shop => &["www", "static", "img"],
            Kind::Search => &["www", "suggest"],
            Kind::Social | Kind::Video => &["www", "api", "media"],
            Kind::Work => &["app", "api", "login"],
            Kind::Tracker => &["t", "pixel", "sync"],
            Kind::Storage => &["api", "content"],
            Kind::Repository => &["index", "files"],
            Kind::Update => &["mirror", "security"],
            Kind::Telemetry => &["events"],
        };
        let cdn = random.chance(0.45).then(|| random.below(CDNS.len() as u64) as u8);
        let alias = cdn.map(|c| format!("{}.{}", random.text(ALPHANUMERIC, 9), CDNS[usize::from(c)].0).into());
        Self {
            names: prefixes.iter().map(|p| format!("{p}.{domain}").into()).collect(),
            domain: domain.into(),
            kind,
            cdn,
            alias,
            first: (index * 5 % 0xe000) as u16,
            six: random.chance(0.5),
            plain: random.chance(0.08),
            ttl: *random.pick(&[30, 60, 60, 120, 300, 300, 600, 1800, 3600]),
            rtt: random.range(6, 90) as i64 * MILLI,
        }
    }

    /// Addresses that answer for it at a moment: a delivery network changes them by the hour.
    fn addresses(&self, at: i64) -> impl Iterator<Item = u16> {
        let (first, pool, n) = match self.cdn {
            Some(c) => (CDNS[usize::from(c)].1, 64, 2),
            None => (self.first, 4, 1 + self.first % 3),
        };
        let turn = if self.cdn.is_some() { (at / HOUR) as u16 } else { 0 };
        let start = self.first.wrapping_mul(7).wrapping_add(turn.wrapping_mul(5));
        (0..n).map(move |i| first + start.wrapping_add(i) % pool)
    }

    /// The address a client takes.
    pub(crate) fn address(&self, at: i64, six: bool, choice: usize) -> IpAddr {
        let mut all = self.addresses(at);
        let first = all.next().unwrap_or(self.first);
        let index = all.nth(choice % 3).unwrap_or(first);
        if six { server_six(index).into() } else { server_four(index).into() }
    }

    /// The answer section for `name`: aliases, then addresses. Empty where it has no address of the family.
    pub(crate) fn answers(&self, name: &Arc<str>, at: i64, six: bool, ttl: u32) -> Vec<Answer> {
        if six && !self.six {
            return Vec::new();
        }
        let mut owner = name.clone();
        let mut out = Vec::with_capacity(4);
        if let Some(alias) = &self.alias {
            out.push(Answer { name: owner, ttl, data: Rdata::Cname(alias.clone()) });
            owner = alias.clone();
        }
        for index in self.addresses(at) {
            let data = if six { Rdata::Aaaa(server_six(index)) } else { Rdata::A(server_four(index)) };
            out.push(Answer { name: owner.clone(), ttl, data });
        }
        out
    }
}

/// Address of a server on the Internet.
fn server_four(index: u16) -> Ipv4Addr {
    let [high, low] = index.to_be_bytes();
    Ipv4Addr::new(198, 18, high, low)
}

fn server_six(index: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x5170 + (index >> 12), index & 0xfff, 0, 0, 0, 0x80)
}

/// Address of a client on the Internet: 198.19.0.0/16, or 2001:db8:c11e::/48.
pub(crate) fn stranger(random: &mut Random, six: bool) -> IpAddr {
    let n = random.bits();
    if six {
        Ipv6Addr::new(0x2001, 0xdb8, 0xc11e, n as u16, 0, 0, (n >> 16) as u16, (n >> 32) as u16).into()
    } else {
        Ipv4Addr::new(198, 19, n as u8, (n >> 8) as u8).into()
    }
}

/// Address of an attacker or a rented server: the documentation prefixes.
pub(crate) fn rented(random: &mut Random) -> Ipv4Addr {
    let host = random.range(1, 254) as u8;
    match random.below(3) {
        0 => Ipv4Addr::new(192, 0, 2, host),
        1 => Ipv4Addr::new(198, 51, 100, host),
        _ => Ipv4Addr::new(203, 0, 113, host),
    }
}

/// Browsers: TLS client and user agent. Of the form browsers send; three each on Windows and Mac, two on Linux.
pub(crate) const BROWSERS: [(Client, &str); 8] = [
    (
        Client::Chromium,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    ),
    (
        Client::Chromium,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36 Edg/145.0.0.0",
    ),
    (Client::Firefox, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:147.0) Gecko/20100101 Firefox/147.0"),
    (
        Client::Apple,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
    ),
    (
        Client::Chromium,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    ),
    (Client::Firefox, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:147.0) Gecko/20100101 Firefox/147.0"),
    (Client::Firefox, "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"),
    (
        Client::Chromium,
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    ),
];
