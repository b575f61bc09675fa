//! Checked reads from a packet.

/// The bytes of a packet from its first on.
///
/// In user space this is `[u8]`. A kernel program implements it over the packet's `data` and `data_end`,
/// with the comparison the verifier asks for in [`read`](Self::read).
pub trait HeaderBytes {
    /// `N` bytes at `offset`, or `None` if they are not all there.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl HeaderBytes for [u8] {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}
