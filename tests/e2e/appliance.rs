//! `spotter run`: what arrives in a watched folder is in the lake soon after, and SIGTERM ends it cleanly.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{command, rows, spotter};

/// Polls until `done`, for at most half a minute.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn count(lake: &Path, table: &str) -> u64 {
    let lake_text = lake.to_string_lossy().into_owned();
    let ran = spotter(["query", "--lake", &lake_text, "--format", "csv", &format!("select count(*) from {table}")]);
    ran.out.lines().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn terminate(mut child: Child) -> Option<i32> {
    let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(killed.success());
    child.wait().expect("ends").code()
}

#[test]
fn a_watched_folder_is_read_the_day_is_scored_and_the_page_is_served() {
    let folder = tempfile::tempdir().expect("folder");
    let made = folder.path().join("made");
    spotter(["-q", "demo", "--lake", &made.to_string_lossy(), "--hosts", "40", "--no-serve", "--date", &yesterday()])
        .done();
    let (lake, incoming) = (folder.path().join("lake"), folder.path().join("incoming"));
    std::fs::create_dir(&incoming).expect("made");
    let config = folder.path().join("spotter.toml");
    let text = format!(
        "[lake]\ndir = {lake:?}\nmax_age = \"90d\"\n[[watch]]\nname = \"in\"\ndir = {incoming:?}\nsensor = \"tap\"\n\
         [ui]\nlisten = \"127.0.0.1:0\"\n[score]\nat = \"00:00\"\n"
    );
    std::fs::write(&config, text).expect("written");
    // The first file is there before the start, the second arrives later.
    let capture = std::fs::read(made.join("demo/day.pcap")).expect("a capture");
    std::fs::write(incoming.join("first.pcap"), &capture).expect("written");
    spotter(["config", "check", "-c", &config.to_string_lossy()]).done();
    spotter(["import", "--lake", &lake.to_string_lossy(), "--sensor", "tap", &incoming.to_string_lossy()]).done();
    let flows = count(&lake, "flow");
    assert!(flows > 0);

    let mut child = command()
        .args(["run", "-c", &config.to_string_lossy()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut link = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut link).expect("a line");
    assert!(link.starts_with("http://127.0.0.1:") && link.contains("token="), "{link}");
    until("the day is scored", || count(&lake, "scores_flow") > 0);

    // The same content under another name adds nothing; other content does.
    std::fs::write(incoming.join("again.pcap"), &capture).expect("written");
    let mut shorter = capture.clone();
    shorter.truncate(24);
    let mut rest = &capture[24..];
    for _ in 0..100 {
        let size = u32::from_le_bytes(rest[8..12].try_into().expect("4 bytes")) as usize + 16;
        shorter.extend(&rest[..size]);
        rest = &rest[size..];
    }
    std::fs::write(incoming.join("other.pcap"), &shorter).expect("written");
    until("the new file is read", || {
        rows(&lake, "select count(distinct source) as n from ledger where counter = 'packets.seen'")[0]["n"].as_u64()
            >= Some(2)
    });
    let sources = rows(&lake, "select distinct source from ledger where counter = 'packets.seen'");
    assert!(!format!("{sources:?}").contains("again.pcap"), "{sources:?}");
    assert_eq!(terminate(child), Some(0));
}

/// Yesterday, UTC, by the same clock as the appliance.
fn yesterday() -> String {
    let output = Command::new("date").args(["-u", "-d", "yesterday", "+%Y-%m-%d"]).output().expect("date runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
