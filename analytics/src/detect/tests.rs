//! What no detector may do, whatever the records are; and that each stands in the documentation.

use super::*;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4, 0_u8..6).prop_map(|(a, b)| IpAddr::from([[10, 203, 224, 255][usize::from(a)], 0, 113, b])),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,3}(\\.[a-c]{0,3}){0,4}", "\\PC{0,40}", Just("x.in-addr.arpa".to_owned()), Just(".".to_owned())]
}

/// Any value a column can have, the extremes often.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0_u64..100, Just(u64::MAX), any::<u64>()]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![0_i64..10_000_000_000, Just(i64::MIN), Just(i64::MAX), any::<i64>()]
}

type AnyFlow = ((i64, i64, i64, u32), (IpAddr, IpAddr, u16, u16, u8), (u64, u64, Option<u64>, Option<u64>), Option<u8>);

fn any_flow() -> impl Strategy<Value = AnyFlow> {
    (
        (time(), time(), time(), 0_u32..3),
        (
            address(),
            address(),
            any::<u16>(),
            prop_oneof![Just(22), Just(445), Just(443), any::<u16>()],
            prop_oneof![Just(6), Just(17), Just(1), any::<u8>()],
        ),
        (number(), number(), proptest::option::of(number()), proptest::option::of(number())),
        proptest::option::of(0_u8..5),
    )
}

fn row(flow: &AnyFlow) -> FlowRow<'static> {
    let ((first_seen, last_seen, flow_start, segment), (src, dst, src_port, dst_port, proto), sizes, service) = *flow;
    let (src_packets, src_bytes, dst_packets, dst_bytes) = sizes;
    let service = service.and_then(|n| ["ssh", "tls", "http", "dns", "other"].get(usize::from(n)).copied());
    FlowRow {
        first_seen,
        last_seen,
        flow_start,
        segment,
        src,
        dst,
        src_port,
        dst_port,
        proto,
        src_packets,
        src_bytes,
        dst_packets,
        dst_bytes,
        conn_state: None,
        service,
        src_mac: None,
    }
}

/// Who reads a finding's name looks it up there.
#[test]
fn every_detector_stands_in_the_documentation_and_nothing_else_does() {
    let documented = include_str!("../../../docs/detectors.md");
    let mut rows: Vec<&str> =
        documented.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let found = [
        Flows::new(Internal::default()).finish(),
        Names::default().finish(),
        Requests::new(Internal::default()).finish(),
    ];
    let mut slow = Findings::default();
    Flows::new(Internal::default()).seldom().finish(&mut slow);
    Requests::new(Internal::default()).seldom().finish(&mut slow);
    let found = found.iter().chain([&slow]);
    let mut names: Vec<&str> = found.flat_map(Findings::families).map(|family| family.detector).collect();
    rows.sort_unstable();
    names.sort_unstable();
    assert_eq!(rows, names);
}

fn sound(findings: &Findings) -> Result<(), TestCaseError> {
    for finding in findings.list() {
        prop_assert!(finding.ln_expected.is_finite() && !finding.evidence.is_empty(), "{finding:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_flow_breaks_a_detector_and_their_order_does_not_matter(flows in proptest::collection::vec(any_flow(), 0..120), turn in any::<usize>()) {
        let of = |flows: &[AnyFlow]| {
            let mut watch = Flows::new(Internal::default());
            flows.iter().for_each(|flow| watch.handle(&row(flow)));
            watch.finish()
        };
        let found = of(&flows);
        sound(&found)?;
        flows.iter().for_each(|flow| drop(found.of_flow(&row(flow)).collect::<Vec<_>>()));
        let mut turned = flows.clone();
        turned.rotate_left(turn % flows.len().max(1));
        turned.reverse();
        let again = of(&turned);
        prop_assert_eq!(found.list(), again.list());
    }

    #[test]
    fn no_question_breaks_a_detector(questions in proptest::collection::vec((time(), address(), name(), any::<u16>(), proptest::option::of(0_u16..5)), 0..150)) {
        let of = |reverse: bool| {
            let mut watch = Names::default();
            let mut rows: Vec<DnsRow<'_>> = questions.iter().map(|(first_seen, client, qname, qtype, rcode)| DnsRow {
                first_seen: *first_seen, client: *client, server: *client, qname, qtype: *qtype, rcode: *rcode, damaged: false, response_len: None, addresses: &[],
            }).collect();
            if reverse { rows.reverse(); }
            rows.iter().for_each(|row| watch.handle(row));
            let found = watch.finish();
            rows.iter().for_each(|row| drop(found.of_name(row).collect::<Vec<_>>()));
            found
        };
        let found = of(false);
        sound(&found)?;
        let turned = of(true);
        prop_assert_eq!(found.list(), turned.list());
    }

    #[test]
    fn no_request_breaks_a_detector(requests in proptest::collection::vec((time(), address(), proptest::option::of(address()), name(), proptest::option::of("[ab]{0,2}"), proptest::option::of(number())), 0..150)) {
        let mut watch = Requests::new(Internal::default());
        let rows: Vec<ProxyRow<'_>> = requests.iter().map(|(first_seen, client, server, host, agent, bytes)| ProxyRow {
            first_seen: *first_seen, server: *server, method: "POST", host, uri_path: host, status: bytes.map(|bytes| bytes as u16), user_agent: agent.as_deref(),
            request_bytes: *bytes, response_bytes: None, ..ProxyRow::sample(*client)
        }).collect();
        rows.iter().for_each(|row| watch.handle(row));
        let found = watch.finish();
        sound(&found)?;
        rows.iter().for_each(|row| drop(found.of_request(row).collect::<Vec<_>>()));
    }
}
