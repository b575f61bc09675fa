//! The query of a list, or of raw records, as SQL with placeholders.

use super::types::Source;
use crate::problem::ApiError;
use crate::query::{Condition, Scope, compile, utf16};

/// Reads a query about the scores of a source. Placeholders are numbered from `first`.
pub(super) fn condition(source: Source, text: Option<&str>, first: usize) -> Result<Condition, ApiError> {
    read(Scope { source, scores: true }, text, first)
}

/// Reads a query about the raw records of a source.
pub(super) fn of_records(source: Source, text: Option<&str>, first: usize) -> Result<Condition, ApiError> {
    read(Scope { source, scores: false }, text, first)
}

/// The sources whose records have the fields of a query.
///
/// # Errors
/// None of them has, or it is no query: what the first of them says.
pub(super) fn sources_of(sources: &[Source], text: Option<&str>) -> Result<Vec<Source>, ApiError> {
    let mut fault = None;
    let mut fitting = Vec::new();
    for source in sources {
        match of_records(*source, text, 1) {
            Ok(_) => fitting.push(*source),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.filter(|_| fitting.is_empty()).map_or(Ok(fitting), Err)
}

fn read(scope: Scope, text: Option<&str>, first: usize) -> Result<Condition, ApiError> {
    let text = text.unwrap_or_default();
    compile(scope, text, first).map_err(|error| {
        let at = utf16(text, error.span.start) + 1;
        ApiError::Bad(format!("`filter`, at character {at}: {error}"))
    })
}
