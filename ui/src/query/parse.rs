//! Tokens into a tree.

use super::token::{Kind, Op, Token, tokens};
use super::{MAX_DEPTH, MAX_LENGTH, Span, SyntaxError};

/// A text of the query and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    /// Quoted: taken as it is, never as a pattern, a network, or a field.
    pub(super) quoted: bool,
    pub(super) span: Span,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Compare {
        field: Text,
        op: Op,
        value: Text,
    },
    /// One of the values; each may be a network or a range.
    In {
        field: Text,
        values: Vec<Text>,
    },
    Exists {
        field: Text,
    },
    /// Somewhere in the record.
    Anywhere(Text),
}

/// Reads a query; `None` for one that says nothing.
///
/// # Errors
/// What is wrong first, and where.
pub(super) fn parse(text: &str) -> Result<Option<Expr>, SyntaxError> {
    if text.len() > MAX_LENGTH {
        let start = (0..=MAX_LENGTH).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        return Err(SyntaxError::new(Span::new(start, text.len()), format!("a query may have {MAX_LENGTH} bytes")));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, end: text.len() };
    let expr = parser.any()?;
    match parser.peek() {
        None => Ok(Some(expr)),
        Some(token) => Err(SyntaxError::new(token.span, "a parenthesis that was not opened")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    /// Bytes of the text.
    end: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == *kind);
        self.at += usize::from(found);
        found
    }

    /// The place after the last token: where something is missing.
    fn here(&self) -> Span {
        self.peek().map_or(Span::new(self.end, self.end), |token| token.span)
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>) -> Result<T, SyntaxError> {
        if self.depth == MAX_DEPTH {
            return Err(SyntaxError::new(self.here(), format!("more than {MAX_DEPTH} levels within each other")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn any(&mut self) -> Result<Expr, SyntaxError> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.take(&Kind::Or) {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, SyntaxError> {
        let first = self.unary()?;
        let mut parts = vec![first];
        loop {
            let said = self.take(&Kind::And);
            let goes_on = self.peek().is_some_and(|token| !matches!(token.kind, Kind::Or | Kind::Close | Kind::Comma));
            if !said && !goes_on {
                break;
            }
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Expr::All))
    }

    fn unary(&mut self) -> Result<Expr, SyntaxError> {
        if self.take(&Kind::Not) {
            return Ok(Expr::Not(Box::new(self.deeper(Self::unary)?)));
        }
        let opened = self.here();
        if self.take(&Kind::Open) {
            let inner = self.deeper(Self::any)?;
            if self.take(&Kind::Close) {
                return Ok(inner);
            }
            return Err(SyntaxError::new(opened, "a parenthesis that is not closed"));
        }
        self.test()
    }

    fn test(&mut self) -> Result<Expr, SyntaxError> {
        let first = self.text("a field or a value")?;
        let Some(token) = self.peek() else { return Ok(Expr::Anywhere(first)) };
        match &token.kind {
            Kind::Op(op) => {
                self.at += 1;
                Ok(Expr::Compare { field: first, op: *op, value: self.text("a value")? })
            }
            Kind::Word(word) if !first.quoted && word.eq_ignore_ascii_case("in") => {
                self.at += 1;
                Ok(Expr::In { field: first, values: self.set()? })
            }
            Kind::Word(word) if !first.quoted && word.eq_ignore_ascii_case("exists") => {
                self.at += 1;
                Ok(Expr::Exists { field: first })
            }
            _ => Ok(Expr::Anywhere(first)),
        }
    }

    fn set(&mut self) -> Result<Vec<Text>, SyntaxError> {
        let opened = self.here();
        if !self.take(&Kind::Open) {
            return Ok(vec![self.text("a value, a network, a range or a list in parentheses")?]);
        }
        let mut values = vec![self.text("a value")?];
        while self.take(&Kind::Comma) {
            values.push(self.text("a value")?);
        }
        if self.take(&Kind::Close) {
            return Ok(values);
        }
        Err(SyntaxError::new(opened, "a list that is not closed; write it like (80, 443)"))
    }

    fn text(&mut self, wanted: &str) -> Result<Text, SyntaxError> {
        let here = self.here();
        match self.next() {
            Some(Token { kind: Kind::Word(text), span }) => Ok(Text { text: text.clone(), quoted: false, span: *span }),
            Some(Token { kind: Kind::Quoted(text), span }) => {
                Ok(Text { text: text.clone(), quoted: true, span: *span })
            }
            _ => Err(SyntaxError::new(here, format!("{wanted} is missing here"))),
        }
    }
}

fn one_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            many(parts)
        }
    }
}
