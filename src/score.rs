//! `spotter score`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aggregator::lake::{Day, Lake, Source};
use analytics::detect::rows::Internal;
use analytics::rules::{RuleFile, read_folder};
use analytics::score::{
    Beside, BesideCard, Optimizer, Progress, Ranking, ScoreError, ScoreRequest, ScoreRun, Stage, WordScheme, days,
    is_live, score,
};
use indicatif::ProgressBar;

use crate::appliance::interrupt;
use crate::output::{self, UsedWrongly};

/// Learn a day's traffic and keep its least likely records, with the reason for each.
///
/// Without --date every day that has records and no scores yet; days that were scored are left as they are.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter score                                      all days not yet scored, all sources\n  \
    spotter score --source dns --date 2026-11-22 --top-domains tranco.csv\n  \
    spotter score --date 2026-11-22 --score spot --threshold 1e-6      as Apache Spot, with its default TOL\n  \
    spotter score --source flow --date 2026-11-22 --import flow_results.csv      shows what Apache Spot said of it beside ours\n  \
    spotter query \"select fused_rank, src_ip, dst_ip, dst_port, detectors from scores_flow order by fused_rank limit 20\""
)]
pub(crate) struct Args {
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// What to score: flow, dns, proxy or all.
    #[arg(long, default_value = "all", value_parser = ["flow", "dns", "proxy", "all"])]
    source: String,
    /// The day, UTC; scored again if it was.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    date: Option<Day>,
    /// How records become words: spot = Apache Spot's to the letter, or rich.
    #[arg(long, value_parser = ["rich", "spot"])]
    words: Option<String>,
    /// Features of rich words, by key; without it those that were chosen by evaluation.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    features: Vec<String>,
    /// By what rows are kept and ranked: fused = detectors and the model's scores together; spot = P(word | document) alone, as
    /// Apache Spot did.
    #[arg(long, default_value = "fused", value_parser = ["fused", "spot"])]
    score: String,
    /// A network of the organisation beside the private ones; again for each.
    #[arg(long, value_name = "CIDR", value_parser = parse_network)]
    internal: Vec<(std::net::IpAddr, u8)>,
    /// Most rows to keep per source and day.
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Most rows to keep of one group; 0 = all.
    #[arg(long, value_name = "N", default_value_t = 10)]
    members: u32,
    /// Keep only rows with at most this score.
    #[arg(long, value_name = "P")]
    threshold: Option<f64>,
    /// Topics of the model.
    #[arg(long, value_name = "K", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=256))]
    topics: u16,
    /// Seed of the model. The same seed gives the same scores, whatever the number of threads.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Iterations of the fit; without it the optimizer's default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    iterations: Option<u32>,
    /// How the model is fitted: incremental is quick and ends best; em and online as Spot did. Without it incremental, and em with --score spot.
    #[arg(long, value_parser = ["incremental", "em", "online"])]
    optimizer: Option<String>,
    /// Starts of the incremental fit, of which the likeliest goes on.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    restarts: u8,
    /// Begin from chance, even where a model of one of the seven days before was kept.
    #[arg(long)]
    no_warm_start: bool,
    /// Popular domains: `rank,domain` or a name a line.
    #[arg(long, value_name = "FILE")]
    top_domains: Option<PathBuf>,
    /// The organisation's own second-level domain label (`example` of example.com).
    #[arg(long, value_name = "LABEL", default_value = "")]
    user_domain: String,
    /// A folder of rule files (Sigma .yml, SQL .sql) whose matches stand among the detectors.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// --score spot: how often a record of severity 3 is copied into the training, as Spot's DUPFACTOR; 0 = not at all.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    dupfactor: u32,
    /// Results of another model in Apache Spot's layout (flow_results.csv …): their places stand beside ours, among a record's detectors, and
    /// weigh nothing. Needs --source and --date.
    #[arg(long, value_name = "FILE", requires = "date")]
    import: Option<PathBuf>,
    /// Print one JSON object a run: its model card.
    #[arg(long)]
    json: bool,
}

pub(crate) fn parse_day(text: &str) -> Result<Day, String> {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map(|date| Day(date.to_epoch_days()))
        .map_err(|_| format!("\"{text}\" is not a day; write it as 2026-11-22"))
}

/// `203.0.113.0/24`, `2001:db8::/32`, or an address.
pub(crate) fn parse_network(text: &str) -> Result<(std::net::IpAddr, u8), String> {
    let wrong = || format!("\"{text}\" is not a network; write it as 203.0.113.0/24");
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: std::net::IpAddr = ip.parse().map_err(|_| wrong())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
    if bits <= most { Ok((ip, bits)) } else { Err(wrong()) }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    crate::allocator::with_huge_pages();
    if args.import.is_some() && args.source == "all" {
        return Err(UsedWrongly(
            "--import: say of which records the results are, with --source flow, dns or proxy".into(),
        )
        .into());
    }
    Lake::open_existing(&args.lake)?;
    let lake = Lake::open(&args.lake)?;
    let mut out = std::io::stdout().lock();
    let mut scored = 0;
    for source in Source::ALL.into_iter().filter(|s| args.source == "all" || args.source == s.as_str()) {
        for date in due(&lake, source, args.date)? {
            let mut shown = Shown::new(interrupt::flag()?, format!("{} {date}", source.as_str()));
            let run = match score(&lake, &request(args, source, date)?, &mut shown) {
                // With --source all a day may well have no proxy records.
                Err(ScoreError::NoRecords { .. }) if args.source == "all" => continue,
                done => done?,
            };
            shown.bar.finish_and_clear();
            scored += 1;
            if args.json {
                writeln!(out, "{}", serde_json::to_string(&run.card)?)?;
            } else {
                writeln!(out, "{}", summary(source, date, &run))?;
                if let Some(beside) = &run.card.rows.beside {
                    writeln!(out, "{}", agreement(beside))?;
                }
            }
        }
    }
    if scored == 0 {
        tracing::warn!("nothing to score: no day has records without scores; --date scores a day again");
    }
    Ok(ExitCode::SUCCESS)
}

/// The day asked for, or all that have records and no scores.
fn due(lake: &Lake, source: Source, asked: Option<Day>) -> anyhow::Result<Vec<Day>> {
    Ok(match asked {
        Some(date) => vec![date],
        None => {
            days(lake, source)?.into_iter().filter(|d| d.run.as_ref().is_none_or(is_live)).map(|d| d.date).collect()
        }
    })
}

fn request(args: &Args, source: Source, date: Day) -> anyhow::Result<ScoreRequest> {
    let wrong = UsedWrongly;
    let mut request = ScoreRequest::new(source, date);
    request.ranking = args.score.parse::<Ranking>().map_err(wrong)?;
    if request.ranking == Ranking::Spot {
        request = request.as_spot();
    }
    if let Some(words) = &args.words {
        request.words = words.parse::<WordScheme>().map_err(wrong)?;
    }
    request.features.clone_from(&args.features);
    request.internal = Internal::new(args.internal.clone());
    if let Some(optimizer) = &args.optimizer {
        request.optimizer = optimizer.parse::<Optimizer>().map_err(wrong)?;
    }
    request.restarts = usize::from(args.restarts);
    request.warm_start &= !args.no_warm_start;
    request.limit = args.limit as usize;
    request.members = args.members as usize;
    request.dupfactor = args.dupfactor;
    if let Some(folder) = &args.rules {
        request.rules = rule_files(folder)?;
    }
    if let Some(file) = &args.import {
        request.beside = Some(Arc::new(Beside::read(source, file)?));
    }
    request.topics = usize::from(args.topics);
    request.iterations = args.iterations.map(|n| n as usize);
    request.top_domains.clone_from(&args.top_domains);
    request.user_domain.clone_from(&args.user_domain);
    if let Some(threshold) = args.threshold {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(UsedWrongly(format!("--threshold {threshold}: a probability, from 0 to 1")).into());
        }
        request.threshold = threshold;
    }
    if let Some(seed) = args.seed {
        request.seed = seed;
    }
    Ok(request)
}

/// The rules of a folder; a file that is none is told and left out.
pub(crate) fn rule_files(folder: &std::path::Path) -> anyhow::Result<Vec<RuleFile>> {
    use anyhow::Context;
    let read = read_folder(folder).with_context(|| format!("rule files of {}", folder.display()))?;
    let mut rules = Vec::new();
    for file in read {
        match file.rule {
            Ok(rule) => rules.push(rule),
            Err(error) => tracing::warn!("{}, {error}; left out", folder.join(file.name).display()),
        }
    }
    Ok(rules)
}

/// One line about a run.
pub(crate) fn summary(source: Source, date: Day, run: &ScoreRun) -> String {
    let rows = serde_json::to_value(&run.card.rows).unwrap_or_default();
    let counts = rows.as_object().map(|fields| {
        let shown = fields.iter().filter(|(_, v)| v.as_u64().is_some_and(|n| n > 0));
        shown.map(|(name, v)| format!("{} {v}", name.replace('_', " "))).collect::<Vec<_>>().join(", ")
    });
    format!("{:<5} {date}  {}", source.as_str(), counts.unwrap_or_default())
}

/// How far another model's results agree.
fn agreement(beside: &BesideCard) -> String {
    let BesideCard { name, rows, rejected, found, listed, both_first_hundred } = beside;
    output::safe(&format!(
        "{name}: {rows} rows, {rejected} lines rejected, {found} found among the day's records; {listed} of their records are in our list, \
         and {both_first_hundred} of our first 100 are among its first 100"
    ))
}

/// A bar on a terminal; stops at the interrupt.
pub(crate) struct Shown {
    pub(crate) bar: ProgressBar,
    interrupt: Arc<AtomicBool>,
}

impl Shown {
    pub(crate) fn new(interrupt: &Arc<AtomicBool>, what: String) -> Self {
        let bar = output::step_bar(1);
        bar.set_message(what);
        Self { bar, interrupt: Arc::clone(interrupt) }
    }
}

impl Progress for Shown {
    fn step(&mut self, _: Stage, done: u64, total: u64) {
        self.bar.set_length(total.max(1));
        self.bar.set_position(done);
    }

    fn stopped(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}
