//! One record as values by name, for the formats that rename them.

use arrow::array::RecordBatch;
use serde_json::{Map, Value};

use crate::output::OutputError;
use crate::output::cell::Cell;

pub(super) struct Row(Map<String, Value>);

impl Row {
    pub(super) fn new(names: &[String], batch: &RecordBatch, at: usize) -> Result<Self, OutputError> {
        let mut row = Map::with_capacity(names.len());
        for (name, array) in names.iter().zip(batch.columns()) {
            let value = serde_json::to_value(Cell::new(array.as_ref(), at))
                .map_err(|error| OutputError::Format { format: "json", detail: error.to_string() })?;
            if !value.is_null() {
                row.insert(name.clone(), value);
            }
        }
        Ok(Self(row))
    }

    /// The value, if it was observed.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A copy of it.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    /// Text; empty if it was not observed.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Text that was observed and is not empty.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    pub(super) fn float(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    /// The answers of a DNS record: data, TTL, type.
    pub(super) fn answers(&self) -> Vec<(&str, u64, u64)> {
        let list = self.0.get("answers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .filter_map(|answer| {
                let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
                Some((answer.get("data")?.as_str()?, number("ttl"), number("type")))
            })
            .collect()
    }

    /// Microseconds since 1970 of a moment.
    pub(super) fn micros(&self, name: &str) -> Option<i64> {
        chrono::DateTime::parse_from_rfc3339(self.some(name)?).ok().map(|at| at.timestamp_micros())
    }

    /// Is it a row of a scores table?
    pub(super) fn is_scored(&self) -> bool {
        self.0.contains_key("percentile")
    }
}

/// An object of what was observed.
pub(super) fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

/// An object of what was observed, or nothing where nothing was.
pub(super) fn some_object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let object = object(fields);
    let is_empty = object.as_object().is_none_or(Map::is_empty);
    (!is_empty).then_some(object)
}

/// The transport as other tools name it.
pub(super) fn transport(proto: u64) -> String {
    match proto {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        47 => "gre".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

/// IANA's names of query types that tools expect; others as RFC 3597 has them.
pub(super) fn qtype(number: u64) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        252 => "AXFR",
        255 => "ANY",
        257 => "CAA",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

/// IANA's names of response codes.
pub(super) fn rcode(number: u64) -> String {
    let name = match number {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        other => return format!("RCODE{other}"),
    };
    name.to_owned()
}
