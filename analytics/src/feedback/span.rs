//! A number or a range of numbers, as rules write it: `445` or `"8000-8100"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// From `low` to `high`, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The smallest.
    pub low: u64,
    /// The largest.
    pub high: u64,
}

impl Span {
    /// One number.
    pub const fn of(number: u64) -> Self {
        Self { low: number, high: number }
    }

    /// The number lies in it.
    pub const fn holds(self, number: u64) -> bool {
        self.low <= number && number <= self.high
    }
}

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no number and no range: write 445 or 8000-8100");
        // No sign, no blank: `u64::from_str` alone would take "+8".
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if digits { text.parse::<u64>().map_err(|_| wrong()) } else { Err(wrong()) }
        };
        let (low, high) = match text.split_once('-') {
            Some((low, high)) => (number(low.trim())?, number(high.trim())?),
            None => (number(text)?, number(text)?),
        };
        if low <= high { Ok(Self { low, high }) } else { Err(format!("{text:?} ends before it begins")) }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.low == self.high { write!(f, "{}", self.low) } else { write!(f, "{}-{}", self.low, self.high) }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.low == self.high { serializer.serialize_u64(self.low) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer).map_err(|_| {
            serde::de::Error::custom("a number or a range of numbers is expected, as 445 or \"8000-8100\"")
        })? {
            Written::Number(number) => Ok(Self::of(number)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn numbers_and_ranges() {
        assert_eq!(serde_json::from_str::<Span>("445").unwrap(), Span::of(445));
        let range: Span = serde_json::from_str("\"8000-8100\"").unwrap();
        assert_eq!(
            (range, serde_json::to_string(&range).unwrap()),
            (Span { low: 8000, high: 8100 }, "\"8000-8100\"".into())
        );
        assert!(range.holds(8000) && range.holds(8100) && !range.holds(8101));
        for bad in ["-1", "\"9-8\"", "\"+8\"", "\"\"", "\"1-2-3\"", "1.5", "null", "\"99999999999999999999\""] {
            assert!(serde_json::from_str::<Span>(bad).is_err(), "{bad}");
        }
    }
}
