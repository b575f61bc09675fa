//! Scheme `rich`: words that see what Spot's do not.
//!
//! Registered domains by the public suffix list, lower case, both directions, duration, connection state, answer shape, the rarity of a peer, a
//! domain, a program. Every feature can be left out ([`Features`]), which is how each was chosen (`perf/eval`): [`Features::chosen`] has those that earned
//! their place. A word reads `role=client port=443 state=ok sent=9`, keys in a fixed order; what it means is read from the text again by [`take_apart`].
//!
//! Pure and total: no record makes a word panic; values out of range stand in the last bin.

pub mod dns;
pub mod flow;
mod popularity;
pub mod proxy;

pub use popularity::{Popularity, text_key};

use super::dns::{entropy_range, query_type, response_code};
use super::maths::counter_bin_range;
use super::{COMPONENTS, Component, Scheme, WordCode, code_to_optional, flow::ProtocolName};

/// Which sources there are words for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the tables'")]
pub enum Kind {
    Flow,
    Dns,
    Proxy,
}

/// How the number of a component is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    /// One of these, from 0.
    Names(&'static [(&'static str, &'static str)]),
    /// Bin ⌈log2(x + 1)⌉ of a quantity, + 1; 0 is "not seen".
    Quantity(&'static str),
    /// Bin ⌈log4⌉ of milliseconds, + 1.
    Time,
    /// How many hosts have it: 0 not known, then bins 1, 2 to 3, 4 to 7 …
    Hosts(&'static str),
    /// Hour + 1.
    Hour,
    /// See [`flow::port_label`].
    Port,
    /// IANA protocol number.
    Protocol,
    /// Query type + 1.
    QueryType,
    /// Response code + 1.
    ResponseCode,
    /// Bin of [`super::maths::ENTROPY_CUTS`].
    Entropy,
    /// The number itself, + 1; 0 is "not seen".
    Number(&'static str),
}

/// A feature: one component of a word.
#[derive(Clone, Copy, Debug)]
struct Feature {
    key: &'static str,
    component: Component,
    reading: Reading,
}

const fn of(key: &'static str, name: &'static str, ordered: bool, reading: Reading) -> Feature {
    Feature { key, component: Component { name, ordered }, reading }
}

/// A set of features of one source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Features(u16);

impl Features {
    /// Those the evaluation chose.
    pub const fn chosen(kind: Kind) -> Self {
        match kind {
            Kind::Flow => Self(flow::CHOSEN),
            Kind::Dns => Self(dns::CHOSEN),
            Kind::Proxy => Self(proxy::CHOSEN),
        }
    }

    /// Every feature there is.
    pub const fn all(kind: Kind) -> Self {
        Self(((1_u32 << table(kind).len()) - 1) as u16)
    }

    /// By their keys; keys of other sources are left out. `None` for a key that no source has, and where none is left.
    pub fn of<'a>(kind: Kind, keys: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let known = |key: &str| [Kind::Flow, Kind::Dns, Kind::Proxy].iter().any(|kind| place(*kind, key).is_some());
        if !keys.clone().all(known) {
            return None;
        }
        let set = keys.filter_map(|key| place(kind, key)).fold(0, |set, at| set | 1 << at);
        (set != 0).then_some(Self(set))
    }

    /// The keys.
    pub fn keys(self, kind: Kind) -> impl Iterator<Item = &'static str> {
        table(kind).iter().enumerate().filter(move |(at, _)| self.has(*at)).map(|(_, feature)| feature.key)
    }

    const fn has(self, at: usize) -> bool {
        self.0 >> at & 1 == 1
    }

    /// Only the features of the set.
    fn keep(self, mut code: [u32; COMPONENTS]) -> WordCode {
        for (at, value) in code.iter_mut().enumerate() {
            if !self.has(at) {
                *value = 0;
            }
        }
        WordCode(code)
    }
}

const fn table(kind: Kind) -> &'static [Feature] {
    match kind {
        Kind::Flow => flow::FEATURES,
        Kind::Dns => dns::FEATURES,
        Kind::Proxy => proxy::FEATURES,
    }
}

fn place(kind: Kind, key: &str) -> Option<usize> {
    table(kind).iter().position(|feature| feature.key == key)
}

/// The scheme for a source.
#[derive(Clone, Copy, Debug)]
pub struct RichScheme {
    kind: Kind,
    features: Features,
    components: &'static [Component],
}

impl RichScheme {
    /// With these features.
    pub const fn new(kind: Kind, features: Features) -> Self {
        let components: &'static [Component] = match kind {
            Kind::Flow => &flow::COMPONENTS_OF,
            Kind::Dns => &dns::COMPONENTS_OF,
            Kind::Proxy => &proxy::COMPONENTS_OF,
        };
        Self { kind, features, components }
    }

    /// Its source.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its features.
    pub const fn features(&self) -> Features {
        self.features
    }
}

impl Scheme for RichScheme {
    fn components(&self) -> &'static [Component] {
        self.components
    }

    fn render(&self, word: WordCode) -> String {
        let mut text = String::with_capacity(96);
        for (at, feature) in table(self.kind).iter().enumerate().filter(|(at, _)| self.features.has(*at)) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(feature.key);
            text.push('=');
            text.push_str(&feature.reading.text(word.get(at)));
        }
        text
    }

    fn describe(&self, component: usize, value: u32) -> String {
        table(self.kind).get(component).map_or_else(String::new, |feature| feature.reading.describe(value))
    }
}

/// A feature of a word's text: its name, the value as it stands in the word, and what that means.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct Told {
    pub name: &'static str,
    pub value: String,
    pub meaning: String,
}

/// A word's text taken apart again; empty for a text that is no word of the source.
pub fn take_apart(kind: Kind, word: &str) -> Vec<Told> {
    let read = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let feature = table(kind).get(place(kind, key)?)?;
        let number = feature.reading.read(value)?;
        Some(Told { name: feature.component.name, value: value.to_owned(), meaning: feature.reading.describe(number) })
    };
    word.split(' ').map(read).collect::<Option<Vec<_>>>().unwrap_or_default()
}

impl Reading {
    fn text(self, value: u32) -> String {
        match self {
            Self::Names(names) => names.get(value as usize).map_or("other", |(name, _)| name).to_owned(),
            Self::Port => flow::port_text(value),
            Self::Protocol => ProtocolName(value as u8).to_string(),
            Self::Entropy | Self::Hosts(_) => value.to_string(),
            _ => code_to_optional(value).map_or("-".to_owned(), |value| value.to_string()),
        }
    }

    fn read(self, text: &str) -> Option<u32> {
        let number = |text: &str| text.parse::<u32>().ok();
        match self {
            Self::Names(names) => names.iter().position(|(name, _)| *name == text).map(|at| at as u32),
            Self::Port => flow::read_port(text),
            Self::Protocol => (0..=u8::MAX).find(|proto| ProtocolName(*proto).to_string() == text).map(u32::from),
            Self::Entropy | Self::Hosts(_) => number(text),
            _ if text == "-" => Some(0),
            _ => number(text)?.checked_add(1),
        }
    }

    fn describe(self, value: u32) -> String {
        let range = |bin: u32, unit: &str| match counter_bin_range(bin) {
            (low, high) if low == high => format!("{low} {unit}"),
            (low, high) => format!("{low} to {high} {unit}"),
        };
        let seen = |describe: &dyn Fn(u32) -> String| code_to_optional(value).map_or("not seen".to_owned(), describe);
        match self {
            Self::Names(names) => names.get(value as usize).map_or("another", |(_, meaning)| meaning).to_owned(),
            Self::Quantity(unit) => seen(&|bin| range(bin, unit)),
            Self::Number(unit) => seen(&|number| format!("{number} {unit}")),
            Self::Time => seen(&|bin| match bin {
                0 => "no time".to_owned(),
                // Bin n holds 4^(n−1) to 4^n − 1 milliseconds.
                bin => {
                    let to = 4_f64.powi(bin.min(30) as i32) / 1000.0;
                    format!("{:.3} to {to:.3} s", to / 4.0)
                }
            }),
            Self::Hosts(unit) if value == 0 => format!("number of {unit} not known"),
            Self::Hosts(unit) => range(value, unit),
            Self::Hour => seen(&|hour| format!("{hour:02}:00 to {hour:02}:59 UTC")),
            Self::Port => flow::describe_port(value),
            Self::Protocol => ProtocolName(value as u8).to_string(),
            Self::QueryType => code_to_optional(value).map_or("no type".to_owned(), query_type),
            Self::ResponseCode => code_to_optional(value).map_or("no answer seen".to_owned(), response_code),
            Self::Entropy => entropy_range(value),
        }
    }
}

/// The components of a table, padded with nameless ones that [`RichScheme::components`] does not show.
const fn components<const N: usize>(table: &[Feature]) -> [Component; N] {
    let mut all = [Component { name: "", ordered: false }; N];
    let mut at = 0;
    while at < N && at < table.len() {
        all[at] = table[at].component;
        at += 1;
    }
    all
}

/// A bin of a quantity that may not have been seen.
fn quantity(value: Option<u64>) -> u32 {
    value.map_or(0, |value| super::maths::counter_bin(value) + 1)
}

/// The registered domain by the public suffix list and what stands before it, dot not included. A name that is a public suffix itself, a
/// single label, or an address has itself as domain.
pub fn split_name(name: &str) -> (&str, &str) {
    let name = name.trim_end_matches('.');
    let domain = crate::detect::domain::registered(name);
    let rest = name.strip_suffix(domain).unwrap_or("");
    (domain, rest.strip_suffix('.').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tables_fit_and_keys_are_told_apart() {
        for kind in [Kind::Flow, Kind::Dns, Kind::Proxy] {
            let keys: Vec<&str> = Features::all(kind).keys(kind).collect();
            assert!(keys.len() <= COMPONENTS && keys.len() == table(kind).len());
            let unique: std::collections::HashSet<_> = keys.iter().collect();
            assert_eq!(unique.len(), keys.len());
            assert!(Features::chosen(kind).keys(kind).count() >= 3);
            assert_eq!(Features::of(kind, keys.iter().copied()), Some(Features::all(kind)));
            assert_eq!(Features::of(kind, ["nonsense"].into_iter()), None);
        }
    }

    proptest! {
        /// What an explanation reads from the text is what the word was made of, whatever the numbers.
        #[test]
        fn words_are_read_back(values in proptest::array::uniform16(0_u32..40), kind in 0_usize..3) {
            let kind = [Kind::Flow, Kind::Dns, Kind::Proxy][kind];
            let scheme = RichScheme::new(kind, Features::all(kind));
            let mut values = values;
            for (value, feature) in values.iter_mut().zip(table(kind)) {
                if let Reading::Names(names) = feature.reading {
                    *value %= names.len() as u32;
                }
            }
            let word = scheme.render(WordCode(values));
            let told = take_apart(kind, &word);
            prop_assert_eq!(told.len(), table(kind).len(), "{}", word);
            for (at, told) in told.iter().enumerate() {
                prop_assert_eq!(&told.meaning, &scheme.describe(at, values[at]), "{}", &word);
            }
        }
    }
}
