//! The answers of DNS records, as the lake has them: a list of records for each row.

use arrow::array::{Array, ListArray, RecordBatch, StringArray, StructArray, UInt16Array, UInt32Array};

use super::ScoreError;
use super::parts::column;

/// The lists of a batch; nothing where the column is of another shape (an old file).
pub(super) struct Answers<'b>(Option<Columns<'b>>);

#[derive(Clone, Copy)]
struct Columns<'b> {
    list: &'b ListArray,
    types: &'b UInt16Array,
    ttls: &'b UInt32Array,
    data: &'b StringArray,
}

impl<'b> Answers<'b> {
    pub(super) fn of(batch: &'b RecordBatch) -> Result<Self, ScoreError> {
        let list: &ListArray = column(batch, "answers")?;
        let of = |list: &'b ListArray| {
            let records: &StructArray = list.values().as_any().downcast_ref()?;
            Some(Columns {
                list,
                types: records.column_by_name("type")?.as_any().downcast_ref()?,
                ttls: records.column_by_name("ttl")?.as_any().downcast_ref()?,
                data: records.column_by_name("data")?.as_any().downcast_ref()?,
            })
        };
        Ok(Self(of(list)))
    }

    /// Answers of a row, with type and time to live of the first. Logs have neither query nor answer records; an empty list says nothing then.
    pub(super) fn row(&self, row: usize) -> Option<(u64, u16, u32)> {
        let columns = self.0.as_ref()?;
        if columns.list.is_null(row) {
            return None;
        }
        let (from, to) = columns.range(row)?;
        match to.checked_sub(from) {
            Some(count) if count > 0 && to <= columns.types.len() && to <= columns.ttls.len() => {
                Some((count as u64, columns.types.value(from), columns.ttls.value(from)))
            }
            _ => Some((0, 0, 0)),
        }
    }

    /// Type, time to live in seconds and data of each answer of a row; a null is empty.
    pub(super) fn records(&self, row: usize) -> impl Iterator<Item = (u16, u32, &'b str)> + Clone + use<'b> {
        let found = self.0.as_ref().filter(|columns| columns.list.is_valid(row));
        found.and_then(|columns| Some((*columns, columns.range(row)?))).into_iter().flat_map(
            |(Columns { types, ttls, data, .. }, (from, to))| {
                (from..to.min(types.len()).min(ttls.len()).min(data.len())).map(move |at| {
                    (types.value(at), ttls.value(at), if data.is_null(at) { "" } else { data.value(at) })
                })
            },
        )
    }
}

impl Columns<'_> {
    fn range(&self, row: usize) -> Option<(usize, usize)> {
        let offsets = self.list.value_offsets();
        Some((*offsets.get(row)? as usize, *offsets.get(row + 1)? as usize))
    }
}
