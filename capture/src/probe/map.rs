//! BPF arrays mapped into our memory: the only unsafe code of the probe's user space.
//!
//! What is read is plain integers of which every bit pattern is valid. The kernel program writes the same memory while
//! it runs; each method says when it may be called.

#![expect(unsafe_code, reason = "memory-mapped BPF arrays have no safe interface")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use probe_common::layout::{Books, Control, RingEnds, RuleSets, Slot4, Slot6};

/// Values without padding of which every bit pattern is valid, as the kernel program has them.
///
/// # Safety
/// `#[repr(C)]`, integers only.
pub(super) unsafe trait Plain: Copy + Default {}
// SAFETY: they are.
unsafe impl Plain for Slot4 {}
// SAFETY: they are.
unsafe impl Plain for Slot6 {}
// SAFETY: they are.
unsafe impl Plain for Books {}
// SAFETY: they are.
unsafe impl Plain for RingEnds {}
// SAFETY: they are.
unsafe impl Plain for RuleSets {}
// SAFETY: they are.
unsafe impl Plain for Control {}
// SAFETY: they are.
unsafe impl Plain for probe_common::generator::Orders {}
// SAFETY: they are.
unsafe impl Plain for super::pin::Meta {}
// SAFETY: it is.
unsafe impl Plain for u64 {}

/// The entries of a memory-mapped BPF array.
#[derive(Debug)]
pub(super) struct Mapped<T> {
    memory: MmapRaw,
    /// The array: who maps it, too, gets it from here.
    array: OwnedFd,
    entries: usize,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T> AsFd for Mapped<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.array.as_fd()
    }
}

impl<T: Plain> Mapped<T> {
    /// Maps all entries of an array whose value is a `T` (a multiple of 8 bytes, as the kernel lays them out).
    pub(super) fn new(array: impl AsFd, entries: usize) -> io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let bytes = entries * size_of::<T>();
        let array = array.as_fd().try_clone_to_owned()?;
        let memory = MmapOptions::new().len(bytes).map_raw(&array)?;
        Ok(Self { memory, array, entries, of: std::marker::PhantomData })
    }

    fn at(&self, index: usize) -> *mut T {
        assert!(index < self.entries, "an entry beyond the array");
        // SAFETY: within the mapping, which is page-aligned and as long as all entries.
        unsafe { self.memory.as_mut_ptr().cast::<T>().add(index) }
    }

    /// The entry's value now. While programs write it, its words may be of different moments.
    pub(super) fn read(&self, index: usize) -> T {
        // SAFETY: a live entry, of which every bit pattern is valid. Volatile, because the kernel may write it.
        unsafe { self.at(index).read_volatile() }
    }

    /// Sets an entry that no program writes.
    pub(super) fn write(&self, index: usize, value: T) {
        // SAFETY: a live entry.
        unsafe { self.at(index).write_volatile(value) }
    }

    /// Takes what `is` says yes to from `range`, leaving zeros there. For entries that no program writes: those of a
    /// generation that was closed.
    pub(super) fn take(&self, range: std::ops::Range<usize>, is: impl Fn(&T) -> bool, mut each: impl FnMut(&T)) {
        for index in range {
            let entry = self.at(index);
            // SAFETY: a live entry, which nobody writes. Not volatile: the caller says so, and most are vacant.
            unsafe {
                if is(&*entry) {
                    each(&*entry);
                    entry.write(T::default());
                }
            }
        }
    }
}

impl Mapped<Control> {
    /// Which generation is written from now on. What was written before it is seen by programs that see it.
    pub(super) fn set_generation(&self, generation: u32) {
        // SAFETY: a live, aligned word of the mapping, which nobody but the kernel reads.
        let word = unsafe { AtomicU32::from_ptr(&raw mut (*self.at(0)).generation) };
        word.store(generation, Ordering::SeqCst);
    }

    /// The tick at which a generation that no program writes begins.
    pub(super) fn set_base(&self, generation: u32, tick: u64) {
        // SAFETY: a live, aligned word of the mapping.
        unsafe { (&raw mut (*self.at(0)).base[generation as usize & 1]).write_volatile(tick) };
    }

    /// How many slots a generation uses that no program writes and that was read.
    pub(super) fn set_unused_shift(&self, generation: u32, shift: u32) {
        // SAFETY: a live, aligned word of the mapping.
        unsafe { (&raw mut (*self.at(0)).unused_shift[generation as usize & 1]).write_volatile(shift) };
    }

    /// How many filter rules are in use.
    pub(super) fn set_rules(&self, rules: u32) {
        // SAFETY: as above.
        let word = unsafe { AtomicU32::from_ptr(&raw mut (*self.at(0)).rules) };
        word.store(rules, Ordering::SeqCst);
    }
}

impl Mapped<RingEnds> {
    /// Entries of a ring that were written and not read yet: the first, and how many. What the program wrote before is seen.
    pub(super) fn unread(&self, ring: usize) -> (u64, u64) {
        // SAFETY: live, aligned words of the mapping, each with one writer.
        let (written, read) = unsafe {
            let ends = self.at(ring);
            (AtomicU64::from_ptr(&raw mut (*ends).written), AtomicU64::from_ptr(&raw mut (*ends).read))
        };
        let read = read.load(Ordering::Relaxed);
        (read, written.load(Ordering::Acquire).wrapping_sub(read))
    }

    /// All entries before this one were read, and may be written anew.
    pub(super) fn set_read(&self, ring: usize, read: u64) {
        // SAFETY: as above.
        let word = unsafe { AtomicU64::from_ptr(&raw mut (*self.at(ring)).read) };
        word.store(read, Ordering::Release);
    }
}

/// A record of the ring as a value; `None` if it is shorter.
pub(super) fn record<T: Record>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: as many bytes as the value has, of which every bit pattern is valid; they need not be aligned.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// What the kernel program puts into rings.
///
/// # Safety
/// `#[repr(C)]`, integers only.
pub(super) unsafe trait Record: Copy {}
// SAFETY: they are.
unsafe impl Record for probe_common::layout::CopyHead {}

/// Nanoseconds of a clock of the system.
pub(super) fn clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live value; the clocks asked for exist everywhere.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Nanoseconds between two values of a clock of the system.
pub(super) fn resolution(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live value; the clocks asked for exist everywhere.
    unsafe { libc::clock_getres(clock, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}
