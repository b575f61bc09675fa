//! One value of an Arrow array as JSON or text. Every format goes through here, so they agree.

use std::collections::HashSet;
use std::fmt::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

/// A value: an array and a row of it.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    array: &'a dyn Array,
    row: usize,
}

impl<'a> Cell<'a> {
    /// `row` must be less than the array's length.
    pub(crate) fn new(array: &'a dyn Array, row: usize) -> Self {
        Self { array, row }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.array.is_null(self.row) || self.array.data_type() == &DataType::Null
    }

    /// The text of the value, appended to `out`. Null is nothing; lists and structs are JSON.
    pub(crate) fn push_text(&self, out: &mut String) -> Result<(), String> {
        if self.is_null() {
            return Ok(());
        }
        match self.array.data_type() {
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..) => {
                out.push_str(&serde_json::to_string(self).map_err(|error| error.to_string())?);
                Ok(())
            }
            _ => match self.scalar().map_err(|error| error.to_string())? {
                Scalar::Text(text) => {
                    out.push_str(text);
                    Ok(())
                }
                Scalar::Made(text) => {
                    out.push_str(&text);
                    Ok(())
                }
                Scalar::Bool(value) => write!(out, "{value}").map_err(|error| error.to_string()),
                Scalar::Int(value) => write!(out, "{value}").map_err(|error| error.to_string()),
                Scalar::UInt(value) => write!(out, "{value}").map_err(|error| error.to_string()),
                Scalar::Float32(value) => write!(out, "{value}").map_err(|error| error.to_string()),
                Scalar::Float(value) => write!(out, "{value}").map_err(|error| error.to_string()),
            },
        }
    }

    fn scalar(&self) -> Result<Scalar<'a>, arrow::error::ArrowError> {
        let (array, row) = (self.array, self.row);
        macro_rules! value {
            ($type:ty) => {
                array.as_primitive::<$type>().value(row)
            };
        }
        Ok(match array.data_type() {
            DataType::Boolean => Scalar::Bool(array.as_boolean().value(row)),
            DataType::Int8 => Scalar::Int(value!(Int8Type).into()),
            DataType::Int16 => Scalar::Int(value!(Int16Type).into()),
            DataType::Int32 => Scalar::Int(value!(Int32Type).into()),
            DataType::Int64 => Scalar::Int(value!(Int64Type)),
            DataType::UInt8 => Scalar::UInt(value!(UInt8Type).into()),
            DataType::UInt16 => Scalar::UInt(value!(UInt16Type).into()),
            DataType::UInt32 => Scalar::UInt(value!(UInt32Type).into()),
            DataType::UInt64 => Scalar::UInt(value!(UInt64Type)),
            DataType::Float16 => Scalar::Float32(value!(Float16Type).to_f32()),
            DataType::Float32 => Scalar::Float32(value!(Float32Type)),
            DataType::Float64 => Scalar::Float(value!(Float64Type)),
            DataType::Utf8 => Scalar::Text(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => Scalar::Text(array.as_string::<i64>().value(row)),
            DataType::Utf8View => Scalar::Text(array.as_string_view().value(row)),
            DataType::Binary => Scalar::Made(hex(array.as_binary::<i32>().value(row))),
            DataType::LargeBinary => Scalar::Made(hex(array.as_binary::<i64>().value(row))),
            DataType::BinaryView => Scalar::Made(hex(array.as_binary_view().value(row))),
            DataType::FixedSizeBinary(_) => Scalar::Made(hex(array.as_fixed_size_binary().value(row))),
            DataType::Timestamp(unit, _) => {
                let (count, moment) = match unit {
                    TimeUnit::Second => {
                        let at = value!(TimestampSecondType);
                        (at, DateTime::from_timestamp(at, 0))
                    }
                    TimeUnit::Millisecond => {
                        let at = value!(TimestampMillisecondType);
                        (at, DateTime::from_timestamp_millis(at))
                    }
                    TimeUnit::Microsecond => {
                        let at = value!(TimestampMicrosecondType);
                        (at, DateTime::from_timestamp_micros(at))
                    }
                    TimeUnit::Nanosecond => {
                        let at = value!(TimestampNanosecondType);
                        (at, Some(DateTime::from_timestamp_nanos(at)))
                    }
                };
                Scalar::Made(moment.map_or_else(|| format!("{count} (no calendar date)"), |at| iso(at, *unit)))
            }
            DataType::Date32 => Scalar::Made(day(i64::from(value!(Date32Type)))),
            DataType::Date64 => Scalar::Made(day(value!(Date64Type).div_euclid(86_400_000))),
            _ => Scalar::Made(ArrayFormatter::try_new(array, &FormatOptions::new())?.value(row).try_to_string()?),
        })
    }
}

enum Scalar<'a> {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float32(f32),
    Float(f64),
    Text(&'a str),
    Made(String),
}

/// `2026-11-22T12:34:56.123456Z`, with the digits of the unit.
fn iso(moment: DateTime<Utc>, unit: TimeUnit) -> String {
    let form = match unit {
        TimeUnit::Second => "%Y-%m-%dT%H:%M:%SZ",
        TimeUnit::Millisecond => "%Y-%m-%dT%H:%M:%S%.3fZ",
        TimeUnit::Microsecond => "%Y-%m-%dT%H:%M:%S%.6fZ",
        TimeUnit::Nanosecond => "%Y-%m-%dT%H:%M:%S%.9fZ",
    };
    moment.format(form).to_string()
}

fn day(days: i64) -> String {
    days.checked_mul(86_400)
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .map_or_else(|| format!("day {days}"), |at| at.format("%Y-%m-%d").to_string())
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.is_null() {
            return to.serialize_none();
        }
        let list = |values: arrow::array::ArrayRef, to: S| {
            let mut sequence = to.serialize_seq(Some(values.len()))?;
            for row in 0..values.len() {
                sequence.serialize_element(&Cell::new(values.as_ref(), row))?;
            }
            sequence.end()
        };
        match self.array.data_type() {
            DataType::List(_) => list(self.array.as_list::<i32>().value(self.row), to),
            DataType::LargeList(_) => list(self.array.as_list::<i64>().value(self.row), to),
            DataType::FixedSizeList(..) => list(self.array.as_fixed_size_list().value(self.row), to),
            DataType::Struct(fields) => {
                let mut object = to.serialize_map(Some(fields.len()))?;
                for (field, column) in fields.iter().zip(self.array.as_struct().columns()) {
                    object.serialize_entry(field.name(), &Cell::new(column.as_ref(), self.row))?;
                }
                object.end()
            }
            // Keys need not be text, so a map is a list of {key, value}.
            DataType::Map(..) => list(std::sync::Arc::new(self.array.as_map().value(self.row)), to),
            _ => match self.scalar().map_err(S::Error::custom)? {
                Scalar::Bool(value) => to.serialize_bool(value),
                Scalar::Int(value) => to.serialize_i64(value),
                Scalar::UInt(value) => to.serialize_u64(value),
                Scalar::Float32(value) if value.is_finite() => to.serialize_f32(value),
                Scalar::Float(value) if value.is_finite() => to.serialize_f64(value),
                Scalar::Float32(value) => to.serialize_str(&value.to_string()),
                Scalar::Float(value) => to.serialize_str(&value.to_string()),
                Scalar::Text(text) => to.serialize_str(text),
                Scalar::Made(text) => to.serialize_str(&text),
            },
        }
    }
}

/// The columns' names, a repeated one numbered (`n`, `n_2`), so that a JSON object has them all.
pub(crate) fn unique_names(schema: &Schema) -> Vec<String> {
    let mut taken = HashSet::new();
    let given: HashSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    schema
        .fields()
        .iter()
        .map(|field| {
            let mut name = field.name().clone();
            let mut number = 2;
            while taken.contains(&name) || (number > 2 && given.contains(name.as_str())) {
                name = format!("{}_{number}", field.name());
                number += 1;
            }
            taken.insert(name.clone());
            name
        })
        .collect()
}

/// Columns of numbers, which stand to the right.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
