//! A story as one HTML file: no script, no other file, nothing from the network. It can be mailed, printed, kept.

use std::fmt::Write;

use super::html::{blocks, text};
use super::svg;
use crate::api::types::{Board, BoardNode, WholeStory};

/// The file says itself what it may do: nothing but its own styles.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "
:root{color-scheme:light}
body{font:14px/1.5 system-ui,sans-serif;color:#18202c;background:#fff;max-width:820px;margin:32px auto;padding:0 24px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px;border-bottom:1px solid #d6dae2;padding-bottom:4px}
h3,h4,h5,h6{font-size:14px;margin:16px 0 4px}
.meta{color:#586273;font-size:12.5px}
code,pre,td.mono{font:12.5px/1.45 ui-monospace,monospace;overflow-wrap:anywhere}
pre{background:#f4f6f9;padding:10px 12px;white-space:pre-wrap}
blockquote{margin:8px 0;padding:2px 12px;border-left:3px solid #c6ccd6;color:#3d4757}
table{border-collapse:collapse;width:100%;font-size:12.5px}th{text-align:left;color:#586273;font-weight:600}
th,td{padding:4px 8px 4px 0;border-bottom:1px solid #e6e9ef;vertical-align:top}
.item{margin:2px 0}.l2{margin-left:24px}.l3{margin-left:48px}.l4,.l5,.l6,.l7,.l8{margin-left:72px}.mark{color:#586273}
svg{width:100%;height:auto;font:11px system-ui,sans-serif}svg .end{text-anchor:end}.bar{fill:#3b6fb6}
svg line{stroke:#e2e5eb}.in circle{fill:#b3261e}.out circle{fill:#1c55ad}.two circle{fill:#7a5aa6}
ul.tree{list-style:none;padding-left:18px;margin:2px 0}ul.tree>li{margin:1px 0}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr,svg{break-inside:avoid}}
";

/// The whole file. `from` and `to` are Unix seconds of the story's span; `version` is Spotter's.
pub(crate) fn page(whole: &WholeStory, board: &Board, from: i64, to: i64, made: &str, version: &str) -> String {
    let story = &whole.story;
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        text(&story.title)
    );
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<h1>{}</h1>\n<p class=\"meta\">About <code>{}</code>, {} to {}.<br>Told by {} on {}; version {} by {} on {}.</p>\n",
        text(&story.title),
        text(&story.subject),
        text(&story.from),
        text(&story.to),
        text(&story.author),
        text(&story.created),
        story.version,
        text(&story.edited_by),
        text(&story.edited)
    );
    out.push_str(&blocks(&story.blocks));
    if !board.progression.children.is_empty() {
        out.push_str("<h2>Impact</h2>\n");
        out.push_str(&svg::impact(&board.progression));
        out.push_str("<h2>Incident progression</h2>\n<ul class=\"tree\">");
        tree(&mut out, &board.progression);
        out.push_str("</ul>\n");
    }
    if !board.drops.is_empty() {
        out.push_str("<h2>Timeline</h2>\n");
        out.push_str(&svg::drops(board, from, to));
    }
    if !whole.pins.is_empty() {
        out.push_str("<h2>Records</h2>\n<table>\n<tr><th>Time (UTC)</th><th>Record</th><th>Note</th></tr>\n");
        for pin in &whole.pins {
            let _ = writeln!(
                out,
                "<tr><td class=\"mono\">{}</td><td class=\"mono\">{} {}<br><span class=\"meta\">{}</span></td><td>{}<br><span class=\"meta\">{}</span></td></tr>",
                text(&pin.first_seen),
                pin.source.as_str(),
                text(pin.summary.as_deref().unwrap_or("(no longer in the lake)")),
                text(&pin.record_id),
                text(pin.note.as_deref().unwrap_or_default()),
                text(&pin.author)
            );
        }
        out.push_str("</table>\n");
    }
    if !whole.comments.is_empty() {
        out.push_str("<h2>Comments</h2>\n");
        for comment in &whole.comments {
            let lines: Vec<String> = comment.text.split('\n').map(text).collect();
            let _ = writeln!(
                out,
                "<p>{}<br><span class=\"meta\">{}, {}</span></p>",
                lines.join("<br>"),
                text(&comment.author),
                text(&comment.time)
            );
        }
    }
    if whole.versions.len() > 1 {
        out.push_str("<h2>Versions</h2>\n<table>\n<tr><th>Version</th><th>Title</th><th>By</th><th>When</th></tr>\n");
        for version in &whole.versions {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                version.version,
                text(&version.title),
                text(&version.author),
                text(&version.time)
            );
        }
        out.push_str("</table>\n");
    }
    let _ =
        write!(out, "<p class=\"meta\">Made by Spotter {} on {}.</p>\n</body>\n</html>\n", text(version), text(made));
    out
}

fn tree(out: &mut String, node: &BoardNode) {
    let _ = write!(out, "<li><code>{}</code> <span class=\"meta\">{} records", text(&node.name), node.count);
    if node.bytes > 0 {
        let _ = write!(out, ", {} bytes", node.bytes);
    }
    out.push_str("</span>");
    if !node.children.is_empty() || node.hidden > 0 {
        out.push_str("<ul class=\"tree\">");
        for child in &node.children {
            tree(out, child);
        }
        if node.hidden > 0 {
            let _ = write!(out, "<li class=\"meta\">and {} more</li>", node.hidden);
        }
        out.push_str("</ul>");
    }
    out.push_str("</li>\n");
}
