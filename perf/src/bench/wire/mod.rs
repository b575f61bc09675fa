//! The highest rate at which nothing is lost, from the wire to the lake, and what a packet costs on the way.
//!
//! A generator in the kernel sends frames of 64 bytes (with their check sequence; DNS is longer) into a veth; at its
//! other end Spotter, flow exporters and programs that only drop take turns. The generator and the kernel's half of
//! reception share the first CPU, user space has what is left: two cores in all, on a machine with two. A rate counts
//! as lossless if every packet sent is in the contender's flows. It is searched by bisection and confirmed by a longer run; a trial that loses is tried
//! twice, since other load of the machine may have been at fault, for every contender alike.
//!
//! CPU per packet is that of the confirming run: the user and system time of the process to its end, with all flows
//! written or exported, and soft interrupts of the first CPU, which the kernel counts in ticks.

mod contender;
mod process;
mod socket;
mod stage;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use capture::probe::Traffic;

use self::contender::{Contender, Outcome};
use self::stage::{Played, Stage};
use super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};

/// Seconds of a trial in the search, and of the one that confirms.
const SEARCH: f64 = 2.0;
const CONFIRM: f64 = 6.0;
/// The search ends when the rates between which the limit lies are so near.
const NEAR: f64 = 1.08;
/// A generator slower than this part of the rate asked for is at its own limit.
const KEPT_UP: f64 = 0.93;
/// Packets of a run without pace.
const UNPACED: u64 = 12_000_000;
/// Of 65,536 packets: 5 %.
const DNS: u32 = 3_277;

/// What is sent.
const TRAFFIC: [(&str, Traffic); 3] = [
    ("10 k flows", Traffic { flows: 10_000, dns: DNS, vxlan: false }),
    ("500 k flows", Traffic { flows: 500_000, dns: DNS, vxlan: false }),
    ("10 k flows in VXLAN", Traffic { flows: 10_000, dns: DNS, vxlan: true }),
];

/// Those Spotter is compared with; the first is the ceiling.
const PEERS: [Contender; 4] =
    [Contender::DropOnly, Contender::SpotterAfPacket, Contender::Softflowd, Contender::Pmacctd];

/// One rate, tried.
#[derive(Clone, Debug)]
struct Trial {
    played: Played,
    outcome: Outcome,
}

impl Trial {
    fn rate(&self) -> f64 {
        self.played.sent.packets as f64 / self.played.sent.seconds
    }

    fn is_lossless(&self) -> bool {
        self.outcome.counted == self.played.sent.packets
    }

    /// Nanoseconds a packet: in soft interrupts, and of the process.
    fn cost(&self) -> (f64, f64) {
        let packets = self.played.sent.packets as f64;
        (self.played.kernel * 1e9 / packets, self.outcome.cpu * 1e9 / packets)
    }
}

/// What a contender reached in one run of the search.
#[derive(Clone, Copy, Debug)]
struct Reached {
    rate: f64,
    kernel: f64,
    process: f64,
    /// It was the generator's limit, not the contender's.
    limited: bool,
}

/// Runs of one contender.
#[derive(Default)]
struct Series(Vec<Reached>);

impl Series {
    fn runs(&self, value: impl Fn(&Reached) -> f64) -> Runs {
        Runs(self.0.iter().map(value).collect())
    }

    fn note(&self) -> String {
        let median = |value: fn(&Reached) -> f64| self.runs(value).median();
        let limit = if self.0.iter().any(|reached| reached.limited) { "; the generator's limit" } else { "" };
        format!("{:.0} ns kernel + {:.0} ns process{limit}", median(|r| r.kernel), median(|r| r.process))
    }
}

/// Measures, on a thread whose network nobody else sees.
pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let is_wanted = |name: &str| options.only.as_ref().is_none_or(|text| name.contains(text.as_str()));
    let names = || TRAFFIC.iter().map(|(name, _)| *name).chain([socket::NAME]);
    if let Some(word) = options.only.as_ref().filter(|_| !names().any(is_wanted)) {
        return Err(BenchError::Traffic { word: word.clone(), known: names().collect::<Vec<_>>().join(", ") });
    }
    let (sender, figures) = channel();
    std::thread::scope(|scope| {
        let bench = scope.spawn(move || {
            let stage = match Stage::new() {
                Ok(stage) => stage,
                Err(error) => {
                    let _ = sender.send(not_measured(&format!("{error} (needs root)")));
                    return Ok(());
                }
            };
            let emit = |figure: Figure| drop(sender.send(figure));
            if is_wanted(socket::NAME) {
                socket::run(&stage, options, &emit)?;
            }
            for (name, traffic) in TRAFFIC.into_iter().filter(|(name, _)| is_wanted(name)) {
                measure(&stage, options, name, traffic, &emit)?;
            }
            memory(&stage, options, &emit)
        });
        figures.iter().for_each(|figure| emit(&figure));
        bench.join().map_err(|_| BenchError::Probe("the bench panicked".to_owned()))?
    })
}

fn not_measured(why: &str) -> Figure {
    Figure {
        part: Part::Capture.name(),
        figure: "lossless rate".to_owned(),
        unit: "packets/s",
        value: f64::NAN,
        peer: None,
        peer_value: None,
        ratio: None,
        spread: f64::NAN,
        note: Some(format!("not measured: {why}")),
    }
}

/// All figures of one traffic.
fn measure(
    stage: &Stage,
    options: &BenchOptions,
    name: &str,
    traffic: Traffic,
    emit: &impl Fn(Figure),
) -> Result<(), BenchError> {
    let mut own = Series::default();
    let mut peers: Vec<(String, Result<Series, String>)> = PEERS
        .iter()
        .map(|peer| match peer.name() {
            Ok(name) => (name, Ok(Series::default())),
            Err(why) => (format!("{peer:?}").to_lowercase(), Err(why)),
        })
        .collect();
    for _ in 0..options.runs {
        let ceiling = ceiling(stage, options, traffic)?;
        own.0.push(search(stage, options, Contender::Spotter, traffic, ceiling.rate)?);
        for (peer, (_, series)) in PEERS.iter().zip(&mut peers) {
            let reached = match peer {
                Contender::DropOnly => Ok(ceiling),
                _ if series.is_err() => continue,
                _ => search(stage, options, *peer, traffic, ceiling.rate),
            };
            match (reached, &mut *series) {
                (Ok(reached), Ok(series)) => series.0.push(reached),
                (Err(error), series) => *series = Err(format!("not measured: {error}")),
                (Ok(_), Err(_)) => (),
            }
        }
    }
    for (peer, series) in &peers {
        type Value = fn(&Reached) -> f64;
        let rows: [(&str, &'static str, Better, Value); 2] = [
            ("lossless rate", "packets/s", Better::More, |r| r.rate),
            ("CPU per packet", "ns/packet", Better::Less, |r| r.kernel + r.process),
        ];
        for (figure, unit, better, value) in rows {
            let peer_runs = series.as_ref().map(|series| series.runs(value));
            let mut row = beside(
                Part::Capture,
                &format!("{name}: {figure}"),
                unit,
                &own.runs(value),
                better,
                peer,
                peer_runs.as_ref().map_err(|why| (*why).clone()),
            );
            if let Ok(series) = series {
                row.note = Some(format!("ours {}; peer {}", own.note(), series.note()));
            }
            emit(row);
        }
    }
    Ok(())
}

/// What the generator and a program that drops reach together, without pace.
fn ceiling(stage: &Stage, options: &BenchOptions, traffic: Traffic) -> Result<Reached, BenchError> {
    let running = Contender::DropOnly.start(stage, options)?;
    let played = stage.play(traffic, None, UNPACED)?;
    let trial = Trial { played, outcome: running.end()? };
    if !trial.is_lossless() {
        tracing::warn!(?trial, "packets are lost before a program that only drops");
    }
    let (kernel, process) = trial.cost();
    Ok(Reached { rate: trial.rate(), kernel, process, limited: true })
}

/// One trial at a rate.
fn attempt(
    stage: &Stage,
    options: &BenchOptions,
    contender: Contender,
    traffic: Traffic,
    rate: f64,
    seconds: f64,
) -> Result<Trial, BenchError> {
    let running = contender.start(stage, options)?;
    let played = stage.play(traffic, Some(rate), (rate * seconds) as u64)?;
    let trial = Trial { played, outcome: running.end()? };
    tracing::info!(
        "{contender:?} {:.2} of {:.2} Mpps: lost {} of {} ({}); {:.0} + {:.0} ns/packet, {:.0} MiB",
        trial.rate() / 1e6,
        rate / 1e6,
        trial.played.sent.packets.saturating_sub(trial.outcome.counted),
        trial.played.sent.packets,
        trial.outcome.says,
        trial.cost().0,
        trial.cost().1,
        trial.outcome.memory / 1_048_576.0,
    );
    Ok(trial)
}

/// The highest lossless rate.
fn search(
    stage: &Stage,
    options: &BenchOptions,
    contender: Contender,
    traffic: Traffic,
    ceiling: f64,
) -> Result<Reached, BenchError> {
    let attempt = |rate: f64, seconds: f64| attempt(stage, options, contender, traffic, rate, seconds);
    // Twice, since other load may have been at fault.
    let at = |rate: f64, seconds: f64| {
        let first = attempt(rate, seconds)?;
        if first.is_lossless() { Ok(first) } else { attempt(rate, seconds) }
    };
    let (mut low, mut high) = (0.0_f64, f64::INFINITY);
    let mut rate = ceiling / if contender == Contender::Spotter { 2.5 } else { 6.0 };
    let (mut limited, mut short) = (false, 0);
    while high / low > NEAR && rate > 10_000.0 {
        let trial = at(rate, SEARCH)?;
        if trial.is_lossless() {
            // Once may be a hiccup of the machine; two rates in a row that were not reached are the generator's limit.
            let reached = trial.rate();
            (low, short) = if reached < KEPT_UP * rate { (low.max(reached), short + 1) } else { (rate, 0) };
            if short == 2 {
                limited = true;
                break;
            }
        } else {
            high = rate;
        }
        rate = match (low, high) {
            (0.0, high) => high / 2.0,
            (low, f64::INFINITY) => low * 1.6,
            (low, high) => (low * high).sqrt(),
        };
    }
    let mut rate = low;
    for _ in 0..if low > 0.0 { 12 } else { 0 } {
        let trial = at(rate, CONFIRM)?;
        if trial.is_lossless() {
            let (kernel, process) = trial.cost();
            return Ok(Reached { rate: trial.rate(), kernel, process, limited });
        }
        rate *= 0.93;
    }
    Err(BenchError::Probe(format!("{contender:?} has no lossless rate")))
}

/// Memory over minutes: its growth in the second half of a run, at seven tenths of what was reached.
fn memory(stage: &Stage, options: &BenchOptions, emit: &impl Fn(Figure)) -> Result<(), BenchError> {
    if options.minutes == 0 {
        return Ok(());
    }
    let (name, traffic) = TRAFFIC[1];
    let ceiling = ceiling(stage, options, traffic)?;
    let reached = search(stage, options, Contender::Spotter, traffic, ceiling.rate)?;
    let running = Contender::Spotter.start(stage, options)?;
    let rate = reached.rate * 0.7;
    let length = Duration::from_secs(60 * u64::from(options.minutes));
    let begun = Instant::now();
    let (mut early, mut late) = (0.0_f64, 0.0_f64);
    let (mut sent, mut slices) = (0, 0);
    while begun.elapsed() < length {
        sent += stage.play(traffic, Some(rate), (rate * 5.0) as u64)?.sent.packets;
        slices += 1;
        let now = running.memory()?;
        if begun.elapsed() < length / 2 { early = early.max(now) } else { late = late.max(now) }
    }
    let outcome = running.end()?;
    let mib = |bytes: f64| bytes / 1_048_576.0;
    emit(Figure {
        part: Part::Capture.name(),
        figure: format!("{name}: memory, second half"),
        unit: "MiB",
        value: mib(late),
        peer: Some("first half".to_owned()),
        peer_value: Some(mib(early)),
        ratio: Some(early / late),
        spread: 0.0,
        note: Some(format!(
            "{} minutes at {:.2} Mpps in {slices} slices, {} of {sent} packets lost",
            options.minutes,
            rate / 1e6,
            sent.saturating_sub(outcome.counted),
        )),
    });
    Ok(())
}
