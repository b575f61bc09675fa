//! The synthetic organisation: its hosts, their roles, names and addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::random::{Random, Zipf};
use super::session::{End, HOUR, MICRO, MINUTE};
use super::sites::Site;

/// The organisation's domain.
pub(crate) const DOMAIN: &str = "corp.example";

/// MAC address of the router at the tap.
const ROUTER: [u8; 6] = [0x02, 0, 0x5e, 0, 0, 1];

/// What a host is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Role {
    Resolver,
    Controller,
    Proxy,
    Mail,
    Files,
    Web,
    Database,
    Application,
    Git,
    Updates,
    Backup,
    Monitor,
    Scanner,
    Clock,
    Exchange,
    Recorder,
    Workstation,
    Printer,
    Phone,
    Camera,
}

/// Operating system of a workstation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Os {
    Windows,
    Mac,
    Linux,
}

/// What the people of a workstation do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Department {
    Engineering,
    Sales,
    Finance,
    Operations,
    Management,
}

/// A host of the organisation.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) role: Role,
    /// Fully qualified.
    pub(crate) name: Arc<str>,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Option<Ipv6Addr>,
    pub(crate) mac: [u8; 6],
    pub(crate) os: Os,
    pub(crate) department: Department,
    /// Working hours, nanoseconds of the day: come, lunch, back, go.
    pub(crate) hours: [i64; 4],
    /// Browser's index in the user-agent table.
    pub(crate) browser: usize,
    next_port: u16,
}

/// Everything that is fixed for the run, and the ports in use.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    /// Hosts by role, in the order of [`Role`].
    by_role: Vec<Vec<usize>>,
    pub(crate) sites: Vec<Site>,
    pub(crate) popularity: Zipf,
}

/// Roles of which there is a fixed number in a small network, and one more for so many hosts.
const SERVERS: [(Role, &str, usize, usize); 16] = [
    (Role::Resolver, "ns", 2, 5000),
    (Role::Controller, "dc", 2, 2000),
    (Role::Proxy, "proxy", 1, 5000),
    (Role::Mail, "mail", 1, 5000),
    (Role::Files, "files", 2, 500),
    (Role::Web, "www", 2, 5000),
    (Role::Database, "db", 2, 1000),
    (Role::Application, "app", 4, 100),
    (Role::Git, "git", 1, 5000),
    (Role::Updates, "updates", 1, 5000),
    (Role::Backup, "backup", 1, 5000),
    (Role::Monitor, "monitor", 1, 5000),
    (Role::Scanner, "vulnscan", 1, 25_000),
    (Role::Clock, "ntp", 1, 25_000),
    (Role::Exchange, "pbx", 1, 5000),
    (Role::Recorder, "nvr", 1, 5000),
];

impl World {
    pub(crate) fn new(seed: u64, count: u32) -> Self {
        let mut random = Random::new(seed, 1);
        let count = count as usize;
        let mut hosts = Vec::with_capacity(count);
        for (role, name, fixed, per) in SERVERS {
            for i in 0..fixed + count / per {
                let index = hosts.len();
                hosts.push(Host::new(role, format!("{name}{}.{DOMAIN}", i + 1), place(1, index), &mut random));
            }
        }
        let rest = count - hosts.len().min(count);
        let devices = [(Role::Printer, "prn", 4, 200), (Role::Phone, "phone", 10, 160), (Role::Camera, "cam", 6, 180)];
        let mut people = rest;
        for (role, name, percent, subnet) in devices {
            let n = rest * percent / 100 + 1;
            people = people.saturating_sub(n);
            for i in 0..n {
                hosts.push(Host::new(role, format!("{name}-{i:04}.{DOMAIN}"), place(subnet, i), &mut random));
            }
        }
        for i in 0..people {
            hosts.push(Host::new(Role::Workstation, format!("ws-{i:04}.{DOMAIN}"), place(16, i), &mut random));
        }
        let mut by_role = vec![Vec::new(); Role::Camera as usize + 1];
        for (i, host) in hosts.iter().enumerate() {
            by_role[host.role as usize].push(i);
        }
        let sites = Site::all(400 + count / 10, &mut random);
        let popularity = Zipf::new(sites.len());
        Self { hosts, by_role, sites, popularity }
    }

    /// Hosts of a role, never empty.
    pub(crate) fn of(&self, role: Role) -> &[usize] {
        &self.by_role[role as usize]
    }

    /// The host of a role that serves `client`.
    pub(crate) fn serving(&self, role: Role, client: usize) -> usize {
        let hosts = self.of(role);
        hosts[client % hosts.len()]
    }

    /// A port for a new connection of `host`, in its system's range (RFC 6056's simple counter).
    pub(crate) fn port(&mut self, host: usize) -> u16 {
        let host = &mut self.hosts[host];
        let low = if host.os == Os::Linux { 32_768 } else { 49_152 };
        host.next_port = if host.next_port >= 60_990 || host.next_port < low { low } else { host.next_port + 1 };
        host.next_port
    }

    /// Whether two hosts speak IPv6 with each other.
    pub(crate) fn six(&self, a: usize, b: usize) -> bool {
        self.hosts[a].v6.is_some() && self.hosts[b].v6.is_some() && (a * 31 + b * 17) % 100 < 45
    }

    /// Both ends of a session between two hosts, as seen at the tap on the client's side of the router, and the
    /// time to the server and back.
    pub(crate) fn between(&mut self, client: usize, server: usize, port: u16) -> (End, End, i64) {
        let own = self.port(client);
        self.between_ports(client, own, server, port, self.six(client, server))
    }

    pub(crate) fn between_ports(
        &self,
        client: usize,
        own: u16,
        server: usize,
        port: u16,
        six: bool,
    ) -> (End, End, i64) {
        let (a, b) = (&self.hosts[client], &self.hosts[server]);
        let same = a.v4.octets()[..3] == b.v4.octets()[..3];
        let from = End { ip: a.address(six), port: own, mac: a.mac, ttl: a.ttl() };
        let to = if same {
            End { ip: b.address(six), port, mac: b.mac, ttl: b.ttl() }
        } else {
            End { ip: b.address(six), port, mac: ROUTER, ttl: b.ttl() - 1 }
        };
        (from, to, 180 * MICRO + ((client * 7 + server * 13) % 300) as i64 * MICRO)
    }

    /// The same for a server on the Internet.
    pub(crate) fn outward(&mut self, client: usize, server: IpAddr, port: u16, rtt: i64) -> (End, End, i64) {
        let own = self.port(client);
        let host = &self.hosts[client];
        let ip = host.address(server.is_ipv6());
        (End { ip, port: own, mac: host.mac, ttl: host.ttl() }, End { ip: server, port, mac: ROUTER, ttl: 52 }, rtt)
    }

    /// The same for a client on the Internet.
    pub(crate) fn inward(&self, client: IpAddr, own: u16, server: usize, port: u16, rtt: i64) -> (End, End, i64) {
        let host = &self.hosts[server];
        let ip = host.address(client.is_ipv6());
        // The tap is on the server's side: the way to the client is the long one, so the server answers at once.
        (
            End { ip: client, port: own, mac: ROUTER, ttl: 49 },
            End { ip, port, mac: host.mac, ttl: host.ttl() },
            rtt / 50,
        )
    }
}

/// Subnet and number in it of the `index`-th host of a block of subnets.
fn place(first: u8, index: usize) -> (u8, u8) {
    (first.wrapping_add((index / 200) as u8), (10 + index % 200) as u8)
}

impl Host {
    fn new(role: Role, name: String, (subnet, number): (u8, u8), random: &mut Random) -> Self {
        let server = role < Role::Workstation;
        let os = match role {
            Role::Workstation => *random.weighted(&[(65, Os::Windows), (20, Os::Mac), (15, Os::Linux)]),
            Role::Controller | Role::Files | Role::Updates => Os::Windows,
            _ => Os::Linux,
        };
        let department = *random.weighted(&[
            (30, Department::Engineering),
            (25, Department::Sales),
            (15, Department::Finance),
            (22, Department::Operations),
            (8, Department::Management),
        ]);
        let department =
            if os == Os::Linux && role == Role::Workstation { Department::Engineering } else { department };
        // IPv6 on servers and most workstations; few devices have it.
        let with_six = random.chance(if server {
            0.9
        } else if role == Role::Workstation {
            0.75
        } else {
            0.1
        });
        let come = 7 * HOUR + random.range(30, 150) as i64 * MINUTE;
        let lunch = 12 * HOUR + random.range(0, 75) as i64 * MINUTE;
        let hours = [
            come,
            lunch,
            lunch + random.range(30, 60) as i64 * MINUTE,
            come + random.range(8 * 60, 10 * 60) as i64 * MINUTE,
        ];
        let browser = match os {
            Os::Windows => *random.weighted(&[(60, 0), (25, 1), (15, 2)]),
            Os::Mac => *random.weighted(&[(50, 3), (40, 4), (10, 5)]),
            Os::Linux => *random.weighted(&[(60, 6), (40, 7)]),
        };
        Self {
            role,
            name: name.into(),
            v4: Ipv4Addr::new(10, 20, subnet, number),
            v6: with_six.then(|| Ipv6Addr::new(0xfd20, 0x5e1f, 0xab3c, u16::from(subnet), 0, 0, 0, u16::from(number))),
            mac: [0x02, 0x1a, role as u8, subnet, number, random.below(256) as u8],
            os,
            department,
            hours,
            browser,
            next_port: 32_768 + random.below(28_000) as u16,
        }
    }

    pub(crate) fn address(&self, six: bool) -> IpAddr {
        match self.v6 {
            Some(v6) if six => v6.into(),
            _ => self.v4.into(),
        }
    }

    pub(crate) const fn ttl(&self) -> u8 {
        match self.os {
            Os::Windows => 128,
            Os::Mac | Os::Linux => 64,
        }
    }
}
