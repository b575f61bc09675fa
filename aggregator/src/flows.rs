//! The flow table: packets in, flow records out.
//!
//! Promises: every packet is in exactly one record; a record's content depends on the packets and the timeouts
//! alone, never on the size of the table, its hash seed, or how often the time is told; records that end at
//! the same moment come in the order in which they began. Memory is bounded by `max_flows`.

use capture::Packet;
use capture::live::MicroDirection;

use crate::config::AggregatorConfig;
use crate::flow::{Flow, FlowTimeouts};
use crate::key::{Key, KeyHasher, Side};
use crate::record::{EndReason, FlowRecord, Origin, RecordId};
use crate::record_id::RecordIds;
use crate::slab::Slab;
use crate::stats::Stats;
use crate::table::Table;
use crate::wheel::Wheel;

/// When there is no room: how many flows are looked at before one is given up that is not idle.
const EVICTION_TRIES: usize = 8;

/// Flows read ahead at once: more than the memory answers in parallel.
pub(crate) const AHEAD: usize = 16;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Flows {
    hasher: KeyHasher,
    table: Table,
    slab: Slab,
    wheel: Wheel,
    timeouts: FlowTimeouts,
    max_flows: usize,
    vlan_in_key: bool,
    origin: Origin,
    ids: RecordIds,
    next_number: u64,
    /// Flows to look at, kept for its memory.
    due: Vec<u32>,
    expiring: Vec<(i64, u64, u32)>,
}

/// Where finished records and counters go.
pub(crate) struct Out<'a> {
    pub(crate) records: &'a mut Vec<FlowRecord>,
    pub(crate) stats: &'a mut Stats,
}

impl Flows {
    pub(crate) fn new(config: &AggregatorConfig, hasher: KeyHasher, ids: RecordIds) -> Self {
        let max_flows = config.limits.max_flows.clamp(1, u32::MAX as usize / 4);
        Self {
            hasher,
            table: Table::new(config.limits.initial_flows, max_flows),
            slab: Slab::default(),
            wheel: Wheel::new(i64::MIN),
            timeouts: FlowTimeouts::from(&config.timeouts),
            max_flows,
            vlan_in_key: config.vlan_in_key,
            origin: config.origin,
            ids,
            next_number: 0,
            due: Vec::new(),
            expiring: Vec::new(),
        }
    }

    pub(crate) const fn doublings(&self) -> u64 {
        self.table.doublings()
    }

    /// One packet, at `clock`, which never goes back.
    pub(crate) fn packet(&mut self, clock: i64, packet: &Packet, mut out: Out<'_>) {
        if self.wheel.has_passed(clock) {
            self.wheel.take_passed(clock, &mut self.due);
            self.look_at_due(clock, &mut out);
        }
        let (key, sender) = Key::of(packet, self.vlan_in_key);
        let hash = self.hasher.hash(&key) as u32;
        out.stats.packets_live += 1;
        out.stats.bytes_live += u64::from(packet.ip_bytes);
        let Some(place) = self.going_on(hash, &key, clock, packet, &mut out) else {
            return self.open(hash, key, sender, clock, packet, &mut out);
        };
        self.wake(place, &mut out);
        if self.slab.get(place).add(clock, sender, packet) {
            self.reschedule(place);
        }
    }

    /// Reads ahead what [`counted`](Self::counted) needs of the flows of these first packets, at most [`AHEAD`]: their
    /// places in the index together, then their cache lines together, so that the memory answers many questions at once. Changes
    /// nothing.
    pub(crate) fn expect(&self, firsts: impl Iterator<Item = Packet>) {
        let (mut hashes, mut count) = ([0; AHEAD], 0);
        for (hash, first) in hashes.iter_mut().zip(firsts) {
            *hash = self.hasher.hash(&Key::of(&first, self.vlan_in_key).0) as u32;
            count += 1;
        }
        let mut places = [None; AHEAD];
        for (place, hash) in places.iter_mut().zip(&hashes).take(count) {
            *place = self.table.guess(*hash);
        }
        let touched = places.iter().flatten().fold(0, |sum, place| sum ^ self.slab.peek(*place).touch());
        std::hint::black_box(touched);
    }

    /// Packets of one direction that were counted elsewhere, at `clock`: that of the last of them. `first` has what the
    /// first of them said, and the OR of their flags.
    pub(crate) fn counted(&mut self, clock: i64, first: &Packet, counted: &MicroDirection, mut out: Out<'_>) {
        if self.wheel.has_passed(clock) {
            self.wheel.take_passed(clock, &mut self.due);
            self.look_at_due(clock, &mut out);
        }
        let (key, sender) = Key::of(first, self.vlan_in_key);
        let hash = self.hasher.hash(&key) as u32;
        out.stats.packets_live += counted.packets;
        out.stats.bytes_live += counted.ip_bytes;
        let place = match self.going_on(hash, &key, clock, first, &mut out) {
            Some(place) => place,
            None => {
                if self.slab.len() >= self.max_flows {
                    self.evict(&mut out);
                }
                let flow = Flow::open(key, hash, self.next_number, clock, sender, first);
                let (deadline, _) = flow.deadline(&self.timeouts);
                let place = self.slab.insert(flow);
                self.table.insert(hash, place);
                self.wheel.schedule(place, deadline);
                place
            }
        };
        self.wake(place, &mut out);
        if self.slab.get(place).add_counted(clock, sender, first, counted) {
            self.reschedule(place);
        }
    }

    /// The flow that a packet goes on with. One whose time came before is written first: then it goes on in its next
    /// segment, or it is gone.
    #[inline]
    fn going_on(&mut self, hash: u32, key: &Key, clock: i64, packet: &Packet, out: &mut Out<'_>) -> Option<u32> {
        let slab = &self.slab;
        let place = self.table.find(hash, |place| slab.peek(place).key == *key)?;
        let (deadline, reason) = self.slab.get(place).deadline(&self.timeouts);
        if clock >= deadline && reason == EndReason::Active {
            self.export(place, reason, out);
            self.slab.get(place).next_segment();
        }
        // Silence since before the active timeout may have ended it, too.
        let flow = self.slab.get(place);
        let (deadline, reason) = flow.deadline(&self.timeouts);
        if clock >= deadline || flow.is_succeeded_by(packet) {
            let reason = if clock >= deadline { reason } else { EndReason::Detected };
            self.close(place, reason, out);
            return None;
        }
        Some(place)
    }

    /// A packet comes: a flow without one since its last record begins the next.
    #[inline]
    fn wake(&mut self, place: u32, out: &mut Out<'_>) {
        let flow = self.slab.get(place);
        if flow.is_dormant() {
            flow.number = self.next_number;
            self.next_number += 1;
            out.stats.flows_opened += 1;
            out.stats.flows_live += 1;
        }
    }

    /// Its deadline came nearer.
    fn reschedule(&mut self, place: u32) {
        let (deadline, _) = self.slab.get(place).deadline(&self.timeouts);
        self.wheel.cancel(place);
        self.wheel.schedule(place, deadline);
    }

    /// Ends all that is due at `now`.
    pub(crate) fn advance(&mut self, now: i64, mut out: Out<'_>) {
        self.wheel.take_through(now, &mut self.due);
        self.look_at_due(now, &mut out);
    }

    /// Ends everything.
    pub(crate) fn finish(&mut self, now: i64, mut out: Out<'_>) {
        self.wheel.take_all(&mut self.due);
        self.look_at_due(now, &mut out);
        self.wheel.take_all(&mut self.due);
        for place in self.due.drain(..) {
            self.expiring.push((0, self.slab.get(place).number, place));
        }
        let mut all = std::mem::take(&mut self.expiring);
        all.sort_unstable();
        for (_, _, place) in all.drain(..) {
            let reason = self.slab.get(place).early(EndReason::Forced);
            self.close(place, reason, &mut out);
        }
        self.expiring = all;
    }

    fn open(&mut self, hash: u32, key: Key, sender: Side, clock: i64, packet: &Packet, out: &mut Out<'_>) {
        if self.slab.len() >= self.max_flows {
            self.evict(out);
        }
        let mut flow = Flow::open(key, hash, self.next_number, clock, sender, packet);
        self.next_number += 1;
        flow.add(clock, sender, packet);
        let (deadline, _) = flow.deadline(&self.timeouts);
        let place = self.slab.insert(flow);
        self.table.insert(hash, place);
        self.wheel.schedule(place, deadline);
        out.stats.flows_opened += 1;
        out.stats.flows_live += 1;
    }

    /// Makes room: the flow nearest to its deadline is written early.
    fn evict(&mut self, out: &mut Out<'_>) {
        for tries_left in (0..EVICTION_TRIES).rev() {
            let Some((place, bucket_end)) = self.wheel.first() else { return };
            let (deadline, _) = self.slab.get(place).deadline(&self.timeouts);
            if deadline < bucket_end || tries_left == 0 {
                let reason = EndReason::LackOfResources;
                return self.close(place, reason, out);
            }
            // Packets have come since it was put there.
            self.reschedule(place);
        }
    }

    /// Ends those of the flows in `due` whose time has come, in the order of their deadlines; puts the others
    /// back.
    fn look_at_due(&mut self, now: i64, out: &mut Out<'_>) {
        let mut expiring = std::mem::take(&mut self.expiring);
        for place in self.due.drain(..) {
            let flow = self.slab.get(place);
            let (deadline, _) = flow.deadline(&self.timeouts);
            if deadline <= now {
                expiring.push((deadline, flow.number, place));
            } else {
                self.wheel.schedule(place, deadline);
            }
        }
        expiring.sort_unstable();
        for (_, _, place) in expiring.drain(..) {
            self.expire(place, now, out);
        }
        self.expiring = expiring;
    }

    fn expire(&mut self, place: u32, now: i64, out: &mut Out<'_>) {
        let (_, reason) = self.slab.get(place).deadline(&self.timeouts);
        if reason == EndReason::Active {
            self.export(place, reason, out);
            let flow = self.slab.get(place);
            flow.next_segment();
            let (deadline, _) = flow.deadline(&self.timeouts);
            if deadline > now {
                return self.wheel.schedule(place, deadline);
            }
        }
        self.close(place, reason, out);
    }

    /// Writes the record, unless nothing came since the last one, and forgets the flow.
    fn close(&mut self, place: u32, reason: EndReason, out: &mut Out<'_>) {
        let flow = self.slab.peek(place);
        let (hash, dormant) = (flow.hash, flow.is_dormant());
        self.wheel.cancel(place);
        self.table.remove(hash, place);
        if !dormant {
            self.export(place, reason, out);
        }
        self.slab.remove(place);
    }

    fn export(&mut self, place: u32, reason: EndReason, out: &mut Out<'_>) {
        let flow = self.slab.peek(place);
        let mut record = flow.record(self.origin, RecordId::default(), reason);
        record.record_id = self.ids.flow(&record, flow.key.vlan());
        let (packets, bytes) = flow.totals();
        out.records.push(record);
        let stats = &mut *out.stats;
        stats.packets_live -= packets;
        stats.bytes_live -= bytes;
        stats.packets_exported += packets;
        stats.bytes_exported += bytes;
        stats.flows_live -= 1;
        *match reason {
            EndReason::Idle => &mut stats.flows_idle,
            EndReason::Active => &mut stats.flows_active,
            EndReason::Detected => &mut stats.flows_end,
            EndReason::Forced => &mut stats.flows_forced,
            EndReason::LackOfResources => &mut stats.flows_evicted,
        } += 1;
    }
}
