//! The file protocol: faults at each step, recovery, compaction, retention, adoption, read-only lakes, full
//! disks, backup and restore.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lake_support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aggregator::lake::failpoint::{self, Fault};
use aggregator::lake::{
    CompactOptions, ImportMark, Lake, LakeError, RetainOptions, SetKind, Source, Table, WriterOptions, restore,
};
use aggregator::record::Micros;
use aggregator::state::imports::{Begun, ImportState};
use aggregator::state::{self, State};
use lake_support::*;

/// Failpoints are one for the whole process: tests that run as threads of it take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open() -> (tempfile::TempDir, Lake) {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    (dir, lake)
}

/// Publishes `rows` flows, starting with number `from`, one minute apart.
fn put(lake: &Lake, from: u64, rows: u64) -> Result<(), LakeError> {
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("tap"))?;
    let rows: Vec<_> = (from..from + rows).map(|n| flow(n, TEN + n as i64 * MINUTE)).collect();
    writer.flow(&rows)?;
    writer.commit().map(drop)
}

fn all_hours() -> CompactOptions {
    let mut options = CompactOptions::new(Micros(i64::MAX), Duration::ZERO);
    options.min_parts = 2;
    options
}

#[test]
fn a_fault_at_any_step_of_a_set_leaves_the_lake_as_it_was_or_published() {
    let _turn = turn();
    for name in failpoint::ALL {
        for nth in 0..2 {
            let (_dir, lake) = open();
            put(&lake, 0, 30).unwrap();
            let before = ids(&lake, Table::Flow);
            assert!(failpoint::arm(name, nth, Fault::Error));
            // Two hours, so that there are two parts and two renames.
            let result = put(&lake, 1_000, 90);
            let now = ids(&lake, Table::Flow);
            match &result {
                Ok(()) => assert_eq!(now.len(), before.len() + 90, "{name} {nth}"),
                Err(LakeError::Injected(at)) => {
                    assert_eq!(*at, name);
                    assert_eq!(now, before, "{name} {nth}");
                }
                Err(other) => panic!("{name} {nth}: {other}"),
            }
            // Disarms what was not passed.
            failpoint::arm(name, u32::MAX, Fault::Error);
            drop(lake);
            let lake = Lake::open(_dir.path().join("lake")).unwrap();
            assert_eq!(ids(&lake, Table::Flow), now, "{name} {nth}: after opening again");
            assert_tidy(&lake);
            put(&lake, 5_000, 1).unwrap();
            assert_eq!(ids(&lake, Table::Flow).len(), now.len() + 1);
        }
    }
}

#[test]
fn a_fault_at_any_step_of_compaction_or_retention_loses_nothing_else() {
    let _turn = turn();
    for name in failpoint::ALL {
        let (dir, lake) = open();
        for set in 0..4 {
            put(&lake, set * 100, 20).unwrap();
        }
        let before = ids(&lake, Table::Flow);
        assert!(failpoint::arm(name, 0, Fault::Error));
        match lake.compact(&all_hours()) {
            Ok(_) | Err(LakeError::Injected(_)) => {}
            Err(other) => panic!("{name}: {other}"),
        }
        failpoint::arm(name, u32::MAX, Fault::Error);
        assert_eq!(ids(&lake, Table::Flow), before, "{name}: compaction");

        let retain =
            RetainOptions { max_age: Some(Duration::from_secs(3_600)), max_bytes: None, now: Micros(TEN + 5 * HOUR) };
        let expired: u64 =
            lake.parts(Table::Flow, None).unwrap().iter().filter(|p| p.hour < Some(13)).map(|p| p.rows).sum();
        assert!(expired > 0);
        assert!(failpoint::arm(name, 0, Fault::Error));
        match lake.retain(&retain) {
            Ok(_) | Err(LakeError::Injected(_)) => {}
            Err(other) => panic!("{name}: {other}"),
        }
        failpoint::arm(name, u32::MAX, Fault::Error);
        let lake = {
            drop(lake);
            Lake::open(dir.path().join("lake")).unwrap()
        };
        lake.retain(&retain).unwrap();
        assert_eq!(ids(&lake, Table::Flow).len() as u64, before.len() as u64 - expired, "{name}: retention");
        assert_eq!(counted(&lake, "lake.expired.flow.rows"), expired, "{name}: each expired row is in the ledger once");
        assert_tidy(&lake);
    }
}

/// The sum of a counter in the ledger.
fn counted(lake: &Lake, counter: &str) -> u64 {
    use arrow::array::AsArray as _;
    let parts = lake.parts(Table::Ledger, None).unwrap();
    parts.iter().flat_map(read).fold(0, |sum, batch| {
        let names = batch.column_by_name("counter").unwrap().as_string::<i32>().clone();
        let values = batch.column_by_name("value").unwrap().as_primitive::<arrow::datatypes::UInt64Type>().clone();
        sum + (0..batch.num_rows()).filter(|row| names.value(*row) == counter).map(|row| values.value(row)).sum::<u64>()
    })
}

#[test]
fn compaction_keeps_rows_and_sorts_them() {
    let _turn = turn();
    let (_dir, lake) = open();
    for set in 0..5 {
        put(&lake, set * 7, 100).unwrap_or_else(|e| panic!("{e}"));
    }
    // The same rows were published by several sets here: record_ids repeat, and must all stay.
    let rows = |lake: &Lake| lake.parts(Table::Flow, None).unwrap().iter().map(|p| p.rows).sum::<u64>();
    assert_eq!(rows(&lake), 500);
    let before = lake.parts(Table::Flow, None).unwrap();
    let done = lake.compact(&all_hours()).unwrap();
    let after = lake.parts(Table::Flow, None).unwrap();
    assert_eq!((rows(&lake), done.parts_before, done.parts_after), (500, before.len() as u64, after.len() as u64));
    assert!(after.len() < before.len() && done.bytes_after < done.bytes_before);
    for part in &after {
        use arrow::array::AsArray as _;
        let times: Vec<i64> = read(part)
            .iter()
            .flat_map(|b| {
                let times = b.column_by_name("first_seen").unwrap();
                times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().values().to_vec()
            })
            .collect();
        assert!(times.is_sorted());
        assert_eq!(times.first(), Some(&part.first.0));
    }
    assert_eq!(lake.compact(&all_hours()).unwrap().parts_before, 0, "nothing is left to do");
    assert_tidy(&lake);
}

#[test]
fn files_stay_while_somebody_reads_them() {
    let _turn = turn();
    let (_dir, lake) = open();
    (0..4).for_each(|set| put(&lake, set * 14, 14).unwrap());
    let reading = Lake::open(lake.dir()).unwrap().reading().unwrap();
    let before = lake.parts(Table::Flow, None).unwrap();
    assert!(lake.compact(&all_hours()).unwrap().parts_before > 0);
    let rows: usize = before.iter().flat_map(read).map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 56, "parts listed before the compaction can still be read");
    assert_eq!(ids(&lake, Table::Flow).len(), 56);
    drop(reading);
    lake.recover().unwrap();
    assert_tidy(&lake);
}

#[test]
fn the_same_content_imported_by_two_in_the_same_moment_comes_once() {
    let _turn = turn();
    let (_dir, lake) = open();
    let import = || {
        let Begun::New(import_id) = lake.state().begin_import("b3:1", "tap", "a.pcap", 1).unwrap() else { panic!() };
        ImportMark { import_id, content: "b3:1".into() }
    };
    // Both ask before either has its set in the journal.
    let marks = [import(), import()];
    let [first, second] = marks.map(|mark| {
        let mut writer = lake.begin(SetKind::Import(mark), WriterOptions::new("tap")).unwrap();
        writer.flow(&[flow(1, TEN)]).unwrap();
        writer
    });
    assert!(matches!(first.commit(), Err(LakeError::Overtaken)));
    second.commit().unwrap();
    assert_eq!(ids(&lake, Table::Flow).len(), 1);
    assert_tidy(&lake);
}

#[test]
fn hours_that_are_still_written_are_not_compacted() {
    let _turn = turn();
    let (_dir, lake) = open();
    (0..4).for_each(|set| put(&lake, set * 10, 5).unwrap());
    let done = lake.compact(&CompactOptions::new(state::now(), Duration::from_secs(600))).unwrap();
    assert_eq!(done.parts_before, 0);
}

#[test]
fn retention_by_bytes_removes_the_oldest_hours_only() {
    let _turn = turn();
    let (_dir, lake) = open();
    put(&lake, 0, 300).unwrap();
    let parts = lake.parts(Table::Flow, None).unwrap();
    let newest: u64 = parts.iter().rev().take(2).map(|p| p.bytes).sum();
    let done = lake.retain(&RetainOptions { max_age: None, max_bytes: Some(newest + 100), now: Micros(TEN) }).unwrap();
    let left = lake.parts(Table::Flow, None).unwrap();
    assert_eq!(left, parts[parts.len() - 2..]);
    assert_eq!(done.rows, 300 - left.iter().map(|p| p.rows).sum::<u64>());
    assert_eq!(counted(&lake, "lake.expired.flow.rows"), done.rows);
    assert!(!lake.dir().join("flow/date=2026-03-04/hour=10").exists(), "empty folders go too");
    assert_tidy(&lake);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if !name.to_str().unwrap().starts_with("state.sqlite") {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn a_copied_lake_is_adopted_without_what_was_replaced() {
    let _turn = turn();
    let (dir, lake) = open();
    let content = "b3:00";
    let Begun::New(import_id) = lake.state().begin_import(content, "tap", "a.pcap", 1).unwrap() else { panic!() };
    let mark = ImportMark { import_id, content: content.into() };
    let mut writer = lake.begin(SetKind::Import(mark), WriterOptions::new("tap")).unwrap();
    writer.flow(&[flow(5_000, TEN)]).unwrap();
    writer.commit_import(ImportState::Done, "{}", None).unwrap();
    (0..3).for_each(|set| put(&lake, set * 100, 30).unwrap());
    let before = dir.path().join("before");
    copy(lake.dir(), &before);
    lake.compact(&all_hours()).unwrap();
    // A copy made in the middle of a compaction: old and new files side by side, no state.
    let mixed = dir.path().join("mixed");
    copy(&before, &mixed);
    copy(lake.dir(), &mixed);
    let expected = ids(&lake, Table::Flow);
    // Without touching it …
    let reader = Lake::open_existing(&mixed).unwrap();
    assert!(!reader.is_writable() && !mixed.join(state::FILE).exists());
    assert_eq!(ids(&reader, Table::Flow), expected);
    assert!(matches!(put(&reader, 0, 1), Err(LakeError::ReadOnly { .. })));
    // … and adopted for good.
    let adopted = Lake::open(&mixed).unwrap();
    assert_eq!(ids(&adopted, Table::Flow), expected);
    assert_tidy(&adopted);
    let again = adopted.state().begin_import(content, "tap", "b.pcap", 1).unwrap();
    assert!(matches!(again, Begun::Already(_)), "the import is known from the files: {again:?}");
    assert_eq!(adopted.adopt().unwrap(), Default::default());
}

#[test]
fn files_of_others_are_left_alone() {
    let _turn = turn();
    let (_dir, lake) = open();
    put(&lake, 0, 5).unwrap();
    let folder = lake.parts(Table::Flow, None).unwrap()[0].path.parent().unwrap().to_owned();
    fs::write(folder.join("broken.parquet"), b"PAR1 not really").unwrap();
    fs::write(folder.join("README"), b"hello").unwrap();
    let adopted = lake.adopt().unwrap();
    assert_eq!((adopted.unreadable, adopted.parts), (1, 0));
    assert!(folder.join("broken.parquet").exists());
    assert_eq!(ids(&lake, Table::Flow).len(), 5);
}

#[test]
fn what_is_no_lake_says_so() {
    let dir = scratch();
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        let error = Lake::open_existing(&path).unwrap_err();
        assert!(matches!(error, LakeError::NotALake { .. }), "{error}");
    }
}

#[test]
fn two_processes_see_each_others_sets_and_leave_their_work_alone() {
    let _turn = turn();
    let (_dir, one) = open();
    let two = Lake::open(one.dir()).unwrap();
    let mut writer = one.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
    writer.flow(&[flow(1, TEN)]).unwrap();
    // Opening and recovering meanwhile must not take the set in work for a dead one.
    let three = Lake::open(one.dir()).unwrap();
    two.recover().unwrap();
    put(&two, 100, 3).unwrap();
    assert_eq!(ids(&three, Table::Flow).len(), 3);
    writer.commit().unwrap();
    assert_eq!(ids(&three, Table::Flow).len(), 4);
    assert_tidy(&three);
}

/// A tmpfs of `size` on `at`, unmounted when dropped; `None` where that is not allowed.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).output();
        match done {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            Ok(output) => {
                eprintln!("skipped: no tmpfs can be mounted: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: no mount command: {error}");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_is_a_clear_error_and_passes() {
    let _turn = turn();
    let dir = scratch();
    let Some(_mount) = Mount::tmpfs(dir.path(), "3m") else { return };
    let path = dir.path().join("lake");
    let lake = Lake::open(&path).unwrap();
    put(&lake, 0, 30).unwrap();
    let before = ids(&lake, Table::Flow);
    // From no room at all to almost enough: the disk fills up at another step each time.
    let ballast = dir.path().join("ballast");
    let (mut failed, mut passed) = (0, 0);
    let mut at = 10_000;
    for left in (0..=600u64).step_by(30) {
        let stat = rustix::fs::statvfs(dir.path()).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        fs::write(&ballast, vec![1; free.saturating_sub(left << 10) as usize]).unwrap();
        let known = ids(&lake, Table::Flow);
        let result = put(&lake, at, 3_000);
        let now = ids(&lake, Table::Flow);
        match result {
            Ok(()) => {
                assert_eq!(now.len(), known.len() + 3_000);
                passed += 1;
            }
            Err(error) => {
                assert!(error.is_no_space(), "{left} KiB left: {error:?}");
                assert!(error.to_string().contains("room"), "says what to do: {error}");
                assert_eq!(now, known, "{left} KiB left");
                failed += 1;
            }
        }
        fs::remove_file(&ballast).unwrap();
        lake.recover().unwrap();
        assert_tidy(&lake);
        if lake.parts(Table::Flow, None).unwrap().len() > 200 {
            lake.retain(&RetainOptions { max_age: None, max_bytes: Some(50_000), now: Micros(TEN) }).unwrap();
        }
        at += 5_000;
        if passed == 1 {
            break;
        }
    }
    assert!(failed >= 3, "the disk was full {failed} times");
    put(&lake, 900_000, 10).unwrap();
    drop(lake);
    let lake = Lake::open(&path).unwrap();
    assert!(before.is_subset(&ids(&lake, Table::Flow)));
    assert_tidy(&lake);
}

#[test]
fn a_read_only_file_system_can_be_read() {
    let _turn = turn();
    let dir = scratch();
    let Some(mount) = Mount::tmpfs(dir.path(), "16m") else { return };
    let path = dir.path().join("lake");
    let expected = {
        let lake = Lake::open(&path).unwrap();
        put(&lake, 0, 30).unwrap();
        // What is only in the write-ahead log has to be seen too: keep the database open while copying.
        copy_all(&path, &dir.path().join("copy"));
        ids(&lake, Table::Flow)
    };
    let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&mount.0).status().unwrap();
    assert!(status.success());
    for name in ["lake", "copy"] {
        let lake = Lake::open_existing(dir.path().join(name)).unwrap();
        assert_eq!(ids(&lake, Table::Flow), expected, "{name}");
        let error = put(&lake, 0, 1).unwrap_err();
        assert!(matches!(error, LakeError::ReadOnly { .. }), "{error}");
    }
}

fn copy_all(from: &Path, to: &Path) {
    copy(from, to);
    for name in ["state.sqlite", "state.sqlite-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[test]
fn backup_and_restore_bring_state_and_files_together() {
    let _turn = turn();
    let (dir, lake) = open();
    put(&lake, 0, 30).unwrap();
    lake.state().set_setting("theme", "dark").unwrap();
    fs::create_dir(lake.dir().join("models")).unwrap();
    fs::write(lake.dir().join("models/m1.bin"), b"model").unwrap();
    let backup = dir.path().join("backup");
    let copied = lake.state().backup(&backup).unwrap();
    assert_eq!((copied.models, copied.model_bytes), (1, 5));
    let error = lake.state().backup(&backup).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");

    // Afterwards: more rows, a compaction, another setting, a model lost.
    put(&lake, 100, 30).unwrap();
    lake.compact(&all_hours()).unwrap();
    lake.state().set_setting("theme", "light").unwrap();
    fs::remove_file(lake.dir().join("models/m1.bin")).unwrap();
    let expected = ids(&lake, Table::Flow);

    let error = restore(&backup, lake.dir()).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(lake.state().setting("theme").unwrap().as_deref(), Some("light"));
    let path = lake.dir().to_owned();
    drop(lake);

    restore(&backup, &path).unwrap();
    let lake = Lake::open(&path).unwrap();
    assert_eq!(lake.state().setting("theme").unwrap().as_deref(), Some("dark"));
    assert_eq!(fs::read(path.join("models/m1.bin")).unwrap(), b"model");
    assert_eq!(ids(&lake, Table::Flow), expected, "rows written after the backup are adopted");
    assert_tidy(&lake);

    let damaged = dir.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join(state::FILE), b"SQLite format 3\0 no").unwrap();
    drop(lake);
    assert!(restore(&damaged, &path).is_err());
    assert!(restore(&dir.path().join("absent"), &path).is_err());
    assert_eq!(ids(&Lake::open(&path).unwrap(), Table::Flow), expected);
}

#[test]
fn a_database_of_a_later_spotter_is_refused() {
    let dir = scratch();
    let path = dir.path().join(state::FILE);
    drop(State::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let error = State::open(&path).unwrap_err();
    assert!(error.to_string().contains("version 999"), "{error}");
}

#[test]
fn verdicts_are_events() {
    use aggregator::record::RecordId;
    use aggregator::state::verdicts::{BatchId, Ended, LogQuery, NewVerdict, Severity, Subject, TakeBack};
    let (_dir, lake) = open();
    let state = lake.state();
    let record = RecordId([7; 16]);
    let verdict = NewVerdict {
        source: Source::Flow,
        subject: Subject::Record(record),
        reach: None,
        severity: Severity::High,
        scope: "record".into(),
        author: "ana".into(),
        time: Micros(1),
        note: None,
        expires: None,
        supersedes: None,
    };
    let first = state.append_verdict(&verdict).unwrap();
    let second = NewVerdict { severity: Severity::Low, supersedes: Some(first), ..verdict.clone() };
    let second_id = state.append_verdict(&second).unwrap();
    let expired = NewVerdict { expires: Some(Micros(50)), ..verdict };
    state.append_verdict(&expired).unwrap();
    let in_force: Vec<i64> = state.verdicts(Source::Flow, Micros(100)).unwrap().iter().map(|v| v.id).collect();
    assert_eq!(in_force, [second_id]);
    assert_eq!(state.verdict_history(record).unwrap().len(), 3);
    // Taken back: what it had superseded is in force again, and the log says who and why.
    let ids = || -> Vec<i64> { state.verdicts(Source::Flow, Micros(100)).unwrap().iter().map(|v| v.id).collect() };
    assert_eq!(state.take_back(second_id, "bea", Micros(60), Some("wrong host")).unwrap(), TakeBack::Done);
    assert_eq!(ids(), [first]);
    assert_eq!(state.take_back(second_id, "bea", Micros(61), None).unwrap(), TakeBack::Ended);
    assert_eq!(state.take_back(999, "bea", Micros(61), None).unwrap(), TakeBack::Missing);
    let log = state.verdict_log(LogQuery::default(), Micros(100)).unwrap();
    let ended: Vec<(i64, &Ended)> = log.iter().map(|logged| (logged.verdict.id, &logged.ended)).collect();
    let taken = Ended::TakenBack { by: "bea".into(), at: Micros(60), note: Some("wrong host".into()) };
    assert_eq!(ended, [(3, &Ended::Expired), (second_id, &taken), (first, &Ended::InForce)]);
    let newest = LogQuery { limit: Some(1), before: Some(3), ..LogQuery::default() };
    assert_eq!(state.verdict_log(newest, Micros(100)).unwrap()[0].verdict.id, second_id);
    // Many as a batch: what stands of it is taken back at once.
    let each: Vec<NewVerdict> = [8, 9, 10]
        .map(|byte| NewVerdict { subject: Subject::Record(RecordId([byte; 16])), expires: None, ..expired.clone() })
        .into();
    let (batch, given) = state.append_batch("dst_port == 23", &each).unwrap();
    let of_batch = || -> Vec<i64> {
        let log = state.verdict_log(LogQuery { in_force: true, ..LogQuery::default() }, Micros(100)).unwrap();
        log.iter().filter(|logged| logged.verdict.batch == Some(batch)).map(|logged| logged.verdict.id).collect()
    };
    let latest = given[2];
    assert_eq!(of_batch(), [latest, given[1], given[0]]);
    assert_eq!(ids(), [first, given[0], given[1], latest]);
    state.take_back(latest, "bea", Micros(62), None).unwrap();
    let known = state.batches(&[batch]).unwrap().remove(0);
    assert_eq!((&*known.query, known.given, known.standing), ("dst_port == 23", 3, 2));
    let ended = |id| state.take_batch_back(id, "bea", Micros(63), Some("all wrong")).unwrap();
    let done = ended(batch).unwrap();
    assert_eq!((done.ended, done.before, of_batch()), (2, 1, vec![]));
    assert_eq!((ended(batch).unwrap().ended, ended(BatchId(99))), (0, None));
    assert_eq!(ids(), [first], "others are as they were");
    // Not even by SQL.
    let raw = rusqlite::Connection::open(state.path()).unwrap();
    assert!(raw.execute("DELETE FROM verdicts", []).is_err());
    assert!(raw.execute("UPDATE verdicts SET severity = 1", []).is_err());
}

#[test]
fn one_run_of_a_source_and_day_is_current() {
    use aggregator::state::runs::Run;
    let (_dir, lake) = open();
    let state = lake.state();
    let date = "2026-03-04".parse().unwrap();
    let run = |id: &str, current| Run {
        run_id: id.into(),
        source: Source::Dns,
        date,
        words: "spot".into(),
        model: None,
        card: "{}".into(),
        created: Micros(1),
        current,
    };
    state.put_run(&run("a", true)).unwrap();
    state.put_run(&run("b", true)).unwrap();
    assert_eq!(state.current_run(Source::Dns, date).unwrap().unwrap().run_id, "b");
    assert!(state.set_current_run("a").unwrap());
    assert!(!state.set_current_run("none").unwrap());
    assert_eq!(state.current_run(Source::Dns, date).unwrap().unwrap().run_id, "a");
    let current: BTreeSet<String> =
        state.runs(Some(Source::Dns)).unwrap().into_iter().filter(|r| r.current).map(|r| r.run_id).collect();
    assert_eq!(current, ["a".to_owned()].into());
}
