//! HTTP/1.x: a conversation in segments of any order.
#![no_main]

#[allow(dead_code, reason = "the datagrams are for another target")]
mod segments;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| segments::conversation(data, 80));
