//! Rows that wait for what belongs to them: so many, and so long by the log's own clock.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::Nanos;

/// Rows remembered, of which most go soon; past it the oldest goes as it is.
const MOST: usize = 65_536;
/// Rows of one key among which one is looked for.
const LOOKED_AT: usize = 64;

#[derive(Debug)]
pub(super) struct Waiting<K, R> {
    /// Numbered as they came.
    rows: HashMap<K, VecDeque<(u64, R)>>,
    /// When each began to wait, in the order of the lines; those that are gone stay until their turn.
    order: VecDeque<(u64, Nanos, K)>,
    next: u64,
    /// Nanoseconds.
    patience: i64,
}

impl<K: Hash + Eq + Clone, R> Waiting<K, R> {
    pub(super) fn new(patience: i64) -> Self {
        Self { rows: HashMap::new(), order: VecDeque::new(), next: 0, patience }
    }

    pub(super) fn push(&mut self, key: K, at: Nanos, row: R) {
        self.order.push_back((self.next, at, key.clone()));
        self.rows.entry(key).or_default().push_back((self.next, row));
        self.next += 1;
    }

    /// The oldest row of these that is one of `which`.
    pub(super) fn take(&mut self, key: &K, which: impl Fn(&R) -> bool) -> Option<R> {
        let list = self.rows.get_mut(key)?;
        let at = list.iter().take(LOOKED_AT).position(|(_, row)| which(row))?;
        let (_, row) = list.remove(at)?;
        if list.is_empty() {
            self.rows.remove(key);
        }
        Some(row)
    }

    /// The oldest row of these.
    pub(super) fn first_mut(&mut self, key: &K) -> Option<&mut R> {
        self.rows.get_mut(key)?.front_mut().map(|(_, row)| row)
    }

    /// Rows that take room.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.order.len()
    }

    /// A row that waited for too long as of `now`; at the end (`all`), any that waits.
    pub(super) fn due(&mut self, now: Nanos, all: bool) -> Option<R> {
        loop {
            let (number, since, key) = self.order.front()?;
            let late = now.0.saturating_sub(since.0) > self.patience;
            // All before it are gone: if it waits, it is the first of its key.
            let waits = self.rows.get(key).and_then(|list| list.front()).is_some_and(|(first, _)| first == number);
            if waits && !(all || late || self.order.len() > MOST) {
                return None;
            }
            let (_, _, key) = self.order.pop_front()?;
            if waits {
                return self.take(&key, |_| true);
            }
        }
    }
}
