//! The query bar's language: one grammar for flow, DNS and proxy.
//!
//! ```text
//! query  := any { "or" any }                 any := all { ["and"] all }          all := ["not"] test | "(" query ")"
//! test   := field op value | field "in" set | field "exists" | value
//! op     := == | = | != | < | <= | > | >= | ~ | !~          (~: regular expression of the crate `regex`)
//! set    := value | low..high | "(" value { "," value } ")" (a value may be a network: 10.0.0.0/8)
//! value  := word | "quoted" | 'quoted'       a word with * is a pattern; a word that is a field is that field
//! ```
//!
//! A value alone is looked for in every field. Keywords and field names are read without regard to case; `&&`, `||` and
//! `!` are `and`, `or` and `not`. Logic is two-valued: what was not observed is equal to nothing, so `!=` is true of it.
//!
//! It promises: text from outside never becomes SQL, only values of placeholders (networks are written from parsed
//! numbers); an error names its place; length, nesting and the size of regular expressions are bounded.

mod complete;
mod fields;
mod parse;
mod sql;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use complete::{Context, context};
pub(crate) use fields::{Field, Kind, Scope};
pub(crate) use sql::{Condition, compile};

/// Bytes a query may have.
pub(crate) const MAX_LENGTH: usize = 4096;
/// Parentheses and `not` within each other.
pub(crate) const MAX_DEPTH: usize = 32;

/// A place in a query: bytes from and up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// What is wrong with a query, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SyntaxError {
    /// What was expected, what came.
    pub(crate) message: String,
    /// Where.
    pub(crate) span: Span,
}

impl SyntaxError {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span }
    }
}

/// A value as a query has it: as it is where that is plain, else quoted, with what cannot be typed escaped.
pub(crate) fn literal(value: &str) -> String {
    const WORDS: [&str; 5] = ["and", "or", "not", "in", "exists"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/%@-".contains(c);
    if !value.is_empty()
        && value.chars().all(plain)
        && !value.contains("..")
        && !WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
    {
        return value.to_owned();
    }
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
            {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Offsets as a browser counts them, in UTF-16 units.
pub(crate) fn utf16(text: &str, at: usize) -> u32 {
    let units = text.char_indices().take_while(|(start, _)| *start < at).map(|(_, c)| c.len_utf16()).sum::<usize>();
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// The byte offset of a UTF-16 offset; the end where it lies beyond.
pub(crate) fn bytes(text: &str, at: u32) -> usize {
    let mut units = 0;
    for (start, c) in text.char_indices() {
        if units >= at as usize {
            return start;
        }
        units += c.len_utf16();
    }
    text.len()
}
