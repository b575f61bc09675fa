//! Live capture with a source that is a list: whichever queue, port or shard a packet takes, the records are those of an
//! import of the same packets; and every packet is in one term of the books, whatever is full.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lake_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aggregator::import::{ImportOptions, Input, import};
use aggregator::lake::{Lake, Table};
use aggregator::live::{LiveOptions, LiveReport, Shell, run};
use arrow::array::{ArrayRef, AsArray as _};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::array_value_to_string;
use capture::file::CaptureReader;
use capture::live::Filter;
use capture::live::source::{
    Handler, Interface, LinkEvent, LiveFrame, Mode, QueueBooks, QueueName, Received, Receiver, SourceError, VlanTag,
};
use capture::{DecoderConfig, LinkType, Nanos, Place};

/// One packet: its time, its bytes.
type Packet = (i64, Vec<u8>);

/// A queue whose packets are known beforehand.
struct ListReceiver {
    name: QueueName,
    packets: Vec<Packet>,
    at: usize,
    books: QueueBooks,
    running: Arc<AtomicUsize>,
}

impl Receiver for ListReceiver {
    fn name(&self) -> &QueueName {
        &self.name
    }

    fn receive(&mut self, _: Duration, to: &mut dyn Handler) -> Result<Received, SourceError> {
        let end = (self.at + 50).min(self.packets.len());
        let mut frames = Vec::new();
        for (at, (ts, data)) in self.packets[self.at..end].iter().enumerate() {
            let wire_len = data.len() as u32;
            let whole = LiveFrame { ts: Nanos(*ts), data, wire_len, vlan: None };
            for tally in [&mut self.books.offered, &mut self.books.seen, &mut self.books.passed] {
                tally.add(wire_len);
            }
            self.books.to_slow_path.add(wire_len);
            self.books.received.add(wire_len);
            // Every other tag has been taken out, as a kernel would.
            match tag(data).filter(|_| at % 2 == 0) {
                Some(vlan) => frames.push((LiveFrame { wire_len: wire_len - 4, vlan: Some(vlan), ..whole }, true)),
                None => frames.push((whole, false)),
            }
        }
        let stripped: Vec<Vec<u8>> = frames
            .iter()
            .map(|(f, _)| [&f.data[..12.min(f.data.len())], f.data.get(16..).unwrap_or_default()].concat())
            .collect();
        let frames: Vec<LiveFrame<'_>> = frames
            .iter()
            .zip(&stripped)
            .map(|((frame, is_stripped), data)| if *is_stripped { LiveFrame { data, ..*frame } } else { *frame })
            .collect();
        to.frames(&frames);
        self.at = end;
        let Some((next, _)) = self.packets.get(self.at) else {
            to.complete_to(Nanos(i64::MAX));
            self.running.fetch_sub(1, Ordering::Release);
            return Ok(Received::Ended);
        };
        to.complete_to(Nanos(*next));
        Ok(Received::Some)
    }

    fn books(&mut self) -> QueueBooks {
        self.books.clone()
    }
}

fn tag(data: &[u8]) -> Option<VlanTag> {
    let head: &[u8; 16] = data.get(..16)?.try_into().ok()?;
    let tpid = u16::from_be_bytes([head[12], head[13]]);
    matches!(tpid, 0x8100 | 0x88a8).then(|| VlanTag { tpid, tci: u16::from_be_bytes([head[14], head[15]]) })
}

/// Interfaces with such queues.
struct ListInterface(String, Vec<ListReceiver>);

impl Interface for ListInterface {
    fn name(&self) -> &str {
        &self.0
    }
    fn mode(&self) -> Mode {
        Mode::AfPacket
    }
    fn clock(&self) -> String {
        "list".to_owned()
    }
    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        std::mem::take(&mut self.1).into_iter().map(|r| Box::new(r) as Box<dyn Receiver>).collect()
    }
    fn maintain(&mut self) -> Result<Vec<LinkEvent>, SourceError> {
        Ok(Vec::new())
    }
    fn set_filter(&mut self, _: &Filter) -> Result<(), SourceError> {
        Ok(())
    }
    fn counters(&mut self) -> Vec<(std::borrow::Cow<'static, str>, u64)> {
        Vec::new()
    }
    fn stop(&mut self) {}
    fn restore(&mut self) {}
}

/// Ends when all lists have been read.
struct UntilRead(Arc<AtomicUsize>);

impl Shell for UntilRead {
    fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// Captures the packets, each by the queue that `queue` says.
fn captured(
    packets: &[Packet],
    lake: &Path,
    queues: usize,
    options: &LiveOptions,
    queue: impl Fn(usize, &[u8]) -> usize,
) -> LiveReport {
    let running = Arc::new(AtomicUsize::new(queues));
    let mut lists: Vec<Vec<Packet>> = vec![Vec::new(); queues];
    for (at, packet) in packets.iter().enumerate() {
        lists[queue(at, &packet.1)].push(packet.clone());
    }
    let interfaces = lists.into_iter().enumerate().map(|(at, packets)| {
        let name = QueueName { interface: format!("port{at}"), queue: 0 };
        let (books, running) = (QueueBooks::default(), Arc::clone(&running));
        let receiver = ListReceiver { name, packets, at: 0, books, running };
        Box::new(ListInterface(format!("port{at}"), vec![receiver])) as Box<dyn Interface>
    });
    run(&Lake::open(lake).unwrap(), interfaces.collect(), options, &UntilRead(running)).unwrap()
}

/// Streams are not closed by silence: an import sees it when the next packet comes by, live capture when it is time.
fn patient() -> DecoderConfig {
    let mut config = DecoderConfig::default();
    config.app.stream_idle = Nanos(i64::MAX / 4);
    config
}

fn options(shards: usize) -> LiveOptions {
    // Rings that hold everything, and patience with threads that a loaded machine lets wait: what is lost or late is
    // another test's matter.
    let patience = Duration::from_secs(600);
    LiveOptions { shards, ring_bytes: 512 << 20, patience, decoder: patient(), ..LiveOptions::new("tap") }
}

/// A value as text; a time as its number.
fn text(column: &ArrayRef, row: usize) -> String {
    match column.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => times.value(row).to_string(),
        None => array_value_to_string(column, row).unwrap(),
    }
}

/// Columns that say how the packets came. And when an HTTP request ended whose connection fell silent: that is seen when
/// the next packet comes by or when time is told, which an import never is.
fn is_told_apart(table: Table, column: &str) -> bool {
    matches!(column, "record_id" | "origin") || table == Table::Proxy && matches!(column, "last_seen" | "duration_us")
}

/// How often each row stands in the lake; without the columns that say how the packets came.
fn content(lake: &Path) -> BTreeMap<String, i64> {
    let lake = Lake::open_existing(lake).unwrap();
    let mut out = BTreeMap::new();
    for table in [Table::Flow, Table::Dns, Table::Proxy, Table::Dhcp] {
        for part in lake.parts(table, None).unwrap() {
            for batch in lake_support::read(&part) {
                for row in 0..batch.num_rows() {
                    let schema = batch.schema();
                    let text: Vec<String> = schema
                        .fields()
                        .iter()
                        .zip(batch.columns())
                        .filter(|(field, _)| !is_told_apart(table, field.name()))
                        .map(|(field, column)| format!("{}={}", field.name(), text(column, row)))
                        .collect();
                    *out.entry(format!("{} {}", table.as_str(), text.join(" "))).or_default() += 1;
                }
            }
        }
    }
    out
}

#[track_caller]
fn assert_same(captured: &BTreeMap<String, i64>, imported: &BTreeMap<String, i64>, how: &str) {
    let differ = |a: &BTreeMap<String, i64>, b: &BTreeMap<String, i64>| -> Vec<String> {
        a.iter().filter(|(row, n)| **n > b.get(*row).copied().unwrap_or(0)).map(|(row, _)| row.clone()).collect()
    };
    let (more, missing) = (differ(captured, imported), differ(imported, captured));
    assert!(
        more.is_empty() && missing.is_empty(),
        "{how}: of {} rows {} only captured, {} only imported\n{:#?}\n{:#?}",
        imported.len(),
        more.len(),
        missing.len(),
        more.iter().take(4).collect::<Vec<_>>(),
        missing.iter().take(4).collect::<Vec<_>>(),
    );
}

const SECOND: i64 = 1_000_000_000;

/// The Ethernet packets of the shared captures, one file an hour after the other. Where a file's times go back, its
/// packets are a millisecond apart: queues are merged by time, so what is not in order is not the same order.
fn corpus() -> Option<Vec<Packet>> {
    let promised = std::env::var_os("SPOTTER_SHARED").map(PathBuf::from);
    let folder = promised.clone().unwrap_or_else(|| Path::new("../../shared").to_owned());
    let Ok(entries) = std::fs::read_dir(folder.join("data/pcap")) else {
        assert!(promised.is_none(), "SPOTTER_SHARED has no data/pcap");
        eprintln!("SKIPPED: no shared captures beside the project");
        return None;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut packets, mut begin) = (Vec::new(), 1_772_618_400 * SECOND);
    for path in paths {
        let Ok(mut reader) = CaptureReader::open(&path) else { continue };
        let mut file: Vec<Packet> = Vec::new();
        while let Ok(Some(frame)) = reader.next_frame() {
            if frame.link == LinkType::ETHERNET && frame.data.len() == frame.wire_len as usize {
                file.push((frame.ts.map_or(0, |ts| ts.0), frame.data.to_vec()));
            }
        }
        let (Some(first), Some(last)) = (file.first().map(|p| p.0), file.last().map(|p| p.0)) else { continue };
        let in_order = file.windows(2).all(|pair| pair[0].0 <= pair[1].0) && last - first < 7_200 * SECOND;
        let mut before = begin - 1;
        for (at, packet) in (0..).zip(&mut file) {
            let time = begin + if in_order { packet.0 - first } else { at * 1_000_000 };
            // No two at one time: which came first would be anybody's guess.
            packet.0 = time.max(before + 1);
            before = packet.0;
        }
        begin = file.last().map_or(begin, |p| p.0) + 3_600 * SECOND;
        packets.append(&mut file);
    }
    assert!(packets.len() > 10_000, "{}", packets.len());
    Some(packets)
}

fn imported(packets: &[Packet], folder: &Path) -> BTreeMap<String, i64> {
    let mut out = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 0x0004_0000, 1] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    for (ts, data) in packets {
        for word in [(ts / SECOND) as u32, (ts % SECOND) as u32, data.len() as u32, data.len() as u32] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(data);
    }
    let pcap = folder.join("all.pcap");
    std::fs::write(&pcap, out).unwrap();
    let lake = folder.join("imported");
    let flag = std::sync::atomic::AtomicBool::new(false);
    let options = ImportOptions { decoder: patient(), ..ImportOptions::new("tap") };
    import(&Lake::open(&lake).unwrap(), &[Input::Path(pcap)], &options, &flag, &mut ()).unwrap();
    content(&lake)
}

fn direction(data: &[u8]) -> usize {
    match Place::of_ethernet(data, data.len() as u32) {
        Place::Plain(a, b) | Place::Deep(Some((a, b))) => usize::from(a > b),
        Place::Deep(None) => 0,
    }
}

/// Tunnels, fragments and both directions of every connection go by queues that have nothing to do with each other.
#[test]
fn any_queue_and_any_shard_make_the_records_of_an_import() {
    let Some(packets) = corpus() else { return };
    let folder = lake_support::scratch();
    let expected = imported(&packets, folder.path());
    type Queue = fn(usize, &[u8]) -> usize;
    let ways: [(&str, usize, usize, Queue); 6] = [
        ("one queue, one shard", 1, 1, |_, _| 0),
        ("one queue, four shards", 1, 4, |_, _| 0),
        ("in turn over three queues, one shard", 3, 1, |at, _| at % 3),
        ("in turn over three queues, five shards", 3, 5, |at, _| at % 3),
        ("each direction by its port, two shards", 2, 2, |_, data| direction(data)),
        ("at random over four queues, three shards", 4, 3, |at, _| (lake_support::mix(at as u64) % 4) as usize),
    ];
    for (at, (how, queues, shards, queue)) in ways.into_iter().enumerate() {
        let lake = folder.path().join(format!("captured{at}"));
        let report = captured(&packets, &lake, queues, &options(shards), queue);
        assert_eq!((report.imbalances, report.error), (Vec::<String>::new(), None), "{how}");
        assert_eq!(report.ledger["packets.seen"], packets.len() as u64, "{how}");
        assert_eq!(report.ledger["packets.lost_shard_ring"] + report.ledger["packets.lost_onward_ring"], 0, "{how}");
        assert_eq!(report.ledger["queues_overtaken"], 0, "{how}");
        assert_same(&content(&lake), &expected, how);
    }
}

/// UDP and IPv4 fragments, VLANs, GRE and what cannot be read, of which far more come than rings of one batch take.
#[test]
fn with_rings_full_every_packet_is_in_one_term() {
    let mut packets: Vec<Packet> = Vec::new();
    for n in 0..200_000_u32 {
        let mut data =
            vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1];
        let [_, a, b, c] = n.to_be_bytes();
        data.extend_from_slice(&[172, a, b, c, 4, 0, 0, 9, 0, 40, 0, 0]);
        data.resize(74, 0);
        match n % 50 {
            0 => data[20] = 0x20,
            1 => data[13] = 6,
            2 => data.truncate(20),
            3 => data[23] = 47,
            _ => (),
        }
        packets.push((1_772_618_400 * SECOND + i64::from(n) * 1_000, data));
    }
    for shards in [1, 3] {
        let folder = lake_support::scratch();
        let options = LiveOptions { ring_bytes: 0, flush: Duration::from_millis(100), ..options(shards) };
        let report = captured(&packets, folder.path(), 2, &options, |at, _| at % 2);
        assert_eq!((report.imbalances, report.error), (Vec::<String>::new(), None), "{shards} shards");
        let of = |name: &str| report.ledger.get(&format!("packets.{name}")).copied().unwrap_or(0);
        assert_eq!(of("seen"), 200_000);
        assert!(of("lost_shard_ring") > 0, "nothing was lost");
        assert_eq!(of("lost_shard_ring") + of("received") + of("not_ip") + of("malformed"), 200_000, "{shards} shards");
        assert_eq!(of("received"), of("exported") + of("lost_onward_ring"), "{shards} shards");
        assert_eq!(of("in_shard_ring") + of("in_onward_ring"), 0);
        // What the ledger's intervals say, summed, is what was reported.
        let lake = Lake::open_existing(folder.path()).unwrap();
        let (mut seen, mut rows) = (0, 0);
        for part in lake.parts(Table::Ledger, None).unwrap() {
            for batch in lake_support::read(&part) {
                let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
                let (names, values) = (column("counter"), column("value"));
                for row in 0..batch.num_rows() {
                    rows += 1;
                    if array_value_to_string(&names, row).unwrap() == "packets.seen" {
                        seen += array_value_to_string(&values, row).unwrap().parse::<u64>().unwrap();
                    }
                }
            }
        }
        assert!(rows > 0);
        assert_eq!(seen, 200_000);
    }
}
