//! Writes a capture made to exhaust its reader: `hostile KIND COUNT OUT.pcap`.

use std::fs::File;

use perf::synth::write_hostile;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, count, out] = arguments.as_slice() else { return Err("usage: hostile KIND COUNT OUT.pcap".into()) };
    println!("{} packets", write_hostile(kind.parse()?, count.parse()?, File::create(out)?)?);
    Ok(())
}
