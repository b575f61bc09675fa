//! A receiver as a process: started, asked for its CPU time, ended.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use wait4::Wait4;

use super::super::BenchError;

/// Longest wait for a process to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ended at the latest when it is dropped.
pub(super) struct Process {
    name: String,
    child: Option<Child>,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// What a process left.
pub(super) struct Left {
    pub(super) out: String,
    /// Lines on standard error.
    pub(super) said: Vec<String>,
    /// User and system time since its start, seconds, with that of its children.
    pub(super) cpu: f64,
    /// Largest resident set, bytes.
    pub(super) memory: f64,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Result<Self, BenchError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, lines) = channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                let lines = BufReader::new(stderr).lines().map_while(Result::ok);
                lines.take_while(|line| sender.send(line.clone()).is_ok()).count()
            });
        }
        Ok(Self { name, child: Some(child), lines, said: Vec::new() })
    }

    fn failed(&self, status: &str) -> BenchError {
        let message = self.said.iter().rev().take(5).rev().cloned().collect::<Vec<_>>().join("; ");
        BenchError::Failed { program: self.name.clone(), status: status.to_owned(), message }
    }

    /// Waits for a line on standard error that has this text.
    pub(super) fn wait_for(&mut self, text: &str) -> Result<(), BenchError> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.said.push(line);
                    if found {
                        return Ok(());
                    }
                }
                Err(_) => return Err(self.failed(&format!("never said '{text}'"))),
            }
        }
    }

    /// Waits until some packet socket of this network namespace is bound to the interface.
    pub(super) fn wait_for_socket(&mut self, ifindex: u32) -> Result<(), BenchError> {
        let end = Instant::now() + PATIENCE;
        // sk RefCnt Type Proto Iface R Rmem User Inode
        let is_bound = |line: &str| line.split_whitespace().nth(4) == Some(&ifindex.to_string());
        while !fs::read_to_string("/proc/thread-self/net/packet")?.lines().any(is_bound) {
            if Instant::now() > end || self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))))
            {
                self.said.extend(self.lines.try_iter());
                return Err(self.failed("opened no packet socket"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// User and system time so far, seconds, with that of its children.
    pub(super) fn cpu(&self) -> Result<f64, BenchError> {
        let mut cpu = 0.0;
        for id in self.family() {
            let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
            // After the name, which may have anything in it: state, …; the 12th to 15th of these are the times, in hundredths.
            let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let times = rest.split_whitespace().skip(11).take(4).filter_map(|word| word.parse::<f64>().ok());
            cpu += times.sum::<f64>() / 100.0;
        }
        Ok(cpu)
    }

    /// Its resident set now, with its children's, bytes.
    pub(super) fn memory(&self) -> Result<f64, BenchError> {
        let mut memory = 0.0;
        for id in self.family() {
            let status = fs::read_to_string(format!("/proc/{id}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse::<f64>().ok());
            memory += kib.unwrap_or(f64::NAN) * 1024.0;
        }
        Ok(memory)
    }

    /// Itself and its children.
    fn family(&self) -> Vec<u32> {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id).chain(children.split_whitespace().filter_map(|word| word.parse().ok())).collect()
    }

    pub(super) fn signal(&self, name: &str) -> Result<(), BenchError> {
        Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status()?;
        Ok(())
    }

    /// What it said until now.
    pub(super) fn said(&mut self) -> &[String] {
        self.said.extend(self.lines.try_iter());
        &self.said
    }

    /// Ends it by a signal, and waits until it has ended.
    pub(super) fn end(mut self, signal: &str) -> Result<Left, BenchError> {
        self.signal(signal)?;
        let Some(mut child) = self.child.take() else { return Err(self.failed("gone")) };
        let stdout = child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut out = String::new();
            stdout.map(|mut stdout| stdout.read_to_string(&mut out));
            out
        });
        let end = Instant::now() + PATIENCE;
        let used = loop {
            if let Some(used) = child.try_wait4()? {
                break used;
            }
            if Instant::now() > end {
                child.kill()?;
                child.wait4()?;
                return Err(self.failed("did not end"));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = self.said().to_vec();
        Ok(Left {
            out: reader.join().unwrap_or_default(),
            said,
            cpu: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
            memory: used.rusage.maxrss as f64,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
