//! POSIX ustar, as much as a bundle of plain files needs.

/// Size of a header, and what everything is padded to.
pub(super) const BLOCK: usize = 512;
/// Largest size that eleven octal digits hold.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// The header of a file, or nothing where name or size cannot be said. `time` is Unix seconds.
pub(super) fn header(name: &str, size: u64, time: u64) -> Option<[u8; BLOCK]> {
    if name.len() > 100 || name.is_empty() || size > MAX_SIZE {
        return None;
    }
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = block.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", time.min(MAX_SIZE)).as_bytes());
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(place) = block.get_mut(148..156) {
        place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    Some(block)
}

/// Zeros after so many bytes of a file.
pub(super) fn padding(size: u64) -> usize {
    let rest = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if rest == 0 { 0 } else { BLOCK - rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header that GNU tar 1.34 wrote for the same file (`--format=ustar --owner=0 --group=0 --numeric-owner`):
    /// its checksum field.
    #[test]
    fn the_checksum_is_the_sum_with_the_field_blank() {
        let block = header("a.txt", 3, 0).unwrap();
        let with_blanks: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(&block[148..154], format!("{with_blanks:06o}").as_bytes());
        assert_eq!(&block[124..136], b"00000000003\0");
        assert_eq!((padding(0), padding(1), padding(512), padding(513)), (0, 511, 0, 511));
        assert!(header(&"n".repeat(101), 1, 0).is_none() && header("big", MAX_SIZE + 1, 0).is_none());
    }
}
