//! Prints the application messages of a capture file, one a line: `cargo run -p capture --example messages FILE`.

use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig, Message, Packet, Sink};
use std::io::Write as _;

struct Print {
    frame: u64,
    out: std::io::BufWriter<std::io::Stdout>,
}

impl Sink for Print {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        let Message { ts, pair, body, .. } = message;
        let (src, dst) = (pair.src.to_ip_addr(pair.version), pair.dst.to_ip_addr(pair.version));
        let _ = writeln!(
            self.out,
            "{}\t{}.{:09}\t{src}\t{}\t{dst}\t{}\t{body:?}",
            self.frame,
            ts.0.div_euclid(1_000_000_000),
            ts.0.rem_euclid(1_000_000_000),
            pair.src_port,
            pair.dst_port
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("name a capture file")?;
    let mut reader = CaptureReader::open(std::path::Path::new(&path))?;
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut print = Print { frame: 0, out: std::io::BufWriter::new(std::io::stdout()) };
    while let Some(frame) = reader.next_frame()? {
        print.frame += 1;
        decoder.handle_frame(&frame, &mut print);
    }
    decoder.finish(&mut print);
    for (name, count) in decoder.counters() {
        eprintln!("{name}\t{count}");
    }
    Ok(())
}
