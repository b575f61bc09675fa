//! `spotter query`

use std::io::{self, BufWriter, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::lake::Lake;
use analytics::output::{Format, WriteOptions, write};
use analytics::sql::{Engine, EngineLimits};
use bytesize::ByteSize;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;

/// Ask the lake in SQL. Reads only: SELECT, EXPLAIN, SHOW and DESCRIBE.
///
/// Tables: flow, dns, proxy, dhcp, scores (and scores_flow, scores_dns, scores_proxy), ledger, interfaces. Views with Apache
/// Spot's columns: spot_flow, spot_dns, spot_proxy; with Zeek's: zeek_dhcp. `date`, `hour` and `sensor` choose files before they are read.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter query \"show tables\"\n  spotter query \"describe flow\"\n  \
    spotter query \"select src_ip, count(*) n from flow where date = '2026-11-22' group by 1 order by n desc limit 10\"\n  \
    spotter query --format parquet \"select * from spot_dns\" > dns.parquet\n  \
    echo \"select count(*) from proxy\" | spotter query -")]
pub(crate) struct Args {
    /// The statement, or - to read it from standard input.
    sql: String,
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// How to write the answer.
    #[arg(long, default_value = "table", value_parser = formats())]
    format: Format,
    /// Stop with an error after this time.
    #[arg(long, value_name = "TIME", default_value = "5min")]
    timeout: humantime::Duration,
    /// Memory for sorting, joining and grouping; what does not fit is spilled to the temporary folder.
    #[arg(long, value_name = "BYTES", default_value = "1GiB")]
    memory: ByteSize,
}

fn formats() -> impl clap::builder::TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::NAMES.map(|(name, _)| name)).try_map(|name| name.parse::<Format>())
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut sql = args.sql.clone();
    if sql == "-" {
        sql.clear();
        io::stdin().lock().read_to_string(&mut sql)?;
    }
    let limits = EngineLimits {
        timeout: Some(Duration::from(args.timeout)),
        memory: usize::try_from(args.memory.as_u64()).unwrap_or(usize::MAX),
        ..EngineLimits::default()
    };
    let engine = Engine::open(Lake::open_existing(&args.lake)?, limits)?;
    let stdout = io::stdout();
    let terminal = stdout.is_terminal().then(terminal_width);
    let mut out = BufWriter::with_capacity(1 << 16, stdout.lock());
    engine.block_on(async {
        let mut answer = engine.sql(&sql).await?;
        write(&mut answer, args.format, &mut out, WriteOptions { terminal, ..WriteOptions::default() }).await?;
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Columns of the terminal; 100 where it does not say.
fn terminal_width() -> usize {
    match console::Term::stdout().size_checked() {
        Some((_, columns)) if columns >= 20 => usize::from(columns),
        _ => 100,
    }
}
