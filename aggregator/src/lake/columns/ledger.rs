//! The columns of `ledger`.

use arrow::array::RecordBatch;
use arrow::datatypes::{Int32Type, UInt64Type};
use arrow::error::ArrowError;

use super::{Columns, Numbers, Text, Times};
use crate::lake::schema;
use crate::record::LedgerRow;

/// Builders of the columns of `ledger`.
pub(in crate::lake) struct LedgerColumns {
    interval_start: Times,
    interval_end: Times,
    sensor: Text,
    source: Text,
    queue: Numbers<Int32Type>,
    clock: Text,
    counter: Text,
    value: Numbers<UInt64Type>,
}

impl Columns<LedgerRow> for LedgerColumns {
    fn new(_sensor: &str) -> Self {
        Self {
            interval_start: Times::default(),
            interval_end: Times::default(),
            sensor: Text::default(),
            source: Text::default(),
            queue: Numbers::default(),
            clock: Text::default(),
            counter: Text::default(),
            value: Numbers::default(),
        }
    }

    fn push(&mut self, row: &LedgerRow) {
        self.interval_start.push(row.interval_start.0);
        self.interval_end.push(row.interval_end.0);
        self.sensor.push(&row.sensor);
        self.source.push(&row.source);
        self.queue.push_opt(row.queue);
        self.clock.push(&row.clock);
        self.counter.push(&row.counter);
        self.value.push(row.value);
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(
            schema::ledger(),
            vec![
                self.interval_start.finish_times(),
                self.interval_end.finish_times(),
                self.sensor.finish()?,
                self.source.finish()?,
                self.queue.finish(),
                self.clock.finish()?,
                self.counter.finish()?,
                self.value.finish(),
            ],
        )
    }
}
