//! CSV for spreadsheets: RFC 4180, and no cell is a formula.
//!
//! Text from the wire that begins with `=`, `+`, `-`, `@`, a tab or a line break would be run by a spreadsheet; such a cell
//! begins with an apostrophe (OWASP, "CSV Injection"). Numbers stay numbers. What could hide or reorder text is escaped.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use crate::output::OutputError;
use crate::output::cell::{Cell, is_number};
use crate::output::escape::escaped;

pub(super) fn head(names: &[String], out: &mut Vec<u8>) {
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(name, true, out);
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn row(batch: &RecordBatch, at: usize, out: &mut Vec<u8>) -> Result<(), OutputError> {
    let mut text = String::new();
    for (column, array) in batch.columns().iter().enumerate() {
        if column > 0 {
            out.push(b',');
        }
        let cell = Cell::new(array.as_ref(), at);
        if cell.is_null() {
            continue;
        }
        text.clear();
        cell.push_text(&mut text).map_err(|detail| OutputError::Format { format: "csv", detail })?;
        let of_ours = is_number(array.data_type())
            || matches!(
                array.data_type(),
                DataType::Boolean | DataType::Timestamp(..) | DataType::Date32 | DataType::FixedSizeBinary(_)
            );
        push(&text, !of_ours, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// One field. `is_text`: it can come from the wire.
fn push(field: &str, is_text: bool, out: &mut Vec<u8>) {
    let acts = is_text && field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let shown: Cow<'_, str> = if is_text { escaped(field) } else { field.into() };
    let shown: Cow<'_, str> = if acts { format!("'{shown}").into() } else { shown };
    if shown.is_empty() || shown.contains([',', '"', '\n', '\r']) || shown.trim().len() != shown.len() || acts {
        out.push(b'"');
        out.extend_from_slice(shown.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(shown.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn no_text_from_the_wire_is_a_formula() {
        let of = |text: &str, is_text| {
            let mut out = Vec::new();
            push(text, is_text, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of("=cmd|' /C calc'!A0", true), "\"'=cmd|' /C calc'!A0\"");
        for text in ["+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert!(of(text, true).starts_with("\"'"), "{text:?}");
        }
        assert_eq!(of("-1.5", false), "-1.5");
        assert_eq!(of("a,\"b\"", true), "\"a,\"\"b\"\"\"");
        assert_eq!(of("a\u{202e}b", true), "a\\u{202e}b");
        assert_eq!(of("", true), "\"\"");
    }
}
