//! What to generate.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::SynthError;
use super::session::DAY;

/// A day, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date(NaiveDate);

impl Date {
    /// Its midnight, nanoseconds since the epoch.
    pub(crate) fn midnight(self) -> i64 {
        self.0.signed_duration_since(NaiveDate::default()).num_days() * DAY
    }

    /// The date so many days later.
    pub(crate) fn after(self, days: i64) -> Self {
        Self(self.0 + chrono::TimeDelta::days(days))
    }

    /// Saturday or Sunday, `days` later.
    pub(crate) fn is_weekend(self, days: i64) -> bool {
        (i64::from(self.0.weekday().num_days_from_monday()) + days).rem_euclid(7) >= 5
    }
}

impl FromStr for Date {
    type Err = SynthError;

    fn from_str(text: &str) -> Result<Self, SynthError> {
        match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(date) if (1971..=2200).contains(&date.year()) => Ok(Self(date)),
            _ => Err(SynthError::Date(text.to_owned())),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An attack that can be injected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Many ports of one host.
    ScanVertical,
    /// One port of many hosts.
    ScanHorizontal,
    /// A few probes an hour.
    ScanSlow,
    /// Password guessing against SSH.
    SshBruteForce,
    /// Check-ins of an implant over HTTPS.
    BeaconHttps,
    /// Check-ins of an implant over HTTP.
    BeaconHttp,
    /// Data in DNS queries and TXT answers, after dnscat2.
    DnsTunnelTxt,
    /// Data in DNS queries and NULL answers, after iodine.
    DnsTunnelNull,
    /// Generated domain names, most of which do not exist.
    Dga,
    /// A large upload at night.
    ExfiltrationNight,
    /// A large upload in working hours.
    ExfiltrationDay,
    /// One workstation logs in to many peers.
    LateralMovement,
    /// SSH on 443 and TLS on 8081.
    OddPort,
    /// A user agent nobody else has, posting oddly.
    RareUserAgent,
    /// UDP probes at many hosts.
    ScanUdp,
    /// One port of many IPv6 neighbours.
    ScanIpv6,
    /// One password at many hosts.
    PasswordSpray,
    /// A beacon with jitter of half its interval.
    BeaconJitter,
    /// A beacon once an hour, day and night.
    BeaconSeldom,
    /// A beacon by a worker at a delivery network.
    BeaconFronted,
    /// DNS over HTTPS to a resolver nobody else uses.
    DohTunnel,
    /// Data in echo messages.
    IcmpTunnel,
    /// A slow tunnel in A, AAAA, CNAME and MX questions.
    DnsTunnelSlow,
    /// A few generated names over the day.
    DgaFew,
    /// An upload in pieces to many places.
    ExfiltrationSpread,
    /// A shell that calls home and stays for hours.
    ReverseShell,
    /// A workstation that peers fetch from.
    NewServer,
    /// A name with ever new addresses.
    FastFlux,
    /// A workstation administers a few others by WinRM.
    LateralWinrm,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::ScanVertical,
        Self::ScanHorizontal,
        Self::ScanSlow,
        Self::SshBruteForce,
        Self::BeaconHttps,
        Self::BeaconHttp,
        Self::DnsTunnelTxt,
        Self::DnsTunnelNull,
        Self::Dga,
        Self::ExfiltrationNight,
        Self::ExfiltrationDay,
        Self::LateralMovement,
        Self::OddPort,
        Self::RareUserAgent,
        Self::ScanUdp,
        Self::ScanIpv6,
        Self::PasswordSpray,
        Self::BeaconJitter,
        Self::BeaconSeldom,
        Self::BeaconFronted,
        Self::DohTunnel,
        Self::IcmpTunnel,
        Self::DnsTunnelSlow,
        Self::DgaFew,
        Self::ExfiltrationSpread,
        Self::ReverseShell,
        Self::NewServer,
        Self::FastFlux,
        Self::LateralWinrm,
    ];

    /// Its name in label files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScanVertical => "scan_vertical",
            Self::ScanHorizontal => "scan_horizontal",
            Self::ScanSlow => "scan_slow",
            Self::SshBruteForce => "ssh_brute_force",
            Self::BeaconHttps => "beacon_https",
            Self::BeaconHttp => "beacon_http",
            Self::DnsTunnelTxt => "dns_tunnel_txt",
            Self::DnsTunnelNull => "dns_tunnel_null",
            Self::Dga => "dga",
            Self::ExfiltrationNight => "exfiltration_night",
            Self::ExfiltrationDay => "exfiltration_day",
            Self::LateralMovement => "lateral_movement",
            Self::OddPort => "odd_port",
            Self::RareUserAgent => "rare_user_agent",
            Self::ScanUdp => "scan_udp",
            Self::ScanIpv6 => "scan_ipv6",
            Self::PasswordSpray => "password_spray",
            Self::BeaconJitter => "beacon_jitter",
            Self::BeaconSeldom => "beacon_seldom",
            Self::BeaconFronted => "beacon_fronted",
            Self::DohTunnel => "doh_tunnel",
            Self::IcmpTunnel => "icmp_tunnel",
            Self::DnsTunnelSlow => "dns_tunnel_slow",
            Self::DgaFew => "dga_few",
            Self::ExfiltrationSpread => "exfiltration_spread",
            Self::ReverseShell => "reverse_shell",
            Self::NewServer => "new_server",
            Self::FastFlux => "fast_flux",
            Self::LateralWinrm => "lateral_winrm",
        }
    }

    /// A set from the command line: `all`, `none`, or names with commas.
    ///
    /// # Errors
    /// [`SynthError::Attack`] names the word that is not an attack.
    pub fn set(text: &str) -> Result<BTreeSet<Self>, SynthError> {
        match text {
            "all" => Ok(Self::ALL.into()),
            "none" | "" => Ok(BTreeSet::new()),
            names => names.split(',').map(str::trim).map(Self::from_str).collect(),
        }
    }
}

impl FromStr for Attack {
    type Err = SynthError;

    fn from_str(text: &str) -> Result<Self, SynthError> {
        Self::ALL
            .into_iter()
            .find(|a| a.name() == text)
            .ok_or_else(|| SynthError::Attack { word: text.to_owned(), known: Self::ALL.map(Self::name).join(", ") })
    }
}

/// How loud the attacks are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intensity {
    /// At the quiet end of what was published.
    Low,
    /// In the middle.
    #[default]
    Medium,
    /// At the loud end.
    High,
}

impl FromStr for Intensity {
    type Err = SynthError;

    fn from_str(text: &str) -> Result<Self, SynthError> {
        match text {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(SynthError::Intensity(text.to_owned())),
        }
    }
}

/// What to generate. The same configuration gives the same bytes on every machine.
#[derive(Clone, Debug)]
pub struct SynthConfig {
    /// Seeds everything.
    pub seed: u64,
    /// First day.
    pub date: Date,
    /// How many days.
    pub days: u32,
    /// Hosts of the organisation, [`Self::MIN_HOSTS`] to [`Self::MAX_HOSTS`].
    pub hosts: u32,
    /// How busy the hosts are; 1 is the demo's day of about 150 flows a host. Attacks are not multiplied.
    pub activity: f64,
    /// Factor on the bytes of bulk transfers (backups, downloads, calls, exfiltration). 1 is lifelike; small
    /// captures need less.
    pub volume: f64,
    /// What is injected.
    pub attacks: BTreeSet<Attack>,
    /// How loud.
    pub intensity: Intensity,
    /// Frames are cut to this many bytes; their wire length stays. 0 keeps all.
    pub snaplen: u32,
}

impl Default for SynthConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            date: Date(NaiveDate::from_ymd_opt(2026, 3, 11).unwrap_or_default()),
            days: 1,
            hosts: 300,
            activity: 1.0,
            volume: 0.005,
            attacks: Attack::ALL.into(),
            intensity: Intensity::Medium,
            snaplen: 0,
        }
    }
}

impl SynthConfig {
    /// Fewest hosts: every role once.
    pub const MIN_HOSTS: u32 = 40;
    /// Most hosts: the address plan is full.
    pub const MAX_HOSTS: u32 = 25_000;
    /// Flow records of a host and day by unit of activity, measured with 1,600 hosts at activity 4.8. Periodic habits do
    /// not grow with activity, so a quiet network makes more: 300 hosts at activity 1 about 150 each.
    pub const FLOWS_PER_HOST: f64 = 104.0;

    /// The demo's day: frames cut to 256 bytes, so that the file is small.
    pub fn demo() -> Self {
        Self { snaplen: 256, ..Self::default() }
    }

    /// A network that makes about this many flows in a day: both hosts and their activity grow.
    pub fn for_flows(flows: u64) -> Self {
        let wanted = flows as f64 / Self::FLOWS_PER_HOST;
        // One tenfold of flows is about a third of it in hosts and the rest in activity.
        let hosts = (1..=Self::MAX_HOSTS / 100)
            .map(|h| h * 100)
            .find(|&h| f64::from(h) * (f64::from(h) / 300.0).max(1.0) >= wanted)
            .unwrap_or(Self::MAX_HOSTS)
            .max(Self::MIN_HOSTS);
        Self { hosts, activity: wanted / f64::from(hosts), ..Self::default() }
    }

    /// # Errors
    /// What is out of range, and the range.
    pub fn validate(&self) -> Result<(), SynthError> {
        let check = |name, ok, range| if ok { Ok(()) } else { Err(SynthError::OutOfRange { name, range }) };
        check("hosts", (Self::MIN_HOSTS..=Self::MAX_HOSTS).contains(&self.hosts), "40 to 25000")?;
        check("days", (1..=366).contains(&self.days), "1 to 366")?;
        check("activity", (0.01..=1000.0).contains(&self.activity), "0.01 to 1000")?;
        check("volume", (0.0001..=10.0).contains(&self.volume), "0.0001 to 10")?;
        check("snaplen", self.snaplen == 0 || (64..=65_535).contains(&self.snaplen), "0, or 64 to 65535")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_the_calendars() {
        let wednesday: Date = "2026-03-11".parse().unwrap();
        assert_eq!(
            (0..7).map(|d| wednesday.is_weekend(d)).collect::<Vec<_>>(),
            [false, false, false, true, true, false, false]
        );
        assert_eq!(wednesday.midnight(), 1_773_187_200 * 1_000_000_000);
        assert!("2026-02-30".parse::<Date>().is_err());
    }

    #[test]
    fn sizes_for_flow_counts_are_valid() {
        for flows in [10_000, 1_000_000, 10_000_000, 50_000_000] {
            let config = SynthConfig::for_flows(flows);
            config.validate().unwrap();
            let made = config.activity * f64::from(config.hosts) * SynthConfig::FLOWS_PER_HOST;
            assert!((made / flows as f64 - 1.0).abs() < 0.01, "{flows}: {made}");
        }
    }
}
