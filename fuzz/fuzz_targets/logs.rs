//! Logs of every kind: each line is a row, refused, or none.
#![no_main]

use capture::logs::{Entry, LogReader};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(Some(mut reader)) = LogReader::from_reader(Box::new(std::io::Cursor::new(data.to_vec()))) else { return };
    let (mut rows, mut refused) = (0, 0);
    loop {
        match reader.next_entry() {
            Ok(Some(Entry::Row(_))) => rows += 1,
            Ok(Some(Entry::Refused(_))) => refused += 1,
            Ok(None) | Err(_) => break,
        }
    }
    let counters = reader.counters();
    assert_eq!((counters.rows, counters.refused), (rows, refused));
    assert_eq!(counters.lines, rows + refused + counters.other_lines);
});
