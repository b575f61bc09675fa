//! What waits to be sent, on disk, in order, within a bound.
//!
//! ```text
//! 00000000000000000001.q   entries: length of the id, length of the payload (u32, little endian), id, payload; synced as they come
//! position                 segment and offset of the first entry that is not acknowledged; replaced whole
//! ```
//!
//! Promises: an entry that [`Queue::push`] took is given by [`Queue::front`] until it is acknowledged, over crashes; after a crash some are given again.
//! At the bound `push` refuses, and the caller keeps what it has. An entry cut by a crash is left out: its `push` never returned.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes after which a new segment begins.
const SEGMENT: u64 = 1 << 20;
/// The largest entry.
pub(super) const MAX_ENTRY: usize = 1 << 20;
const HEAD: usize = 8;

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// What it is about: the record's id as hexadecimal text.
    pub(super) id: String,
    /// As it is sent.
    pub(super) payload: Vec<u8>,
}

/// Whether an entry was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pushed {
    /// It is on disk.
    Taken,
    /// There is no room.
    Full,
    /// It is larger than [`MAX_ENTRY`].
    TooLarge,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Queue {
    dir: PathBuf,
    max_bytes: u64,
    bytes: u64,
    waiting: u64,
    read: (u64, u64),
    write: u64,
    tail: Option<File>,
    tail_bytes: u64,
}

impl Queue {
    /// Opens a queue, or makes one.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut segments: Vec<u64> = fs::read_dir(dir)?.filter_map(|entry| number(&entry.ok()?.path())).collect();
        segments.sort_unstable();
        let text = fs::read_to_string(dir.join("position")).unwrap_or_default();
        let mut words = text.split_whitespace().map(|word| word.parse::<u64>());
        let read = match (words.next(), words.next()) {
            (Some(Ok(segment)), Some(Ok(offset))) => (segment, offset),
            _ => (segments.first().copied().unwrap_or(1), 0),
        };
        let next = segments.last().map_or(read.0, |last| last + 1).max(read.0);
        let mut queue = Self {
            dir: dir.to_owned(),
            max_bytes,
            bytes: 0,
            waiting: 0,
            read,
            // What a crash cut stays the end of its segment.
            write: next,
            tail: None,
            tail_bytes: 0,
        };
        for segment in segments {
            if segment < read.0 {
                fs::remove_file(queue.path(segment))?;
                continue;
            }
            queue.bytes += fs::metadata(queue.path(segment))?.len();
            let from = if segment == read.0 { read.1 } else { 0 };
            queue.waiting += queue.entries(segment, from, usize::MAX)?.0.len() as u64;
        }
        Ok(queue)
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(format!("{segment:020}.q"))
    }

    /// Entries that wait.
    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Adds an entry behind all others; it is on disk after [`Self::sync`].
    ///
    /// # Errors
    /// The system's: the entry is not in the queue, as far as can be told.
    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<Pushed> {
        let size = (HEAD + entry.id.len() + entry.payload.len()) as u64;
        if entry.payload.len() + entry.id.len() > MAX_ENTRY {
            return Ok(Pushed::TooLarge);
        }
        if self.bytes + size > self.max_bytes {
            return Ok(Pushed::Full);
        }
        if self.tail.is_some() && self.tail_bytes >= SEGMENT {
            self.sync()?;
            (self.tail, self.tail_bytes) = (None, 0);
            self.write += 1;
        }
        if self.tail.is_none() {
            let path = self.path(self.write);
            self.tail = Some(OpenOptions::new().append(true).create_new(true).open(path)?);
            File::open(&self.dir)?.sync_all()?;
        }
        let mut bytes = Vec::with_capacity(HEAD + entry.id.len() + entry.payload.len());
        for length in [entry.id.len(), entry.payload.len()] {
            bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend(entry.id.as_bytes());
        bytes.extend(&entry.payload);
        if let Some(tail) = &mut self.tail
            && let Err(error) = tail.write_all(&bytes)
        {
            // What is half there is the end of its segment; the next entry begins another.
            (self.tail, self.tail_bytes) = (None, 0);
            self.write += 1;
            return Err(error);
        }
        self.tail_bytes += size;
        self.bytes += size;
        self.waiting += 1;
        Ok(Pushed::Taken)
    }

    /// What was pushed is on disk after this.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.tail.as_ref().map_or(Ok(()), File::sync_data)
    }

    /// The oldest entries, at most so many, and where the queue stands after them.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn front(&self, most: usize) -> io::Result<(Vec<Entry>, (u64, u64))> {
        let (mut segment, mut offset) = self.read;
        loop {
            if self.path(segment).exists() {
                let (entries, end) = self.entries(segment, offset, most)?;
                if !entries.is_empty() {
                    return Ok((entries, (segment, end)));
                }
            }
            if segment >= self.write {
                return Ok((Vec::new(), self.read));
            }
            (segment, offset) = (segment + 1, 0);
        }
    }

    /// So many entries are sent: the queue stands at `position`, which [`Self::front`] gave with them. What was sent whole is deleted first, so that a
    /// full disk has room again; a position that names what is gone is read as the next that is there.
    ///
    /// # Errors
    /// The system's: the queue goes on from `position`, but one opened later may begin before it.
    pub(super) fn acknowledge(&mut self, count: u64, mut position: (u64, u64)) -> io::Result<()> {
        self.waiting = self.waiting.saturating_sub(count);
        // All of it is sent: its room is free at once.
        if self.waiting == 0 {
            if self.tail.take().is_some() {
                self.tail_bytes = 0;
                self.write += 1;
            }
            position = (self.write, 0);
        }
        let mut removed = Ok(());
        for segment in self.read.0..position.0 {
            let path = self.path(segment);
            if let Ok(meta) = fs::metadata(&path) {
                self.bytes = self.bytes.saturating_sub(meta.len());
                removed = removed.and(fs::remove_file(path));
            }
        }
        self.read = position;
        let fresh = self.dir.join("position.new");
        let mut file = File::create(&fresh)?;
        writeln!(file, "{} {}", position.0, position.1)?;
        file.sync_all()?;
        fs::rename(&fresh, self.dir.join("position"))?;
        removed
    }

    /// Whole entries of a segment from an offset, and where they end.
    fn entries(&self, segment: u64, from: u64, most: usize) -> io::Result<(Vec<Entry>, u64)> {
        let mut file = File::open(self.path(segment))?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(SEGMENT + (MAX_ENTRY + HEAD) as u64).read_to_end(&mut bytes)?;
        let (mut entries, mut rest, mut end) = (Vec::new(), bytes.as_slice(), from);
        while entries.len() < most {
            let Some((head, tail)) = rest.split_first_chunk::<HEAD>() else { break };
            let [a, b, c, d, e, f, g, h] = *head;
            let lengths = [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])].map(|n| n as usize);
            let Some((id, tail)) = tail.split_at_checked(lengths[0]) else { break };
            let Some((payload, tail)) = tail.split_at_checked(lengths[1]) else { break };
            entries.push(Entry { id: String::from_utf8_lossy(id).into_owned(), payload: payload.to_vec() });
            end += (HEAD + id.len() + payload.len()) as u64;
            rest = tail;
        }
        Ok((entries, end))
    }
}

fn number(path: &Path) -> Option<u64> {
    (path.extension()? == "q").then(|| path.file_stem()?.to_str()?.parse().ok())?
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(number: u32) -> Entry {
        Entry { id: format!("{number:032x}"), payload: vec![number as u8; 100] }
    }

    #[test]
    fn what_was_pushed_comes_out_in_order_over_crashes_until_it_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(dir.path(), 1 << 24).unwrap();
        for number in 0..20_000 {
            assert_eq!(queue.push(&entry(number)).unwrap(), Pushed::Taken);
        }
        queue.sync().unwrap();
        let (mut next, mut turns) = (0_u32, 0);
        loop {
            let (entries, position) = queue.front(700).unwrap();
            if entries.is_empty() {
                break;
            }
            // Not acknowledged: the same again, also by another process.
            drop(queue);
            queue = Queue::open(dir.path(), 1 << 24).unwrap();
            assert_eq!(queue.waiting(), u64::from(20_000 - next));
            assert_eq!(queue.front(700).unwrap().0, entries);
            for found in &entries {
                assert_eq!(*found, entry(next));
                next += 1;
            }
            queue.acknowledge(entries.len() as u64, position).unwrap();
            turns += 1;
        }
        assert_eq!((next, queue.waiting()), (20_000, 0));
        assert!(turns > 28);
        let left: u64 = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(left < 100, "{left} bytes are left of an empty queue");
    }

    #[test]
    fn at_the_bound_it_refuses_and_goes_on_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(dir.path(), 1_000).unwrap();
        let taken = (0..20).filter(|n| queue.push(&entry(*n)).unwrap() == Pushed::Taken).count();
        assert_eq!(taken, 7);
        assert_eq!(
            queue.push(&Entry { id: String::new(), payload: vec![0; MAX_ENTRY + 1] }).unwrap(),
            Pushed::TooLarge
        );
        let (entries, position) = queue.front(100).unwrap();
        queue.acknowledge(entries.len() as u64, position).unwrap();
        assert_eq!(queue.push(&entry(99)).unwrap(), Pushed::Taken);
        assert_eq!(queue.front(100).unwrap().0, [entry(99)]);
    }

    #[test]
    fn an_entry_cut_by_a_crash_is_left_out_and_later_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(dir.path(), 1 << 20).unwrap();
        queue.push(&entry(1)).unwrap();
        queue.push(&entry(2)).unwrap();
        drop(queue);
        let path = dir.path().join("00000000000000000001.q");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let mut queue = Queue::open(dir.path(), 1 << 20).unwrap();
        queue.push(&entry(3)).unwrap();
        let (first, position) = queue.front(9).unwrap();
        assert_eq!((first, queue.waiting()), (vec![entry(1)], 2));
        queue.acknowledge(1, position).unwrap();
        assert_eq!(queue.front(9).unwrap().0, [entry(3)]);
    }
}
