//! CSV by RFC 4180, lines ended by LF.

use std::borrow::Cow;
use std::io::Write;

use super::cell::{Cell, unique_names};
use super::escape::escaped;
use super::{Answer, OutputError, WriteOptions};

/// Bytes gathered before they are written.
const CHUNK: usize = 64 << 10;

pub(super) async fn write(answer: &mut Answer, out: &mut dyn Write, options: WriteOptions) -> Result<(), OutputError> {
    let to_terminal = options.terminal.is_some();
    let mut lines = String::new();
    for (column, name) in unique_names(answer.schema()).iter().enumerate() {
        if column > 0 {
            lines.push(',');
        }
        let name = if options.spreadsheet { defused(name) } else { name.into() };
        push(&mut lines, &name, to_terminal);
    }
    lines.push('\n');
    let mut text = String::new();
    while let Some(batch) = answer.next().await? {
        for row in 0..batch.num_rows() {
            for (column, array) in batch.columns().iter().enumerate() {
                if column > 0 {
                    lines.push(',');
                }
                let cell = Cell::new(array.as_ref(), row);
                if cell.is_null() {
                    continue;
                }
                text.clear();
                cell.push_text(&mut text).map_err(|detail| OutputError::Format { format: "csv", detail })?;
                if options.spreadsheet
                    && !array.data_type().is_numeric()
                    && let Cow::Owned(safe) = defused(&text)
                {
                    text = safe;
                }
                push(&mut lines, &text, to_terminal);
            }
            lines.push('\n');
            if lines.len() >= CHUNK {
                out.write_all(lines.as_bytes())?;
                lines.clear();
            }
        }
    }
    out.write_all(lines.as_bytes())?;
    Ok(())
}

/// Text that no spreadsheet takes for a formula (OWASP, "CSV injection").
pub(crate) fn defused(text: &str) -> Cow<'_, str> {
    let is_formula =
        text.trim_start_matches([' ', '"']).starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula || text.starts_with(['\t', '\r', '\n']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// One field, quoted where it must be. Empty text is quoted, because null is nothing.
fn push(lines: &mut String, field: &str, to_terminal: bool) {
    let shown = if to_terminal { escaped(field) } else { field.into() };
    let quote = shown.is_empty() || shown.contains([',', '"', '\n', '\r']) || shown.trim().len() != shown.len();
    if quote {
        lines.push('"');
        lines.push_str(&shown.replace('"', "\"\""));
        lines.push('"');
    } else {
        lines.push_str(&shown);
    }
}
