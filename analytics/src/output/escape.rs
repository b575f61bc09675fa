//! What must not reach a terminal raw.

use std::borrow::Cow;
use std::fmt::Write;

/// True for characters that steer a terminal (C0, DEL, C1), break or turn lines (line and paragraph
/// separators, bidirectional controls), or hide (zero width, tags, fillers): whoever looks at a table must see that
/// they are there.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The text with `\x1b` or `\u{202e}` in the place of every character that [`is_unsafe`].
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if is_unsafe(c) && (c as u32) < 0x100 => write!(out, "\\x{:02x}", c as u32),
            c if is_unsafe(c) => write!(out, "\\u{{{:x}}}", c as u32),
            c => out.write_char(c),
        };
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_sequences_are_shown_not_obeyed() {
        assert_eq!(escaped("\u{1b}[2Jx"), "\\x1b[2Jx");
        assert_eq!(escaped("\u{9b}31m"), "\\x9b31m");
        assert_eq!(escaped("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(escaped("\u{7f}"), "\\x7f");
        // Trojan Source (CVE-2021-42574): right-to-left override.
        assert_eq!(escaped("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(escaped("pay\u{200b}pal"), "pay\\u{200b}pal");
    }

    #[test]
    fn text_of_any_language_stays() {
        for text in ["", "www.example.com", "bücher.example", "例え.テスト", "пример", "مثال", "a b", "👍"]
        {
            assert_eq!(escaped(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left(text: String) {
            prop_assert!(!escaped(&text).chars().any(is_unsafe));
        }
    }
}
