//! Writing pcapng (draft-ietf-opsawg-pcapng): one section, an interface for each name, Enhanced Packet Blocks with
//! nanoseconds.

use std::io::{self, Write};

/// Largest frame that is written.
const MAX_FRAME: usize = 1 << 20;

/// Writes packets of Ethernet interfaces.
#[derive(Debug)]
pub(super) struct PcapngWriter<W> {
    to: W,
    /// Bytes written.
    position: u64,
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file with these interfaces, whose numbers are their places.
    pub(super) fn new(to: W, interfaces: &[(String, u16)], snaplen: u32) -> io::Result<Self> {
        let mut writer = Self { to, position: 0 };
        let mut body = Vec::new();
        // Byte order, version 1.0, section length not known.
        body.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        body.extend_from_slice(&[1, 0, 0, 0]);
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        option(&mut body, 4, concat!("Spotter ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(&mut body, 0, &[]);
        writer.block(0x0a0d_0d0a, &body)?;
        for (name, link) in interfaces {
            body.clear();
            body.extend_from_slice(&link.to_le_bytes());
            body.extend_from_slice(&[0, 0]);
            body.extend_from_slice(&(if snaplen == u32::MAX { 0 } else { snaplen }).to_le_bytes());
            option(&mut body, 2, name.as_bytes());
            // Nanoseconds.
            option(&mut body, 9, &[9]);
            option(&mut body, 0, &[]);
            writer.block(1, &body)?;
        }
        Ok(writer)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = (body.len() + 12) as u32;
        self.to.write_all(&kind.to_le_bytes())?;
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(body)?;
        self.to.write_all(&length.to_le_bytes())?;
        self.position += u64::from(length);
        Ok(())
    }

    /// Writes a packet and says at which byte its block begins. Times before 1970 are written as 1970.
    pub(super) fn packet(&mut self, interface: u32, ts: i64, data: &[u8], wire_len: u32) -> io::Result<u64> {
        let data = data.get(..MAX_FRAME).unwrap_or(data);
        let at = self.position;
        let padding = data.len().next_multiple_of(4) - data.len();
        let length = (data.len() + padding + 32) as u32;
        let time = u64::try_from(ts).unwrap_or(0);
        let mut head = [0; 28];
        let words = [6, length, interface, (time >> 32) as u32, time as u32, data.len() as u32, wire_len];
        for (to, word) in head.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.to.write_all(&head)?;
        self.to.write_all(data)?;
        self.to.write_all(&[0; 3][..padding])?;
        self.to.write_all(&length.to_le_bytes())?;
        self.position += u64::from(length);
        Ok(at)
    }

    /// Bytes written.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    pub(super) const fn get_mut(&mut self) -> &mut W {
        &mut self.to
    }

    /// Flushes what is buffered.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}
