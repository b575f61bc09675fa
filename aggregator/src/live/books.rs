//! The books of live capture: what receivers, workers and the writer counted, put together, checked and named.
//!
//! Rows with a queue are that queue's; the others belong to all interfaces of the capture. A row's value is that of its
//! interval, so values may be summed; only stocks (`in_…`, `….live`, `….waiting`, `table.doublings`) are as they are at the end of the
//! interval. Beside the terms of [`QueueBooks`], each for `packets.` and `bytes.` on the wire:
//!
//! | counter | meaning |
//! |---|---|
//! | `handed_over` | what the receiver handed over, frames and microflows: `received + swept + received_from_ring` of the source |
//! | `lost_shard_ring`, `in_shard_ring` | of those: found the ring to their shard full; are in it |
//! | `received`, `not_ip`, `malformed` | of those: counted in a flow, and the other fates, with their causes |
//! | `sent_on`, `lost_onward_ring`, `in_onward_ring` | packets read out of tunnels and fragments for another shard; of those, found its ring full; are in it |
//! | `lost_at_crash` | of a capture before that was killed: of a queue, what its process had taken from the kernel and no ledger tells of; of the capture as a whole, what was in flows that were not written |
//! | `…lost_on_write` | finished records that could not be written (disk full), their packets and bytes |
//! | `duplicates.judged`, `.copies`, `.unclear`, `.forgotten` | packets looked at for their copies; see [`capture::duplicate`]. Those left out are `packets.filtered.duplicate` |
//! | `flows.halves_by_vlan` | with the VLAN id in the key: flows that are one direction of a connection whose other direction is in another VLAN |
//! | `packets.store.offered` = `.stored` + `.cut_off` + `.lost_queue` + `.lost_disk` | packets that were to be kept as they are |
//! | `queues_overtaken` | times a queue said nothing for so long that the others were not kept waiting |

use std::collections::BTreeMap;

use capture::live::source::{QueueBooks, QueueName, Survivor, Tally};

use super::crash::Losses;
use super::worker::Counted;
use crate::{Books, Stats};

/// What a receiver counted since its start.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceiverCount {
    pub(super) queue: QueueBooks,
    pub(super) handed: Tally,
    pub(super) lost: Tally,
    pub(super) errors: u64,
    /// Of what outlives the process.
    pub(super) survivors: Vec<Survivor>,
}

/// What could not be written, and what could.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Written {
    pub(super) flows: u64,
    pub(super) packets: u64,
    pub(super) ip_bytes: u64,
    pub(super) dns: u64,
    pub(super) dhcp: u64,
    pub(super) proxy: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        let Self { flows, packets, ip_bytes, dns, dhcp, proxy } = other;
        self.flows += flows;
        self.packets += packets;
        self.ip_bytes += ip_bytes;
        self.dns += dns;
        self.dhcp += dhcp;
        self.proxy += proxy;
    }
}

/// Everything that was counted up to one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) receivers: Vec<ReceiverCount>,
    pub(super) workers: Counted,
    pub(super) written: Written,
    pub(super) lost: Written,
    pub(super) write_errors: u64,
    /// Flows that are one direction of a connection, the other being in another VLAN.
    pub(super) halves: u64,
    /// Counters of the packet store; none without one.
    pub(super) store: Vec<(&'static str, u64)>,
    /// Of a capture before this one that was killed.
    pub(super) losses: Losses,
}

/// Name and value of each counter of one queue, or of the capture.
pub(super) type Named = BTreeMap<String, u64>;

fn is_stock(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.starts_with("in_") || last == "live" || last.ends_with("waiting") || name == "table.doublings"
}

/// What an interval brought: differences, but stocks as they are. Causes that stayed 0 are left out.
pub(super) fn since(before: &Named, now: &Named) -> Named {
    let changed = |(name, value): (&String, &u64)| {
        let was = before.get(name).copied().unwrap_or(0);
        let value = if is_stock(name) { *value } else { value.saturating_sub(was) };
        (value > 0 || is_always_told(name)).then(|| (name.clone(), value))
    };
    now.iter().filter_map(changed).collect()
}

/// Said also when 0: that nothing came, or nothing was lost, is what the ledger is for.
fn is_always_told(name: &str) -> bool {
    matches!(
        name,
        "packets.offered"
            | "packets.missed_before_probe"
            | "packets.seen"
            | "bytes.seen"
            | "packets.received"
            | "bytes.received"
            | "packets.lost_shard_ring"
    )
}

impl Snapshot {
    /// Flows, packets and IP bytes that a shard has counted and that are neither written nor lost.
    pub(super) fn under_way(&self) -> (u64, u64, u64) {
        let Counted { stats, .. } = &self.workers;
        let (written, lost, onward) = (&self.written, &self.lost, self.in_onward_ring());
        (
            stats.flows_opened.saturating_sub(written.flows + lost.flows),
            (stats.packets_in + onward.packets).saturating_sub(written.packets + lost.packets),
            (stats.bytes_in + onward.bytes).saturating_sub(written.ip_bytes + lost.ip_bytes),
        )
    }

    /// In the rings between a receiver and the shards.
    pub(super) fn in_shard_ring(&self, at: usize) -> Tally {
        let (Some(receiver), taken) = (self.receivers.get(at), self.taken(at)) else { return Tally::default() };
        let left = |of: fn(&Tally) -> u64| of(&receiver.handed).saturating_sub(of(&receiver.lost) + of(&taken));
        Tally { packets: left(|t| t.packets), bytes: left(|t| t.bytes) }
    }

    fn taken(&self, at: usize) -> Tally {
        self.workers.taken.get(at).copied().unwrap_or_default()
    }

    fn in_onward_ring(&self) -> Tally {
        let Counted { sent_on, lost, taken_over, .. } = &self.workers;
        let left = |of: fn(&Tally) -> u64| of(sent_on).saturating_sub(of(lost) + of(taken_over));
        Tally { packets: left(|t| t.packets), bytes: left(|t| t.bytes) }
    }

    /// The counters of one queue.
    pub(super) fn queue(&self, at: usize) -> Named {
        let mut out = Named::new();
        let mut put = |name: &str, tally: Tally| {
            out.insert(format!("packets.{name}"), tally.packets);
            out.insert(format!("bytes.{name}"), tally.bytes);
        };
        let Some(receiver) = self.receivers.get(at) else { return out };
        for (name, tally) in receiver.queue.terms() {
            match name {
                // The name is that of the flows' fate in the ledger.
                "received" => put("received_by_socket", tally),
                "not_ip" | "malformed" => (),
                _ => put(name, tally),
            }
        }
        put("handed_over", receiver.handed);
        put("lost_shard_ring", receiver.lost);
        put("in_shard_ring", self.in_shard_ring(at));
        let told = self.losses.queues.get(at).copied().unwrap_or_default();
        put("lost_at_crash", receiver.queue.lost_at_crash().plus(told));
        for (name, value) in &receiver.queue.explained {
            out.insert((*name).to_owned(), *value);
        }
        out.insert("receive_errors".to_owned(), receiver.errors);
        if let Some(books) = self.workers.books.get(at) {
            let of_frames =
                |name: &str| !matches!(name, "packets.seen" | "bytes.seen" | "packets.filtered" | "bytes.filtered");
            out.extend(books.counters().into_iter().filter(|(name, _)| of_frames(name)));
        }
        if let Some(twice) = self.workers.duplicates.get(at) {
            out.extend(twice.counters().map(|(name, value)| (name.to_owned(), value)));
        }
        // Dropped early or, of packets that came twice, here: one fate.
        let left_out = self.workers.books.get(at).map(Books::filtered).unwrap_or_default();
        *out.entry("packets.filtered".to_owned()).or_default() += left_out.packets;
        *out.entry("bytes.filtered".to_owned()).or_default() += left_out.bytes;
        // Told in the kernel or here: one fate.
        for (name, in_kernel) in [("not_ip", receiver.queue.not_ip), ("malformed", receiver.queue.malformed)] {
            *out.entry(format!("packets.{name}")).or_default() += in_kernel.packets;
            *out.entry(format!("bytes.{name}")).or_default() += in_kernel.bytes;
        }
        out
    }

    /// The counters of the capture as a whole.
    pub(super) fn whole(&self) -> Named {
        let Counted { stats, decoders, sent_on, lost, overtaken, .. } = &self.workers;
        let mut out = Named::new();
        for (name, value) in stats.counters().iter().chain(decoders) {
            *out.entry((*name).to_owned()).or_default() += value;
        }
        let in_ring = self.in_onward_ring();
        for (name, tally) in [("sent_on", sent_on), ("lost_onward_ring", lost), ("in_onward_ring", &in_ring)] {
            out.insert(format!("packets.{name}"), tally.packets);
            out.insert(format!("ip_bytes.{name}"), tally.bytes);
        }
        let Losses { flows, packets, ip_bytes, .. } = self.losses;
        for (unit, value) in [("flows", flows), ("packets", packets), ("ip_bytes", ip_bytes)] {
            out.insert(format!("{unit}.lost_at_crash"), value);
        }
        let Written { flows, packets, ip_bytes, dns, dhcp, proxy } = self.lost;
        for (name, value) in [
            ("queues_overtaken", *overtaken),
            ("write_errors", self.write_errors),
            ("flows.halves_by_vlan", self.halves),
            ("flows.lost_on_write", flows),
            ("packets.lost_on_write", packets),
            ("ip_bytes.lost_on_write", ip_bytes),
            ("dns.lost_on_write", dns),
            ("dhcp.lost_on_write", dhcp),
            ("http.lost_on_write", proxy),
        ] {
            out.insert(name.to_owned(), value);
        }
        out.extend(self.store.iter().map(|(name, value)| ((*name).to_owned(), *value)));
        out
    }

    /// Every equation that does not hold. `at_end`: nothing may be on its way any more.
    pub(super) fn imbalances(&self, names: &[QueueName], at_end: bool) -> Vec<String> {
        let mut open = Vec::new();
        let mut all = Books::new();
        for (at, (receiver, name)) in self.receivers.iter().zip(names).enumerate() {
            let name = format!("{} queue {}", name.interface, name.queue);
            let ReceiverCount { queue, handed, lost, .. } = receiver;
            let early = &queue.in_open_generation;
            open.extend(queue.imbalances().iter().map(|e| format!("{name}: {e}")));
            let taken = self.taken(at);
            for (unit, of) in [("packets", (|t| t.packets) as fn(&Tally) -> u64), ("bytes", |t| t.bytes)] {
                let mut check = |equation: &str, left: u64, right: u64, holds: bool| {
                    if !holds {
                        open.push(format!("{name}: {unit} of {equation}: {left} on the left, {right} on the right"));
                    }
                };
                let (left, right) =
                    (of(&queue.received) + of(&queue.swept) + of(&queue.received_from_ring) + of(early), of(handed));
                let equation = "received + swept + received_from_ring + in_open_generation = handed_over";
                check(equation, left, right, left == right);
                let (left, right) = (of(handed), of(lost) + of(&taken));
                let equation = "handed_over = lost_shard_ring + in_shard_ring + taken";
                check(equation, left, right, if at_end { left == right } else { left >= right });
            }
            if let Some(books) = self.workers.books.get(at) {
                all.merge(books);
            }
        }
        // While packets are between two workers, only the end can tell.
        if at_end || self.workers.sent_on.packets == 0 {
            let Counted { lost, .. } = self.workers;
            all.lost_before_flows(lost.packets, lost.bytes);
            let mut stats = self.workers.stats;
            if let Err(found) = all.close(&stats) {
                open.extend(found.iter().map(ToString::to_string));
            }
            if at_end {
                open.extend(self.unwritten(&mut stats));
            }
        }
        if at_end {
            open.extend(self.unkept());
        }
        open
    }

    /// At the end every packet that was to be kept is, or has its counter.
    fn unkept(&self) -> Option<String> {
        let of = |name: &str| {
            self.store.iter().filter(|(n, _)| *n == format!("packets.store.{name}")).map(|(_, v)| v).sum::<u64>()
        };
        let (left, right) =
            (of("offered"), ["stored", "cut_off", "lost_queue", "lost_disk"].map(of).iter().sum::<u64>());
        (left != right).then(|| {
            format!(
                "packets.store.offered = stored + cut_off + lost_queue + lost_disk: {left} on the left, {right} on the right"
            )
        })
    }

    /// At the end everything exported is written or counted as lost.
    fn unwritten(&self, stats: &mut Stats) -> Vec<String> {
        let mut sum = self.written;
        sum += self.lost;
        let equations = [
            ("flows.exported = written + lost_on_write", stats.flows_exported(), sum.flows),
            ("packets.exported = written + lost_on_write", stats.packets_exported, sum.packets),
            ("ip_bytes.exported = written + lost_on_write", stats.bytes_exported, sum.ip_bytes),
        ];
        let open = equations.into_iter().filter(|(_, left, right)| left != right);
        open.map(|(equation, left, right)| format!("{equation}: {left} on the left, {right} on the right")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[(&str, u64)]) -> Named {
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn intervals_are_differences_and_stocks_are_as_they_are() {
        let before =
            named(&[("packets.seen", 100), ("packets.in_cache", 7), ("flows.live", 5), ("packets.not_ip.arp", 3)]);
        let now = named(&[
            ("packets.seen", 100),
            ("packets.in_cache", 4),
            ("flows.live", 5),
            ("packets.not_ip.arp", 3),
            ("packets.received", 9),
        ]);
        let expected =
            named(&[("packets.seen", 0), ("packets.in_cache", 4), ("flows.live", 5), ("packets.received", 9)]);
        assert_eq!(since(&before, &now), expected);
    }

    /// Each loss that nobody counted opens an equation.
    #[test]
    fn nothing_is_lost_between_receiver_and_lake_without_an_open_equation() {
        let tally = |packets: u64| Tally { packets, bytes: packets * 100 };
        let mut books = Books::new();
        for _ in 0..80 {
            books.seen(100);
            books.fate(100, capture::Fate::Received { ip_bytes: 86 });
        }
        let queue = QueueBooks {
            offered: tally(110),
            missed_before_probe: Tally { packets: 10, bytes: 0 },
            seen: tally(100),
            passed: tally(100),
            to_slow_path: tally(100),
            received: tally(100),
            ..QueueBooks::default()
        };
        let stats = Stats {
            packets_in: 80,
            bytes_in: 80 * 86,
            packets_exported: 80,
            bytes_exported: 80 * 86,
            flows_opened: 3,
            flows_forced: 3,
            ..Stats::default()
        };
        let written = Written { flows: 3, packets: 80, ip_bytes: 80 * 86, ..Written::default() };
        let closed = Snapshot {
            receivers: vec![ReceiverCount { queue, handed: tally(100), lost: tally(20), ..ReceiverCount::default() }],
            workers: Counted { books: vec![books], taken: vec![tally(80)], stats, ..Counted::default() },
            written,
            ..Snapshot::default()
        };
        let names = [QueueName { interface: "eth0".into(), queue: 0 }];
        assert_eq!(closed.imbalances(&names, true), Vec::<String>::new());
        type Loss = fn(&mut Snapshot);
        let losses: [(&str, Loss); 6] = [
            ("offered =", |s| s.receivers[0].queue.offered.packets += 1),
            ("seen =", |s| s.receivers[0].queue.seen.bytes += 1),
            ("= handed_over", |s| s.receivers[0].handed.packets -= 1),
            ("handed_over =", |s| s.receivers[0].lost.packets -= 1),
            ("packets.received =", |s| s.workers.stats.packets_in -= 1),
            ("flows.exported =", |s| s.written.flows -= 1),
        ];
        for (equation, loss) in losses {
            let mut snapshot = closed.clone();
            loss(&mut snapshot);
            let open = snapshot.imbalances(&names, true);
            assert!(open.iter().any(|text| text.contains(equation)), "{equation}: {open:?}");
        }
        // On their way, not lost.
        let mut underway = closed.clone();
        underway.receivers[0].lost = tally(15);
        assert_eq!(underway.imbalances(&names, false), Vec::<String>::new());
        assert_eq!(underway.queue(0)["packets.in_shard_ring"], 5);
    }
}
