//! The fuzz targets of the application decoders on random input built from what protocols say: a short run of
//! what `make fuzz` does at length.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

#[path = "../../fuzz/fuzz_targets/segments.rs"]
mod segments;

use proptest::prelude::*;

/// Pieces that lead the decoders deep.
const WORDS: [&[u8]; 22] = [
    b"GET / HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"Content-Length: 70\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"\n\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"HEAD /x HTTP/1.0\r\n\r\n",
    b"Content-Length: 18446744073709551615\r\n\r\n",
    b"Host: a\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03",
    b"\x16\x03\x03\xff\xff\x01\xff\xff\xff",
    b"\x00\x00\x00\x05\x00\x03\x00\x00\x00",
    b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01",
    b"\x00\x20\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x01",
    b"\xc0\x0c",
    b"\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x05",
    b"\x03www\xc0\x00",
    b"\x00\x00\x29\x10\x00\x01\x00\x00\x00\x00\x00",
];

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(WORDS.to_vec()).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn operations() -> impl Strategy<Value = Vec<u8>> {
    let operation = (any::<[u8; 4]>(), payload()).prop_map(|([side, flags, jump, cut], payload)| {
        // Two connections, so that their streams go on; lengths as the target reads them.
        let side = side & 0x83 | (payload.len() >> 4 & 0x70) as u8;
        [&[side, flags, jump, payload.len() as u8, cut], &payload[..]].concat()
    });
    proptest::collection::vec(operation, 0..40).prop_map(|operations| operations.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conversations(input in operations(), port in prop_oneof![Just(53_u16), Just(80), Just(443)]) {
        segments::conversation(&input, port);
    }

    #[test]
    fn datagrams(mut input in payload(), how in any::<[u8; 13]>(), port in prop_oneof![Just(53_u16), Just(5353), Just(5355)]) {
        input.splice(0..0, how);
        segments::datagram(&input, port);
    }
}
