//! Fields of a line of comma-separated values (RFC 4180).

use std::borrow::Cow;

/// Most fields of a line.
const MAX_FIELDS: usize = 4_096;

/// The fields of a line. A quote that is not closed on its line is an error: rows are lines.
pub(super) fn fields(line: &str, delimiter: u8) -> Result<Vec<Cow<'_, str>>, &'static str> {
    let (delimiter, mut out, mut rest) = (char::from(delimiter), Vec::new(), line);
    loop {
        if out.len() == MAX_FIELDS {
            return Err("more columns than a row may have");
        }
        let Some(quoted) = rest.strip_prefix('"') else {
            match rest.split_once(delimiter) {
                Some((field, after)) => {
                    out.push(Cow::Borrowed(field));
                    rest = after;
                    continue;
                }
                None => {
                    out.push(Cow::Borrowed(rest));
                    return Ok(out);
                }
            }
        };
        let mut field = String::new();
        let mut left = quoted;
        loop {
            let (part, after) = left.split_once('"').ok_or("a quote that is not closed on its line")?;
            field.push_str(part);
            left = after;
            match left.strip_prefix('"') {
                Some(after) => {
                    field.push('"');
                    left = after;
                }
                None => break,
            }
        }
        out.push(Cow::Owned(field));
        match left.strip_prefix(delimiter) {
            Some(after) => rest = after,
            None if left.trim().is_empty() => return Ok(out),
            None => return Err("text after a closing quote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn quotes_and_empty_fields() {
        assert_eq!(fields(r#"a,"b,""c""",,d"#, b',').expect("fields"), ["a", r#"b,"c""#, "", "d"]);
        assert_eq!(fields("", b',').expect("fields"), [""]);
        assert_eq!(fields("a\tb", b'\t').expect("fields"), ["a", "b"]);
        assert!(fields(r#"a,"b"#, b',').is_err());
        assert!(fields(r#""a"b,c"#, b',').is_err());
        assert!(fields(&",".repeat(5_000), b',').is_err());
    }
}
