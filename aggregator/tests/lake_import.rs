//! Importing real captures: each content once, damaged files kept as far as they go, folders watched.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lake_support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aggregator::import::{
    FileOutcome, FileReport, ImportOptions, ImportReport, Input, Originals, Progress, Step, import,
};
use aggregator::lake::{Lake, LakeError, Table};
use lake_support::*;

/// A pcap file of `packets` UDP packets, one a second, each from its own port: as many flows. Files of different
/// length have no flow in common.
fn pcap(packets: u32) -> Vec<u8> {
    let mut out = Vec::new();
    // libpcap's file header: magic, 2.4, zone, sigfigs, snaplen, Ethernet.
    out.extend(0xa1b2_c3d4u32.to_le_bytes());
    out.extend([2, 0, 4, 0]);
    out.extend([0; 8]);
    out.extend(65_535u32.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    for n in 0..packets {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1]);
        frame.extend((10_000 + (n % 50_000) as u16).to_be_bytes());
        frame.extend([0x1f, 0x90, 0, 12, 0, 0]);
        frame.extend(n.to_be_bytes());
        out.extend((1_772_618_400 + n).to_le_bytes());
        // Microseconds tell the files apart.
        out.extend((packets % 1_000_000).to_le_bytes());
        out.extend((frame.len() as u32).to_le_bytes());
        out.extend((frame.len() as u32).to_le_bytes());
        out.extend(frame);
    }
    out
}

fn run(lake: &Lake, paths: &[&Path]) -> ImportReport {
    run_with(lake, paths, &ImportOptions::new("tap"))
}

fn run_with(lake: &Lake, paths: &[&Path], options: &ImportOptions) -> ImportReport {
    let inputs: Vec<Input> = paths.iter().map(|p| Input::Path(p.to_path_buf())).collect();
    import(lake, &inputs, options, &AtomicBool::new(false), &mut ()).unwrap()
}

fn outcomes(report: &ImportReport) -> Vec<FileOutcome> {
    report.files.iter().map(|f| f.outcome).collect()
}

#[test]
fn a_folder_is_imported_once_by_content() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let folder = dir.path().join("captures");
    fs::create_dir_all(folder.join("b")).unwrap();
    fs::write(folder.join("b/two.pcap"), pcap(20)).unwrap();
    fs::write(folder.join("a.pcap"), pcap(10)).unwrap();
    fs::write(folder.join("same-as-a.cap"), pcap(10)).unwrap();
    fs::write(folder.join("notes.txt"), "just a few words").unwrap();
    fs::write(folder.join(".hidden.pcap"), pcap(5)).unwrap();

    let report = run(&lake, &[&folder]);
    use FileOutcome::{AlreadyImported, Failed, Imported};
    assert_eq!(outcomes(&report), [Imported, Imported, Failed, AlreadyImported]);
    assert_eq!((report.total.packets, report.total.records["flow"]), (30, 30));
    assert_eq!(report.total.ledger["packets.seen"], 30);
    assert!(report.files.iter().all(|f| f.imbalances.is_empty()));
    assert!(report.files[2].error.as_ref().unwrap().contains("neither a capture nor a log"), "{:?}", report.files[2]);
    let first = ids(&lake, Table::Flow);
    assert_eq!(first.len(), 30);

    let again = run(&lake, &[&folder]);
    assert_eq!(outcomes(&again), [AlreadyImported, AlreadyImported, Failed, AlreadyImported]);
    assert_eq!(ids(&lake, Table::Flow), first);
    assert_tidy(&lake);

    // Another lake, another day: the same record_ids.
    let other = Lake::open(dir.path().join("other")).unwrap();
    run(&other, &[&folder]);
    assert_eq!(ids(&other, Table::Flow), first);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["total"]["files"], serde_json::json!({"imported": 2, "already_imported": 1, "failed": 1}));
    assert_eq!(json["files"][0]["outcome"], "imported");
}

#[test]
fn a_damaged_capture_keeps_what_could_be_read_and_says_so() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let file = dir.path().join("cut.pcap");
    let whole = pcap(10);
    fs::write(&file, &whole[..whole.len() - 7]).unwrap();
    let report = run(&lake, &[&file]);
    assert_eq!(outcomes(&report), [FileOutcome::Damaged]);
    let row = &report.files[0];
    assert_eq!((row.packets, row.records["flow"], row.ledger["file_errors"]), (9, 9, 1));
    assert!(row.error.as_ref().unwrap().contains("ends at offset"), "{row:?}");
    let row = lake.state().import(row.content.as_ref().unwrap(), "tap").unwrap().unwrap();
    assert_eq!(row.state.as_str(), "damaged");
    assert!(row.error.is_some());
}

#[test]
fn a_file_that_cannot_be_read_does_not_stop_the_others() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let (absent, empty, good) = (dir.path().join("absent"), dir.path().join("empty"), dir.path().join("good.pcap"));
    fs::write(&empty, b"").unwrap();
    fs::write(&good, pcap(3)).unwrap();
    let report = run(&lake, &[&absent, &empty, &good]);
    use FileOutcome::{Failed, Imported};
    assert_eq!(outcomes(&report), [Failed, Failed, Imported]);
    assert!(report.files.iter().take(2).all(|f| f.error.is_some()));
    assert_eq!(ids(&lake, Table::Flow).len(), 3);
}

#[test]
fn originals_are_kept_by_sha256() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let file = dir.path().join("evidence.pcap");
    fs::write(&file, pcap(3)).unwrap();
    let mut options = ImportOptions::new("tap");
    options.originals = Originals::Keep;
    let report = run_with(&lake, &[&file], &options);
    let row = lake.state().import(report.files[0].content.as_ref().unwrap(), "tap").unwrap().unwrap();
    let sha256 = row.original.unwrap();
    let kept = lake.dir().join("originals").join(&sha256[..2]).join(format!("{sha256}.pcap"));
    assert_eq!(fs::read(&kept).unwrap(), pcap(3));
    let sum = std::process::Command::new("sha256sum").arg(&file).output().unwrap();
    assert!(sum.stdout.starts_with(sha256.as_bytes()));
}

/// Interrupts after so many packets.
struct Stop<'a>(&'a AtomicBool, u64);

impl Progress for Stop<'_> {
    fn step(&mut self, step: Step<'_>) {
        if step.packets >= self.1 {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_interrupt_leaves_nothing_half() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let (small, large) = (dir.path().join("a.pcap"), dir.path().join("b.pcap"));
    fs::write(&small, pcap(10)).unwrap();
    fs::write(&large, pcap(400_000)).unwrap();
    let interrupt = AtomicBool::new(false);
    let inputs = [Input::Path(small.clone()), Input::Path(large.clone()), Input::Path(small)];
    let report = import(&lake, &inputs, &ImportOptions::new("tap"), &interrupt, &mut Stop(&interrupt, 11)).unwrap();
    assert_eq!(outcomes(&report), [FileOutcome::Imported, FileOutcome::Interrupted]);
    assert_eq!(ids(&lake, Table::Flow).len(), 10);
    assert_tidy(&lake);
    // Started again, it is imported whole.
    let report = run(&lake, &[&large]);
    assert_eq!((outcomes(&report), report.total.packets), (vec![FileOutcome::Imported], 400_000));
    assert_tidy(&lake);
}

/// Collects reports, and ends the watch after so many, or after some time.
struct Watcher<'a> {
    stop: &'a AtomicBool,
    wanted: usize,
    reports: Vec<(PathBuf, FileOutcome, u64)>,
}

impl Progress for Watcher<'_> {
    fn file(&mut self, report: &FileReport) {
        let name = report.path.file_name().unwrap().into();
        self.reports.push((name, report.outcome, report.packets));
        if self.reports.len() == self.wanted {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_watched_folder_gives_each_file_once_and_waits_for_those_being_written() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("there.pcap"), pcap(4)).unwrap();
    let stop = AtomicBool::new(false);
    let mut options = ImportOptions::new("tap");
    options.follow.interval = Duration::from_millis(20);
    options.follow.settle = Duration::from_millis(200);
    let mut watcher = Watcher { stop: &stop, wanted: 3, reports: Vec::new() };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let (folder, stop) = (&folder, &stop);
        scope.spawn(move || {
            // Written in pieces, the cut inside a record, with a pause longer than the settling time.
            let whole = pcap(50);
            let mut file = fs::File::create(folder.join("grows.pcap")).unwrap();
            for piece in [&whole[..1_000], &whole[1_000..1_100], &whole[1_100..]] {
                file.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(350));
            }
            fs::write(folder.join("again.pcap"), pcap(4)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                if begun.elapsed() > Duration::from_secs(30) {
                    stop.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        import(&lake, &[Input::Watch(folder.clone())], &options, stop, &mut watcher).unwrap();
    });
    let mut reports = watcher.reports;
    reports.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("again.pcap", FileOutcome::AlreadyImported, 0),
        ("grows.pcap", FileOutcome::Imported, 50),
        ("there.pcap", FileOutcome::Imported, 4),
    ];
    assert_eq!(reports, expected.map(|(name, outcome, packets)| (name.into(), outcome, packets)));
    assert_eq!(ids(&lake, Table::Flow).len(), 54);
}

#[test]
fn a_sensor_that_is_no_folder_is_refused() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let error = import(&lake, &[], &ImportOptions::new("../x"), &AtomicBool::new(false), &mut ()).unwrap_err();
    assert!(matches!(error, LakeError::SensorName { .. }));
}

/// The shared captures, where they are.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("SPOTTER_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new("../../shared").to_owned());
    let pcap = root.join("data/pcap");
    if pcap.is_dir() {
        return Some(pcap);
    }
    eprintln!("skipped: {} is not there; SPOTTER_SHARED says where the captures are", pcap.display());
    None
}

#[test]
fn every_shared_capture_goes_in_with_closed_books_and_the_same_rows_twice() {
    let Some(captures) = shared() else { return };
    let dir = scratch();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let (one, two) = (Lake::open(one).unwrap(), Lake::open(two).unwrap());
    let report = run(&one, &[&captures]);
    assert!(report.files.len() > 100, "{} files", report.files.len());
    for file in &report.files {
        assert!(file.imbalances.is_empty(), "{}: {:?}", file.path.display(), file.imbalances);
        assert_eq!(
            file.ledger.get("packets.seen").copied().unwrap_or_default(),
            file.packets,
            "{}",
            file.path.display()
        );
    }
    let failed: Vec<_> = report.files.iter().filter(|f| f.outcome == FileOutcome::Failed).collect();
    assert!(failed.len() * 20 < report.files.len(), "{} failed: {failed:#?}", failed.len());
    run(&two, &[&captures]);
    for table in [Table::Flow, Table::Dns, Table::Proxy, Table::Dhcp] {
        let rows: u64 = one.parts(table, None).unwrap().iter().map(|p| p.rows).sum();
        assert_eq!(report.total.records.get(table.as_str()).copied().unwrap_or_default(), rows);
        let read = |lake: &Lake| -> Vec<[u8; 16]> {
            use arrow::array::{Array as _, AsArray as _};
            let parts = lake.parts(table, None).unwrap();
            let batches = parts.iter().flat_map(read).collect::<Vec<_>>();
            let mut ids: Vec<[u8; 16]> = batches
                .iter()
                .flat_map(|b| {
                    let ids = b.column_by_name("record_id").unwrap().as_fixed_size_binary().clone();
                    (0..ids.len()).map(move |n| *ids.value(n).first_chunk().unwrap())
                })
                .collect();
            ids.sort();
            ids
        };
        let (a, b) = (read(&one), read(&two));
        assert_eq!(a.len() as u64, rows, "every part can be read");
        assert!(a == b, "{table:?}: another import gives other record_ids");
        assert!(rows > 0);
    }
    let again = run(&one, &[&captures]);
    assert!(again.files.iter().all(|f| matches!(f.outcome, FileOutcome::AlreadyImported | FileOutcome::Failed)));
    assert_tidy(&one);
}

#[test]
fn a_folder_that_cannot_be_read_keeps_nobody_from_the_others() {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let folder = dir.path().join("captures");
    fs::create_dir_all(folder.join("a/inner")).unwrap();
    fs::write(folder.join("z.pcap"), pcap(10)).unwrap();
    // Root reads everything: folders without end are refused to everybody.
    let deep = (0..70).fold(folder.join("a/inner"), |path, n| path.join(n.to_string()));
    fs::create_dir_all(&deep).unwrap();
    std::os::unix::fs::symlink(&folder, folder.join("a/loop")).unwrap();
    std::os::unix::fs::symlink(folder.join("b"), folder.join("b")).unwrap();
    let report = run(&lake, &[&folder]);
    assert_eq!(outcomes(&report), [FileOutcome::Failed, FileOutcome::Imported]);
    assert!(report.files[0].error.as_ref().unwrap().contains("64 folders deep"), "{:?}", report.files[0]);
    let null = run(&lake, &[Path::new("/dev/null")]);
    assert!(null.files[0].error.as_ref().unwrap().contains("neither a file nor a folder"), "{:?}", null.files[0]);
}
