//! AF_XDP alone: DNS through our socket into the whole decoder, beside the same socket whose frames are thrown away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capture::probe::{Attached, Traffic, WireProgram};
use capture::{Body, Decoder, DecoderConfig, Frame, LinkType, Message, Nanos, Packet, Sink};

use super::super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};
use super::stage::Stage;

/// What is measured here.
pub(super) const NAME: &str = "AF_XDP alone, DNS decoded";

/// Seconds of a trial.
const SECONDS: f64 = 2.0;
/// Nothing but DNS.
const TRAFFIC: Traffic = Traffic { flows: 1, dns: 65_536, vxlan: false };

/// Counts what the decoder finds.
#[derive(Default)]
struct Names(u64);

impl Sink for Names {
    fn packet(&mut self, _: &Packet) {}

    fn message(&mut self, message: Message) {
        self.0 += u64::from(matches!(message.body, Body::Dns(_)));
    }
}

/// What came of a trial.
struct Trial {
    rate: f64,
    sent: u64,
    taken: u64,
}

/// Sends at a rate to a socket; with `decode` each frame is read in full.
fn attempt(stage: &Stage, rate: f64, decode: bool) -> Result<Trial, BenchError> {
    let probe = |error: capture::probe::ProbeError| BenchError::Probe(error.to_string());
    let (attached, socket) = Attached::new(stage.ifindex, WireProgram::ToSocket).map_err(probe)?;
    let Some(mut socket) = socket else { return Err(BenchError::Probe("no socket".to_owned())) };
    let stop = AtomicBool::new(false);
    let (taken, played) = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut decoder = Decoder::new(DecoderConfig::default());
            let (mut frames, mut names) = (0, Names::default());
            loop {
                let ending = stop.load(Ordering::Acquire);
                let waiting = socket.waiting();
                if waiting == 0 {
                    if ending {
                        break;
                    }
                    socket.wait(Duration::from_millis(5))?;
                }
                frames += u64::from(socket.receive(waiting, |batch| {
                    if decode {
                        for frame in batch {
                            let (ts, wire_len) = (Some(Nanos(frame.stamp as i64)), frame.data.len() as u32);
                            let frame = Frame { ts, wire_len, data: frame.data, link: LinkType::ETHERNET };
                            decoder.handle_frame(&frame, &mut names);
                        }
                    }
                }));
            }
            // A frame without its message is as good as lost.
            Ok::<u64, std::io::Error>(if decode { names.0 } else { frames })
        });
        let played = stage.play(TRAFFIC, Some(rate), (rate * SECONDS) as u64);
        stop.store(true, Ordering::Release);
        let taken = receiver.join().map_err(|_| BenchError::Probe("the receiver panicked".to_owned()))?;
        Ok::<_, BenchError>((taken?, played?))
    })?;
    drop(attached);
    let sent = played.sent;
    let rate = sent.packets as f64 / sent.seconds;
    tracing::info!(
        "AF_XDP, decode {decode}: {:.2} Mpps: lost {} of {}",
        rate / 1e6,
        sent.packets - taken,
        sent.packets
    );
    Ok(Trial { rate, sent: sent.packets, taken })
}

/// The highest lossless rate.
fn search(stage: &Stage, decode: bool) -> Result<f64, BenchError> {
    let (mut low, mut high, mut rate) = (0.0, f64::INFINITY, 800_000.0);
    while high / low > super::NEAR && rate > 10_000.0 {
        let mut trial = attempt(stage, rate, decode)?;
        if trial.taken < trial.sent {
            trial = attempt(stage, rate, decode)?;
        }
        if trial.taken == trial.sent {
            if trial.rate < super::KEPT_UP * rate {
                return Ok(trial.rate);
            }
            low = trial.rate;
        } else {
            high = rate;
        }
        rate = match (low, high) {
            (0.0, high) => high / 2.0,
            (low, f64::INFINITY) => low * 1.6,
            (low, high) => (low * high).sqrt(),
        };
    }
    Ok(low)
}

/// Both, in turn.
pub(super) fn run(stage: &Stage, options: &BenchOptions, emit: &impl Fn(Figure)) -> Result<(), BenchError> {
    let (mut own, mut peer) = (Runs::default(), Runs::default());
    for _ in 0..options.runs {
        peer.0.push(search(stage, false)?);
        own.0.push(search(stage, true)?);
    }
    let name = format!("{NAME}: lossless rate");
    emit(beside(Part::Capture, &name, "packets/s", &own, Better::More, "AF_XDP drop-only", Ok(&peer)));
    Ok(())
}
