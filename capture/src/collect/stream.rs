//! IPFIX over TCP and in files: messages one after the other, told apart by their own lengths (RFC 7011, 10.4; RFC 5655).

/// What cannot be the beginning of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected an IPFIX message (version 10, at least 16 bytes), found version {version} and {length} bytes")]
pub struct MessageError {
    /// The version that stands there.
    pub version: u16,
    /// The length that stands there.
    pub length: u16,
}

/// Cuts a stream of bytes into messages. Holds at most one message (64 KiB) and what came with it.
#[derive(Debug, Default)]
pub struct MessageSplitter {
    buffer: Vec<u8>,
    start: usize,
}

impl MessageSplitter {
    /// Adds bytes of the stream.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; `None` where more bytes are needed. After an error nothing more can be told apart.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, MessageError> {
        let left = self.buffer.get(self.start..).unwrap_or_default();
        let Some([a, b, c, d]) = left.first_chunk::<4>() else { return Ok(None) };
        let (version, length) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        if version != 10 || length < 16 {
            return Err(MessageError { version, length });
        }
        let end = self.start + usize::from(length);
        if end > self.buffer.len() {
            return Ok(None);
        }
        let start = std::mem::replace(&mut self.start, end);
        Ok(self.buffer.get(start..end))
    }

    /// Bytes of a message that is not whole.
    pub fn left(&self) -> usize {
        self.buffer.len() - self.start
    }
}
