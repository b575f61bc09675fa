//! Rows that wait until an hour has a row group of them. They wait as columns: a row is read while it is still in the
//! cache, and takes half the memory.

use std::collections::HashMap;
use std::mem::size_of;

use super::columns::Columns as _;
use super::rows::Row;
use super::table::Hour;
use crate::record::Micros;

/// What columns with few rows take beside the rows: a little for each of some forty columns.
const EMPTY: usize = 12 << 10;

/// Rows of one table, by hour.
pub(super) struct Buckets<R: Row> {
    /// The hour that got a row last, outside of the map: most rows fall into the same.
    latest: Option<(Hour, Gathered<R>)>,
    hours: HashMap<Hour, Gathered<R>>,
    pub(super) bytes: usize,
    pub(super) rows: u64,
}

/// The rows of an hour so far, in the order they came.
pub(super) struct Gathered<R: Row> {
    pub(super) columns: Box<R::Columns>,
    /// What the rows are ordered by.
    pub(super) keys: Vec<(Micros, u64)>,
    pub(super) last: Micros,
    /// Bytes of memory: at most.
    pub(super) bytes: usize,
}

impl<R: Row> Gathered<R> {
    fn new(sensor: &str) -> Self {
        Self {
            columns: Box::new(R::Columns::new(sensor)),
            keys: Vec::new(),
            last: Micros(i64::MIN),
            bytes: size_of::<R::Columns>() + EMPTY,
        }
    }
}

impl<R: Row> std::fmt::Debug for Buckets<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").field("bytes", &self.bytes).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<R: Row> Default for Buckets<R> {
    fn default() -> Self {
        Self { latest: None, hours: HashMap::new(), bytes: 0, rows: 0 }
    }
}

impl<R: Row> Buckets<R> {
    /// Adds a row; gives its hour's rows where they fill a row group.
    pub(super) fn add(&mut self, row: &R, sensor: &str, group: usize) -> Option<(Hour, Gathered<R>)> {
        let (first, last, _) = row.head();
        let hour = Hour::of(first);
        let gathered = self.hour(hour, sensor);
        gathered.columns.push(row);
        gathered.keys.push((first, row.id()));
        gathered.last = gathered.last.max(last);
        let bytes = row.size();
        gathered.bytes += bytes;
        let full = gathered.keys.len() >= group;
        self.bytes += bytes;
        self.rows += 1;
        if full { self.take(hour) } else { None }
    }

    fn hour(&mut self, hour: Hour, sensor: &str) -> &mut Gathered<R> {
        if self.latest.as_ref().is_some_and(|(latest, _)| *latest != hour)
            && let Some((latest, gathered)) = self.latest.take()
        {
            self.hours.insert(latest, gathered);
        }
        let Self { latest, hours, bytes, .. } = self;
        let get = || {
            let gathered = hours.remove(&hour).unwrap_or_else(|| {
                let new = Gathered::new(sensor);
                *bytes += new.bytes;
                new
            });
            (hour, gathered)
        };
        &mut latest.get_or_insert_with(get).1
    }

    pub(super) fn take(&mut self, hour: Hour) -> Option<(Hour, Gathered<R>)> {
        let gathered = match self.latest.take_if(|(latest, _)| *latest == hour) {
            Some((_, gathered)) => gathered,
            None => self.hours.remove(&hour)?,
        };
        self.bytes -= gathered.bytes;
        Some((hour, gathered))
    }

    fn all(&self) -> impl Iterator<Item = (&Hour, &Gathered<R>)> {
        self.hours.iter().chain(self.latest.as_ref().map(|(hour, gathered)| (hour, gathered)))
    }

    pub(super) fn take_fullest(&mut self) -> Option<(Hour, Gathered<R>)> {
        let hour = *self.all().max_by_key(|(hour, gathered)| (gathered.bytes, **hour))?.0;
        self.take(hour)
    }

    pub(super) fn hours(&self) -> Vec<Hour> {
        let mut hours: Vec<Hour> = self.all().map(|(hour, _)| *hour).collect();
        hours.sort();
        hours
    }
}
