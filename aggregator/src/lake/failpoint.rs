//! Named places where a test can make a step of the file protocol fail, or the process die. Disarmed,
//! each costs one relaxed load; nothing but a call of [`arm`] in the same process arms them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::LakeError;

/// What happens at an armed failpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The step returns an error.
    Error,
    /// The process dies at once, as by SIGKILL.
    Abort,
}

/// Every failpoint, in the order of the protocol.
pub const ALL: [&str; 11] = [
    "begin.staged",
    "begin.entered",
    "part.written",
    "part.synced",
    "publish.before_journal",
    "publish.journalled",
    "publish.renamed",
    "publish.before_published",
    "publish.published",
    "delete.removed",
    "delete.done",
];

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: Mutex<Option<(&'static str, u32, Fault)>> = Mutex::new(None);

/// Arms one failpoint for its `nth` passing (from 0). False where there is no such name.
pub fn arm(name: &str, nth: u32, fault: Fault) -> bool {
    let Some(name) = ALL.into_iter().find(|known| *known == name) else { return false };
    if let Ok(mut plan) = PLAN.lock() {
        *plan = Some((name, nth, fault));
    }
    ARMED.store(true, Ordering::SeqCst);
    true
}

/// Passes a failpoint.
pub(super) fn pass(name: &'static str) -> Result<(), LakeError> {
    // Relaxed: arming happens before the work of the same test, on the thread that starts it.
    if ARMED.load(Ordering::Relaxed) { pass_armed(name) } else { Ok(()) }
}

#[cold]
fn pass_armed(name: &'static str) -> Result<(), LakeError> {
    let Ok(mut plan) = PLAN.lock() else { return Ok(()) };
    match &mut *plan {
        Some((armed, 0, fault)) if *armed == name => {
            let fault = *fault;
            *plan = None;
            ARMED.store(false, Ordering::SeqCst);
            match fault {
                Fault::Error => Err(LakeError::Injected(name)),
                Fault::Abort => std::process::abort(),
            }
        }
        Some((armed, nth, _)) if *armed == name => {
            *nth -= 1;
            Ok(())
        }
        _ => Ok(()),
    }
}
