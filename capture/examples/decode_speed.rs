//! What reading and decoding cost: CPU time per frame of reader and decoder alone, with a sink that only counts.
//!
//! `cargo run --release -p capture --example decode_speed -- CAPTURE [RUNS]`

use std::hint::black_box;

use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig, Fate, Message, Packet, Sink};

#[derive(Default)]
struct Count {
    packets: u64,
    bytes: u64,
    messages: u64,
}

impl Sink for Count {
    fn packet(&mut self, packet: &Packet) {
        let packet = black_box(packet);
        self.packets += 1;
        self.bytes += u64::from(packet.ip_bytes);
    }

    fn message(&mut self, message: Message) {
        black_box(&message);
        self.messages += 1;
    }
}

/// CPU time of this thread, nanoseconds (Linux).
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: decode_speed CAPTURE [RUNS]")?;
    let runs: u32 = args.next().map_or(Ok(5), |n| n.parse())?;
    let (mut best_read, mut best) = (f64::MAX, f64::MAX);
    for run in 0..runs {
        let start = cpu();
        let mut reader = CaptureReader::open(&path)?;
        let mut frames = 0_u64;
        while let Some(frame) = reader.next_frame()? {
            black_box(frame.data.first());
            frames += 1;
        }
        best_read = best_read.min((cpu() - start) as f64 / frames as f64);
        let start = cpu();
        let mut reader = CaptureReader::open(&path)?;
        let (mut decoder, mut sink) = (Decoder::new(DecoderConfig::default()), Count::default());
        let mut received = 0_u64;
        while let Some(frame) = reader.next_frame()? {
            received += u64::from(matches!(decoder.handle_frame(&frame, &mut sink), Fate::Received { .. }));
        }
        decoder.finish(&mut sink);
        best = best.min((cpu() - start) as f64 / frames as f64);
        if run == 0 {
            let Count { packets, bytes, messages } = sink;
            println!("{frames} frames, {received} received, {packets} packets, {bytes} IP bytes, {messages} messages");
            for (name, count) in reader.counters().into_iter().chain(decoder.counters()).filter(|(_, n)| *n > 0) {
                println!("  {name} {count}");
            }
        }
    }
    println!("reader alone {best_read:.1} ns/frame, reader and decoder {best:.1} ns/frame (CPU time, best of {runs})");
    Ok(())
}
