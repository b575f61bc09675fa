//! Compaction: the small parts of an hour and sensor become one.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use arrow::array::{Array as _, TimestampMicrosecondArray};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use super::encode::Encoder;
use super::merge::Merge;
use super::metadata::{self, Lineage};
use super::publish::Plan;
use super::table::Place;
use super::{CompactOptions, Compacted, Lake, LakeError, SetKind, Table, WriterOptions, schema};
use crate::record::Micros;
use crate::state::sets::PartRow;

impl Lake {
    /// Merges small parts of the same table, hour and sensor, sorted by time. Rows and record_ids stay the same,
    /// counted before anything is published. Each merge is a set of its own: what another process overtakes or
    /// a crash interrupts is as before.
    pub fn compact(&self, options: &CompactOptions) -> Result<Compacted, LakeError> {
        self.writable()?;
        self.recover()?;
        let mut total = Compacted::default();
        for table in Table::ALL.into_iter().filter(|table| table.is_hourly()) {
            for group in self.groups(table, options)? {
                let merged = match self.merge_parts(table, &group) {
                    Ok(merged) => merged,
                    // Another process replaced one of the parts meanwhile: this group's turn comes again.
                    Err(LakeError::Overtaken) => continue,
                    Err(error) => return Err(error),
                };
                total.parts_before += merged.parts_before;
                total.parts_after += merged.parts_after;
                total.rows += merged.rows;
                total.bytes_before += merged.bytes_before;
                total.bytes_after += merged.bytes_after;
            }
        }
        Ok(total)
    }

    /// Parts worth merging, by place.
    fn groups(&self, table: Table, options: &CompactOptions) -> Result<Vec<Vec<PartRow>>, LakeError> {
        let mut places: BTreeMap<Place, Vec<PartRow>> = BTreeMap::new();
        for part in self.state().live_parts(table, Micros(i64::MIN), Micros(i64::MAX))? {
            let settled = self.state().published_at(&part.set)?.is_none_or(|at| at < options.published_before);
            if settled && part.bytes < options.target_bytes / 2 {
                let place = Place { table, date: part.date, hour: part.hour, sensor: part.sensor.clone() };
                places.entry(place).or_default().push(part);
            }
        }
        let mut groups = Vec::new();
        for parts in places.into_values() {
            let mut group: Vec<PartRow> = Vec::new();
            let mut bytes = 0;
            for part in parts {
                if !group.is_empty() && (group.len() >= options.max_parts || bytes + part.bytes > options.target_bytes)
                {
                    groups.push(std::mem::take(&mut group));
                    bytes = 0;
                }
                bytes += part.bytes;
                group.push(part);
            }
            groups.push(group);
        }
        groups.retain(|group| group.len() >= options.min_parts.max(2));
        Ok(groups)
    }

    fn merge_parts(&self, table: Table, parts: &[PartRow]) -> Result<Compacted, LakeError> {
        let Some(sample) = parts.first() else { return Ok(Compacted::default()) };
        let place = Place { table, date: sample.date, hour: sample.hour, sensor: sample.sensor.clone() };
        let paths: Vec<PathBuf> = parts.iter().map(|part| self.dir().join(&part.path)).collect();
        let lineage = lineage(parts, &paths)?;
        let set = uuid::Uuid::now_v7().to_string();
        let kind = SetKind::Compaction;
        let mut options = WriterOptions::new(&place.sensor);
        // One part comes out, so that what it replaces is exact.
        options.part_bytes = u64::MAX;
        let staging = self.begin_staging(&set, kind.as_str(), &place.sensor, None)?;
        let mut encoder = Encoder::new(staging.dir().to_owned(), &set, kind, options, lineage);
        let last = parts.iter().map(|part| part.last).max().unwrap_or(sample.last);
        let written = (|| {
            let mut merge = Merge::open(table, &paths)?;
            while let Some(batch) = merge.next()? {
                let times = batch.column_by_name(schema::time_column(table));
                let times = times.and_then(|c| c.as_any().downcast_ref::<TimestampMicrosecondArray>());
                let first = times.filter(|t| !t.is_empty()).map_or(sample.first, |t| Micros(t.value(0)));
                encoder.batch(&place, &batch, first, last)?;
            }
            encoder.finish(&BTreeMap::new())
        })();
        let staged = written.and_then(|staged| {
            let (expected, got) = (parts.iter().map(|p| p.rows).sum(), staged.iter().map(|p| p.rows).sum());
            match expected == got {
                true => Ok(staged),
                false => Err(LakeError::RowCount { doing: "compacting", expected, got }),
            }
        });
        let staged = match staged {
            Ok(staged) => staged,
            Err(error) => {
                if let Err(again) = self.abandon(staging, &set) {
                    tracing::warn!(%set, error = %again, "an abandoned compaction is left to the next start");
                }
                return Err(error);
            }
        };
        let dooms = parts.iter().map(|part| part.path.clone()).collect();
        let published =
            self.publish(staging, &set, Plan { parts: staged, run: None, dooms, import: None, offset: None })?;
        Ok(Compacted {
            parts_before: parts.len() as u64,
            parts_after: published.parts,
            rows: parts.iter().map(|p| p.rows).sum(),
            bytes_before: parts.iter().map(|p| p.bytes).sum(),
            bytes_after: published.bytes,
        })
    }
}

/// What the merged part inherits: the parts it replaces, those they replaced, and the imports in them.
fn lineage(parts: &[PartRow], paths: &[PathBuf]) -> Result<Lineage, LakeError> {
    let mut lineage = Lineage { replaces: parts.iter().map(|part| part.path.clone()).collect(), imports: Vec::new() };
    for path in paths {
        let file = File::open(path).map_err(|e| LakeError::io("opening", path, e))?;
        let footer =
            ArrowReaderMetadata::load(&file, Default::default()).map_err(|e| LakeError::parquet("reading", path, e))?;
        if let Some(entries) = footer.metadata().file_metadata().key_value_metadata() {
            lineage.extend(metadata::lineage(entries));
        }
    }
    Ok(lineage)
}
