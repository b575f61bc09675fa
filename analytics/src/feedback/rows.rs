//! What matchers look at, from the columns of the records' tables and of their scores: they have the same names in both.

use aggregator::lake::Source;
use arrow::array::{Array, FixedSizeBinaryArray, RecordBatch, StringArray, UInt8Array, UInt16Array, UInt64Array};

use super::Seen;
use crate::score::ScoreError;
use crate::score::parts::column;
use crate::score::texts::Texts;

/// The columns a matcher may need.
pub(crate) const fn columns(source: Source) -> &'static [&'static str] {
    match source {
        Source::Flow => &["record_id", "src_ip", "dst_ip", "src_port", "dst_port", "proto", "src_packets", "src_bytes"],
        Source::Dns => &["record_id", "client_ip", "server_ip", "qname", "qtype"],
        Source::Proxy => &["record_id", "client_ip", "server_ip", "host", "full_uri", "user_agent"],
    }
}

/// The value of a row; `None` for null.
macro_rules! value {
    ($column:expr, $row:expr) => {
        (!$column.is_null($row)).then(|| $column.value($row))
    };
}

/// The rows of a batch that has [`columns`].
pub(crate) fn seen(source: Source, batch: &RecordBatch) -> Result<Vec<Seen<'_>>, ScoreError> {
    let ids: &FixedSizeBinaryArray = column(batch, "record_id")?;
    let (host, peer) = match source {
        Source::Flow => ("src_ip", "dst_ip"),
        Source::Dns | Source::Proxy => ("client_ip", "server_ip"),
    };
    let (host, peer) = (Texts::of(batch, host)?, Texts::of(batch, peer)?);
    let mut rows: Vec<Seen<'_>> = (0..batch.num_rows())
        .map(|at| Seen {
            record_id: value!(ids, at).and_then(|id| id.try_into().ok()).unwrap_or_default(),
            host: host.filled(at).and_then(|text| text.parse().ok()),
            peer: peer.filled(at).and_then(|text| text.parse().ok()),
            ..Seen::default()
        })
        .collect();
    match source {
        Source::Flow => {
            let (port, src_port): (&UInt16Array, &UInt16Array) =
                (column(batch, "dst_port")?, column(batch, "src_port")?);
            let proto: &UInt8Array = column(batch, "proto")?;
            let (packets, bytes): (&UInt64Array, &UInt64Array) =
                (column(batch, "src_packets")?, column(batch, "src_bytes")?);
            for (at, row) in rows.iter_mut().enumerate() {
                (row.port, row.src_port, row.proto) = (value!(port, at), value!(src_port, at), value!(proto, at));
                (row.packets, row.bytes) = (value!(packets, at), value!(bytes, at));
            }
        }
        Source::Dns => {
            let (name, qtype): (&StringArray, &UInt16Array) = (column(batch, "qname")?, column(batch, "qtype")?);
            for (at, row) in rows.iter_mut().enumerate() {
                (row.name, row.qtype) = (text(name, at), value!(qtype, at));
            }
        }
        Source::Proxy => {
            let (name, uri): (&StringArray, &StringArray) = (column(batch, "host")?, column(batch, "full_uri")?);
            let agent: &StringArray = column(batch, "user_agent")?;
            for (at, row) in rows.iter_mut().enumerate() {
                (row.name, row.uri, row.agent) = (text(name, at), text(uri, at), text(agent, at));
            }
        }
    }
    Ok(rows)
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    value!(column, row).filter(|text| !text.is_empty())
}
