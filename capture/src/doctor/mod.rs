//! What this machine and its interfaces can do for capture, what is wrong, and the command that mends it.
//!
//! Looks and measures; changes nothing (but for one temporary file when the disk's speed is measured).

mod disk;
mod interface;
mod machine;

use std::path::Path;

pub use interface::interfaces;

/// How something stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// As it should be.
    Good,
    /// Cannot be told here; `found` says why.
    Unknown,
    /// Works, but loses packets, time or detail under load.
    Warning,
    /// Capture does not work, or not rightly, as it is.
    Bad,
}

impl State {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// The interface, if it is one's.
    pub interface: Option<String>,
    /// Its name, stable for programs.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do about it, where something is to be done.
    pub mend: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: State, found: impl Into<String>, why: &'static str) -> Self {
        Self { interface: None, name, state, found: found.into(), why, mend: None }
    }

    /// What to do, said only where something is wrong.
    fn mend(mut self, how: impl Into<String>) -> Self {
        if self.state >= State::Warning {
            self.mend = Some(how.into());
        }
        self
    }

    fn of(mut self, interface: &str) -> Self {
        self.interface = Some(interface.to_owned());
        self
    }
}

/// Looks at the machine, at these interfaces, and at the disk of this folder (or its nearest parent that exists).
pub fn examine(interfaces: &[String], lake: &Path) -> Vec<Check> {
    let mut checks = machine::checks();
    checks.push(disk::check(lake));
    for name in interfaces {
        checks.extend(interface::checks(name));
    }
    checks
}

/// The first line of a small file, trimmed.
fn line(path: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}
