//! Where an address is: Spot's `iploc.csv`, and databases in MaxMind's format.

use std::net::{IpAddr, Ipv4Addr};

use maxminddb::Reader;

use super::ContextError;
use super::ranges::{RangeMap, Ranges, number};
use super::text::{Rejected, cells, lines, shown};

/// What is known of where an address is.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct Geo {
    /// ISO 3166 code.
    pub country: Option<String>,
    /// State or region.
    pub region: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Who owns or registered it.
    pub owner: Option<String>,
    /// A domain of the owner.
    pub domain: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Autonomous system.
    pub asn: Option<u32>,
}

impl Geo {
    /// In a line: `region;city owner` as Apache Spot wrote it; the country's code where neither region nor city is known.
    pub fn text(&self) -> String {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let place = match (&self.region, &self.city) {
            (None, None) => part(&self.country),
            (region, city) => format!("{};{}", part(region), part(city)),
        };
        let owner = match (&self.owner, self.asn) {
            (Some(owner), _) => owner.clone(),
            (None, Some(asn)) => format!("AS{asn}"),
            (None, None) => String::new(),
        };
        format!("{place} {owner}").trim().to_owned()
    }

    /// Adds what this does not say.
    fn fill(&mut self, other: Self) {
        let Self { country, region, city, owner, domain, latitude, longitude, asn } = other;
        let fill = |mine: &mut Option<String>, theirs: Option<String>| {
            if mine.is_none() {
                *mine = theirs;
            }
        };
        fill(&mut self.country, country);
        fill(&mut self.region, region);
        fill(&mut self.city, city);
        fill(&mut self.owner, owner);
        fill(&mut self.domain, domain);
        if self.latitude.is_none() {
            (self.latitude, self.longitude) = (latitude, longitude);
        }
        self.asn = self.asn.or(asn);
    }
}

/// Reads `iploc.csv`: every field quoted; start and end of a range as numbers, country code, country, state, city, latitude, longitude, owner, domain.
/// A gap is a gap: Spot gave its addresses the range before.
pub(super) fn iploc(text: &str, rejected: &mut Rejected) -> RangeMap<Geo> {
    let mut ranges = Ranges::default();
    for (line, row) in lines(text, rejected) {
        let Some(cells) = cells(row) else {
            rejected.add(line, "a quote is not closed");
            continue;
        };
        let [start, end, code, _, state, city, lat, lon, owner, domain, ..] = cells.as_slice() else {
            rejected.add(line, format!("{} fields, 10 are expected", cells.len()));
            continue;
        };
        let v4 = |text: &str| text.parse::<u32>().ok().map(|n| number(IpAddr::V4(Ipv4Addr::from(n))));
        let (Some(first), Some(last)) = (v4(start), v4(end)) else {
            // A header is no mistake.
            if line > 1 {
                rejected.add(line, format!("{start:?} to {end:?} is no range of addresses as numbers"));
            }
            continue;
        };
        if first > last {
            rejected.add(line, "the range ends before it begins");
            continue;
        }
        let degrees = |text: &str, most: f64| text.parse::<f64>().ok().filter(|value| value.abs() <= most);
        let latitude = degrees(lat, 90.0);
        ranges.add(
            (first, last),
            Geo {
                country: shown(code),
                region: shown(state),
                city: shown(city),
                owner: shown(owner),
                domain: shown(domain),
                longitude: latitude.and(degrees(lon, 180.0)),
                latitude,
                asn: None,
            },
        );
    }
    ranges.build()
}

/// What we take of a record of such a database, whichever it is: country, city, ASN.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Raw {
    country: Option<Named>,
    registered_country: Option<Named>,
    city: Option<Named>,
    subdivisions: Option<Vec<Named>>,
    location: Option<Location>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Named {
    iso_code: Option<String>,
    names: Option<English>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct English {
    en: Option<String>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

/// A database in MaxMind's format. A look-up is at most 128 steps in the tree and bounded in depth in the data, whatever the file holds.
#[derive(Debug)]
pub(super) struct Mmdb {
    reader: Reader<Vec<u8>>,
}

/// Addresses looked up when a database is checked.
const PROBES: u32 = 4096;

impl Mmdb {
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, ContextError> {
        let reader = Reader::from_source(bytes).map_err(|error| ContextError::File(format!("no MMDB: {error}")))?;
        let this = Self { reader };
        // Walking the whole tree could take for ever in a crafted one; so addresses all over the space.
        for probe in 0..PROBES {
            let ip = IpAddr::V4(Ipv4Addr::from(probe << 20 | 0x0101));
            this.get(ip).map_err(|error| ContextError::File(format!("damaged MMDB: {ip}: {error}")))?;
        }
        Ok(this)
    }

    /// Nodes of its tree, for the list of files.
    pub(super) fn nodes(&self) -> u64 {
        self.reader.metadata().node_count.into()
    }

    pub(super) fn get(&self, ip: IpAddr) -> Result<Option<Geo>, String> {
        // An address of IPv6 in a database of IPv4 is not known there.
        let four = self.reader.metadata().ip_version == 4;
        let ip = ip.to_canonical();
        if four && ip.is_ipv6() {
            return Ok(None);
        }
        let found = self.reader.lookup(ip).map_err(|error| error.to_string())?;
        let Some(raw) = found.decode::<Raw>().map_err(|error| error.to_string())? else { return Ok(None) };
        let name = |named: Option<&Named>| named?.names.as_ref()?.en.as_deref().and_then(shown);
        let code = |named: &Option<Named>| named.as_ref()?.iso_code.as_deref().and_then(shown);
        let location = raw.location.unwrap_or_default();
        let sound = |value: Option<f64>, most: f64| value.filter(|value| value.abs() <= most);
        let latitude = sound(location.latitude, 90.0);
        let geo = Geo {
            country: code(&raw.country).or_else(|| code(&raw.registered_country)),
            region: name(raw.subdivisions.as_ref().and_then(|list| list.first())),
            city: name(raw.city.as_ref()),
            owner: raw.autonomous_system_organization.as_deref().and_then(shown),
            domain: None,
            longitude: latitude.and(sound(location.longitude, 180.0)),
            latitude,
            asn: raw.autonomous_system_number,
        };
        Ok((geo != Geo::default()).then_some(geo))
    }
}

/// All that is loaded of where addresses are; the file that stands first by name says most.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) tables: Vec<RangeMap<Geo>>,
    pub(super) databases: Vec<Mmdb>,
}

impl Places {
    pub(super) const fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.databases.is_empty()
    }

    pub(super) fn get(&self, ip: IpAddr) -> Option<Geo> {
        let mut found = Geo::default();
        for table in &self.tables {
            if let Some(geo) = table.get(ip) {
                found.fill(geo.clone());
            }
        }
        for database in &self.databases {
            if let Ok(Some(geo)) = database.get(ip) {
                found.fill(geo);
            }
        }
        (found != Geo::default()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn iploc_has_ranges_gaps_and_rejects() {
        let text = "\"16777216\",\"16777471\",\"AU\",\"Australia\",\"Queensland\",\"Brisbane\",\"-27.46\",\"153.02\",\"Cloud, Inc\",\"example.net\"\n\
            \"16777728\",\"16777983\",\"CN\",\"China\",\"-\",\"-\",\"999\",\"0\",\"-\",\"-\"\n\"9\",\"8\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"\nshort\n";
        let mut rejected = Rejected::default();
        let map = iploc(text, &mut rejected);
        let geo = map.get("1.0.0.200".parse().unwrap()).unwrap();
        assert_eq!(
            (geo.text().as_str(), geo.domain.as_deref(), geo.latitude),
            ("Queensland;Brisbane Cloud, Inc", Some("example.net"), Some(-27.46))
        );
        // Spot gave an address in a gap to the range before it.
        assert_eq!(map.get("1.0.1.5".parse().unwrap()), None);
        let bare = map.get("1.0.2.1".parse().unwrap()).unwrap();
        assert_eq!((bare.text().as_str(), bare.latitude, bare.longitude), ("CN", None, None));
        assert_eq!(rejected.count, 2);
    }

    #[test]
    fn what_is_no_mmdb_is_an_error() {
        for bytes in [
            Vec::new(),
            vec![0; 4096],
            b"\xab\xcd\xefMaxMind.com".to_vec(),
            [vec![0; 64], b"\xab\xcd\xefMaxMind.com\xe1".to_vec()].concat(),
        ] {
            assert!(Mmdb::read(bytes).is_err());
        }
    }
}
