//! Following folders: what is there, then what arrives.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::list::{self, Candidate};
use super::unit::Patience;
use super::{FileOutcome, Run};
use crate::Books;
use crate::lake::LakeError;

/// A file that ends inside a record and has not changed for so many times the settling time is damaged,
/// and not waited for any longer.
const GIVE_UP: u32 = 15;

/// Longest sleep, so that an interrupt is seen soon.
const NAP: Duration = Duration::from_millis(100);

/// What is known of a file in a watched folder.
struct Seen {
    bytes: u64,
    modified: Option<SystemTime>,
    /// When it last changed, by our own clock.
    since: Instant,
    imported: bool,
}

/// Imports the files of `folders` and those that arrive, until the interrupt. A folder that is not there is
/// waited for.
pub(super) fn watch(run: &mut Run<'_>, folders: &[PathBuf]) -> Result<(), LakeError> {
    let follow = run.options.follow;
    let mut seen: HashMap<PathBuf, Seen> = HashMap::new();
    let mut told: HashSet<PathBuf> = HashSet::new();
    while !run.interrupted() {
        let mut present = HashSet::new();
        for folder in folders {
            let found = list::files(folder);
            told.retain(|path| !path.starts_with(folder) || found.unread.iter().any(|(unread, _)| unread == path));
            for (path, reason) in found.unread {
                if told.insert(path.clone()) {
                    tracing::warn!(folder = %path.display(), reason, "a watched folder cannot be read; it is looked for again");
                }
            }
            // nfcapd gives its files another name when they are complete.
            let is_whole = |file: &Candidate| {
                !file.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nfcapd.current"))
            };
            for file in found.files.into_iter().filter(is_whole) {
                if run.interrupted() {
                    return Ok(());
                }
                present.insert(file.path.clone());
                look(run, &mut seen, &file)?;
            }
        }
        seen.retain(|path, _| present.contains(path));
        let until = Instant::now() + follow.interval;
        while !run.interrupted() && Instant::now() < until {
            run.feed.borrow_mut().step(&Books::new());
            std::thread::sleep(NAP.min(until.saturating_duration_since(Instant::now())));
        }
    }
    Ok(())
}

/// Looks at a file, and imports it when it has settled.
fn look(run: &mut Run<'_>, seen: &mut HashMap<PathBuf, Seen>, file: &Candidate) -> Result<(), LakeError> {
    let settle = run.options.follow.settle;
    let state = seen.entry(file.path.clone()).or_insert_with(|| {
        let age = file.modified.and_then(|at| at.elapsed().ok()).unwrap_or_default();
        let now = Instant::now();
        Seen { bytes: file.bytes, modified: file.modified, since: now.checked_sub(age).unwrap_or(now), imported: false }
    });
    if (state.bytes, state.modified) != (file.bytes, file.modified) {
        *state = Seen { bytes: file.bytes, modified: file.modified, since: Instant::now(), imported: false };
    }
    let quiet = state.since.elapsed();
    if state.imported || quiet < settle {
        return Ok(());
    }
    let patience = if quiet < settle * GIVE_UP { Patience::Wait } else { Patience::TakeAsItIs };
    run.files = run.files.max(run.done + 1);
    run.total_bytes = run.total_bytes.max(run.done_bytes + file.bytes);
    let outcome = run.file(file, patience)?;
    // An interrupted file, and one that another process has in work, are looked at again.
    state.imported = !matches!(outcome, None | Some(FileOutcome::Interrupted | FileOutcome::InProgress));
    Ok(())
}
