//! Part `score`: a synthetic day of flows into words, topics, scores and reasons, by `spotter score` as a process of its own.
//!
//! Three days, of which each has at most five times the rows of the one before, tell whether cost is linear in rows. The stages are the command's own
//! clock; CPU time and peak memory are the process's. The lakes lie in the temporary folder (`TMPDIR`), one at a time: about 70 bytes a flow.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};

use aggregator::lake::{Lake, WriterOptions};
use serde::Deserialize;

use super::child::{Used, measure_into};
use super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};
use crate::synth::write_flows;

/// Goals for a day: seconds of the whole for 50 million flows, and bytes.
const SECONDS: f64 = 120.0;
const ROWS: f64 = 50e6;
const MEMORY: f64 = 4.0 * 1024.0 * 1024.0 * 1024.0;

/// Of the model card.
#[derive(Deserialize)]
struct Card {
    seconds: BTreeMap<String, f64>,
}

/// What is reported, and the stages of the command it is made of.
const STAGES: [(&str, &[&str]); 4] = [
    ("corpus and detectors", &["count"]),
    ("fit", &["fit"]),
    ("scores", &["calibrate", "score"]),
    ("explanations", &["explain", "write"]),
];

struct Measured {
    rows: f64,
    used: Used,
    seconds: BTreeMap<String, f64>,
}

impl Measured {
    fn stage(&self, names: &[&str]) -> f64 {
        names.iter().filter_map(|name| self.seconds.get(*name)).sum()
    }

    fn whole(&self) -> f64 {
        self.seconds.values().sum()
    }
}

pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let mut smallest: Option<Measured> = None;
    for flows in [options.flows / 50, options.flows / 5, options.flows] {
        let measured = day(options, flows.max(1000))?;
        report(&measured, emit);
        match &smallest {
            None => smallest = Some(measured),
            Some(first) => {
                let per_row = |of: &Measured| Runs(vec![1e9 * of.used.cpu / of.rows]);
                let figure = format!("{}: CPU a row", name(measured.rows));
                let peer = format!("with {}", name(first.rows));
                let (own, theirs) = (per_row(&measured), per_row(first));
                emit(&beside(Part::Score, &figure, "ns", &own, Better::Less, &peer, Ok(&theirs)));
            }
        }
    }
    Ok(())
}

fn name(rows: f64) -> String {
    format!("{:.1} M flows", rows / 1e6)
}

fn report(measured: &Measured, emit: &mut dyn FnMut(&Figure)) {
    let day = name(measured.rows);
    let mut row = |what: &str, unit, value: f64, goal: Option<f64>| {
        let own = Runs(vec![value]);
        let better = if unit == "rows/s" { Better::More } else { Better::Less };
        let figure = format!("{day}: {what}");
        let plain = Figure {
            part: Part::Score.name(),
            figure: figure.clone(),
            unit,
            value,
            peer: None,
            peer_value: None,
            ratio: None,
            spread: 0.0,
            note: None,
        };
        emit(
            &goal.map_or(plain, |goal| beside(Part::Score, &figure, unit, &own, better, "goal", Ok(&Runs(vec![goal])))),
        );
    };
    for (what, stages) in STAGES {
        row(what, "s", measured.stage(stages), None);
    }
    row("whole", "s", measured.whole(), Some(SECONDS * measured.rows / ROWS));
    row("whole", "rows/s", measured.rows / measured.whole(), Some(ROWS / SECONDS));
    row("CPU", "s", measured.used.cpu, None);
    row("peak memory", "bytes", measured.used.memory, Some(MEMORY));
}

/// Makes a day, scores it, and takes it away.
fn day(options: &BenchOptions, flows: u64) -> Result<Measured, BenchError> {
    let folder = tempfile::tempdir()?;
    let lake = folder.path().join("lake");
    let rows = write_flows(flows, &Lake::open(&lake)?, WriterOptions::new("bench"), &mut ())? as f64;
    let mut said = tempfile::tempfile()?;
    let mut command = Command::new(&options.spotter);
    command.args(["score", "--source", "flow", "--json", "--lake"]).arg(&lake);
    let used = measure_into(&mut command, Stdio::from(said.try_clone()?))?;
    said.seek(SeekFrom::Start(0))?;
    let mut text = String::new();
    said.read_to_string(&mut text)?;
    let failed = |message: String| BenchError::Failed {
        program: options.spotter.display().to_string(),
        status: "ended well".to_owned(),
        message,
    };
    let line = text.lines().next().ok_or_else(|| failed("no model card".to_owned()))?;
    let Card { seconds } = serde_json::from_str(line).map_err(|error| failed(error.to_string()))?;
    Ok(Measured { rows, used, seconds })
}
