//! A synthetic day straight into a lake, with its labels beside it: `day LAKE [SEED [INTENSITY [ATTACKS [HOSTS [DAYS]]]]]`.
//! The records are those of an import of the same day's capture.

use aggregator::lake::{Lake, WriterOptions};
use perf::synth::{Attack, SynthConfig, write_labels, write_lake};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut config = SynthConfig::default();
    let Some(folder) = arguments.first() else {
        return Err("usage: day LAKE [SEED [INTENSITY [ATTACKS [HOSTS [DAYS]]]]]".into());
    };
    let given = |at: usize| arguments.get(at).map(String::as_str);
    if let Some(seed) = given(1) {
        config.seed = seed.parse()?;
    }
    if let Some(intensity) = given(2) {
        config.intensity = intensity.parse()?;
    }
    if let Some(attacks) = given(3) {
        config.attacks = Attack::set(attacks)?;
    }
    if let Some(hosts) = given(4) {
        config.hosts = hosts.parse()?;
    }
    if let Some(days) = given(5) {
        config.days = days.parse()?;
    }
    let lake = Lake::open(folder)?;
    let (made, _) = write_lake(&config, &lake, WriterOptions::new("synthetic"), &mut ())?;
    std::fs::create_dir_all(format!("{folder}/demo"))?;
    write_labels(&made.labels, &mut std::fs::File::create(format!("{folder}/demo/labels.jsonl"))?)?;
    Ok(())
}
