//! Retention: the oldest hours go, by age and by bytes, and the ledger says what went.

use std::collections::{BTreeMap, BTreeSet};

use super::table::{Hour, check_sensor};
use super::writer::SetWriter;
use super::{Lake, LakeError, RetainOptions, Retained, SetKind, Table, WriterOptions};
use crate::record::{LedgerRow, Micros};
use crate::state::sets::PartRow;

/// Rows, parts and bytes that retention removed, by table: `lake.expired.TABLE.rows` …
const EXPIRED: &str = "lake.expired";

/// How much longer the ledger is kept than the records it explains.
const LEDGER_FACTOR: i64 = 10;

const HOUR: i64 = 3_600_000_000;

impl Lake {
    /// Removes the oldest hours: those that ended longer ago than `max_age`, then the oldest until the lake is no
    /// larger than `max_bytes`. What is removed is written to the ledger by the same transaction that hides it. The
    /// ledger itself is removed by age only, ten times as late.
    pub fn retain(&self, options: &RetainOptions) -> Result<Retained, LakeError> {
        self.writable()?;
        self.recover()?;
        let mut expired = self.expired(options)?;
        let mut total = Retained::default();
        // One set for each sensor, so that the ledger's entries lie with the sensor's; scores have none.
        let sensors: BTreeSet<String> = expired.iter().map(|part| part.sensor.clone()).collect();
        for sensor in sensors {
            let (of_sensor, rest) = expired.into_iter().partition(|part: &PartRow| part.sensor == sensor);
            expired = rest;
            match self.expire(&sensor, &of_sensor, options.now) {
                Ok(()) => {
                    total.parts += of_sensor.len() as u64;
                    total.rows += of_sensor.iter().map(|part| part.rows).sum::<u64>();
                    total.bytes += of_sensor.iter().map(|part| part.bytes).sum::<u64>();
                }
                // Another process replaced one of the parts meanwhile: the next run sees what replaced it.
                Err(LakeError::Overtaken) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    /// The parts to remove.
    fn expired(&self, options: &RetainOptions) -> Result<Vec<PartRow>, LakeError> {
        let age = options.max_age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let (mut expired, mut kept) = (Vec::new(), BTreeMap::<Hour, Vec<PartRow>>::new());
        let mut bytes = 0;
        for table in Table::ALL {
            for part in self.state().live_parts(table, Micros(i64::MIN), Micros(i64::MAX))? {
                let hour = Hour { day: part.date, hour: part.hour.unwrap_or(23) };
                let ended = hour.day.start().0 + (i64::from(hour.hour) + 1) * HOUR;
                let factor = if table == Table::Ledger { LEDGER_FACTOR } else { 1 };
                let old = age.is_some_and(|age| ended < options.now.0.saturating_sub(age.saturating_mul(factor)));
                if old {
                    expired.push(part);
                } else {
                    bytes += part.bytes;
                    if table != Table::Ledger {
                        kept.entry(hour).or_default().push(part);
                    }
                }
            }
        }
        if let Some(limit) = options.max_bytes {
            for parts in kept.into_values() {
                if bytes <= limit {
                    break;
                }
                bytes -= parts.iter().map(|part| part.bytes).sum::<u64>();
                expired.extend(parts);
            }
        }
        Ok(expired)
    }

    fn expire(&self, sensor: &str, parts: &[PartRow], now: Micros) -> Result<(), LakeError> {
        let name = if check_sensor(sensor).is_ok() { sensor } else { "lake" };
        let (start, end) = (parts.iter().map(|p| p.first).min(), parts.iter().map(|p| p.last).max());
        let (Some(start), Some(end)) = (start, end) else { return Ok(()) };
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for part in parts {
            let table = part.table.as_str();
            for (what, value) in [("parts", 1), ("rows", part.rows), ("bytes", part.bytes)] {
                *sums.entry(format!("{EXPIRED}.{table}.{what}")).or_default() += value;
            }
        }
        // The entries lie in the hour in which they were made; their source says which times are gone.
        let source = format!("retention of {}..{}", start.0, end.0);
        let ledger: Vec<LedgerRow> = sums
            .into_iter()
            .map(|(counter, value)| LedgerRow {
                interval_start: now,
                interval_end: now,
                sensor: name.to_owned(),
                source: source.clone(),
                queue: None,
                clock: "system".to_owned(),
                counter,
                value,
            })
            .collect();
        let mut writer = SetWriter::begin(self, SetKind::Books, WriterOptions::new(name))?;
        writer.ledger(&ledger)?;
        writer.commit_dooming(parts.iter().map(|part| part.path.clone()).collect())
    }
}
