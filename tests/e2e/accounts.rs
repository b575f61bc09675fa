//! Accounts, tokens and the audit log by the command, and the server behind TLS.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{command, rows, spotter};

/// A lake with an administrator `root`.
fn lake_with_root(folder: &Path) -> String {
    let lake = folder.join("lake").to_string_lossy().into_owned();
    let capture = folder.join("empty.pcap");
    // A header and no packets: enough to make a lake.
    std::fs::write(&capture, [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])
        .expect("written");
    spotter(["-q", "import", "--lake", &lake, &capture.to_string_lossy()]).done();
    with_stdin(
        &["user", "add", "root", "--role", "admin", "--password-stdin", "--lake", &lake],
        "correct horse battery\n",
    );
    lake
}

fn with_stdin(args: &[&str], text: &str) -> String {
    let mut child = command()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn accounts_are_made_changed_and_listed_by_the_command() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake_with_root(folder.path());
    let at = ["--lake", lake.as_str()];
    let run = |args: &[&str]| spotter(args.iter().copied().chain(at));
    with_stdin(
        &["user", "add", "ann", "--role", "analyst", "--password-stdin", "--lake", &lake],
        "correct horse battery\n",
    );
    run(&["user", "add", "ann", "--password-stdin"]).failed(2, "at least 12 characters");
    run(&["user", "add", "a b", "--password-stdin"]).failed(2, "a name has 1 to 64 letters");
    run(&["user", "add", "eve", "--role", "root", "--password-stdin"]).failed(2, "viewer, analyst and admin");
    run(&["user", "role", "root", "viewer"]).failed(1, "there has to be an administrator");
    run(&["user", "disable", "root"]).failed(1, "there has to be an administrator");
    run(&["user", "role", "nobody", "viewer"]).failed(1, "spotter user list");
    run(&["user", "role", "ann", "admin"]).done();
    run(&["user", "disable", "root"]).done();
    run(&["user", "enable", "root"]).done();
    let users = run(&["user", "list", "--json"]).done().json();
    assert_eq!((users[0]["name"].as_str(), users[0]["role"].as_str()), (Some("ann"), Some("admin")));
    assert_eq!(users[1]["disabled"], serde_json::Value::Null);

    let token = run(&["token", "add", "ann", "--name", "t", "--scope", "viewer"]).done().out;
    assert!(token.starts_with("spt_") && token.trim().len() == 68, "{token}");
    run(&["token", "add", "ann", "--name", "t", "--expires", "2years"]).failed(2, "366 days");
    run(&["token", "add", "nobody", "--name", "t"]).failed(1, "there is no account");
    let listed = run(&["token", "list", "--json"]).done();
    assert!(!listed.out.contains(token.trim()));
    run(&["token", "revoke", "1"]).done();
    run(&["token", "revoke", "1"]).failed(1, "no token 1 in force");
}

#[test]
fn what_was_done_is_in_a_chain_that_shows_where_it_was_changed() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake_with_root(folder.path());
    let at = ["--lake", lake.as_str()];
    for role in ["admin", "admin", "admin"] {
        spotter(["user", "role", "root", role].into_iter().chain(at)).done();
    }
    let verified = spotter(["audit", "verify", "--json"].into_iter().chain(at)).done().json();
    assert_eq!((verified["checked"]["entries"].as_u64(), verified["heads_in_ledger"].as_u64()), (Some(4), Some(4)));
    let exported = spotter(["audit", "export"].into_iter().chain(at)).done().out;
    assert_eq!(exported.lines().count(), 4);
    assert!(exported.lines().all(|line| line.contains("\"actor\":\"console\"")), "{exported}");
    let noted = rows(Path::new(&lake), "select counter, value from ledger where source = 'audit' order by value");
    assert_eq!(noted.len(), 4);

    // Whoever can write the file can cut the log's end off, and make a sound chain of the rest: the ledger tells.
    let database = rusqlite::Connection::open(Path::new(&lake).join("state.sqlite")).expect("opens");
    database.execute_batch("DROP TRIGGER audit_stays; DELETE FROM audit WHERE seq = 4").expect("deleted");
    drop(database);
    spotter(["audit", "verify"].into_iter().chain(at)).failed(1, "changed at entry 4");
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn curl(args: &[&str]) -> String {
    let output = Command::new("curl").args(["-s", "--max-time", "20"]).args(args).output().expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn with_accounts_and_tls_it_serves_other_addresses_and_takes_a_new_certificate_at_sighup() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = lake_with_root(folder.path());
    spotter(["serve", "--lake", &lake, "--listen", "0.0.0.0:0", "--insecure-behind-proxy", "127.0.0.1"])
        .failed(2, "--host NAME");
    spotter(["serve", "--lake", &lake, "--tls-cert", "x.pem"]).failed(2, "--tls-key");
    let child = command()
        .args(["serve", "--lake", &lake, "--listen", "0.0.0.0:0", "--tls", "--host", "spotter.example"])
        .env("NO_COLOR", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut server = Server(child);
    let mut lines = BufReader::new(server.0.stderr.take().expect("piped")).lines();
    let mut wait_for = |part: &str| loop {
        let line = lines.next().expect("the server still runs").expect("text");
        if line.contains(part) {
            return line;
        }
    };
    let line = wait_for("serving on https://");
    let port = line.rsplit_once(':').expect("a port").1;
    let port = port.split(';').next().expect("a port").to_owned();
    wait_for("certificate SHA-256");
    let certificate = format!("{lake}/tls/certificate.pem");
    let site = format!("https://spotter.example:{port}");
    let to = format!("spotter.example:{port}:127.0.0.1");
    let ask = |path: &str, more: &[&str]| {
        curl(&[&["--cacert", &certificate, "--resolve", &to, "-D", "-", &format!("{site}{path}")], more].concat())
    };
    assert!(ask("/api/v1/health", &[]).contains("200 OK"));
    assert!(ask("/api/v1/days", &[]).contains("401"));
    let form = "name=root&password=correct+horse+battery";
    let signed_in = ask("/login", &["-d", form, "-H", &format!("Origin: {site}")]);
    assert!(signed_in.contains("303"), "{signed_in}");
    let cookie = signed_in.lines().find(|line| line.contains("__Host-spotter=")).expect("a cookie");
    assert!(cookie.contains("Secure") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let pair = cookie.split_once(": ").expect("a header").1.split(';').next().expect("a pair").to_owned();
    assert!(ask("/api/v1/me", &["-H", &format!("Cookie: {pair}")]).contains("\"role\":\"admin\""));
    let plain = curl(&["-D", "-", &format!("http://127.0.0.1:{port}/api/v1/health")]);
    assert!(!plain.contains("200 OK"), "no plain HTTP on the port of TLS: {plain}");

    std::fs::remove_file(&certificate).expect("removed");
    let id = server.0.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill runs").success());
    wait_for("certificate read again");
    assert!(ask("/api/v1/health", &[]).contains("200 OK"), "the new certificate is in use");
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    let mut rest = String::new();
    for line in lines.by_ref() {
        rest.push_str(&line.expect("text"));
    }
    assert_eq!(server.0.wait().expect("ends").code(), Some(0), "{rest}");
}
