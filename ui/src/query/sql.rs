//! A tree into a condition of SQL with placeholders.

use std::net::IpAddr;

use aggregator::record::Micros;
use analytics::sql::Param;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use regex::RegexBuilder;

use super::fields::{Field, Kind, Names};
use super::parse::{Expr, Text, parse};
use super::token::Op;
use super::{Scope, Span, SyntaxError};

/// Bytes a compiled regular expression may take.
const REGEX_SIZE: usize = 1 << 20;

/// A condition on the columns of a table, and the values of its placeholders.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    /// `true` where nothing is asked for.
    pub(crate) sql: String,
    pub(crate) params: Vec<Param>,
    /// Number of the first placeholder.
    first: usize,
}

/// Reads a query about `scope`. Placeholders are numbered from `first`.
///
/// # Errors
/// What is wrong first, and where.
pub(crate) fn compile(scope: Scope, text: &str, first: usize) -> Result<Condition, SyntaxError> {
    let mut out = Compiler { scope, params: Vec::new(), first };
    let sql = match parse(text)? {
        None => "true".to_owned(),
        Some(expr) => out.expr(&expr)?,
    };
    Ok(Condition { sql, params: out.params, first })
}

impl Condition {
    /// The condition with its values written into it, as the SQL console takes it.
    pub(crate) fn literal(&self) -> String {
        let mut out = String::with_capacity(self.sql.len() * 2);
        let mut rest = self.sql.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, behind) = after.split_at(digits);
            let param =
                number.parse::<usize>().ok().and_then(|number| self.params.get(number.checked_sub(self.first)?));
            out.push_str(before);
            match param {
                Some(param) => out.push_str(&written(param)),
                None => out.extend(["$", number]),
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }
}

fn written(param: &Param) -> String {
    match param {
        Param::Null => "NULL".to_owned(),
        Param::Bool(value) => value.to_string(),
        Param::Int(value) => value.to_string(),
        Param::UInt(value) => value.to_string(),
        Param::Float(value) => format!("{value:e}"),
        Param::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Param::Time(Micros(value)) => {
            let text =
                DateTime::from_timestamp_micros(*value).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
            format!("TIMESTAMP '{}'", text.unwrap_or_default())
        }
        Param::Bytes(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("X'{digits}'")
        }
        Param::Record(_) => "NULL".to_owned(),
    }
}

struct Compiler {
    scope: Scope,
    params: Vec<Param>,
    first: usize,
}

/// A test of one column.
type Test<'a> = &'a dyn Fn(&str) -> String;

impl Compiler {
    fn param(&mut self, param: impl Into<Param>) -> String {
        self.params.push(param.into());
        format!("${}", self.first + self.params.len() - 1)
    }

    fn expr(&mut self, expr: &Expr) -> Result<String, SyntaxError> {
        match expr {
            Expr::All(parts) => self.join(parts, " AND "),
            Expr::Any(parts) => self.join(parts, " OR "),
            Expr::Not(inner) => Ok(not(&self.expr(inner)?)),
            Expr::Compare { field, op, value } => self.compare(self.field(field)?, field.span, *op, value),
            Expr::In { field, values } => {
                let found = self.field(field)?;
                let tests: Result<Vec<_>, _> =
                    values.iter().map(|value| self.member(found, field.span, value)).collect();
                Ok(format!("({})", tests?.join(" OR ")))
            }
            Expr::Exists { field } => {
                let found = self.field(field)?;
                let text = matches!(found.kind, Kind::Text | Kind::Name | Kind::Address);
                Ok(any(found, &|column| {
                    if text {
                        format!("({column} IS NOT NULL AND {column} <> '')")
                    } else {
                        format!("{column} IS NOT NULL")
                    }
                }))
            }
            Expr::Anywhere(text) => self.anywhere(text),
        }
    }

    fn join(&mut self, parts: &[Expr], with: &str) -> Result<String, SyntaxError> {
        let parts: Result<Vec<_>, _> = parts.iter().map(|part| self.expr(part)).collect();
        Ok(format!("({})", parts?.join(with)))
    }

    fn field(&self, name: &Text) -> Result<&'static Field, SyntaxError> {
        let found = if name.quoted { None } else { self.scope.field(&name.text) };
        found.ok_or_else(|| {
            let hint = match self.scope.nearest(&name.text) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    let all: Vec<&str> = self.scope.fields().map(|field| field.name).take(8).collect();
                    format!("there are {} …", all.join(", "))
                }
            };
            SyntaxError::new(
                name.span,
                format!("{} records have no field {:?}: {hint}", self.scope.source.as_str(), name.text),
            )
        })
    }

    fn compare(&mut self, field: &'static Field, at: Span, op: Op, value: &Text) -> Result<String, SyntaxError> {
        match op {
            Op::Is => self.is(field, value),
            Op::IsNot => Ok(not(&self.is(field, value)?)),
            Op::Matches => self.matches(field, at, value),
            Op::MatchesNot => Ok(not(&self.matches(field, at, value)?)),
            Op::Less => self.ordered(field, at, "<", value),
            Op::LessOrIs => self.ordered(field, at, "<=", value),
            Op::More => self.ordered(field, at, ">", value),
            Op::MoreOrIs => self.ordered(field, at, ">=", value),
        }
    }

    /// The field a value names, where both hold the same and the word can be no value of it.
    fn other(&self, field: &Field, value: &Text) -> Option<&'static Field> {
        let same = |other: &&Field| {
            let numbers = |kind| matches!(kind, Kind::Number(_) | Kind::Integer | Kind::Real);
            other.kind == field.kind || (numbers(other.kind) && numbers(field.kind))
        };
        let comparable =
            matches!(field.kind, Kind::Number(_) | Kind::Integer | Kind::Real | Kind::Address | Kind::Time);
        if value.quoted || !comparable { None } else { self.scope.field(&value.text).filter(same) }
    }

    fn is(&mut self, field: &'static Field, value: &Text) -> Result<String, SyntaxError> {
        if let Some(other) = self.other(field, value) {
            return Ok(any(field, &|column| any(other, &|with| format!("{column} = {with}"))));
        }
        if let Kind::Number(Names::ResponseCode) = field.kind
            && !value.quoted
            && value.text.eq_ignore_ascii_case("none")
        {
            return Ok(any(field, &|column| format!("{column} IS NULL")));
        }
        if !value.quoted && value.text.contains('*') && matches!(field.kind, Kind::Text | Kind::Name | Kind::Address) {
            let pattern = self.param(like(&value.text, field.kind == Kind::Name));
            return Ok(any(field, &|column| format!("{} LIKE {pattern}", folded(field.kind, column))));
        }
        if field.kind == Kind::Address
            && let Some(network) = network(value)?
        {
            return Ok(any(field, &|column| format!("in_cidr({column}, '{network}')")));
        }
        let to = self.value(field, value)?;
        Ok(any(field, &|column| format!("{} = {to}", folded(field.kind, column))))
    }

    /// One of a set: a value, a network, a pattern, or a range.
    fn member(&mut self, field: &'static Field, at: Span, value: &Text) -> Result<String, SyntaxError> {
        let Some((low, high)) = value.text.split_once("..").filter(|_| !value.quoted) else {
            return self.is(field, value);
        };
        let end = value.span.end;
        let part = |text: &str, start: usize| Text {
            text: text.to_owned(),
            quoted: false,
            span: Span::new(start, start + text.len()),
        };
        if low.is_empty() || high.is_empty() {
            return Err(SyntaxError::new(value.span, "a range has two ends: 1..1024"));
        }
        let low = part(low, value.span.start);
        let high = part(high, end - high.len());
        let (from, to) = (self.bound(field, at, &low)?, self.bound(field, at, &high)?);
        Ok(any(field, &|column| format!("({column} >= {from} AND {column} <= {to})")))
    }

    fn ordered(&mut self, field: &'static Field, at: Span, sign: &str, value: &Text) -> Result<String, SyntaxError> {
        if let Some(other) = self.other(field, value) {
            if field.kind == Kind::Address {
                return Err(SyntaxError::new(at, unordered(field)));
            }
            return Ok(any(field, &|column| any(other, &|with| format!("{column} {sign} {with}"))));
        }
        let to = self.bound(field, at, value)?;
        Ok(any(field, &|column| format!("{column} {sign} {to}")))
    }

    /// A value of a field that has an order.
    fn bound(&mut self, field: &'static Field, at: Span, value: &Text) -> Result<String, SyntaxError> {
        match field.kind {
            Kind::Number(_) | Kind::Integer | Kind::Real | Kind::Time => self.value(field, value),
            Kind::Address | Kind::Text | Kind::Name | Kind::Flag => Err(SyntaxError::new(at, unordered(field))),
        }
    }

    fn matches(&mut self, field: &'static Field, at: Span, value: &Text) -> Result<String, SyntaxError> {
        if !matches!(field.kind, Kind::Text | Kind::Name | Kind::Address) {
            return Err(SyntaxError::new(at, format!("{} is no text; compare it with ==, <, > or in", field.name)));
        }
        let pattern = if field.kind == Kind::Name { format!("(?i){}", value.text) } else { value.text.clone() };
        if let Err(error) = RegexBuilder::new(&pattern).size_limit(REGEX_SIZE).build() {
            let reason = match error {
                regex::Error::CompiledTooBig(_) => "it would grow too big".to_owned(),
                other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            };
            return Err(SyntaxError::new(value.span, format!("no regular expression: {reason}")));
        }
        let pattern = self.param(pattern);
        Ok(any(field, &|column| format!("regexp_like({column}, {pattern})")))
    }

    /// A value as the field's own type, as a placeholder.
    fn value(&mut self, field: &Field, value: &Text) -> Result<String, SyntaxError> {
        let text = value.text.as_str();
        let wrong = |wanted: &str| SyntaxError::new(value.span, format!("{} {wanted}, not {text:?}", field.name));
        Ok(match field.kind {
            Kind::Address => {
                let ip: IpAddr = text
                    .parse()
                    .map_err(|_| wrong("takes an address, a network (10.0.0.0/8) or a pattern (10.0.*)"))?;
                self.param(ip.to_string())
            }
            Kind::Number(names) => {
                let named =
                    names.all().iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, number)| *number);
                let number = named.or_else(|| whole(text)).ok_or_else(|| match names.all() {
                    [] => wrong("takes a whole number"),
                    [(first, _), ..] => wrong(&format!("takes a number or a name such as {first}")),
                })?;
                self.param(number)
            }
            Kind::Integer => self.param(text.parse::<i64>().map_err(|_| wrong("takes a whole number"))?),
            Kind::Real => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                self.param(number.ok_or_else(|| wrong("takes a number"))?)
            }
            Kind::Text => self.param(text),
            Kind::Name => self.param(text.trim_end_matches('.').to_lowercase()),
            Kind::Flag => {
                let flag = match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" => true,
                    "false" | "no" => false,
                    _ => return Err(wrong("is true or false")),
                };
                self.param(Param::Bool(flag))
            }
            Kind::Time => {
                let time = moment(text).ok_or_else(|| {
                    wrong("takes a time such as \"2016-07-08 10:15\" (UTC) or 2016-07-08T12:15+02:00")
                })?;
                self.param(time)
            }
        })
    }

    /// A value alone: in every field that is looked at for one.
    fn anywhere(&mut self, value: &Text) -> Result<String, SyntaxError> {
        let address = if value.quoted { None } else { value.text.parse::<IpAddr>().ok() };
        let network = network(value)?.filter(|_| address.is_none());
        let numbers = |field: &Field| field.anywhere && matches!(field.kind, Kind::Number(_));
        let number = value.text.parse::<u64>().ok().filter(|_| !value.quoted && self.scope.fields().any(numbers));
        let folded = value.text.to_lowercase();
        let within = address.is_none() && network.is_none();
        let text = within.then(|| {
            if !value.quoted && folded.contains('*') {
                let pattern = self.param(like(&folded, false));
                (format!("LIKE {pattern}"), true)
            } else {
                (self.param(folded), false)
            }
        });
        let exact = address.map(|ip| self.param(ip.to_string()));
        let number = number.map(|number| self.param(number));
        let mut tests = Vec::new();
        for field in self.scope.fields().filter(|field| field.anywhere) {
            match field.kind {
                Kind::Address if exact.is_some() || network.is_some() => {
                    tests.push(any(field, &|column| match (&exact, &network) {
                        (Some(exact), _) => format!("{column} = {exact}"),
                        (None, Some(network)) => format!("in_cidr({column}, '{network}')"),
                        (None, None) => "false".to_owned(),
                    }))
                }
                Kind::Address | Kind::Text | Kind::Name => {
                    if let Some((text, pattern)) = &text {
                        tests.push(any(field, &|column| {
                            if *pattern {
                                format!("lower({column}) {text}")
                            } else {
                                format!("strpos(lower({column}), {text}) > 0")
                            }
                        }));
                    }
                }
                Kind::Number(_) => {
                    if let Some(number) = &number {
                        tests.push(any(field, &|column| format!("{column} = {number}")));
                    }
                }
                Kind::Integer | Kind::Real | Kind::Flag | Kind::Time => {}
            }
        }
        Ok(format!("({})", tests.join(" OR ")))
    }
}

fn unordered(field: &Field) -> String {
    format!("{} has no order: use ==, in, ~ or exists", field.name)
}

/// True where one of the field's columns passes.
fn any(field: &Field, test: Test<'_>) -> String {
    match field.columns {
        [column] => test(column),
        columns => format!("({})", columns.iter().map(|column| test(column)).collect::<Vec<_>>().join(" OR ")),
    }
}

/// What was not observed passes too.
fn not(sql: &str) -> String {
    format!("(({sql}) IS NOT TRUE)")
}

fn folded(kind: Kind, column: &str) -> String {
    if kind == Kind::Name { format!("lower({column})") } else { column.to_owned() }
}

/// The network that a value writes; an error if it looks like one and is none.
fn network(value: &Text) -> Result<Option<String>, SyntaxError> {
    let Some((address, length)) = value.text.split_once('/').filter(|_| !value.quoted) else { return Ok(None) };
    let Ok(ip) = address.parse::<IpAddr>() else { return Ok(None) };
    let most = if ip.is_ipv4() { 32 } else { 128 };
    match length.parse::<u8>() {
        // in_cidr takes its network as a constant. It is written from parsed numbers, never from the text.
        Ok(length) if length <= most => Ok(Some(format!("{ip}/{length}"))),
        _ => Err(SyntaxError::new(
            value.span,
            format!("{:?} is no network; write it like 10.0.0.0/8 or 2001:db8::/32", value.text),
        )),
    }
}

/// `*` for anything; everything else stands for itself.
fn like(pattern: &str, fold: bool) -> String {
    let mut out = String::new();
    for c in pattern.chars() {
        match c {
            '*' => out.push('%'),
            '%' | '_' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    if fold { out.to_lowercase() } else { out }
}

/// A whole number, with `k`, `M`, `G` or `T` behind it for thousands and so on.
fn whole(text: &str) -> Option<u64> {
    let (digits, factor) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (text.get(..at)?, 1_000),
        (at, 'M') => (text.get(..at)?, 1_000_000),
        (at, 'G') => (text.get(..at)?, 1_000_000_000),
        (at, 'T') => (text.get(..at)?, 1_000_000_000_000),
        _ => (text, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// A day, a day and a time, with an offset or in UTC.
fn moment(text: &str) -> Option<Micros> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Micros(time.timestamp_micros()));
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%:z") {
        return Some(Micros(time.timestamp_micros()));
    }
    let bare = text.trim_end_matches(['Z', 'z']);
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(bare, format).ok());
    let time = time.or_else(|| NaiveDate::parse_from_str(bare, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(Micros(time.and_utc().timestamp_micros()))
}
