//! Against librdkafka's mock cluster, with a lake of its own for each test.

use std::sync::Arc;
use std::thread;

use capture::kafka::{KafkaProducer, MockCluster};

use super::*;
use crate::lake::Table;

const WAIT: Duration = Duration::from_secs(30);

fn pmacct(n: u32) -> String {
    // Two in a row are the same but for their place in the topic.
    format!(
        "{{\"ip_src\":\"10.0.0.1\",\"ip_dst\":\"192.0.2.7\",\"port_src\":{},\"port_dst\":443,\"ip_proto\":\"tcp\",\"tcp_flags\":27,\
         \"packets\":3,\"bytes\":180,\"timestamp_start\":\"2026-03-02 10:00:00.000000\",\"timestamp_end\":\"2026-03-02 10:00:05.000000\"}}",
        1_024 + n / 2
    )
}

struct Kafka {
    cluster: MockCluster,
    producer: KafkaProducer,
}

impl Kafka {
    fn new(topic: &str, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create(topic, partitions).unwrap();
        let producer = KafkaProducer::open(&cluster.options(), topic, WAIT).unwrap();
        Self { cluster, producer }
    }

    fn send(&mut self, messages: &[String]) {
        let batch = messages.iter().map(|text| (b"".as_slice(), text.as_bytes()));
        assert_eq!(self.producer.send(batch).unwrap().sent, messages.len() as u64);
    }

    fn options(&self, topic: &str) -> ConsumeOptions {
        let mut options = ConsumeOptions::new("edge", self.cluster.options(), vec![topic.to_owned()]);
        options.flush = Duration::from_millis(200);
        // The mock cluster waits for members that left as for those that vanished.
        options.member.session = Duration::from_secs(6);
        options
    }
}

#[test]
fn an_outage_is_said_once_however_often_it_is_tried() {
    let (mut outage, begin) = (Outage::default(), Instant::now());
    let said: Vec<u64> = (0..100)
        .map(|n| n * 10)
        .chain([1_049, 1_200, 1_201])
        .filter(|s| outage.begins(begin + Duration::from_secs(*s)))
        .collect();
    assert_eq!(said, [0, 1_200]);
}

fn rows(lake: &Lake, table: Table) -> u64 {
    lake.parts(table, None).unwrap().iter().map(|part| part.rows).sum()
}

/// Consumes until the lake stands at so many messages, and gives the report.
fn until(lake: &Lake, options: &ConsumeOptions, messages: i64) -> ConsumeReport {
    let stands =
        || parse_positions(&lake.state().offset("kafka:kafka").unwrap().unwrap_or_default()).values().sum::<i64>();
    let stop = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let running = scope.spawn(|| consume(lake, options, &stop));
        let end = Instant::now() + WAIT;
        while stands() < messages && Instant::now() < end && !running.is_finished() {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap().unwrap()
    })
}

fn ids(lake: &Lake) -> Vec<String> {
    let mut ids = Vec::new();
    for part in lake.parts(Table::Flow, None).unwrap() {
        let file = std::fs::File::open(lake.dir().join(&part.path)).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = batch.column_by_name("record_id").unwrap();
            ids.extend((0..column.len()).map(|at| arrow::util::display::array_value_to_string(column, at).unwrap()));
        }
    }
    ids.sort();
    ids
}

#[test]
fn pmacct_flows_come_once_each_and_have_the_same_ids_in_every_lake() {
    let mut kafka = Kafka::new("pmacct", 2);
    kafka.send(&(0..500).map(pmacct).collect::<Vec<_>>());
    // One message of several lines, and what is no flow.
    kafka.send(&[
        format!("{}\n\n{}\n", pmacct(600), pmacct(600)),
        "{\"a\":1}".into(),
        "\0nonsense".into(),
        String::new(),
    ]);
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (Lake::open(one.path()).unwrap(), Lake::open(two.path()).unwrap());
    let mut options = kafka.options("pmacct");
    let report = until(&one, &options, 504);
    let counter = |name: &str| report.ledger.get(name).copied().unwrap_or(0);
    assert_eq!(report.records.get("flow"), Some(&502));
    assert_eq!(
        (counter("kafka.messages"), counter("rows.seen"), counter("rows.quarantined")),
        (504, 504, 2),
        "{report:?}"
    );
    assert_eq!(counter("rows.quarantined.an_object_of_no_known_log"), 1);
    let kept: String = std::fs::read_dir(one.dir().join("quarantine"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(kept.lines().count() == 2 && kept.contains("no JSON object (pmacct partition"), "{kept}");
    let found = ids(&one);
    let mut unique = found.clone();
    unique.dedup();
    assert_eq!((found.len(), unique.len()), (502, 502));
    options.member.group = "another".to_owned();
    until(&two, &options, 504);
    assert_eq!(ids(&two), found);
}

#[test]
fn a_set_that_was_published_and_not_committed_is_not_read_again() {
    let mut kafka = Kafka::new("t", 1);
    kafka.send(&(0..100).map(pmacct).collect::<Vec<_>>());
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let options = kafka.options("t");
    until(&lake, &options, 100);
    // As if the process had been killed between publishing and committing: the group stands at the beginning.
    let mut fresh = options;
    fresh.member.group = "spotter2".to_owned();
    kafka.send(&(100..150).map(pmacct).collect::<Vec<_>>());
    let report = until(&lake, &fresh, 150);
    assert_eq!(report.ledger.get("kafka.messages"), Some(&50));
    assert_eq!(rows(&lake, Table::Flow), 150);
}

#[test]
fn a_lake_that_cannot_be_written_commits_nothing_and_loses_nothing() {
    let mut kafka = Kafka::new("t", 1);
    kafka.send(&(0..100).map(pmacct).collect::<Vec<_>>());
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    // Where the flows go there is a file.
    std::fs::write(dir.path().join("flow"), "in the way").unwrap();
    let options = kafka.options("t");
    let stopped = consume(&lake, &ConsumeOptions { duration: Some(WAIT), ..options.clone() }, &AtomicBool::new(false));
    assert!(matches!(stopped, Err(ConsumeError::Lake(_))), "{stopped:?}");
    std::fs::remove_file(dir.path().join("flow")).unwrap();
    let report = until(&lake, &options, 100);
    assert_eq!((rows(&lake, Table::Flow), report.ledger.get("kafka.messages")), (100, Some(&100)));
}

#[test]
fn brokers_that_go_away_and_come_back_lose_nothing() {
    let mut kafka = Kafka::new("t", 1);
    kafka.send(&(0..50).map(pmacct).collect::<Vec<_>>());
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let options = kafka.options("t");
    kafka.cluster.set_up(1, false).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let running = scope.spawn(|| consume(&lake, &options, &stop));
        thread::sleep(Duration::from_millis(500));
        assert_eq!(rows(&lake, Table::Flow), 0);
        kafka.cluster.set_up(1, true).unwrap();
        let end = Instant::now() + WAIT;
        while rows(&lake, Table::Flow) < 50 && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        let report = running.join().unwrap().unwrap();
        assert!(report.ledger.get("kafka.failures").is_some_and(|count| *count > 0), "{report:?}");
    });
    assert_eq!(rows(&lake, Table::Flow), 50);
}

#[test]
fn times_all_over_the_calendar_do_not_stop_the_reading() {
    let mut kafka = Kafka::new("t", 1);
    let flow = |day: i64| {
        let start = chrono::DateTime::from_timestamp(day * 86_400, 0).unwrap().format("%Y-%m-%d %H:%M:%S");
        pmacct(0).replace("2026-03-02 10:00:00", &start.to_string()).replace("2026-03-02 10:00:05", &start.to_string())
    };
    kafka.send(&(0..1_500).map(flow).collect::<Vec<_>>());
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let options = ConsumeOptions { flush: WAIT, ..kafka.options("t") };
    let report = until(&lake, &options, 1_024);
    assert!(report.sets >= 2, "{report:?}");
}

#[test]
fn positions_are_read_back_and_nonsense_is_left_out() {
    let read = parse_positions("flows 0 17\nflows 1 9223372036854775807\n\nx\nx y 1\nx 1 -\n");
    assert_eq!(read, BTreeMap::from([(("flows".into(), 0), 17), (("flows".into(), 1), i64::MAX)]));
}
