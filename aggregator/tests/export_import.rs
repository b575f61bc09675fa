//! Importing export files and mapped logs, down to the lake.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use aggregator::import::{FileOutcome, ImportOptions, Input, import};
use aggregator::lake::{Lake, Table};

fn be16(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn row(src: [u8; 4], dst: [u8; 4], ports: [u16; 2], packets: u32) -> Vec<u8> {
    let counters = [packets * 100, packets].map(u32::to_be_bytes).concat();
    [src.to_vec(), dst.to_vec(), be16(&ports), vec![6], counters].concat()
}

/// An IPFIX message of domain 7.
fn ipfix(number: u32, sets: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let body: Vec<u8> =
        sets.iter().flat_map(|(id, set)| [be16(&[*id, 4 + set.len() as u16]), set.clone()].concat()).collect();
    let head = [1_700_000_000_u32, number, 7].map(u32::to_be_bytes).concat();
    [be16(&[10, 16 + body.len() as u16]), head, body].concat()
}

fn ipfix_template() -> (u16, Vec<u8>) {
    (2, be16(&[256, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 2, 4]))
}

#[test]
fn an_ipfix_file_is_imported_once_paired_and_its_bad_messages_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.ipfix");
    let (client, server) = ([10, 0, 0, 9], [10, 0, 0, 1]);
    let file = [
        ipfix(0, &[ipfix_template(), (256, row(client, server, [50_000, 443], 5))]),
        ipfix(1, &[(1, vec![0; 8])]),
        ipfix(1, &[(256, row(server, client, [443, 50_000], 7))]),
    ]
    .concat();
    fs::write(&path, &file).unwrap();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let run = |path: &Path| {
        let inputs = [Input::Path(path.to_owned())];
        import(&lake, &inputs, &ImportOptions::new("router"), &AtomicBool::new(false), &mut ()).unwrap()
    };
    let report = run(&path);
    let told = &report.files[0];
    assert_eq!((told.outcome, &told.error), (FileOutcome::Imported, &None));
    assert_eq!((told.records.get("flow"), &told.imbalances), (Some(&1), &Vec::new()));
    for (counter, value) in [("export.flows", 2), ("exported.paired", 1), ("messages.quarantined", 1)] {
        assert_eq!(told.ledger.get(counter), Some(&value), "{counter}: {:?}", told.ledger);
    }
    let kept: Vec<_> = fs::read_dir(dir.path().join("lake/quarantine")).unwrap().collect();
    let kept = fs::read_to_string(kept[0].as_ref().unwrap().path()).unwrap();
    assert!(
        kept.starts_with("{\"reason\":\"a set whose length is senseless\",\"record\":2,\"text\":\"000a00"),
        "{kept}"
    );
    // Under another name it is the same file.
    fs::copy(&path, dir.path().join("again")).unwrap();
    assert_eq!(run(&dir.path().join("again")).files[0].outcome, FileOutcome::AlreadyImported);
    // Cut within a message: what could be read is in the lake, and the file is told to be damaged.
    fs::write(&path, [&ipfix(0, &[ipfix_template()])[..], &file[..file.len() - 5]].concat()).unwrap();
    let report = run(&path);
    assert_eq!((report.files[0].outcome, report.files[0].records.get("flow")), (FileOutcome::Damaged, Some(&1)));
    assert!(report.files[0].error.as_ref().unwrap().contains("the file ends within a message"));
    let parts = lake.parts(Table::Flow, None).unwrap();
    assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), 2);
}

#[test]
fn dnstap_gives_transactions_with_their_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ns.dnstap");
    fs::write(&path, include_bytes!("../../capture/tests/data/unbound.dnstap")).unwrap();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let inputs = [Input::Path(path)];
    let report = import(&lake, &inputs, &ImportOptions::new("ns"), &AtomicBool::new(false), &mut ()).unwrap();
    let told = &report.files[0];
    assert_eq!((told.outcome, &told.error), (FileOutcome::Imported, &None));
    assert_eq!((told.records.get("dns"), &told.imbalances), (Some(&6), &Vec::new()), "{:?}", told.ledger);
    assert_eq!(told.ledger.get("dnstap.events"), Some(&12));
    assert_eq!(told.ledger.get("dns.rows.answered"), Some(&6), "{:?}", told.ledger);
}

#[test]
fn a_csv_file_is_imported_by_its_mapping_and_without_it_is_of_no_known_kind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flows.csv");
    fs::write(&path, "when;from;to;bytes\n1700000000;10.0.0.1;10.0.0.2;900\nsoon;10.0.0.1;10.0.0.2;1\n").unwrap();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let inputs = [Input::Path(path)];
    let mut options = ImportOptions::new("fw");
    let run = |options: &ImportOptions| import(&lake, &inputs, options, &AtomicBool::new(false), &mut ()).unwrap();
    let report = run(&options);
    assert_eq!(report.files[0].outcome, FileOutcome::Failed);
    assert!(report.files[0].error.as_ref().unwrap().contains("--mapping"), "{:?}", report.files[0].error);
    let mapping = "table = \"flow\"\nformat = \"csv\"\ndelimiter = \";\"\n[columns]\nfirst_seen = \"when\"\nsrc_ip = \"from\"\ndst_ip = \"to\"\n";
    options.mapping = Some(capture::logs::Mapping::parse(&format!("{mapping}src_bytes = \"octets\"\n")).unwrap());
    let report = run(&options);
    assert!(
        report.files[0].error.as_ref().unwrap().contains("no such column in the header"),
        "{:?}",
        report.files[0].error
    );
    options.mapping = Some(capture::logs::Mapping::parse(&format!("{mapping}src_bytes = \"bytes\"\n")).unwrap());
    let report = run(&options);
    let told = &report.files[0];
    assert_eq!((told.outcome, told.records.get("flow")), (FileOutcome::Imported, Some(&1)), "{:?}", told.error);
    for (counter, value) in [("lines.seen", 3), ("lines.other", 1), ("rows.stored", 1), ("rows.quarantined", 1)] {
        assert_eq!(told.ledger.get(counter), Some(&value), "{counter}: {:?}", told.ledger);
    }
    assert_eq!(run(&options).files[0].outcome, FileOutcome::AlreadyImported);
}
