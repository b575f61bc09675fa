//! What a packet costs in the kernel: the probe beside the same program with the kernel's own hash tables.
//!
//! Every program parses, judges and keeps its books in full, and runs over the same frames (TCP, 120 bytes), whose source
//! address another flow's each time. What is given is the CPU time of a run less that of a program that changes the frame and
//! does nothing else. Programs take turns; a ratio is the median of the turns' ratios. The probe's ring is emptied
//! between runs, outside the time. Peers have room for every flow, so nothing of theirs is displaced.

use cpu_time::ThreadTime;

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
fn frame(v6: bool) -> [u8; 120] {
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
    frame
}

/// CPU nanoseconds of one packet, over the runs of a turn.
fn turn(bench: &mut Bench, v6: bool) -> Result<f64, BenchError> {
    let failed = |error: ProbeError| BenchError::Probe(error.to_string());
    let mut frame = frame(v6);
    let mut spent = 0.0;
    for run in 0..WARM + RUNS {
        let start = ThreadTime::try_now()?;
        bench.run(&mut frame, RUN).map_err(failed)?;
        if run >= WARM {
            spent += start.try_elapsed()?.as_nanos() as f64;
        }
        bench.drain(run + 1 == WARM + RUNS);
    }
    Ok(spent / f64::from(RUN * RUNS))
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
        for mix in [Mix::Random(1), Mix::Random(64 << 10), Mix::Random(512 << 10), Mix::Zipf(512 << 10)] {
            benches.iter_mut().for_each(|bench| bench.set_flows(mix.numbers()));
            let mut net = vec![Runs::default(); PROGRAMS.len()];
            for _ in 0..options.runs {
                let mut empty = 0.0;
                for (bench, net) in benches.iter_mut().zip(&mut net) {
                    let cost = turn(bench, v6)?;
                    net.0.push(cost - empty);
                    // The first program is the empty one.
                    if empty == 0.0 {
                        empty = cost;
                    }
                }
            }
            let name = format!("{}, {}", mix.name(), if v6 { "IPv6" } else { "IPv4" });
            let [_, no_table, cache, hash, lru] = net.as_slice() else { continue };
            for (peer, runs) in [("LRU_PERCPU_HASH", lru), ("PERCPU_HASH", hash)] {
                emit(&beside(Part::Probe, &name, UNIT, cache, Better::Less, peer, Ok(runs)));
            }
            emit(&beside(
                Part::Probe,
                &format!("{name}: without table"),
                UNIT,
                no_table,
                Better::Less,
                "with cache",
                Ok(cache),
            ));
        }
    }
    Ok(())
}
