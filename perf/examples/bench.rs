//! Runs a part of the benches with another build of the command: `bench PART SPOTTER [FILE|-] [RUNS]`.

use perf::bench::{BenchOptions, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [part, spotter, rest @ ..] = arguments.as_slice() else {
        return Err("usage: bench PART SPOTTER [FILE|-] [RUNS]".into());
    };
    let mut options = BenchOptions { spotter: spotter.into(), ..BenchOptions::new()? };
    options.file = rest.first().filter(|f| *f != "-").map(Into::into);
    if let Some(runs) = rest.get(1) {
        options.runs = runs.parse()?;
    }
    run(part.parse()?, &options, &mut |figure| println!("{figure}"))?;
    Ok(())
}
