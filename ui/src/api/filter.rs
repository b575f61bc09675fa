//! The query of a list, as SQL with placeholders.

use super::types::Source;
use crate::problem::ApiError;
use crate::query::{Condition, Scope, compile, utf16};

/// Reads a query about the scores of a source. Placeholders are numbered from `first`.
pub(super) fn condition(source: Source, text: Option<&str>, first: usize) -> Result<Condition, ApiError> {
    let text = text.unwrap_or_default();
    compile(Scope { source, scores: true }, text, first).map_err(|error| {
        let at = utf16(text, error.span.start) + 1;
        ApiError::Bad(format!("`filter`, at character {at}: {error}"))
    })
}
