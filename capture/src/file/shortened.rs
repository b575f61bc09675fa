//! A mapped file that another process shortens: its bytes are gone, and touching them raises SIGBUS, which ends a process.
//! Tools that write rings of captures shorten files by design (`tcpdump -C -W` begins each anew), so here it must not.
//!
//! Ranges that are mapped are noted in a table. The handler puts zero pages in the place of what is gone and notes that; who
//! reads asks [`Guard::is_hit`] and gives the file up. What is not ours goes to the handler that was there before.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Files mapped at once, at most; more are read without mapping them.
const SLOTS: usize = 64;

struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    hit: AtomicBool,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        hit: AtomicBool::new(false),
    }
}; SLOTS];

/// What SIGBUS did before; `None` where the handler could not be set.
static BEFORE: OnceLock<Option<libc::sigaction>> = OnceLock::new();

/// Guards a range as long as it lives; the range must stay mapped so long.
#[derive(Debug)]
pub(super) struct Guard(usize);

impl Guard {
    /// Guards these bytes of a mapping.
    pub(super) fn new(bytes: &[u8]) -> io::Result<Self> {
        if BEFORE.get_or_init(install).is_none() {
            return Err(io::Error::other("SIGBUS cannot be handled"));
        }
        for (at, slot) in TABLE.iter().enumerate() {
            // Acquire: what the last owner stored is overwritten here, after it let go.
            if slot.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                slot.hit.store(false, Ordering::Relaxed);
                slot.start.store(bytes.as_ptr().addr(), Ordering::Relaxed);
                // Release: the handler that sees this end sees the start before it.
                slot.end.store(bytes.as_ptr().addr() + bytes.len(), Ordering::Release);
                return Ok(Self(at));
            }
        }
        Err(io::Error::other("too many files are mapped at once"))
    }

    /// Whether some of the bytes were gone when they were read: they were read as zeros.
    #[inline]
    pub(super) fn is_hit(&self) -> bool {
        // Relaxed: set by a signal in the thread that read, or seen soon.
        TABLE[self.0].hit.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let slot = &TABLE[self.0];
        slot.end.store(0, Ordering::Relaxed);
        slot.start.store(0, Ordering::Relaxed);
        // Release: pairs with the next owner's Acquire.
        slot.taken.store(false, Ordering::Release);
    }
}

#[expect(unsafe_code, reason = "signal handlers are the system's own interface")]
fn install() -> Option<libc::sigaction> {
    // SAFETY: a zeroed sigaction is a valid value (no flags, empty mask, default action).
    let (mut action, mut before): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_bus_error;
    action.sa_sigaction = handler as *const () as usize;
    // On the alternative stack where there is one, as std's handler of stack overflows wants it.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both point to valid values for the call; the handler does only what is safe in one.
    let set = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) };
    (set == 0).then_some(before)
}

/// Async-signal-safe: loads and stores of atomics, and two system calls.
#[expect(unsafe_code, reason = "signal handlers are the system's own interface")]
extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo; of SIGBUS, si_addr is set.
    let address = unsafe { (*info).si_addr() }.addr();
    for slot in &TABLE {
        let end = slot.end.load(Ordering::Acquire);
        if address < end && address >= slot.start.load(Ordering::Relaxed) {
            // The smallest page of any system that this runs on; a smaller start than the real page's would fail.
            let page = address & !(PAGE - 1);
            // SAFETY: replaces the rest of a mapping that its owner guards and only reads: readable before and after. It
            // stays until the owner unmaps the whole.
            let put = unsafe {
                libc::mmap(
                    std::ptr::with_exposed_provenance_mut(page),
                    end - page,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            if put != libc::MAP_FAILED {
                slot.hit.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
    // Not ours: back to what was before, which the instruction that is tried again comes to.
    if let Some(Some(before)) = BEFORE.get() {
        // SAFETY: `before` is what sigaction gave.
        unsafe { libc::sigaction(libc::SIGBUS, before, std::ptr::null_mut()) };
    }
}

/// Bytes of a page: mappings and file ends are in units of these.
const PAGE: usize = 4_096;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::File;

    use super::super::map::Mapping;

    #[test]
    fn a_file_shortened_while_it_is_read_is_noticed_and_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring.pcap");
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        let mapping = Mapping::new(&File::open(&path).unwrap()).unwrap();
        assert_eq!((mapping.bytes()[0], mapping.is_shortened()), (7, false));
        File::options().write(true).open(&path).unwrap().set_len(8_192).unwrap();
        assert_eq!(mapping.bytes()[4_096], 7);
        assert!(!mapping.is_shortened());
        let sum: u64 = mapping.bytes()[8_192..].iter().map(|b| u64::from(*b)).sum();
        assert_eq!((sum, mapping.is_shortened()), (0, true));
        // Another mapping in the same place is not touched by that.
        drop(mapping);
        std::fs::write(&path, vec![9; 1 << 20]).unwrap();
        let again = Mapping::new(&File::open(&path).unwrap()).unwrap();
        assert_eq!((again.bytes()[1 << 19], again.is_shortened()), (9, false));
    }
}
