//! One shard: its own decoder and flow table, fed by all receivers in the order of time. No clock of its own: time is
//! what the receivers say has passed.
//!
//! With several shards each worker has a second part, the deep reader: frames with tunnels and fragments, whose
//! connection is known only when they have been read. What it reads goes on to the shards like a receiver's frames.

use capture::duplicate::{Counts, Detector, Duplicates, Verdict};
use capture::live::source::Tally;
use capture::{Decoder, Fate, Frame, Message, Nanos, Packet, Place, Sink};

use super::batch::{Content, Item, Outlet};
use super::merge::Merge;
use super::spread::Spread;
use crate::feed::{Meter, Metered, Part};
use crate::packets::{Tap, flow_hash};
use crate::record::Records;
use crate::{Aggregator, Books, Stats};

/// Entries handled before a worker looks at anything else.
const STRIDE: usize = 4_096;

/// How far time goes on before it is told to those who wait for it.
const TICK: i64 = 20_000_000;

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// There may be more at once.
    Busy,
    /// Nothing to do now.
    Idle,
    /// Nothing comes any more.
    Ended,
}

/// What a worker counted since its start.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// By receiver.
    pub(super) books: Vec<Books>,
    /// Frames and microflows taken from the rings, by receiver.
    pub(super) taken: Vec<Tally>,
    pub(super) stats: Stats,
    /// Counters of the decoders.
    pub(super) decoders: Vec<(&'static str, u64)>,
    /// Packets read out of frames for other shards (their IP bytes), …
    pub(super) sent_on: Tally,
    /// … those of them that found a ring full, …
    pub(super) lost: Tally,
    /// … and those taken from other workers.
    pub(super) taken_over: Tally,
    /// Times a queue was not waited for.
    pub(super) overtaken: u64,
    /// Packets that came twice, by receiver.
    pub(super) duplicates: Vec<Counts>,
    /// Batches in the rings to this worker, and how many there may be.
    pub(super) rings: (u64, u64),
}

impl Counted {
    /// Adds what another worker counted.
    pub(super) fn add(&mut self, other: &Self) {
        let Self { books, taken, stats, decoders, sent_on, lost, taken_over, overtaken, duplicates, rings } = other;
        add_by_receiver(self, books, taken);
        self.add_duplicates(duplicates);
        self.stats.add(stats);
        self.decoders.extend_from_slice(decoders);
        self.sent_on += *sent_on;
        self.lost += *lost;
        self.taken_over += *taken_over;
        self.overtaken += overtaken;
        self.add_rings(*rings);
    }

    fn add_duplicates(&mut self, counts: &[Counts]) {
        self.duplicates.resize(counts.len().max(self.duplicates.len()), Counts::default());
        self.duplicates.iter_mut().zip(counts).for_each(|(sum, counts)| sum.add(counts));
    }

    const fn add_rings(&mut self, (used, limit): (u64, u64)) {
        self.rings = (self.rings.0 + used, self.rings.1 + limit);
    }
}

/// Looks for packets that come twice, by receiver.
pub(super) struct Twice {
    detector: Detector,
    what: Duplicates,
    counts: Vec<Counts>,
}

impl Twice {
    pub(super) fn new(seed: u64, what: Duplicates, receivers: usize) -> Self {
        Self { detector: Detector::new(seed, what), what, counts: vec![Counts::default(); receivers] }
    }

    /// A frame that is a copy, and to be left out.
    #[inline]
    fn leaves_out(&mut self, frame: &Frame<'_>, receiver: usize) -> bool {
        let Some(counts) = self.counts.get_mut(receiver) else { return false };
        self.detector.look(frame, counts) == Verdict::Copy && self.what == Duplicates::Remove
    }
}

/// What becomes of a copy that is left out.
const COPY: Fate = Fate::Filtered("duplicate");

/// The shard.
pub(super) struct Shard {
    merge: Merge,
    decoder: Decoder,
    aggregator: Aggregator,
    twice: Twice,
    /// To the packet store.
    tap: Option<Tap>,
    /// For those who watch.
    meter: Option<Meter>,
    /// Finished records, by kind, that were metered already.
    metered: [usize; 3],
    books: Vec<Books>,
    taken: Vec<Tally>,
    taken_over: Tally,
    told: i64,
    ended: bool,
}

impl Shard {
    pub(super) fn new(
        merge: Merge,
        receivers: usize,
        decoder: Decoder,
        aggregator: Aggregator,
        twice: Twice,
        meter: Option<Meter>,
    ) -> Self {
        Self {
            merge,
            decoder,
            aggregator,
            twice,
            tap: None,
            meter,
            metered: [0; 3],
            books: vec![Books::new(); receivers],
            taken: vec![Tally::default(); receivers],
            taken_over: Tally::default(),
            told: i64::MIN,
            ended: false,
        }
    }

    /// The way to the packet store.
    pub(super) fn set_tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    pub(super) fn step(&mut self) -> Step {
        if self.ended {
            return Step::Ended;
        }
        if let Some(tap) = &mut self.tap {
            tap.send_if_old();
        }
        let mut left = STRIDE;
        while left > 0 {
            let turn = match self.merge.turn() {
                Ok(turn) => turn,
                Err(Nanos(i64::MAX)) => {
                    self.finish();
                    return Step::Ended;
                }
                Err(passed) => {
                    self.tell(passed);
                    return if left == STRIDE { Step::Idle } else { Step::Busy };
                }
            };
            let Self { merge, decoder, aggregator, twice, tap, meter, books, taken, taken_over, .. } = self;
            let mut sink = Metered::new(aggregator, meter.as_mut());
            sink.wants_flow = tap.is_some();
            let Some(inlet) = merge.inlet(turn.inlet) else { return Step::Idle };
            while left > 0 && inlet.head().is_some_and(|head| head <= turn.until) {
                if let Some(microflows) = inlet.fresh() {
                    sink.aggregator.expect(microflows);
                }
                left -= 1;
                let Some(entry) = inlet.next() else { break };
                let receiver = usize::from(entry.receiver);
                let (Some(books), Some(taken)) = (books.get_mut(receiver), taken.get_mut(receiver)) else { continue };
                match inlet.item(&entry) {
                    Some(Item::Frame(frame)) => {
                        taken.add(frame.wire_len);
                        books.seen(frame.wire_len);
                        let is_copy = twice.leaves_out(&frame, receiver);
                        let fate = if is_copy { COPY } else { decoder.handle_frame(&frame, &mut sink) };
                        if let (Some(tap), false) = (tap.as_mut(), is_copy) {
                            tap.frame(entry.receiver, &frame, sink.flow.take());
                        }
                        books.fate(frame.wire_len, fate);
                    }
                    Some(Item::Packet(packet)) => {
                        taken_over.add(packet.ip_bytes);
                        sink.packet(packet);
                    }
                    Some(Item::Payload { packet, payload, frame_len }) => {
                        decoder.handle_payload_of(packet, payload, frame_len, &mut sink);
                    }
                    Some(Item::Microflow(microflow)) => {
                        let (a, b) = (&microflow.from_low, &microflow.from_high);
                        let (packets, wire) = (a.packets + b.packets, a.wire_bytes + b.wire_bytes);
                        *taken += Tally { packets, bytes: wire };
                        books.counted(packets, wire, a.ip_bytes + b.ip_bytes);
                        if microflow.tunnel.is_some() {
                            decoder.counted_in_tunnels(packets);
                        }
                        sink.microflow(microflow);
                    }
                    None => {}
                }
            }
        }
        Step::Busy
    }

    fn tell(&mut self, passed: Nanos) {
        if passed.0 == i64::MIN || passed.0 < self.told.saturating_add(TICK) {
            return;
        }
        self.told = passed.0;
        self.advance(passed);
    }

    fn advance(&mut self, to: Nanos) {
        let Self { decoder, aggregator, meter, .. } = self;
        decoder.advance(to, &mut Metered::new(aggregator, meter.as_mut()));
        self.aggregator.advance(to);
    }

    fn finish(&mut self) {
        if let Some(latest) = self.merge.latest() {
            self.advance(latest);
        }
        let Self { decoder, aggregator, meter, .. } = self;
        decoder.finish(&mut Metered::new(aggregator, meter.as_mut()));
        self.aggregator.finish();
        self.tap = None;
        self.ended = true;
    }

    /// How many records wait.
    pub(super) fn finished(&self) -> usize {
        self.aggregator.finished()
    }

    pub(super) fn take_records(&mut self) -> Records {
        self.meter_records();
        self.metered = [0; 3];
        self.aggregator.take_records()
    }

    /// Shows the meter what was finished since the last time.
    fn meter_records(&mut self) {
        let Some(meter) = &mut self.meter else { return };
        let Records { flow, dns, proxy, .. } = self.aggregator.records();
        let [flows, names, requests] = &mut self.metered;
        let new = |all: usize, seen: &mut usize| std::mem::replace(seen, all);
        let (flows, names, requests) = (new(flow.len(), flows), new(dns.len(), names), new(proxy.len(), requests));
        meter.records(
            flow.get(flows..).unwrap_or_default(),
            dns.get(names..).unwrap_or_default(),
            proxy.get(requests..).unwrap_or_default(),
        );
    }

    /// What was metered since the last call; `None` where nobody watches.
    pub(super) fn take_part(&mut self) -> Option<Part> {
        self.meter_records();
        self.meter.as_mut().map(Meter::take)
    }

    /// A part that could not be handed over.
    pub(super) fn put_back(&mut self, part: Part) {
        if let Some(meter) = &mut self.meter {
            meter.put_back(part);
        }
    }

    pub(super) fn count(&self, counted: &mut Counted) {
        let Self { merge, decoder, aggregator, twice, books, taken, taken_over, .. } = self;
        counted.add_rings(merge.fill());
        counted.add_duplicates(&twice.counts);
        add_by_receiver(counted, books, taken);
        counted.stats.add(&aggregator.stats());
        counted.decoders.extend(decoder.counters());
        counted.taken_over += *taken_over;
        counted.overtaken += merge.overtaken();
    }
}

fn add_by_receiver(counted: &mut Counted, books: &[Books], taken: &[Tally]) {
    counted.books.resize(books.len().max(counted.books.len()), Books::new());
    counted.taken.resize(taken.len().max(counted.taken.len()), Tally::default());
    counted.books.iter_mut().zip(books).for_each(|(sum, books)| sum.merge(books));
    counted.taken.iter_mut().zip(taken).for_each(|(sum, taken)| *sum += *taken);
}

/// The deep reader.
pub(super) struct Deep {
    merge: Merge,
    decoder: Decoder,
    twice: Twice,
    tap: Option<Tap>,
    onward: Onward,
    books: Vec<Books>,
    taken: Vec<Tally>,
    told: i64,
    ended: bool,
}

/// Hands what the deep reader reads to the shards.
struct Onward {
    spread: Spread,
    outlets: Vec<Outlet>,
    receiver: u16,
    sent: Tally,
    lost: Content,
    /// The flow of the packet that was read last.
    flow: Option<u64>,
}

impl Onward {
    fn outlet(&mut self, packet: &Packet) -> Option<&mut Outlet> {
        let (a, b) = Place::of_packet(packet);
        let shard = self.spread.shard(a, b);
        self.outlets.get_mut(shard)
    }

    fn flush(&mut self, complete: Nanos) {
        for outlet in &mut self.outlets {
            self.lost += outlet.send();
            outlet.complete_to(complete);
        }
    }
}

impl Sink for Onward {
    fn packet(&mut self, packet: &Packet) {
        let receiver = self.receiver;
        self.flow = Some(flow_hash(packet));
        self.sent.add(packet.ip_bytes);
        if let Some(outlet) = self.outlet(packet) {
            outlet.batch().packet(receiver, packet);
            let lost = outlet.send_if_full();
            self.lost += lost;
        }
    }

    fn message(&mut self, _: Message) {
        // Every payload is taken below, and messages come from payloads alone.
        debug_assert!(false, "a message where payloads are handed on");
    }

    fn payload(&mut self, packet: &Packet, payload: &[u8], frame_len: u32) -> bool {
        let receiver = self.receiver;
        if let Some(outlet) = self.outlet(packet) {
            outlet.batch().payload(receiver, packet, payload, frame_len);
            let lost = outlet.send_if_full();
            self.lost += lost;
        }
        true
    }
}

impl Deep {
    pub(super) fn new(
        merge: Merge,
        receivers: usize,
        decoder: Decoder,
        twice: Twice,
        spread: Spread,
        outlets: Vec<Outlet>,
    ) -> Self {
        Self {
            merge,
            decoder,
            twice,
            tap: None,
            onward: Onward {
                spread,
                outlets,
                receiver: 0,
                sent: Tally::default(),
                lost: Content::default(),
                flow: None,
            },
            books: vec![Books::new(); receivers],
            taken: vec![Tally::default(); receivers],
            told: i64::MIN,
            ended: false,
        }
    }

    /// The way to the packet store.
    pub(super) fn set_tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    pub(super) fn step(&mut self) -> Step {
        if self.ended {
            return Step::Ended;
        }
        if let Some(tap) = &mut self.tap {
            tap.send_if_old();
        }
        let (mut left, mut last) = (STRIDE, None);
        while left > 0 {
            let turn = match self.merge.turn() {
                Ok(turn) => turn,
                Err(Nanos(i64::MAX)) => {
                    let latest = self.merge.latest();
                    if let Some(latest) = latest {
                        self.decoder.advance(latest, &mut self.onward);
                    }
                    self.decoder.finish(&mut self.onward);
                    latest.into_iter().for_each(|latest| self.onward.flush(latest));
                    self.onward.flush(Nanos(i64::MAX));
                    self.tap = None;
                    self.ended = true;
                    return Step::Ended;
                }
                Err(passed) => {
                    if passed.0 != i64::MIN {
                        if passed.0 >= self.told.saturating_add(TICK) {
                            self.told = passed.0;
                            self.decoder.advance(passed, &mut self.onward);
                        }
                        self.onward.flush(passed);
                    }
                    return if left == STRIDE { Step::Idle } else { Step::Busy };
                }
            };
            let Self { merge, decoder, twice, tap, onward, books, taken, .. } = self;
            let Some(inlet) = merge.inlet(turn.inlet) else { return Step::Idle };
            while left > 0 && inlet.head().is_some_and(|head| head <= turn.until) {
                left -= 1;
                let Some(entry) = inlet.next() else { break };
                let receiver = usize::from(entry.receiver);
                let (Some(books), Some(taken)) = (books.get_mut(receiver), taken.get_mut(receiver)) else { continue };
                if let Some(Item::Frame(frame)) = inlet.item(&entry) {
                    onward.receiver = entry.receiver;
                    taken.add(frame.wire_len);
                    books.seen(frame.wire_len);
                    let is_copy = twice.leaves_out(&frame, receiver);
                    let fate = if is_copy { COPY } else { decoder.handle_frame(&frame, onward) };
                    if let (Some(tap), false) = (tap.as_mut(), is_copy) {
                        tap.frame(entry.receiver, &frame, onward.flow.take());
                    }
                    books.fate(frame.wire_len, fate);
                    last = Some(entry.ts);
                }
            }
        }
        // Not at each turn: queues that take turns would make a batch of every frame, and fill the rings with them.
        if let Some(Nanos(last)) = last {
            // Entries of the same time may follow.
            self.onward.flush(Nanos(last.saturating_sub(1)));
        }
        Step::Busy
    }

    pub(super) fn count(&self, counted: &mut Counted) {
        let Self { merge, decoder, twice, onward, books, taken, .. } = self;
        counted.add_rings(merge.fill());
        counted.add_duplicates(&twice.counts);
        add_by_receiver(counted, books, taken);
        counted.decoders.extend(decoder.counters());
        counted.sent_on += onward.sent;
        counted.lost += onward.lost.read;
        counted.overtaken += merge.overtaken();
    }
}
