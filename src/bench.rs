//! `spotter bench`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use perf::bench::{BenchError, BenchOptions, Part};

use crate::bench_query;
use crate::output::UsedWrongly;

/// Measure on this machine, beside the peers, in one run.
///
/// `ratio` is times better than the peer in the same run (above 1 is better). Absolute values mean little on a shared
/// machine; ratios do.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter bench                          all parts but query\n  spotter bench import --file tap.pcap --json\n  \
    spotter bench capture --only \"500 k\" --runs 1  one traffic, once\n  spotter bench query --rows 5000000     a day of so many flow records\n  spotter bench score --flows 5000000      smaller days\n\n\
    Parts, and beside what they stand:\n  import   tshark, nfpcapd, softflowd\n  collect  nfcapd\n  lake     the Parquet library's own writer, pyarrow\n  \
    lda      tomotopy, gensim, scikit-learn, Spark MLlib; ten minutes\n  score    its goals: days of 1, 10 and 50 million flows; some 4 GB in TMPDIR\n  \
    probe    PERCPU_HASH, LRU_PERCPU_HASH; as root\n  shard    -, from memory\n  \
    capture  softflowd, pmacctd, AF_PACKET, programs that only drop; as root, half an hour\n  query    DuckDB: the pages' API\n\n\
    Use a release build."
)]
pub(crate) struct Args {
    /// Which part; all without it.
    part: Option<String>,
    /// The capture for `import`, and whose flows `collect` is sent; a synthetic one without it.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Runs of each process, in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Rows for `lake`; flow records of the day for `query`.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: u64,
    /// For `score`: flows of the largest of its three days; the others have a fiftieth and a fifth of it.
    #[arg(long, value_name = "N", default_value_t = 50_000_000, value_parser = clap::value_parser!(u64).range(50_000..=1_000_000_000))]
    flows: u64,
    /// For `query`: a lake that is there already, instead of a synthetic day.
    #[arg(long, value_name = "DIR")]
    lake: Option<PathBuf>,
    /// For `lda` and `query`: a Python virtual environment with the peers (`lda` makes it if there is none); without it those
    /// `python3` has.
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// For `capture`: watch memory for so many minutes, too.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1440))]
    minutes: u32,
    /// For `capture`: only the traffic whose name has this text: "10 k flows", "500 k flows", "VXLAN", "AF_XDP alone".
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    #[command(flatten)]
    worker: crate::bench_lda::Worker,
    /// One JSON object a line: part, figure, unit, value, peer, peer_value, ratio, spread.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.worker.run()? {
        return Ok(ExitCode::SUCCESS);
    }
    if args.part.as_deref() == Some("query") {
        let (lake, venv) = (args.lake.as_deref(), args.venv.as_deref());
        let options =
            bench_query::Options { rows: args.rows, lake, requests: args.runs.max(20), venv, json: args.json };
        bench_query::run(&options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let parts = match &args.part {
        None => Part::ALL.to_vec(),
        Some(name) => vec![name.parse::<Part>().map_err(|e: BenchError| UsedWrongly(format!("{e}, query")))?],
    };
    let mut options = BenchOptions::new()?;
    options.file.clone_from(&args.file);
    options.runs = args.runs;
    options.rows = args.rows;
    options.flows = args.flows;
    options.venv.clone_from(&args.venv);
    options.minutes = args.minutes;
    options.only.clone_from(&args.only);
    let mut written = Ok(());
    for part in parts {
        perf::bench::run(part, &options, &mut |figure| {
            let mut out = std::io::stdout().lock();
            let line =
                if args.json { serde_json::to_string(figure).map_err(Into::into) } else { Ok(figure.to_string()) };
            if written.is_ok() {
                written = line.and_then(|line: String| writeln!(out, "{line}").map_err(anyhow::Error::from));
            }
        })?;
    }
    written?;
    Ok(ExitCode::SUCCESS)
}
