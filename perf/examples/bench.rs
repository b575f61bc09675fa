//! Runs a part of the benches without the `spotter` command: `bench PART [FILE|-] [RUNS]`.
//!
//! Started by itself as `bench import --json --lake DIR FILE`, it stands in for `spotter import` with the same library
//! call, so that the import can be measured from this crate alone.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use aggregator::import::{ImportOptions, Input, Progress, import};
use aggregator::lake::Lake;
use perf::bench::{BenchOptions, run};

/// As the command has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

struct Quiet;

impl Progress for Quiet {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["import", "--json", "--lake", lake, file] => {
            let lake = Lake::open(Path::new(lake))?;
            let inputs = [Input::Path((*file).into())];
            let report = import(&lake, &inputs, &ImportOptions::new("bench"), &AtomicBool::new(false), &mut Quiet)?;
            println!("{}", serde_json::to_string(&report)?);
            Ok(())
        }
        [part, rest @ ..] => {
            let mut options = BenchOptions::new()?;
            options.file = rest.first().filter(|f| **f != "-").map(Into::into);
            if let Some(runs) = rest.get(1) {
                options.runs = runs.parse()?;
            }
            run(part.parse()?, &options, &mut |figure| println!("{figure}"))?;
            Ok(())
        }
        [] => Err("usage: bench PART [FILE|-] [RUNS]".into()),
    }
}
