//! What there is to say of how long things are kept: what retention was told and when it last looked, what goes next,
//! what room there is, and how far behind the wire the records of each sensor come in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Lake, LakeError, RetainOptions, Table};
use crate::record::Micros;

/// Setting of the state database that holds the [`RetentionNote`].
const NOTE: &str = "lake.retention";
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// What retention was told, and when it last looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetentionNote {
    /// Hours that ended longer ago than so many seconds are removed; `None`: by age nothing is.
    pub max_age_s: Option<u64>,
    /// The oldest hours are removed until the lake has no more bytes; `None`: by size nothing is.
    pub max_bytes: Option<u64>,
    /// When it last looked, microseconds since 1970 UTC.
    pub looked: i64,
}

/// An hour of records, of all sensors and tables but the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptHour {
    /// Its first moment.
    pub start: Micros,
    /// The first moment after it.
    pub end: Micros,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Room on the file system that the lake is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that may still be written by whoever is not root.
    pub free: u64,
}

/// The latest record of a sensor's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The sensor.
    pub sensor: String,
    /// Its table: flow, dns or proxy.
    pub table: String,
    /// Rows in it.
    pub rows: u64,
    /// The last moment of its latest record.
    pub last: Micros,
    /// When the part with that record came into the lake; `None` where it was merged with others since.
    pub published: Option<Micros>,
}

impl Lake {
    /// Keeps what retention was told, for [`Lake::retention_note`] of any process.
    ///
    /// # Errors
    /// The state database cannot be written.
    pub fn note_retention(&self, options: &RetainOptions) -> Result<(), LakeError> {
        let RetainOptions { max_age, max_bytes, now } = *options;
        let note = RetentionNote { max_age_s: max_age.as_ref().map(Duration::as_secs), max_bytes, looked: now.0 };
        // Numbers alone: they always have a text.
        let text = serde_json::to_string(&note).unwrap_or_default();
        Ok(self.state().set_setting(NOTE, &text)?)
    }

    /// What retention was told last; `None` where no appliance runs it, or a later version wrote it otherwise.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub fn retention_note(&self) -> Result<Option<RetentionNote>, LakeError> {
        Ok(self.state().setting(NOTE)?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The hour that goes first, by age or by size.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub fn oldest_hour(&self) -> Result<Option<KeptHour>, LakeError> {
        let mut oldest: Option<KeptHour> = None;
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Ledger) {
            for part in self.state().live_parts(table, Micros(i64::MIN), Micros(i64::MAX))? {
                // As retention sees it: what belongs to a whole day goes with its last hour.
                let start = part.date.start().0 + i64::from(part.hour.unwrap_or(23)) * HOUR;
                match &mut oldest {
                    Some(known) if known.start.0 < start => {}
                    Some(known) if known.start.0 == start => {
                        known.rows += part.rows;
                        known.bytes += part.bytes;
                    }
                    _ => {
                        let (start, end) = (Micros(start), Micros(start + HOUR));
                        oldest = Some(KeptHour { start, end, rows: part.rows, bytes: part.bytes });
                    }
                }
            }
        }
        Ok(oldest)
    }

    /// Room on the lake's file system.
    ///
    /// # Errors
    /// The system does not say.
    pub fn room(&self) -> Result<Room, LakeError> {
        let stat = rustix::fs::statvfs(self.dir()).map_err(|error| LakeError::Io {
            doing: "looking for the room left on the file system of",
            path: self.dir().to_owned(),
            source: error.into(),
        })?;
        Ok(Room {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retention_was_told_is_there_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path()).unwrap();
        assert_eq!(lake.retention_note().unwrap(), None);
        let options = RetainOptions { max_age: Some(Duration::from_secs(7200)), max_bytes: None, now: Micros(5) };
        lake.note_retention(&options).unwrap();
        let other = Lake::open(dir.path()).unwrap();
        let note = RetentionNote { max_age_s: Some(7200), max_bytes: None, looked: 5 };
        assert_eq!(other.retention_note().unwrap(), Some(note));
        lake.state().set_setting(NOTE, "{}").unwrap();
        assert_eq!(other.retention_note().unwrap(), None, "what is not understood is not there");
        let room = lake.room().unwrap();
        assert!(room.free > 0 && room.free <= room.total, "{room:?}");
        assert_eq!((lake.oldest_hour().unwrap(), lake.state().arrivals().unwrap()), (None, vec![]));
    }
}
