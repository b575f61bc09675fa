//! What collecting met on the way; the ledger's names.

/// Counters of a [`Collector`](super::Collector), since its start.
///
/// | counter | meaning |
/// |---|---|
/// | `datagrams.seen`, `bytes.seen` | datagrams (messages on a stream) handed over, and their bytes |
/// | `datagrams.netflow1` … `datagrams.sflow` | of those: read as this protocol |
/// | `datagrams.not_an_export`, `datagrams.cut` | of those: of no known version; header cut or lengths senseless |
/// | `export.flows` | flows handed over |
/// | `export.messages`, `export.interfaces` | application messages in sampled packets; interface counter samples |
/// | `rows.seen`, `rows.without_addresses`, `rows.without_counters` | data records; those that name no two ends (no flow); flows that count nothing (events) |
/// | `rows.options` | data records of options templates |
/// | `samples.seen`, `samples.unreadable` | sampled packets; those with no readable IP header |
/// | `sets.bad`, `sets.cut` | sets with a senseless length; sets that go beyond their message |
/// | `templates.learnt`, `.withdrawn`, `.refused`, `.evicted`, `.expired` | templates |
/// | `sets.without_template` | data sets whose template had not come |
/// | `sets.late`, `sets.lost_without_template`, `bytes.lost_without_template` | of those: decoded later; given up (age or room) |
/// | `exporters.evicted` | exporters forgotten for room |
/// | `sequence.lost` | flows (v5, v7), datagrams (v9, sFlow) or data records (IPFIX) missing by the exporters' numbering |
/// | `sequence.lost_over_restart` | of those: sent while the collector was down, or received before a crash and not stored |
/// | `sequence.reordered`, `sequence.restarts` | numbers a little behind; numbering begun anew |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the table has them")]
pub struct CollectCounters {
    pub datagrams: u64,
    pub bytes: u64,
    pub netflow1: u64,
    pub netflow5: u64,
    pub netflow7: u64,
    pub netflow9: u64,
    pub ipfix: u64,
    pub sflow: u64,
    pub not_an_export: u64,
    pub cut: u64,
    pub flows: u64,
    pub messages: u64,
    pub interfaces: u64,
    pub rows: u64,
    pub rows_without_addresses: u64,
    pub rows_without_counters: u64,
    pub rows_options: u64,
    pub samples: u64,
    pub samples_unreadable: u64,
    pub sets_bad: u64,
    pub sets_cut: u64,
    pub templates_learnt: u64,
    pub templates_withdrawn: u64,
    pub templates_refused: u64,
    pub templates_evicted: u64,
    pub templates_expired: u64,
    pub sets_without_template: u64,
    pub sets_late: u64,
    pub sets_lost: u64,
    pub bytes_lost: u64,
    pub exporters_evicted: u64,
    pub sequence_lost: u64,
    pub sequence_lost_over_restart: u64,
    pub sequence_reordered: u64,
    pub sequence_restarts: u64,
}

impl CollectCounters {
    /// Ledger name and value of each.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let c = self;
        vec![
            ("datagrams.seen", c.datagrams),
            ("bytes.seen", c.bytes),
            ("datagrams.netflow1", c.netflow1),
            ("datagrams.netflow5", c.netflow5),
            ("datagrams.netflow7", c.netflow7),
            ("datagrams.netflow9", c.netflow9),
            ("datagrams.ipfix", c.ipfix),
            ("datagrams.sflow", c.sflow),
            ("datagrams.not_an_export", c.not_an_export),
            ("datagrams.cut", c.cut),
            ("export.flows", c.flows),
            ("export.messages", c.messages),
            ("export.interfaces", c.interfaces),
            ("rows.seen", c.rows),
            ("rows.without_addresses", c.rows_without_addresses),
            ("rows.without_counters", c.rows_without_counters),
            ("rows.options", c.rows_options),
            ("samples.seen", c.samples),
            ("samples.unreadable", c.samples_unreadable),
            ("sets.bad", c.sets_bad),
            ("sets.cut", c.sets_cut),
            ("templates.learnt", c.templates_learnt),
            ("templates.withdrawn", c.templates_withdrawn),
            ("templates.refused", c.templates_refused),
            ("templates.evicted", c.templates_evicted),
            ("templates.expired", c.templates_expired),
            ("sets.without_template", c.sets_without_template),
            ("sets.late", c.sets_late),
            ("sets.lost_without_template", c.sets_lost),
            ("bytes.lost_without_template", c.bytes_lost),
            ("exporters.evicted", c.exporters_evicted),
            ("sequence.lost", c.sequence_lost),
            ("sequence.lost_over_restart", c.sequence_lost_over_restart),
            ("sequence.reordered", c.sequence_reordered),
            ("sequence.restarts", c.sequence_restarts),
        ]
    }
}
