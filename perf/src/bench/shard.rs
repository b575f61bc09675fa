//! Part `shard`: live capture fed from memory, as the probe feeds it when every packet displaces a flow of the kernel's
//! cache. What a microflow costs the shard while all flows are new and when all are known, and what a flow costs on its
//! way from the table to the lake, without a network and without root. CPU time of the threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aggregator::lake::Lake;
use aggregator::live::{LiveOptions, Shell};
use capture::live::source::{
    Handler, Interface, LinkEvent, Mode, QueueBooks, QueueName, Received, Receiver, SourceError,
};
use capture::live::{Filter, MicroDirection, Microflow};
use capture::{Ip, IpVersion, Link, Nanos};

use super::{BenchError, BenchOptions, Figure, Part, Runs, cpu_seconds};

/// Flows at once: as the part `capture` has.
const FLOWS: [u32; 2] = [10_000, 500_000];

/// Microflows of flows that are known already.
const KNOWN: u32 = 2_000_000;

/// Microflows handed over in one call.
const PIECE: usize = 4_096;

/// When the first comes; each is a microsecond later than the one before.
const BEGIN: i64 = 1_700_000_000_000_000_000;

/// CPU seconds of the shard, whenever the ring was seen empty at the end of a phase.
type Marks = Arc<Mutex<Vec<f64>>>;

pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let folder = tempfile::tempdir()?;
    for flows in FLOWS {
        let mut turns: Vec<[f64; 3]> = Vec::new();
        for turn in 0..options.runs.max(1) {
            turns.push(turn_of(flows, &folder.path().join(format!("{flows}-{turn}")))?);
        }
        let figures = ["a new flow, in the shard", "a known flow, in the shard", "a flow, table to lake"];
        for (at, figure) in figures.into_iter().enumerate() {
            let runs = Runs(turns.iter().map(|turn| turn[at]).collect());
            emit(&Figure {
                part: Part::Shard.name(),
                figure: format!("{figure}; {} k flows", flows / 1_000),
                unit: "ns",
                value: runs.median(),
                peer: None,
                peer_value: None,
                ratio: None,
                spread: runs.spread(),
                note: None,
            });
        }
    }
    Ok(())
}

/// Nanoseconds of one turn: a microflow of a new flow, one of a known flow, and the end of a flow.
fn turn_of(flows: u32, lake: &Path) -> Result<[f64; 3], BenchError> {
    let marks = Marks::default();
    let ended = Arc::new(AtomicBool::new(false));
    let source = Memory { marks: Arc::clone(&marks), ended: Arc::clone(&ended), flows, sent: 0, phase: 0, state: 1 };
    let options = LiveOptions { flush: Duration::from_secs(3_600), ..LiveOptions::new("bench") };
    let report = aggregator::live::run(&Lake::open(lake)?, vec![Box::new(source)], &options, &UntilEnded(ended))
        .map_err(|error| BenchError::Probe(error.to_string()))?;
    let cpu = cpu_seconds()?;
    let lost = report.ledger.get("packets.lost_shard_ring").copied().unwrap_or_default();
    let written = report.records.get("flow").copied().unwrap_or_default();
    if lost != 0 || written != u64::from(flows) || !report.imbalances.is_empty() {
        let why = format!("{lost} microflows lost, {written} of {flows} flows written, {:?}", report.imbalances);
        return Err(BenchError::Probe(why));
    }
    match marks.lock().unwrap_or_else(PoisonError::into_inner).as_slice() {
        [begin, opened, known, process] => Ok([
            (opened - begin) * 1e9 / f64::from(flows),
            (known - opened) * 1e9 / f64::from(KNOWN),
            (cpu - process) * 1e9 / f64::from(flows),
        ]),
        _ => Err(BenchError::Probe("the capture ended early".to_owned())),
    }
}

/// CPU seconds of the shard's thread.
fn shard_seconds() -> std::io::Result<f64> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == "shard-0" {
            let text = std::fs::read_to_string(task.join("schedstat"))?;
            let nanos = text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok());
            return nanos.map(|nanos| nanos / 1e9).ok_or_else(|| std::io::Error::other("no time in schedstat"));
        }
    }
    Err(std::io::Error::other("the shard has no thread"))
}

/// One queue: first every flow once, then flows at random.
struct Memory {
    marks: Marks,
    ended: Arc<AtomicBool>,
    flows: u32,
    /// In this phase.
    sent: u32,
    phase: u32,
    state: u64,
}

struct UntilEnded(Arc<AtomicBool>);

impl Shell for UntilEnded {
    fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Interface for Memory {
    fn name(&self) -> &str {
        "memory"
    }
    fn mode(&self) -> Mode {
        Mode::XdpDriver
    }
    fn clock(&self) -> String {
        "counted".to_owned()
    }
    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        let Self { marks, ended, flows, sent, phase, state } = self;
        let (flows, sent, phase, state) = (*flows, *sent, *phase, *state);
        let memory = Self { marks: Arc::clone(marks), ended: Arc::clone(ended), flows, sent, phase, state };
        let name = QueueName { interface: "memory".to_owned(), queue: 0 };
        vec![Box::new(Queue { name, memory, room: 0, handed: QueueBooks::default(), now: BEGIN })]
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

struct Queue {
    name: QueueName,
    memory: Memory,
    /// Of the empty ring.
    room: usize,
    handed: QueueBooks,
    now: i64,
}

impl Receiver for Queue {
    fn name(&self) -> &QueueName {
        &self.name
    }

    fn receive(&mut self, _: Duration, to: &mut dyn Handler) -> Result<Received, SourceError> {
        let Self { memory, room, handed, now, .. } = self;
        *room = to.room().max(*room);
        let length = match memory.phase {
            0 => 0,
            1 => memory.flows,
            _ => KNOWN,
        };
        if memory.sent == length {
            return Ok(if to.room() < *room { pause() } else { memory.next_phase(*now, to) });
        }
        let count = (length - memory.sent).min(to.room().min(PIECE) as u32);
        let microflows: Vec<Microflow> = (0..count)
            .map(|_| {
                *now += 1_000;
                memory.next(*now)
            })
            .collect();
        let tally = capture::live::source::Tally { packets: count.into(), bytes: u64::from(count) * 60 };
        for sum in [
            &mut handed.offered,
            &mut handed.seen,
            &mut handed.dropped,
            &mut handed.cached,
            &mut handed.received_from_ring,
        ] {
            *sum += tally;
        }
        to.microflows(&microflows);
        Ok(if count == 0 { pause() } else { Received::Some })
    }

    fn books(&mut self) -> QueueBooks {
        self.handed.clone()
    }
}

fn pause() -> Received {
    std::thread::sleep(Duration::from_micros(500));
    Received::Idle
}

impl Memory {
    fn next_phase(&mut self, now: i64, to: &mut dyn Handler) -> Received {
        to.complete_to(Nanos(now));
        // The batch in work is not in the ring any more.
        std::thread::sleep(Duration::from_millis(20));
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.extend(shard_seconds());
        (self.phase, self.sent) = (self.phase + 1, 0);
        if self.phase < 3 {
            return Received::Some;
        }
        marks.extend(cpu_seconds());
        to.complete_to(Nanos(i64::MAX));
        self.ended.store(true, Ordering::Release);
        Received::Ended
    }

    /// The next packet.
    fn next(&mut self, now: i64) -> Microflow {
        let flow = if self.phase == 1 {
            self.sent
        } else {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (((self.state >> 33) * u64::from(self.flows)) >> 31) as u32
        };
        self.sent += 1;
        // Neighbours in number are no neighbours in the table.
        let [a, b, c, d] = flow.wrapping_mul(0x9e37_79b1).to_be_bytes();
        let counted = MicroDirection {
            packets: 1,
            ip_bytes: 46,
            wire_bytes: 60,
            first: Nanos(now),
            last: Nanos(now),
            tcp_flags: 0x10,
            ..MicroDirection::default()
        };
        Microflow {
            low: Ip::v4([10, 0, a, b]),
            high: Ip::v4([203, 0, 113, c]),
            low_port: u16::from_be_bytes([b, d]) | 1,
            high_port: 443,
            proto: 6,
            version: IpVersion::V4,
            link: Link { macs: Some(([2; 6], [4; 6])), ethertype: Some(0x0800), vlan: None, cos: None },
            tunnel: None,
            from_low: counted,
            from_high: MicroDirection::default(),
        }
    }
}
