//! Interface counters as columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use capture::collect::InterfaceCounters;

use crate::lake::{LakeError, Table, schema};

/// The batch of the `interfaces` table.
pub(crate) fn interfaces(sensor: &str, rows: &[InterfaceCounters]) -> Result<RecordBatch, LakeError> {
    let narrow = |of: fn(&InterfaceCounters) -> Option<u32>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt32Array>())
    };
    let wide = |of: &dyn Fn(&InterfaceCounters) -> Option<u64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt64Array>())
    };
    let times = rows.iter().map(|row| row.received.micros());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| sensor))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.exporter.to_string()))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.if_index))),
        Arc::new(rows.iter().map(|_| None::<&str>).collect::<StringArray>()),
        narrow(|row| row.if_type),
        wide(&|row| row.if_speed),
        narrow(|row| row.if_direction),
        narrow(|row| row.if_status),
    ];
    for at in 0..7 {
        columns.push(wide(&|row| row.incoming.get(at).copied().flatten()));
    }
    for at in 0..6 {
        columns.push(wide(&|row| row.outgoing.get(at).copied().flatten()));
    }
    RecordBatch::try_new(schema::interfaces(), columns)
        .map_err(|source| LakeError::Columns { table: Table::Interfaces.as_str(), source })
}
