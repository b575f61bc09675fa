//! What no capture shows: floods, bombs, restarts, damage, bytes at random.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::IpVersion;

#[derive(Default)]
struct All {
    flows: Vec<ExportedFlow>,
    interfaces: Vec<InterfaceCounters>,
    messages: Vec<Message>,
}

impl ExportSink for All {
    fn flow(&mut self, flow: &ExportedFlow) {
        self.flows.push(flow.clone());
    }
    fn interface(&mut self, counters: &InterfaceCounters) {
        self.interfaces.push(counters.clone());
    }
    fn message(&mut self, message: Message) {
        self.messages.push(message);
    }
}

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const NOW: Nanos = Nanos(1_700_000_000_000_000_000);

fn collector() -> Collector {
    Collector::new(CollectLimits::default(), DecoderConfig::default())
}

fn be16(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// An IPFIX message of these sets.
fn ipfix(sequence: u32, sets: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (id, set) in sets {
        body.extend(be16(&[*id, 4 + set.len() as u16]));
        body.extend(set);
    }
    let mut message = be16(&[10, 16 + body.len() as u16]);
    message.extend(1_700_000_000_u32.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(7_u32.to_be_bytes());
    message.extend(body);
    message
}

/// Source and destination address, both ports, protocol, bytes, packets.
const TEMPLATE: [u16; 16] = [256, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 2, 4];

fn data_row(host: u8, bytes: u32) -> Vec<u8> {
    let mut row = vec![10, 0, 0, host, 10, 0, 1, 1];
    row.extend(be16(&[40_000, 443]));
    row.push(6);
    row.extend(bytes.to_be_bytes());
    row.extend(3_u32.to_be_bytes());
    row
}

fn read(collector: &mut Collector, message: &[u8]) -> All {
    let mut all = All::default();
    collector.handle_datagram(NOW, FROM, message, &mut all);
    all
}

#[test]
fn data_waits_for_its_template_and_is_not_lost() {
    let mut collector = collector();
    assert!(read(&mut collector, &ipfix(0, &[(256, data_row(1, 100))])).flows.is_empty());
    assert_eq!(collector.waiting(), (1, data_row(1, 100).len() as u64));
    let flows = read(&mut collector, &ipfix(1, &[(2, be16(&TEMPLATE)), (256, data_row(2, 200))])).flows;
    let bytes: Vec<u64> = flows.iter().map(|flow| flow.forward.bytes).collect();
    assert_eq!((bytes, collector.waiting()), (vec![100, 200], (0, 0)));
    assert_eq!(flows[0].pair.src.to_ip_addr(IpVersion::V4).to_string(), "10.0.0.1");
    assert_eq!((flows[0].pair.src_port, flows[0].pair.dst_port, flows[0].forward.packets), (40_000, 443, 3));
    assert_eq!(flows[0].first, NOW, "no time in the record: the export's");
    assert_eq!(collector.counters().sets_late, 1);
}

#[test]
fn what_waits_is_bounded_by_bytes_and_age() {
    let mut collector = collector();
    for n in 0..1_000 {
        read(&mut collector, &ipfix(n, &[(300, vec![1; 1_000])]));
    }
    let (sets, bytes) = collector.waiting();
    assert!(bytes <= 256 << 10 && sets > 200, "{sets} sets, {bytes} bytes");
    assert_eq!(collector.counters().sets_lost + sets, 1_000);
    collector.expire(Nanos(NOW.0 + 1_801_000_000_000));
    assert_eq!((collector.waiting(), collector.counters().sets_lost), ((0, 0), 1_000));
}

#[test]
fn template_floods_and_exporter_floods_end_in_a_counter() {
    let mut collector = collector();
    let template = |id: u16| {
        let mut all = be16(&TEMPLATE);
        all[..2].copy_from_slice(&id.to_be_bytes());
        all
    };
    for id in 256..2_256 {
        read(&mut collector, &ipfix(0, &[(2, template(id))]));
    }
    assert_eq!(collector.counters().templates_evicted, 2_000 - 512);
    for n in 0..5_000_u32 {
        let from = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        collector.handle_datagram(
            Nanos(NOW.0 + i64::from(n)),
            from,
            &ipfix(0, &[(2, template(256))]),
            &mut All::default(),
        );
    }
    let gone = 5_001 - 4_096;
    assert_eq!((collector.counters().exporters_evicted, collector.forgotten()), (gone as u64, gone));
    // What the forgotten did is told once more, and that their numbering is no longer known.
    let positions = collector.positions();
    assert!(positions.iter().take(gone).all(|position| position.expected.is_none()));
    assert_eq!(positions.len(), 5_001);
    assert_eq!(positions.iter().map(|position| position.tally.messages).sum::<u64>(), 7_000);
    assert_eq!((collector.positions(), collector.forgotten()), (vec![], 0));
}

#[test]
fn bombs_of_fields_and_of_rows_are_refused_or_bounded() {
    let mut collector = collector();
    let mut many = be16(&[256, 5_000]);
    many.extend([0, 1, 0, 1].repeat(5_000));
    read(&mut collector, &ipfix(0, &[(2, many)]));
    // Rows without a byte would never end.
    read(&mut collector, &ipfix(0, &[(2, be16(&[257, 1, 8, 0]))]));
    assert_eq!((collector.counters().templates_refused, collector.counters().templates_learnt), (2, 0));
    // 60,000 rows of one byte name nobody.
    read(&mut collector, &ipfix(0, &[(2, be16(&[258, 1, 4, 1])), (258, vec![6; 60_000])]));
    assert_eq!((collector.counters().rows, collector.counters().rows_without_addresses), (60_000, 60_000));
}

#[test]
fn gaps_late_messages_and_restarts_are_told_apart() {
    let mut collector = collector();
    let with_rows = |sequence, rows: u8| {
        ipfix(sequence, &[(2, be16(&TEMPLATE)), (256, (0..rows).flat_map(|n| data_row(n, 1)).collect())])
    };
    for (sequence, rows) in [(10, 2), (12, 1), (20, 1), (13, 7), (21, 1), (5_000_000, 1), (0, 1)] {
        read(&mut collector, &with_rows(sequence, rows));
    }
    let c = collector.counters();
    // The 7 that were missing before 20 came with the late message; then far ahead, then anew.
    assert_eq!((c.sequence_lost, c.sequence_reordered, c.sequence_restarts), (5_000_000 - 22, 1, 1));
}

#[test]
fn sampling_comes_from_the_record_the_sampler_or_the_domain() {
    let mut collector = collector();
    let mut options = be16(&[300, 2, 1, 302, 4, 305, 4]);
    options.extend([0; 0]);
    let sampler = |id: u32, interval: u32| [id.to_be_bytes(), interval.to_be_bytes()].concat();
    let mut fields = TEMPLATE.to_vec();
    fields[1] = 8;
    fields.extend([302, 4]);
    let row = |id: u32| [data_row(1, 50), id.to_be_bytes().to_vec()].concat();
    let sets = [
        (3, options),
        (300, [sampler(1, 100), sampler(2, 1_000)].concat()),
        (2, be16(&fields)),
        (256, [row(1), row(2), row(3)].concat()),
    ];
    let sampling: Vec<u32> = read(&mut collector, &ipfix(0, &sets)).flows.iter().map(|flow| flow.sampling).collect();
    assert_eq!(sampling, [100, 1_000, 1]);
}

/// RFC 5103: the reverse counters under enterprise 29305; a list of variable length between them is stepped over.
#[test]
fn biflows_and_variable_lengths() {
    let mut collector = collector();
    let mut template = be16(&[256, 6, 8, 4, 12, 4, 1, 4, 291, 0xffff, 0x8001, 4]);
    template.extend(29_305_u32.to_be_bytes());
    template.extend(be16(&[0x8002, 4]));
    template.extend(29_305_u32.to_be_bytes());
    let row = |list: &[u8]| {
        let mut row = vec![10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 100];
        row.extend(list);
        row.extend([0, 0, 0, 70, 0, 0, 0, 7]);
        row
    };
    let long = [vec![255], be16(&[300]), vec![9; 300]].concat();
    let rows = [row(&[0]), row(&[3, 1, 2, 3]), row(&long)].concat();
    let flows = read(&mut collector, &ipfix(0, &[(2, template), (256, rows)])).flows;
    let counted: Vec<_> = flows.iter().map(|f| (f.forward.bytes, f.reverse.map(|r| (r.bytes, r.packets)))).collect();
    assert_eq!(counted, vec![(100, Some((70, 7))); 3]);
}

#[test]
fn what_is_remembered_decodes_after_a_restart() {
    let mut before = collector();
    read(&mut before, &ipfix(0, &[(2, be16(&TEMPLATE)), (3, be16(&[300, 1, 1, 305, 4])), (300, vec![0, 0, 0, 9])]));
    let memory = before.memory();
    let mut after = collector();
    after.remember(&memory).unwrap();
    assert_eq!(after.memory(), memory);
    let flows = read(&mut after, &ipfix(0, &[(256, data_row(1, 100))])).flows;
    assert_eq!((flows.len(), flows[0].sampling), (1, 9));
    let wrong = after.remember("spotter-templates 1\nexporter ipfix 10.0.0.1 0\ntemplate 12 data 0 8:4\n");
    assert_eq!(wrong, Err(MemoryError { line: 3, text: "template 12 data 0 8:4".into() }));
}

#[test]
fn streams_are_cut_into_messages_wherever_the_bytes_break() {
    let stream = [ipfix(0, &[(2, be16(&TEMPLATE))]), ipfix(0, &[(256, data_row(1, 1))]), ipfix(1, &[])].concat();
    for step in [1, 3, 17, 1_000] {
        let (mut splitter, mut messages) = (MessageSplitter::default(), 0);
        for piece in stream.chunks(step) {
            splitter.handle_bytes(piece);
            while splitter.next_message().unwrap().is_some() {
                messages += 1;
            }
        }
        assert_eq!((messages, splitter.left()), (3, 0));
    }
    let mut splitter = MessageSplitter::default();
    splitter.handle_bytes(b"GET / HTTP/1.1");
    assert_eq!(splitter.next_message(), Err(MessageError { version: 0x4745, length: 0x5420 }));
}

fn whole_conversation() -> Vec<Vec<u8>> {
    let rows: Vec<u8> = (0..9).flat_map(|n| data_row(n, 1)).collect();
    let mut options = be16(&[300, 2, 1, 302, 4, 305, 4]);
    options.extend([0; 2]);
    let v9: Vec<u8> = [
        be16(&[9, 2]),
        [1_000_u32, 1_700_000_000, 0, 1].iter().flat_map(|n| n.to_be_bytes()).collect(),
        be16(&[0, 36]),
        be16(&TEMPLATE),
        be16(&[256, 4 + rows.len() as u16]),
        rows.clone(),
    ]
    .concat();
    let mut v5 = be16(&[5, 2]);
    v5.extend([0; 20]);
    v5.extend([7; 96]);
    let mut sflow = [5_u32, 1, 0x0a00_0001, 0, 1, 0, 1, 1, 8 * 4 + 8 + 16 + 40]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect::<Vec<u8>>();
    sflow.extend([1_u32, 1, 512, 0, 0, 1, 2, 1, 1, 16 + 40, 11, 40, 0, 40].iter().flat_map(|n| n.to_be_bytes()));
    sflow.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 53, 0, 20, 0, 0]);
    sflow.extend([0; 12]);
    vec![ipfix(0, &[(3, options), (2, be16(&TEMPLATE)), (256, rows)]), v9, v5, sflow]
}

proptest! {
    /// Bytes changed, cut and put together anyhow: no panic, and the books close.
    #[test]
    fn damage_is_counted_and_never_panics(
        changes in prop::collection::vec((0_usize..4, 0_usize..400, any::<u8>()), 0..60),
        cut in 0_usize..500,
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut datagrams = whole_conversation();
        for (which, at, byte) in changes {
            if let Some(slot) = datagrams[which].get_mut(at) {
                *slot = byte;
            }
        }
        datagrams[3].truncate(cut);
        for version in [1_u16, 5, 7, 9, 10, 0] {
            datagrams.push([version.to_be_bytes().to_vec(), noise.clone()].concat());
        }
        let (mut collector, mut all) = (collector(), All::default());
        for datagram in datagrams.iter().chain(&datagrams) {
            collector.handle_datagram(NOW, FROM, datagram, &mut all);
        }
        let c = *collector.counters();
        let told = [c.netflow1, c.netflow5, c.netflow7, c.netflow9, c.ipfix, c.sflow, c.not_an_export];
        prop_assert_eq!(told.iter().sum::<u64>(), c.datagrams);
        prop_assert_eq!(c.flows, all.flows.len() as u64);
        prop_assert_eq!(c.sets_without_template, c.sets_late + c.sets_lost + collector.waiting().0);
        let memory = collector.memory();
        let mut again = Collector::new(CollectLimits::default(), DecoderConfig::default());
        prop_assert_eq!(again.remember(&memory), Ok(()));
        prop_assert_eq!(again.memory(), memory);
    }
}
