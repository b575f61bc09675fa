//! Export datagrams, several in a row to one collector: every one is counted, what is kept stays bounded.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use capture::collect::{CollectLimits, Collector, ExportSink, ExportedFlow};
use capture::{DecoderConfig, Nanos};

struct Count(u64);

impl ExportSink for Count {
    fn flow(&mut self, flow: &ExportedFlow) {
        assert!(flow.first <= flow.last && flow.sampling >= 1);
        self.0 += 1;
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = CollectLimits { max_exporters: 4, max_templates: 8, max_waiting: 4_096, ..CollectLimits::default() };
    let mut collector = Collector::new(limits, DecoderConfig::default());
    let mut sink = Count(0);
    // Each datagram after two bytes of its length.
    let (mut rest, mut now) = (data, 1_700_000_000_000_000_000);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (datagram, after) = after.split_at(length);
        let from = IpAddr::V4(Ipv4Addr::new(192, 0, 2, datagram.last().copied().unwrap_or(0) % 8));
        collector.handle_datagram(Nanos(now), from, datagram, &mut sink);
        now += 1_000_000_000;
        rest = after;
    }
    let counters = *collector.counters();
    assert_eq!(counters.flows, sink.0);
    assert_eq!(counters.sets_without_template, counters.sets_late + counters.sets_lost + collector.waiting().0);
    let memory = collector.memory();
    let mut again = Collector::new(limits, DecoderConfig::default());
    assert_eq!(again.remember(&memory), Ok(()));
});
