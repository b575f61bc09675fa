//! Writing a set: rows in, sorted by hour, Parquet out.

use arrow::array::RecordBatch;

use crate::record::{DnsRecord, FlowRecord, LedgerRow, ProxyRecord};

use super::{LakeError, Published, Table};

/// Writes one set. Nothing is visible before [`Self::commit`]; dropping the writer abandons the set.
#[derive(Debug)]
pub struct SetWriter {}

impl SetWriter {
    /// Adds flows.
    pub fn flow(&mut self, records: &[FlowRecord]) -> Result<(), LakeError> {
        todo!("{}", records.len())
    }

    /// Adds DNS questions.
    pub fn dns(&mut self, records: &[DnsRecord]) -> Result<(), LakeError> {
        todo!("{}", records.len())
    }

    /// Adds requests.
    pub fn proxy(&mut self, records: &[ProxyRecord]) -> Result<(), LakeError> {
        todo!("{}", records.len())
    }

    /// Adds ledger entries. They are also written, summed by counter, to the metadata of the parts still open.
    pub fn ledger(&mut self, rows: &[LedgerRow]) -> Result<(), LakeError> {
        todo!("{}", rows.len())
    }

    /// Adds rows that are columns already, with exactly the schema of the table ([`super::schema`]).
    pub fn batch(&mut self, table: Table, batch: &RecordBatch) -> Result<(), LakeError> {
        todo!("{table:?} {}", batch.num_rows())
    }

    /// The set's id.
    pub fn id(&self) -> &str {
        todo!()
    }

    /// Publishes the set.
    pub fn commit(self) -> Result<Published, LakeError> {
        todo!()
    }
}
