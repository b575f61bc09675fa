//! Rows of our own queries as typed values.

use std::fmt::Write as _;

use aggregator::lake::Day;
use aggregator::record::{Micros, RecordId};
use analytics::sql::Rows;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::ApiError;

/// Every row as a `T`. `table` names it in an error.
pub(super) fn read<T: DeserializeOwned>(rows: Rows, table: &'static str) -> Result<Vec<T>, ApiError> {
    rows.rows
        .into_iter()
        .map(|row| {
            serde_json::from_value(Value::Object(row))
                .map_err(|error| ApiError::Row { table, reason: error.to_string() })
        })
        .collect()
}

/// A moment as the API writes it.
pub(super) fn moment(time: Micros) -> String {
    DateTime::<Utc>::from_timestamp_micros(time.0)
        .map_or_else(|| format!("{} µs", time.0), |at| at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// A moment of a parameter, RFC 3339.
pub(super) fn parse_moment(name: &str, text: &str) -> Result<Micros, ApiError> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| Micros(at.timestamp_micros()))
        .map_err(|_| ApiError::Bad(format!("`{name}` must be a time such as 2016-07-08T10:15:00Z, not {text:?}")))
}

/// A day of a parameter.
pub(super) fn parse_day(text: &str) -> Result<Day, ApiError> {
    text.parse().map_err(|_| ApiError::Bad(format!("`date` must be a day such as 2016-07-08, not {text:?}")))
}

/// Lower-case hexadecimal of 16 bytes.
pub(super) fn parse_record_id(text: &str) -> Result<[u8; 16], ApiError> {
    let wrong = || ApiError::Bad(format!("`record_id` must be 32 hexadecimal digits, not {text:?}"));
    let mut id = [0; 16];
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (at, byte) in id.iter_mut().enumerate() {
        let pair = text.get(2 * at..2 * at + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(id)
}

/// An identity as the API writes it.
pub(super) fn record_text(RecordId(id): RecordId) -> String {
    id.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Rows asked for: 1 to 1000.
pub(super) fn parse_limit(limit: Option<u32>) -> Result<u32, ApiError> {
    match limit.unwrap_or(250) {
        limit @ 1..=1000 => Ok(limit),
        other => Err(ApiError::Bad(format!("`limit` must be 1 to 1000, not {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_or_refused() {
        assert_eq!(parse_record_id("00ff0000000000000000000000000001").unwrap()[1], 0xff);
        for bad in
            ["", "00", "zz000000000000000000000000000000", "+0000000000000000000000000000000", "äääääääääääääääää"]
        {
            assert!(parse_record_id(bad).is_err(), "{bad}");
        }
        assert_eq!(moment(parse_moment("time", "2016-07-08T10:15:01.123456Z").unwrap()), "2016-07-08T10:15:01.123456Z");
        assert_eq!(moment(parse_moment("time", "2016-07-08T12:15:01+02:00").unwrap()), "2016-07-08T10:15:01.000000Z");
        assert!(parse_moment("time", "yesterday").is_err());
        assert!(parse_day("2016-02-30").is_err());
        assert!(parse_limit(Some(0)).is_err() && parse_limit(Some(1001)).is_err());
        assert_eq!(parse_limit(None).unwrap(), 250);
    }
}
