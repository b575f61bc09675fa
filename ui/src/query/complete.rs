//! What may come next in a query that is being typed.

use super::fields::{Field, Kind};
use super::token::{Kind as Token, Token as Piece, tokens};
use super::{Scope, Span};

/// What is expected where the cursor stands, and which part of the text it would take the place of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Context {
    /// A field, or a value alone.
    Field,
    /// A comparison of this field.
    Operator(&'static Field),
    /// A value of this field.
    Value(&'static Field),
    /// `and` or `or`.
    Joint,
}

impl Field {
    /// Comparisons that mean something for it.
    pub(crate) const fn operators(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Address | Kind::Text | Kind::Name => &["==", "!=", "~", "!~", "in", "exists"],
            Kind::Number(_) | Kind::Integer | Kind::Real | Kind::Time => {
                &["==", "!=", "<", "<=", ">", ">=", "in", "exists"]
            }
            Kind::Flag => &["==", "!=", "exists"],
        }
    }
}

/// What is expected at `at` (a byte offset), the part of `text` that is being typed, and what stands in it before `at`.
pub(crate) fn context(scope: Scope, text: &str, at: usize) -> (Context, Span, String) {
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = text.split_at(at);
    // A quote that is still open: what stands before it, and the quoted part.
    let (pieces, open) = match tokens(before) {
        Ok(pieces) => (pieces, None),
        Err(error) => {
            let from = error.span.start.min(before.len());
            let whole = before.get(..from).unwrap_or_default();
            (tokens(whole).unwrap_or_default(), Some(from))
        }
    };
    let typed = pieces.last().filter(|piece| open.is_none() && piece.span.end == at && is_text(piece));
    let (start, prefix) = match (open, typed) {
        (Some(from), _) => (from, before.get(from + 1..).unwrap_or_default().to_owned()),
        (None, Some(piece)) => (piece.span.start, word(piece)),
        (None, None) => (at, String::new()),
    };
    let rest = if typed.is_some() {
        after.find(|c: char| c.is_whitespace() || "(),=!<>~\"'".contains(c)).unwrap_or(after.len())
    } else {
        0
    };
    let known = if typed.is_some() { pieces.get(..pieces.len() - 1).unwrap_or_default() } else { &pieces };
    (expected(scope, known), Span::new(start, at + rest), prefix)
}

fn is_text(piece: &Piece) -> bool {
    matches!(piece.kind, Token::Word(_) | Token::Quoted(_))
}

fn word(piece: &Piece) -> String {
    match &piece.kind {
        Token::Word(text) | Token::Quoted(text) => text.clone(),
        _ => String::new(),
    }
}

/// What follows these tokens.
fn expected(scope: Scope, pieces: &[Piece]) -> Context {
    let field = |back: usize| {
        let piece = pieces.len().checked_sub(back).and_then(|at| pieces.get(at))?;
        match &piece.kind {
            Token::Word(text) => scope.field(text),
            _ => None,
        }
    };
    let Some(last) = pieces.last() else { return Context::Field };
    match &last.kind {
        Token::And | Token::Or | Token::Not => Context::Field,
        Token::Op(_) => field(2).map_or(Context::Field, Context::Value),
        Token::Word(text) if text.eq_ignore_ascii_case("in") && pieces.len() > 1 => {
            field(2).map_or(Context::Joint, Context::Value)
        }
        Token::Word(text) if text.eq_ignore_ascii_case("exists") => Context::Joint,
        Token::Open | Token::Comma => in_list(scope, pieces).map_or(Context::Field, Context::Value),
        Token::Word(_) => {
            // After a comparison a word was its value.
            let value = pieces.len().checked_sub(2).and_then(|at| pieces.get(at)).is_some_and(|piece| {
                matches!(&piece.kind, Token::Op(_))
                    || matches!(&piece.kind, Token::Word(text) if text.eq_ignore_ascii_case("in"))
            });
            match field(1) {
                Some(found) if !value => Context::Operator(found),
                _ => Context::Joint,
            }
        }
        Token::Quoted(_) | Token::Close => Context::Joint,
    }
}

/// The field of the list `field in (a, b,` that is open.
fn in_list(scope: Scope, pieces: &[Piece]) -> Option<&'static Field> {
    let open = pieces.iter().rposition(|piece| piece.kind == Token::Open)?;
    let inside = pieces.get(open + 1..)?;
    if inside.iter().any(|piece| !is_text(piece) && piece.kind != Token::Comma) {
        return None;
    }
    let keyword = pieces.get(open.checked_sub(1)?)?;
    let name = pieces.get(open.checked_sub(2)?)?;
    match (&name.kind, &keyword.kind) {
        (Token::Word(name), Token::Word(keyword)) if keyword.eq_ignore_ascii_case("in") => scope.field(name),
        _ => None,
    }
}
