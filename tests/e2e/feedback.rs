//! What an analyst says comes back in the next run: verdicts, rules, rule files and context, by the command, over a synthetic day.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{Ran, rows, spotter};
use serde_json::{Value, json};

/// A synthetic day, imported and scored, and its flows' list.
struct Scored {
    folder: tempfile::TempDir,
    date: String,
}

/// A row of the list.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    id: String,
    place: u64,
    group: String,
    peer: (String, String, u64),
    said: Vec<String>,
    fired: Vec<String>,
}

impl Scored {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake").to_string_lossy().into_owned();
        spotter(["-q", "demo", "--lake", &lake, "--hosts", "40", "--no-serve"]).done();
        let date = rows(Path::new(&lake), "select date from flow limit 1")[0]["date"].as_str().unwrap().to_owned();
        Self { folder, date }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// `spotter COMMAND … --lake LAKE`.
    fn run(&self, args: &[&str]) -> Ran {
        let lake = self.lake().to_string_lossy().into_owned();
        spotter(args.iter().copied().chain(["--lake", lake.as_str()]))
    }

    /// Scores the flows again, and gives the list.
    fn scored(&self, more: &[&str]) -> Vec<Row> {
        let args = [&["-q", "score", "--source", "flow", "--date", &self.date][..], more].concat();
        self.run(&args).done();
        self.list()
    }

    fn list(&self) -> Vec<Row> {
        let sql = "select record_id, fused_rank, group_id, src_ip, dst_ip, dst_port, rules_applied, detectors from scores_flow \
            where run_id = (select run_id from scores_flow order by scored_at desc limit 1) order by fused_rank, first_seen, record_id";
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let found = rows(&self.lake(), sql);
        assert!(found.len() > 100, "{} rows", found.len());
        let row = |row: Value| Row {
            id: text(&row["record_id"]),
            place: row["fused_rank"].as_u64().unwrap(),
            group: row["group_id"].to_string(),
            peer: (text(&row["src_ip"]), text(&row["dst_ip"]), row["dst_port"].as_u64().unwrap()),
            said: row["rules_applied"].as_array().unwrap().iter().map(text).collect(),
            fired: row["detectors"].as_array().unwrap().iter().map(|fired| text(&fired["name"])).collect(),
        };
        found.into_iter().map(row).collect()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    }
}

fn ids(rows: &[Row], takes: impl Fn(&Row) -> bool) -> Vec<&str> {
    rows.iter().filter(|row| takes(row)).map(|row| row.id.as_str()).collect()
}

/// Hosts of the list that go to the same place.
fn clients(rows: &[Row], row: &Row) -> usize {
    let same = rows.iter().filter(|other| other.peer.1 == row.peer.1 && other.peer.2 == row.peer.2);
    same.map(|other| other.peer.0.as_str()).collect::<BTreeSet<_>>().len()
}

/// Rows that a list has at most.
const LIMIT: usize = 3000;

/// All that `takes` stand behind all others and say why; the others keep their order.
fn is_last(before: &[Row], after: &[Row], said: &str, takes: impl Fn(&Row) -> bool) {
    let (taken, others): (Vec<&Row>, Vec<&Row>) = after.iter().partition(|row| takes(row));
    assert!(!taken.is_empty() || after.len() == LIMIT, "{} rows", after.len());
    let last = others.iter().map(|row| row.place).max().unwrap();
    assert!(taken.iter().all(|row| row.place > last && row.said == [said]), "{last} {taken:#?}");
    // A list has room for so many rows, and for so many of a group: each that lost its place may let in another.
    let (old, new) = (ids(before, |row| !takes(row)), ids(after, |row| !takes(row)));
    let in_both = |of: &[&str], others: &[&str]| -> Vec<String> {
        let others: BTreeSet<&str> = others.iter().copied().collect();
        of.iter().filter(|id| others.contains(*id)).map(|id| (*id).to_owned()).collect()
    };
    let stayed = in_both(&new, &old);
    assert!(stayed.len() > 100 && new.len() - stayed.len() <= before.len() - old.len(), "{} came", new.len());
    assert_eq!(in_both(&old, &new), stayed, "others moved");
}

#[test]
fn a_verdict_changes_the_next_run_and_undo_takes_it_back() {
    let day = Scored::new();
    let before = day.scored(&[]);
    assert!(before.iter().all(|row| row.said.is_empty()));
    let first = before[0].clone();
    let low =
        ["verdict", "add", "--source", "flow", "--record", &first.id, "--severity", "3", "--author", "ana", "--json"];

    let told = day.run(&[&low[..], &["--preview"]].concat()).done().json();
    assert_eq!(told["best_rank"], 1, "{told}");
    assert_eq!(day.run(&["verdict", "list", "--json"]).done().out, "", "a preview saves nothing");

    let id = day.run(&low).done().json()["id"].as_i64().unwrap();
    let named = format!("verdict {id}");
    let after = day.scored(&[]);
    is_last(&before, &after, &named, |row| row.group == first.group);
    assert!(after[0].group != first.group);

    // Confirmed: whoever goes to the same place rises, and says so.
    let busy = before.iter().rev().find(|row| row.group != first.group && clients(&before, row) > 1);
    let busy = busy.expect("a server of more than one host");
    let high = day.run(&["verdict", "add", "--source", "flow", "--record", &busy.id, "--severity", "1", "--json"]);
    let high = format!("verdict {}", high.done().json()["id"]);
    let raised = day.scored(&[]);
    let others: Vec<&Row> =
        raised.iter().filter(|row| row.peer.1 == busy.peer.1 && row.peer.2 == busy.peer.2).collect();
    assert!(others.iter().any(|row| row.peer.0 != busy.peer.0), "{others:?}");
    for row in &others {
        let was = before.iter().find(|other| other.id == row.id).map_or(u64::MAX, |other| other.place);
        assert!(row.said.contains(&high) && row.place <= was, "{was} {row:?}");
    }

    for id in [id, high.trim_start_matches("verdict ").parse().unwrap()] {
        day.run(&["verdict", "undo", &id.to_string(), "--note", "wrong host"]).done();
    }
    assert_eq!(day.scored(&[]), before, "undone is as if nothing had been said");
    day.run(&["verdict", "undo", &id.to_string()]).failed(1, "taken back already");
    day.run(&["verdict", "undo", "99"]).failed(1, "spotter verdict list");
    let log = day.run(&["verdict", "list", "--ended", "--json"]).done().out;
    assert_eq!(log.matches("\"taken_back\"").count(), 2, "{log}");
    day.run(&["verdict", "add", "--source", "flow", "--severity", "3"]).failed(2, "--record");
    day.run(&["verdict", "add", "--source", "flow", "--severity", "3", "--domain", "x.example"]).failed(2, "no domain");
}

#[test]
fn rules_allow_until_they_expire_and_suppress_until_they_are_removed() {
    let day = Scored::new();
    let before = day.scored(&[]);
    let (host, peer, port) = before[0].peer.clone();
    let takes = |row: &Row| row.peer.0 == host && row.peer.1 == peer && row.peer.2 == port;
    let port = port.to_string();
    let about = ["--source", "flow", "--host", &host, "--peer", &peer, "--port", &port, "--json"];
    let add = |more: &[&str]| {
        let made = day.run(&[&["rules", "add"][..], &about, more].concat()).done().json();
        made["id"].as_i64().unwrap()
    };
    let allowed = add(&["--allow", "--expires", "1h", "--name", "backup"]);
    let after = day.scored(&[]);
    is_last(&before, &after, &format!("rule {allowed}"), takes);
    let listed = day.run(&["rules", "list", "--json"]).done().json();
    assert!(listed["hits"].as_u64() > Some(0) && listed["expires"].is_string(), "{listed}");
    day.run(&["rules", "remove", &allowed.to_string()]).done();

    let gone = add(&["--allow", "--expires", "1ms"]);
    let listed = day.run(&["rules", "list", "--ended", "--json"]).done().out;
    assert!(
        listed.lines().any(|line| line.contains(&format!("\"id\":{gone}")) && line.contains("expired")),
        "{listed}"
    );
    assert_eq!(day.scored(&[]), before, "an expired rule does nothing");

    let suppressed = add(&["--suppress"]);
    assert_eq!(day.scored(&[]).iter().filter(|row| takes(row)).count(), 0);
    day.run(&["rules", "remove", &suppressed.to_string()]).done();
    assert_eq!(day.scored(&[]), before);
    day.run(&["rules", "remove", &suppressed.to_string()]).failed(1, "spotter rules list");
    day.run(&["rules", "add", "--source", "flow", "--allow"]).failed(2, "--host");
}

#[test]
fn spots_feedback_file_is_taken_once_line_by_line() {
    let day = Scored::new();
    let before = day.scored(&[]);
    let (host, peer, port) = before[0].peer.clone();
    let takes = |row: &Row| row.peer.0 == host && row.peer.1 == peer && (port == 0 || row.peer.2 == port);
    let header = "sev,tstart,sip,dip,sport,dport,ipkt,ibyt";
    let text = format!(
        "{header}\n3,2016-07-08 03:15:01,{host},{peer},40001,{port},120,3\n{header}\n7,x,{host},{peer},1,2,3,4\n3,cut\n"
    );
    let file = day.write("ml_feedback.csv", text);
    let ran = day.run(&["verdict", "import", &file]).done();
    assert_eq!(ran.out, "1 added, 0 known already, 0 not in force any more, 2 rejected\n");
    assert!(ran.err.contains("ml_feedback.csv:4: severity") && ran.err.contains("ml_feedback.csv:5:"), "{}", ran.err);
    let again = day.run(&["verdict", "import", &file, "--json"]).done().json();
    assert_eq!((&again["added"], &again["known"]), (&json!(0), &json!(1)), "{again}");
    let log = day.run(&["verdict", "export"]).done().json();
    let named = format!("verdict {}", log[0]["id"]);
    let after = day.scored(&[]);
    is_last(&before, &after, &named, takes);
    // What was exported means the same when it is read again: nothing is new.
    let exported = day.write("verdicts.json", serde_json::to_string(&log).unwrap());
    assert_eq!(day.run(&["verdict", "import", &exported, "--json"]).done().json()["known"], 1);

    for (name, bytes, part) in [
        ("latin.csv", b"sev,tstart\n3,\xe9\xff".to_vec(), "not UTF-8 text at byte 13"),
        ("other.csv", b"a,b,c\n1,2,3\n".to_vec(), "no file of verdicts"),
        ("cut.json", b"[{\"source\":\"flow\",".to_vec(), "JSON array of verdicts"),
        ("deep.json", vec![b'['; 100_000], "JSON array of verdicts"),
        ("empty.csv", Vec::new(), "no file of verdicts"),
    ] {
        let file = day.write(name, bytes);
        day.run(&["verdict", "import", &file]).failed(1, part);
    }
}

#[test]
fn sigma_and_sql_files_stand_among_the_detectors() {
    let day = Scored::new();
    let folder = day.folder.path().join("rules");
    std::fs::create_dir(&folder).unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    put(
        "web.yml",
        "title: Plain web\nlevel: low\nlogsource:\n  category: network_connection\ndetection:\n  to_web:\n    dst_port: [80, 443]\n  own:\n    \
         dst_ip|cidr: 10.0.0.0/8\n  condition: to_web and not own\n",
    );
    put(
        "ssh.sql",
        "-- title: Remote shell\n-- source: flow\n-- level: critical\nSELECT record_id, 'port 22' AS evidence FROM flow WHERE date = $1 AND dst_port = 22\n",
    );
    put("bad.yml", "title: Bad\nlogsource:\n  category: process_creation\ndetection: {}\n");
    put("writes.sql", "-- title: Writes\n-- source: flow\nCREATE TABLE x AS SELECT $1\n");
    let count = |sql: &str| rows(&day.lake(), &format!("select count(*) as n from flow where {sql}"))[0]["n"].as_u64();
    let (web, ssh) = (count("dst_port in (80, 443) and not in_cidr(dst_ip, '10.0.0.0/8')"), count("dst_port = 22"));
    assert!(web > Some(0) && ssh > Some(0), "{web:?} {ssh:?}");

    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let check = ["rules", "check", "--date", &day.date, "--json"];
    for (name, matches) in [("web.yml", web), ("ssh.sql", ssh)] {
        let told = day.run(&[&check[..], &[&path(name)]].concat()).done().json();
        assert_eq!(told["matches"].as_u64(), matches, "{told}");
    }
    day.run(&["rules", "check", &path("bad.yml")]).failed(1, "line 2");
    day.run(&["rules", "check", "--date", &day.date, &path("writes.sql")]).failed(1, "writes.sql");

    let card = ["score", "--source", "flow", "--date", &day.date, "--rules", &folder.to_string_lossy(), "--json"];
    let ran = day.run(&card).done();
    assert!(ran.err.contains("bad.yml") && ran.err.contains("left out"), "{}", ran.err);
    let card = ran.json();
    assert_eq!(card["rows"]["rule_files"]["Remote shell"].as_u64(), ssh, "{}", card["rows"]);
    assert_eq!(card["rows"]["rule_files"]["Plain web"].as_u64(), web, "{}", card["rows"]);
    assert!(card["rows"]["rule_errors"]["Writes"].is_string(), "{}", card["rows"]);
    let fired = day.list();
    for (title, port) in [("Remote shell", vec![22]), ("Plain web", vec![80, 443])] {
        let of: Vec<&Row> = fired.iter().filter(|row| row.fired.iter().any(|name| name == title)).collect();
        assert!(!of.is_empty() && of.iter().all(|row| port.contains(&row.peer.2)), "{title}: {of:?}");
    }
}

#[test]
fn context_files_reach_the_scores_and_hostile_ones_end_in_an_error() {
    let day = Scored::new();
    let peer = day.list().into_iter().map(|row| row.peer.1).find(|ip| !ip.starts_with("10.") && !ip.contains(':'));
    let peer = peer.expect("a peer outside");
    let number = u32::from(peer.parse::<std::net::Ipv4Addr>().unwrap());
    let geo = day.write(
        "iploc.csv",
        format!("\"{number}\",\"{number}\",\"IS\",\"Iceland\",\"Capital\",\"Reykjavik\",\"64.1\",\"-21.9\",\"Cloud, Inc\",\"example.net\"\n"),
    );
    let bad = day.write("bad.csv", format!("indicator,level,label\n{peer},3,command and control\n"));
    let names = day.write("networkcontext_1.csv", format!("key,name\n{peer}/32,Partner <b>A</b>\n"));
    day.run(&["context", "add", &geo, &names]).done();
    day.run(&["context", "add", "--kind", "reputation", &bad]).done();
    day.scored(&[]);
    let sql = format!(
        "select distinct dst_geo, reputation, reputation_source, network_context from scores_flow where dst_ip = '{peer}' \
         and run_id = (select run_id from scores_flow order by scored_at desc limit 1)"
    );
    let found = rows(&day.lake(), &sql);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["dst_geo"], "Capital;Reykjavik Cloud, Inc");
    assert_eq!(
        (&found[0]["reputation"], &found[0]["network_context"]),
        (&json!(3), &json!("Partner <b>A</b>")),
        "{found:?}"
    );
    assert!(found[0]["reputation_source"].as_str().unwrap().contains("command and control"), "{found:?}");

    let sparse = day.folder.path().join("ipranges.csv");
    std::fs::File::create(&sparse).unwrap().set_len(1 << 36).unwrap();
    let sparse = sparse.to_string_lossy().into_owned();
    day.run(&["context", "add", &sparse]).failed(1, "more than 33554432 bytes");
    for (kind, name, bytes, part) in [
        ("internal", "latin.csv", b"10.0.0.0/8,B\xfcro\n".to_vec(), "not UTF-8 text at byte 12"),
        ("internal", "none.csv", b"x,y,z\nu,v,w\n".to_vec(), "nothing of it is a file of kind internal"),
        ("geo", "words.csv", vec![b'"'; 100_000], "nothing of it is a file of kind geo"),
        ("mmdb", "no.mmdb", b"\xab\xcd\xefMaxMind.com".to_vec(), "MMDB"),
        ("reputation", "deep.json", vec![b'['; 1 << 20], "deep.json"),
        ("reputation", "cut.json", b"{\"type\":\"bundle\",\"objects\":[{".to_vec(), "cut.json"),
        ("domains", "empty.csv", Vec::new(), "nothing of it is a file of kind domains"),
    ] {
        let file = day.write(name, bytes);
        day.run(&["context", "add", "--kind", kind, &file]).failed(1, part);
    }
    day.run(&["context", "add", &day.write("what.txt", "x")]).failed(2, "--kind");
    let files = day.run(&["context", "list", "--json"]).done().out;
    assert_eq!(files.lines().count(), 3, "nothing refused was kept: {files}");

    // A file that is put there by hand does no harm either.
    std::fs::write(day.lake().join("context/network/broken.csv"), b"\xff\xfe").unwrap();
    let files = day.run(&["context", "list"]).done().out;
    assert!(files.contains("NOT USED: not UTF-8 text"), "{files}");
    day.scored(&[]);
    assert_eq!(rows(&day.lake(), &sql).len(), 1);
}
