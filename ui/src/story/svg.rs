//! Pictures of a report as inline SVG: bars of the impact, and when each peer was seen.

use std::fmt::Write;

use super::html::text;
use crate::api::types::{Board, BoardNode, Direction};

const WIDTH: u32 = 760;
const ROW: u32 = 22;
const LABEL: u32 = 250;
/// Names are cut to this many characters; their title has them whole.
const NAME: usize = 36;

fn short(name: &str) -> String {
    let mut out: String = name.chars().take(NAME).collect();
    if name.chars().count() > NAME {
        out.push('…');
    }
    out
}

fn bytes(value: u64) -> String {
    const STEPS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut rest, mut step) = (value as f64, 0);
    while rest >= 999.5 && step < STEPS.len() - 1 {
        rest /= 1000.0;
        step += 1;
    }
    format!("{rest:.*} {}", usize::from(step > 0), STEPS.get(step).copied().unwrap_or("PB"))
}

/// Bars of the nodes two levels below the root, largest first.
pub(super) fn impact(root: &BoardNode) -> String {
    let mut rows: Vec<(String, u64, u64)> = Vec::new();
    for way in &root.children {
        for child in &way.children {
            rows.push((format!("{}: {}", way.name, child.name), child.bytes, child.count));
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.1, row.2)));
    rows.truncate(12);
    // Names and questions have no bytes.
    let by_bytes = rows.iter().any(|row| row.1 > 0);
    let size = |row: &(String, u64, u64)| if by_bytes { row.1 } else { row.2 };
    let most = rows.iter().map(size).max().unwrap_or(0).max(1);
    let height = ROW * u32::try_from(rows.len()).unwrap_or(0) + 4;
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Impact\">\n");
    for (at, row) in rows.iter().enumerate() {
        let y = ROW * u32::try_from(at).unwrap_or(0);
        let width = (f64::from(WIDTH - LABEL - 120) * size(row) as f64 / most as f64).max(1.0);
        let value = if by_bytes { bytes(row.1) } else { row.2.to_string() };
        let _ = writeln!(
            out,
            "<g><title>{}: {} records, {} bytes</title><text x=\"{}\" y=\"{}\" class=\"end\">{}</text>\
             <rect x=\"{}\" y=\"{}\" width=\"{width:.1}\" height=\"14\" rx=\"2\" class=\"bar\"/><text x=\"{:.1}\" y=\"{}\">{value}</text></g>",
            text(&row.0),
            row.2,
            row.1,
            LABEL - 8,
            y + 15,
            text(&short(&row.0)),
            LABEL,
            y + 4,
            f64::from(LABEL) + width + 6.0,
            y + 15,
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A line for each peer, a mark for each moment.
pub(super) fn drops(board: &Board, from: i64, to: i64) -> String {
    let height = ROW * u32::try_from(board.drops.len()).unwrap_or(0) + 28;
    let span = (to - from).max(1) as f64;
    let wide = f64::from(WIDTH - LABEL - 10);
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Timeline\">\n");
    for (at, drop) in board.drops.iter().enumerate() {
        let y = ROW * u32::try_from(at).unwrap_or(0);
        let class = match drop.way {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::TwoWay => "two",
        };
        let _ = writeln!(
            out,
            "<g class=\"{class}\"><title>{} ({})</title><text x=\"{}\" y=\"{}\" class=\"end\">{}</text><line x1=\"{LABEL}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>",
            text(&drop.name),
            text(&drop.most),
            LABEL - 8,
            y + 15,
            text(&short(&drop.name)),
            WIDTH - 10,
            y + 11,
            y + 11
        );
        for (time, count) in drop.times.iter().zip(&drop.counts) {
            let x = f64::from(LABEL) + wide * ((time - from) as f64 / span).clamp(0.0, 1.0);
            let radius = (2.0 + (*count as f64).log10()).min(6.0);
            let _ = write!(out, "<circle cx=\"{x:.1}\" cy=\"{}\" r=\"{radius:.1}\"/>", y + 11);
        }
        out.push_str("</g>\n");
    }
    for (x, anchor, time) in [(LABEL, "start", from), (WIDTH - 10, "end", to)] {
        let label = chrono::DateTime::<chrono::Utc>::from_timestamp(time, 0)
            .map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default();
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>", height - 6);
    }
    out.push_str("</svg>\n");
    out
}
