//! Words: a record as a short token that says what kind of record it is.
//!
//! Scheme `spot` is Apache Spot 1.0's, to the letter; scheme [`rich`] sees what Spot did not. A word is built as typed features
//! ([`flow::FlowWord`], [`dns::DnsWord`], [`proxy::ProxyWord`]); the text is rendered from them, so whatever is
//! said of a word later can name the feature and the range of values behind it.
//!
//! Pure functions of their arguments: no clock, no file (but [`domain::TopDomains::read`], which takes a reader).
//! A record that cannot have a word is an [`Invalid`] with its cause, never a panic. Where Spot has a
//! plain defect the intended behaviour stands here, and the item says so.

pub mod dns;
pub mod dns_length;
pub mod domain;
pub mod flow;
pub mod labels;
pub mod maths;
pub mod protocol;
pub mod proxy;
pub mod rich;

use std::fmt;

/// Most components a word has, in any scheme.
pub const COMPONENTS: usize = 16;

/// A word's features as plain numbers, in the order of [`Scheme::components`]: what the models count by.
/// Unused places are 0. Two records have the same word text exactly when their codes are equal
/// (given one [`proxy::Lexicon`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WordCode(pub [u32; COMPONENTS]);

impl WordCode {
    /// Of the first components; the rest is 0, and what is past the last place is left out.
    pub const fn of<const N: usize>(values: [u32; N]) -> Self {
        let mut code = [0; COMPONENTS];
        let mut at = 0;
        while at < N && at < COMPONENTS {
            code[at] = values[at];
            at += 1;
        }
        Self(code)
    }

    /// The value of a component; 0 past the last.
    pub fn get(self, component: usize) -> u32 {
        self.0.get(component).copied().unwrap_or(0)
    }

    /// The same word with one component replaced.
    #[must_use]
    pub fn with(mut self, component: usize, value: u32) -> Self {
        if let Some(place) = self.0.get_mut(component) {
            *place = value;
        }
        self
    }
}

/// One component of a word, for explanations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Component {
    /// Its name, as explanations show it.
    pub name: &'static str,
    /// Values have an order in which near values are alike (bins, hours), so "the nearest common value" means something.
    pub ordered: bool,
}

/// Why a record has no word. Each cause is counted by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Invalid {
    /// Time missing or not readable, or an hour, minute or second out of range.
    Time,
    /// An address that names the document is missing.
    Address,
    /// A port is missing or negative.
    Port,
    /// Packets or bytes are missing or negative.
    Counter,
    /// The frame length is missing or negative.
    Length,
    /// The query name is missing or a placeholder.
    Name,
    /// Class, type and response code are all missing.
    Question,
    /// The host is missing.
    Host,
    /// The URI is missing.
    Uri,
}

impl Invalid {
    /// Every cause.
    pub const ALL: [Self; 9] = [
        Self::Time,
        Self::Address,
        Self::Port,
        Self::Counter,
        Self::Length,
        Self::Name,
        Self::Question,
        Self::Host,
        Self::Uri,
    ];

    /// The name it is counted under.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Address => "address",
            Self::Port => "port",
            Self::Counter => "counter",
            Self::Length => "length",
            Self::Name => "name",
            Self::Question => "question",
            Self::Host => "host",
            Self::Uri => "uri",
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no word: {} missing or out of range", self.as_str())
    }
}

impl std::error::Error for Invalid {}

/// Time of day, UTC, as Spot's `trhour`, `trminute`, `trsec`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeOfDay {
    /// 0–23.
    pub hour: i64,
    /// 0–59.
    pub minute: i64,
    /// 0–59.
    pub second: i64,
}

impl TimeOfDay {
    /// Of microseconds since the Unix epoch, any sign.
    pub const fn from_micros(micros: i64) -> Self {
        let second = micros.div_euclid(1_000_000).rem_euclid(86_400);
        Self { hour: second / 3600, minute: second / 60 % 60, second: second % 60 }
    }

    /// The hour, if all three are in range.
    ///
    /// # Errors
    /// [`Invalid::Time`] else.
    pub fn hour(self) -> Result<u8, Invalid> {
        let ok = (0..24).contains(&self.hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second);
        if ok { u8::try_from(self.hour).map_err(|_| Invalid::Time) } else { Err(Invalid::Time) }
    }
}

/// How one kind of record is put into words: names of the components, decoded values, text.
///
/// One implementation per source; the models know nothing of what a component means.
pub trait Scheme: Sync {
    /// The components, in the order of the code.
    fn components(&self) -> &'static [Component];
    /// The word's text, as Spot writes it.
    fn render(&self, word: WordCode) -> String;
    /// A component's value in words, with the range of raw values behind a bin: `129 to 256 bytes`.
    fn describe(&self, component: usize, value: u32) -> String;
}

/// Puts a signed value that may be "none" (−1 in Spot's text) into a code: −1 is 0, n is n + 1.
pub(crate) fn optional_to_code(value: Option<u32>) -> u32 {
    value.map_or(0, |v| v.saturating_add(1))
}

/// The way back.
pub(crate) fn code_to_optional(code: u32) -> Option<u32> {
    code.checked_sub(1)
}
