//! What the writer needs to know of each kind of row.

use std::mem::size_of;

use capture::ResourceRecord;

use super::Table;
use super::columns::{Columns, DhcpColumns, DnsColumns, FlowColumns, LedgerColumns, ProxyColumns};
use crate::record::{DhcpRecord, DnsRecord, FlowRecord, LedgerRow, Micros, ProxyRecord, RecordId};

/// A row of a table that is written from records.
pub(super) trait Row: Clone + Send + 'static {
    /// Builders of its columns.
    type Columns: Columns<Self> + Send;
    /// Its table.
    const TABLE: Table;
    /// The time that decides its hour, the latest time it tells of, and its identity; a row without one has zeros.
    fn head(&self) -> (Micros, Micros, RecordId);
    /// What decides between rows of the same time: the front of the record_id, which is a hash. Rows with equal ones
    /// keep their order.
    fn id(&self) -> u64 {
        self.head().2.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }
    /// Bytes it takes in memory.
    fn size(&self) -> usize;
}

impl Row for FlowRecord {
    type Columns = FlowColumns;
    const TABLE: Table = Table::Flow;
    fn head(&self) -> (Micros, Micros, RecordId) {
        (self.first_seen, self.last_seen, self.record_id)
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.exporter.as_ref().map_or(0, |_| size_of::<crate::record::Exporter>())
    }
}

impl Row for DnsRecord {
    type Columns = DnsColumns;
    const TABLE: Table = Table::Dns;
    fn head(&self) -> (Micros, Micros, RecordId) {
        (self.first_seen, self.last_seen, self.record_id)
    }
    fn size(&self) -> usize {
        let resource = |r: &ResourceRecord| size_of::<ResourceRecord>() + r.name.capacity() + r.data.capacity();
        let resources = self.answers.iter().chain(&self.authorities).map(resource).sum::<usize>();
        size_of::<Self>() + self.qname.capacity() + self.qname_wire.capacity() + resources
    }
}

impl Row for DhcpRecord {
    type Columns = DhcpColumns;
    const TABLE: Table = Table::Dhcp;
    fn head(&self) -> (Micros, Micros, RecordId) {
        (self.first_seen, self.last_seen, self.record_id)
    }
    fn size(&self) -> usize {
        self.cost()
    }
}

impl Row for ProxyRecord {
    type Columns = ProxyColumns;
    const TABLE: Table = Table::Proxy;
    fn head(&self) -> (Micros, Micros, RecordId) {
        (self.first_seen, self.last_seen, self.record_id)
    }
    fn size(&self) -> usize {
        let texts = [&self.scheme, &self.method, &self.host, &self.uri_path, &self.full_uri];
        let optional = [
            &self.uri_query,
            &self.uri_extension,
            &self.user_agent,
            &self.referer,
            &self.content_type,
            &self.username,
            &self.auth_group,
            &self.category,
            &self.action,
            &self.filter_result,
            &self.exception_id,
            &self.virus_id,
            &self.app_name,
            &self.app_operation,
            &self.tls_version,
            &self.tls_sni,
            &self.tls_alpn,
            &self.ja4,
            &self.community_id,
        ];
        size_of::<Self>()
            + texts.iter().map(|t| t.capacity()).sum::<usize>()
            + optional.iter().map(|t| t.as_ref().map_or(0, String::capacity)).sum::<usize>()
    }
}

impl Row for LedgerRow {
    type Columns = LedgerColumns;
    const TABLE: Table = Table::Ledger;
    fn head(&self) -> (Micros, Micros, RecordId) {
        (self.interval_start, self.interval_end, RecordId([0; 16]))
    }
    fn size(&self) -> usize {
        size_of::<Self>()
            + self.sensor.capacity()
            + self.source.capacity()
            + self.clock.capacity()
            + self.counter.capacity()
    }
}
