//! The tables of the lake, and what a part (a Parquet file of a table) is.

use std::path::{Path, PathBuf};

use crate::record::Micros;

use super::LakeError;

/// What is scored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the tables'")]
pub enum Source {
    Flow,
    Dns,
    Proxy,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Flow, Self::Dns, Self::Proxy];

    /// The name in paths and columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
        }
    }

    /// The table whose records are scored.
    pub const fn table(self) -> Table {
        match self {
            Self::Flow => Table::Flow,
            Self::Dns => Table::Dns,
            Self::Proxy => Table::Proxy,
        }
    }
}

impl std::str::FromStr for Source {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("unknown source {text:?}: flow, dns or proxy"))
    }
}

/// A table of the lake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are DATA-MODEL's")]
pub enum Table {
    Flow,
    Dns,
    Proxy,
    Dhcp,
    Ledger,
    Interfaces,
    Scores(Source),
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Flow,
        Self::Dns,
        Self::Proxy,
        Self::Dhcp,
        Self::Ledger,
        Self::Interfaces,
        Self::Scores(Source::Flow),
        Self::Scores(Source::Dns),
        Self::Scores(Source::Proxy),
    ];

    /// The name in the state database and in SQL: `flow`, `dns`, …, `scores_flow`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
            Self::Dhcp => "dhcp",
            Self::Ledger => "ledger",
            Self::Interfaces => "interfaces",
            Self::Scores(Source::Flow) => "scores_flow",
            Self::Scores(Source::Dns) => "scores_dns",
            Self::Scores(Source::Proxy) => "scores_proxy",
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == name)
    }

    /// The source, where its records are scored.
    pub fn scored(self) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.table() == self)
    }

    /// Its folder, relative to the lake.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Scores(Source::Flow) => "scores/source=flow",
            Self::Scores(Source::Dns) => "scores/source=dns",
            Self::Scores(Source::Proxy) => "scores/source=proxy",
            other => other.as_str(),
        }
    }

    /// True for tables in folders by hour and sensor; scores have a folder per day.
    pub const fn is_hourly(self) -> bool {
        !matches!(self, Self::Scores(_))
    }
}

/// A calendar day, UTC, as days since 1970-01-01. Displayed as `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub i32);

const MICROS_PER_HOUR: i64 = 3_600_000_000;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

impl Day {
    /// The day of a moment. Moments outside the years 0 to 9999 fall on the first or last day of them.
    pub fn of(time: Micros) -> Self {
        /// 0000-01-01 and 9999-12-31.
        const FIRST: i64 = -719_528;
        const LAST: i64 = 2_932_896;
        let days = time.0.div_euclid(MICROS_PER_DAY).clamp(FIRST, LAST);
        Self(i32::try_from(days).unwrap_or_default())
    }

    /// Its first moment.
    pub fn start(self) -> Micros {
        Micros(i64::from(self.0).saturating_mul(MICROS_PER_DAY))
    }

    /// From year, month and day (proleptic Gregorian calendar).
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let date = chrono::NaiveDate::from_ymd_opt(year, month, day)?;
        Some(Self(date.to_epoch_days()))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match chrono::NaiveDate::from_epoch_days(self.0) {
            Some(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            None => write!(f, "day{}", self.0),
        }
    }
}

impl std::str::FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a date: YYYY-MM-DD is expected");
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| wrong())?;
        Ok(Self(date.to_epoch_days()))
    }
}

/// Where a row belongs: its day and hour, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hour {
    /// The day.
    pub day: Day,
    /// 0 to 23.
    pub hour: u8,
}

impl Hour {
    /// The hour of a moment.
    pub fn of(time: Micros) -> Self {
        let hour = time.0.rem_euclid(MICROS_PER_DAY) / MICROS_PER_HOUR;
        Self { day: Day::of(time), hour: u8::try_from(hour).unwrap_or_default() }
    }
}

/// One Parquet file of the lake that readers may read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Absolute path.
    pub path: PathBuf,
    /// Its table.
    pub table: Table,
    /// Day of its rows (scores: the day scored).
    pub date: Day,
    /// Hour of its rows; `None` for scores.
    pub hour: Option<u8>,
    /// Its sensor; empty for scores.
    pub sensor: String,
    /// The set it was published with.
    pub set: String,
    /// The scoring run; only scores.
    pub run: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Earliest first_seen (interval_start, ts).
    pub first: Micros,
    /// Latest last_seen (interval_end, ts): the row may overlap any moment up to it.
    pub last: Micros,
}

/// Where a part lies: the Hive partition of its folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Place {
    pub(crate) table: Table,
    pub(crate) date: Day,
    pub(crate) hour: Option<u8>,
    pub(crate) sensor: String,
}

impl Place {
    /// The folder, relative to the lake.
    pub(crate) fn folder(&self) -> PathBuf {
        let mut folder = PathBuf::from(self.table.folder());
        folder.push(format!("date={}", self.date));
        if let Some(hour) = self.hour {
            folder.push(format!("hour={hour:02}"));
            folder.push(format!("sensor={}", self.sensor));
        }
        folder
    }

    /// Reads a part's path, relative to the lake; `None` where it is not of this layout.
    pub(crate) fn parse(path: &Path) -> Option<Self> {
        let steps: Vec<&str> = path.iter().map(|s| s.to_str()).collect::<Option<_>>()?;
        let (table, rest) = match steps.as_slice() {
            ["scores", source, rest @ ..] => (Table::Scores(source.strip_prefix("source=")?.parse().ok()?), rest),
            [table, rest @ ..] => (Table::from_name(table)?, rest),
            [] => return None,
        };
        match (rest, table.is_hourly()) {
            ([date, hour, sensor, _file], true) => Some(Self {
                table,
                date: date.strip_prefix("date=")?.parse().ok()?,
                hour: Some(hour.strip_prefix("hour=")?.parse().ok().filter(|h| *h < 24)?),
                sensor: sensor.strip_prefix("sensor=")?.to_owned(),
            }),
            ([date, _file], false) => {
                Some(Self { table, date: date.strip_prefix("date=")?.parse().ok()?, hour: None, sensor: String::new() })
            }
            _ => None,
        }
    }
}

/// Checks that a sensor's name can be a folder anywhere and needs no quoting.
pub fn check_sensor(name: &str) -> Result<(), LakeError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > 64 {
        "it is longer than 64 bytes"
    } else if name.starts_with('.') {
        "it starts with '.'"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        "it has other characters"
    } else {
        return Ok(());
    };
    Err(LakeError::SensorName { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn hours_are_utc_and_round_down_before_1970() {
        assert_eq!(Hour::of(Micros(0)), Hour { day: Day(0), hour: 0 });
        assert_eq!(Hour::of(Micros(-1)), Hour { day: Day(-1), hour: 23 });
        // 2024-02-29 23:59:59.999999 UTC = 1709251199 s (date -u -d).
        let hour = Hour::of(Micros(1_709_251_199_999_999));
        assert_eq!((hour.day.to_string().as_str(), hour.hour), ("2024-02-29", 23));
    }

    #[test]
    fn extreme_times_have_a_day() {
        for time in [i64::MIN, i64::MAX, 0] {
            let day = Day::of(Micros(time));
            assert_eq!(day.to_string().parse(), Ok(day));
        }
    }

    #[test]
    fn places_read_back() {
        for table in Table::ALL {
            let place = Place {
                table,
                date: "2026-03-04".parse().unwrap(),
                hour: table.is_hourly().then_some(7),
                sensor: if table.is_hourly() { "tap-1".into() } else { String::new() },
            };
            assert_eq!(Place::parse(&place.folder().join("part-x.parquet")), Some(place));
        }
        assert_eq!(Place::parse(Path::new("flow/date=2026-03-04/hour=24/sensor=a/x.parquet")), None);
        assert_eq!(Place::parse(Path::new("elsewhere/date=2026-03-04/x.parquet")), None);
    }

    #[test]
    fn sensor_names_cannot_leave_their_folder() {
        for bad in ["", ".", "..", "a/b", "a b", "a=b", "é", &"x".repeat(65)] {
            assert!(check_sensor(bad).is_err(), "{bad:?}");
        }
        for good in ["tap-1", "eth0", "a.b_C"] {
            check_sensor(good).unwrap();
        }
    }
}
