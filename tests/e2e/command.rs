//! Help, exit statuses and errors that say what to do.

use crate::support::spotter;

/// The names under `Commands:` of a help text.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A name stands after two spaces; what is further in goes on with the line above.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    names.filter_map(|rest| rest.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

fn commands() -> Vec<String> {
    let commands = subcommands(&spotter(["--help"]).done().out);
    assert!(commands.len() > 12 && commands.iter().any(|name| name == "import"), "{commands:?}");
    commands
}

#[test]
fn every_command_has_help_with_examples() {
    for name in commands() {
        let help = spotter([&name, "--help"]).done().out;
        assert!(help.contains("Examples:") && help.contains(&format!("spotter {name}")), "{name}: {help}");
        for inner in subcommands(&help) {
            let help = spotter([&name, &inner, "--help"]).done().out;
            assert!(help.contains(&format!("Usage: spotter {name} {inner}")), "{name} {inner}: {help}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page_and_completions() {
    let folder = tempfile::tempdir().expect("folder");
    spotter(["manual", "pages", &folder.path().to_string_lossy()]).done();
    let commands = commands();
    for name in &commands {
        let page = std::fs::read_to_string(folder.path().join(format!("spotter-{name}.1"))).expect(name);
        assert!(page.contains(".SH SYNOPSIS") && page.contains("Examples:"), "{name}: {page}");
    }
    let bash = spotter(["manual", "completions", "bash"]).done().out;
    assert!(commands.iter().all(|name| bash.contains(&format!("spotter,{name})"))), "{bash}");
    spotter(["manual", "pages", "/nonexistent/folder"]).failed(1, "/nonexistent/folder");
}

#[test]
fn used_wrongly_is_exit_status_2() {
    spotter::<&str>([]).failed(2, "Usage");
    spotter(["imprt"]).failed(2, "import");
    spotter(["import"]).failed(2, "PATH");
    spotter(["score", "--source", "mail"]).failed(2, "mail");
    spotter(["query", "--format", "xml", "select 1"]).failed(2, "xml");
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = folder.path().join("lake");
    spotter(["import", "--lake", &lake.to_string_lossy(), "/nonexistent/a.pcap"]).failed(1, "/nonexistent/a.pcap");
}

#[test]
fn a_lake_that_is_not_there_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = folder.path().join("none").to_string_lossy().into_owned();
    for args in [
        vec!["query", "--lake", &lake, "select 1"],
        vec!["score", "--lake", &lake],
        vec!["serve", "--lake", &lake],
        vec!["lake", "status", "--lake", &lake],
        vec!["backup", "--lake", &lake, "/tmp/never"],
    ] {
        spotter(&args).failed(1, "spotter import");
    }
    assert!(!folder.path().join("none").exists(), "reading made a lake");
}

#[test]
fn a_configuration_with_an_unknown_key_names_the_nearest() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("spotter.toml");
    std::fs::write(&file, "[flow]\nactive_timout = \"60s\"\n").expect("written");
    let file = file.to_string_lossy();
    spotter(["config", "check", "-c", &file]).failed(2, "did you mean `flow.active_timeout`?");
    spotter(["run", "-c", &file]).failed(2, "did you mean `flow.active_timeout`?");
}

#[test]
fn what_config_show_prints_passes_config_check() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("spotter.toml");
    std::fs::write(&file, spotter(["config", "show"]).done().out).expect("written");
    spotter(["config", "check", "-c", &file.to_string_lossy()]).done();
}

#[test]
fn the_packaged_configuration_is_valid() {
    let file = "packaging/spotter.toml";
    // Its folders belong to an installed machine; every key and value must be right.
    let shown = spotter(["config", "show", "-c", file]).done().out;
    assert!(shown.contains("tap-files"), "{shown}");
}

#[test]
fn serving_beyond_loopback_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = folder.path().to_string_lossy().into_owned();
    spotter(["serve", "--lake", &lake, "--listen", "0.0.0.0:0"]).failed(2, "refusing to serve plain HTTP on 0.0.0.0");
}

/// SQLite calls it an I/O error: the index of its log cannot grow.
#[test]
fn a_lake_on_a_disk_without_a_free_page_was_said_to_have_an_io_error() {
    let dir = tempfile::tempdir().expect("folder");
    let pcap = crate::collect::capture(dir.path());
    let Some(disk) = crate::support::Disk::new(dir.path().join("disk"), "size=8M") else { return };
    let lake = disk.0.join("lake");
    let import = || spotter(["import", "--lake", &lake.to_string_lossy(), &pcap.to_string_lossy()]);
    import().done();
    let mut filling = std::fs::File::create(disk.0.join("filling")).expect("a file");
    while std::io::Write::write(&mut filling, &[0; 4_096]).is_ok_and(|written| written > 0) {}
    import().failed(1, "make room");
    // As long as it is open it has its room.
    drop(filling);
    std::fs::remove_file(disk.0.join("filling")).expect("room");
    import().done();
}
