//! Kafka, with librdkafka's mock cluster in this process: topics become records once each, and records become messages.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use capture::kafka::{Begin, Consumed, KafkaConsumer, KafkaProducer, Membership, MockCluster};

use crate::support::{command, rows, spotter};

const WAIT: Duration = Duration::from_secs(60);

fn produce(cluster: &MockCluster, topic: &str, messages: &[String]) {
    let mut producer = KafkaProducer::open(&cluster.options(), topic, WAIT).expect("producer");
    let sent = producer.send(messages.iter().map(|text| (b"".as_slice(), text.as_bytes()))).expect("sent");
    assert_eq!(sent.sent, messages.len() as u64);
}

/// All messages of a topic, until there are so many.
fn read(cluster: &MockCluster, topic: &str, count: usize) -> Vec<serde_json::Value> {
    let payloads = read_payloads(cluster, topic, count);
    payloads.iter().map(|payload| serde_json::from_slice(payload).expect("JSON")).collect()
}

fn read_payloads(cluster: &MockCluster, topic: &str, count: usize) -> Vec<Vec<u8>> {
    let member = Membership {
        group: "reader".to_owned(),
        topics: vec![topic.to_owned()],
        begin: Begin::Earliest,
        session: Duration::from_secs(6),
    };
    let mut consumer = KafkaConsumer::open(&cluster.options(), &member).expect("consumer");
    let (mut messages, end) = (Vec::new(), Instant::now() + WAIT);
    while messages.len() < count && Instant::now() < end {
        match consumer.next(Duration::from_millis(100)).expect("read") {
            Some(Consumed::Message(message)) => messages.push(message.payload),
            Some(Consumed::Assigned(partitions)) => consumer.read_from(&partitions).expect("assigned"),
            _ => {}
        }
    }
    messages
}

fn flows(from: u32, to: u32) -> Vec<String> {
    let flow = |n: u32| {
        format!(
            "{{\"event_type\":\"purge\",\"ip_src\":\"10.1.{}.{}\",\"ip_dst\":\"192.0.2.7\",\"port_src\":{},\"port_dst\":443,\
             \"ip_proto\":\"tcp\",\"packets\":3,\"bytes\":180,\"timestamp_start\":\"2026-03-02 10:00:00.000000\",\
             \"timestamp_end\":\"2026-03-02 10:00:05.000000\"}}",
            n / 250,
            n % 250,
            1_024 + n
        )
    };
    (from..to).map(flow).collect()
}

fn collect(cluster: &MockCluster, lake: &str, more: &[&str]) -> Child {
    let brokers = cluster.options().brokers.join(",");
    let fixed = ["collect", "--kafka", &brokers, "--lake", lake, "--flush", "200ms", "--session-timeout", "6s"];
    let mut command = command();
    command.args(fixed).args(more).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command.spawn().expect("spotter starts")
}

pub(crate) fn stop(child: Child) -> String {
    let pid = i32::try_from(child.id()).expect("pid");
    assert!(std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().expect("kill").success());
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Parquet files of flows.
fn parts(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: std::path::PathBuf| match path.is_dir() {
        true => parts(&path),
        false => usize::from(path.extension().is_some_and(|ext| ext == "parquet")),
    };
    entries.map(|entry| below(entry.path())).sum()
}

pub(crate) fn count(lake: &Path, table: &str) -> u64 {
    let found = rows(lake, &format!("select count(*) n, count(distinct record_id) u from {table}"));
    assert_eq!(found[0]["n"], found[0]["u"], "each once");
    found[0]["n"].as_u64().expect("count")
}

pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < end, "not within {WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_consumer_killed_again_and_again_has_every_pmacct_flow_once() {
    let cluster = MockCluster::new(1).expect("cluster");
    cluster.create("pmacct", 2).expect("topic");
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().join("lake");
    let lake_text = lake.to_string_lossy().into_owned();
    for round in 0..3 {
        let before = parts(&lake);
        produce(&cluster, "pmacct", &flows(round * 500, round * 500 + 250));
        let mut child = collect(&cluster, &lake_text, &["--topic", "pmacct"]);
        until("a set", || parts(&lake) > before);
        // Killed somewhere: before, within or after the next set.
        produce(&cluster, "pmacct", &flows(round * 500 + 250, round * 500 + 500));
        std::thread::sleep(Duration::from_millis(60 + u64::from(round) * 110));
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    let child = collect(&cluster, &lake_text, &["--topic", "pmacct", "--json"]);
    until("1,500 flows", || lake.is_dir() && count(&lake, "flow") >= 1_500);
    let report: serde_json::Value = serde_json::from_str(&stop(child)).expect("JSON");
    assert_eq!(count(&lake, "flow"), 1_500);
    let origins = rows(&lake, "select distinct origin, sensor from flow");
    assert_eq!(origins, [serde_json::json!({"origin": "pmacct", "sensor": "spotter"})]);
    // Killed or not, the ledger has every row.
    let seen = rows(
        &lake,
        "select counter, sum(value) v from ledger where counter in ('rows.seen', 'rows.stored') group by 1",
    );
    assert!(seen.len() == 2 && seen.iter().all(|row| row["v"] == 1_500), "{seen:?} {report}");
}

/// Zeek's log of two leases.
const LEASES: &str = r#"{"ts":1772582400.5,"uids":["CmWOt6VWaNGqXYcH6"],"client_addr":"10.0.0.5","server_addr":"10.0.0.1","mac":"00:0b:82:01:fc:42","host_name":"ann","assigned_addr":"10.0.0.5","lease_time":3600.0,"msg_types":["DISCOVER","OFFER","REQUEST","ACK"],"duration":0.07}
{"ts":1772582401.5,"uids":[],"client_addr":"10.0.0.6","server_addr":"10.0.0.1","mac":"00:0b:82:01:fc:43","msg_types":["RELEASE"],"duration":0.0}
"#;

#[test]
fn records_of_one_lake_go_through_a_topic_into_another_over_an_outage() {
    let cluster = MockCluster::new(1).expect("cluster");
    cluster.create("records", 1).expect("topic");
    let dir = tempfile::tempdir().expect("folder");
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    let (here_text, there_text) = (here.to_string_lossy().into_owned(), there.to_string_lossy().into_owned());
    let pcap = crate::collect::capture(dir.path());
    let leases = dir.path().join("dhcp.log");
    std::fs::write(&leases, LEASES).expect("dhcp.log");
    spotter(["import", "--lake", &here_text, &pcap.to_string_lossy(), &leases.to_string_lossy()]).done();
    let tables = ["flow", "dns", "proxy", "dhcp"];
    let here_rows = tables.map(|table| count(&here, table));
    let all: u64 = here_rows.iter().sum();
    avro_goes_the_same_way(&cluster, &here, here_rows[0]);
    let brokers = cluster.options().brokers.join(",");
    let to = format!("kafka://{brokers}/records");
    let forward = || {
        let fixed = ["forward", "--lake", &here_text, "--what", "records", "--to", &to, "--allow", "127.0.0.1"];
        spotter(fixed.into_iter().chain([
            "--source",
            "flow,dns,proxy,dhcp",
            "--days",
            "36500",
            "--queue",
            "1MiB",
            "--json",
        ]))
    };
    assert!(here_rows[3] > 2, "those of the capture and of the log: {here_rows:?}");
    // No broker: what has room waits on disk.
    cluster.set_up(1, false).expect("down");
    forward().failed(1, "records wait in the queue");
    cluster.set_up(1, true).expect("up");
    let ran = forward().done();
    let counters: serde_json::Value =
        ran.err.lines().find_map(|line| serde_json::from_str(line).ok()).expect("counters");
    assert_eq!(counters["waiting"], 0);
    assert!(counters["queue_full"].as_u64() > Some(0), "{counters}");
    // Nothing is new.
    let again: serde_json::Value =
        forward().done().err.lines().find_map(|l| serde_json::from_str(l).ok()).expect("counters");
    assert_eq!((&again["queued"], &again["sent"]), (&0.into(), &0.into()));

    let child = collect(&cluster, &there_text, &["--topic", "records"]);
    until("all records", || there.is_dir() && tables.map(|table| count(&there, table)).iter().sum::<u64>() >= all);
    stop(child);
    assert_eq!(tables.map(|table| count(&there, table)), here_rows);
    for table in tables {
        let sql = format!("select * from {table} order by record_id limit 50");
        assert_eq!(rows(&there, &sql), rows(&here, &sql), "{table}");
    }

    // Alerts go the same way.
    spotter(["-q", "score", "--lake", &here_text]).done();
    cluster.create("alerts", 1).expect("topic");
    let to = format!("kafka://{brokers}/alerts");
    let ran = spotter(
        [
            "forward",
            "--lake",
            &here_text,
            "--to",
            &to,
            "--allow",
            "127.0.0.1",
            "--days",
            "366",
            "--name",
            "a",
            "--json",
        ]
        .into_iter()
        .chain(["--min-strength", "0", "--max-rank", "20"]),
    )
    .done();
    let counters: serde_json::Value =
        ran.err.lines().find_map(|line| serde_json::from_str(line).ok()).expect("counters");
    let sent = counters["sent"].as_u64().expect("count");
    assert!(sent > 0);
    let alerts = read(&cluster, "alerts", usize::try_from(sent).expect("small"));
    assert!(alerts.len() as u64 == sent && alerts.iter().all(|alert| alert["record_id"].is_string()));
}

/// Every flow is a message of the single-object encoding with one fingerprint, and its id is in it.
fn avro_goes_the_same_way(cluster: &MockCluster, lake: &Path, flows: u64) {
    cluster.create("avro", 1).expect("topic");
    let (lake_text, to) = (lake.to_string_lossy(), format!("kafka://{}/avro", cluster.options().brokers.join(",")));
    let fixed = ["forward", "--lake", &lake_text, "--what", "records", "--source", "flow", "--to", &to];
    let avro = |name, more: [&'static str; 2]| {
        let form = ["--allow", "127.0.0.1", "--form", "avro", "--days", "36500", "--name", name];
        spotter(fixed.into_iter().chain(form).chain(more)).done();
    };
    avro("avro", ["--min-strength", "0"]);
    let messages = read_payloads(cluster, "avro", usize::try_from(flows).expect("small"));
    assert_eq!(messages.len() as u64, flows);
    let head = &messages[0][..10];
    assert!(head.starts_with(&[0xc3, 0x01]) && messages.iter().all(|message| message.starts_with(head)));
    // As a schema registry's clients expect them: a zero, the schema's number, the record.
    avro("registry", ["--schema-id", "flow=258"]);
    let of_registry = read_payloads(cluster, "avro", 2 * messages.len()).split_off(messages.len());
    assert!(of_registry.len() == messages.len() && of_registry.iter().all(|m| m.starts_with(&[0, 0, 0, 1, 2])));
    let ids = rows(lake, "select record_id from flow");
    let ids: Vec<&str> = ids.iter().map(|row| row["record_id"].as_str().expect("hexadecimal")).collect();
    let bytes = |id: &str| {
        (0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("digits")).collect::<Vec<u8>>()
    };
    let is_there = |id: &&str| messages.iter().any(|message| message[10..26] == bytes(id));
    assert_eq!(ids.iter().filter(|id| is_there(id)).count() as u64, flows);
}

#[test]
fn what_is_missing_is_said() {
    spotter(["collect", "--kafka", "kafka:9092"]).failed(2, "--topic");
    spotter(["collect", "--kafka", "kafka", "--topic", "t"]).failed(2, "kafka.example:9092");
    spotter(["collect", "--kafka", "kafka:9092", "--topic", "t", "--listen", "127.0.0.1:1"])
        .failed(2, "cannot be used with");
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().to_string_lossy().into_owned();
    let forward = |to: &str| spotter(["forward", "--lake", &lake, "--to", to, "--allow", "k"]);
    forward("kafka://k:9092").failed(2, "the path is the topic");
    forward("kafka://k:9092,evil:9092/t").failed(2, "not allowed");
    forward("kafka://k/t").failed(2, "kafka.example:9092");
    spotter(["forward", "--to", "file:-", "--form", "avro"]).failed(2, "avro goes to Kafka alone");
    spotter(["forward", "--to", "file:-", "--schema-id", "flow"]).failed(2, "write it as flow=12");
    spotter(["forward", "--to", "file:-", "--schema-id", "flow=1"]).failed(2, "they are for form avro");
    let avro = ["forward", "--to", "kafka://k:9092/t", "--allow", "k", "--form", "avro", "--source", "flow"];
    spotter(avro.into_iter().chain(["--schema-id", "dns=1"])).failed(2, "\"dns\" is none of the sources (flow)");
    let said = spotter(["forward", "--what", "records", "--source", "flow,dns", "--avro-schema"]).done().out;
    let schemas: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(schemas.iter().map(|schema| schema["name"].as_str()).collect::<Vec<_>>(), [Some("flow"), Some("dns")]);
}
