//! Live capture, whole way: receivers, shards and the writer around the sans-IO decoder and aggregator.
//!
//! ```text
//! receiver ─┬─ ring ─► shard: decoder, flow table ─┐
//!           └─ ring ─► shard …                     ├─ records ─► writer ─► a set an interval, with its ledger
//! receiver ─┬─ ring ─► deep reader ─ ring ─► shard ┘
//! ```
//!
//! A receiver thread per queue, a worker thread per shard, one writer. Frames go to the shard that keeps the
//! connections of their address pair, by a keyed hash that is the same for both directions; tunnels and fragments are read first, and
//! what is inside goes to its shard. Each shard takes its queues in the order of time, so that records do not depend on
//! which queue, port or thread a packet took (see [`merge`]).
//!
//! Promises: a receiver never waits for a shard (a full ring is counted), shards wait for the writer; the books close
//! at the end, and every interval says what is on its way; memory is bounded by the rings, the flow tables and one set.
//! Where somebody watches, a teller reports once a second what is on the wire (see [`crate::feed`]).
//! When the disk is full the records of the interval are lost and counted, and capture goes on.

mod batch;
mod books;
mod crash;
mod feed;
mod merge;
mod options;
mod spread;
mod worker;
mod write;

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use capture::Decoder;
use capture::live::source::{Interface, Mode, Received, Receiver, SourceError};
use crossbeam::channel::{Sender, TrySendError, bounded};

use crate::feed::Feed;
use crate::lake::{Lake, LakeError};
use crate::packets::PacketStore;
use crate::record::Origin;
use crate::{Aggregator, AggregatorConfig};

use batch::{Inlet, Outlet, ring};
use books::ReceiverCount;
use crash::{Former, Position};
use feed::Metering;
use merge::Merge;
pub use options::{Flushed, LiveError, LiveOptions, LiveReport, QueueReport, Role, Shell};
use spread::{Spread, Spreader};
use worker::{Counted, Deep, Shard, Step, Twice};
use write::{Asked, Sent, Source, Writer, answer};

/// Longest wait of a receiver for packets, and so for its stop.
const RECEIVER_WAIT: Duration = Duration::from_millis(50);

/// Between two looks after the interfaces.
const CONTROL_TICK: Duration = Duration::from_millis(100);

/// How long an idle worker sleeps.
const WORKER_NAP: Duration = Duration::from_micros(500);

/// Finished records that are worth handing over.
const RECORDS: usize = 4_096;

/// Batches of records that may wait for the writer.
const RECORDS_WAITING: usize = 8;

/// Bytes of a full batch, about: what ring sizes are counted in.
const BATCH_BYTES: u64 = 64 << 10;

/// What all threads see.
struct Common<'a> {
    shell: &'a dyn Shell,
    asked: Asked,
    /// The writer is gone: nobody waits for it any more.
    ended: AtomicBool,
}

/// Captures until the shell says stop, the time is over, or no interface is left. Opened interfaces come in; their settings are put
/// back at the end.
pub fn run(
    lake: &Lake,
    mut interfaces: Vec<Box<dyn Interface>>,
    options: &LiveOptions,
    shell: &dyn Shell,
) -> Result<LiveReport, LiveError> {
    options.check()?;
    let begun = Instant::now();
    let (mut receivers, mut sources, mut modes) = (Vec::new(), Vec::new(), Vec::new());
    let former = Former::read(lake)?;
    for interface in &mut interfaces {
        interface.settle(&|instance, area| former.survivor(instance, area));
        for receiver in interface.take_receivers() {
            sources.push(Source { name: receiver.name().clone(), clock: interface.clock() });
            modes.push(interface.mode());
            receivers.push(receiver);
        }
    }
    if receivers.is_empty() {
        return Err(LiveError::NoInterface);
    }
    let common = Common {
        shell,
        asked: Asked {
            answers: receivers.iter().map(|_| Mutex::default()).collect(),
            feed_answers: receivers.iter().map(|_| Mutex::default()).collect(),
            ..Asked::default()
        },
        ended: AtomicBool::new(false),
    };
    let origin = if modes.contains(&Mode::AfPacket) { Origin::AfPacket } else { Origin::Xdp };
    let (spreaders, mut workers) = threads(options, origin, receivers.len());
    let store = packet_store(options, &sources)?;
    let kept = store.as_ref().map(PacketStore::counts);
    if let Some(store) = &store {
        for worker in &mut workers {
            worker.shard.set_tap(store.tap());
            worker.deep.iter_mut().for_each(|deep| deep.set_tap(store.tap()));
        }
    }
    let (sender, from_workers) = bounded(RECORDS_WAITING);
    let (feed_sender, metered) = bounded(workers.len());
    let ended = std::thread::scope(|scope| -> Result<write::Ended, LiveError> {
        let common = &common;
        let spawn = |name: String| std::thread::Builder::new().name(name);
        let position = Position::new(&options.sensor, &sources);
        let losses = former.losses(&position, &sources);
        let writer = Writer::new(lake, options, &sources, &common.asked, workers.len(), kept.clone());
        let writer = writer.after(position, losses);
        let writer = spawn("writer".to_owned()).spawn_scoped(scope, move || {
            common.shell.thread_starts(Role::Writer);
            let ended = writer.run(&from_workers, &|flushed| common.shell.flushed(&flushed));
            common.ended.store(true, Ordering::Release);
            ended
        })?;
        if let Some(store) = store {
            spawn("packets".to_owned()).spawn_scoped(scope, move || {
                common.shell.thread_starts(Role::Writer);
                store.run();
            })?;
        }
        if let Some(feed) = &options.feed {
            let teller = feed::Teller::new(feed, options, &sources, &modes, &common.asked, workers.len(), kept.clone());
            spawn("feed".to_owned()).spawn_scoped(scope, move || {
                common.shell.thread_starts(Role::Feed);
                teller.run(&metered);
            })?;
        }
        for (number, worker) in workers.into_iter().enumerate() {
            let (sender, feed) = (sender.clone(), feed_sender.clone());
            spawn(format!("shard-{number}"))
                .spawn_scoped(scope, move || work(common, number, worker, &sender, &feed))?;
        }
        drop((sender, feed_sender));
        for (number, (receiver, spreader)) in receivers.into_iter().zip(spreaders).enumerate() {
            spawn(format!("receive-{number}"))
                .spawn_scoped(scope, move || receive(common, number, receiver, spreader))?;
        }
        control(&mut interfaces, options, common, begun);
        writer.join().map_err(|_| LakeError::Encoder("the writer panicked".to_owned()).into())
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut report = report(&ended, &sources, &modes, seconds);
    for interface in &mut interfaces {
        for (name, value) in interface.counters() {
            *report.ledger.entry(name.into_owned()).or_default() += value;
        }
        interface.restore();
    }
    Ok(report)
}

fn packet_store(options: &LiveOptions, sources: &[Source]) -> Result<Option<PacketStore>, LiveError> {
    let Some(packets) = &options.packets else { return Ok(None) };
    let names: Vec<String> = sources.iter().map(|source| source.name.interface.clone()).collect();
    let opened = PacketStore::open(packets.clone(), &names);
    opened.map(Some).map_err(|error| LiveError::Packets { folder: packets.dir.clone(), error })
}

/// One worker's parts.
struct Worker {
    shard: Shard,
    deep: Option<Deep>,
}

/// Makes spreaders and workers, with all rings between them.
fn threads(options: &LiveOptions, origin: Origin, receivers: usize) -> (Vec<Spreader>, Vec<Worker>) {
    let shards = options.shards;
    // Drawn anew by every process: whoever sends packets cannot know it.
    let seed = RandomState::new().hash_one(std::process::id());
    let spread = Spread::new(seed, shards);
    let batches = usize::try_from(options.ring_bytes / shards.clamp(1, 4) as u64 / BATCH_BYTES);
    let batches = batches.unwrap_or(usize::MAX).clamp(1, 1 << 16);
    let deep_readers = if shards > 1 { shards } else { 0 };
    let mut to_shards: Vec<Vec<Inlet>> = (0..shards).map(|_| Vec::new()).collect();
    let mut to_deep: Vec<Vec<Inlet>> = (0..deep_readers).map(|_| Vec::new()).collect();
    let connect = |inlets: &mut Vec<Vec<Inlet>>| -> Vec<Outlet> {
        inlets
            .iter_mut()
            .map(|inlets| {
                let (outlet, inlet) = ring(batches);
                inlets.push(inlet);
                outlet
            })
            .collect()
    };
    let spreaders = (0..receivers)
        .map(|receiver| {
            let (plain, deep) = (connect(&mut to_shards), connect(&mut to_deep));
            Spreader::new(u16::try_from(receiver).unwrap_or(u16::MAX), spread, plain, deep)
        })
        .collect();
    let onward: Vec<Vec<Outlet>> = (0..deep_readers).map(|_| connect(&mut to_shards)).collect();
    let decoder = || {
        let mut config = options.decoder.clone();
        config.app.seed = RandomState::new().hash_one(seed);
        Decoder::new(config)
    };
    let twice = || Twice::new(RandomState::new().hash_one(seed), options.duplicates, receivers);
    let mut limits = options.limits;
    limits.max_flows = limits.max_flows.div_ceil(shards);
    let shards = to_shards.into_iter().map(|inlets| {
        let aggregator = Aggregator::new(AggregatorConfig {
            timeouts: options.timeouts,
            limits,
            vlan_in_key: options.vlan_in_key,
            hash_seed: RandomState::new().hash_one(seed),
            ..AggregatorConfig::new(options.sensor.clone(), origin)
        });
        let meter = options.feed.as_ref().map(Feed::meter);
        Shard::new(Merge::new(inlets, options.patience), receivers, decoder(), aggregator, twice(), meter)
    });
    let deep = to_deep.into_iter().zip(onward);
    let mut deep = deep.map(|(inlets, outlets)| {
        Deep::new(Merge::new(inlets, options.patience), receivers, decoder(), twice(), spread, outlets)
    });
    let workers = shards.map(|shard| Worker { shard, deep: deep.next() }).collect();
    (spreaders, workers)
}

/// A receiver's thread.
fn receive(common: &Common<'_>, number: usize, mut receiver: Box<dyn Receiver>, mut spreader: Spreader) {
    common.shell.thread_starts(Role::Receiver);
    let (mut answered, mut fed, mut errors) = (0, 0, 0_u64);
    let count = |receiver: &mut dyn Receiver, spreader: &Spreader, errors: u64| {
        let (handed, lost) = spreader.books();
        ReceiverCount { queue: receiver.books(), handed, lost, errors, survivors: receiver.survivors() }
    };
    loop {
        match receiver.receive(RECEIVER_WAIT, &mut spreader) {
            Ok(Received::Ended) => break,
            Ok(_) => {}
            Err(error) => {
                errors += 1;
                if errors.is_power_of_two() {
                    tracing::warn!(%error, errors, "receiving");
                }
                std::thread::sleep(RECEIVER_WAIT);
            }
        }
        let asked = common.asked.receivers.load(Ordering::Acquire);
        if asked != answered {
            answered = asked;
            // What is still gathered was handed over; it is found in the ring.
            spreader.flush();
            answer(&common.asked.answers, number, asked, count(&mut *receiver, &spreader, errors));
        }
        let asked = common.asked.feed.load(Ordering::Acquire);
        if asked != fed {
            fed = asked;
            answer(&common.asked.feed_answers, number, asked, count(&mut *receiver, &spreader, errors));
        }
    }
    spreader.flush();
    capture::live::source::Handler::complete_to(&mut spreader, capture::Nanos(i64::MAX));
    let last = count(&mut *receiver, &spreader, errors);
    answer(&common.asked.feed_answers, number, u64::MAX, last.clone());
    answer(&common.asked.answers, number, u64::MAX, last);
}

/// A worker's thread.
fn work(common: &Common<'_>, number: usize, mut worker: Worker, to: &Sender<Sent>, feed: &Sender<Metering>) {
    common.shell.thread_starts(Role::Worker);
    let (mut answered, mut fed) = (0, 0);
    // An error means that the writer is gone, and with it everybody who wants records.
    let send = |sent: Sent| drop(to.send(sent));
    let count = |worker: &Worker| {
        let mut counted = Counted::default();
        worker.shard.count(&mut counted);
        if let Some(deep) = &worker.deep {
            deep.count(&mut counted);
        }
        Box::new(counted)
    };
    let told = |worker: &Worker, last: bool| Sent::Counted { worker: number, counted: count(worker), last };
    loop {
        let deep = worker.deep.as_mut().map_or(Step::Ended, Deep::step);
        let shard = worker.shard.step();
        let asked = common.asked.workers.load(Ordering::Acquire);
        if worker.shard.finished() >= RECORDS || asked != answered && worker.shard.finished() > 0 {
            send(Sent::Records(Box::new(worker.shard.take_records())));
        }
        if asked != answered {
            answered = asked;
            send(told(&worker, false));
        }
        let asked = common.asked.feed.load(Ordering::Acquire);
        if asked != fed {
            fed = asked;
            let counted = count(&worker);
            feed_part(&mut worker, number, asked, counted, feed);
        }
        match (deep, shard) {
            (Step::Ended, Step::Ended) => break,
            (Step::Busy, _) | (_, Step::Busy) => {}
            _ => std::thread::sleep(WORKER_NAP),
        }
    }
    if worker.shard.finished() > 0 {
        send(Sent::Records(Box::new(worker.shard.take_records())));
    }
    let counted = count(&worker);
    feed_part(&mut worker, number, u64::MAX, counted, feed);
    send(told(&worker, true));
}

/// Hands over what was metered; what finds no place waits for the next time.
fn feed_part(worker: &mut Worker, number: usize, asked: u64, counted: Box<Counted>, to: &Sender<Metering>) {
    let Some(part) = worker.shard.take_part() else { return };
    let metering = Metering { worker: number, asked, part: Box::new(part), counted };
    if let Err(TrySendError::Full(metering)) = to.try_send(metering) {
        worker.shard.put_back(*metering.part);
    }
}

/// Looks after the interfaces until the end is asked for, then stops them.
fn control(interfaces: &mut [Box<dyn Interface>], options: &LiveOptions, common: &Common<'_>, begun: Instant) {
    let mut failures: BTreeMap<String, u64> = BTreeMap::new();
    let mut published = 0;
    loop {
        let over = options.duration.is_some_and(|duration| begun.elapsed() >= duration);
        if over || common.shell.is_interrupted() || common.ended.load(Ordering::Acquire) {
            break;
        }
        let filter = common.shell.new_filter();
        let before = std::mem::replace(&mut published, common.asked.published.load(Ordering::Acquire));
        if published != before {
            interfaces.iter_mut().for_each(|interface| interface.published());
        }
        for interface in interfaces.iter_mut() {
            let maintained = match &filter {
                Some(filter) => interface.set_filter(filter).and_then(|()| interface.maintain()),
                None => interface.maintain(),
            };
            match maintained {
                Ok(events) => {
                    failures.remove(interface.name());
                    events.iter().for_each(|event| common.shell.link(interface.name(), event));
                }
                Err(error) => tell_failure(&mut failures, interface.name(), &error),
            }
        }
        let left = options.duration.map_or(CONTROL_TICK, |d| d.saturating_sub(begun.elapsed()).min(CONTROL_TICK));
        std::thread::sleep(left);
    }
    interfaces.iter_mut().for_each(|interface| interface.stop());
}

fn tell_failure(failures: &mut BTreeMap<String, u64>, interface: &str, error: &SourceError) {
    let count = failures.entry(interface.to_owned()).or_default();
    *count += 1;
    if count.is_power_of_two() {
        tracing::warn!(interface, %error, times = *count, "trying again");
    }
}

fn report(ended: &write::Ended, sources: &[Source], modes: &[Mode], seconds: f64) -> LiveReport {
    let write::Ended { snapshot, records, sets, error } = ended;
    let mut ledger = snapshot.whole();
    let queues: Vec<QueueReport> = sources
        .iter()
        .zip(modes)
        .enumerate()
        .map(|(at, (source, mode))| QueueReport {
            interface: source.name.interface.clone(),
            queue: source.name.queue,
            mode: mode.as_str(),
            ledger: snapshot.queue(at),
        })
        .collect();
    for queue in &queues {
        for (name, value) in &queue.ledger {
            *ledger.entry(name.clone()).or_default() += value;
        }
    }
    let names: Vec<_> = sources.iter().map(|source| source.name.clone()).collect();
    LiveReport {
        seconds,
        queues,
        ledger,
        records: records.clone(),
        sets: *sets,
        imbalances: snapshot.imbalances(&names, true),
        error: error.as_ref().map(ToString::to_string),
    }
}
