//! What a packet costs in the kernel: the probe beside the same program with the kernel's own hash tables.
//!
//! Every program parses, judges and keeps its books in full, and runs over the same frames (TCP, 120 bytes), whose source
//! address another flow's each time. What is given is the CPU time of a run less that of a program that changes the frame and
//! does nothing else. Programs take turns; a ratio is the median of the turns' ratios. The probe's ring is emptied
//! between runs, outside the time. Peers have room for every flow, so nothing of theirs is displaced.
//!
//! What user space does with the records is in the rows `kernel and user`: a million packets (half a second at 2 Mpps), their
//! records merged into the flow table, and the sweep at their end. A record for each packet, and a cache that gives way to such
//! records while it is not hit, are measured beside the cache.

use cpu_time::ThreadTime;

use aggregator::record::Origin;
use aggregator::{Aggregator, AggregatorConfig};
use capture::Nanos;
use capture::live::source::{Handler, LiveFrame};
use capture::live::{Filter, Microflow};
use capture::probe::{Bench, BenchProgram, ProbeError};

use super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};

const PROGRAMS: [BenchProgram; 5] = [
    BenchProgram::Empty,
    BenchProgram::NoTable,
    BenchProgram::Cache,
    BenchProgram::PerCpuHash,
    BenchProgram::LruPerCpuHash,
];

/// Packets of one run: as many flows as may leave their slots before the ring is full.
const RUN: u32 = 40_000;
/// Runs of one turn that are measured, and runs before them.
const RUNS: u32 = 5;
const WARM: u32 = 3;

/// Runs of a generation, where user space's part is measured.
const GENERATION: u32 = 25;

const MIXES: [Mix; 4] = [Mix::Random(1), Mix::Random(64 << 10), Mix::Random(512 << 10), Mix::Zipf(512 << 10)];

const UNIT: &str = "ns/packet";

/// How often which flow comes.
#[derive(Clone, Copy)]
enum Mix {
    /// So many flows, each as often as the others, in random order.
    Random(u32),
    /// So many flows, the n-th 1/n as often as the first.
    Zipf(u32),
}

impl Mix {
    fn name(self) -> String {
        match self {
            Self::Random(1) => "one flow".to_owned(),
            Self::Random(flows) => format!("{} k flows at random", flows / 1024),
            Self::Zipf(flows) => format!("{} k flows, Zipf", flows / 1024),
        }
    }

    /// Flow numbers, the same each time.
    fn numbers(self) -> impl FnMut() -> u32 {
        let harmonic: Vec<f64> = match self {
            Self::Random(_) => Vec::new(),
            Self::Zipf(flows) => (1..=flows)
                .scan(0.0, |sum, rank| {
                    *sum += 1.0 / f64::from(rank);
                    Some(*sum)
                })
                .collect(),
        };
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        move || {
            // xorshift64 (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let flow = match self {
                Self::Random(flows) => (((state >> 32) * u64::from(flows)) >> 32) as u32,
                Self::Zipf(_) => {
                    let place = (state >> 11) as f64 / (1_u64 << 53) as f64 * harmonic.last().copied().unwrap_or(1.0);
                    harmonic.partition_point(|sum| *sum < place) as u32
                }
            };
            // Spread over the address, as hosts are.
            flow.wrapping_mul(0x9e37_79b1)
        }
    }
}

/// A TCP segment in the middle of a connection, 120 bytes with its Ethernet header.
fn frame(v6: bool) -> Vec<u8> {
    const LEN: usize = 120;
    let mut frame = [0; LEN];
    let (ethertype, ip, transport): (u16, &[u8], usize) = if v6 {
        (0x86dd, &[0x60, 0, 0, 0, 0, (LEN - 54) as u8, 6, 64, 0x20, 0x01, 0x0d, 0xb8], 54)
    } else {
        (0x0800, &[0x45, 0, 0, (LEN - 14) as u8, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1], 34)
    };
    let mut put = |at: usize, bytes: &[u8]| frame.iter_mut().skip(at).zip(bytes).for_each(|(to, byte)| *to = *byte);
    put(12, &ethertype.to_be_bytes());
    put(14, ip);
    // Ports 9000 and 8192, an ACK with an open window, and payload that begins no message.
    put(transport, &[0x23, 0x28, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
    put(transport + 20, &[0xaa; 16]);
    frame.to_vec()
}

/// The same with VLAN tags.
fn tagged(tags: usize) -> Vec<u8> {
    let mut frame = frame(false);
    (0..tags).for_each(|_| drop(frame.splice(12..12, [0x81, 0, 0, 7])));
    frame
}

/// A UDP datagram of the same length.
fn udp() -> Vec<u8> {
    let mut frame = frame(false);
    let ports = [0x23, 0x28, 0x20, 0, 0, 86, 0, 0];
    frame[23] = 17;
    frame[34..42].copy_from_slice(&ports);
    frame
}

/// The same frame in VXLAN: 50 bytes before it. The flow number goes to the outer source.
fn in_vxlan() -> Vec<u8> {
    let inner = frame(false);
    let length = |before: usize| ((before + inner.len()) as u16).to_be_bytes();
    let mut outer = inner[..14].to_vec();
    outer.extend([0x45, 0].into_iter().chain(length(36)));
    outer.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 255, 0, 1, 10, 255, 0, 2]);
    outer.extend([0xc0, 0, 0x12, 0xb5].into_iter().chain(length(16)).chain([0, 0]));
    outer.extend([8, 0, 0, 0, 0, 0, 42, 0]);
    outer.extend(inner);
    outer
}

/// Takes microflows and forgets them.
struct Nothing;

impl Handler for Nothing {
    fn frames(&mut self, _: &[LiveFrame<'_>]) {}
    fn microflows(&mut self, _: &[Microflow]) {}
    fn complete_to(&mut self, _: Nanos) {}
}

/// Merges them into a flow table, as a shard does.
struct Merged(Aggregator);

impl Handler for Merged {
    fn frames(&mut self, _: &[LiveFrame<'_>]) {}

    fn microflows(&mut self, microflows: &[Microflow]) {
        self.0.expect(microflows);
        microflows.iter().for_each(|microflow| self.0.microflow(microflow));
        if self.0.finished() > 4_096 {
            self.0.take_records();
        }
    }

    fn complete_to(&mut self, _: Nanos) {}
}

fn failed(error: ProbeError) -> BenchError {
    BenchError::Probe(error.to_string())
}

/// CPU nanoseconds of one packet, over the runs of a turn.
fn turn(bench: &mut Bench, frame: &[u8]) -> Result<f64, BenchError> {
    let mut frame = frame.to_vec();
    let mut spent = 0.0;
    for run in 0..WARM + RUNS {
        let start = ThreadTime::try_now()?;
        bench.run(&mut frame, RUN).map_err(failed)?;
        if run >= WARM {
            spent += start.try_elapsed()?.as_nanos() as f64;
        }
        bench.drain(run + 1 == WARM + RUNS, &mut Nothing);
    }
    Ok(spent / f64::from(RUN * RUNS))
}

/// CPU nanoseconds of one packet in the kernel, and in user space.
fn whole(bench: &mut Bench, merged: &mut Merged) -> Result<(f64, f64), BenchError> {
    let mut frame = frame(false);
    let (mut kernel, mut user) = (0.0, 0.0);
    for run in 1..=GENERATION {
        let start = ThreadTime::try_now()?;
        bench.run(&mut frame, RUN).map_err(failed)?;
        let between = ThreadTime::try_now()?;
        kernel += start.try_elapsed()?.as_nanos() as f64;
        bench.drain(run == GENERATION, merged);
        user += between.try_elapsed()?.as_nanos() as f64;
    }
    let packets = f64::from(GENERATION * RUN);
    Ok((kernel / packets, user / packets))
}

pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let loaded: Result<Vec<Bench>, ProbeError> = PROGRAMS.into_iter().map(Bench::load).collect();
    let mut benches = match loaded {
        Ok(benches) => benches,
        Err(error) => {
            emit(&Figure {
                part: Part::Probe.name(),
                figure: "one flow, IPv4".to_owned(),
                unit: UNIT,
                value: f64::NAN,
                peer: None,
                peer_value: None,
                ratio: None,
                spread: f64::NAN,
                note: Some(format!("not measured: {error} (needs root)")),
            });
            return Ok(());
        }
    };
    for v6 in [false, true] {
        for mix in MIXES {
            tables(&mut benches, options, mix, v6, emit)?;
        }
    }
    drop(benches);
    totals(options, emit)?;
    features(options, emit)
}

/// The tables beside each other, in the kernel alone.
fn tables(
    benches: &mut [Bench],
    options: &BenchOptions,
    mix: Mix,
    v6: bool,
    emit: &mut dyn FnMut(&Figure),
) -> Result<(), BenchError> {
    benches.iter_mut().for_each(|bench| bench.set_flows(mix.numbers()));
    let frame = frame(v6);
    let mut net = vec![Runs::default(); PROGRAMS.len()];
    for _ in 0..options.runs {
        let mut empty = 0.0;
        for (bench, net) in benches.iter_mut().zip(&mut net) {
            let cost = turn(bench, &frame)?;
            net.0.push(cost - empty);
            // The first program is the empty one.
            if empty == 0.0 {
                empty = cost;
            }
        }
    }
    let name = format!("{}, {}", mix.name(), if v6 { "IPv6" } else { "IPv4" });
    let [_, no_table, cache, hash, lru] = net.as_slice() else { return Ok(()) };
    for (peer, runs) in [("LRU_PERCPU_HASH", lru), ("PERCPU_HASH", hash)] {
        emit(&beside(Part::Probe, &name, UNIT, cache, Better::Less, peer, Ok(runs)));
    }
    let name = format!("{name}: without table");
    emit(&beside(Part::Probe, &name, UNIT, no_table, Better::Less, "with cache", Ok(cache)));
    Ok(())
}

/// Cache, digests and what turns from one to the other, with the work in user space.
fn totals(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    const WAYS: [(&str, BenchProgram); 3] =
        [("cache", BenchProgram::Cache), ("digest", BenchProgram::Digest), ("adaptive", BenchProgram::Adaptive)];
    let load = |(_, program)| Ok::<_, ProbeError>((Bench::load(program)?, merged()));
    let mut empty = Bench::load(BenchProgram::Empty).map_err(failed)?;
    let mut ways = WAYS.into_iter().map(load).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    for mix in MIXES {
        empty.set_flows(mix.numbers());
        let mut costs = vec![(Runs::default(), Runs::default(), Runs::default()); ways.len()];
        for (bench, merged) in &mut ways {
            bench.set_flows(mix.numbers());
            whole(bench, merged)?;
        }
        for _ in 0..options.runs {
            let empty = whole(&mut empty, &mut merged())?.0;
            for ((bench, merged), (kernel, user, sum)) in ways.iter_mut().zip(&mut costs) {
                let (in_kernel, in_user) = whole(bench, merged)?;
                kernel.0.push(in_kernel - empty);
                user.0.push(in_user);
                sum.0.push(in_kernel - empty + in_user);
            }
        }
        let parts = |at: usize| {
            costs.get(at).map_or_else(String::new, |(kernel, user, _)| {
                format!("{} {:.0} + {:.0}", WAYS[at].0, kernel.median(), user.median())
            })
        };
        let Some(((.., cache), others)) = costs.split_first() else { continue };
        for (at, (.., other)) in others.iter().enumerate() {
            let name = format!("{}, IPv4: kernel and user", mix.name());
            let mut row = beside(Part::Probe, &name, UNIT, cache, Better::Less, WAYS[at + 1].0, Ok(other));
            row.note = Some(format!("kernel + user: {}, {}", parts(0), parts(at + 1)));
            emit(&row);
        }
    }
    Ok(())
}

fn merged() -> Merged {
    Merged(Aggregator::new(AggregatorConfig::new("bench".to_owned(), Origin::Xdp)))
}

/// What each thing that may be switched on, or may be in a packet, adds.
fn features(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let rules = |count: u8, terms: &str| {
        let rules = (0..count).map(|n| format!("net 203.0.113.{n}/32 {terms}"));
        Filter::parse(rules.collect::<Vec<_>>()).map_err(|error| BenchError::Probe(error.to_string()))
    };
    let load = |program| Bench::load(program).map_err(failed);
    let (mut probe, mut bare) = (load(BenchProgram::Cache)?, load(BenchProgram::ParseOnly)?);
    let mut empty = load(BenchProgram::Empty)?;
    for bench in [&mut probe, &mut bare, &mut empty] {
        bench.set_flows(Mix::Random(1).numbers());
    }
    let plain = frame(false);
    let (mut base, mut without) = (Runs::default(), Runs::default());
    let elsewhere = "port 9100 proto tcp";
    let variants: [(&str, Vec<u8>, u8, &str); 10] = [
        ("UDP in place of TCP (no flags)", udp(), 0, ""),
        ("one VLAN tag", tagged(1), 0, ""),
        ("two VLAN tags", tagged(2), 0, ""),
        ("IPv6", frame(true), 0, ""),
        ("VXLAN", in_vxlan(), 0, ""),
        ("1 filter rule", plain.clone(), 1, elsewhere),
        ("8 filter rules", plain.clone(), 8, elsewhere),
        ("64 filter rules", plain.clone(), 64, elsewhere),
        ("64 filter rules, networks alone", plain.clone(), 64, ""),
        ("the same again", plain.clone(), 0, ""),
    ];
    let mut costs = vec![Runs::default(); variants.len()];
    for _ in 0..options.runs {
        let nothing = turn(&mut empty, &plain)?;
        base.0.push(turn(&mut probe, &plain)? - nothing);
        without.0.push(turn(&mut bare, &plain)? - nothing);
        for ((_, frame, count, terms), costs) in variants.iter().zip(&mut costs) {
            probe.set_filter(&rules(*count, terms)?).map_err(failed)?;
            costs.0.push(turn(&mut probe, frame)? - turn(&mut empty, frame)?);
        }
        probe.set_filter(&Filter::default()).map_err(failed)?;
    }
    let name = "one flow, IPv4, TCP: the whole probe";
    emit(&beside(
        Part::Probe,
        name,
        UNIT,
        &base,
        Better::Less,
        "parser and judgement alone, no books, no cache",
        Ok(&without),
    ));
    for ((name, ..), runs) in variants.iter().zip(&costs) {
        emit(&beside(Part::Probe, &format!("with {name}"), UNIT, runs, Better::Less, "without", Ok(&base)));
    }
    Ok(())
}
