//! The process dies at random moments of an import, a compaction and a retention run. After opening the lake
//! again nothing is there twice, nothing is lost but what the ledger counts, every Parquet file can be read.
//!
//! The test runs itself as the child that is killed. `SPOTTER_KILL_ROUNDS` (default 12) is how often each kind is
//! killed by a signal at a random moment, besides once at each step of the protocol; 50 is what a release is tested with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lake_support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aggregator::lake::failpoint::{self, Fault};
use aggregator::lake::{CompactOptions, ImportMark, Lake, RetainOptions, SetKind, Table, WriterOptions};
use aggregator::record::Micros;
use aggregator::state::imports::{Begun, ImportState};
use lake_support::*;

const CHILD: &str = "SPOTTER_KILL_CHILD";
const ROWS: u64 = 400;
const SIGKILL: i32 = 9;
const RETAIN: RetainOptions =
    RetainOptions { max_age: Some(Duration::from_secs(3_600)), max_bytes: None, now: Micros(TEN + 4 * HOUR) };

fn compact_options() -> CompactOptions {
    let mut options = CompactOptions::new(Micros(i64::MAX), Duration::ZERO);
    options.min_parts = 2;
    options
}

/// Imports "file" `n`: rows over four hours, in several parts.
fn import(lake: &Lake, n: u64) {
    let content = format!("b3:{n}");
    let Begun::New(import_id) = lake.state().begin_import(&content, "tap", "x.pcap", 1).unwrap() else { return };
    let mut options = WriterOptions::new("tap");
    options.row_group_rows = 50;
    let mut writer = lake.begin(SetKind::Import(ImportMark { import_id, content }), options).unwrap();
    for at in 0..ROWS {
        writer.flow(&[flow(n * ROWS + at, TEN + (at as i64 % 4) * HOUR + at as i64)]).unwrap();
    }
    writer.dns(&[dns(n, TEN)]).unwrap();
    writer.commit_import(ImportState::Done, "{}", None).unwrap();
}

/// What the child does until it is killed.
fn child(task: &str) {
    let mut words = task.split(' ');
    let (what, dir) = (words.next().unwrap(), words.next().unwrap());
    if let (Some(point), Some(nth)) = (words.next(), words.next()) {
        assert!(failpoint::arm(point, nth.parse().unwrap(), Fault::Abort));
    }
    let lake = Lake::open(dir).unwrap();
    println!("ready");
    match what {
        "import" => (0..6).for_each(|n| import(&lake, n)),
        "compact" => drop(lake.compact(&compact_options()).unwrap()),
        "retain" => drop(lake.retain(&RETAIN).unwrap()),
        other => panic!("{other}"),
    }
}

fn start(what: &str, dir: &Path, point: Option<(&str, u32)>) -> Child {
    let mut task = format!("{what} {}", dir.display());
    if let Some((point, nth)) = point {
        task.push_str(&format!(" {point} {nth}"));
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed", "--nocapture", "--test-threads", "1"]).env(CHILD, task);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    /// A failpoint ended it.
    Aborted,
    /// SIGKILL ended it.
    Killed,
}

/// Runs the child and kills it `after` it is ready, or waits for it where a failpoint kills it.
fn run(what: &str, dir: &Path, point: Option<(&str, u32)>, after: Duration) -> End {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::ExitStatusExt as _;
    let mut child = start(what, dir, point);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next().is_some_and(|line| !line.unwrap_or_default().contains("ready")) {}
    let begun = Instant::now();
    let end = loop {
        if let Some(end) = child.try_wait().unwrap() {
            break end;
        }
        if point.is_none() && begun.elapsed() >= after {
            drop(child.kill());
            break child.wait().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} {point:?} hangs");
        std::thread::sleep(Duration::from_micros(200));
    };
    match end.signal() {
        Some(SIGKILL) => End::Killed,
        Some(_) => End::Aborted,
        None if end.success() => End::Finished,
        None => panic!("{what} {point:?} failed by itself: {end}"),
    }
}

/// Lets the task die at each step of the protocol (first and third passing), then [`rounds`] times by SIGKILL at
/// random moments within `span`, each on a lake of its own from `prepare`, looked at by `check`. A moment at which
/// the child had already finished is looked at too, and drawn again, earlier: the number of kills is exact.
fn die(what: &str, span: Duration, prepare: impl Fn(&Path), mut check: impl FnMut(&Path, &str)) {
    let mut ends = [0_u64; 3];
    let mut once = |point: Option<(&str, u32)>, after: Duration| {
        let dir = scratch();
        let dir = dir.path().join("lake");
        prepare(&dir);
        let end = run(what, &dir, point, after);
        check(&dir, &format!("{point:?} {after:?}"));
        ends[end as usize] += 1;
        end
    };
    for point in failpoint::ALL {
        once(Some((point, 0)), Duration::ZERO);
        once(Some((point, 2)), Duration::ZERO);
    }
    for round in 0..rounds() {
        let mut after = span.mul_f64(mix(round ^ 77) as f64 / u64::MAX as f64);
        let mut tries = 0;
        while once(None, after) != End::Killed {
            tries += 1;
            assert!(tries < 50, "{what}: finishes before it can be killed");
            after = after.mul_f64(0.7);
        }
    }
    let [finished, aborted, killed] = ends;
    println!("{what}: {aborted} died at a step, {killed} by SIGKILL, {finished} finished first");
    assert_eq!(killed, rounds());
    assert!(aborted >= 8, "only {aborted} failpoints were reached");
}

/// What must hold whatever happened: each import is whole or absent, journal and files agree.
fn check(dir: &Path, context: &str) -> (Lake, BTreeSet<[u8; 16]>) {
    let lake = Lake::open(dir).unwrap_or_else(|e| panic!("{context}: {e}"));
    let ids = ids(&lake, Table::Flow);
    assert_tidy(&lake);
    (lake, ids)
}

fn rounds() -> u64 {
    std::env::var("SPOTTER_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12)
}

#[test]
fn killed() {
    if let Ok(task) = std::env::var(CHILD) {
        child(&task);
    }
}

#[test]
fn imports_are_whole_or_absent() {
    die(
        "import",
        Duration::from_millis(150),
        |_| {},
        |dir, context| {
            let (lake, found) = check(dir, context);
            assert_eq!(found.len() as u64 % ROWS, 0, "{context}: half an import");
            let done = found.len() as u64 / ROWS;
            assert_eq!(ids(&lake, Table::Dns).len() as u64, done, "{context}: half an import");
            for n in 0..done {
                let row = lake.state().import(&format!("b3:{n}"), "tap").unwrap();
                assert!(
                    row.is_some_and(|r| r.state == ImportState::Done),
                    "{context}: {n} is in the lake and not marked"
                );
                assert!(found.contains(&flow(n * ROWS, 0).record_id.0));
            }
            // It goes on where it was, and nothing comes twice.
            (0..done + 1).for_each(|n| import(&lake, n));
            assert_eq!(ids(&lake, Table::Flow).len() as u64, (done + 1) * ROWS, "{context}");
            assert_tidy(&lake);
        },
    );
}

/// A lake of four imports, to be copied for each round.
fn prepared() -> tempfile::TempDir {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    (0..4).for_each(|n| import(&lake, n));
    dir
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn compaction_loses_and_doubles_nothing() {
    let prepared = prepared();
    let (_, before) = check(&prepared.path().join("lake"), "before");
    die(
        "compact",
        Duration::from_millis(60),
        |dir| copy(&prepared.path().join("lake"), dir),
        |dir, context| {
            let (lake, found) = check(dir, context);
            assert_eq!(found, before, "{context}");
            lake.compact(&compact_options()).unwrap();
            assert_eq!(ids(&lake, Table::Flow), before, "{context}");
            assert_eq!(lake.parts(Table::Flow, None).unwrap().len(), 4, "{context}: one part an hour");
            assert_tidy(&lake);
        },
    );
}

#[test]
fn what_retention_took_is_in_the_ledger() {
    use arrow::array::AsArray as _;
    let prepared = prepared();
    let (lake, before) = check(&prepared.path().join("lake"), "before");
    drop(lake);
    die(
        "retain",
        Duration::from_millis(8),
        |dir| copy(&prepared.path().join("lake"), dir),
        |dir, context| {
            for again in [false, true] {
                let (lake, found) = check(dir, context);
                if again {
                    lake.retain(&RETAIN).unwrap();
                }
                let found = if again { ids(&lake, Table::Flow) } else { found };
                let counted: u64 = lake
                    .parts(Table::Ledger, None)
                    .unwrap()
                    .iter()
                    .flat_map(read)
                    .map(|batch| {
                        let names = batch.column_by_name("counter").unwrap().as_string::<i32>().clone();
                        let values = batch.column_by_name("value").unwrap();
                        let values = values.as_primitive::<arrow::datatypes::UInt64Type>().clone();
                        let rows = (0..batch.num_rows()).filter(|row| names.value(*row) == "lake.expired.flow.rows");
                        rows.map(|row| values.value(row)).sum::<u64>()
                    })
                    .sum();
                assert_eq!(
                    (before.len() - found.len()) as u64,
                    counted,
                    "{context}: lost rows are those the ledger counts"
                );
                assert_eq!(counted == 2 * ROWS, again || counted > 0, "{context}: all hours or none");
                assert_tidy(&lake);
            }
        },
    );
}

#[test]
fn a_live_flush_that_died_is_saved_or_counted() {
    // The child's work, up to the moment of its death, without its destructors: a set of kind Flush.
    let dir = scratch();
    let path = dir.path().join("lake");
    let lake = Lake::open(&path).unwrap();
    let mut options = WriterOptions::new("tap");
    options.row_group_rows = 10;
    options.max_open_parts = 1;
    let mut writer = lake.begin(SetKind::Flush, options).unwrap();
    for n in 0..100 {
        writer.flow(&[flow(n, TEN + (n as i64 / 25) * HOUR)]).unwrap();
    }
    // A copy of the lake as a crash at this moment leaves it: the lock is not copied, so nobody owns the set.
    std::thread::sleep(Duration::from_millis(200));
    let crashed = dir.path().join("crashed");
    copy(&path, &crashed);
    drop(writer);
    let (lake, found) = check(&crashed, "flush");
    let sum = |counter: &str| -> u64 {
        use arrow::array::AsArray as _;
        let parts = lake.parts(Table::Ledger, None).unwrap();
        let batches: Vec<_> = parts.iter().flat_map(read).collect();
        batches
            .iter()
            .map(|batch| {
                let names = batch.column_by_name("counter").unwrap().as_string::<i32>();
                let values = batch.column_by_name("value").unwrap().as_primitive::<arrow::datatypes::UInt64Type>();
                (0..batch.num_rows()).filter(|r| names.value(*r) == counter).map(|r| values.value(r)).sum::<u64>()
            })
            .sum()
    };
    assert!(!found.is_empty() && found.len() < 100, "{} rows were saved", found.len());
    assert_eq!(sum("lake.saved_after_crash.rows"), found.len() as u64);
    assert_eq!(sum("lake.lost_at_crash.rows"), 100 - found.len() as u64);
}
