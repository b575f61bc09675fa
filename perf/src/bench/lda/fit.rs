//! A fit in a process of its own, ours or a peer's, followed snapshot by snapshot.
//!
//! The process times its fit alone. After each part it writes its topics, says so in a line of JSON and waits: the judge
//! here looks at them, and answers `more` or `stop`. So nobody's clock runs while topics are judged.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;
use wait4::Wait4;

use super::corpus::Drawn;
use super::evaluate::perplexity;

/// What a process says.
#[derive(Debug, Deserialize)]
struct Line {
    seconds: f64,
    cpu: f64,
    passes: f64,
    topics: PathBuf,
    version: String,
}

/// A point of a fit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Point {
    /// Since the fit began, without loading and judging.
    pub(super) seconds: f64,
    /// CPU seconds of it.
    pub(super) cpu: f64,
    /// Passes over the corpus.
    pub(super) passes: f64,
    /// Of the held-out documents.
    pub(super) perplexity: f64,
}

/// A fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) points: Vec<Point>,
    /// Largest resident set of the process, bytes.
    pub(super) memory: f64,
    pub(super) version: String,
}

impl Trace {
    /// The first point with at most this perplexity.
    pub(super) fn reaches(&self, level: f64) -> Option<Point> {
        self.points.iter().copied().find(|point| point.perplexity <= level)
    }

    pub(super) fn end(&self) -> Option<Point> {
        self.points.last().copied()
    }
}

/// A part of a fit that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(900);

/// Runs a fit to its end, or until `enough` of its points so far.
pub(super) fn follow(
    command: &mut Command,
    drawn: &Drawn,
    topics: usize,
    enough: impl Fn(&[Point]) -> bool,
) -> Result<Trace, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("no pipes to the process".into());
    };
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let complaints = std::thread::spawn(move || {
        let mut text = Vec::new();
        // Drained to the end, so that the process never waits for us; the start of it is enough to tell.
        let _ = stderr.take(1 << 20).read_to_end(&mut text);
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    let mut trace = Trace::default();
    let failed = loop {
        let line = match lines.recv_timeout(LONGEST) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => break None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                break Some(format!("nothing came for {LONGEST:?}"));
            }
        };
        let answer = match judge(&line, drawn, topics, &mut trace) {
            Ok(()) if enough(&trace.points) => "stop\n",
            Ok(()) => "more\n",
            Err(why) => {
                let _ = child.kill();
                break Some(why);
            }
        };
        // A process that has said its last word does not listen any more.
        let _ = stdin.write_all(answer.as_bytes());
    };
    drop(stdin);
    let used = child.wait4().map_err(|error| error.to_string())?;
    let _ = reader.join();
    let complaints = complaints.join().unwrap_or_default();
    trace.memory = used.rusage.maxrss as f64;
    if let Some(why) = failed {
        return Err(why);
    }
    if !used.status.success() || trace.points.is_empty() {
        let last = complaints.lines().last().unwrap_or("it said nothing").to_owned();
        return Err(format!("failed ({}): {last}", used.status));
    }
    Ok(trace)
}

fn judge(line: &str, drawn: &Drawn, topics: usize, trace: &mut Trace) -> Result<(), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("said {line:?}: {error}"))?;
    let bytes = std::fs::read(&line.topics).map_err(|error| format!("{}: {error}", line.topics.display()))?;
    let (numbers, _) = bytes.as_chunks::<4>();
    let phi: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    if phi.len() != drawn.truth.len() {
        return Err(format!("{} numbers of topics, expected {}", phi.len(), drawn.truth.len()));
    }
    let perplexity = perplexity(&phi, topics, drawn);
    trace.points.push(Point { seconds: line.seconds, cpu: line.cpu, passes: line.passes, perplexity });
    trace.version = line.version;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::corpus::{Shape, draw};
    use super::*;

    fn says(script: &str) -> Result<Trace, String> {
        let drawn = draw(&Shape { documents: 1, words: 2, topics: 1, smallest: 10.0, seed: 1 });
        let folder = tempfile::tempdir().unwrap();
        let topics = folder.path().join("topics");
        std::fs::write(&topics, [1.0_f32, 1.0].map(f32::to_le_bytes).concat()).unwrap();
        let script = script.replace("TOPICS", &topics.display().to_string());
        follow(Command::new("sh").args(["-c", &script]), &drawn, 1, |points| points.len() == 2)
    }

    #[test]
    fn a_fit_is_followed_until_enough() {
        let line = r#"printf '{"seconds":%s,"cpu":2,"passes":1,"topics":"TOPICS","version":"9"}\n' $i"#;
        let trace =
            says(&format!("i=1; while true; do {line}; read answer; [ $answer = more ] || break; i=$((i+1)); done"))
                .unwrap();
        let seconds: Vec<f64> = trace.points.iter().map(|point| point.seconds).collect();
        assert_eq!((seconds, trace.version.as_str()), (vec![1.0, 2.0], "9"));
        assert!((trace.points[0].perplexity - 2.0).abs() < 1e-9, "{trace:?}");
        assert!(trace.reaches(2.1).is_some() && trace.reaches(1.9).is_none());
    }

    #[test]
    fn what_a_process_complains_of_is_told() {
        let error = says("echo ModuleNotFoundError: no tomotopy >&2; exit 1").unwrap_err();
        assert!(error.contains("no tomotopy"), "{error}");
        assert!(says("echo no json").unwrap_err().contains("no json"));
        assert!(says("true").is_err());
    }
}
