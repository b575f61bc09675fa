//! What the decoder makes of each frame of a capture: one line a frame.
//!
//! `cargo run -p capture --example packets -- [--outer] CAPTURE`

use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig, Fate, Message, Packet, Sink, Tunnels};

struct Print;

impl Sink for Print {
    fn packet(&mut self, packet: &Packet) {
        let Packet { pair, ip_bytes, payload_bytes, tcp, fragment, tunnel, .. } = packet;
        let (src, dst) = (pair.src.to_ip_addr(pair.version), pair.dst.to_ip_addr(pair.version));
        println!(
            "{src} {} {dst} {} proto {} bytes {ip_bytes} payload {payload_bytes} flags {:#04x} {fragment:?} {tunnel:?}",
            pair.src_port, pair.dst_port, pair.proto, tcp.flags
        );
    }

    fn message(&mut self, _: Message) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let outer = args.first().is_some_and(|arg| arg == "--outer");
    if outer {
        args.remove(0);
    }
    let path = args.first().ok_or("usage: packets [--outer] CAPTURE")?;
    let tunnels = if outer { Tunnels::Outer } else { Tunnels::Inner };
    let mut decoder = Decoder::new(DecoderConfig { tunnels, ..DecoderConfig::default() });
    let mut reader = CaptureReader::open(path)?;
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => match decoder.handle_frame(&frame, &mut Print) {
                Fate::Received { .. } => {}
                fate => println!("{fate:?}"),
            },
            Ok(None) => break,
            Err(error) => println!("{error}"),
        }
    }
    decoder.finish(&mut Print);
    for (name, count) in reader.counters().into_iter().chain(decoder.counters()).filter(|(_, n)| *n > 0) {
        println!("# {name} {count}");
    }
    Ok(())
}
