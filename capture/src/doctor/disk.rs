//! How fast the lake's disk takes what is written to it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use super::{Check, State};

/// Written and synced to measure.
const BYTES: usize = 64 << 20;

/// Below this the writer of a busy sensor falls behind: a million flows a second are some 26 MB/s, and compaction writes as much again.
const SLOW: f64 = 60.0;

const WHY: &str = "the writer must keep up: when it does not, rings fill and packets are lost";

pub(super) fn check(lake: &Path) -> Check {
    let Some(folder) = lake.ancestors().find(|folder| folder.is_dir()).or(Some(Path::new("."))) else {
        return Check::new("disk", State::Unknown, "no folder", WHY);
    };
    match measure(folder) {
        Ok(speed) => {
            let state = if speed < SLOW { State::Warning } else { State::Good };
            let found = format!("{speed:.0} MB/s written and synced in {}", folder.display());
            Check::new("disk", state, found, WHY).mend("put the lake on a faster disk (--lake DIR)")
        }
        Err(error) => Check::new("disk", State::Bad, format!("cannot write to {}: {error}", folder.display()), WHY)
            .mend("give the user of Spotter write permission there, or choose another folder (--lake DIR)"),
    }
}

/// Megabytes a second. The file has no name any more when it is written, so nothing can be left behind.
fn measure(folder: &Path) -> io::Result<f64> {
    let path = folder.join(format!(".spotter-doctor-{}", std::process::id()));
    let mut file = File::create_new(&path)?;
    std::fs::remove_file(&path)?;
    // Not zeros: some disks and file systems do not store those.
    let block: Vec<u8> = (0..1_u32 << 18).flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_le_bytes()).collect();
    let begin = Instant::now();
    for _ in 0..BYTES / block.len() {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(BYTES as f64 / 1e6 / begin.elapsed().as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = check(&folder.path().join("not/yet/there"));
        assert!(found.state != State::Bad && found.found.contains("MB/s"), "{found:?}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
    }
}
