//! Importing capture files: each file its own unit, with its own decoder, flow table and set.
//!
//! A file is identified by the hash of its bytes, so the same content is imported once whatever its name.
//! A file that cannot be read is reported and the others go on; of a damaged capture what could be read is
//! kept and marked.

mod options;

use std::sync::atomic::AtomicBool;

use crate::lake::{Lake, LakeError};

pub use options::{
    FileOutcome, FileReport, Follow, ImportOptions, ImportReport, ImportTotals, Input, Originals, Progress, Step,
};

/// Imports `inputs` in order (folders: their files, sorted by path, recursively). Returns when all were
/// read, or soon after `interrupt` is set: the file in work is then abandoned, nothing of it is in the lake.
///
/// An error means the lake itself cannot be written; what was published before stays. Everything wrong with an
/// input is in the report.
pub fn import(
    lake: &Lake,
    inputs: &[Input],
    options: &ImportOptions,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<ImportReport, LakeError> {
    let _ = (lake, inputs, options, interrupt, progress);
    todo!()
}
