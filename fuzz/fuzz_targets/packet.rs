//! Frames of any link type through the decoder: no panic, one fate a frame, one packet a received frame.
//!
//! Input: frames one after the other, each as link type (2 bytes), length (2), milliseconds since the frame
//! before (1), bytes missing of the wire length (1), all little-endian, and its data.

#![no_main]

use capture::{Decoder, DecoderConfig, Fate, Frame, LinkType, Message, Nanos, Packet, Sink, Tunnels};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Sum {
    packets: u64,
    bytes: u64,
}

impl Sink for Sum {
    fn packet(&mut self, packet: &Packet) {
        self.packets += 1;
        self.bytes += u64::from(packet.ip_bytes);
    }

    fn message(&mut self, message: Message) {
        assert!(message.first_ts <= message.ts);
    }
}

fuzz_target!(|input: &[u8]| {
    for tunnels in [Tunnels::Inner, Tunnels::Outer] {
        // Small bounds, so that they are met.
        let config = DecoderConfig { tunnels, max_fragmented: 4, max_fragment_bytes: 4096, ..DecoderConfig::default() };
        let (mut decoder, mut sum) = (Decoder::new(config), Sum::default());
        let (mut rest, mut now, mut received, mut received_bytes) = (input, 0_i64, 0, 0);
        while let [l0, l1, n0, n1, wait, missing, tail @ ..] = rest {
            let length = usize::from(u16::from_le_bytes([*n0, *n1])).min(tail.len());
            let (data, after) = tail.split_at(length);
            rest = after;
            now += i64::from(*wait) * 1_000_000;
            let frame = Frame {
                ts: (*wait != 255).then_some(Nanos(now)),
                wire_len: length as u32 + u32::from(*missing),
                data,
                link: LinkType(u16::from_le_bytes([*l0, *l1])),
            };
            if let Fate::Received { ip_bytes } = decoder.handle_frame(&frame, &mut sum) {
                received += 1;
                received_bytes += u64::from(ip_bytes);
            }
            assert_eq!((received, received_bytes), (sum.packets, sum.bytes));
        }
        decoder.finish(&mut sum);
        assert_eq!((received, received_bytes), (sum.packets, sum.bytes));
    }
});
