//! SIGINT and SIGTERM as a flag that long work looks at. A second signal ends the process at once.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The flag, set by the first SIGINT or SIGTERM. Handlers are installed by the first call.
pub(crate) fn flag() -> io::Result<&'static Arc<AtomicBool>> {
    if let Some(flag) = FLAG.get() {
        return Ok(flag);
    }
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Order matters: the shutdown looks at the flag before the second handler sets it.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(FLAG.get_or_init(|| flag))
}
