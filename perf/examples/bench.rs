//! Runs a part of the benches without the `spotter` command: `bench PART [FILE|-] [RUNS] [ONLY]`.
//!
//! Started by itself as `bench import --json --lake DIR FILE`, it stands in for `spotter import` with the same library
//! call, so that the import can be measured from this crate alone; as `bench capture --json --lake DIR -i IF --mode MODE
//! --policy tap` for `spotter capture`, and as `bench collect --json --listen ADDR …` for `spotter collect`.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use aggregator::exported_live::{CollectOptions, Sockets, collect};
use aggregator::import::{ImportOptions, Input, Progress, import};
use aggregator::lake::Lake;
use capture::collect::socket::open_group;
use perf::bench::{BenchOptions, run};
#[cfg(feature = "probe")]
use {
    aggregator::live::{LiveOptions, Shell},
    capture::live::{ModeChoice, OpenOptions, PolicyChoice, open},
};

/// As the command has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

struct Quiet;

impl Progress for Quiet {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["import", "--json", "--lake", lake, file] => {
            let lake = Lake::open(Path::new(lake))?;
            let inputs = [Input::Path((*file).into())];
            let report = import(&lake, &inputs, &ImportOptions::new("bench"), &AtomicBool::new(false), &mut Quiet)?;
            println!("{}", serde_json::to_string(&report)?);
            Ok(())
        }
        ["collect", "--json", "--listen", address, "--buffer", buffer, "--lake", lake] => {
            let stop = std::sync::Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal_hook::consts::SIGTERM, std::sync::Arc::clone(&stop))?;
            let datagrams = open_group(address.parse()?, 1, buffer.parse()?)?;
            let sockets = Sockets { datagrams, ..Sockets::default() };
            let report = collect(&Lake::open(Path::new(lake))?, sockets, &CollectOptions::new("bench"), &stop)?;
            println!("{}", serde_json::to_string(&report)?);
            Ok(())
        }
        #[cfg(feature = "probe")]
        ["capture", "--json", "--lake", lake, "-i", interface, "--mode", mode, "--policy", policy] => {
            capture_live(Path::new(lake), interface, mode.parse()?, policy.parse()?)
        }
        [part, rest @ ..] => {
            let mut options = BenchOptions::new()?;
            options.file = rest.first().filter(|f| **f != "-").map(Into::into);
            if let Some(runs) = rest.get(1) {
                options.runs = runs.parse()?;
            }
            options.only = rest.get(2).map(|text| (*text).to_owned());
            run(part.parse()?, &options, &mut |figure| println!("{figure}"))?;
            Ok(())
        }
        [] => Err("usage: bench PART [FILE|-] [RUNS] [ONLY]".into()),
    }
}

/// Ends when the standard signals say so.
#[cfg(feature = "probe")]
struct UntilSignal(std::sync::Arc<AtomicBool>);

#[cfg(feature = "probe")]
impl Shell for UntilSignal {
    fn is_interrupted(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[cfg(feature = "probe")]
fn capture_live(
    lake: &Path,
    interface: &str,
    mode: ModeChoice,
    policy: PolicyChoice,
) -> Result<(), Box<dyn std::error::Error>> {
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, std::sync::Arc::clone(&stop))?;
    let opened = open(interface, &OpenOptions { mode, policy, ..OpenOptions::default() })?;
    eprintln!("{interface}: capturing by {}", opened.mode().as_str());
    let lake = Lake::open(lake)?;
    let report = aggregator::live::run(&lake, vec![opened], &LiveOptions::new("bench"), &UntilSignal(stop))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
