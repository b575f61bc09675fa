//! Figures of `spotter bench`, each beside its peer, measured in the same run on the same machine.
//!
//! What is compared is CPU time (user and system) of whole processes, which other load on the machine moves far less
//! than the clock on the wall; processes take turns, and a figure is the median of the runs. A peer that is not installed
//! is reported as missing, with the package that has it, and never left out silently.

mod child;
mod collect;
mod import;
mod lake;
mod lda;
#[cfg(feature = "probe")]
mod probe;
mod score;
mod shard;
#[cfg(feature = "probe")]
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

/// A part of the benches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Capture file to lake, beside tshark, nfpcapd and softflowd.
    Import,
    /// Exports to lake, beside nfcapd.
    Collect,
    /// Rows to Parquet, beside the Parquet library's own writer and pyarrow.
    Lake,
    /// The topic model's fit, beside tomotopy, gensim, scikit-learn and Spark MLlib.
    Lda,
    /// A synthetic day of flows to scores and reasons, beside the goal.
    Score,
    /// A packet in the kernel, beside the kernel's own hash tables. Needs root.
    Probe,
    /// Live capture's flow table, fed from memory.
    Shard,
    /// From the wire to the lake without loss, beside AF_PACKET, softflowd, pmacctd and programs that only drop. Needs root.
    Capture,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Import, Self::Collect, Self::Lake, Self::Lda, Self::Score, Self::Probe, Self::Shard, Self::Capture];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Collect => "collect",
            Self::Lake => "lake",
            Self::Lda => "lda",
            Self::Score => "score",
            Self::Probe => "probe",
            Self::Shard => "shard",
            Self::Capture => "capture",
        }
    }
}

impl FromStr for Part {
    type Err = BenchError;

    fn from_str(text: &str) -> Result<Self, BenchError> {
        Self::ALL
            .into_iter()
            .find(|p| p.name() == text)
            .ok_or_else(|| BenchError::Part { word: text.to_owned(), known: Self::ALL.map(Self::name).join(", ") })
    }
}

/// How to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// The `spotter` command; its `import` is run as a process of its own, as the peers are.
    pub spotter: PathBuf,
    /// The capture to read; none: a synthetic one is made.
    pub file: Option<PathBuf>,
    /// Runs of each process, in turn. At least 1.
    pub runs: u32,
    /// Rows for the part `lake`.
    pub rows: u64,
    /// Flows of the largest day for the part `score`; a fifth and a fiftieth of it are measured too.
    pub flows: u64,
    /// For the part `lda`: a Python virtual environment with the peers, made if there is none. None: `python3` as it is, with the peers it has.
    pub venv: Option<PathBuf>,
    /// For the part `capture`: how long memory is watched; 0 = it is not.
    pub minutes: u32,
    /// For the part `capture`: only the traffic whose name has this text.
    pub only: Option<String>,
}

impl BenchOptions {
    /// Five runs of the running command itself.
    ///
    /// # Errors
    /// The path of the running program is not known.
    pub fn new() -> Result<Self, BenchError> {
        Ok(Self {
            spotter: std::env::current_exe()?,
            file: None,
            runs: 5,
            rows: 500_000,
            flows: 50_000_000,
            venv: None,
            minutes: 0,
            only: None,
        })
    }
}

/// One figure; one object of JSON a line.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// Part it belongs to.
    pub part: &'static str,
    /// What was measured.
    pub figure: String,
    /// In what.
    pub unit: &'static str,
    /// Median of the runs.
    pub value: f64,
    /// What it is compared with, and its version where it tells.
    pub peer: Option<String>,
    /// The peer's median.
    pub peer_value: Option<f64>,
    /// How many times better than the peer: above 1 is better, whichever way the unit counts.
    pub ratio: Option<f64>,
    /// Largest minus smallest value of the runs, over the median.
    pub spread: f64,
    /// What the reader must know: why a peer is missing, or what it does not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<7} {:<28} {:>14} {:<14}", self.part, self.figure, short(self.value), self.unit)?;
        match (&self.peer, self.peer_value, self.ratio) {
            (Some(peer), Some(value), Some(ratio)) => write!(f, " {peer}: {} ({ratio:.2}x)", short(value))?,
            (Some(peer), ..) => write!(f, " {peer}: not measured")?,
            _ => (),
        }
        if let Some(note) = &self.note {
            write!(f, " [{note}]")?;
        }
        Ok(())
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No traffic of that name.
    #[error("no traffic of `capture` has '{word}' in its name: there are {known}")]
    Traffic {
        /// What was given.
        word: String,
        /// What there is.
        known: String,
    },
    /// No such part.
    #[error("'{word}' is not a part of the benches: expected one of {known}")]
    Part {
        /// What was given.
        word: String,
        /// What there is.
        known: String,
    },
    /// A process could not be run or measured, or a file not be written.
    #[error("cannot measure: {0}")]
    Io(#[from] std::io::Error),
    /// A process that was measured failed, so that its time means nothing.
    #[error("{program} failed ({status}): {message}")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        message: String,
    },
    /// The kernel program does not run, or was not built.
    #[error("the probe: {0}")]
    Probe(String),
    /// The capture cannot be read.
    #[error("cannot read the capture: {0}")]
    Capture(#[from] capture::file::FileError),
    /// It holds no packet.
    #[error("the capture {0} holds no packet")]
    Empty(PathBuf),
    /// No synthetic traffic.
    #[error(transparent)]
    Synth(#[from] crate::synth::SynthError),
    /// The lake did not take the rows.
    #[error(transparent)]
    Lake(#[from] aggregator::lake::LakeError),
    /// The Parquet library's writer or reader failed.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Arrow failed.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

/// Measures a part; each figure is handed out as soon as it is known.
///
/// # Errors
/// Our own side failed. A peer that fails is a figure with a note.
pub fn run(part: Part, options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    match part {
        Part::Import => import::run(options, emit),
        Part::Collect => collect::run(options, emit),
        Part::Lake => lake::run(options, emit),
        Part::Lda => lda::run(options, emit),
        Part::Score => score::run(options, emit),
        #[cfg(feature = "probe")]
        Part::Probe => probe::run(options, emit),
        Part::Shard => shard::run(options, emit),
        #[cfg(feature = "probe")]
        Part::Capture => wire::run(options, emit),
        #[cfg(not(feature = "probe"))]
        Part::Probe | Part::Capture => {
            let why = "not measured: Spotter was built without the probe".to_owned();
            emit(&beside(part, part.name(), "", &Runs::default(), Better::Less, "", Err(why)));
            Ok(())
        }
    }
}

/// CPU seconds this process has used.
///
/// # Errors
/// The system does not tell.
pub fn cpu_seconds() -> std::io::Result<f64> {
    Ok(cpu_time::ProcessTime::try_now()?.as_duration().as_secs_f64())
}

/// Values of the runs of one thing.
#[derive(Clone, Default, Debug)]
struct Runs(Vec<f64>);

impl Runs {
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
        }
    }

    fn spread(&self) -> f64 {
        let (low, high) = self.0.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        if self.0.is_empty() { f64::NAN } else { (high - low) / self.median() }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().map(|v| f(*v)).collect())
    }
}

/// Which way a unit counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Better {
    Less,
    More,
}

/// A figure beside one peer; the ratio is the median of the ratios of each turn, so that what slows the machine for a
/// turn slows both.
fn beside(
    part: Part,
    figure: &str,
    unit: &'static str,
    own: &Runs,
    better: Better,
    peer: &str,
    peer_runs: Result<&Runs, String>,
) -> Figure {
    let mut out = Figure {
        part: part.name(),
        figure: figure.to_owned(),
        unit,
        value: own.median(),
        peer: Some(peer.to_owned()),
        peer_value: None,
        ratio: None,
        spread: own.spread(),
        note: None,
    };
    match peer_runs {
        Ok(runs) => {
            let ratios =
                own.0.iter().zip(&runs.0).map(|(a, b)| if better == Better::Less { b / a } else { a / b }).collect();
            out.peer_value = Some(runs.median());
            out.ratio = Some(Runs(ratios).median());
        }
        Err(why) => out.note = Some(why),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_is_better_whichever_way_the_unit_counts() {
        let (own, peer) = (Runs(vec![2.0, 4.0, 3.0]), Runs(vec![6.0, 12.0, 9.0]));
        let less = beside(Part::Import, "cpu", "ns", &own, Better::Less, "p", Ok(&peer));
        assert_eq!((less.value, less.peer_value, less.ratio), (3.0, Some(9.0), Some(3.0)));
        let more = beside(Part::Import, "rate", "1/s", &own, Better::More, "p", Ok(&peer));
        assert_eq!(more.ratio, Some(1.0 / 3.0));
        assert!((less.spread - 2.0 / 3.0).abs() < 1e-12);
        let missing = beside(Part::Import, "cpu", "ns", &own, Better::Less, "p", Err("not installed".into()));
        assert_eq!((missing.ratio, missing.note.as_deref()), (None, Some("not installed")));
    }
}
