//! The file mapping: the one place of this crate's file sources that needs `unsafe`.
//!
//! A mapped capture is read front to back, so what has been read is given back to the kernel from time
//! to time ([`Mapping::release_before`]): a capture of many GiB does not count as memory of the process.
//!
//! Promise and limit: the mapping is read-only and private to this process. Of a file that another process shortens
//! while it is read, what is gone reads as zeros, and [`Mapping::is_shortened`] says so (see [`shortened`](super::shortened)).

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use super::shortened::Guard;

/// How much is read before the part behind is given back.
const RELEASE_STEP: usize = 32 << 20;

/// Files up to this size stay mapped from one reading to the next.
const KEPT: usize = 64 << 20;

/// How far ahead bytes are asked for.
const PREFETCH_AHEAD: usize = 1024;

/// The error of a file that lost bytes.
pub(super) fn shortened() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it was shortened while it was read")
}

/// A whole file as bytes.
#[derive(Debug)]
pub(super) struct Mapping {
    // Before the map: what is guarded must be mapped.
    guard: Guard,
    map: Mmap,
    released: usize,
}

impl Mapping {
    /// Maps all of `file`, which must be a regular file.
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature; the limit is stated above")]
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the map is only read, through `&[u8]`. Its bytes can change if another process writes
        // to the file; every value read from it is checked after it was read into a register or copied,
        // and no check is relied on for a second read of memory safety: slices carry their own lengths.
        let map = unsafe { Mmap::map(file)? };
        // Only a hint: read-ahead may be larger, pages behind may go first.
        let _ = map.advise(Advice::Sequential);
        Ok(Self { guard: Guard::new(&map)?, map, released: 0 })
    }

    /// Whether the file lost bytes that were to be read.
    #[inline]
    pub(super) fn is_shortened(&self) -> bool {
        self.guard.is_hit()
    }

    /// The bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Gives all bytes to `take`, in pieces, until it says `false`; whether it never did. Then the mapping is as new. An
    /// error where the file was shortened meanwhile.
    pub(super) fn read_through(&mut self, piece: usize, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
        let mut at = 0;
        while let Some(rest) = self.map.get(at..).filter(|rest| !rest.is_empty()) {
            let bytes = rest.get(..piece).unwrap_or(rest);
            if !take(bytes) {
                return Ok(false);
            }
            if self.guard.is_hit() {
                return Err(shortened());
            }
            at += bytes.len();
            if self.map.len() > KEPT {
                self.release_before(at);
            }
        }
        self.released = 0;
        Ok(true)
    }

    /// Asks for the bytes that will be read some frames from now, as many as were read last: frames lie
    /// one after the other, but where the next begins is known only when this one has been read, so the
    /// processor cannot run ahead by itself.
    #[inline(always)]
    #[expect(unsafe_code, reason = "the prefetch instruction is unsafe in std for its pointer argument")]
    pub(super) fn prefetch(&self, read: Range<usize>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(ahead) = self.map.get(read.start + PREFETCH_AHEAD..read.end + PREFETCH_AHEAD) {
            for line in ahead.chunks(64) {
                // SAFETY: a prefetch is a hint: it reads no value and cannot fault.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
            }
        }
    }

    /// Tells the kernel that everything before `offset` has been read, once enough has come together.
    #[inline]
    pub(super) fn release_before(&mut self, offset: usize) {
        if offset.saturating_sub(self.released) >= RELEASE_STEP {
            self.release(offset);
        }
    }

    #[cold]
    #[expect(unsafe_code, reason = "madvise(MADV_DONTNEED) is unsafe for private writable memory; this is neither")]
    fn release(&mut self, offset: usize) {
        // Whole pages only; `released` is always a multiple of the step, hence of the page.
        let end = offset / RELEASE_STEP * RELEASE_STEP;
        let length = end.min(self.map.len()).saturating_sub(self.released);
        // SAFETY: the mapping is a shared, read-only view of a file: pages dropped here are read from the
        // file again if they are ever touched, so no byte changes its value.
        let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, self.released, length) };
        self.released = end;
    }
}
