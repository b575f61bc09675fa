//! `spotter migrate`: an installation of Apache Spot, its tables made by our own views, which have Spot's columns.

use std::path::Path;

use crate::support::{command, rows, spotter};

/// A table as Parquet in Spot's folders.
fn table(lake: &str, sql: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("folder")).expect("made");
    let file = std::fs::File::create(to).expect("file");
    let ran = command().args(["query", "--lake", lake, "--format", "parquet", sql]).stdout(file).status();
    assert!(ran.expect("spotter starts").success());
}

#[test]
fn an_installation_of_spot_is_taken_over_once() {
    let dir = tempfile::tempdir().expect("folder");
    let (there, here) = (dir.path().join("there"), dir.path().join("here"));
    let (there_text, here_text) = (there.to_string_lossy().into_owned(), here.to_string_lossy().into_owned());
    let pcap = crate::collect::capture(dir.path());
    spotter(["import", "--lake", &there_text, &pcap.to_string_lossy()]).done();
    let spot = dir.path().join("spot");
    for source in ["flow", "dns", "proxy"] {
        let columns = rows(&there, &format!("select * from spot_{source} limit 1"));
        let columns: Vec<&str> = columns[0]
            .as_object()
            .expect("row")
            .keys()
            .map(String::as_str)
            .filter(|c| !["y", "m", "d", "h"].contains(c))
            .collect();
        let sql = format!("select {} from spot_{source}", columns.join(", "));
        table(&there_text, &sql, &spot.join(format!("{source}/hive/y=2026/m=1/d=1/h=0/part-00000.parquet")));
    }
    let threats = "select distinct treceived tstart, sip srcip, dip dstip, sport srcport, dport dstport, 3 score from spot_flow order by 1, 2, 3, 4, 5 limit 5";
    table(&there_text, threats, &spot.join("flow/hive/oa/threat_investigation/x.parquet"));
    std::fs::write(spot.join("spot.conf"), "UINODE='a'\nTOPIC_COUNT=25\nUSER_DOMAIN='corp'\n").expect("written");
    std::fs::write(spot.join("ipranges.csv"), "10.0.0.0,10.255.255.255,Internal\n").expect("written");
    let config = dir.path().join("spotter.toml");
    let paths = [
        spot.to_string_lossy().into_owned(),
        "--lake".into(),
        here_text,
        "--config".into(),
        config.to_string_lossy().into_owned(),
    ];
    let migrate = |more: &[&str]| {
        spotter(["migrate"].into_iter().chain(paths.iter().map(String::as_str)).chain(more.iter().copied()))
    };

    let looked = migrate(&[]).done();
    for part in [
        "score.topics = 25",
        "context, internal",
        "records, flow",
        "no counterpart: one machine",
        "nothing was changed",
    ] {
        assert!(looked.out.contains(part), "{part} in {}", looked.out);
    }
    assert!(!here.exists() && !config.exists(), "looking changes nothing");

    let done = migrate(&["--apply", "--json"]).done().json();
    let of = |lake: &Path, sql: &str| rows(lake, sql);
    for source in ["flow", "dns", "proxy"] {
        let count = format!("select count(*) n from spot_{source}");
        assert_eq!(of(&here, &count), of(&there, &count), "{source}: {done}");
    }
    // What Spot shows of a flow is the same as before.
    let sums = "select min(treceived) a, max(treceived) b, count(distinct sip) c, count(distinct dip) d, sum(sport) e, sum(dport) f, \
        sum(ipkt) g, sum(ibyt) h, sum(opkt) i, sum(obyt) j, min(proto) k, max(flag) l from spot_flow";
    assert_eq!(of(&here, sums), of(&there, sums));
    let uris = "select fulluri, respcode, count(*) n from spot_proxy group by 1, 2 order by 1, 2 limit 40";
    assert_eq!(of(&here, uris), of(&there, uris));
    let names = "select lower(dns_qry_name) q, dns_qry_type, dns_qry_rcode, sum(frame_len) l, count(*) n from spot_dns group by 1, 2, 3 order by 1, 2, 3 limit 40";
    assert_eq!(of(&here, names), of(&there, names));
    assert_eq!(done["done"]["verdicts"]["added"], 5);
    let text = std::fs::read_to_string(&config).expect("written");
    assert!(text.contains("topics = 25") && text.contains("user_domain = \"corp\""), "{text}");
    spotter(["config", "check", "--config", &config.to_string_lossy()]).done();

    let again = migrate(&["--apply", "--json"]).done().json();
    assert_eq!(again["done"]["verdicts"]["added"], 0);
    assert_eq!(again["done"]["files"], serde_json::json!({"already_imported": 3}));
    assert_eq!(again["done"]["config"], false);
    // A configuration of somebody's own is not replaced.
    std::fs::write(&config, "[score]\ntopics = 7\n").expect("written");
    migrate(&["--apply"]).failed(1, "says something else");
    spotter(["migrate"]).failed(2, "PATH");
    spotter(["migrate", "/nowhere/at/all"]).failed(1, "/nowhere/at/all");
}
