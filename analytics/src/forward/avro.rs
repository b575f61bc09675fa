//! Records as Avro, a message a record, in the single-object encoding (Avro 1.12): two bytes that say so, the fingerprint (CRC-64-AVRO)
//! of the schema, the record. Where a schema registry has given the schema a number: a zero, the number (32 bits, the highest first), the record.
//!
//! Schemas are those of the lake's tables, the same for every message of a table: ids `fixed`, times `timestamp-micros`, and counters
//! `long`: one beyond 2⁶³ − 1 is that. `group_id`, whose bits are a hash, is text as in the web application: 16 hexadecimal digits.

use std::collections::HashMap;
use std::sync::Arc;

use aggregator::lake::{Table, schema};
use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray, UInt64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow_avro::schema::{AVRO_NAME_METADATA_KEY, AVRO_NAMESPACE_METADATA_KEY, AvroSchema, FingerprintStrategy};
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroSoeFormat;

use super::What;
use crate::output::OutputError;

/// The Avro schema (JSON) of what leaves of a table.
///
/// # Errors
/// The lake's schema has a type that Avro has not; alerts of a table that is not scored.
pub fn avro_schema(what: What, table: Table) -> Result<String, OutputError> {
    let (_, sent) = schemas(what, table)?;
    AvroSchema::try_from(sent.as_ref()).map(|schema| schema.json_string).map_err(wrong)
}

/// The messages of rows, in their order. `id`: the schema's number in a registry.
pub(super) fn messages(
    what: What,
    table: Table,
    id: Option<u32>,
    rows: &RecordBatch,
) -> Result<Vec<Vec<u8>>, OutputError> {
    let (kept, sent) = schemas(what, table)?;
    let columns = kept.fields().iter().map(|field| column(rows, field)).collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatch::try_new(Arc::clone(&sent), columns).map_err(wrong)?;
    let known_by = id.map_or(FingerprintStrategy::Rabin, FingerprintStrategy::Id);
    let builder = WriterBuilder::new(sent.as_ref().clone()).with_fingerprint_strategy(known_by);
    let mut encoder = builder.build_encoder::<AvroSoeFormat>().map_err(wrong)?;
    encoder.encode(&rows).map_err(wrong)?;
    Ok(encoder.flush().iter().map(|message| message.to_vec()).collect())
}

fn wrong(error: impl std::fmt::Display) -> OutputError {
    OutputError::Format { format: "Avro", detail: error.to_string() }
}

/// The schema that rows have in the lake, and that which is sent.
fn schemas(what: What, table: Table) -> Result<(SchemaRef, SchemaRef), OutputError> {
    let table = match (what, table.scored()) {
        (What::Records, _) => table,
        (What::Alerts, Some(source)) => Table::Scores(source),
        (What::Alerts, None) => return Err(wrong(format!("{} has no alerts", table.as_str()))),
    };
    let (kept, name) = (schema::of_table(table), table.as_str().to_owned());
    let fields: Vec<Field> = kept.fields().iter().map(|field| as_sent(field)).collect();
    let named = [(AVRO_NAME_METADATA_KEY, name), (AVRO_NAMESPACE_METADATA_KEY, "spotter".to_owned())];
    let metadata: HashMap<String, String> = named.map(|(key, value)| (key.to_owned(), value)).into();
    Ok((Arc::clone(&kept), Arc::new(Schema::new_with_metadata(fields, metadata))))
}

fn as_sent(field: &Field) -> Field {
    match (field.name().as_str(), field.data_type()) {
        ("group_id", DataType::UInt64) => field.clone().with_data_type(DataType::Utf8),
        (_, DataType::UInt64) => field.clone().with_data_type(DataType::Int64),
        _ => field.clone(),
    }
}

/// A column as it is sent. One that rows of an older version have not is empty.
fn column(rows: &RecordBatch, field: &Field) -> Result<ArrayRef, OutputError> {
    let sent = as_sent(field);
    let Some(found) = rows.column_by_name(field.name()) else {
        return Ok(new_null_array(sent.data_type(), rows.num_rows()));
    };
    let found = cast(found, field.data_type()).map_err(wrong)?;
    Ok(match (sent.data_type(), found.as_primitive_opt::<UInt64Type>()) {
        (DataType::Utf8, Some(hashes)) => Arc::new(hexadecimal(hashes)),
        (DataType::Int64, Some(counters)) => {
            let longs: Int64Array = counters.unary(|n| i64::try_from(n).unwrap_or(i64::MAX));
            Arc::new(longs)
        }
        _ => found,
    })
}

fn hexadecimal(hashes: &UInt64Array) -> StringArray {
    hashes.iter().map(|hash| hash.map(|hash| format!("{hash:016x}"))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use arrow::array::{ArrayData, BooleanArray, FixedSizeBinaryArray, make_array};
    use arrow_avro::schema::{Fingerprint, FingerprintAlgorithm};

    use super::*;

    /// Columns of one row that say enough; the others are empty.
    fn row(schema: &SchemaRef) -> RecordBatch {
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match (field.name().as_str(), field.data_type()) {
                ("src_bytes", _) => Arc::new(UInt64Array::from(vec![u64::MAX])),
                ("src_packets", _) => Arc::new(UInt64Array::from(vec![7])),
                (_, DataType::Utf8) => Arc::new(StringArray::from(vec!["x"])),
                (_, kind) => {
                    let none = make_array(ArrayData::new_null(kind, 1));
                    if field.is_nullable() { none } else { filled(kind) }
                }
            }
        });
        RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
    }

    fn filled(kind: &DataType) -> ArrayRef {
        match kind {
            DataType::FixedSizeBinary(n) => {
                Arc::new(FixedSizeBinaryArray::try_from_iter(std::iter::once(vec![9_u8; *n as usize])).unwrap())
            }
            DataType::Boolean => Arc::new(BooleanArray::from(vec![true])),
            other => cast(&Int64Array::from(vec![5]), other).unwrap(),
        }
    }

    #[test]
    fn a_message_begins_with_the_fingerprint_of_its_schema_and_counters_end_at_the_largest_long() {
        let rows = row(&schema::flow());
        let one = |id| messages(What::Records, Table::Flow, id, &rows).unwrap().pop().unwrap();
        let message = one(None);
        assert_eq!(message[..2], [0xc3, 0x01]);
        let text = avro_schema(What::Records, Table::Flow).unwrap();
        assert!(text.contains("\"name\":\"flow\"") && text.contains("\"namespace\":\"spotter\""), "{text}");
        let canonical = AvroSchema::new(text).fingerprint(FingerprintAlgorithm::Rabin).unwrap();
        let Fingerprint::Rabin(expected) = canonical else { unreachable!("asked for it") };
        assert_eq!(message[2..10], expected.to_le_bytes());
        // The longest zigzag number of 64 bits: the counter that is too large.
        let largest = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(message.windows(10).filter(|w| *w == largest).count(), 1);
        // In a registry: the same record behind the schema's number there.
        assert_eq!(one(Some(0x0102_0304)), [&[0, 1, 2, 3, 4], &message[10..]].concat());
    }

    #[test]
    fn every_table_has_a_schema() {
        let scored = [Table::Flow, Table::Dns, Table::Proxy];
        let alerts = scored.map(|table| (What::Alerts, table));
        for (what, table) in scored.into_iter().chain([Table::Dhcp]).map(|table| (What::Records, table)).chain(alerts) {
            let text = avro_schema(what, table).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["type"], "record", "{text}");
            assert_eq!(value["fields"].as_array().unwrap().len(), schemas(what, table).unwrap().1.fields().len());
        }
        assert!(avro_schema(What::Alerts, Table::Dhcp).unwrap_err().to_string().contains("dhcp has no alerts"));
        let scores = avro_schema(What::Alerts, Table::Flow).unwrap();
        assert!(scores.contains(r#"{"name":"group_id","type":"string"}"#), "{scores}");
    }
}
