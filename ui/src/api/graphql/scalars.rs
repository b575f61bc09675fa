//! Spot's scalars, by Spot's names: scripts name them in the types of their variables.

use std::net::IpAddr;

use aggregator::lake::Day;
use aggregator::record::Micros;
use aggregator::state::now;
use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime, NaiveDateTime};

const DATETIME: &str = "%Y-%m-%d %H:%M:%S";

/// A day in UTC, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpotDate(pub(super) Day);

impl SpotDate {
    /// Spot's default of every `date`.
    pub(super) fn or_today(date: Option<Self>) -> Day {
        date.map_or_else(|| Day::of(now()), |date| date.0)
    }
}

#[Scalar(name = "SpotDateType")]
impl ScalarType for SpotDate {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => text
                .parse()
                .map(Self)
                .map_err(|_| InputValueError::custom(format!("a day is written YYYY-MM-DD, not {text:?}"))),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A moment in UTC, `YYYY-MM-DD hh:mm:ss`; RFC 3339 is read too.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpotDatetime(pub(super) Micros);

#[Scalar(name = "SpotDatetimeType")]
impl ScalarType for SpotDatetime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let spot = NaiveDateTime::parse_from_str(text, DATETIME).ok().map(|at| at.and_utc().timestamp_micros());
        let other = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_micros());
        match spot.or_else(other) {
            Some(at) => Ok(Self(Micros(at))),
            None => Err(InputValueError::custom(format!("a moment is written YYYY-MM-DD hh:mm:ss, not {text:?}"))),
        }
    }

    fn to_value(&self) -> Value {
        let at = DateTime::from_timestamp_micros(self.0.0);
        Value::String(at.map_or_else(|| self.0.0.to_string(), |at| at.format(DATETIME).to_string()))
    }
}

impl<'de> serde::Deserialize<'de> for SpotDatetime {
    /// As the engine writes moments: RFC 3339.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = DateTime::parse_from_rfc3339(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(Micros(at.timestamp_micros())))
    }
}

/// An address, IPv4 or IPv6.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize)]
pub(super) struct SpotIp(pub(super) String);

#[Scalar(name = "SpotIpType")]
impl ScalarType for SpotIp {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            // As the lake writes it.
            Value::String(text) => text
                .trim()
                .parse::<IpAddr>()
                .map(|address| Self(address.to_string()))
                .map_err(|_| InputValueError::custom(format!("this is no IP address: {text:?}"))),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}
