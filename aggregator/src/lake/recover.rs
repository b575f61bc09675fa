//! After a crash: sets whose owner is dead are completed, taken back, or saved as far as possible.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::encode::StagedPart;
use super::publish::Plan;
use super::staging::{self, Gate, Staging};
use super::table::Place;
use super::{Lake, LakeError, SetKind, WriterOptions, metadata};
use crate::record::{LedgerRow, Micros};
use crate::state::sets::{OpenSet, PublishEnd};

/// Rows that a crash took, counted in the ledger.
pub(super) const LOST_ROWS: &str = "lake.lost_at_crash.rows";
/// Parts that could not be read after a crash.
pub(super) const LOST_PARTS: &str = "lake.lost_at_crash.parts";
/// Rows of unpublished sets that were saved.
pub(super) const SAVED_ROWS: &str = "lake.saved_after_crash.rows";

impl Lake {
    /// Brings into order what dead processes left. Sets in work, here or in another process, are left alone.
    /// [`Self::open`] does it; a process that runs for long may do it from time to time.
    pub fn recover(&self) -> Result<(), LakeError> {
        let gate = Gate::enter(self.dir())?;
        let mut losses = Vec::new();
        for open in self.state().open_sets()? {
            let Some(staging) = Staging::take_over(&gate, self.dir(), &open.set)? else { continue };
            tracing::info!(set = %open.set, kind = %open.kind, publishing = open.publishing, "recovering a set left by a crash");
            if open.publishing {
                self.complete(staging, &open)?;
            } else if open.kind == SetKind::Flush.as_str() {
                losses.extend(self.save(staging, &open)?);
            } else {
                self.abandon(staging, &open.set)?;
            }
        }
        // Folders without an entry: made just before a crash, or left just after publishing.
        for set in staging::list(self.dir())? {
            if let Some(staging) = Staging::take_over(&gate, self.dir(), &set)?
                && self.state().open_sets()?.iter().all(|open| open.set != set)
            {
                staging.remove()?;
            }
        }
        drop(gate);
        self.delete_doomed()?;
        if losses.is_empty() { Ok(()) } else { self.book(&losses) }
    }

    /// Finishes publishing a set.
    fn complete(&self, staging: Staging, open: &OpenSet) -> Result<(), LakeError> {
        let parts = self.state().staged_parts(&open.set)?;
        for part in &parts {
            let staged = part.staged.as_ref().is_some_and(|file| staging.dir().join(file).exists());
            if !staged && !self.dir().join(&part.path).exists() {
                // Cannot happen by a crash; somebody deleted it.
                tracing::error!(part = %part.path, rows = part.rows, "a part of an unfinished set is gone");
                self.state().forget_part(&part.path)?;
            }
        }
        let parts = self.state().staged_parts(&open.set)?;
        self.place_parts(&staging, &parts)?;
        match self.state().set_published(&open.set)? {
            PublishEnd::Published => {
                self.clean_up(staging, &open.set);
                Ok(())
            }
            PublishEnd::Overtaken => self.abandon(staging, &open.set),
        }
    }

    /// Publishes the complete parts of a set that has no source to start again from, and counts the rest.
    fn save(&self, staging: Staging, open: &OpenSet) -> Result<Vec<LedgerRow>, LakeError> {
        let given = staging.noted_rows();
        let (mut parts, mut lost_parts) = (Vec::new(), 0);
        for path in staging.files()? {
            match read_part(&path) {
                Some(part) => parts.push(part),
                None => {
                    lost_parts += 1;
                    std::fs::remove_file(&path).map_err(|e| LakeError::io("deleting", &path, e))?;
                }
            }
        }
        let mut saved: u64 = parts.iter().map(|part| part.rows).sum();
        let mut offset = staging.noted_position();
        if offset.is_some() && saved != given {
            // Its ledger is lost, or records that its ledger tells of: who goes on from the position before counts them all.
            tracing::warn!(set = open.set, rows = given, "a flush that was cut off is counted as lost");
            lost_parts += parts.len() as u64;
            (saved, offset) = (0, None);
            parts.clear();
        }
        let interval = (open.created, crate::state::now());
        self.publish(staging, &open.set, Plan { parts, run: None, dooms: Vec::new(), import: None, offset })?;
        let row = |counter: &str, value| LedgerRow {
            interval_start: interval.0,
            interval_end: interval.1.max(interval.0),
            sensor: open.sensor.clone(),
            source: "lake".to_owned(),
            queue: None,
            clock: "system".to_owned(),
            counter: counter.to_owned(),
            value,
        };
        Ok(vec![row(LOST_ROWS, given.saturating_sub(saved)), row(LOST_PARTS, lost_parts), row(SAVED_ROWS, saved)])
    }

    /// Writes entries of the lake's own books, a set for each sensor.
    pub(super) fn book(&self, rows: &[LedgerRow]) -> Result<(), LakeError> {
        let sensors: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.sensor.as_str()).collect();
        for sensor in sensors {
            let rows: Vec<LedgerRow> = rows.iter().filter(|row| row.sensor == sensor).cloned().collect();
            let mut writer = self.begin(SetKind::Books, WriterOptions::new(sensor))?;
            writer.ledger(&rows)?;
            writer.commit()?;
        }
        Ok(())
    }
}

/// A complete Parquet file in a staging folder; `None` where it is not complete.
fn read_part(path: &Path) -> Option<StagedPart> {
    let file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).ok()?;
    let footer = reader.metadata().file_metadata();
    let entries = footer.key_value_metadata()?;
    let file = path.file_name()?.to_str()?.to_owned();
    let place = Place::parse(&Path::new(metadata::get(entries, metadata::PLACE)?).join(&file))?;
    Some(StagedPart {
        place,
        file,
        rows: u64::try_from(footer.num_rows()).ok()?,
        bytes,
        first: Micros(metadata::get(entries, metadata::FIRST)?.parse().ok()?),
        last: Micros(metadata::get(entries, metadata::LAST)?.parse().ok()?),
    })
}
