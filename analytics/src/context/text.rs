//! Lines and cells of context files, with bounds and a count of what was not taken.

/// Bytes a line may have.
const MAX_LINE: usize = 64 << 10;
/// Rejections told one by one.
const TOLD: usize = 20;
/// Characters kept of a text that is shown.
const MAX_TEXT: usize = 256;

/// What was not taken of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Rejected {
    /// All of it.
    pub count: u64,
    /// Line (or number of the object) and why; the first of them.
    pub first: Vec<(u64, String)>,
}

impl Rejected {
    /// Counts one.
    pub(crate) fn add(&mut self, line: u64, why: impl Into<String>) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push((line, why.into()));
        }
    }
}

/// Lines with their numbers from 1; blank ones, comments (`#`) and those past the bound are left out, the last counted.
pub(super) fn lines<'t>(text: &'t str, rejected: &mut Rejected) -> Vec<(u64, &'t str)> {
    let mut kept = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        match line.trim() {
            "" => {}
            line if line.starts_with('#') => {}
            line if line.len() > MAX_LINE => rejected.add(number, format!("a line of {} bytes", line.len())),
            line => kept.push((number, line)),
        }
    }
    kept
}

/// The cells of a CSV line (RFC 4180 quotes within the line). `None` where a quote is not closed.
pub(super) fn cells(line: &str) -> Option<Vec<String>> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => cell.push(c),
        }
    }
    cells.push(cell.trim().to_owned());
    (!quoted).then_some(cells)
}

/// A text to be shown: its first characters; `None` for what means nothing.
pub(super) fn shown(text: &str) -> Option<String> {
    let text = text.trim();
    (!matches!(text, "" | "-" | "?")).then(|| text.chars().take(MAX_TEXT).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn cells_and_lines() {
        assert_eq!(cells(r#""1","a ""b"", c", d "#).unwrap(), ["1", r#"a "b", c"#, "d"]);
        assert_eq!(cells(r#""1,2"#), None);
        let mut rejected = Rejected::default();
        let text = format!("# x\n\na\n{}\nb", "y".repeat(MAX_LINE + 1));
        assert_eq!(lines(&text, &mut rejected), [(3, "a"), (5, "b")]);
        assert_eq!(rejected.count, 1);
    }
}
