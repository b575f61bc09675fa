//! Writes a synthetic capture and its label file: `synth OUT.pcap LABELS.jsonl [SEED [HOSTS [VOLUME [SNAPLEN [INTENSITY]]]]]`.

use std::fs::File;

use perf::synth::{SynthConfig, write_labels, write_pcap};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, labels, rest @ ..] = arguments.as_slice() else {
        return Err("usage: synth OUT.pcap LABELS.jsonl [SEED [HOSTS [VOLUME [SNAPLEN [INTENSITY]]]]]".into());
    };
    let mut config = SynthConfig::demo();
    if let Some(seed) = rest.first() {
        config.seed = seed.parse()?;
    }
    if let Some(hosts) = rest.get(1) {
        config.hosts = hosts.parse()?;
    }
    if let Some(volume) = rest.get(2) {
        config.volume = volume.parse()?;
    }
    if let Some(snaplen) = rest.get(3) {
        config.snaplen = snaplen.parse()?;
    }
    if let Some(intensity) = rest.get(4) {
        config.intensity = intensity.parse()?;
    }
    let summary = write_pcap(&config, File::create(out)?, &mut ())?;
    write_labels(&summary.labels, &mut File::create(labels)?)?;
    println!(
        "{} packets, {} bytes on the wire, {} in the file, {} sessions at once, {} incidents",
        summary.packets,
        summary.wire_bytes,
        summary.file_bytes,
        summary.sessions_at_once,
        summary.labels.len()
    );
    Ok(())
}
