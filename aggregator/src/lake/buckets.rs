//! Rows that wait until an hour has a row group of them.

use std::collections::HashMap;

use super::rows::Row;
use super::table::Hour;

/// Rows of one table, by hour.
#[derive(Debug)]
pub(super) struct Buckets<R> {
    /// The hour that got a row last, outside of the map: most rows fall into the same.
    latest: Option<(Hour, Bucket<R>)>,
    hours: HashMap<Hour, Bucket<R>>,
    pub(super) bytes: usize,
    pub(super) rows: u64,
}

#[derive(Debug)]
pub(super) struct Bucket<R> {
    rows: Vec<R>,
    bytes: usize,
}

impl<R> Default for Buckets<R> {
    fn default() -> Self {
        Self { latest: None, hours: HashMap::new(), bytes: 0, rows: 0 }
    }
}

impl<R: Row> Buckets<R> {
    /// Adds a row; gives its hour's rows where they fill a row group.
    pub(super) fn add(&mut self, row: R, group: usize) -> Option<(Hour, Vec<R>)> {
        let hour = Hour::of(row.first());
        let bytes = row.size();
        let bucket = self.bucket(hour);
        bucket.rows.push(row);
        bucket.bytes += bytes;
        let full = bucket.rows.len() >= group;
        self.bytes += bytes;
        self.rows += 1;
        if full { self.take(hour) } else { None }
    }

    fn bucket(&mut self, hour: Hour) -> &mut Bucket<R> {
        if self.latest.as_ref().is_some_and(|(latest, _)| *latest != hour)
            && let Some((latest, bucket)) = self.latest.take()
        {
            self.hours.insert(latest, bucket);
        }
        let hours = &mut self.hours;
        let empty = || Bucket { rows: Vec::new(), bytes: 0 };
        &mut self.latest.get_or_insert_with(|| (hour, hours.remove(&hour).unwrap_or_else(empty))).1
    }

    pub(super) fn take(&mut self, hour: Hour) -> Option<(Hour, Vec<R>)> {
        let bucket = match self.latest.take_if(|(latest, _)| *latest == hour) {
            Some((_, bucket)) => bucket,
            None => self.hours.remove(&hour)?,
        };
        self.bytes -= bucket.bytes;
        Some((hour, bucket.rows))
    }

    fn all(&self) -> impl Iterator<Item = (&Hour, &Bucket<R>)> {
        self.hours.iter().chain(self.latest.as_ref().map(|(hour, bucket)| (hour, bucket)))
    }

    pub(super) fn take_fullest(&mut self) -> Option<(Hour, Vec<R>)> {
        let hour = *self.all().max_by_key(|(hour, bucket)| (bucket.bytes, **hour))?.0;
        self.take(hour)
    }

    pub(super) fn hours(&self) -> Vec<Hour> {
        let mut hours: Vec<Hour> = self.all().map(|(hour, _)| *hour).collect();
        hours.sort();
        hours
    }
}
