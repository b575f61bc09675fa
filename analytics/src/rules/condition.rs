//! Sigma's condition: `selection and not 1 of filter_*`, as a tree over the names of the searches.

/// Nesting of parentheses and `not`.
const MAX_DEPTH: usize = 32;

/// A condition.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Condition {
    /// A search.
    Search(String),
    /// All hold.
    All(Vec<Condition>),
    /// One holds at least.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// Reads a condition over these searches.
pub(super) fn parse(text: &str, searches: &[String]) -> Result<Condition, String> {
    if text.contains('|') {
        return Err("aggregations (`| count() by …`) are not supported; write the rule as SQL".to_owned());
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    if tokens.is_empty() {
        return Err("the condition is empty".to_owned());
    }
    let mut parser = Parser { tokens: &tokens, at: 0, searches };
    let condition = parser.any(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(format!("the condition does not go on with {token:?}")),
    }
}

struct Parser<'t> {
    tokens: &'t [&'t str],
    at: usize,
    searches: &'t [String],
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Result<&'t str, String> {
        let token = self.peek().ok_or("the condition ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn is(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word))
    }

    fn any(&mut self, depth: usize) -> Result<Condition, String> {
        let mut parts = vec![self.all(depth)?];
        while self.is("or") {
            self.at += 1;
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, String> {
        let mut parts = vec![self.one(depth)?];
        while self.is("and") {
            self.at += 1;
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels of parentheses"));
        }
        let token = self.next()?;
        match token.to_lowercase().as_str() {
            "not" => Ok(Condition::Not(Box::new(self.one(depth + 1)?))),
            "(" => {
                let inner = self.any(depth + 1)?;
                match self.next()? {
                    ")" => Ok(inner),
                    other => Err(format!("a parenthesis is not closed before {other:?}")),
                }
            }
            count @ ("1" | "any" | "all") if self.is("of") => {
                self.at += 1;
                let pattern = self.next()?;
                let matching: Vec<Condition> = self
                    .searches
                    .iter()
                    .filter(|name| match pattern {
                        // Names that begin with an underscore are left out of `them`.
                        "them" => !name.starts_with('_'),
                        pattern => pattern.strip_suffix('*').map_or(*name == pattern, |start| name.starts_with(start)),
                    })
                    .map(|name| Condition::Search(name.clone()))
                    .collect();
                match matching.len() {
                    0 => Err(format!("no search is called {pattern:?}")),
                    _ if count == "all" => Ok(one_or(matching, Condition::All)),
                    _ => Ok(one_or(matching, Condition::Any)),
                }
            }
            _ if self.searches.iter().any(|name| name == token) => Ok(Condition::Search(token.to_owned())),
            _ => Err(format!("no search is called {token:?}")),
        }
    }
}

fn one_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn and_binds_before_or_and_not_before_both() {
        let names = ["a", "b", "c", "filter_1", "filter_2", "_hidden"].map(str::to_owned);
        let read = |text: &str| parse(text, &names);
        let search = |name: &str| Condition::Search(name.to_owned());
        assert_eq!(
            read("a or b and not c").unwrap(),
            Condition::Any(vec![search("a"), Condition::All(vec![search("b"), Condition::Not(Box::new(search("c")))])])
        );
        assert_eq!(
            read("(a OR b) AND NOT 1 of filter_*").unwrap(),
            Condition::All(vec![
                Condition::Any(vec![search("a"), search("b")]),
                Condition::Not(Box::new(Condition::Any(vec![search("filter_1"), search("filter_2")])))
            ])
        );
        assert!(matches!(read("all of them").unwrap(), Condition::All(all) if all.len() == 5));
        for bad in ["", "a b", "a and", "(a", "a)", "x", "1 of x*", "a | count() > 3", "not"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&"(".repeat(100_000)).is_err() && read(&"not ".repeat(100_000)).is_err());
    }
}
