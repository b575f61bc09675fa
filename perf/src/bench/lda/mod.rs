//! Part `lda`: the topic model's fit, beside tomotopy, gensim, scikit-learn and Spark MLlib.
//!
//! Two corpora are drawn (hosts and flow words; hosts and DNS names), all fit the same counts with the same priors and are judged by
//! the same held-out documents. A peer's time is of its fit alone. Perplexities that are goals were set on corpora of this law
//! whose true topics have 760.1 and 4,544; they are moved in proportion to what the truth has on these.

mod corpus;
mod evaluate;
mod fit;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use self::corpus::{Drawn, Shape, draw};
use self::evaluate::perplexity;
use self::fit::{Point, Trace, follow};
use super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};

/// The peers' side.
const PEERS: &str = include_str!("peers.py");

const TOPICS: usize = 20;

/// A corpus, and what is asked on it.
struct Case {
    name: &'static str,
    shape: Shape,
    /// Perplexity to reach, and to end with, as multiples of the truth's.
    reach: f64,
    end: f64,
    /// Passes a sampler may take.
    passes: f64,
}

const CASES: [Case; 2] = [
    Case {
        name: "flow corpus",
        shape: Shape { documents: 200_000, words: 5_000, topics: TOPICS, smallest: 10.0, seed: 1 },
        reach: 785.0 / 760.1,
        end: 770.0 / 760.1,
        passes: 100.0,
    },
    Case {
        name: "dns corpus",
        shape: Shape { documents: 1_000_000, words: 100_000, topics: TOPICS, smallest: 2.0, seed: 1 },
        reach: 4738.0 / 4544.0,
        end: 4738.0 / 4544.0,
        passes: 60.0,
    },
];

/// Documents Spark MLlib gets, its iterations, and the most of the runs it takes part in: one takes six minutes.
const SPARK_DOCUMENTS: usize = 20_000;
const SPARK_ITERATIONS: usize = 50;
const SPARK_RUNS: u32 = 3;

pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let python = Python::new(options)?;
    for case in &CASES {
        let drawn = draw(&case.shape);
        let folder = tempfile::tempdir()?;
        drawn.train.write(&folder.path().join("corpus.bin"), case.shape.words, usize::MAX)?;
        let bench = Bench { options, python: &python, case, drawn: &drawn, folder: folder.path() };
        bench.corpus(emit)?;
        if case.shape.words < 10_000 {
            bench.roofline(emit)?;
            bench.spark(emit)?;
        }
    }
    Ok(())
}

/// A Python with the peers, or why there is none.
struct Python {
    program: PathBuf,
    script: tempfile::TempDir,
}

impl Python {
    fn new(options: &BenchOptions) -> Result<Self, BenchError> {
        let script = tempfile::tempdir()?;
        std::fs::write(script.path().join("peers.py"), PEERS)?;
        let program = match &options.venv {
            None => "python3".into(),
            Some(venv) => {
                if !venv.join("bin/python").exists() {
                    install(venv)?;
                }
                venv.join("bin/python")
            }
        };
        Ok(Self { program, script })
    }

    fn peer(&self, name: &str, folder: &Path, seed: u64, iterations: usize) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.script.path().join("peers.py")).arg(name).arg(folder);
        command.args([TOPICS as u64, threads() as u64, seed, iterations as u64].map(|n| n.to_string()));
        command
    }
}

/// Makes a virtual environment with the peers.
fn install(venv: &Path) -> Result<(), BenchError> {
    let steps = [
        ("python3".into(), vec!["-m", "venv"], Some(venv)),
        (
            venv.join("bin/pip"),
            vec!["install", "-q", "numpy", "scipy", "tomotopy", "gensim", "scikit-learn", "pyspark"],
            None,
        ),
    ];
    for (program, arguments, last) in steps {
        let output = Command::new(&program).args(arguments).args(last).output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(BenchError::Failed {
                program: program.display().to_string(),
                status: output.status.to_string(),
                message,
            });
        }
    }
    Ok(())
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the loops of our fit reach of what the processor could do.
#[derive(Deserialize)]
struct Roofline {
    /// Seconds of sweeps, and of the same loads and multiply-adds alone, turn by turn.
    sweep: Vec<f64>,
    floor: Vec<f64>,
    instructions: String,
}

struct Bench<'a> {
    options: &'a BenchOptions,
    python: &'a Python,
    case: &'a Case,
    drawn: &'a Drawn,
    folder: &'a Path,
}

impl Bench<'_> {
    fn own(&self, file: &str, seed: u64, batch: usize) -> Result<Trace, BenchError> {
        let mut command = Command::new(&self.options.spotter);
        command.args(["bench", "lda", "--lda-fit"]).arg(self.folder.join(file));
        command.args(["--lda-seed", &seed.to_string(), "--lda-batch", &batch.to_string()]);
        follow(&mut command, self.drawn, TOPICS, |_| false).map_err(|message| BenchError::Failed {
            program: self.options.spotter.display().to_string(),
            status: "fit".into(),
            message,
        })
    }

    fn corpus(&self, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
        let Case { name, reach, end, passes, .. } = self.case;
        let truth = perplexity(&self.drawn.truth, TOPICS, self.drawn);
        let (goal, best) = (truth * reach, truth * end);
        let enough = |points: &[Point]| points.last().is_some_and(|p| p.perplexity <= goal || p.passes >= *passes);
        let mut own = vec![self.own("corpus.bin", 1, 0)?];
        let mut peers = Vec::new();
        for (peer, iterations) in [("tomotopy", *passes as usize), ("gensim", 1), ("scikit-learn", 1)] {
            let mut command = self.python.peer(peer, self.folder, 1, iterations);
            peers.push((peer, follow(&mut command, self.drawn, TOPICS, enough)));
            own.push(self.own("corpus.bin", own.len() as u64 + 1, 0)?);
        }
        while own.len() < self.options.runs as usize {
            own.push(self.own("corpus.bin", own.len() as u64 + 1, 0)?);
        }
        let ends = own.iter().filter_map(|trace| Some(trace.end()?.perplexity)).collect::<Vec<_>>();
        let mean = ends.iter().sum::<f64>() / ends.len() as f64;
        emit(&Figure {
            value: mean,
            ..beside(
                Part::Lda,
                &format!("{name}: perplexity at the end, mean of {} seeds", ends.len()),
                "perplexity",
                &Runs(vec![mean]),
                Better::Less,
                &format!("goal {best:.1} (truth {truth:.1})"),
                Ok(&Runs(vec![best])),
            )
        });
        for (peer, trace) in &peers {
            self.beside_peer(peer, trace, &own, goal, emit);
        }
        let packed = self.packed_and_model();
        let memory = Runs(own.iter().map(|trace| trace.memory).collect());
        let bound = Runs(vec![1.5 * packed; own.len()]);
        let figure = format!("{name}: memory");
        emit(&beside(Part::Lda, &figure, "bytes", &memory, Better::Less, "1.5 x packed corpus and model", Ok(&bound)));
        Ok(())
    }

    /// Bytes of the counts at eight each, of a row of the model per document, and of the words' counts and probabilities.
    fn packed_and_model(&self) -> f64 {
        let row = TOPICS.div_ceil(8) * 8;
        let train = &self.drawn.train;
        (8 * train.words.len() + (16 + 4 * row) * train.documents() + 12 * row * self.case.shape.words) as f64
    }

    fn beside_peer(
        &self,
        peer: &str,
        trace: &Result<Trace, String>,
        own: &[Trace],
        goal: f64,
        emit: &mut dyn FnMut(&Figure),
    ) {
        let name = self.case.name;
        let pairs = self.drawn.train.words.len() as f64;
        let own_speed = Runs(own.iter().filter_map(|t| t.end().map(|p| pairs * p.passes / p.cpu)).collect());
        let own_memory = Runs(own.iter().map(|t| t.memory).collect());
        let (trace, end) = match trace.as_ref().map(|trace| (trace, trace.end())) {
            Ok((trace, Some(end))) => (trace, end),
            failed => {
                let why = failed.err().cloned().unwrap_or_default();
                let own_seconds = Runs(own.iter().filter_map(|t| Some(t.reaches(goal)?.seconds)).collect());
                let figure = format!("{name}: seconds to perplexity {goal:.0}");
                emit(&beside(Part::Lda, &figure, "s", &own_seconds, Better::Less, peer, Err(why)));
                return;
            }
        };
        let peer = format!("{peer} {}", trace.version);
        // What it reached, or the goal if it got that far.
        let level = end.perplexity.max(goal);
        let of = |value: fn(Point) -> f64| Runs(own.iter().filter_map(|t| t.reaches(level).map(value)).collect());
        let once = |value: f64| Runs(vec![value; own.len()]);
        let reached = own.iter().filter(|t| t.reaches(level).is_some()).count();
        let note = format!(
            "{} passes to perplexity {:.1}; {reached} of our {} seeds get as low",
            end.passes,
            end.perplexity,
            own.len()
        );
        let rows = [
            (format!("{name}: seconds to perplexity {level:.0}"), "s", of(|p| p.seconds), Better::Less, end.seconds),
            (format!("{name}: CPU seconds to perplexity {level:.0}"), "s", of(|p| p.cpu), Better::Less, end.cpu),
            (
                format!("{name}: counts per second and core"),
                "counts/s per core",
                own_speed,
                Better::More,
                pairs * end.passes / end.cpu,
            ),
            (format!("{name}: memory"), "bytes", own_memory, Better::Less, trace.memory),
        ];
        for (figure, unit, own, better, theirs) in rows {
            let row = beside(Part::Lda, &figure, unit, &own, better, &peer, Ok(&once(theirs)));
            emit(&Figure { note: Some(note.clone()), ..row });
        }
    }

    fn roofline(&self, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
        let mut command = Command::new(&self.options.spotter);
        command.args(["bench", "lda", "--lda-roofline"]).arg(self.folder.join("corpus.bin"));
        let output = command.output()?;
        let failed = |message: String| BenchError::Failed {
            program: self.options.spotter.display().to_string(),
            status: output.status.to_string(),
            message,
        };
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let line: Roofline = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
        let pairs = self.drawn.train.words.len() as f64;
        let rate = |seconds: &[f64]| Runs(seconds.iter().map(|s| pairs / s).collect());
        let peer = format!("its loads and multiply-adds alone ({})", line.instructions);
        let (sweep, floor) = (rate(&line.sweep), rate(&line.floor));
        let figure = format!("{}: a sweep", self.case.name);
        emit(&beside(Part::Lda, &figure, "counts/s per core", &sweep, Better::More, &peer, Ok(&floor)));
        Ok(())
    }

    /// Spark MLlib's EM on fewer documents: as good as ours after as many iterations, and how long it takes.
    fn spark(&self, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
        let folder = self.folder.join("spark");
        std::fs::create_dir(&folder)?;
        self.drawn.train.write(&folder.join("corpus.bin"), self.case.shape.words, SPARK_DOCUMENTS)?;
        let (mut fast, mut batch) = (Vec::new(), Vec::new());
        for seed in 1..=u64::from(self.options.runs) {
            fast.push(self.own("spark/corpus.bin", seed, 0)?);
            batch.push(self.own("spark/corpus.bin", seed, SPARK_ITERATIONS)?);
        }
        let theirs: Result<Vec<Trace>, String> = (1..=u64::from(self.options.runs.min(SPARK_RUNS)))
            .map(|seed| {
                follow(&mut self.python.peer("pyspark", &folder, seed, SPARK_ITERATIONS), self.drawn, TOPICS, |_| true)
            })
            .collect();
        let version = theirs.as_ref().ok().and_then(|traces| traces.first()).map_or("", |trace| &trace.version);
        let peer = format!("Spark MLlib EM {version}");
        let ends = |traces: &[Trace], of: fn(Point) -> f64| traces.iter().filter_map(|t| t.end().map(of)).collect();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let level = theirs.as_ref().map(|traces| mean(ends(traces, |p| p.perplexity))).map_err(Clone::clone);
        let seconds = theirs.as_ref().map(|traces| mean(ends(traces, |p| p.seconds))).map_err(Clone::clone);
        let reached = Runs(
            fast.iter()
                .filter_map(|t| t.reaches(*level.as_ref().unwrap_or(&f64::INFINITY)).map(|p| p.seconds))
                .collect(),
        );
        let perplexity = Runs(vec![mean(ends(&batch, |p| p.perplexity))]);
        let rows = [
            ("perplexity after 50 iterations of batch EM, means of the seeds", "perplexity", perplexity, &level),
            ("seconds of 50 iterations of batch EM", "s", Runs(ends(&batch, |p| p.seconds)), &seconds),
            ("seconds to as low a perplexity", "s", reached, &seconds),
        ];
        let note = theirs.as_ref().ok().map(|traces| {
            let one = |values: Vec<f64>| values.iter().map(|v| format!("{v:.1}")).collect::<Vec<_>>().join(", ");
            format!(
                "perplexity by seed: {}; {peer}: {}",
                one(ends(&batch, |p| p.perplexity)),
                one(ends(traces, |p| p.perplexity))
            )
        });
        for (figure, unit, own, theirs) in rows {
            let figure = format!("20,000 documents: {figure}");
            let theirs = theirs.as_ref().map(|v| Runs(vec![*v; own.0.len()])).map_err(Clone::clone);
            let row =
                beside(Part::Lda, &figure, unit, &own, Better::Less, &peer, theirs.as_ref().map_err(Clone::clone));
            emit(&Figure { note: row.note.clone().or_else(|| note.clone()), ..row });
        }
        Ok(())
    }
}
