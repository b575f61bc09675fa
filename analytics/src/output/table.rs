//! Aligned columns for people.

use std::io::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cell::{Cell, is_number};
use super::escape::escaped;
use super::{Answer, OutputError, WriteOptions};
use arrow::array::RecordBatch;

/// Rows looked at to choose the widths; a longer value further down pushes its line out.
const SAMPLE_ROWS: usize = 1_000;
/// Narrowest a column is made to fit a terminal.
const NARROWEST: usize = 8;
/// Between columns.
const GAP: &str = "  ";
/// In the place of what was cut.
const CUT: char = '…';
/// What was not observed.
const NULL: &str = "NULL";

struct Column {
    name: String,
    width: usize,
    number: bool,
}

pub(super) async fn write(answer: &mut Answer, out: &mut dyn Write, options: WriteOptions) -> Result<(), OutputError> {
    let mut columns: Vec<Column> = answer
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let name = escaped(field.name()).into_owned();
            Column { width: name.width(), name, number: is_number(field.data_type()) }
        })
        .collect();

    let mut sample = Vec::new();
    while sample.len() < SAMPLE_ROWS
        && let Some(batch) = answer.next().await?
    {
        texts(&batch, |row| {
            for (column, text) in columns.iter_mut().zip(&row) {
                column.width = column.width.max(text.width());
            }
            sample.push(row);
            Ok(())
        })?;
    }
    if let Some(width) = options.terminal {
        fit(&mut columns, width);
    }
    let cut = options.terminal.is_some();

    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    line(out, &columns, &names, cut)?;
    let rule: Vec<String> = columns.iter().map(|column| "─".repeat(column.width)).collect();
    line(out, &columns, &rule, cut)?;
    for row in sample {
        line(out, &columns, &row, cut)?;
    }
    while let Some(batch) = answer.next().await? {
        texts(&batch, |row| line(out, &columns, &row, cut))?;
    }
    Ok(())
}

/// Gives each row of a batch as safe text.
fn texts(batch: &RecordBatch, mut take: impl FnMut(Vec<String>) -> Result<(), OutputError>) -> Result<(), OutputError> {
    for row in 0..batch.num_rows() {
        let mut cells = Vec::with_capacity(batch.num_columns());
        for array in batch.columns() {
            let cell = Cell::new(array.as_ref(), row);
            if cell.is_null() {
                cells.push(NULL.to_owned());
                continue;
            }
            let mut text = String::new();
            cell.push_text(&mut text).map_err(|detail| OutputError::Format { format: "table", detail })?;
            cells.push(escaped(&text).into_owned());
        }
        take(cells)?;
    }
    Ok(())
}

/// Narrows the widest columns, one step at a time, until the line fits or all are narrow.
fn fit(columns: &mut [Column], terminal: usize) {
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    let room = terminal.saturating_sub(gaps);
    // Every column up to the level keeps its width, the others are cut to it: the highest level that fits.
    let total = |level: usize| columns.iter().map(|column| column.width.min(level)).sum::<usize>();
    let widest = columns.iter().map(|column| column.width).max().unwrap_or(0);
    let level = (NARROWEST..=widest).rev().find(|level| total(*level) <= room).unwrap_or(NARROWEST);
    for column in columns {
        column.width = column.width.min(level);
    }
}

fn line(out: &mut dyn Write, columns: &[Column], cells: &[String], cut: bool) -> Result<(), OutputError> {
    let mut text = String::new();
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if index > 0 {
            text.push_str(GAP);
        }
        let shown = if cut { shortened(cell, column.width) } else { cell.into() };
        let blanks = column.width.saturating_sub(shown.width());
        if column.number {
            text.extend(std::iter::repeat_n(' ', blanks));
            text.push_str(&shown);
        } else {
            text.push_str(&shown);
            if index + 1 < columns.len() {
                text.extend(std::iter::repeat_n(' ', blanks));
            }
        }
    }
    text.push('\n');
    out.write_all(text.as_bytes())?;
    Ok(())
}

/// The text in at most `width` columns of a terminal.
fn shortened(text: &str, width: usize) -> std::borrow::Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push(CUT);
    out.into()
}
