//! What is on the wire now: reports of the sources come in, every browser that watches gets them.
//!
//! Sources of this process report to the [`Hub`] directly; those of other processes through a unix socket ([`listen`]). A
//! client gets a snapshot first, then every report, each once. A client that does not keep up loses the oldest and is told
//! how many; it never holds up another client, nor a source.

mod listen;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use aggregator::feed::{Listener, LiveRecord, Report, Second, Traffic};
use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast;

use crate::api::types::{LiveMessage, LivePoint, LiveSnapshot};
use crate::metrics::HttpCounts;

pub use listen::ListenError;
pub(crate) use listen::{UnixSocket, listen};

/// Sources that are known at a time; the one that was silent for longest gives way.
const SOURCES: usize = 64;
/// Seconds of history that a snapshot has, by source.
const HISTORY: usize = 300;
/// Records that a snapshot has.
const RECORDS: usize = 200;
/// Messages that a client may be behind.
const BEHIND: usize = 64;

struct Source {
    /// The latest report; its records are in the snapshot's list.
    latest: Report,
    history: VecDeque<LivePoint>,
    /// When it reported last, in reports.
    at: u64,
}

struct State {
    sources: BTreeMap<String, Source>,
    last: VecDeque<LiveRecord>,
    reports: u64,
    /// Gone when the server stops.
    clients: Option<broadcast::Sender<Utf8Bytes>>,
}

/// Where all reports meet.
pub struct Hub {
    state: Mutex<State>,
    /// What the web application answered.
    pub(crate) http: HttpCounts,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Default for Hub {
    fn default() -> Self {
        let clients = Some(broadcast::Sender::new(BEHIND));
        let state = State { sources: BTreeMap::new(), last: VecDeque::new(), reports: 0, clients };
        Self { state: Mutex::new(state), http: HttpCounts::default() }
    }
}

impl Hub {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A snapshot, and everything after it. `None` once the server stops.
    pub(crate) fn subscribe(&self) -> Option<(Utf8Bytes, broadcast::Receiver<Utf8Bytes>)> {
        // Under one lock: what is in the snapshot is not in the messages, and nothing is in neither.
        let state = self.state();
        let messages = state.clients.as_ref()?.subscribe();
        let snapshot = LiveMessage::Snapshot(LiveSnapshot {
            sources: state.sources.values().map(|source| source.latest.second.clone()).collect(),
            history: state.sources.values().flat_map(|source| source.history.iter().cloned()).collect(),
            last: state.last.iter().cloned().collect(),
        });
        Some((text(&snapshot)?, messages))
    }

    /// Clients that watch.
    pub(crate) fn clients(&self) -> usize {
        self.state().clients.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// The latest report of each source.
    pub(crate) fn latest(&self) -> Vec<Report> {
        self.state().sources.values().map(|source| source.latest.clone()).collect()
    }

    /// Ends all streams: the server stops.
    pub(crate) fn close(&self) {
        self.state().clients = None;
    }
}

fn text(message: &LiveMessage) -> Option<Utf8Bytes> {
    match serde_json::to_string(message) {
        Ok(text) => Some(text.into()),
        Err(error) => {
            // Plain values: it does not happen.
            tracing::error!(%error, "a live message cannot be written");
            None
        }
    }
}

impl State {
    fn take(&mut self, mut report: Report) {
        let message = LiveMessage::Second(Box::new(report.second));
        // An error means that nobody watches.
        if let (Some(clients), Some(text)) = (&self.clients, text(&message)) {
            drop(clients.send(text));
        }
        let LiveMessage::Second(mut second) = message else { return };
        for record in second.last.drain(..) {
            push(&mut self.last, record, RECORDS);
        }
        let point = LivePoint {
            source: second.source.clone(),
            at: second.at.clone(),
            interval_us: second.interval_us,
            traffic: second.traffic,
            dropped: second.drops.iter().map(|loss| loss.packets).sum(),
        };
        report.second = *second;
        self.reports += 1;
        let at = self.reports;
        match self.sources.get_mut(&point.source) {
            Some(source) => {
                (source.latest, source.at) = (report, at);
                push(&mut source.history, point, HISTORY);
            }
            None => {
                if self.sources.len() >= SOURCES {
                    let oldest = self.sources.iter().min_by_key(|(_, source)| source.at);
                    let oldest = oldest.map(|(name, _)| name.clone()).unwrap_or_default();
                    self.sources.remove(&oldest);
                }
                let name = point.source.clone();
                self.sources.insert(name, Source { latest: report, history: VecDeque::from([point]), at });
            }
        }
    }
}

fn push<T>(list: &mut VecDeque<T>, entry: T, bound: usize) {
    if list.len() >= bound {
        list.pop_front();
    }
    list.push_back(entry);
}

impl Listener for Hub {
    fn report(&self, report: Report) {
        self.state().take(report);
    }

    /// Says so with an empty second, where the source has not said so itself.
    fn ended(&self, source: &str) {
        let mut state = self.state();
        let Some(known) = state.sources.get(source).filter(|known| !known.latest.second.ended) else { return };
        let mut report = known.latest.clone();
        let second = report.second;
        report.second = Second {
            ended: true,
            interval_us: 0,
            traffic: Traffic::default(),
            records: Default::default(),
            talkers: Vec::new(),
            pairs: Vec::new(),
            names: Vec::new(),
            drops: second.drops.into_iter().map(|loss| aggregator::feed::Loss { packets: 0, ..loss }).collect(),
            ..second
        };
        state.take(report);
    }
}

#[cfg(test)]
pub(crate) mod tests;
