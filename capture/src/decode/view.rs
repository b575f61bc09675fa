//! A part of a frame: the captured bytes, and how many there were on the wire.

/// Bytes from some layer on. What was captured may be less than what was on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Captured bytes.
    pub(super) data: &'a [u8],
    /// Bytes on the wire.
    pub(super) wire: usize,
}

impl<'a> View<'a> {
    /// `N` bytes at `at`, if captured.
    #[inline]
    pub(super) fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..)?.first_chunk().copied()
    }

    #[inline]
    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    /// 16 bits in network byte order.
    #[inline]
    pub(super) fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// 32 bits in network byte order.
    #[inline]
    pub(super) fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// Without the first `n` bytes.
    #[inline]
    pub(super) fn skip(self, n: usize) -> Self {
        Self { data: self.data.get(n..).unwrap_or_default(), wire: self.wire.saturating_sub(n) }
    }

    /// `n` bytes long: what is captured beyond is cut off, what is missing counts as not captured.
    #[inline]
    pub(super) fn sized(self, n: usize) -> Self {
        Self { data: self.data.get(..n).unwrap_or(self.data), wire: n }
    }
}
