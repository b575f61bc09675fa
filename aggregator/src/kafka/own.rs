//! Our own records, as JSON objects by the lake's columns, back to columns: what `spotter forward` produces and every table exports.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, Field};
use arrow::json::ReaderBuilder;
use serde_json::{Map, Value};

use crate::lake::{LakeError, SetWriter, Table, check_sensor, schema};

/// Ids that are remembered: of a record that comes again within so many the second is left out.
const REMEMBERED: usize = 1 << 18;
/// Sensors in one set: each has files of its own.
const SENSORS: usize = 64;

/// Ids of the latest records.
#[derive(Debug, Default)]
struct Recent {
    ids: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Recent {
    /// False where it is there already.
    fn add(&mut self, id: u128) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

/// Rows gathered, by table and sensor.
#[derive(Debug, Default)]
pub(super) struct OwnRows {
    rows: BTreeMap<(Table, String), Vec<Value>>,
    sensors: HashSet<String>,
    recent: Recent,
    count: usize,
}

/// What became of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    Stored,
    /// Its id came a moment ago.
    Twice,
}

impl OwnRows {
    /// Rows that wait to be written.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Takes a record; the reason where it is none. Columns that the lake does not have are left out.
    pub(super) fn add(&mut self, object: Map<String, Value>) -> Result<Added, &'static str> {
        let table = table(&object).ok_or("an object of no known kind")?;
        for field in schema::of_table(table).fields() {
            fits(object.get(field.name()), field)?;
        }
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = u128::from_str_radix(text("record_id"), 16).map_err(|_| "a record_id that is not hexadecimal")?;
        let sensor = text("sensor").to_owned();
        check_sensor(&sensor).map_err(|_| "a sensor that cannot be a folder's name")?;
        if self.sensors.len() >= SENSORS && !self.sensors.contains(&sensor) {
            return Err("too many sensors at once");
        }
        if !self.recent.add(id) {
            return Ok(Added::Twice);
        }
        self.sensors.insert(sensor.clone());
        self.rows.entry((table, sensor)).or_default().push(Value::Object(object));
        self.count += 1;
        Ok(Added::Stored)
    }

    /// Writes what was gathered.
    pub(super) fn write(&mut self, set: &mut SetWriter) -> Result<(), LakeError> {
        self.count = 0;
        self.sensors.clear();
        for ((table, sensor), rows) in std::mem::take(&mut self.rows) {
            set.batch_of(&sensor, table, &columns(table, &rows)?)?;
        }
        Ok(())
    }
}

fn columns(table: Table, rows: &[Value]) -> Result<RecordBatch, LakeError> {
    let wrong = |source| LakeError::Columns { table: table.as_str(), source };
    let schema = schema::of_table(table);
    let mut decoder =
        ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(rows.len().max(1)).build_decoder().map_err(wrong)?;
    decoder.serialize(rows).map_err(wrong)?;
    let batch = decoder.flush().map_err(wrong)?;
    Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(schema)))
}

/// Which table's columns an object has.
fn table(object: &Map<String, Value>) -> Option<Table> {
    [("qname", Table::Dns), ("full_uri", Table::Proxy), ("src_packets", Table::Flow), ("msg_types", Table::Dhcp)]
        .into_iter()
        .find_map(|(column, table)| object.contains_key(column).then_some(table))
}

/// Whether a value can stand in a column.
fn fits(value: Option<&Value>, field: &Field) -> Result<(), &'static str> {
    let value = match value {
        None | Some(Value::Null) => return if field.is_nullable() { Ok(()) } else { Err("a column is missing") },
        Some(value) => value,
    };
    let up_to = |most: u64| value.as_u64().is_some_and(|number| number <= most);
    let is_good = match field.data_type() {
        DataType::UInt8 => up_to(u8::MAX.into()),
        DataType::UInt16 => up_to(u16::MAX.into()),
        DataType::UInt32 => up_to(u32::MAX.into()),
        DataType::UInt64 => up_to(u64::MAX),
        DataType::Utf8 => value.is_string(),
        DataType::FixedSizeBinary(size) => {
            let digits = usize::try_from(*size).unwrap_or(0) * 2;
            value.as_str().is_some_and(|text| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit()))
        }
        DataType::Timestamp(..) => value.as_str().is_some_and(is_time),
        DataType::List(item) => match value.as_array() {
            Some(list) => return list.iter().try_for_each(|value| fits(Some(value), item)),
            None => false,
        },
        DataType::Struct(fields) => match value.as_object() {
            Some(object) => return fields.iter().try_for_each(|field| fits(object.get(field.name()), field)),
            None => false,
        },
        _ => false,
    };
    if is_good { Ok(()) } else { Err("a value that its column cannot hold") }
}

/// Whether it is a time, to the reader that makes columns of it.
fn is_time(text: &str) -> bool {
    string_to_datetime(&chrono::Utc, text).is_ok()
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;

    use super::*;

    fn flow() -> Map<String, Value> {
        let value = serde_json::json!({
            "record_id": "00112233445566778899aabbccddeeff", "first_seen": "2026-03-02T10:00:00.000001Z",
            "last_seen": "2026-03-02T10:00:01.000000Z", "flow_start": "2026-03-02T10:00:00.000001Z", "segment": 0,
            "sensor": "edge", "origin": "pcap", "src_ip": "10.0.0.1", "dst_ip": "2001:db8::1", "src_port": 1, "dst_port": 65535,
            "proto": 6, "src_packets": 18446744073709551615u64, "src_bytes": 2, "end_reason": 1, "sampling": 1,
            "observations": 1, "community_id": "1:x", "fused_rank": 3
        });
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_record_becomes_the_columns_it_was() {
        let batch = columns(Table::Flow, &[Value::Object(flow())]).unwrap();
        assert_eq!(batch.schema(), schema::flow());
        let text = arrow::util::pretty::pretty_format_batches(&[batch.project(&[0, 1, 10, 12, 14]).unwrap()]);
        let text = text.unwrap().to_string();
        for part in ["00112233445566778899aabbccddeeff", "2026-03-02T10:00:00.000001Z", "65535", "18446744073709551615"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn leases_of_dhcp_are_records_too() {
        let object = serde_json::json!({
            "record_id": "00112233445566778899aabbccddeeff", "first_seen": "2026-03-02T10:00:00.000001Z",
            "last_seen": "2026-03-02T10:00:00.000900Z", "sensor": "edge", "origin": "pcap", "version": 4, "xid": 15633,
            "client_addr": null, "assigned_addr": "192.168.0.10", "host_name": "host\\000", "leases": [],
            "msg_types": ["REQUEST", "ACK"], "duration_us": 899
        });
        let object = object.as_object().cloned().unwrap();
        assert_eq!(OwnRows::default().add(object.clone()), Ok(Added::Stored));
        let batch = columns(Table::Dhcp, &[Value::Object(object)]).unwrap();
        let names = batch.column_by_name("host_name").unwrap().as_string::<i32>();
        assert_eq!((batch.schema(), names.value(0)), (schema::dhcp(), "host\\000"));
        let types = batch.column_by_name("msg_types").unwrap().as_list::<i32>().value(0);
        assert_eq!(types.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["REQUEST", "ACK"]);
    }

    #[test]
    fn what_cannot_stand_in_a_column_is_refused_with_the_reason() {
        let with = |name: &str, value: Value| {
            let mut object = flow();
            object.insert(name.to_owned(), value);
            OwnRows::default().add(object)
        };
        assert_eq!(with("dst_packets", Value::Null), Ok(Added::Stored));
        for (name, value) in [
            ("src_port", serde_json::json!(65536)),
            ("src_port", serde_json::json!(-1)),
            ("src_port", serde_json::json!("1")),
            ("proto", serde_json::json!(6.5)),
            ("record_id", serde_json::json!("é011223344556677 8899aabbccddeef")),
            ("first_seen", serde_json::json!("yesterday")),
            ("first_seen", serde_json::json!(1)),
        ] {
            assert_eq!(with(name, value.clone()), Err("a value that its column cannot hold"), "{name} = {value}");
        }
        assert_eq!(with("src_ip", Value::Null), Err("a column is missing"));
        assert_eq!(with("sensor", serde_json::json!("../x")), Err("a sensor that cannot be a folder's name"));
        assert_eq!(OwnRows::default().add(Map::new()), Err("an object of no known kind"));
    }

    #[test]
    fn a_record_that_comes_again_is_left_out() {
        let mut rows = OwnRows::default();
        assert_eq!(rows.add(flow()), Ok(Added::Stored));
        assert_eq!(rows.add(flow()), Ok(Added::Twice));
        assert_eq!(rows.count(), 1);
    }
}
