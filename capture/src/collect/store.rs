//! What is remembered of each exporter: templates, sampling, where its numbering is, and data that waits for a template.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

// Each datagram is looked up some six times: its hash takes a fifth of the standard library's, and is seeded as well.
use hashbrown::HashMap;

use super::build::Head;
use super::counters::CollectCounters;
use super::flow::Protocol;
use super::numbering::{ExporterTally, Numbering};
use super::template::{Kind, Template};
use crate::Nanos;

/// Bounds of a [`Collector`](super::Collector). What happens at each has a counter in [`CollectCounters`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CollectLimits {
    /// Exporters (address, protocol and observation domain) remembered; past it the one silent for longest is forgotten. 4,096.
    pub max_exporters: usize,
    /// Templates of one exporter; past it the one unused for longest is forgotten. 512.
    pub max_templates: usize,
    /// Bytes of all templates of all exporters, same rule within the exporter that sends more. 64 MiB.
    pub max_template_bytes: usize,
    /// Fields of one template; one with more is refused. 512.
    pub max_fields: usize,
    /// Samplers remembered of one exporter. 1,024.
    pub max_samplers: usize,
    /// How long a template is good that is neither sent again nor used, seconds of receive time. A week.
    pub template_age: u32,
    /// Bytes of data sets that wait for their template, of one exporter. 256 KiB.
    pub max_waiting: usize,
    /// The same of all exporters. 16 MiB.
    pub max_waiting_total: usize,
    /// How long they wait, seconds. 30 minutes.
    pub waiting_age: u32,
}

impl Default for CollectLimits {
    fn default() -> Self {
        Self {
            max_exporters: 4_096,
            max_templates: 512,
            max_template_bytes: 64 << 20,
            max_fields: 512,
            max_samplers: 1_024,
            template_age: 7 * 86_400,
            max_waiting: 256 << 10,
            max_waiting_total: 16 << 20,
            waiting_age: 1_800,
        }
    }
}

/// Who numbers templates: sender, protocol and observation domain. The sender's port is no part of it: exporters change it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct ExporterKey {
    pub(super) address: IpAddr,
    pub(super) protocol: Protocol,
    pub(super) domain: u32,
}

/// A data set without its template.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: u16,
    pub(super) head: Head,
    pub(super) bytes: Box<[u8]>,
}

/// A template as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) template: Arc<Template>,
    /// Its record as it came; empty where it is remembered from before.
    announced: Box<[u8]>,
    /// Sent or used last.
    pub(super) used: Nanos,
}

impl Kept {
    /// Memory it takes, roughly.
    fn bytes(&self) -> usize {
        self.template.bytes() + self.announced.len()
    }
}

/// One exporter.
#[derive(Debug, Default)]
pub(super) struct Exporter {
    pub(super) templates: HashMap<u16, Kept>,
    pub(super) samplers: HashMap<u64, u32>,
    /// Of options data that names no sampler.
    pub(super) sampling: Option<u32>,
    /// Interval that options data with a sampler gave last, for records that name none.
    pub(super) only_sampler: Option<u32>,
    pub(super) system_init: Option<Nanos>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) waiting_bytes: usize,
    pub(super) seen: Nanos,
    pub(super) numbering: Numbering,
}

impl Exporter {
    /// One packet in how many was counted, by what the record names.
    pub(super) fn sampling(&self, sampler: Option<u64>) -> u32 {
        let named = sampler.and_then(|id| self.samplers.get(&id).copied());
        let single = || self.only_sampler.filter(|_| self.samplers.len() == 1 && sampler.is_none_or(|id| id == 0));
        named.or(self.sampling).or_else(single).unwrap_or(1).max(1)
    }
}

/// All exporters.
#[derive(Debug, Default)]
pub(super) struct Store {
    exporters: HashMap<ExporterKey, Exporter>,
    template_bytes: usize,
    waiting_bytes: usize,
    moved: bool,
    /// What the forgotten did since they were asked for; at most [`FORGOTTEN`].
    forgotten: Vec<(ExporterKey, ExporterTally)>,
}

/// Where nobody asks (a file), no more are kept.
const FORGOTTEN: usize = 4_096;

impl Store {
    /// The exporter, made if it is new.
    pub(super) fn exporter(
        &mut self,
        key: ExporterKey,
        now: Nanos,
        limits: &CollectLimits,
        counters: &mut CollectCounters,
    ) -> &mut Exporter {
        if self.exporters.len() >= limits.max_exporters.max(1) && !self.exporters.contains_key(&key) {
            self.forget_oldest(counters);
        }
        let exporter = self.exporters.entry(key).or_default();
        exporter.seen = exporter.seen.max(now);
        self.moved = true;
        exporter
    }

    /// The numbering of those that sent something since the last call.
    pub(super) fn moved(&mut self) -> impl Iterator<Item = (ExporterKey, &mut Numbering)> {
        let moved = std::mem::take(&mut self.moved);
        let all = self.exporters.iter_mut().map(|(key, exporter)| (*key, &mut exporter.numbering));
        all.filter(move |(_, numbering)| moved && numbering.moved)
    }

    /// Exporters that made room for others since the last call, and what each did that was not told.
    pub(super) fn take_forgotten(&mut self) -> Vec<(ExporterKey, ExporterTally)> {
        std::mem::take(&mut self.forgotten)
    }

    pub(super) fn forgotten(&self) -> usize {
        self.forgotten.len()
    }

    pub(super) fn get(&self, key: &ExporterKey) -> Option<&Exporter> {
        self.exporters.get(key)
    }

    #[cold]
    fn forget_oldest(&mut self, counters: &mut CollectCounters) {
        let oldest = self.exporters.iter().min_by_key(|(key, exporter)| (exporter.seen, **key)).map(|(key, _)| *key);
        if let Some((key, gone)) = oldest.and_then(|key| self.exporters.remove_entry(&key)) {
            if self.forgotten.len() < FORGOTTEN {
                self.forgotten.push((key, gone.numbering.tally));
            }
            counters.exporters_evicted += 1;
            counters.sets_lost += gone.waiting.len() as u64;
            counters.bytes_lost += gone.waiting_bytes as u64;
            self.waiting_bytes = self.waiting_bytes.saturating_sub(gone.waiting_bytes);
            let bytes: usize = gone.templates.values().map(Kept::bytes).sum();
            self.template_bytes = self.template_bytes.saturating_sub(bytes);
        }
    }

    /// The template of a data set, which is thereby used.
    pub(super) fn template(&mut self, key: &ExporterKey, id: u16, now: Nanos) -> Option<Arc<Template>> {
        let kept = self.exporters.get_mut(key)?.templates.get_mut(&id)?;
        kept.used = kept.used.max(now);
        Some(Arc::clone(&kept.template))
    }

    /// Whether these bytes begin with a template record that is known, byte by byte: gives its length. Some exporters send
    /// their templates with each datagram.
    pub(super) fn repeats(&mut self, key: &ExporterKey, kind: Kind, set: &[u8], now: Nanos) -> Option<usize> {
        let id = u16::from_be_bytes(*set.first_chunk()?);
        let kept = self.exporters.get_mut(key)?.templates.get_mut(&id)?;
        let len = kept.announced.len();
        if len == 0 || kept.template.kind != kind || set.get(..len)? != &*kept.announced {
            return None;
        }
        kept.used = kept.used.max(now);
        Some(len)
    }

    /// Keeps a template, whose record came as `announced`.
    #[expect(clippy::too_many_arguments, reason = "what, of whom, when, within which limits")]
    pub(super) fn learn(
        &mut self,
        key: ExporterKey,
        id: u16,
        template: Template,
        announced: &[u8],
        now: Nanos,
        limits: &CollectLimits,
        counters: &mut CollectCounters,
    ) {
        let Self { exporters, template_bytes, .. } = self;
        let Some(exporter) = exporters.get_mut(&key) else { return };
        counters.templates_learnt += 1;
        if let Some(kept) = exporter.templates.get_mut(&id) {
            kept.used = kept.used.max(now);
            if *kept.template == template {
                *template_bytes = (*template_bytes + announced.len()).saturating_sub(kept.announced.len());
                kept.announced = announced.into();
                return;
            }
        }
        let kept = Kept { template: Arc::new(template), announced: announced.into(), used: now };
        let bytes = kept.bytes();
        let old = exporter.templates.insert(id, kept);
        *template_bytes = (*template_bytes + bytes).saturating_sub(old.map_or(0, |kept| kept.bytes()));
        while exporter.templates.len() > limits.max_templates.max(1)
            || *template_bytes > limits.max_template_bytes && exporter.templates.len() > 1
        {
            let oldest = exporter.templates.iter().filter(|(other, _)| **other != id);
            let Some(oldest) = oldest.min_by_key(|(other, kept)| (kept.used, **other)).map(|(other, _)| *other) else {
                break;
            };
            if let Some(gone) = exporter.templates.remove(&oldest) {
                *template_bytes = template_bytes.saturating_sub(gone.bytes());
                counters.templates_evicted += 1;
            }
        }
    }

    /// Forgets a template, or all (`id` 2 and 3: all data or options templates; RFC 7011, 8.1).
    pub(super) fn withdraw(&mut self, key: &ExporterKey, id: u16, counters: &mut CollectCounters) {
        let Some(exporter) = self.exporters.get_mut(key) else { return };
        let goes = |other: u16, kept: &Kept| match id {
            2 => kept.template.kind == Kind::Data,
            3 => kept.template.kind == Kind::Options,
            id => id == other,
        };
        let template_bytes = &mut self.template_bytes;
        exporter.templates.retain(|other, kept| {
            let goes = goes(*other, kept);
            if goes {
                *template_bytes = template_bytes.saturating_sub(kept.bytes());
                counters.templates_withdrawn += 1;
            }
            !goes
        });
    }

    /// Keeps a data set until its template comes.
    pub(super) fn wait(
        &mut self,
        key: &ExporterKey,
        waiting: Waiting,
        limits: &CollectLimits,
        counters: &mut CollectCounters,
    ) {
        counters.sets_without_template += 1;
        let Some(exporter) = self.exporters.get_mut(key) else { return };
        exporter.numbering.tally.without_template += 1;
        let bytes = waiting.bytes.len() + size_of::<Waiting>();
        // The oldest of this exporter make room; those of others are not touched.
        while exporter.waiting_bytes + bytes > limits.max_waiting
            || self.waiting_bytes + bytes > limits.max_waiting_total
        {
            let Some(oldest) = exporter.waiting.pop_front() else {
                counters.sets_lost += 1;
                counters.bytes_lost += waiting.bytes.len() as u64;
                return;
            };
            let freed = oldest.bytes.len() + size_of::<Waiting>();
            exporter.waiting_bytes = exporter.waiting_bytes.saturating_sub(freed);
            self.waiting_bytes = self.waiting_bytes.saturating_sub(freed);
            counters.sets_lost += 1;
            counters.bytes_lost += oldest.bytes.len() as u64;
        }
        exporter.waiting_bytes += bytes;
        self.waiting_bytes += bytes;
        exporter.waiting.push_back(waiting);
    }

    /// Takes what waited for this template, in order.
    pub(super) fn waited_for(&mut self, key: &ExporterKey, id: u16) -> Vec<Waiting> {
        let Some(exporter) = self.exporters.get_mut(key) else { return Vec::new() };
        if exporter.waiting.is_empty() {
            return Vec::new();
        }
        let (ready, still): (Vec<_>, VecDeque<_>) =
            std::mem::take(&mut exporter.waiting).into_iter().partition_map(|waiting| waiting.id == id);
        exporter.waiting = still;
        let freed: usize = ready.iter().map(|w| w.bytes.len() + size_of::<Waiting>()).sum();
        exporter.waiting_bytes = exporter.waiting_bytes.saturating_sub(freed);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(freed);
        ready
    }

    /// Gives up what waited for too long, and templates that are too old.
    pub(super) fn expire(&mut self, now: Nanos, limits: &CollectLimits, counters: &mut CollectCounters) {
        let before = |age: u32| Nanos(now.0.saturating_sub(i64::from(age) * 1_000_000_000));
        let (waiting, templates) = (before(limits.waiting_age), before(limits.template_age));
        for exporter in self.exporters.values_mut() {
            while let Some(oldest) = exporter.waiting.pop_front_if(|oldest| oldest.head.received < waiting) {
                let freed = oldest.bytes.len() + size_of::<Waiting>();
                exporter.waiting_bytes = exporter.waiting_bytes.saturating_sub(freed);
                self.waiting_bytes = self.waiting_bytes.saturating_sub(freed);
                counters.sets_lost += 1;
                counters.bytes_lost += oldest.bytes.len() as u64;
            }
            exporter.templates.retain(|_, kept| {
                let stays = kept.used >= templates;
                if !stays {
                    self.template_bytes = self.template_bytes.saturating_sub(kept.bytes());
                    counters.templates_expired += 1;
                }
                stays
            });
        }
    }

    /// Data sets that still wait, and their bytes: lost, if this is the end.
    pub(super) fn waiting(&self) -> (u64, u64) {
        let all = self.exporters.values().flat_map(|exporter| &exporter.waiting);
        all.fold((0, 0), |(sets, bytes), w| (sets + 1, bytes + w.bytes.len() as u64))
    }

    /// Every exporter with something to remember over a restart, in order.
    pub(super) fn remembered(&self) -> Vec<(&ExporterKey, &Exporter)> {
        let worth = |(_, e): &(&ExporterKey, &Exporter)| {
            !e.templates.is_empty() || !e.samplers.is_empty() || e.sampling.is_some()
        };
        let mut all: Vec<_> = self.exporters.iter().filter(worth).collect();
        all.sort_by_key(|(key, _)| **key);
        all
    }
}

trait PartitionMap: Iterator + Sized {
    fn partition_map(self, is_first: impl Fn(&Self::Item) -> bool) -> (Vec<Self::Item>, VecDeque<Self::Item>) {
        let (mut first, mut second) = (Vec::new(), VecDeque::new());
        self.for_each(|item| if is_first(&item) { first.push(item) } else { second.push_back(item) });
        (first, second)
    }
}

impl<I: Iterator> PartitionMap for I {}
