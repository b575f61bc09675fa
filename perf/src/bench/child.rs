//! A process, and what it used: CPU time and peak memory by `wait4`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

use super::BenchError;

/// What a process used.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Used {
    /// User and system time, seconds, of all its threads and of children it waited for.
    pub(super) cpu: f64,
    /// Largest resident set, bytes.
    pub(super) memory: f64,
}

/// A process that takes longer hangs: no part takes a minute.
const LONGEST: Duration = Duration::from_secs(900);

/// Runs a command to its end. Its output goes nowhere; what it says on standard error is kept for the message.
pub(super) fn measure(command: &mut Command) -> Result<Used, BenchError> {
    measure_into(command, Stdio::null())
}

/// The same with its output.
pub(super) fn measure_into(command: &mut Command, output: Stdio) -> Result<Used, BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut complaints = tempfile::tempfile()?;
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(complaints.try_clone()?).spawn()?;
    let begin = Instant::now();
    let used = loop {
        if let Some(used) = child.try_wait4()? {
            break used;
        }
        if begin.elapsed() > LONGEST {
            child.kill()?;
            child.wait4()?;
            return Err(BenchError::Failed {
                program,
                status: format!("still running after {LONGEST:?}"),
                message: tail(&mut complaints)?,
            });
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !used.status.success() {
        return Err(BenchError::Failed { program, status: used.status.to_string(), message: tail(&mut complaints)? });
    }
    let cpu = (used.rusage.utime + used.rusage.stime).as_secs_f64();
    Ok(Used { cpu, memory: used.rusage.maxrss as f64 })
}

fn tail(file: &mut File) -> Result<String, BenchError> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(400)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The first line a program says of its version; none where it is not installed.
pub(super) fn version(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let number = text.split(|c: char| c.is_whitespace() || c == ',').map(|w| w.trim_end_matches('.')).find(|w| {
        w.split('.').count() >= 2
            && w.split('.').take(2).all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    Some(number.unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_the_childs_own() {
        let busy =
            measure(Command::new("sh").args(["-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"])).unwrap();
        let idle = measure(Command::new("sleep").arg("0.2")).unwrap();
        assert!(busy.cpu > 0.02 && idle.cpu < busy.cpu / 2.0, "{busy:?} {idle:?}");
        assert!(idle.memory > 100_000.0 && idle.memory < 100e6, "{idle:?}");
    }

    #[test]
    fn a_failing_process_is_an_error_with_its_words() {
        let error = measure(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh failed (exit status: 3): no such thing"), "{error}");
        assert!(version("surely-not-installed", "-V").is_none());
    }
}
