//! From the staging folder to the readers: the steps of the file protocol, and their undoing.
//!
//! ```text
//! 1  files written and synced in .staging/<set>/, folder synced
//! 2  transaction: set 'publishing', its parts 'staged'            (a crash from here on is completed)
//! 3  each file renamed to its place, each folder synced
//! 4  transaction: set 'published', parts 'live', those they replace 'doomed', the import done
//! 5  staging folder removed; doomed files deleted, then their rows
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::encode::StagedPart;
use super::staging::{Gate, Readers, Staging, make_folders, sync_folder};
use super::{Lake, LakeError, Published, failpoint};
use crate::state::sets::{Detail, ImportEnd, PartRow, PublishEnd};

/// What is published, and what happens with it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) parts: Vec<StagedPart>,
    /// The scoring run, for scores.
    pub(super) run: Option<String>,
    /// Live parts that are replaced or expire.
    pub(super) dooms: Vec<String>,
    pub(super) import: Option<ImportEnd>,
    /// How far a followed source is read, with this set.
    pub(super) offset: Option<(String, String)>,
}

impl Lake {
    /// Makes the staging folder of a new set and enters it in the journal.
    pub(super) fn begin_staging(
        &self,
        set: &str,
        kind: &str,
        sensor: &str,
        import: Option<i64>,
    ) -> Result<Staging, LakeError> {
        self.writable()?;
        let gate = Gate::enter(self.dir())?;
        let staging = Staging::create(&gate, self.dir(), set)?;
        let entered = failpoint::pass("begin.staged")
            .and_then(|()| self.state().begin_set(set, kind, sensor, import).map_err(LakeError::from))
            .and_then(|()| failpoint::pass("begin.entered"));
        match entered {
            Ok(()) => Ok(staging),
            Err(error) => {
                if let Err(again) = self.abandon(staging, set) {
                    tracing::warn!(set, error = %again, "a set that could not begin is left to the next start");
                }
                Err(error)
            }
        }
    }

    /// Publishes a set: all of it, or (with an error) nothing.
    pub(super) fn publish(&self, staging: Staging, set: &str, plan: Plan) -> Result<Published, LakeError> {
        let rows: Vec<PartRow> = plan.parts.iter().map(|part| part_row(part, set, plan.run.as_deref())).collect();
        let published = summary(set, &rows);
        let detail = Detail { dooms: plan.dooms, import: plan.import, offset: plan.offset };
        let steps = || -> Result<PublishEnd, LakeError> {
            staging.sync()?;
            failpoint::pass("publish.before_journal")?;
            self.state().set_publishing(set, &detail, &rows)?;
            failpoint::pass("publish.journalled")?;
            self.place_parts(&staging, &rows)?;
            failpoint::pass("publish.before_published")?;
            let end = self.state().set_published(set)?;
            Ok(end)
        };
        match steps() {
            Ok(PublishEnd::Published) => {
                // From here on the set is published, whatever happens to the rest.
                self.clean_up(staging, set);
                Ok(published)
            }
            Ok(PublishEnd::Overtaken) => {
                self.abandon(staging, set)?;
                Err(LakeError::Overtaken)
            }
            Err(error) => {
                if let Err(again) = self.abandon(staging, set) {
                    tracing::warn!(set, error = %again, "a set that could not be published is left to the next start");
                }
                Err(error)
            }
        }
    }

    /// Renames staged parts to their places, then syncs each folder that got a part or a folder, once. Parts that are
    /// there already are left: recovery comes here too.
    pub(super) fn place_parts(&self, staging: &Staging, parts: &[PartRow]) -> Result<(), LakeError> {
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        for part in parts {
            let Some(staged) = &part.staged else { continue };
            let (from, to) = (staging.dir().join(staged), self.dir().join(&part.path));
            if !from.exists() && to.exists() {
                continue;
            }
            let folder = Path::new(&part.path).parent().unwrap_or(Path::new(""));
            // Retention in another process may remove the folder, empty, between making it and the rename.
            let mut tries = 0;
            loop {
                let made = make_folders(self.dir(), folder, &mut folders)?;
                folders.insert(made);
                match fs::rename(&from, &to) {
                    Ok(()) => break,
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound && from.exists() && tries < 3 => tries += 1,
                    Err(e) => return Err(LakeError::io("renaming to", &to, e)),
                }
            }
            failpoint::pass("publish.renamed")?;
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Takes back a set that is not published: journal first, then its files.
    pub(super) fn abandon(&self, staging: Staging, set: &str) -> Result<(), LakeError> {
        self.state().abandon_set(set)?;
        staging.remove()?;
        self.delete_doomed()
    }

    /// After publishing: nothing here can take back what was published, so errors are only told.
    pub(super) fn clean_up(&self, staging: Staging, set: &str) {
        let cleaned =
            failpoint::pass("publish.published").and_then(|()| staging.remove()).and_then(|()| self.delete_doomed());
        if let Err(error) = cleaned {
            tracing::warn!(set, %error, "the set is published; cleaning up after it is left to the next start");
        }
    }

    /// Deletes the files of doomed parts, then their rows, then folders that are empty. While somebody reads
    /// ([`Lake::reading`]) they stay: the next compaction, retention run or start deletes them.
    pub(super) fn delete_doomed(&self) -> Result<(), LakeError> {
        let doomed = self.state().doomed_parts()?;
        if doomed.is_empty() {
            return Ok(());
        }
        let Some(_alone) = Readers::keep_out(self.dir())? else { return Ok(()) };
        let mut gone = Vec::new();
        let mut folders = BTreeSet::new();
        for path in doomed {
            let file = self.dir().join(&path);
            match fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(LakeError::io("deleting", &file, e)),
                _ => {}
            }
            failpoint::pass("delete.removed")?;
            folders.extend(file.parent().map(Path::to_owned));
            gone.push(path);
        }
        for folder in &folders {
            match sync_folder(folder) {
                // Another process deletes too, and has removed the folder.
                Err(LakeError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        self.state().forget_doomed(&gone)?;
        failpoint::pass("delete.done")?;
        for folder in folders {
            self.remove_empty(&folder);
        }
        Ok(())
    }

    /// Removes `folder` and those above it, up to the lake, as far as they are empty.
    fn remove_empty(&self, folder: &Path) {
        let mut folder = folder;
        while folder != self.dir() && folder.starts_with(self.dir()) && fs::remove_dir(folder).is_ok() {
            match folder.parent() {
                Some(parent) => folder = parent,
                None => break,
            }
        }
    }
}

fn part_row(part: &StagedPart, set: &str, run: Option<&str>) -> PartRow {
    let path = part.place.folder().join(&part.file);
    PartRow {
        path: path.to_string_lossy().into_owned(),
        set: set.to_owned(),
        table: part.place.table,
        date: part.place.date,
        hour: part.place.hour,
        sensor: part.place.sensor.clone(),
        run: run.map(str::to_owned),
        rows: part.rows,
        bytes: part.bytes,
        first: part.first,
        last: part.last,
        staged: Some(part.file.clone()),
    }
}

fn summary(set: &str, parts: &[PartRow]) -> Published {
    let mut rows: BTreeMap<&'static str, u64> = BTreeMap::new();
    for part in parts {
        *rows.entry(part.table.as_str()).or_default() += part.rows;
    }
    let bytes = parts.iter().map(|part| part.bytes).sum();
    Published { set: set.to_owned(), rows, parts: parts.len() as u64, bytes }
}
