//! A day from the lake to its scores: Spot's toy anomalies, same bytes whatever the threads and files, nothing lost, an explanation that holds.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};

use aggregator::lake::{CompactOptions, Day, Lake, SetKind, Source, Table, WriterOptions};
use aggregator::record::{Direction, DnsRecord, EndReason, FlowRecord, Micros, Origin, ProxyRecord, RecordId};
use analytics::score::{
    CorpusBuilder, CorpusLimits, ExtraToken, OTHER, Progress, ScoreError, ScoreRequest, ScoreRun, Stage, days, ranked,
    score,
};
use analytics::words::flow::{FlowInput, FlowScheme, FlowWords};
use analytics::words::{TimeOfDay, WordCode};
use arrow::array::{Array, AsArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{Float64Type, UInt8Type, UInt32Type, UInt64Type};
use capture::{DnsTransport, Ip, IpVersion};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// 2026-03-04 00:00:00 UTC.
const MIDNIGHT: i64 = 1_772_582_400_000_000;
const HOUR: i64 = 3_600_000_000;

fn day() -> Day {
    "2026-03-04".parse().unwrap()
}

fn id(n: u64) -> RecordId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    RecordId(bytes)
}

fn flow(
    n: u64,
    hour: i64,
    [src, dst]: [[u8; 4]; 2],
    (src_port, dst_port): (u16, u16),
    (packets, bytes): (u64, u64),
) -> FlowRecord {
    let at = Micros(MIDNIGHT + hour * HOUR + n as i64 * 1000);
    FlowRecord {
        record_id: id(n),
        first_seen: at,
        last_seen: Micros(at.0 + 5),
        flow_start: at,
        segment: 0,
        origin: Origin::Pcap,
        src_ip: Ip::v4(src),
        dst_ip: Ip::v4(dst),
        version: IpVersion::V4,
        src_port,
        dst_port,
        proto: 6,
        src: Direction { packets, bytes, tcp_flags: Some(2), tos: Some(0) },
        dst: None,
        conn_state: None,
        history: None,
        macs: None,
        ethertype: None,
        vlan: None,
        cos: None,
        end_reason: EndReason::Idle,
        exporter: None,
        sampling: 1,
        observations: 1,
        tunnel: None,
        service: None,
    }
}

fn dns(n: u64, name: &str, frame: Option<u32>, rcode: Option<u16>) -> DnsRecord {
    let at = Micros(MIDNIGHT + 9 * HOUR + n as i64 * 1000);
    DnsRecord {
        record_id: id(n),
        first_seen: at,
        last_seen: at,
        origin: Origin::Pcap,
        client_ip: Ip::v4([172, 16, 9, 132]),
        server_ip: Ip::v4([10, 0, 0, 53]),
        version: IpVersion::V4,
        client_port: 5353,
        server_port: 53,
        transport: DnsTransport::Udp,
        id: 1,
        qname: name.to_lowercase(),
        qname_wire: name.into(),
        qtype: 1,
        qclass: 1,
        question: 0,
        opcode: 0,
        rcode,
        rtt_us: None,
        query_len: Some(22),
        response_len: None,
        response_frame_len: frame,
        flags: 0,
        edns_udp_size: None,
        answers: Vec::new(),
        authorities: Vec::new(),
        additional_count: 0,
        damage: None,
    }
}

fn request(n: u64, host: &str, agent: &str) -> ProxyRecord {
    let mut row = ProxyRecord::new("wire", IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)));
    row.record_id = id(n);
    row.first_seen = Micros(MIDNIGHT + 8 * HOUR + n as i64 * 1000);
    row.last_seen = row.first_seen;
    row.scheme = "http".into();
    row.method = "GET".into();
    row.host = host.into();
    row.uri_path = "/sites/c37i4q22szvir8ga3m8mtxaft7gwnm5fio8hfxo35mu81absi1".into();
    row.full_uri = format!("http://{host}{}", row.uri_path);
    row.user_agent = Some(agent.into());
    row.status = Some(202);
    row
}

struct Place {
    _folder: tempfile::TempDir,
    lake: Lake,
}

fn lake() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().join("lake")).unwrap();
    Place { _folder: folder, lake }
}

fn write(lake: &Lake, flows: &[FlowRecord], questions: &[DnsRecord], requests: &[ProxyRecord]) {
    let mut set = lake.begin(SetKind::Generated, WriterOptions::new("test")).unwrap();
    set.flow(flows).unwrap();
    set.dns(questions).unwrap();
    set.proxy(requests).unwrap();
    set.commit().unwrap();
}

/// Ranked by Spot's score, as these tests know it.
fn spot(source: Source, date: Day) -> ScoreRequest {
    ScoreRequest { members: 100, ..ScoreRequest::new(source, date).as_spot() }
}

fn run(lake: &Lake, source: Source) -> (ScoreRun, RecordBatch) {
    run_with(lake, &spot(source, day()))
}

fn run_with(lake: &Lake, request: &ScoreRequest) -> (ScoreRun, RecordBatch) {
    let run = score(lake, request, &mut ()).unwrap();
    let parts = lake.parts(Table::Scores(request.source), None).unwrap();
    let part = parts.iter().find(|part| part.run.as_deref() == Some(run.run_id.as_str())).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&part.path).unwrap()).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    (run, arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap())
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<f64> {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().values().to_vec()
}

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> &'b StringArray {
    batch.column_by_name(name).unwrap().as_string()
}

/// The columns without what names the run.
fn content(batch: &RecordBatch) -> Vec<arrow::array::ArrayRef> {
    let keep: Vec<usize> = batch
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| !["run_id", "scored_at"].contains(&field.name().as_str()))
        .map(|(at, _)| at)
        .collect();
    batch.project(&keep).unwrap().columns().to_vec()
}

fn toy(found: &[f64], rare: f64, common: f64) {
    assert!((found[0] - rare).abs() < 0.01, "{found:?}");
    assert!(found[1..].iter().all(|score| (score - common).abs() < 0.01), "{found:?}");
}

#[test]
fn spots_toy_anomalies_through_the_lake() {
    let place = lake();
    let (src, dst) = ([172, 16, 0, 129], [10, 0, 2, 202]);
    let flows: Vec<_> =
        (0..10).map(|n| flow(n, if n == 0 { 0 } else { 13 }, [src, dst], (1024, 80), (39, 12_522))).collect();
    let questions: Vec<_> =
        (0..5).map(|n| dns(n, "122.2o7.turner.com", Some(if n == 0 { 1 } else { 168 }), Some(0))).collect();
    let requests: Vec<_> =
        (0..10).map(|n| request(n, if n == 0 { "intel.com" } else { "maw.bronto.com" }, "agent")).collect();
    write(&place.lake, &flows, &questions, &requests);

    let (run_flow, batch) = run(&place.lake, Source::Flow);
    toy(&floats(&batch, "score"), 0.1, 0.9);
    assert_eq!(texts(&batch, "src_word").value(0), "111111_TCP_0_14_6");
    assert_eq!(texts(&batch, "src_ip").value(0), "172.16.0.129");
    let why: &StructArray = batch.column_by_name("explanation").unwrap().as_struct();
    let said = |name: &str| why.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    assert_eq!(said("feature"), "hour");
    assert_eq!(said("value"), "00:00 to 00:59 UTC");
    assert_eq!(said("nearest_common"), "13:00 to 13:59 UTC");
    let share = why.column_by_name("host_share").unwrap().as_primitive::<Float64Type>().value(0);
    assert!((share - 0.1).abs() < 1e-12, "{share}");
    assert_eq!(run_flow.card.rows.read, 10);
    assert_eq!(place.lake.state().current_run(Source::Flow, day()).unwrap().unwrap().run_id, run_flow.run_id);

    let (_, batch) = run(&place.lake, Source::Dns);
    toy(&floats(&batch, "score"), 0.2, 0.8);
    let mut with_domain = spot(Source::Proxy, day());
    with_domain.user_domain = "intel".into();
    let (_, batch) = run_with(&place.lake, &with_domain);
    toy(&floats(&batch, "score"), 0.1, 0.9);
    assert!(texts(&batch, "word").value(0).starts_with("2_8_GET_"), "{}", texts(&batch, "word").value(0));
}

#[test]
fn a_long_subdomain_among_short_ones() {
    let place = lake();
    let long = format!("{}.tinker.turner.com", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p1qaz2wsx3edc4rfv5tgb6yhn7");
    let questions: Vec<_> =
        (0..5).map(|n| dns(n, if n == 0 { &long } else { "tinker.turner.com" }, Some(168), Some(0))).collect();
    write(&place.lake, &[], &questions, &[]);
    let (_, batch) = run(&place.lake, Source::Dns);
    toy(&floats(&batch, "score"), 0.2, 0.8);
    assert_eq!(texts(&batch, "qname").value(0), long);
}

/// 60 hosts in three roles over a day, and one host that once does something else.
fn busy() -> Vec<FlowRecord> {
    let mut flows = Vec::new();
    let mut state = 42_u64;
    let mut random = |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    for n in 0..6000_u64 {
        let host = random(60) as u8;
        let port = [443, 80, 25][usize::from(host % 3)];
        let hour = 8 + random(10) as i64;
        let server = [198, 51, 100, 10 + host % 3];
        flows.push(flow(n, hour, [[10, 0, 0, host], server], (40_000, port), (5 + random(6), 1000 + random(20))));
    }
    flows.push(flow(9000, 3, [[10, 0, 0, 1], [203, 0, 113, 66]], (40_000, 6667), (4, 400)));
    flows
}

#[test]
fn same_bytes_for_any_threads_files_and_runs() {
    let place = lake();
    let flows = busy();
    write(&place.lake, &flows, &[], &[]);
    let with = |lake: &Lake, threads| {
        let mut request = spot(Source::Flow, day());
        (request.threads, request.seed, request.members) = (Some(threads), 5, 20);
        let (run, batch) = run_with(lake, &request);
        (run.card.model, content(&batch))
    };
    let one = with(&place.lake, 1);
    for threads in [2, 4, 8, 1] {
        assert!(with(&place.lake, threads) == one, "{threads} threads");
    }
    // The same records in other files and another order, then merged into one file.
    let other = lake();
    let mut shuffled = flows.clone();
    shuffled.sort_by_key(|flow| flow.record_id);
    for chunk in shuffled.chunks(700) {
        write(&other.lake, chunk, &[], &[]);
    }
    let scattered = with(&other.lake, 2);
    assert!(scattered == one, "files change the scores");
    let mut options = CompactOptions::new(Micros(i64::MAX), std::time::Duration::ZERO);
    options.min_parts = 2;
    assert!(other.lake.compact(&options).unwrap().parts_before > 10);
    assert!(with(&other.lake, 2) == one, "compaction changes the scores");
}

/// A flood from addresses seen once: every score is near 1, and the rows are explained by what is rare among all.
#[test]
fn groups_that_come_back_are_told_from_new_ones() {
    let place = lake();
    let on = |after: i32| Day(day().0 + after);
    let shifted = |after: i32| {
        let by = i64::from(after) * 24 * HOUR;
        let mut flows = busy();
        if after == 2 {
            flows.push(flow(9_999, 3, [[172, 16, 99, 99], [10, 9, 9, 9]], (40_000, 31_337), (7, 70_007)));
        }
        for (n, row) in (0..).zip(&mut flows) {
            row.record_id = id(1_000_000 * (1 + after as u64) + n);
            for time in [&mut row.first_seen, &mut row.last_seen, &mut row.flow_start] {
                time.0 += by;
            }
        }
        flows
    };
    for after in [0, 1, 2, 40] {
        write(&place.lake, &shifted(after), &[], &[]);
    }
    let scored = |after: i32| {
        let (_, batch) = run_with(&place.lake, &spot(Source::Flow, on(after)));
        let groups = batch.column_by_name("group_id").unwrap().as_primitive::<UInt64Type>().clone();
        let before = batch.column_by_name("days_before").unwrap().as_primitive::<UInt8Type>().clone();
        (0..batch.num_rows())
            .map(|at| (groups.value(at), before.is_valid(at).then(|| before.value(at))))
            .collect::<Vec<_>>()
    };
    // A later day says nothing of an earlier one.
    let (second, first) = (scored(1), scored(0));
    assert!(first.iter().chain(&second).all(|(_, before)| before.is_none()));
    let third = scored(2);
    let has = |list: &[(u64, Option<u8>)], group| u8::from(list.iter().any(|(other, _)| *other == group));
    for (group, before) in &third {
        assert_eq!(*before, Some(has(&first, *group) + has(&second, *group)));
    }
    assert!(third.iter().any(|(_, before)| *before == Some(2)) && third.iter().any(|(_, before)| *before == Some(0)));
    // More than thirty days later nothing is known.
    assert!(scored(40).iter().all(|(_, before)| before.is_none()));
}

#[test]
fn hosts_that_do_one_thing_are_explained_too() {
    let place = lake();
    let flood =
        |n: u8| flow(n.into(), 12, [[10, 1, 0, n], [10, 0, 2, 2]], (40_000, if n == 9 { 22 } else { 80 }), (3, 222));
    write(&place.lake, &(0..50).map(flood).collect::<Vec<_>>(), &[], &[]);
    let (_, batch) = run(&place.lake, Source::Flow);
    // The server's side: 1 of its 50 connections is to port 22.
    assert_eq!((texts(&batch, "src_ip").value(0), texts(&batch, "deciding_side").value(0)), ("10.1.0.9", "dst"));
    let why: &StructArray = batch.column_by_name("explanation").unwrap().as_struct();
    let features = why.column_by_name("feature").unwrap().as_string::<i32>();
    assert_eq!((features.value(0), features.null_count()), ("port", 0));
}

/// Compaction removes the parts between the two passes.
#[test]
fn a_compaction_meanwhile_changes_nothing() {
    struct Compact<'l>(&'l Lake, u64);
    impl Progress for Compact<'_> {
        fn step(&mut self, stage: Stage, _: u64, _: u64) {
            if stage == Stage::Fit && self.1 == 0 {
                let mut options = CompactOptions::new(Micros(i64::MAX), std::time::Duration::ZERO);
                options.min_parts = 2;
                self.1 = self.0.compact(&options).unwrap().parts_before;
            }
        }
    }
    let place = lake();
    for chunk in busy().chunks(2500) {
        write(&place.lake, chunk, &[], &[]);
    }
    let request = spot(Source::Flow, day());
    let mut compact = Compact(&place.lake, 0);
    score(&place.lake, &request, &mut compact).unwrap();
    assert!(compact.1 > 0, "nothing was compacted");
    let shown = ranked(&place.lake, Source::Flow, day()).unwrap().unwrap();
    let (_, quiet) = run_with(&place.lake, &request);
    assert!(content(&shown.rows) == content(&quiet), "scores differ");
}

#[test]
fn the_odd_flow_leads_and_the_columns_hold_together() {
    let place = lake();
    let flows = busy();
    write(&place.lake, &flows, &[], &[]);
    let mut request = spot(Source::Flow, day());
    (request.limit, request.members) = (500, 3);
    let (run, batch) = run_with(&place.lake, &request);
    assert_eq!(batch.num_rows(), 500);
    let (rows, groups) = (batch.num_rows(), run.card.rows.groups as usize);
    assert!(groups > rows / 3 && run.card.rows.scored == 6001, "{:?}", run.card.rows);

    let scores = floats(&batch, "score");
    assert!(scores.is_sorted() && scores.iter().all(|s| (0.0..=1.0).contains(s)), "{scores:?}");
    let ranks = batch.column_by_name("rank").unwrap().as_primitive::<UInt32Type>();
    assert!(ranks.values().iter().copied().eq(1..=500));
    let odd = (0..rows).find(|row| texts(&batch, "dst_ip").value(*row) == "203.0.113.66").unwrap();
    assert!(odd < 25, "the odd flow stands at {odd}");
    assert_eq!(texts(&batch, "deciding_side").value(odd), "src");

    // A group has at most three rows here; its size counts the day's records; its rows are the same in all but the record.
    let ids = batch.column_by_name("group_id").unwrap().as_primitive::<UInt64Type>();
    let sizes = batch.column_by_name("group_size").unwrap().as_primitive::<UInt32Type>();
    let mut members = std::collections::HashMap::new();
    for row in 0..rows {
        *members.entry(ids.value(row)).or_insert(0_u32) += 1;
    }
    assert_eq!(members.len(), groups);
    for row in 0..rows {
        let kept = members[&ids.value(row)];
        // The last group may be cut by the limit.
        assert!(kept == sizes.value(row).min(3) || scores[row] == scores[rows - 1], "row {row}");
    }
    for name in ["percentile", "confidence", "leo", "surprise_bits", "lift_bits", "tail_log10"] {
        assert!(floats(&batch, name).iter().all(|value| value.is_finite()), "{name}");
    }
    let percentiles = floats(&batch, "percentile");
    assert!(percentiles.is_sorted_by(|a, b| a >= b) && percentiles[0] > 0.99, "{percentiles:?}");
}

#[test]
fn percentiles_and_group_sizes_are_those_of_sorting_everything() {
    let place = lake();
    write(&place.lake, &busy(), &[], &[]);
    let mut request = spot(Source::Flow, day());
    (request.limit, request.members) = (1_000_000, 0);
    let (run, batch) = run_with(&place.lake, &request);
    assert_eq!(batch.num_rows(), 6001);
    let scores = floats(&batch, "score");
    for (score, percentile) in scores.iter().zip(floats(&batch, "percentile")) {
        let above = scores.iter().filter(|other| *other > score).count() as f64 / scores.len() as f64;
        assert_eq!(percentile, above);
    }
    let ids = batch.column_by_name("group_id").unwrap().as_primitive::<UInt64Type>();
    let sizes = batch.column_by_name("group_size").unwrap().as_primitive::<UInt32Type>();
    let mut counts = std::collections::HashMap::new();
    ids.values().iter().for_each(|id| *counts.entry(*id).or_insert(0_u32) += 1);
    assert!((0..6001).all(|row| counts[&ids.value(row)] == sizes.value(row)));
    assert_eq!(run.card.rows.groups as usize, counts.len());

    // A threshold keeps exactly the rows at or below it.
    request.threshold = scores[1000];
    let (run, batch) = run_with(&place.lake, &request);
    let expected = scores.iter().filter(|score| **score <= scores[1000]).count();
    assert_eq!((batch.num_rows(), run.card.rows.below_threshold as usize), (expected, expected));
}

#[test]
fn every_row_is_scored_or_counted() {
    let place = lake();
    let mut questions: Vec<_> = (0..20).map(|n| dns(n, "www.example.com", Some(100), Some(0))).collect();
    questions[0].qname_wire = String::new();
    questions[1].qname_wire = "-".into();
    // As logs have it: no length at all.
    (questions[2].response_frame_len, questions[2].query_len) = (None, None);
    // No answer, and no frame: the length is that of the query with its headers.
    (questions[3].response_frame_len, questions[3].rcode) = (None, None);
    write(&place.lake, &[], &questions, &[]);
    let (run, batch) = run(&place.lake, Source::Dns);
    let rows = &run.card.rows;
    assert_eq!((rows.read, rows.scored, rows.kept), (20, 18, 18));
    assert_eq!((rows.invalid["name"], rows.invalid.len()), (2, 1));
    let corpus = &run.card.corpus;
    assert_eq!((corpus.dns_unanswered, corpus.dns_lengths_computed, corpus.dns_lengths_estimated), (1, 1, 1));
    // 22 + 42 = 64 bytes: bin 6, and −1 for the answer that never came.
    assert_eq!(texts(&batch, "word").value(0), "0_6_9_1_0_1_1_-1");
}

#[test]
fn rare_agents_are_told_apart() {
    let place = lake();
    let requests: Vec<_> =
        (0..40).map(|n| request(n, "www.example.com", if n == 7 { "implant/1.0" } else { "Mozilla/5.0" })).collect();
    write(&place.lake, &[], &[], &requests);
    let (_, batch) = run(&place.lake, Source::Proxy);
    assert_eq!(texts(&batch, "user_agent").value(0), "implant/1.0");
    let why: &StructArray = batch.column_by_name("explanation").unwrap().as_struct();
    let said = |name: &str| why.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    assert_eq!(said("feature"), "user agent count");
    assert_eq!(said("nearest_common"), "32 to 63 requests of the day with this user agent");
}

#[test]
fn what_cannot_be_scored_is_said() {
    let place = lake();
    let none = score(&place.lake, &spot(Source::Flow, day()), &mut ());
    assert!(matches!(none, Err(ScoreError::NoRecords { .. })), "{none:?}");
    write(&place.lake, &busy()[..50], &[dns(1, "", Some(10), Some(0))], &[]);
    let error = score(&place.lake, &spot(Source::Dns, day()), &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "none of the 1 dns records of 2026-03-04 has a word: name 1");
    let mut request = spot(Source::Flow, day());
    request.limit = 0;
    assert!(matches!(score(&place.lake, &request, &mut ()), Err(ScoreError::Setting { name: "limit", .. })));
    let mut request = spot(Source::Flow, day());
    request.top_domains = Some("no/such/list.csv".into());
    assert!(score(&place.lake, &request, &mut ()).unwrap_err().to_string().contains("no/such/list.csv"));

    /// Stops at the fit.
    struct Stop(bool);
    impl Progress for Stop {
        fn step(&mut self, stage: Stage, _: u64, _: u64) {
            self.0 |= stage == Stage::Fit;
        }
        fn stopped(&self) -> bool {
            self.0
        }
    }
    let stopped = score(&place.lake, &spot(Source::Flow, day()), &mut Stop(false));
    assert!(matches!(stopped, Err(ScoreError::Stopped)), "{stopped:?}");
    assert_eq!(place.lake.state().current_run(Source::Flow, day()).unwrap(), None, "a failed run became current");
    assert!(place.lake.parts(Table::Scores(Source::Flow), None).unwrap().is_empty());
}

#[test]
fn days_and_the_current_run_are_listed() {
    let place = lake();
    assert!(days(&place.lake, Source::Flow).unwrap().is_empty());
    let mut flows = busy();
    flows.push(flow(9001, 25, [[10, 0, 0, 1], [10, 0, 0, 2]], (1, 2), (3, 4)));
    write(&place.lake, &flows, &[], &[]);
    assert_eq!(ranked(&place.lake, Source::Flow, day()).unwrap(), None);
    let (first, _) = run(&place.lake, Source::Flow);
    let (second, batch) = run(&place.lake, Source::Flow);
    let listed = days(&place.lake, Source::Flow).unwrap();
    let said: Vec<_> =
        listed.iter().map(|d| (d.date.to_string(), d.rows, d.run.as_ref().map(|r| r.run_id.clone()))).collect();
    let expected = [("2026-03-04", 6001, Some(second.run_id.clone())), ("2026-03-05", 1, None)];
    assert_eq!(said, expected.map(|(date, rows, run)| (date.to_owned(), rows, run)));
    assert_ne!(first.run_id, second.run_id);
    let shown = ranked(&place.lake, Source::Flow, day()).unwrap().unwrap();
    assert_eq!((shown.run.run_id, shown.rows.columns()), (second.run_id, batch.columns()));
    let card: serde_json::Value = serde_json::from_str(&shown.run.card).unwrap();
    assert_eq!((&card["rows"]["read"], &card["fit"]["topics"]), (&6001.into(), &20.into()));
    // A threshold nothing is below: a run without rows, and it is the one shown.
    let mut request = spot(Source::Flow, day());
    request.threshold = -0.5;
    let none = score(&place.lake, &request, &mut ()).unwrap();
    let shown = ranked(&place.lake, Source::Flow, day()).unwrap().unwrap();
    assert_eq!((shown.run.run_id, shown.rows.num_rows()), (none.run_id, 0));
}

#[test]
fn a_top_domains_list_changes_words_and_is_named_in_the_card() {
    let place = lake();
    let questions: Vec<_> =
        (0..9).map(|n| dns(n, if n == 0 { "a.example.com" } else { "a.google.com" }, Some(100), Some(0))).collect();
    write(&place.lake, &[], &questions, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("top.csv");
    std::fs::write(&file, "1,google.com\n").unwrap();
    let mut request = spot(Source::Dns, day());
    request.top_domains = Some(file);
    let (run, batch) = run_with(&place.lake, &request);
    assert_eq!(texts(&batch, "qname").value(0), "a.example.com");
    assert!(texts(&batch, "word").value(0).starts_with("0_") && texts(&batch, "word").value(1).starts_with("1_"));
    let card = run.card.top_domains.unwrap();
    assert_eq!((card.file.as_str(), card.labels), ("top.csv", 1));
    assert_eq!(card.blake3, blake3::hash(b"1,google.com\n").to_hex().to_string());
}

fn odd_word() -> WordCode {
    let input = FlowInput {
        time: Some(TimeOfDay { hour: 3, minute: 0, second: 0 }),
        src_ip: Some("10.0.0.1"),
        dst_ip: Some("203.0.113.66"),
        src_port: Some(40_000),
        dst_port: Some(6667),
        proto: 6,
        packets: Some(4),
        bytes: Some(400),
    };
    FlowWords::of(&input).unwrap().src.code()
}

#[test]
fn extra_tokens_train_and_are_not_scored() {
    let place = lake();
    write(&place.lake, &busy(), &[], &[]);
    let mut request = spot(Source::Flow, day());
    request.limit = 100_000;
    let rank_of_odd = |batch: &RecordBatch| {
        (0..batch.num_rows()).find(|row| texts(batch, "dst_ip").value(*row) == "203.0.113.66").unwrap()
    };
    let (_, before) = run_with(&place.lake, &request);
    request.extra = vec![ExtraToken { document: "10.0.0.1".into(), word: odd_word(), weight: 1000 }];
    let (run, after) = run_with(&place.lake, &request);
    assert!(rank_of_odd(&after) > rank_of_odd(&before) + 100, "{} {}", rank_of_odd(&before), rank_of_odd(&after));
    assert_eq!((run.card.rows.scored, run.card.corpus.extra_tokens), (6001, 1000));
    assert_eq!(run.card.corpus.tokens, 2 * 6001 + 1000);
}

#[test]
fn a_flood_of_hosts_words_or_pairs_makes_the_corpus_coarser_not_larger() {
    let limits = CorpusLimits { documents: 10, words: 20, pairs: 50 };
    let mut builder = CorpusBuilder::new(limits);
    for n in 0..2000_u32 {
        builder.add(&format!("host{}", n % 100), WordCode::of([0, n % 70]), 1);
    }
    let day = builder.finish(&FlowScheme);
    assert_eq!(day.corpus.documents(), 11);
    assert_eq!(day.corpus.vocabulary(), 21);
    assert!(day.corpus.pairs() <= 50 + 11, "{}", day.corpus.pairs());
    assert_eq!(day.corpus.tokens(), 2000, "a token was lost");
    assert!(day.overflow.document_tokens > 0 && day.overflow.word_tokens > 0 && day.overflow.pair_tokens > 0);
    // Every token that was counted is found again, past the bounds too.
    for n in 0..2000_u32 {
        let (document, place) = day.place(&format!("host{}", n % 100), WordCode::of([0, n % 70])).unwrap();
        assert!(day.corpus.pair(place).unwrap().1 > 0);
        let name = day.document_name(document);
        assert!(name == OTHER || name == format!("host{}", n % 100));
    }
}
