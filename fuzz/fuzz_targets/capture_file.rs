//! Capture files through the reader: no panic, no error without end, and the same frames whether the
//! bytes are in memory or come from a stream a few at a time.

#![no_main]

use std::io::{self, Read};

use capture::file::CaptureReader;
use libfuzzer_sys::fuzz_target;

/// Hands out a few bytes at a time.
struct Dribble(Vec<u8>, usize);

impl Read for Dribble {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = out.len().min(1 + self.1 % 13).min(self.0.len() - self.1);
        out[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
        self.1 += n;
        Ok(n)
    }
}

fn read(reader: Result<CaptureReader, capture::file::FileError>, limit: usize) -> Vec<(Option<i64>, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    let Ok(mut reader) = reader else { return frames };
    let mut steps = 0;
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push((frame.ts.map(|ts| ts.0), frame.wire_len, frame.data.to_vec())),
            Ok(None) => return frames,
            Err(error) => drop(error.to_string()),
        }
        steps += 1;
        // Compressed input can hold many small records; plain input cannot hold more than this.
        assert!(steps <= limit, "neither frames nor an end");
        if steps > 100_000 {
            return frames;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let plain = !matches!(input, [0x1f | 0x28 | 0xfd | 0x50..=0x5f, ..]);
    let limit = if plain { input.len() + 2 } else { usize::MAX };
    let memory = read(CaptureReader::from_bytes(input.to_vec(), "memory"), limit);
    let stream = read(CaptureReader::from_reader(Dribble(input.to_vec(), 0), "stream"), limit);
    assert_eq!(memory, stream);
});
