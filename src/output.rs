//! What the command says to people: errors, log lines, progress. Text from the wire never reaches a terminal raw.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The command was used wrongly: exit status 2.
#[derive(Debug)]
pub(crate) struct UsedWrongly(pub(crate) String);

impl fmt::Display for UsedWrongly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsedWrongly {}

/// Log lines go to standard error; `RUST_LOG` overrules the two switches.
pub(crate) fn start_logging(quiet: bool, verbose: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (_, true) => "debug",
        _ => "warn,spotter=info,capture=info,aggregator=info,analytics=info,ui=info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}

/// Prints an error with its causes and gives the exit status.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // A reader that went away (`spotter query … | head`) is no failure.
    let broken_pipe = error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe));
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    let mut text = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let cause = cause.to_string();
        // A wrapper that already quotes its source says it once.
        if depth > 0 && text.contains(&cause) {
            continue;
        }
        text.push_str(if depth == 0 { "" } else { ": " });
        text.push_str(&cause);
    }
    let _ = writeln!(io::stderr(), "spotter: {}", safe(&text));
    ExitCode::from(if error.is::<UsedWrongly>() { 2 } else { 1 })
}

/// Text made safe for a terminal: control and bidirectional formatting characters are shown as escapes.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() || is_bidi(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that change the order in which others are shown (Unicode UAX #9).
const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

/// A progress bar over bytes on a terminal; nothing in a pipe.
pub(crate) fn byte_bar(total: u64) -> ProgressBar {
    bar(total, "{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}")
}

/// A progress bar over steps on a terminal; nothing in a pipe.
pub(crate) fn step_bar(total: u64) -> ProgressBar {
    bar(total, "{msg} {wide_bar} {percent}% {eta}")
}

fn bar(total: u64, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_bidi_characters_are_escaped() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c\r"), "a\\u{1b}[2Jb\\u{202e}c\\u{d}");
    }
}
