//! Mappings and the logs they read: the mapping up to the first NUL byte, the log behind it.
#![no_main]

use capture::logs::{Entry, LogReader, Mapping};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (mapping, log) = data.split_at(end);
    let Ok(mapping) = std::str::from_utf8(mapping) else { return };
    let Ok(mapping) = Mapping::parse(mapping) else { return };
    let log = Box::new(std::io::Cursor::new(log.get(1..).unwrap_or_default().to_vec()));
    let Ok(mut reader) = LogReader::from_mapped_reader(log, &mapping) else { return };
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
