//! The bytes of a capture, in order, whether mapped, in memory or streamed.
//!
//! A [`Source`] shows a window that begins at the current position. For a mapped file the window is the
//! rest of the file; for a stream it is a buffer that is filled on demand and never grows beyond what a
//! caller asks for ([`MAX_WINDOW`] at most).

use std::io::{self, Read};
use std::ops::Range;

use super::map::{self, Mapping};

/// Largest window a caller may ask for: the longest record plus its headers.
pub(super) const MAX_WINDOW: usize = (16 << 20) + 4096;

/// First size of a stream's buffer.
const STREAM_BUFFER: usize = 256 << 10;

enum Kind {
    Mapped(Mapping),
    Memory(Vec<u8>),
    Stream(Stream),
}

struct Stream {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    filled: usize,
    ended: bool,
    error: Option<io::Error>,
}

/// Bytes with a position.
pub(super) struct Source {
    kind: Kind,
    /// Position within the mapping, the memory or the buffer.
    at: usize,
    /// What lies before the buffer.
    before: u64,
    /// That the file was shortened has been said.
    told: bool,
}

impl Source {
    pub(super) fn mapped(mapping: Mapping) -> Self {
        Self { kind: Kind::Mapped(mapping), at: 0, before: 0, told: false }
    }

    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        Self { kind: Kind::Memory(bytes), at: 0, before: 0, told: false }
    }

    pub(super) fn stream(reader: Box<dyn Read + Send>) -> Self {
        let stream = Stream { reader, buffer: vec![0; STREAM_BUFFER], filled: 0, ended: false, error: None };
        Self { kind: Kind::Stream(stream), at: 0, before: 0, told: false }
    }

    /// Offset of the current position from the beginning of the capture.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    /// What lies ahead: `length` bytes or more, fewer only at the end of the input.
    #[inline]
    pub(super) fn peek(&mut self, length: usize) -> &[u8] {
        if let Kind::Stream(stream) = &mut self.kind
            && stream.filled - self.at < length
            && !stream.ended
        {
            self.before += self.at as u64;
            stream.fill(self.at, length.min(MAX_WINDOW));
            self.at = 0;
        }
        self.all().get(self.at..).unwrap_or_default()
    }

    /// Moves over `length` bytes that were seen with [`peek`](Self::peek) and returns where they are, for
    /// [`bytes`](Self::bytes). They stay until the next call of `peek`.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Range<usize> {
        let start = self.at;
        self.at = (start + length).min(self.all().len());
        if let Kind::Mapped(mapping) = &mut self.kind {
            // The frame just taken must stay mapped while it is read.
            mapping.release_before(start);
            mapping.prefetch(start..self.at);
        }
        start..self.at
    }

    /// Moves over up to `length` bytes without holding them; returns how many there were.
    pub(super) fn skip(&mut self, length: u64) -> u64 {
        let mut left = length;
        while left > 0 {
            let step = self.peek(1).len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if step == 0 {
                break;
            }
            self.take(step);
            left -= step as u64;
        }
        length - left
    }

    /// Bytes that were taken last.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.all().get(range).unwrap_or_default()
    }

    /// The error that ended the input early, once.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        match &mut self.kind {
            Kind::Stream(stream) => stream.error.take(),
            Kind::Mapped(mapping) if mapping.is_shortened() && !std::mem::replace(&mut self.told, true) => {
                Some(map::shortened())
            }
            Kind::Mapped(_) | Kind::Memory(_) => None,
        }
    }

    /// Whether the file lost bytes while it was read: what was given since is not the file's.
    pub(super) fn is_shortened(&self) -> bool {
        matches!(&self.kind, Kind::Mapped(mapping) if mapping.is_shortened())
    }

    #[inline]
    fn all(&self) -> &[u8] {
        match &self.kind {
            Kind::Mapped(mapping) => mapping.bytes(),
            Kind::Memory(bytes) => bytes,
            Kind::Stream(stream) => stream.buffer.get(..stream.filled).unwrap_or_default(),
        }
    }
}

impl Stream {
    /// Drops what lies before `at` and reads until `length` bytes are there or the input ends.
    #[cold]
    fn fill(&mut self, at: usize, length: usize) {
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        while self.filled < length && !self.ended {
            if self.filled == self.buffer.len() {
                // Double, so that a lying length costs memory only as bytes really come.
                let size = (self.buffer.len() * 2).min(MAX_WINDOW.max(STREAM_BUFFER));
                self.buffer.resize(size, 0);
            }
            let Some(free) = self.buffer.get_mut(self.filled..) else { break };
            match self.reader.read(free) {
                Ok(0) => self.ended = true,
                Ok(n) => self.filled += n.min(free.len()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.error = Some(e);
                    self.ended = true;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    /// Hands out its bytes a few at a time.
    struct Dribble(Vec<u8>, usize);

    impl Read for Dribble {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = out.len().min(7).min(self.0.len() - self.1);
            out[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    #[test]
    fn a_stream_shows_the_same_bytes_as_memory() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut memory = Source::memory(bytes.clone());
        let mut stream = Source::stream(Box::new(Dribble(bytes, 0)));
        for step in (1..5_000).cycle().step_by(37) {
            let a = memory.peek(step).len().min(step);
            assert_eq!(a, stream.peek(step).len().min(step));
            assert_eq!(memory.offset(), stream.offset());
            let (x, y) = (memory.take(a), stream.take(a));
            assert_eq!(memory.bytes(x), stream.bytes(y));
            if a < step {
                break;
            }
        }
        assert_eq!(memory.offset(), 1_000_000);
        assert_eq!(stream.skip(5), 0);
    }

    #[test]
    fn skip_needs_no_memory_for_what_it_skips() {
        let mut source = Source::stream(Box::new(io::repeat(7).take(100 << 20)));
        assert_eq!(source.skip(99 << 20), 99 << 20);
        assert_eq!(source.peek(MAX_WINDOW).len(), 1 << 20);
        let Kind::Stream(stream) = &source.kind else { panic!("a stream") };
        assert!(stream.buffer.len() <= 2 << 20);
    }
}
