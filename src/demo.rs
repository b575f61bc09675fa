//! `spotter demo`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use aggregator::import::{FileOutcome, ImportOptions, Input, import};
use aggregator::lake::{Lake, Source};
use analytics::score::{Ranking, ScoreRequest, days, score};
use analytics::sql::{Engine, EngineLimits, RowLimits};
use anyhow::Context;
use perf::synth::{Attack, Date, Intensity, Label, SynthConfig, write_labels, write_pcap};
use serde_json::{Value, json};

use crate::appliance::interrupt;
use crate::output::{self, UsedWrongly};
use crate::serve::Service;

/// A synthetic day with known attacks: generate packets, import them, score, say where each attack stands, serve.
///
/// The capture and the labels stay in LAKE/demo. Nothing is configured and nothing leaves this machine.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter demo\n  spotter demo --seed 7 --intensity low --no-serve --json\n  \
    spotter demo --attacks dga,dns_tunnel_txt --lake /tmp/tunnels")]
pub(crate) struct Args {
    /// The lake to make. A lake that an earlier demo made here is replaced; any other is left alone.
    #[arg(long, value_name = "DIR", default_value = "spotter-demo")]
    lake: PathBuf,
    /// Seeds everything: the same seed gives the same day.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    /// Hosts of the organisation.
    #[arg(long, value_name = "N")]
    hosts: Option<u32>,
    /// Which attacks: all, none, or names with commas (see the labels).
    #[arg(long, value_name = "NAMES", default_value = "all")]
    attacks: String,
    /// How loud the attacks are: low, medium, high.
    #[arg(long, default_value = "medium", value_parser = ["low", "medium", "high"])]
    intensity: String,
    /// Where to serve the result: a loopback address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8889")]
    listen: SocketAddr,
    /// Stop after scoring.
    #[arg(long)]
    no_serve: bool,
    /// By what is ranked: fused (detectors and scores together) or spot (Apache Spot's score alone).
    #[arg(long, default_value = "fused", value_parser = ["fused", "spot"])]
    score: String,
    /// Print the incidents and their ranks as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let service = Service::local(args.listen);
    if !args.no_serve {
        service.check()?;
    }
    let config = synth_config(args)?;
    let began = Instant::now();
    make_room(&args.lake)?;
    let lake = Lake::open(&args.lake)?;
    let folder = args.lake.join("demo");
    let labels = generate(&config, &folder)?;
    read(&lake, &folder.join("day.pcap"))?;
    learn(&lake, args.score.parse::<Ranking>().map_err(UsedWrongly)?)?;
    report(&lake, &labels, args.json)?;
    tracing::info!("generated, imported and scored in {:.1} s", began.elapsed().as_secs_f64());
    if !args.no_serve {
        crate::serve::serve(&lake, service, Default::default(), interrupt::flag()?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn synth_config(args: &Args) -> anyhow::Result<SynthConfig> {
    let wrong = |e: perf::synth::SynthError| UsedWrongly(e.to_string());
    let mut config = SynthConfig { seed: args.seed, ..SynthConfig::demo() };
    config.attacks = Attack::set(&args.attacks).map_err(wrong)?;
    config.intensity = args.intensity.parse::<Intensity>().map_err(wrong)?;
    if let Some(date) = &args.date {
        config.date = date.parse::<Date>().map_err(wrong)?;
    }
    if let Some(hosts) = args.hosts {
        config.hosts = hosts;
    }
    config.validate().map_err(wrong)?;
    Ok(config)
}

/// Removes the lake of an earlier demo; refuses to touch anything else.
fn make_room(lake: &Path) -> anyhow::Result<()> {
    if !lake.exists() || lake.read_dir().is_ok_and(|mut entries| entries.next().is_none()) {
        return Ok(());
    }
    anyhow::ensure!(
        lake.join("demo/labels.jsonl").is_file(),
        "{} exists and was not made by `spotter demo`; give another folder with --lake",
        lake.display()
    );
    std::fs::remove_dir_all(lake).with_context(|| format!("cannot remove the earlier demo in {}", lake.display()))
}

fn generate(config: &SynthConfig, folder: &Path) -> anyhow::Result<Vec<Label>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("day.pcap");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let bar = output::step_bar(1000);
    bar.set_message("generating a day of traffic");
    let summary = write_pcap(config, file, &mut |share: f64, _| bar.set_position((share * 1000.0) as u64))?;
    bar.finish_and_clear();
    let mut labels = BufWriter::new(File::create(folder.join("labels.jsonl"))?);
    write_labels(&summary.labels, &mut labels)?;
    labels.flush()?;
    tracing::info!("generated {} packets with {} incidents: {}", summary.packets, summary.labels.len(), path.display());
    Ok(summary.labels)
}

fn read(lake: &Lake, capture: &Path) -> anyhow::Result<()> {
    let mut shown = crate::import::Shown { bar: output::byte_bar(0), files: 0 };
    let options = ImportOptions::new("demo");
    let report = import(lake, &[Input::Path(capture.to_owned())], &options, interrupt::flag()?, &mut shown)?;
    shown.bar.finish_and_clear();
    let imported = report.files.iter().all(|f| f.outcome == FileOutcome::Imported);
    anyhow::ensure!(imported, "the import did not finish: {}", serde_json::to_string(&report.files)?);
    tracing::info!("imported {} packets: {}", report.total.packets, serde_json::to_string(&report.total.records)?);
    Ok(())
}

fn learn(lake: &Lake, ranking: Ranking) -> anyhow::Result<()> {
    for source in Source::ALL {
        for day in days(lake, source)? {
            let mut shown =
                crate::score::Shown::new(interrupt::flag()?, format!("scoring {} {}", source.as_str(), day.date));
            let request = ScoreRequest::new(source, day.date);
            let request = if ranking == Ranking::Spot { request.as_spot() } else { request };
            let run = score(lake, &request, &mut shown)?;
            shown.bar.finish_and_clear();
            tracing::info!("scored {}", crate::score::summary(source, day.date, &run));
        }
    }
    Ok(())
}

/// Says where each incident stands: the place of its best group in each source's list, what fired there, and how many of its records are kept.
fn report(lake: &Lake, labels: &[Label], json: bool) -> anyhow::Result<()> {
    let engine = Engine::open(lake.clone(), EngineLimits::default())?;
    let mut out = std::io::stdout().lock();
    if !json {
        writeln!(out, "{:<22} {:<7} {:>9} {:>9} {:>9}  fired", "incident", "source", "best rank", "kept", "records")?;
    }
    let mut found = Vec::new();
    for label in labels {
        for (source, table) in SOURCES {
            let Some(condition) = label.sql(source) else { continue };
            let standing = engine.block_on(stand(&engine, table, &condition))?;
            if json {
                found.push(json!({ "incident": label.id, "kind": label.kind, "source": table, "best_rank": standing.best,
                    "spot_rank": standing.spot, "kept": standing.kept, "records": standing.records, "fired": standing.fired }));
            } else {
                let rank = standing.best.map_or_else(|| "not kept".to_owned(), |rank| rank.to_string());
                let Standing { kept, records, fired, .. } = standing;
                writeln!(out, "{:<22} {table:<7} {rank:>9} {kept:>9} {records:>9}  {}", label.id, fired.join(", "))?;
            }
        }
    }
    if json {
        writeln!(out, "{}", Value::Array(found))?;
    }
    Ok(())
}

const SOURCES: [(perf::synth::Source, &str); 3] =
    [(perf::synth::Source::Flow, "flow"), (perf::synth::Source::Dns, "dns"), (perf::synth::Source::Proxy, "proxy")];

/// Where an incident stands in a source.
struct Standing {
    /// Place of its best group.
    best: Option<u64>,
    /// Place of its best row by Spot's score among the rows kept.
    spot: Option<u64>,
    kept: u64,
    records: u64,
    /// Detectors and scores that fired for the best group.
    fired: Vec<String>,
}

async fn stand(engine: &Engine, table: &str, condition: &str) -> anyhow::Result<Standing> {
    let from = format!(
        "from (select record_id from {table} where {condition}) r left join scores_{table} s on r.record_id = s.record_id"
    );
    let sql = format!(
        "select min(s.fused_rank) as best, min(s.rank) as spot, count(s.rank) as kept, count(*) as records {from}"
    );
    let rows = engine.query_rows(&sql, Vec::new(), RowLimits::default()).await?;
    let number = |name: &str| rows.rows.first().and_then(|row| row.get(name)).and_then(Value::as_u64);
    let sql = format!(
        "select s.detectors as detectors {from} where s.fused_rank is not null order by s.fused_rank, s.rank limit 1"
    );
    let best = engine.query_rows(&sql, Vec::new(), RowLimits::default()).await?;
    let names = best.rows.first().and_then(|row| row.get("detectors")).and_then(Value::as_array);
    let fired = names.into_iter().flatten().filter_map(|one| one.get("name")?.as_str().map(str::to_owned)).collect();
    Ok(Standing {
        best: number("best"),
        spot: number("spot"),
        kept: number("kept").unwrap_or_default(),
        records: number("records").unwrap_or_default(),
        fired,
    })
}
