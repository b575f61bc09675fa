//! The columns of `ledger`.

use parquet::errors::Result;

use super::{Columns, Few, GroupWriter, Numbers, Text, Times};
use crate::record::LedgerRow;

/// See the [module](self).
#[derive(Default)]
pub(in crate::lake) struct LedgerColumns {
    interval_start: Times,
    interval_end: Times,
    sensor: Text,
    source: Text,
    queue: Few<i32>,
    clock: Text,
    counter: Text,
    value: Numbers<u64>,
}

impl Columns<LedgerRow> for LedgerColumns {
    fn new(_sensor: &str) -> Self {
        Self::default()
    }

    fn push(&mut self, row: &LedgerRow) {
        self.interval_start.push(row.interval_start.0);
        self.interval_end.push(row.interval_end.0);
        self.sensor.push(row.sensor.as_str());
        self.source.push(row.source.as_str());
        self.queue.push_opt(row.queue);
        self.clock.push(row.clock.as_str());
        self.counter.push(row.counter.as_str());
        self.value.push(row.value);
    }

    fn write(&mut self, out: &mut GroupWriter<'_>) -> Result<()> {
        out.column(&mut self.interval_start)?;
        out.column(&mut self.interval_end)?;
        out.column(&mut self.sensor)?;
        out.column(&mut self.source)?;
        out.column(&mut self.queue)?;
        out.column(&mut self.clock)?;
        out.column(&mut self.counter)?;
        out.column(&mut self.value)
    }
}
