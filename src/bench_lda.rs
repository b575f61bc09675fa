//! Our side of `spotter bench lda`: the fits that the bench follows, in a process of their own.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use analytics::lda::em::{self, EmParameters};
use analytics::lda::file::CorpusFile;
use analytics::lda::incremental::{Fit, IncrementalParameters};
use analytics::lda::packed::{Documents, Packed};
use analytics::lda::roofline::Sweeper;
use analytics::lda::{Corpus, Instructions};

/// Sweeps of each kind, in turn.
const TURNS: usize = 7;

/// What the bench asks of this process.
#[derive(clap::Args)]
pub(crate) struct Worker {
    /// Fit this corpus, told on standard input whether to go on.
    #[arg(long, value_name = "FILE", hide = true)]
    lda_fit: Option<PathBuf>,
    /// Time sweeps of this corpus beside their loads and multiply-adds.
    #[arg(long, value_name = "FILE", hide = true)]
    lda_roofline: Option<PathBuf>,
    #[arg(long, default_value_t = 1, hide = true)]
    lda_seed: u64,
    /// Iterations of batch EM instead.
    #[arg(long, default_value_t = 0, hide = true)]
    lda_batch: usize,
}

impl Worker {
    /// Does what was asked; false if nothing was.
    pub(crate) fn run(&self) -> anyhow::Result<bool> {
        if let Some(path) = &self.lda_roofline {
            roofline(path)?;
            return Ok(true);
        }
        let Some(path) = &self.lda_fit else { return Ok(false) };
        match self.lda_batch {
            0 => incremental(path, self.lda_seed)?,
            iterations => batch(path, self.lda_seed, iterations)?,
        }
        Ok(true)
    }
}

/// CPU seconds of this process.
fn cpu() -> anyhow::Result<f64> {
    Ok(perf::bench::cpu_seconds()?)
}

/// Says where a fit stands and hears whether to go on.
fn report(file: &Path, seconds: Duration, cpu: f64, passes: f64, topics: &[f32]) -> anyhow::Result<bool> {
    let path = file.with_extension(format!("topics-{}", std::process::id()));
    let bytes: Vec<u8> = topics.iter().flat_map(|p| p.to_le_bytes()).collect();
    std::fs::write(&path, bytes)?;
    let line = serde_json::json!({
        "seconds": seconds.as_secs_f64(), "cpu": cpu, "passes": passes, "topics": path, "version": env!("CARGO_PKG_VERSION"),
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "more")
}

fn incremental(path: &Path, seed: u64) -> anyhow::Result<()> {
    let packed = Packed::new(&CorpusFile::open(path)?)?;
    let parameters = IncrementalParameters { seed, ..IncrementalParameters::default() };
    let (mut seconds, mut used, mut rows) = (Duration::ZERO, 0.0, 0.0);
    let (mut clock, mut cpu_clock) = (Instant::now(), cpu()?);
    let mut fit = Fit::new(&packed, &parameters)?;
    while let Some(pass) = fit.step() {
        rows += pass.rows as f64;
        if fit.topics() != parameters.topics {
            continue;
        }
        seconds += clock.elapsed();
        used += cpu()? - cpu_clock;
        if !report(path, seconds, used, rows / packed.rows() as f64, &fit.word_probabilities())? {
            break;
        }
        (clock, cpu_clock) = (Instant::now(), cpu()?);
    }
    Ok(())
}

fn batch(path: &Path, seed: u64, iterations: usize) -> anyhow::Result<()> {
    let file = CorpusFile::open(path)?;
    let (mut entries, mut document) = (Vec::new(), 0);
    file.each(&mut |words, counts| {
        entries.extend(words.iter().zip(counts).map(|(word, count)| (document, *word, *count)));
        document += 1;
    })?;
    let corpus = Corpus::from_counts(file.documents(), file.vocabulary(), entries);
    let IncrementalParameters { topics, alpha, beta, .. } = IncrementalParameters::default();
    let parameters = EmParameters { topics, alpha, beta, iterations, seed };
    let (clock, cpu_clock) = (Instant::now(), cpu()?);
    let model = em::fit(&corpus, &parameters, &mut |_, _| true)?;
    let (seconds, used) = (clock.elapsed(), cpu()? - cpu_clock);
    let smoothing = corpus.vocabulary() as f64 * (beta - 1.0);
    let totals: Vec<f64> = (0..topics).map(|topic| model.topic_tokens(topic)).collect();
    // With the offset of the prior, as the EM itself works with them and as Spark's are judged.
    let words = (0..corpus.vocabulary()).flat_map(|word| {
        let smoothed = model.word_vector(word).into_iter().zip(totals.clone());
        smoothed.map(move |(p, total)| ((p * total + beta - 1.0) / (total + smoothing)) as f32)
    });
    report(path, seconds, used, iterations as f64, &words.collect::<Vec<_>>())?;
    Ok(())
}

fn roofline(path: &Path) -> anyhow::Result<()> {
    let packed = Packed::new(&CorpusFile::open(path)?)?;
    let instructions = Instructions::detect();
    let mut sweeper = Sweeper::new(&packed, IncrementalParameters::default().topics, instructions);
    let (mut sweep, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let begin = cpu()?;
        anyhow::ensure!(sweeper.sweep(), "the corpus cannot be swept");
        let middle = cpu()?;
        let value = std::hint::black_box(sweeper.floor());
        anyhow::ensure!(value.is_some(), "the corpus cannot be swept");
        sweep.push(middle - begin);
        floor.push(cpu()? - middle);
    }
    println!("{}", serde_json::json!({"sweep": sweep, "floor": floor, "instructions": instructions.as_str()}));
    Ok(())
}
