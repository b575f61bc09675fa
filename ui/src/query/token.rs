//! Text into tokens. Every byte belongs to one token or to the space between two.

use super::{Span, SyntaxError};

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
    Matches,
    MatchesNot,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// As it stands, with its text.
    Word(String),
    /// Between quotes, with what it says.
    Quoted(String),
    Op(Op),
    Open,
    Close,
    Comma,
    And,
    Or,
    Not,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// Characters that end a word.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"' | '\'' | '=' | '!' | '<' | '>' | '~')
}

/// Signs, longest first.
const SIGNS: [(&str, Kind); 14] = [
    ("==", Kind::Op(Op::Is)),
    ("!=", Kind::Op(Op::IsNot)),
    ("<=", Kind::Op(Op::LessOrIs)),
    (">=", Kind::Op(Op::MoreOrIs)),
    ("!~", Kind::Op(Op::MatchesNot)),
    ("&&", Kind::And),
    ("||", Kind::Or),
    ("=", Kind::Op(Op::Is)),
    ("<", Kind::Op(Op::Less)),
    (">", Kind::Op(Op::More)),
    ("~", Kind::Op(Op::Matches)),
    ("!", Kind::Not),
    ("(", Kind::Open),
    (")", Kind::Close),
];

/// The tokens of a text.
///
/// # Errors
/// A quote that is not closed, or an escape that is none.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(first) = rest.chars().next() else { break };
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = if first == ',' {
            (Kind::Comma, 1)
        } else if let Some((sign, kind)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (kind.clone(), sign.len())
        } else if matches!(first, '"' | '\'') {
            let (said, length) = quoted(rest, first, at)?;
            (Kind::Quoted(said), length)
        } else {
            let length = rest.find(ends_word).unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default();
            (keyword(word).unwrap_or_else(|| Kind::Word(word.to_owned())), length)
        };
        out.push(Token { kind, span: Span::new(at, at + length) });
        at += length;
    }
    Ok(out)
}

fn keyword(word: &str) -> Option<Kind> {
    [("and", Kind::And), ("or", Kind::Or), ("not", Kind::Not)]
        .into_iter()
        .find_map(|(name, kind)| word.eq_ignore_ascii_case(name).then_some(kind))
}

/// What a quoted text says, and the bytes it takes. Escapes: `\"`, `\'`, `\\`, `\n`, `\r`, `\t`, `\u{hex}`; any other
/// backslash stands for itself, so that `"\d+"` is the regular expression it looks like.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(String, usize), SyntaxError> {
    let mut said = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((start, c)) = chars.next() {
        if c == quote {
            return Ok((said, start + 1));
        }
        if c != '\\' {
            said.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => said.push('\n'),
            Some((_, 'r')) => said.push('\r'),
            Some((_, 't')) => said.push('\t'),
            Some((_, other @ ('"' | '\'' | '\\'))) => said.push(other),
            Some((_, 'u')) if chars.peek().is_some_and(|(_, c)| *c == '{') => {
                let mut hex = String::new();
                let mut end = rest.len();
                for (place, c) in chars.by_ref().skip(1).take(9) {
                    end = place + c.len_utf8();
                    if c == '}' {
                        break;
                    }
                    hex.push(c);
                }
                let character = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                said.push(character.ok_or_else(|| {
                    let message = format!("\\u{{{hex}}} is no character; write it like \\u{{202e}}");
                    SyntaxError::new(Span::new(at + start, at + end), message)
                })?);
            }
            Some((_, other)) => said.extend(['\\', other]),
            None => break,
        }
    }
    Err(SyntaxError::new(Span::new(at, at + rest.len()), format!("a quote {quote} that is not closed")))
}
