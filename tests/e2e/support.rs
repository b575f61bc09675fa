//! Running the command and looking at what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the command gave.
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `spotter` with these arguments in an environment that has no settings of its own.
pub(crate) fn spotter<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let output: Output = command().args(args).output().expect("spotter starts");
    Ran {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The command, ready for arguments.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spotter"));
    command.env_remove("RUST_LOG").env_remove("SPOTTER_LAKE");
    command
}

impl Ran {
    /// The run, if it did what it was told.
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.status, Some(0), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// The run, if it failed with this exit status, said `part` on standard error, and did not panic.
    pub(crate) fn failed(self, status: i32, part: &str) -> Self {
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(self.err.contains(part), "no {part:?} in: {}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.out))
    }
}

/// Rows of a query, as JSON objects.
pub(crate) fn rows(lake: &Path, sql: &str) -> Vec<serde_json::Value> {
    let ran = spotter(["query", "--lake", &lake.to_string_lossy(), "--format", "jsonl", sql]).done();
    ran.out.lines().filter(|l| !l.is_empty()).map(|l| serde_json::from_str(l).expect("a JSON object a line")).collect()
}

/// The folder of shared captures, or `None` after saying that the test was skipped. In CI a skip is a failure where
/// the folder was promised by `SPOTTER_SHARED`.
pub(crate) fn shared(test: &str) -> Option<PathBuf> {
    let promised = std::env::var_os("SPOTTER_SHARED").map(PathBuf::from);
    let folder = promised.clone().unwrap_or_else(|| std::path::absolute("../shared").expect("a path"));
    if folder.join("data/pcap").is_dir() {
        return Some(folder.join("data"));
    }
    assert!(promised.is_none(), "SPOTTER_SHARED has no data/pcap");
    eprintln!("SKIPPED {test}: no shared captures beside the project");
    None
}

/// A small file system of its own.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    /// A new folder of this size (`size=12M`), or `None` after saying that the test was skipped: only root mounts. In CI a skip is a failure.
    pub(crate) fn new(path: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", size, "none"]).arg(&path).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        assert!(std::env::var_os("CI").is_none(), "no tmpfs can be mounted");
        eprintln!("SKIPPED: no tmpfs can be mounted on {}", path.display());
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
