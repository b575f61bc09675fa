//! The fused ranking: what fired and why, the same bytes for any number of threads, and what verdicts do to it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;

use aggregator::lake::{Day, Lake, SetKind, Source, Table, WriterOptions};
use aggregator::record::{Direction, EndReason, FlowRecord, Micros, Origin, RecordId};
use aggregator::state::rules::{Action, NewRule};
use aggregator::state::verdicts::{NewVerdict, Severity, Subject};
use analytics::context::{Kind, Store};
use analytics::feedback::{Draft, Matcher, Scope, Show, overlay};
use analytics::rules::RuleFile;
use analytics::score::{Beside, Live, Looked, Ranking, ScoreRequest, ScoreRun, Topics, WordScheme, is_live, score};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType, UInt32Type, UInt64Type};
use capture::{Ip, IpVersion};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

mod feedback;
mod names;

/// 2026-03-04 00:00:00 UTC.
const MIDNIGHT: i64 = 1_772_582_400_000_000;
const SECOND: i64 = 1_000_000;
const SCANNER: [u8; 4] = [10, 0, 0, 66];
const VICTIM: [u8; 4] = [10, 0, 0, 77];
/// Where the beacon goes.
const MASTER: [u8; 4] = [203, 0, 113, 9];

fn day(days: i64) -> Day {
    Day("2026-03-04".parse::<Day>().unwrap().0 + days as i32)
}

struct Traffic {
    rows: Vec<FlowRecord>,
    days: i64,
}

impl Traffic {
    fn add(&mut self, at: i64, src: [u8; 4], dst: [u8; 4], dst_port: u16, sent: (u64, u64), back: (u64, u64)) {
        let n = (self.days as u64) << 32 | self.rows.len() as u64;
        let mut id = [7; 16];
        id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let at = Micros(MIDNIGHT + self.days * 86_400 * SECOND + at);
        let direction = |(packets, bytes)| Direction { packets, bytes, tcp_flags: Some(2), tos: Some(0) };
        self.rows.push(FlowRecord {
            record_id: RecordId(id),
            first_seen: at,
            last_seen: Micros(at.0 + SECOND),
            flow_start: at,
            segment: 0,
            origin: Origin::Pcap,
            src_ip: Ip::v4(src),
            dst_ip: Ip::v4(dst),
            version: IpVersion::V4,
            src_port: 40_000 + (n % 20_000) as u16,
            dst_port,
            proto: 6,
            src: direction(sent),
            dst: Some(direction(back)),
            conn_state: None,
            history: None,
            macs: None,
            ethertype: None,
            vlan: None,
            cos: None,
            end_reason: EndReason::Detected,
            exporter: None,
            sampling: 1,
            observations: 1,
            tunnel: None,
            service: None,
        });
    }
}

/// A day of forty clients of three servers at odd moments, a scan of 40 ports, and a beacon every five minutes.
fn traffic(days: i64) -> Vec<FlowRecord> {
    let mut traffic = Traffic { rows: Vec::new(), days };
    let mut state = 88_172_645_463_325_252_u64 ^ days as u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for client in 0..40_u8 {
        for _ in 0..30 {
            let at = 8 * 3600 * SECOND + random(36_000_000_000) as i64;
            let server = [198, 51, 100, 1 + random(3) as u8];
            let size = 400 + random(4000);
            traffic.add(at, [10, 0, 0, 100 + client], server, 443, (8, size), (9, 10 * size));
        }
    }
    for port in 0..40 {
        traffic.add(
            10 * 3600 * SECOND + i64::from(port) * SECOND,
            SCANNER,
            [10, 0, 0, 5],
            1000 + port,
            (1, 44),
            (1, 40),
        );
    }
    for n in 0..80 {
        let at = 9 * 3600 * SECOND + n * 300 * SECOND + random(20_000_000) as i64;
        traffic.add(at, VICTIM, MASTER, 443, (6, 900), (6, 1200));
    }
    traffic.rows
}

struct Place {
    _folder: tempfile::TempDir,
    lake: Lake,
}

fn lake(days: i64) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().join("lake")).unwrap();
    let mut set = lake.begin(SetKind::Generated, WriterOptions::new("test")).unwrap();
    for days in 0..days {
        set.flow(&traffic(days)).unwrap();
    }
    set.commit().unwrap();
    Place { _folder: folder, lake }
}

fn scored(lake: &Lake, request: &ScoreRequest) -> (ScoreRun, RecordBatch) {
    let run = score(lake, request, &mut ()).unwrap();
    let parts = lake.parts(Table::Scores(request.source), None).unwrap();
    let part = parts.iter().find(|part| part.run.as_deref() == Some(run.run_id.as_str())).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&part.path).unwrap()).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    (run, arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap())
}

fn all_rows(days: i64) -> ScoreRequest {
    ScoreRequest { limit: 100_000, members: 0, ..ScoreRequest::new(Source::Flow, day(days)) }
}

/// What is known of a row.
#[derive(Clone, PartialEq, Debug)]
struct Row {
    src: String,
    dst: String,
    rank: u32,
    group: u64,
    size: u32,
    before: Option<f64>,
    fired: Vec<(String, f64, String)>,
    rules: Vec<String>,
    id: [u8; 16],
}

fn rows(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).unwrap().clone();
    let (src, dst, rank, group, size) =
        (column("src_ip"), column("dst_ip"), column("fused_rank"), column("group_id"), column("group_size"));
    let (detectors, rules, before, id) =
        (column("detectors"), column("rules_applied"), column("score_before"), column("record_id"));
    (0..batch.num_rows())
        .map(|at| {
            let fired = detectors.as_list::<i32>().value(at);
            let fired = fired.as_struct();
            let (names, evidence) = (fired.column(0).as_string::<i32>(), fired.column(2).as_string::<i32>());
            let strength = fired.column(1).as_primitive::<Float64Type>();
            let rules = rules.as_list::<i32>().value(at);
            Row {
                src: src.as_string::<i32>().value(at).to_owned(),
                dst: dst.as_string::<i32>().value(at).to_owned(),
                rank: rank.as_primitive::<UInt32Type>().value(at),
                group: group.as_primitive::<UInt64Type>().value(at),
                size: size.as_primitive::<UInt32Type>().value(at),
                before: (!before.is_null(at)).then(|| before.as_primitive::<Float64Type>().value(at)),
                fired: (0..names.len())
                    .map(|n| (names.value(n).to_owned(), strength.value(n), evidence.value(n).to_owned()))
                    .collect(),
                rules: rules.as_string::<i32>().iter().flatten().map(str::to_owned).collect(),
                id: id.as_fixed_size_binary().value(at).try_into().unwrap(),
            }
        })
        .collect()
}

fn of<'r>(rows: &'r [Row], src: &str, dst: &str) -> Vec<&'r Row> {
    rows.iter().filter(|row| row.src == src && (dst.is_empty() || row.dst == dst)).collect()
}

#[test]
fn attacks_stand_first_with_what_fired() {
    let place = lake(1);
    let (run, batch) = scored(&place.lake, &all_rows(0));
    let rows = rows(&batch);
    assert_eq!(rows.len(), 40 * 30 + 40 + 80);
    let (scan, beacon) = (of(&rows, "10.0.0.66", ""), of(&rows, "10.0.0.77", "203.0.113.9"));
    for (name, attack, records) in [("scan", scan, 40), ("beacon", beacon, 80)] {
        assert!(attack.iter().all(|row| row.rank <= 2), "{name}: {:?}", attack[0]);
        assert!(attack.iter().all(|row| row.group == attack[0].group && row.size == records), "{name}");
        let (fired, strength, evidence) = &attack[0].fired[0];
        assert_eq!(fired, name);
        assert!(*strength > 6.0, "{name}: {strength}");
        assert!(evidence.contains(&records.to_string()), "{evidence}");
        // The strongest stands first.
        assert!(attack[0].fired.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    }
    // Nothing else is that sure of itself.
    let sure = rows.iter().filter(|row| row.fired.first().is_some_and(|(_, strength, _)| *strength > 3.0)).count();
    assert_eq!(sure, 120);
    assert_eq!(run.card.ranking, "fused");
    assert!(run.card.detectors.iter().any(|family| family.detector == "scan" && family.findings == 1));
}

/// The moments of one that calls every five hours, from six days before the first day on: five of a day are no rhythm, thirty of a week are.
fn with_slow(days: i64) -> Vec<FlowRecord> {
    let mut traffic = Traffic { rows: traffic(days), days };
    for n in (0..34).filter(|n| (n * 5) / 24 == days + 6) {
        let at = (n * 5 - (days + 6) * 24) * 3600 * SECOND + n * n * 7 % 19 * 60 * SECOND;
        traffic.add(at, [10, 0, 0, 111], [203, 0, 113, 55], 443, (6, 900), (6, 1200));
    }
    traffic.rows
}

fn lake_of(days: std::ops::RangeInclusive<i64>) -> Place {
    let place = lake(0);
    let mut set = place.lake.begin(SetKind::Generated, WriterOptions::new("test")).unwrap();
    days.for_each(|days| set.flow(&with_slow(days)).unwrap());
    set.commit().unwrap();
    place
}

/// Rank of the slow beacon's records on the last day, with what is said of it.
fn slow_beacon(place: &Place) -> (u32, Option<(String, f64, String)>) {
    let (run, batch) = scored(&place.lake, &all_rows(0));
    let rows = rows(&batch);
    let of = of(&rows, "10.0.0.111", "203.0.113.55");
    assert_eq!(of.len(), 5, "the day has five");
    assert!(run.card.seconds.contains_key("days before"));
    (of[0].rank, of[0].fired.iter().find(|(detector, ..)| detector == "slow beacon").cloned())
}

#[test]
fn a_beacon_of_five_hours_is_found_with_the_days_before_and_not_without() {
    assert_eq!(slow_beacon(&lake_of(0..=0)).1, None);
    let (rank, found) = slow_beacon(&lake_of(-6..=0));
    let (_, strength, evidence) = found.unwrap();
    assert!(rank <= 3 && strength > 6.0, "rank {rank}, {strength}");
    assert!(evidence.starts_with("34 contacts in 165.") && evidence.contains("one every 5.0 h"), "{evidence}");
}

/// A broken file of last week stopped the scoring of every day for six days.
#[test]
fn a_broken_file_of_an_earlier_day_does_not_stop_the_day() {
    let place = lake_of(-6..=0);
    let parts = place.lake.parts(Table::Flow, None).unwrap();
    for part in parts.iter().filter(|part| part.date == day(-6)) {
        let whole = std::fs::read(&part.path).unwrap();
        std::fs::write(&part.path, &whole[..whole.len() / 2]).unwrap();
    }
    let evidence = slow_beacon(&place).1.unwrap().2;
    assert!(evidence.starts_with("29 contacts in "), "{evidence}");
}

#[test]
fn the_same_bytes_for_any_number_of_threads() {
    let place = lake(1);
    let keep = |batch: &RecordBatch| {
        let schema = batch.schema();
        let names = schema.fields().iter().enumerate();
        let keep: Vec<usize> =
            names.filter(|(_, f)| !["run_id", "scored_at"].contains(&f.name().as_str())).map(|(at, _)| at).collect();
        batch.project(&keep).unwrap().columns().to_vec()
    };
    for words in [WordScheme::Spot, WordScheme::Rich] {
        // Fresh, not going on from the model of the run before.
        let request = ScoreRequest { words, warm_start: false, ..all_rows(0) };
        let of = |threads| keep(&scored(&place.lake, &ScoreRequest { threads: Some(threads), ..request.clone() }).1);
        let one = of(1);
        assert!(one.iter().all(|column| column.len() > 1000), "{words:?}");
        for threads in [2, 4, 8, 1] {
            assert!(one == of(threads), "{words:?}, {threads} threads");
        }
    }
}

#[test]
fn another_models_results_stand_beside_ours_and_weigh_nothing() {
    let place = lake(1);
    let before = rows(&scored(&place.lake, &all_rows(0)).1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flow_results.csv");
    // Four of the scan's records, and one that is none of the day's.
    let line = |n: u32, port: u32, score: &str| {
        let (source_port, packets) = (41_200 + n, 1);
        format!(
            "2026-03-04 10:00:{n:02}\t2026\t3\t4\t10\t0\t{n}\t1.0\t10.0.0.66\t10.0.0.5\t{source_port}\t{port}\tTCP\t{packets}\t44\t1\t40\t{score}\n"
        )
    };
    let lines =
        [line(0, 1000, "0.3"), line(1, 1001, "1e-7"), line(2, 1002, "0.2"), line(3, 1003, "0.9"), line(4, 9, "0.1")];
    std::fs::write(&file, lines.concat() + "cut\n").unwrap();
    let beside = std::sync::Arc::new(Beside::read(Source::Flow, &file).unwrap());
    for ranking in [Ranking::Fused, Ranking::Spot] {
        let request = ScoreRequest { beside: Some(std::sync::Arc::clone(&beside)), ranking, ..all_rows(0) };
        let (run, batch) = scored(&place.lake, &request);
        let card = run.card.rows.beside.unwrap();
        assert_eq!((card.rows, card.rejected, card.found, card.listed), (5, 1, 4, 4));
        let after = rows(&batch);
        let said: Vec<&(String, f64, String)> =
            after.iter().flat_map(|row| &row.fired).filter(|(name, ..)| name == "flow_results").collect();
        let mut places: Vec<f64> = said.iter().map(|(_, strength, _)| 10_f64.powf(-strength).round()).collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places, [1.0, 3.0, 4.0, 5.0]);
        assert!(said.iter().any(|(.., evidence)| evidence.contains("place 1 of 5 with score 1e-7")), "{said:?}");
        if ranking == Ranking::Fused {
            let without = |row: &Row| {
                let fired = row.fired.iter().filter(|(name, ..)| name != "flow_results").cloned().collect();
                Row { fired, ..row.clone() }
            };
            assert_eq!(after.iter().map(without).collect::<Vec<_>>(), before);
        }
    }
    let other_day = ScoreRequest { beside: Some(beside), ..all_rows(1) };
    assert!(score(&place.lake, &other_day, &mut ()).is_err());
}

#[test]
fn a_row_says_what_its_host_usually_does() {
    let place = lake(1);
    let (_, batch) = scored(&place.lake, &all_rows(0));
    let all = rows(&batch);
    let usual = batch.column_by_name("usual").unwrap().as_list::<i32>().clone();
    let of = |at: usize| -> Vec<(String, String, f64)> {
        let list = usual.value(at);
        let list = list.as_struct();
        let text = |column: usize, n: usize| list.column(column).as_string::<i32>().value(n).to_owned();
        let share = list.column(2).as_primitive::<Float64Type>();
        (0..list.len()).map(|n| (text(0, n), text(1, n), share.value(n))).collect()
    };
    // The scanner does one thing: every record between 10 and 11, of one packet. What it does not repeat has no majority.
    let at = all.iter().position(|row| row.src == "10.0.0.66").unwrap();
    let scanner = of(at);
    let hour = scanner.iter().find(|(feature, ..)| feature == "hour").unwrap();
    assert!(hour.1.contains("10:00") && hour.2 == 1.0, "{scanner:?}");
    for at in 0..batch.num_rows() {
        assert!(of(at).iter().all(|(.., share)| *share > 0.0 && *share <= 1.0), "{:?}", of(at));
    }
}

/// Σ θ·φ of what the kept model says of host and word is the score that was written, for either side.
#[test]
fn both_sides_have_their_score_and_the_kept_model_says_what_it_is_made_of() {
    let place = lake(1);
    for words in [WordScheme::Spot, WordScheme::Rich] {
        let (run, batch) = scored(&place.lake, &ScoreRequest { words, ..all_rows(0) });
        let kept = place.lake.state().model(&run.card.model).unwrap().unwrap();
        let path = place.lake.dir().join(kept.file.unwrap());
        let topics = Topics::open(&path).unwrap();
        assert_eq!((topics.date(), topics.topics().len()), (day(0), run.card.fit.topics));
        assert!((topics.topics().iter().map(|topic| topic.share).sum::<f64>() - 1.0).abs() < 1e-9);
        for (k, topic) in topics.topics().iter().enumerate() {
            assert!(!topic.words.is_empty() && topic.words.windows(2).all(|pair| pair[0].share >= pair[1].share));
            let again = topics.of_word(&topic.words[0].word).unwrap().unwrap();
            assert_eq!(again[k], topic.words[0].share);
        }
        let numbers = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().values().to_vec();
        let texts = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let score = numbers("score");
        let sides = [("src", texts("src_ip"), texts("src_word")), ("dst", texts("dst_ip"), texts("dst_word"))];
        let of_side = [numbers("src_score"), numbers("dst_score")];
        let decided = texts("deciding_side");
        let why = batch.column_by_name("explanation").unwrap().as_struct();
        let deciding = why.column_by_name("deciding_score").unwrap().as_primitive::<Float64Type>();
        let mut differ = 0;
        for at in 0..batch.num_rows() {
            assert_eq!(of_side[0][at].min(of_side[1][at]), score[at], "{words:?} row {at}");
            differ += usize::from(deciding.value(at) != score[at]);
            for ((side, hosts, words_of), scores) in sides.iter().zip(&of_side) {
                if decided.value(at) == *side {
                    assert_eq!(deciding.value(at), scores[at], "{words:?} row {at}");
                }
                let theta = topics.of_host(hosts.value(at)).unwrap().unwrap();
                let phi = topics.of_word(words_of.value(at)).unwrap().unwrap();
                assert!((theta.iter().sum::<f64>() - 1.0).abs() < 1e-6);
                let p: f64 = theta.iter().zip(&phi).map(|(a, b)| a * b).sum();
                assert!((p - scores[at]).abs() <= 2e-5 * p, "{words:?} row {at} {side}: {p} and {}", scores[at]);
            }
        }
        // The side with more evidence against it is not always that with the lower score.
        assert!(differ > 0, "{words:?}");
        assert_eq!(topics.of_host("192.0.2.1").unwrap(), None);
        assert_eq!(topics.of_word("no such word").unwrap(), None);
        damaged_models_are_refused(&path, &topics);
    }
}

fn damaged_models_are_refused(path: &std::path::Path, topics: &Topics) {
    let whole = std::fs::read(path).unwrap();
    // The counts stand at the end: 42 hosts and more of 20 topics.
    for end in [1, 20, 1000, 3000] {
        let mut bytes = whole.clone();
        let at = bytes.len() - end;
        bytes[at] ^= 0x40;
        std::fs::write(path, bytes).unwrap();
        assert_eq!(Topics::open(path).unwrap_err().kind(), std::io::ErrorKind::InvalidData, "{end}");
    }
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(path, &whole[..length]).unwrap();
        assert!(Topics::open(path).is_err(), "{length}");
    }
    std::fs::remove_file(path).unwrap();
    assert_eq!(topics.of_host("10.0.0.66").unwrap_err().kind(), std::io::ErrorKind::NotFound);
    std::fs::write(path, whole).unwrap();
    assert!(topics.of_host("10.0.0.66").unwrap().is_some());
}

#[test]
fn spots_ranking_is_spots() {
    let place = lake(1);
    let (_, batch) = scored(&place.lake, &ScoreRequest { ranking: Ranking::Spot, ..all_rows(0) });
    let score = batch.column_by_name("score").unwrap().as_primitive::<Float64Type>().values().to_vec();
    assert!(score.is_sorted());
    assert_eq!(batch.column_by_name("rank").unwrap(), batch.column_by_name("fused_rank").unwrap());
    assert!(rows(&batch).iter().all(|row| row.fired.is_empty()));
}

#[test]
fn the_next_day_goes_on_from_the_kept_model_and_says_how_it_drifted() {
    let place = lake(2);
    let first = score(&place.lake, &all_rows(0), &mut ()).unwrap();
    assert_eq!((first.card.drift, first.card.fit.warm_start), (None, None));
    let second = score(&place.lake, &all_rows(1), &mut ()).unwrap();
    let drift = second.card.drift.unwrap();
    assert_eq!((&drift.since, second.card.fit.warm_start.as_ref()), (&first.card.model, Some(&first.card.model)));
    // Another draw of the same habits: little new, no new hosts.
    assert!((0.0..0.3).contains(&drift.divergence_bits) && drift.new_document_share == 0.0, "{drift:?}");
    let cold = ScoreRequest { warm_start: false, ..all_rows(1) };
    let cold = score(&place.lake, &cold, &mut ()).unwrap();
    assert_eq!(cold.card.fit.warm_start, None);
    // A damaged model is passed over: the day begins from chance.
    for model in place.lake.state().models(Source::Flow).unwrap() {
        let path = place.lake.dir().join(model.file.unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 20;
        bytes[end] ^= 0x40;
        std::fs::write(&path, bytes).unwrap();
    }
    let alone = score(&place.lake, &all_rows(1), &mut ()).unwrap();
    assert_eq!((alone.card.drift, alone.card.fit.warm_start), (None, None));
}

/// Adds records to a lake, as a capture does every few seconds.
fn arrive(lake: &Lake, records: &[FlowRecord]) {
    let mut set = lake.begin(SetKind::Generated, WriterOptions::new("test")).unwrap();
    set.flow(records).unwrap();
    set.commit().unwrap();
}

#[test]
fn new_records_are_scored_against_the_kept_model_as_they_arrive() {
    let place = lake(1);
    let request = ScoreRequest { members: 0, ..ScoreRequest::new(Source::Flow, day(1)) };
    let mut live = Live::new(request.clone()).unwrap();
    assert_eq!(live.look(&place.lake, day(1), &mut ()).unwrap(), Looked::Nothing);
    let (mut ordinary, mut odd) = (traffic(1), Vec::new());
    arrive(&place.lake, &ordinary[..600]);
    assert_eq!(live.look(&place.lake, day(1), &mut ()).unwrap(), Looked::NoModel);
    score(&place.lake, &all_rows(0), &mut ()).unwrap();
    assert_eq!(live.look(&place.lake, day(1), &mut ()).unwrap(), Looked::Published { records: 600, kept: 600 });
    assert_eq!(live.look(&place.lake, day(1), &mut ()).unwrap(), Looked::Nothing);
    // The scan and the beacon come with the second set.
    odd.extend(ordinary.split_off(600));
    arrive(&place.lake, &odd);
    let records = odd.len() as u64;
    let looked = live.look(&place.lake, day(1), &mut ()).unwrap();
    assert_eq!(looked, Looked::Published { records, kept: 600 + records });
    let current = || place.lake.state().current_run(Source::Flow, day(1)).unwrap().unwrap();
    let listed = || {
        let parts = place.lake.parts(Table::Scores(Source::Flow), None).unwrap();
        let of: Vec<_> = parts.iter().filter(|part| part.run.as_deref() == Some(current().run_id.as_str())).collect();
        assert_eq!(of.len(), 1, "one list, in place of the one before");
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&of[0].path).unwrap()).unwrap();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        rows(&arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap())
    };
    assert!(is_live(&current()));
    let rows = listed();
    for (src, dst) in [("10.0.0.66", ""), ("10.0.0.77", "203.0.113.9")] {
        assert!(of(&rows, src, dst).iter().all(|row| row.rank <= 3), "{src}: {:?}", of(&rows, src, dst)[0]);
    }
    // A whole run takes its place and is left alone.
    let whole = score(&place.lake, &all_rows(1), &mut ()).unwrap();
    arrive(&place.lake, &traffic(1)[..1]);
    assert_eq!(live.look(&place.lake, day(1), &mut ()).unwrap(), Looked::Scored);
    assert_eq!(current().run_id, whole.run_id);
}

#[test]
fn rule_files_stand_among_the_detectors_and_a_broken_one_stops_nothing() {
    let place = lake(1);
    let before = rows(&scored(&place.lake, &all_rows(0)).1);
    let read = |name: &str, text: &str| RuleFile::read(name, text).unwrap();
    let sigma = read(
        "odd.yml",
        "title: Traffic to .3\nlevel: critical\nlogsource:\n  category: firewall\ndetection:\n  s:\n    dst_ip|cidr: 198.51.100.3/32\n    \
         src_ip: 10.0.0.1*\n    DestinationPort: 443\n    proto: TCP\n  not_many:\n    SourceIp|endswith: ['.101', '.102']\n  \
         condition: s and not_many\n",
    );
    let sql = read(
        "x.sql",
        "-- title: Scanner\n-- source: flow\n-- level: low\nSELECT record_id, concat('to ', dst_ip) AS evidence FROM flow WHERE date = $1 AND src_ip = '10.0.0.66'",
    );
    let broken = read("y.sql", "-- source: flow\nSELECT nonsense FROM flow WHERE date = $1");
    let writes = read("z.sql", "-- title: Writes\n-- source: flow\nDELETE FROM flow WHERE date = $1");
    let request = ScoreRequest { rules: vec![sigma, sql, broken, writes], ..all_rows(0) };
    let (run, batch) = scored(&place.lake, &request);
    let after = rows(&batch);
    let wanted = |row: &Row| row.dst == "198.51.100.3" && ["10.0.0.101", "10.0.0.102"].contains(&row.src.as_str());
    let expected = before.iter().filter(|row| wanted(row)).count();
    assert!(expected > 0);
    assert_eq!(
        run.card.rows.rule_files,
        [("Scanner".to_owned(), 40), ("Traffic to .3".to_owned(), expected as u64)].into()
    );
    assert_eq!(run.card.rows.rule_errors.keys().collect::<Vec<_>>(), ["Writes", "y.sql"]);
    for row in &after {
        let by_rule = row.fired.iter().find(|(name, ..)| name == "Traffic to .3");
        assert_eq!(by_rule.is_some(), wanted(row), "{row:?}");
        assert!(by_rule.is_none_or(|(_, strength, _)| *strength == 4.0));
        assert_eq!(
            row.fired.iter().any(|(name, _, said)| name == "Scanner" && said == "to 10.0.0.5"),
            row.src == "10.0.0.66"
        );
    }
    let best = |rows: &[Row]| rows.iter().filter(|row| wanted(row)).map(|row| row.rank).min().unwrap();
    assert!(best(&after) < best(&before) || best(&before) <= 3, "{} {}", best(&after), best(&before));
}

#[test]
fn context_stands_in_the_scores() {
    let place = lake(1);
    let store = Store::of_lake(place.lake.dir());
    let put = |kind, name: &str, text: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        store.add(kind, &folder.path().join(name)).unwrap();
    };
    put(Kind::Internal, "ipranges.csv", "198.51.100.2,198.51.100.2,Branch\n");
    put(Kind::Network, "networkcontext_1.csv", "key,name\n10.0.0.0/24,Office\n");
    put(
        Kind::Geo,
        "iploc.csv",
        "\"3405803776\",\"3405804031\",\"XX\",\"X\",\"State\",\"City\",\"1\",\"2\",\"Owner\",\"o.example\"\n",
    );
    put(Kind::Reputation, "bad.txt", "203.0.113.9\n");
    let (_, batch) = scored(&place.lake, &all_rows(0));
    let text = |name: &str, row: usize| -> Option<String> {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        (!column.is_null(row)).then(|| column.value(row).to_owned())
    };
    let flag = |name: &str, row: usize| batch.column_by_name(name).unwrap().as_boolean().value(row);
    let all = rows(&batch);
    for (at, row) in all.iter().enumerate() {
        assert!(flag("src_internal", at));
        assert_eq!(flag("dst_internal", at), row.dst == "198.51.100.2" || row.dst == "10.0.0.5", "{row:?}");
        assert_eq!(text("network_context", at).as_deref(), Some("Office"));
        let master = row.dst == "203.0.113.9";
        assert_eq!(text("dst_geo", at).as_deref(), master.then_some("State;City Owner"));
        assert_eq!(text("reputation_source", at).as_deref(), master.then_some("bad.txt"));
    }
}
