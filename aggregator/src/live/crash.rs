//! What a capture writes beside each ledger, so that the next one can tell what a SIGKILL took: the books of memory in the
//! kernel that outlives the process, and what was on its way to the lake.
//!
//! It is published by the transaction that publishes the ledger, in the state database's table of positions: the two are
//! never of different moments. A capture that ends well says so; one that finds a former that did not, and whose process
//! is gone, takes its losses into its own first ledger as `lost_at_crash`.

use std::collections::BTreeMap;
use std::fs;

use capture::live::source::{QueueBooks, QueueName, Survivor, Tally};
use serde::{Deserialize, Serialize};

use super::books::{ReceiverCount, Snapshot};
use super::write::Source;
use crate::lake::{Lake, LakeError};

const PREFIX: &str = "capture ";

/// Packets and bytes.
type Pair = (u64, u64);

/// What was told with a ledger.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    process: Process,
    /// The capture ended, and nothing was on its way any more.
    ended: bool,
    queues: Vec<ToldQueue>,
    flows: u64,
    packets: u64,
    ip_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct ToldQueue {
    interface: String,
    queue: u32,
    in_shard_ring: Pair,
    survivors: Vec<ToldSurvivor>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ToldSurvivor {
    instance: u64,
    area: u32,
    terms: BTreeMap<String, Pair>,
    early: Pair,
}

/// A process of this boot: numbers come again, but not with the same moment of start.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Process {
    id: u32,
    boot: String,
    started: String,
}

impl Process {
    fn of(id: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { id, boot: boot.trim().to_owned(), started: started(&stat).to_owned() }
    }

    /// Its file in `/proc` is there, and is its own.
    fn lives(&self) -> bool {
        !self.started.is_empty() && Self::of(self.id) == *self
    }
}

/// The moment of start in a process's `stat` (proc(5), field 22); empty where the process has ended and only nobody has asked for how.
fn started(stat: &str) -> &str {
    // Behind the name, which may have spaces and parentheses: the state first.
    let mut words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    match words.next() {
        Some("Z" | "X") | None => "",
        Some(_) => words.nth(18).unwrap_or_default(),
    }
}

/// What a former capture lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    /// By queue of this capture: handed over by a receiver, and in no shard's books.
    pub(super) queues: Vec<Tally>,
    /// In flow tables, finished and not written, or between two shards.
    pub(super) flows: u64,
    pub(super) packets: u64,
    pub(super) ip_bytes: u64,
}

/// Tells, ledger by ledger.
#[derive(Debug)]
pub(super) struct Position {
    key: String,
    process: Process,
}

const fn pair(tally: Tally) -> Pair {
    (tally.packets, tally.bytes)
}

const fn tally((packets, bytes): Pair) -> Tally {
    Tally { packets, bytes }
}

impl ToldSurvivor {
    fn of(survivor: &Survivor) -> Self {
        let Survivor { instance, area, books, early } = survivor;
        let terms = books.terms().into_iter().filter(|(_, value)| *value != Tally::default());
        let terms = terms.map(|(name, value)| (name.to_owned(), pair(value))).collect();
        Self { instance: *instance, area: *area, terms, early: pair(*early) }
    }

    fn survivor(&self) -> Survivor {
        let mut books = QueueBooks::default();
        for (name, value) in &self.terms {
            if let Some(term) = books.term_mut(name) {
                *term = tally(*value);
            }
        }
        Survivor { instance: self.instance, area: self.area, books, early: tally(self.early) }
    }
}

/// All that former captures of this lake told and did not end.
pub(super) struct Former {
    told: Vec<(String, Told)>,
}

impl Former {
    /// Reads it. Of captures whose process lives nothing is said.
    pub(super) fn read(lake: &Lake) -> Result<Self, LakeError> {
        let mut told = Vec::new();
        for (source, position) in lake.state().offsets(PREFIX)? {
            match serde_json::from_str::<Told>(&position) {
                Ok(former) if !former.ended && !former.process.lives() => told.push((source, former)),
                Ok(_) => {}
                Err(error) => tracing::warn!(source, %error, "what a former capture told cannot be read"),
            }
        }
        Ok(Self { told })
    }

    /// What was told of an area of a probe.
    pub(super) fn survivor(&self, instance: u64, area: u32) -> Option<Survivor> {
        let survivors = self.told.iter().flat_map(|(_, told)| &told.queues).flat_map(|queue| &queue.survivors);
        survivors.filter(|s| s.instance == instance && s.area == area).map(ToldSurvivor::survivor).next()
    }

    /// What the former capture of the same sensor and interfaces had under way.
    pub(super) fn losses(&self, position: &Position, sources: &[Source]) -> Losses {
        let mut losses = Losses { queues: vec![Tally::default(); sources.len()], ..Losses::default() };
        let Some((_, told)) = self.told.iter().find(|(key, _)| *key == position.key) else { return losses };
        for queue in &told.queues {
            let is_same =
                |source: &Source| source.name.interface == queue.interface && source.name.queue == queue.queue;
            // Another number of queues: by the first.
            let at = sources.iter().position(is_same).unwrap_or(0);
            if let Some(sum) = losses.queues.get_mut(at) {
                *sum += tally(queue.in_shard_ring);
            }
        }
        (losses.flows, losses.packets, losses.ip_bytes) = (told.flows, told.packets, told.ip_bytes);
        losses
    }
}

impl Position {
    pub(super) fn new(sensor: &str, sources: &[Source]) -> Self {
        let mut names: Vec<&str> = sources.iter().map(|source| source.name.interface.as_str()).collect();
        names.dedup();
        Self { key: format!("{PREFIX}{sensor} {}", names.join(",")), process: Process::of(std::process::id()) }
    }

    /// What to publish with the ledger of a snapshot.
    pub(super) fn told(&self, snapshot: &Snapshot, sources: &[Source], ended: bool) -> (String, String) {
        let queue = |(at, (receiver, source)): (usize, (&ReceiverCount, &Source))| {
            let QueueName { interface, queue } = source.name.clone();
            let survivors = receiver.survivors.iter().map(ToldSurvivor::of).collect();
            ToldQueue { interface, queue, in_shard_ring: pair(snapshot.in_shard_ring(at)), survivors }
        };
        let queues = snapshot.receivers.iter().zip(sources).enumerate().map(queue).collect();
        let (flows, packets, ip_bytes) = snapshot.under_way();
        let told = Told { process: self.process.clone(), ended, queues, flows, packets, ip_bytes };
        (self.key.clone(), serde_json::to_string(&told).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_with_its_number_of_another_time_does_not() {
        let me = Process::of(std::process::id());
        assert!(me.lives(), "{me:?}");
        assert!(!Process { started: "1".into(), ..me.clone() }.lives());
        assert!(!Process { boot: "another".into(), ..me }.lives());
        assert!(!Process::default().lives());
    }

    #[test]
    fn a_process_that_ended_and_was_not_asked_for_lives_no_more() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("it starts");
        let process = Process::of(child.id());
        assert!(process.lives(), "{process:?}");
        child.kill().expect("it runs");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while process.lives() {
            assert!(std::time::Instant::now() < end, "{process:?}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.wait().expect("it ended");
    }

    #[test]
    fn a_survivor_is_told_whole() {
        let mut books = QueueBooks::default();
        for (n, (name, _)) in (1..).zip(QueueBooks::default().terms()) {
            *books.term_mut(name).expect("a term") = Tally { packets: n, bytes: n * 100 };
        }
        let survivor = Survivor { instance: u64::MAX, area: 3, books, early: Tally { packets: 5, bytes: 6 } };
        let text = serde_json::to_string(&ToldSurvivor::of(&survivor)).expect("JSON");
        let read: ToldSurvivor = serde_json::from_str(&text).expect("the same");
        assert_eq!(read.survivor(), survivor);
    }
}
