//! The shared captures with random damage: nothing panics, errors come to an end, the books close.
//!
//! `SPOTTER_MUTATIONS` says how often each capture is damaged (default 2); the damage is always the same.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

use std::fs;
use std::path::Path;

use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig, Fate, Message, Packet, Sink, Tunnels};

#[derive(Default)]
struct Sum {
    packets: u64,
    bytes: u64,
    messages: u64,
}

impl Sink for Sum {
    fn packet(&mut self, packet: &Packet) {
        self.packets += 1;
        self.bytes += u64::from(packet.ip_bytes);
    }

    fn message(&mut self, _: Message) {
        self.messages += 1;
    }
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..=bytes.len() / 200 {
        let (at, value) = (random.below(bytes.len() - 1), random.below(256) as u8);
        match random.below(8) {
            0 => bytes[at] = 0,
            1 => bytes[at] = 0xff,
            2 => bytes[at] ^= 1 << (value & 7),
            3 if at > 200 => drop(bytes.drain(at..(at + 1 + random.below(4)).min(bytes.len()))),
            _ => bytes[at] = value,
        }
    }
    if random.below(4) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
}

fn read(bytes: Vec<u8>, name: &Path, tunnels: Tunnels) -> (u64, Sum) {
    let bound = bytes.len() + 2;
    let mut sum = Sum::default();
    let Ok(mut reader) = CaptureReader::from_bytes(bytes, name) else { return (0, sum) };
    let mut decoder = Decoder::new(DecoderConfig { tunnels, ..DecoderConfig::default() });
    let (mut received, mut received_bytes, mut frames, mut errors) = (0, 0, 0, 0);
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                frames += 1;
                if let Fate::Received { ip_bytes } = decoder.handle_frame(&frame, &mut sum) {
                    received += 1;
                    received_bytes += u64::from(ip_bytes);
                }
            }
            Ok(None) => break,
            Err(_) => errors += 1,
        }
        assert!(frames + errors < bound, "{}: neither frames nor an end", name.display());
    }
    decoder.finish(&mut sum);
    assert_eq!((received, received_bytes), (sum.packets, sum.bytes), "{}: books", name.display());
    (frames as u64, sum)
}

#[test]
fn damaged_captures() {
    let shared = std::env::var_os("SPOTTER_SHARED").map_or_else(|| Path::new("../../shared").to_owned(), Into::into);
    let Ok(captures) = fs::read_dir(shared.join("data/pcap")) else {
        println!("skipped: no test data in {} (set SPOTTER_SHARED)", shared.display());
        return;
    };
    let rounds: u64 = std::env::var("SPOTTER_MUTATIONS").map_or(2, |n| n.parse().unwrap());
    let mut paths: Vec<_> = captures.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut totals = [0; 3];
    for (number, path) in (1..).zip(&paths) {
        let mut whole = fs::read(path).unwrap();
        whole.truncate(200_000);
        for round in 0..rounds {
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (number << 32) ^ (round + 1));
            let mut bytes = whole.clone();
            // Sometimes the headers stay whole, so that the frames behind them are reached.
            let kept = if round % 2 == 0 { bytes.drain(..24.min(whole.len())).collect() } else { Vec::new() };
            damage(&mut bytes, &mut random);
            let bytes = [kept, bytes].concat();
            let tunnels = if random.below(2) == 0 { Tunnels::Inner } else { Tunnels::Outer };
            let (frames, sum) = read(bytes, path, tunnels);
            totals = [totals[0] + frames, totals[1] + sum.packets, totals[2] + sum.messages];
        }
    }
    let [frames, packets, messages] = totals;
    println!("{} captures, {frames} frames, {packets} packets, {messages} messages", paths.len());
    assert!(frames > 1_000 && packets > 500 && messages > 100);
}
