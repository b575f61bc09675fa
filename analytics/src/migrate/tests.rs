//! Files of Spot's layout, written here.

use std::sync::Arc;

use aggregator::lake::Source;
use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use super::*;

fn table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn words(list: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(list.to_vec()))
}

fn numbers(list: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(list.to_vec()))
}

const CONF: &str = "#!/bin/bash\nUINODE='node03'\nHUSER='/user/spot'\nFLOW_PATH=${HUSER}/flow/hive/y=${YR}/m=${MH}\nUSER_DOMAIN=\"corp\\x\" # ours\n\
    export TOPIC_COUNT=30\nDUPFACTOR=1000\nSPK_EXEC=''\nSPK_EXEC_CORES='4'\nWEB_PORT=8080\nTOL=1e-6\nnonsense\n=\nIMPALA_DEM=node04\n";

#[test]
fn settings_become_a_configuration_and_the_others_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("spot.conf"), CONF).unwrap();
    let ingest = serde_json::json!({
        "dbname": "spot", "kafka": {"kafka_server": "k"}, "pipelines": {
            "flow_internals": {"type": "flow", "collector_path": "/collector/flow"},
            "dns \"x\"": {"type": "dns", "collector_path": "/collector/d\"ns"}, "broken": {"type": "proxy"}
        }
    });
    fs::write(dir.path().join("ingest_conf.json"), ingest.to_string()).unwrap();
    fs::write(dir.path().join("engine.json"), "{\"oa_data_engine\":\"impala\"}").unwrap();
    let found = look(&[dir.path().to_owned()]).unwrap();
    let toml = found.config();
    for part in [
        "[score]\ntopics = 30    # TOPIC_COUNT\nuser_domain = \"corp\\\\x\"    # USER_DOMAIN\n",
        "[ui]\nlisten = \"127.0.0.1:8080\"",
        "[[watch]]    # pipeline flow_internals\nname = \"flow_internals\"\ndir = \"/collector/flow\"\n",
        "name = \"dnsx\"\ndir = \"/collector/d\\\"ns\"\n",
    ] {
        assert!(toml.contains(part), "{part} in {toml}");
    }
    let left = |name: &str| found.left.iter().find(|left| left.what.contains(name)).map(|left| left.why.as_str());
    assert!(left("UINODE").unwrap().contains("one machine"));
    assert!(left("SPK_EXEC_CORES").unwrap().contains("Spark"));
    assert!(left("HUSER").unwrap().contains("Hadoop"));
    assert!(left("TOL").is_some() && left("DUPFACTOR").is_some() && left("IMPALA_DEM").is_some());
    assert!(left("pipeline broken").unwrap().contains("collector_path"));
    assert!(left("ingest_conf.json kafka").is_some() && left("engine.json").is_some());
    // Empty settings are none.
    assert!(!found.left.iter().any(|left| left.what.split(", ").any(|name| name == "SPK_EXEC")));
}

#[test]
fn tables_and_files_are_told_by_what_is_in_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    let oa = "flow/hive/oa";
    table(
        &at("flow/hive/y=2016/m=7/d=8/h=3/part-0.parquet"),
        vec![
            ("treceived", words(&["2016-07-08 03:15:01"])),
            ("unix_tstamp", Arc::new(Int64Array::from(vec![1_467_947_701]))),
            ("sip", words(&["10.0.0.1"])),
            ("dip", words(&["198.51.100.2"])),
            ("sport", numbers(&[40_000])),
            ("dport", numbers(&[443])),
            ("proto", words(&["TCP"])),
            ("ipkt", Arc::new(Int64Array::from(vec![3]))),
            ("ibyt", Arc::new(Int64Array::from(vec![180]))),
        ],
    );
    table(
        &at(&format!("{oa}/suspicious/x.parq")),
        vec![("tstart", words(&["a", "b"])), ("ml_score", words(&["1", "2"]))],
    );
    table(&at(&format!("{oa}/summary/x.parq")), vec![("tdate", words(&["a"])), ("total", numbers(&[1]))]);
    table(&at("elsewhere.parquet"), vec![("a", numbers(&[1]))]);
    fs::write(at("flow/hive/_SUCCESS"), "x").unwrap();
    fs::write(at("ipranges.csv"), "10.0.0.1,10.255.255.255,Internal\n").unwrap();
    fs::write(at("notes.txt"), "what is this").unwrap();
    std::os::unix::fs::symlink("/", at("root")).unwrap();
    let found = look(&[dir.path().to_owned()]).unwrap();
    assert_eq!(found.tables, BTreeMap::from([("flow", Extent { files: 1, rows: 1 })]));
    assert_eq!(found.context, [(Kind::Internal, at("ipranges.csv"))]);
    assert_eq!(found.unknown, [at("elsewhere.parquet"), at("notes.txt")]);
    let left: Vec<&str> = found.left.iter().map(|left| left.what.as_str()).collect();
    assert_eq!(left, ["table ingest_summary (1 files, 1 rows)", "table scores (1 files, 2 rows)"]);
}

#[test]
fn what_analysts_scored_is_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join("spot").join(path);
    table(
        &at("flow_ti.parquet"),
        vec![
            ("tstart", words(&["2016-07-08 03:15:01", "2016-07-08 03:16:01", "x"])),
            ("srcip", words(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])),
            ("dstip", words(&["198.51.100.2", "198.51.100.3", "198.51.100.4"])),
            ("srcport", numbers(&[40_000, 0, 1])),
            ("dstport", numbers(&[443, 0, 1])),
            ("score", numbers(&[3, 1, 0])),
        ],
    );
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![&b"a.evil.example"[..], b"b.example"]));
    table(
        &at("dns_ti.parquet"),
        vec![
            ("unix_tstamp", Arc::new(Int64Array::from(vec![1_467_947_701, 1]))),
            ("ip_dst", words(&["10.0.0.9", "10.0.0.8"])),
            ("dns_qry_name", binary),
            ("ip_sev", numbers(&[0, 2])),
            ("dns_sev", numbers(&[1, 0])),
        ],
    );
    let proxy =
        vec![("tdate", words(&["2016-07-08"])), ("fulluri", words(&["a.example/x?q=1,2"])), ("uri_sev", numbers(&[2]))];
    table(&at("proxy_ti.parquet"), proxy);
    fs::write(
        at("ml_feedback.csv"),
        "sev,tstart,sip,dip,sport,dport,ipkt,ibyt\n3,2016-07-08 03:15:01,10.0.0.5,198.51.100.2,40001,445,120,3\n9,cut\n",
    )
    .unwrap();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let found = look(&[dir.path().join("spot")]).unwrap();
    let now = Micros(1_500_000_000_000_000);
    let first = found.take_verdicts(&lake, "migrate", now).unwrap();
    assert_eq!((first.added, first.known, first.rejections), (6, 0, 1), "{first:?}");
    let again = found.take_verdicts(&lake, "migrate", now).unwrap();
    assert_eq!((again.added, again.known), (0, 6), "{again:?}");
    let count = |source| lake.state().verdicts(source, now).unwrap().len();
    assert_eq!(Source::ALL.map(count), [3, 2, 1]);
}

#[test]
fn what_is_not_what_it_says_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ingest_conf.json");
    fs::write(&path, "{").unwrap();
    assert!(look(std::slice::from_ref(&path)).unwrap_err().to_string().contains("ingest_conf.json: no JSON"));
    fs::write(&path, "[]").unwrap();
    assert!(look(&[path]).unwrap_err().to_string().contains("no JSON object"));
    let cut = dir.path().join("cut.parquet");
    fs::write(&cut, b"PAR1 and no more").unwrap();
    assert!(look(&[cut]).unwrap_err().to_string().contains("cut.parquet"));
    assert!(look(&[dir.path().join("missing")]).unwrap_err().to_string().contains("missing"));
}
