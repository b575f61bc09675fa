//! Writes a lake of synthetic records and says how fast: `records LAKE FLOWS`.

use std::time::Instant;

use aggregator::lake::{Lake, WriterOptions};
use perf::synth::{SynthConfig, write_lake};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, flows] = arguments.as_slice() else { return Err("usage: records LAKE FLOWS".into()) };
    let config = SynthConfig { volume: 0.0005, ..SynthConfig::for_flows(flows.parse()?) };
    println!("{} hosts, activity {:.2}", config.hosts, config.activity);
    let lake = Lake::open(folder)?;
    let begin = Instant::now();
    let (made, _) = write_lake(&config, &lake, WriterOptions::new("synthetic"), &mut ())?;
    let seconds = begin.elapsed().as_secs_f64();
    let rows = made.flows + made.dns + made.proxy;
    println!(
        "{} packets as {} flows, {} dns, {} proxy in {seconds:.1} s: {:.0} rows/s",
        made.packets,
        made.flows,
        made.dns,
        made.proxy,
        rows as f64 / seconds
    );
    Ok(())
}
