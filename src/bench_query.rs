//! `spotter bench query`: the pages' API on a large day, beside DuckDB over the same files in the same run.
//!
//! A server of this command answers over HTTP, as a browser asks; DuckDB runs the same questions in a Python process with
//! as many threads. They take turns, request by request. Each request asks for another address or another moment, so that
//! no answer comes from the server's cache.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aggregator::lake::{Lake, WriterOptions};
use analytics::sql::{Engine, EngineLimits, RowLimits};
use anyhow::{Context, bail, ensure};
use perf::synth::{SynthConfig, write_lake};
use serde_json::{Value, json};

use crate::output::UsedWrongly;

/// DuckDB's side.
const DUCK: &str = include_str!("../perf/query/duck.py");
/// Longest that a request may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Addresses that are asked for: the busiest, those in the middle, those seen once or twice.
const ADDRESSES: &str = "WITH n AS (SELECT src_ip AS ip, any_value(dst_ip) AS peer, max(first_seen) AS at, count(*) AS n FROM flow GROUP BY 1), \
    r AS (SELECT *, row_number() OVER (ORDER BY n DESC, ip) AS place, count(*) OVER () AS total FROM n) \
    SELECT ip, peer, at FROM r WHERE place <= 8 OR place > total - 8 OR abs(CAST(place AS BIGINT) - CAST(total / 2 AS BIGINT)) <= 8 ORDER BY place";

/// What is measured.
pub(crate) struct Options<'a> {
    /// Flow records of the day that is made.
    pub(crate) rows: u64,
    /// A lake that is there already.
    pub(crate) lake: Option<&'a Path>,
    /// Requests to each API.
    pub(crate) requests: u32,
    /// Where DuckDB is installed; the `python3` of the path without it.
    pub(crate) venv: Option<&'a Path>,
    pub(crate) json: bool,
}

/// The address of a page's API, of a subject between two times.
type Address = fn(&Subject, &str, &str) -> String;

/// The API of each page: its name for DuckDB, and its address.
const PAGES: [(&str, Address); 6] = [
    ("investigation", |s, from, to| format!("/api/v1/investigation?subject={}&from={from}&to={to}", s.ip)),
    ("details", |s, _, _| format!("/api/v1/details/flow?time={}&src={}&dst={}", s.at, s.ip, s.peer)),
    ("timeline", |s, from, to| format!("/api/v1/timeline?subject={}&from={from}&to={to}", s.ip)),
    ("volume", |s, from, to| format!("/api/v1/volume?subject={}&from={from}&to={to}&step=60", s.ip)),
    ("around", |s, from, _| format!("/api/v1/around/flow?ip={}&date={}", s.ip, &from[..10])),
    ("ingest", |_, from, to| format!("/api/v1/ingest?from={from}&to={to}&step=60")),
];

#[derive(Clone)]
struct Subject {
    ip: String,
    peer: String,
    /// Its last record: RFC 3339.
    at: String,
}

pub(crate) fn run(options: &Options<'_>) -> anyhow::Result<()> {
    let made = match options.lake {
        Some(_) => None,
        None => Some(make(options.rows)?),
    };
    let lake = match (options.lake, &made) {
        (Some(lake), _) => lake.to_owned(),
        (None, Some(dir)) => dir.path().to_owned(),
        (None, None) => bail!("no lake"),
    };
    let (day, rows, subjects) = look(&lake)?;
    ensure!(!subjects.is_empty(), UsedWrongly(format!("{} has no flow records", lake.display())));
    let server = Server::start(&lake)?;
    let mut duck = Duck::start(&lake, options.venv);
    let mut out = std::io::stdout().lock();
    for (page, address) in PAGES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // The first request reads footers; it is no measurement.
        for turn in 0..=options.requests {
            let subject = subjects.get(turn as usize % subjects.len()).context("no address")?;
            let (from, to) =
                (format!("{day}T00:00:{:02}Z", turn % 60), format!("{day}T23:{:02}:00Z", 59 - turn / 60 % 60));
            let seconds = server.ask(&address(subject, &from, &to))?;
            let other = duck.as_mut().map_err(|why| why.clone()).and_then(|duck| {
                let (from, to) = span(page, subject, &from, &to, &day);
                duck.ask(&json!({"api": page, "from": from, "to": to, "ip": subject.ip, "peer": subject.peer}))
                    .map_err(|error| format!("{error:#}"))
            });
            if turn > 0 {
                ours.push(seconds);
                theirs.push(other);
            }
        }
        let theirs: Result<Vec<f64>, String> = theirs.into_iter().collect();
        let line = figure(page, rows, &ours, theirs, duck.as_ref().ok().map(|duck| duck.version.as_str()));
        if options.json {
            writeln!(out, "{line}")?;
        } else {
            let text = |key: &str| line[key].as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
            let note = line["note"].as_str().unwrap_or_default();
            writeln!(
                out,
                "query   {page:<14} p95 {:>8} ms   DuckDB {:>8} ms   takes {:>5} times as long {note}",
                text("value"),
                text("peer_value"),
                line["times_as_long"].as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
            )?;
        }
    }
    Ok(())
}

/// The span that DuckDB is asked for, where the API takes a moment or a day.
fn span(page: &str, subject: &Subject, from: &str, to: &str, day: &str) -> (String, String) {
    match page {
        "details" => {
            let minute = subject.at.get(..16).unwrap_or(day);
            (format!("{minute}:00Z"), format!("{minute}:59.999999Z"))
        }
        "around" => (format!("{day}T00:00:00Z"), format!("{day}T23:59:59.999999Z")),
        _ => (from.to_owned(), to.to_owned()),
    }
}

/// p95 and median in milliseconds. `ratio` as in the other parts: above 1 is faster than the peer.
fn figure(page: &str, rows: u64, ours: &[f64], theirs: Result<Vec<f64>, String>, version: Option<&str>) -> Value {
    let p95 = quantile(ours, 0.95);
    let other = theirs.as_ref().ok().map(|theirs| quantile(theirs, 0.95));
    json!({
        "part": "query", "figure": page, "unit": "ms p95", "value": p95, "median": quantile(ours, 0.5), "requests": ours.len(),
        "rows": rows, "peer": version.map(|version| format!("DuckDB {version}")), "peer_value": other,
        "peer_median": theirs.as_ref().ok().map(|theirs| quantile(theirs, 0.5)),
        "ratio": other.map(|other| other / p95), "times_as_long": other.map(|other| p95 / other), "note": theirs.err(),
        "build": if cfg!(debug_assertions) { "development" } else { "release" },
    })
}

/// Of seconds, in milliseconds: the smallest value that at least `share` of all do not exceed.
fn quantile(seconds: &[f64], share: f64) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).map_or(f64::NAN, |value| value * 1000.0)
}

fn make(rows: u64) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    let config = SynthConfig { volume: 0.0005, ..SynthConfig::for_flows(rows) };
    let (made, _) = write_lake(&config, &Lake::open(dir.path())?, WriterOptions::new("synthetic"), &mut ())?;
    tracing::info!("made a lake of {} flow, {} dns and {} proxy records", made.flows, made.dns, made.proxy);
    Ok(dir)
}

/// The day with most records, their number, and addresses to ask for.
fn look(lake: &Path) -> anyhow::Result<(String, u64, Vec<Subject>)> {
    let kept = Lake::open_existing(lake)?;
    ensure!(
        !kept.state().has_admin()?,
        UsedWrongly(format!("{} has accounts, so a one-time link opens nothing: give a lake without", lake.display()))
    );
    let engine = Engine::open(kept, EngineLimits::default())?;
    let limits = RowLimits { max_rows: Some(1000), timeout: None };
    let rows = |sql: &str| engine.block_on(engine.query_rows(sql, Vec::new(), limits));
    let days =
        rows("SELECT CAST(date AS VARCHAR) AS day, count(*) AS n FROM flow GROUP BY 1 ORDER BY n DESC LIMIT 1")?.rows;
    let Some(first) = days.first() else { return Ok((String::new(), 0, Vec::new())) };
    let text = |row: &serde_json::Map<String, Value>, key: &str| {
        row.get(key).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no {key}"))
    };
    let found = rows(ADDRESSES)?.rows;
    let mut subjects = Vec::new();
    for row in &found {
        subjects.push(Subject { ip: text(row, "ip")?, peer: text(row, "peer")?, at: text(row, "at")? });
    }
    // Busy and rare ones in turn, so that a short run has of each.
    let third = subjects.len().div_ceil(3).max(1);
    let mixed = (0..third).flat_map(|at| (0..3).map(move |part| (at, part))).collect::<Vec<_>>();
    let mixed = mixed.into_iter().filter_map(|(at, part)| subjects.get(part * third + at).cloned()).collect();
    Ok((text(first, "day")?, first.get("n").and_then(Value::as_u64).unwrap_or(0), mixed))
}

/// `spotter serve`, as a process of its own.
struct Server {
    child: Child,
    address: String,
    token: String,
}

impl Server {
    fn start(lake: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--lake"])
            .arg(lake)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (lines, said) = std::sync::mpsc::channel();
        for stream in [
            child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>),
            child.stderr.take().map(|s| Box::new(s) as _),
        ] {
            let (Some(stream), lines) = (stream, lines.clone()) else { continue };
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Nobody listens any more once it runs, but the server must be able to speak.
                    let _ = lines.send(line);
                }
            });
        }
        let until = Instant::now() + PATIENCE;
        let (mut address, mut token) = (None, None);
        while address.is_none() || token.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = said.recv_timeout(left) else {
                let _ = child.kill();
                bail!("the server did not say where it listens");
            };
            if let Some((_, rest)) = line.split_once("http://") {
                address.get_or_insert_with(|| rest.split(['/', ';', ' ']).next().unwrap_or_default().to_owned());
            }
            if let Some((_, rest)) = line.split_once("?token=") {
                token.get_or_insert_with(|| rest.split_whitespace().next().unwrap_or_default().to_owned());
            }
        }
        let mut server = Self { child, address: address.unwrap_or_default(), token: String::new() };
        let link = token.unwrap_or_default();
        server.token = server.sign_in(&link)?;
        Ok(server)
    }

    /// The session's cookie.
    fn sign_in(&self, link: &str) -> anyhow::Result<String> {
        let (head, _) = self.get(&format!("/?token={link}"))?;
        let cookie =
            head.lines().find_map(|line| line.to_ascii_lowercase().starts_with("set-cookie:").then(|| &line[11..]));
        Ok(cookie
            .and_then(|cookie| cookie.split(';').next())
            .context("the one-time link opened no session")?
            .trim()
            .to_owned())
    }

    fn get(&self, path: &str) -> anyhow::Result<(String, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.address, self.token
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no answer")?;
        let head = String::from_utf8_lossy(answer.get(..at).unwrap_or_default()).into_owned();
        Ok((head, answer.split_off(at + 4)))
    }

    /// Seconds of a request.
    fn ask(&self, path: &str) -> anyhow::Result<f64> {
        let begin = Instant::now();
        let (head, body) = self.get(path)?;
        let seconds = begin.elapsed().as_secs_f64();
        let status = head.lines().next().unwrap_or_default();
        ensure!(status.contains(" 200"), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(seconds)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// DuckDB, in a Python process.
struct Duck {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    version: String,
    _script: tempfile::NamedTempFile,
}

impl Duck {
    fn start(lake: &Path, venv: Option<&Path>) -> Result<Self, String> {
        Self::open(lake, venv).map_err(|error| format!("{error:#}: pip install -r tests/python/requirements.txt"))
    }

    fn open(lake: &Path, venv: Option<&Path>) -> anyhow::Result<Self> {
        let python = venv.map_or_else(|| PathBuf::from("python3"), |venv| venv.join("bin/python3"));
        let known = Command::new(&python).args(["-c", "import duckdb, pyarrow; print(duckdb.__version__)"]).output()?;
        ensure!(known.status.success(), "DuckDB and pyarrow are not installed");
        let mut script = tempfile::NamedTempFile::new()?;
        script.write_all(DUCK.as_bytes())?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        let mut child = Command::new(&python)
            .arg(script.path())
            .arg(lake)
            .arg(threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (to, from) = child.stdin.take().zip(child.stdout.take()).context("no pipes")?;
        let version = String::from_utf8_lossy(&known.stdout).trim().to_owned();
        Ok(Self { child, to, from: BufReader::new(from), version, _script: script })
    }

    /// Seconds of a request's queries.
    fn ask(&mut self, request: &Value) -> anyhow::Result<f64> {
        writeln!(self.to, "{request}").context("DuckDB's process ended")?;
        self.to.flush()?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).context("DuckDB's process ended; what it said is above")?;
        answer["seconds"].as_f64().context("no seconds")
    }
}

impl Drop for Duck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_percentile_is_the_value_that_19_of_20_do_not_exceed() {
        let seconds: Vec<f64> = (1..=20).rev().map(|n| f64::from(n) / 1000.0).collect();
        assert_eq!((quantile(&seconds, 0.95), quantile(&seconds, 0.5)), (19.0, 10.0));
        assert_eq!(quantile(&[0.007], 0.95), 7.0);
        let line = figure("details", 5, &[0.010], Ok(vec![0.020]), Some("2.0.0"));
        assert_eq!(
            (&line["ratio"], &line["times_as_long"], &line["peer"]),
            (&json!(2.0), &json!(0.5), &json!("DuckDB 2.0.0"))
        );
        let alone = figure("details", 5, &[0.010], Err("DuckDB is not installed".to_owned()), None);
        assert_eq!((&alone["ratio"], &alone["note"]), (&Value::Null, &json!("DuckDB is not installed")));
    }
}
