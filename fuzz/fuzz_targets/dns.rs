//! DNS: a datagram of each transport, and a conversation over TCP.
#![no_main]

mod segments;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else { return };
    match how & 3 {
        0 => segments::datagram(data, 53),
        1 => segments::datagram(data, 5353),
        2 => segments::datagram(data, 5355),
        _ => segments::conversation(data, 53),
    }
});
