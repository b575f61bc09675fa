//! Where memory comes from: jemalloc as it comes. Asked for huge pages (`thp:always`) it lets the kernel compact memory in
//! the middle of an allocation, where memory is fragmented: with 500 k flows a new one then took 1.2 µs instead of 0.5, for
//! known ones that cost 0.30 µs instead of 0.33 (`spotter bench shard`). Scoring a day is the other way round: it fills tables
//! of gigabytes once and looks into them at random, and with huge pages 10 M flows cost 42 s of CPU instead of 58
//! (`spotter bench score`). So `spotter score` asks for them. `_RJEM_MALLOC_CONF` decides where it is set.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// For the whole command.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by jemalloc before `main`.
const SETTINGS: &str = "_RJEM_MALLOC_CONF";

/// Begins this command again with huge pages, unless the environment says how memory is had. Comes back where that cannot be done: it is
/// slower without, not wrong.
pub(crate) fn with_huge_pages() {
    if std::env::var_os(SETTINGS).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    if let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) {
        let error = Command::new(program).arg0(name).args(arguments).env(SETTINGS, "thp:always").exec();
        tracing::debug!("no huge pages: {error}");
    }
}
