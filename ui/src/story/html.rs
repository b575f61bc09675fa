//! Text as HTML: the only way by which text gets into a report.

use std::fmt::Write;

use analytics::output::escaped;

use crate::api::types::Block;

/// Text that is only text, in an element or in an attribute with quotes. What could hide or reorder is shown as an
/// escape.
pub(crate) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 16);
    for c in escaped(raw).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Blocks as HTML.
pub(crate) fn blocks(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        let inside = spans(block);
        // Writing to a String cannot fail.
        let _ = match block.kind.as_str() {
            // The report's own headings are h1 and h2.
            "heading" => {
                let level = (block.level + 2).min(6);
                writeln!(out, "<h{level}>{inside}</h{level}>")
            }
            "item" => {
                let mark = block.number.map_or_else(|| "•".to_owned(), |number| format!("{number}."));
                writeln!(out, "<p class=\"item l{}\"><span class=\"mark\">{mark}</span> {inside}</p>", block.level)
            }
            "quote" => writeln!(out, "<blockquote>{inside}</blockquote>"),
            "code" => writeln!(out, "<pre>{inside}</pre>"),
            "rule" => writeln!(out, "<hr>"),
            _ => writeln!(out, "<p>{inside}</p>"),
        };
    }
    out
}

fn spans(block: &Block) -> String {
    let mut out = String::new();
    for span in &block.spans {
        let lines: Vec<String> = span.text.split('\n').map(text).collect();
        let mut inside = lines.join(if block.kind == "code" { "\n" } else { "<br>" });
        for (on, tag) in [
            (span.code && block.kind != "code", "code"),
            (span.struck, "s"),
            (span.emphasis, "em"),
            (span.strong, "strong"),
        ] {
            if on {
                inside = format!("<{tag}>{inside}</{tag}>");
            }
        }
        // A place in the application means nothing in a file.
        if let Some(href) = span.href.as_deref().filter(|href| !href.starts_with('#')) {
            inside = format!("<a href=\"{}\" rel=\"noreferrer noopener\">{inside}</a>", text(href));
        }
        out.push_str(&inside);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::markdown;

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "</title><script>alert(1)</script>\" onmouseover='x' &amp; \u{202e}evil";
        let safe = text(hostile);
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{202e}']), "{safe}");
        let page = blocks(&markdown::blocks(
            "<script>alert(1)</script>\n\n[a](https://x.example/\"onx=1) `<b>` ![i](https://evil.example/p.png)\n\n> <img src=x onerror=alert(1)>",
        ));
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{page}");
        assert!(page.contains("<code>&lt;b&gt;</code>"), "{page}");
    }

    #[test]
    fn code_keeps_its_lines() {
        assert_eq!(blocks(&markdown::blocks("```\na\nb\n```")), "<pre>a\nb\n</pre>\n");
    }
}
