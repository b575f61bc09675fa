//! The chunked transfer coding (RFC 9112 7.1): only its lengths are read.

/// Hexadecimal digits of a length: more is no length.
const MAX_DIGITS: u32 = 16;

/// Where in a chunked body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the length of a chunk: its value and digits so far.
    Size(u64, u32),
    /// In what follows the length on its line.
    Extension(u64),
    /// Bytes left of a chunk.
    Data(u64),
    /// In the line end after a chunk.
    DataEnd,
    /// In the trailer section; whether the line has anything on it.
    Trailer(bool),
}

/// What became of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All are of the body, which goes on.
    More,
    /// The body ends with the first so many.
    Ended(usize),
    /// No chunk begins after the first so many.
    Broken(usize),
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self::Size(0, 0)
    }

    /// Reads on.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(&b) = bytes.get(at) {
            if let Self::Data(left) = self {
                let here = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                at += here;
                *left -= here as u64;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                continue;
            }
            *self = match (*self, b) {
                (Self::Size(size, digits), _) if b.is_ascii_hexdigit() && digits < MAX_DIGITS => {
                    let digit = char::from(b).to_digit(16).unwrap_or(0);
                    Self::Size(size << 4 | u64::from(digit), digits + 1)
                }
                (Self::Size(_, 0), _) => return Progress::Broken(at),
                (Self::Size(size, _) | Self::Extension(size), b'\n') => {
                    if size == 0 {
                        Self::Trailer(false)
                    } else {
                        Self::Data(size)
                    }
                }
                (Self::Size(size, _), b'\r' | b';' | b' ' | b'\t') => Self::Extension(size),
                (Self::Size(..), _) => return Progress::Broken(at),
                (Self::DataEnd, b'\r') => Self::DataEnd,
                (Self::DataEnd, b'\n') => Self::new(),
                (Self::DataEnd, _) => return Progress::Broken(at),
                (Self::Trailer(false), b'\n') => return Progress::Ended(at + 1),
                (Self::Trailer(_), b'\n') => Self::Trailer(false),
                (Self::Trailer(any), b'\r') => Self::Trailer(any),
                (Self::Trailer(_), _) => Self::Trailer(true),
                (same @ (Self::Extension(_) | Self::Data(_)), _) => same,
            };
            at += 1;
        }
        Progress::More
    }

    /// So many bytes are missing. `false` if they reach beyond the chunk, so that it is not known where the
    /// body goes on.
    pub(super) fn miss(&mut self, bytes: u32) -> bool {
        match self {
            Self::Data(left) if *left > u64::from(bytes) => {
                *left -= u64::from(bytes);
                true
            }
            Self::Data(left) if *left == u64::from(bytes) => {
                *self = Self::DataEnd;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5;name=\"x\"\r\nhello\r\nA\nworld world\r\n0\r\nTrailer: 1\r\n\r\n";

    #[test]
    fn ends_in_the_same_place_however_it_is_cut() {
        let body = &BODY.iter().copied().filter(|&b| b != 0).collect::<Vec<_>>();
        let body = String::from_utf8(body.clone()).expect("text").replace("world world", "world worl");
        let followed = format!("{body}HTTP/1.1 200 OK");
        for cut in 0..body.len() {
            let mut chunked = Chunked::new();
            let (first, second) = followed.as_bytes().split_at(cut);
            assert_eq!(chunked.read(first), Progress::More, "{cut}");
            assert_eq!(chunked.read(second), Progress::Ended(body.len() - cut), "{cut}");
        }
    }

    #[test]
    fn loss_within_a_chunk_is_counted_over() {
        let mut chunked = Chunked::new();
        assert_eq!(chunked.read(b"100\r\nabc"), Progress::More);
        assert!(chunked.miss(200));
        assert_eq!(chunked, Chunked::Data(53));
        assert!(chunked.miss(53));
        assert_eq!(chunked.read(b"\r\n0\r\n\r\nHTTP"), Progress::Ended(7));
        assert!(!Chunked::Data(5).miss(6));
    }

    #[test]
    fn what_is_no_length() {
        assert_eq!(Chunked::new().read(b"\r\n"), Progress::Broken(0));
        assert_eq!(Chunked::new().read(b"5x"), Progress::Broken(1));
        assert_eq!(Chunked::new().read(b"11111111111111111\r\n"), Progress::Broken(16));
        assert_eq!(Chunked::new().read(b"2\r\nabc"), Progress::Broken(5));
    }
}
