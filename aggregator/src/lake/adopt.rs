//! Reading a lake that was copied or restored without its state: each part says in its metadata where it
//! belongs and what it takes the place of.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use super::metadata::Lineage;
use super::table::Place;
use super::{Adopted, Lake, LakeError, Table, metadata};
use crate::record::Micros;
use crate::state::sets::PartRow;

/// A Parquet file the journal does not know.
struct Found {
    row: PartRow,
    lineage: Lineage,
}

impl Lake {
    /// Compares files and journal: registers parts the journal does not know (a lake copied or restored without its
    /// state), leaving out those that others replace, and forgets parts whose file is gone. Harmless
    /// where there are none. Nothing may write to the lake meanwhile.
    pub fn adopt(&self) -> Result<Adopted, LakeError> {
        let known = self.state().known_parts()?;
        let (mut files, mut adopted) = (HashSet::new(), Adopted::default());
        let mut found = Vec::new();
        for path in list(self.dir())? {
            files.insert(path.clone());
            if known.contains(&path) {
                continue;
            }
            match read(self.dir(), &path) {
                Ok(part) => found.push(part),
                Err(reason) => {
                    adopted.unreadable += 1;
                    tracing::warn!(file = %self.dir().join(&path).display(), reason, "not adopted");
                }
            }
        }
        let replaced: HashSet<String> = found.iter().flat_map(|f| f.lineage.replaces.iter().cloned()).collect();
        let (doomed, live): (Vec<_>, Vec<_>) = found.into_iter().partition(|f| replaced.contains(&f.row.path));
        let missing: Vec<String> = known.difference(&files).map(|path| path.to_string_lossy().into_owned()).collect();
        let imports: HashMap<(String, String), String> = live
            .iter()
            .flat_map(|f| f.lineage.imports.iter().map(|i| ((i.clone(), f.row.sensor.clone()), f.row.set.clone())))
            .collect();
        let imports: Vec<(String, String, String)> = imports.into_iter().map(|((c, s), set)| (c, s, set)).collect();
        adopted.parts = live.len() as u64;
        adopted.rows = live.iter().map(|f| f.row.rows).sum();
        adopted.replaced = doomed.len() as u64;
        adopted.missing = missing.len() as u64;
        let rows = |parts: Vec<Found>| parts.into_iter().map(|f| f.row).collect::<Vec<_>>();
        adopted.imports = self.state().adopt_parts(&rows(live), &rows(doomed), &missing, &imports)?;
        if self.is_writable() {
            self.delete_doomed()?;
        }
        Ok(adopted)
    }
}

/// All Parquet files at places of the layout, relative to the lake.
fn list(lake: &Path) -> Result<Vec<PathBuf>, LakeError> {
    let mut files = Vec::new();
    for table in Table::ALL {
        let folder = Path::new(table.folder());
        let depth = if table.is_hourly() { 3 } else { 1 };
        walk(lake, folder, depth, &mut files)?;
    }
    files.retain(|path| path.extension().is_some_and(|e| e == "parquet") && Place::parse(path).is_some());
    files.sort();
    Ok(files)
}

fn walk(lake: &Path, folder: &Path, depth: u32, files: &mut Vec<PathBuf>) -> Result<(), LakeError> {
    let whole = lake.join(folder);
    let fail = |e| LakeError::io("listing", &whole, e);
    let entries = match fs::read_dir(&whole) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(fail)?,
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let path = folder.join(entry.file_name());
        match (entry.file_type().map_err(fail)?.is_dir(), depth) {
            (true, 1..) => walk(lake, &path, depth - 1, files)?,
            (false, 0) => files.push(path),
            _ => {}
        }
    }
    Ok(())
}

fn read(lake: &Path, path: &Path) -> Result<Found, String> {
    let place = Place::parse(path).ok_or("its path is not of the lake's layout")?;
    let file = File::open(lake.join(path)).map_err(|e| e.to_string())?;
    let bytes = file.metadata().map_err(|e| e.to_string())?.len();
    let footer = ArrowReaderMetadata::load(&file, Default::default()).map_err(|e| e.to_string())?;
    let footer = footer.metadata().file_metadata();
    let no_entries = Vec::new();
    let entries = footer.key_value_metadata().unwrap_or(&no_entries);
    let time = |key| metadata::get(entries, key).and_then(|text| text.parse().ok()).map(Micros);
    let (first, last) = match (time(metadata::FIRST), time(metadata::LAST)) {
        (Some(first), Some(last)) => (first, last),
        // A file of another writer at a place of ours: its times are those of its folder.
        _ => folder_times(&place),
    };
    Ok(Found {
        row: PartRow {
            path: path.to_string_lossy().into_owned(),
            set: metadata::get(entries, metadata::SET).unwrap_or("adopted").to_owned(),
            table: place.table,
            date: place.date,
            hour: place.hour,
            sensor: place.sensor,
            run: metadata::get(entries, metadata::RUN).map(str::to_owned),
            rows: u64::try_from(footer.num_rows()).unwrap_or_default(),
            bytes,
            first,
            last,
            staged: None,
        },
        lineage: metadata::lineage(entries),
    })
}

fn folder_times(place: &Place) -> (Micros, Micros) {
    const HOUR: i64 = 3_600_000_000;
    let day = place.date.start().0;
    let first = day + place.hour.map_or(0, |hour| i64::from(hour) * HOUR);
    (Micros(first), Micros(day + 48 * HOUR))
}
