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
    // Each way has its own first signal: the same one may come both ways, in either order.
    for signals in [&[SIGINT, SIGTERM][..], &[PASSED_ON]] {
        let first = Arc::new(AtomicBool::new(false));
        for signal in signals {
            let status = 128 + if *signal == PASSED_ON { SIGTERM } else { *signal };
            // Order matters: the shutdown looks at the first before the second handler sets it.
            signal_hook::flag::register_conditional_shutdown(*signal, status, Arc::clone(&first))?;
            signal_hook::flag::register(*signal, Arc::clone(&first))?;
            signal_hook::flag::register(*signal, Arc::clone(&flag))?;
        }
    }
    Ok(FLAG.get_or_init(|| flag))
}
