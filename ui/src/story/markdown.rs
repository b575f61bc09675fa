//! Markdown as blocks of spans.
//!
//! CommonMark with strikethrough. Raw HTML stays text, an image becomes its description in brackets, nothing is loaded
//! from anywhere. Depth and number of blocks are bounded by the length of the text, which the caller bounds.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::api::types::{Block, Span};

/// Nesting of lists and quotes that is shown; what is deeper is shown at this depth.
const DEEPEST: u8 = 8;

/// Reads a text.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH) {
        reader.take(event);
    }
    reader.close();
    reader.blocks
}

/// Where a link may lead: http and https, and places in this application.
fn safe_link(href: &str) -> Option<String> {
    let lower = href.trim().to_ascii_lowercase();
    let web = lower.starts_with("https://") || lower.starts_with("http://");
    let clean = !href.chars().any(|c| c.is_control() || c.is_whitespace());
    (clean && (web || lower.starts_with("#/"))).then(|| href.to_owned())
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    /// The block that spans go to.
    open: Option<Block>,
    style: Span,
    quotes: u8,
    /// Of each list that is open, the next number.
    lists: Vec<Option<u64>>,
    /// Descriptions of images that are open.
    images: usize,
    in_code: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text, false),
            Event::Code(text) => self.text(&text, true),
            // What looks like HTML is text like any other.
            Event::Html(text) | Event::InlineHtml(text) => self.text(&text, false),
            Event::SoftBreak => self.text(" ", false),
            Event::HardBreak => self.text("\n", false),
            Event::Rule => {
                self.close();
                self.blocks.push(Block { kind: "rule".to_owned(), level: 0, number: None, spans: Vec::new() });
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            // The first paragraph of an item is the item.
            Tag::Paragraph | Tag::HtmlBlock
                if self.open.as_ref().is_none_or(|open| open.kind != "item" || !open.spans.is_empty()) =>
            {
                self.begin(if self.quotes > 0 { "quote" } else { "paragraph" }, self.quotes, None);
            }
            Tag::Heading { level, .. } => self.begin("heading", depth(level), None),
            Tag::CodeBlock(_) => {
                self.begin("code", 0, None);
                self.in_code = true;
            }
            Tag::BlockQuote(_) => {
                self.close();
                self.quotes = (self.quotes + 1).min(DEEPEST);
            }
            Tag::List(number) => self.lists.push(number),
            Tag::Item => {
                let level = u8::try_from(self.lists.len()).unwrap_or(DEEPEST).min(DEEPEST);
                let number = self.lists.last_mut().and_then(|next| {
                    let number = *next;
                    *next = number.map(|number| number.saturating_add(1));
                    number
                });
                self.begin("item", level, number);
            }
            Tag::Emphasis => self.style.emphasis = true,
            Tag::Strong => self.style.strong = true,
            Tag::Strikethrough => self.style.struck = true,
            Tag::Link { dest_url, .. } => self.style.href = safe_link(&dest_url),
            Tag::Image { .. } => {
                self.text("[image: ", false);
                self.images += 1;
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::HtmlBlock => self.close(),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.close();
            }
            TagEnd::BlockQuote(_) => {
                self.close();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::List(_) => {
                self.close();
                self.lists.pop();
            }
            TagEnd::Emphasis => self.style.emphasis = false,
            TagEnd::Strong => self.style.strong = false,
            TagEnd::Strikethrough => self.style.struck = false,
            TagEnd::Link => self.style.href = None,
            TagEnd::Image => {
                self.images = self.images.saturating_sub(1);
                self.text("]", false);
            }
            _ => {}
        }
    }

    fn begin(&mut self, kind: &str, level: u8, number: Option<u64>) {
        self.close();
        self.open = Some(Block { kind: kind.to_owned(), level, number, spans: Vec::new() });
    }

    fn close(&mut self) {
        if let Some(block) = self.open.take()
            && !block.spans.is_empty()
        {
            self.blocks.push(block);
        }
    }

    fn text(&mut self, text: &str, code: bool) {
        if text.is_empty() {
            return;
        }
        if self.open.is_none() {
            self.begin(if self.quotes > 0 { "quote" } else { "paragraph" }, self.quotes, None);
        }
        let style = Span { code: code || self.in_code, text: String::new(), ..self.style.clone() };
        let Some(block) = &mut self.open else { return };
        match block.spans.last_mut() {
            Some(last) if Span { text: String::new(), ..last.clone() } == style => last.text.push_str(text),
            _ => block.spans.push(Span { text: text.to_owned(), ..style }),
        }
    }
}

const fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> Vec<(String, u8, String)> {
        blocks(text)
            .into_iter()
            .map(|b| (b.kind, b.level, b.spans.into_iter().map(|s| s.text).collect::<String>()))
            .collect()
    }

    fn row(kind: &str, level: u8, text: &str) -> (String, u8, String) {
        (kind.to_owned(), level, text.to_owned())
    }

    #[test]
    fn the_forms_people_use_are_read() {
        assert_eq!(
            flat("# What\n\nA *b* **c** `d`\n\n1. one\n2. two\n   - deep\n\n> said\n\n```\nx < y\n```\n\n---\n"),
            [
                row("heading", 1, "What"),
                row("paragraph", 0, "A b c d"),
                row("item", 1, "one"),
                row("item", 1, "two"),
                row("item", 2, "deep"),
                row("quote", 1, "said"),
                row("code", 0, "x < y\n"),
                row("rule", 0, ""),
            ]
        );
        let spans = blocks("A *b* **c** `d` ~~e~~").remove(0).spans;
        assert!(spans[1].emphasis && spans[3].strong && spans[5].code && spans[7].struck, "{spans:?}");
        assert_eq!(blocks("3. x\n4. y").iter().map(|b| b.number).collect::<Vec<_>>(), [Some(3), Some(4)]);
    }

    #[test]
    fn raw_html_stays_text_and_images_are_not_loaded() {
        assert_eq!(flat("<script>alert(1)</script>"), [row("paragraph", 0, "<script>alert(1)</script>")]);
        assert_eq!(flat("a <img src=x onerror=alert(1)> b"), [row("paragraph", 0, "a <img src=x onerror=alert(1)> b")]);
        let image = blocks("![seen](https://evil.example/x.png)").remove(0).spans;
        assert_eq!(image.len(), 1);
        assert_eq!((image[0].text.as_str(), &image[0].href), ("[image: seen]", &None));
    }

    #[test]
    fn links_lead_to_the_web_or_into_the_application_only() {
        let href = |target: &str| blocks(&format!("[x]({target})")).remove(0).spans.remove(0).href;
        assert_eq!(href("https://example.com/a").as_deref(), Some("https://example.com/a"));
        assert_eq!(href("#/ip/10.0.0.1").as_deref(), Some("#/ip/10.0.0.1"));
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/api/v1/links",
            "java&#x09;script:alert(1)",
            "vbscript:x",
            "file:///etc/passwd",
        ] {
            assert_eq!(href(bad), None, "{bad}");
        }
    }

    #[test]
    fn deep_nesting_ends() {
        let text = ">".repeat(5_000) + "x\n\n" + &(0..500).map(|n| " ".repeat(n * 2) + "- x\n").collect::<String>();
        assert!(blocks(&text).iter().all(|block| block.level <= DEEPEST));
    }
}
