//! Fragmented datagrams: ports for later fragments, and reassembly for the application decoders.
//!
//! Each fragment is counted as a packet when it comes; the datagram is put together beside that, so that
//! what it says can be read. Where fragments overlap, the bytes that came first stay (and it is counted).
//!
//! Bounds: so many datagrams and so many bytes ([`DecoderConfig`](super::DecoderConfig)), so many pieces
//! of one datagram, and a time. At the bounds the oldest datagram goes first.

use std::collections::{HashMap, VecDeque};

use super::counters::Counters;
use super::ip::{IpHeader, Part};
use crate::{Ip, IpVersion, Nanos, Packet};

/// Gaps between pieces of one datagram that are kept track of.
const MAX_PIECES: usize = 64;

/// Longest payload of a datagram that fragments can carry.
const MAX_DATAGRAM: u32 = 65_535;

/// What fragments of one datagram have in common (RFC 791; RFC 8200 leaves the protocol out).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    src: Ip,
    dst: Ip,
    id: u32,
    version: IpVersion,
    proto: u8,
}

impl Key {
    fn new(ip: &IpHeader<'_>, part: Part<'_>) -> Self {
        let proto = match ip.version {
            IpVersion::V4 => part.proto,
            IpVersion::V6 => 0,
        };
        Self { src: ip.src, dst: ip.dst, id: part.id, version: ip.version, proto }
    }
}

/// One datagram in pieces.
#[derive(Debug)]
struct Entry {
    serial: u64,
    since: Nanos,
    /// The packet of the first fragment.
    first: Option<Packet>,
    /// Protocol that the payload begins with.
    proto: u8,
    bytes: Vec<u8>,
    /// Which of the bytes are there: ascending, apart from each other.
    pieces: Vec<(u32, u32)>,
    total: Option<u32>,
    /// Given out, or given up: kept for its ports only.
    done: bool,
}

/// A datagram put together, or what there is of it from its beginning on.
#[derive(Debug)]
pub(super) struct Datagram {
    /// The packet of its first fragment.
    pub(super) first: Packet,
    /// Protocol that the payload begins with (IPv6: perhaps an extension header).
    pub(super) proto: u8,
    /// The payload, as far as it came.
    pub(super) bytes: Vec<u8>,
    /// Its length, if the last fragment was seen; else that of what came.
    pub(super) length: u32,
}

/// Datagrams in pieces, by age.
#[derive(Debug)]
pub(super) struct Fragments {
    max_datagrams: usize,
    max_bytes: usize,
    timeout: i64,
    entries: HashMap<Key, Entry>,
    /// In the order they were begun; entries with another serial are gone.
    order: VecDeque<(Key, u64, Nanos)>,
    bytes: usize,
    serial: u64,
}

impl Fragments {
    pub(super) fn new(max_datagrams: usize, max_bytes: usize, timeout: Nanos) -> Self {
        Self {
            max_datagrams: max_datagrams.max(1),
            max_bytes,
            timeout: timeout.0.max(0),
            entries: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            serial: 0,
        }
    }

    /// Datagrams and bytes held.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.entries.len(), self.entries.values().map(|entry| entry.bytes.len()).sum())
    }

    #[cfg(test)]
    pub(super) fn order_len(&self) -> usize {
        self.order.len()
    }

    /// Whether a datagram's time is over at `now`.
    #[inline]
    pub(super) fn overdue(&self, now: Nanos) -> bool {
        self.order.front().is_some_and(|(_, _, since)| now.0.saturating_sub(since.0) > self.timeout)
    }

    /// Ports of the datagram's first fragment, if it was seen.
    pub(super) fn ports(&self, ip: &IpHeader<'_>, part: Part<'_>) -> Option<(u16, u16)> {
        let first = self.entries.get(&Key::new(ip, part))?.first?;
        (first.pair.proto == ip.proto).then_some((first.pair.src_port, first.pair.dst_port))
    }

    /// Takes in one fragment; `first` is its packet if it is the first of its datagram. Returns the
    /// datagram when this completes it.
    pub(super) fn add(
        &mut self,
        ip: &IpHeader<'_>,
        part: Part<'_>,
        packet: &Packet,
        counters: &mut Counters,
    ) -> Option<Datagram> {
        let key = Key::new(ip, part);
        let restarted = part.offset == 0 && self.entries.get(&key).is_some_and(|entry| entry.done);
        if restarted {
            self.remove(&key);
        }
        if !self.entries.contains_key(&key) {
            self.begin(key, part.proto, packet.ts, counters);
        }
        let room = self.max_bytes.saturating_sub(self.bytes);
        let entry = self.entries.get_mut(&key)?;
        if part.offset == 0 && entry.first.is_none() {
            entry.first = Some(*packet);
            entry.proto = part.proto;
        }
        if entry.done {
            return None;
        }
        let (start, length) = (part.offset, u32::try_from(part.payload.wire).unwrap_or(u32::MAX));
        let end = start.saturating_add(length);
        if end > MAX_DATAGRAM || part.more && length % 8 != 0 && part.payload.data.len() == part.payload.wire {
            counters.fragments_invalid += 1;
        }
        let captured = &part.payload.data.get(..part.payload.data.len().min(length as usize)).unwrap_or_default();
        let until = start.saturating_add(captured.len() as u32);
        let growth = (until as usize).saturating_sub(entry.bytes.len());
        if end > MAX_DATAGRAM || entry.pieces.len() >= MAX_PIECES || growth > room {
            counters.reassembly_over_limit += 1;
            return self.give_up(&key);
        }
        if !part.more {
            // The first that claims to be the last counts.
            entry.total.get_or_insert(end);
        }
        self.bytes += growth;
        if growth > 0 {
            entry.bytes.resize(until as usize, 0);
        }
        if entry.insert(start, captured) {
            counters.fragments_overlapping += 1;
        }
        let complete = matches!((entry.pieces.as_slice(), entry.total), ([(0, end)], Some(total)) if *end >= total);
        if !complete {
            return None;
        }
        counters.reassembled += 1;
        self.finish_entry(&key)
    }

    /// Ends datagrams whose time is over (all, if `now` is `None`); returns one of them at a time, if
    /// its beginning is there.
    pub(super) fn expire(&mut self, now: Option<Nanos>, counters: &mut Counters) -> Option<Datagram> {
        while let Some(&(key, serial, _)) = self.order.front() {
            if now.is_some_and(|now| !self.overdue(now)) {
                return None;
            }
            self.order.pop_front();
            if let Some(datagram) = self.end(&key, serial, counters) {
                return Some(datagram);
            }
        }
        None
    }

    fn begin(&mut self, key: Key, proto: u8, now: Nanos, counters: &mut Counters) {
        // A used key that begins again leaves its former place in the order behind.
        while self.entries.len() >= self.max_datagrams
            || self.order.len() >= 2 * self.max_datagrams
            || self.bytes > self.max_bytes / 8 * 7
        {
            let Some((oldest, serial, _)) = self.order.pop_front() else { break };
            if self.entries.get(&oldest).is_some_and(|entry| entry.serial == serial) {
                counters.fragmented_evicted += 1;
                self.remove(&oldest);
            }
        }
        self.serial += 1;
        let entry = Entry {
            serial: self.serial,
            since: now,
            first: None,
            proto,
            bytes: Vec::new(),
            pieces: Vec::new(),
            total: None,
            done: false,
        };
        self.order.push_back((key, entry.serial, entry.since));
        self.entries.insert(key, entry);
    }

    /// Keeps the ports alone.
    fn give_up(&mut self, key: &Key) -> Option<Datagram> {
        let entry = self.entries.get_mut(key)?;
        entry.done = true;
        self.bytes = self.bytes.saturating_sub(entry.bytes.len());
        entry.bytes = Vec::new();
        entry.pieces = Vec::new();
        None
    }

    /// Gives the bytes out and keeps the ports.
    fn finish_entry(&mut self, key: &Key) -> Option<Datagram> {
        let entry = self.entries.get_mut(key)?;
        entry.done = true;
        entry.pieces = Vec::new();
        self.bytes = self.bytes.saturating_sub(entry.bytes.len());
        let bytes = std::mem::take(&mut entry.bytes);
        let length = entry.total.unwrap_or(bytes.len() as u32);
        Some(Datagram { first: entry.first?, proto: entry.proto, bytes, length })
    }

    /// Ends a datagram that was not completed; returns what there is from its beginning on.
    fn end(&mut self, key: &Key, serial: u64, counters: &mut Counters) -> Option<Datagram> {
        if self.entries.get(key)?.serial != serial {
            return None;
        }
        let entry = self.remove(key)?;
        if entry.done {
            return None;
        }
        counters.fragmented_incomplete += 1;
        let Some(&(0, end)) = entry.pieces.first() else { return None };
        let mut bytes = entry.bytes;
        bytes.truncate(end as usize);
        // One byte more than there is, if the end never came: a reader must see that it is cut off.
        let length = entry.total.unwrap_or(end).max(end + 1);
        Some(Datagram { first: entry.first?, proto: entry.proto, bytes, length })
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes.len());
        Some(entry)
    }
}

impl Entry {
    /// Copies what is not there yet; says whether something was there already.
    fn insert(&mut self, start: u32, data: &[u8]) -> bool {
        let end = start + data.len() as u32;
        let (mut at, mut overlap) = (start, false);
        for &(from, to) in &self.pieces {
            if from < end && to > start {
                overlap = true;
                copy(&mut self.bytes, start, data, at, from);
                at = at.max(to);
            }
        }
        copy(&mut self.bytes, start, data, at, end);
        if start == end {
            return false;
        }
        self.pieces.push((start, end));
        self.pieces.sort_unstable();
        self.pieces.dedup_by(|next, before| {
            let joined = next.0 <= before.1;
            if joined {
                before.1 = before.1.max(next.1);
            }
            joined
        });
        overlap
    }
}

/// Copies the part `from..to` of `data`, which stands at `start`, to its place in `bytes`.
fn copy(bytes: &mut [u8], start: u32, data: &[u8], from: u32, to: u32) {
    let (from, to) = (from.max(start), to.min(start + data.len() as u32));
    if from >= to {
        return;
    }
    let source = data.get((from - start) as usize..(to - start) as usize);
    if let (Some(target), Some(source)) = (bytes.get_mut(from as usize..to as usize), source) {
        target.copy_from_slice(source);
    }
}
