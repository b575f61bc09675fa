//! Words of proxy records: `class_hour_method_uriEntropy_contentType_agentCount_uriLength_status`.

use std::collections::HashMap;

use super::dns::{entropy_range, floor_range};
use super::domain::{DomainClass, DomainLists, NameParts};
use super::maths::{entropy_bin, floor_log2, utf16_len};
use super::{Component, Invalid, Scheme, WordCode, code_to_optional, optional_to_code};

/// The columns of a proxy record that decide its word and whether it has one. `None` is null.
#[derive(Clone, Copy, Debug)]
pub struct ProxyInput<'a> {
    /// Hour of `p_time` (null where date or time is).
    pub hour: Option<u8>,
    /// The client: the document.
    pub client_ip: Option<&'a str>,
    /// Host asked for.
    pub host: Option<&'a str>,
    /// Method.
    pub method: &'a str,
    /// The whole URI.
    pub full_uri: Option<&'a str>,
    /// Content type; null is `-`.
    pub content_type: Option<&'a str>,
    /// Records of the day with exactly this user agent. Null agents are one agent, `-`.
    pub agent_count: u64,
    /// Response status.
    pub status: Option<u32>,
}

/// The features of a proxy word. Method and content type are places in a [`Lexicon`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProxyWord {
    /// Which kind of domain.
    pub class: u8,
    /// Hour of the day, UTC.
    pub hour: u8,
    /// Method, in the lexicon.
    pub method: u32,
    /// Bin of the URI's entropy.
    pub entropy_bin: u32,
    /// Top-level content type, in the lexicon.
    pub content: u32,
    /// ⌊log2⌋ of the number of records with this user agent.
    pub agent_bin: u32,
    /// ⌊log2⌋ of the URI's length in characters.
    pub length_bin: u32,
    /// Status; `None` is `unknown_response_code`.
    pub status: Option<u32>,
}

/// The text before the first slash. Text of slashes alone has none: `unknown_content_type`, as Spot's split gives it. Null is `-`.
pub fn top_level_content_type(content_type: Option<&str>) -> &str {
    let text = content_type.unwrap_or("-");
    if !text.is_empty() && text.bytes().all(|byte| byte == b'/') {
        return "unknown_content_type";
    }
    text.split('/').next().unwrap_or("")
}

/// Texts that stand inside words (methods, content types), as numbers. Bounded: what comes after the last
/// place is [`Lexicon::OTHER`], and counted.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    texts: Vec<Box<str>>,
    places: HashMap<Box<str>, u32>,
    overflow: u64,
}

impl Lexicon {
    /// Most different texts held. Real data has tens; crafted requests any number.
    pub const LIMIT: usize = 65_536;
    /// Longest text held whole; longer ones share [`Lexicon::OTHER`].
    pub const TEXT_LIMIT: usize = 256;
    /// The place of every text past the limits; rendered `other`.
    pub const OTHER: u32 = u32::MAX;

    /// The text's place, made if there is room.
    pub fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        if self.texts.len() >= Self::LIMIT || text.len() > Self::TEXT_LIMIT {
            self.overflow += 1;
            return Self::OTHER;
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.into());
        self.places.insert(text.into(), place);
        place
    }

    /// The text of a place.
    pub fn text(&self, place: u32) -> &str {
        self.texts.get(place as usize).map_or("other", |text| text)
    }

    /// How often a text found no room.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }
}

impl ProxyWord {
    /// The word of a record, or why it has none.
    ///
    /// # Errors
    /// The first cause found.
    pub fn of(record: &ProxyInput<'_>, lists: &DomainLists, lexicon: &mut Lexicon) -> Result<Self, Invalid> {
        let hour = record.hour.filter(|hour| *hour < 24).ok_or(Invalid::Time)?;
        record.client_ip.ok_or(Invalid::Address)?;
        let host = record.host.ok_or(Invalid::Host)?;
        let uri = record.full_uri.ok_or(Invalid::Uri)?;
        Ok(Self {
            class: NameParts::of(host).class(lists) as u8,
            hour,
            method: lexicon.place(record.method),
            entropy_bin: entropy_bin(uri),
            content: lexicon.place(top_level_content_type(record.content_type)),
            agent_bin: floor_log2(record.agent_count),
            length_bin: floor_log2(utf16_len(uri) as u64),
            status: record.status,
        })
    }

    /// As numbers.
    pub fn code(self) -> WordCode {
        let Self { class, hour, method, entropy_bin, content, agent_bin, length_bin, status } = self;
        WordCode::of([
            class.into(),
            hour.into(),
            method,
            entropy_bin,
            content,
            agent_bin,
            length_bin,
            optional_to_code(status),
        ])
    }

    /// The way back.
    pub fn from_code(code: WordCode) -> Self {
        let [class, hour, method, entropy_bin, content, agent_bin, length_bin, status, ..] = code.0;
        Self {
            class: class as u8,
            hour: hour as u8,
            method,
            entropy_bin,
            content,
            agent_bin,
            length_bin,
            status: code_to_optional(status),
        }
    }

    /// As Spot writes it.
    pub fn render(&self, lexicon: &Lexicon) -> String {
        let Self { class, hour, method, entropy_bin, content, agent_bin, length_bin, status } = *self;
        let (method, content) = (lexicon.text(method), lexicon.text(content));
        let status = status.map_or("unknown_response_code".into(), |status| status.to_string());
        format!("{class}_{hour}_{method}_{entropy_bin}_{content}_{agent_bin}_{length_bin}_{status}")
    }
}

/// Scheme `spot` for proxy records.
#[derive(Clone, Debug, Default)]
pub struct ProxyScheme {
    /// Methods and content types.
    pub lexicon: Lexicon,
}

impl Scheme for ProxyScheme {
    fn components(&self) -> &'static [Component] {
        &[
            Component { name: "domain class", ordered: false },
            Component { name: "hour", ordered: true },
            Component { name: "method", ordered: false },
            Component { name: "URI entropy", ordered: true },
            Component { name: "content type", ordered: false },
            Component { name: "user agent count", ordered: true },
            Component { name: "URI length", ordered: true },
            Component { name: "status", ordered: false },
        ]
    }

    fn render(&self, word: WordCode) -> String {
        ProxyWord::from_code(word).render(&self.lexicon)
    }

    fn describe(&self, component: usize, value: u32) -> String {
        match component {
            0 => DomainClass::describe(value).into(),
            1 => format!("{value:02}:00 to {value:02}:59 UTC"),
            2 | 4 => self.lexicon.text(value).to_owned(),
            3 => entropy_range(value),
            5 => floor_range(value, "requests of the day with this user agent"),
            6 => floor_range(value, "characters"),
            _ => code_to_optional(value).map_or("no status seen".into(), |status| format!("status {status}")),
        }
    }
}
