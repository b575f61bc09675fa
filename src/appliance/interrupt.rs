//! SIGINT and SIGTERM as a flag that long work looks at. A second signal ends the process at once.
//!
//! SIGUSR1 is the same, passed on by the keeper of a capture ([`capture::keeper`]): whoever signals both processes, as systemd does,
//! means it once.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use capture::keeper::PASSED_ON;
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
    let passed_on = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_shutdown(PASSED_ON, 128 + SIGTERM, Arc::clone(&passed_on))?;
    signal_hook::flag::register(PASSED_ON, passed_on)?;
    signal_hook::flag::register(PASSED_ON, Arc::clone(&flag))?;
    Ok(FLAG.get_or_init(|| flag))
}
