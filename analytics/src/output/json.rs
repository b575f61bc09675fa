//! JSON: one array with an object a line, or an object a line alone.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use serde::ser::{SerializeMap, Serializer as _};
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::cell::{Cell, unique_names};
use super::escape::is_unsafe;
use super::{Answer, OutputError};

const CHUNK: usize = 64 << 10;

/// What stands around the objects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `[`, commas, `]`.
    Array,
    /// Nothing.
    Lines,
}

/// Compact JSON that also escapes what a terminal would obey; JSON itself demands that for C0 only.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            let (before, after) = rest.split_at(at);
            CompactFormatter.write_string_fragment(to, before)?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        CompactFormatter.write_string_fragment(to, rest)
    }
}

/// One row as an object, appended.
pub(super) fn push_row(
    out: &mut Vec<u8>,
    names: &[String],
    batch: &RecordBatch,
    row: usize,
) -> Result<(), OutputError> {
    let wrong = |error: serde_json::Error| OutputError::Format { format: "json", detail: error.to_string() };
    let mut serializer = Serializer::with_formatter(out, Safe);
    let mut object = serializer.serialize_map(Some(names.len())).map_err(wrong)?;
    for (name, array) in names.iter().zip(batch.columns()) {
        object.serialize_entry(name, &Cell::new(array.as_ref(), row)).map_err(wrong)?;
    }
    object.end().map_err(wrong)
}

/// Any value, appended, with what a terminal would obey escaped.
pub(super) fn push_value(out: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), OutputError> {
    value
        .serialize(&mut Serializer::with_formatter(out, Safe))
        .map_err(|error| OutputError::Format { format: "json", detail: error.to_string() })
}

pub(super) async fn write(answer: &mut Answer, out: &mut dyn Write, shape: Shape) -> Result<(), OutputError> {
    let names = unique_names(answer.schema());
    let mut lines: Vec<u8> = Vec::new();
    let mut first = true;
    if shape == Shape::Array {
        lines.push(b'[');
    }
    while let Some(batch) = answer.next().await? {
        for row in 0..batch.num_rows() {
            if shape == Shape::Array {
                lines.extend_from_slice(if first { b"\n" } else { b",\n" });
            }
            first = false;
            push_row(&mut lines, &names, &batch, row)?;
            if shape == Shape::Lines {
                lines.push(b'\n');
            }
            if lines.len() >= CHUNK {
                out.write_all(&lines)?;
                lines.clear();
            }
        }
    }
    if shape == Shape::Array {
        lines.extend_from_slice(if first { b"]\n" } else { b"\n]\n" });
    }
    out.write_all(&lines)?;
    Ok(())
}
