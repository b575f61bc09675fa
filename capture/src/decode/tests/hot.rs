//! The hot parser and the full decoder make the same packet.

use proptest::prelude::*;

use super::make::{after, ethernet, hex, inner4, inner6, ipv4, ipv6, join, udp};
use super::{Keep, decoder, frame};
use crate::{Fate, Frame, Tunnels};

fn seeds() -> Vec<Vec<u8>> {
    let tcp = hex("1f90 0050 00000001 00000002 5018 0400 0000 0000");
    let tcp_options = hex("1f90 0050 00000001 00000002 8012 0400 0000 0000 020405b4 01030307 01010101");
    let dns = hex("1234 0100 0001 0000 0000 0000 07 6578616d706c65 00 0001 0001");
    vec![
        ethernet(0x0800, &inner4()),
        ethernet(0x86dd, &inner6()),
        ethernet(0x8100, &after("6064 0800", &inner4())),
        ethernet(0x88a8, &after("0064 8100 2065 86dd", &inner6())),
        ethernet(0x0800, &ipv4(6, [1, 2], 1, 0x4000, &join(&[&tcp, b"GET / HTTP/1.1\r\n\r\n"]))),
        ethernet(0x86dd, &ipv6(6, [1, 2], &tcp_options)),
        ethernet(0x0800, &ipv4(1, [1, 2], 1, 0, &hex("0800 0000 0001 0002 0000"))),
        ethernet(0x86dd, &ipv6(58, [1, 2], &hex("8100 0000 0001 0002 0000"))),
        ethernet(0x86dd, &ipv6(0, [1, 2], &join(&[&hex("3c00 010400000000 1100 010400000000"), &udp(5, 6, b"y")]))),
        ethernet(0x0800, &ipv4(132, [1, 2], 1, 0, &hex("0007 0008 00000000 00000000 03000010"))),
        ethernet(0x0800, &ipv4(17, [1, 2], 1, 0, &udp(40_000, 53, &dns))),
    ]
}

/// Decodes the frame both ways; the same must come out.
fn same(frame: &Frame<'_>) -> Result<bool, TestCaseError> {
    let (mut usual, mut full) = (Keep::default(), Keep::default());
    let (mut a, mut b) = (decoder(Tunnels::Inner), decoder(Tunnels::Inner));
    b.now = frame.ts.unwrap_or_default();
    let fates = (a.handle_frame(frame, &mut usual), b.handle_in_full(frame, &mut full));
    prop_assert_eq!(fates.0, fates.1);
    prop_assert_eq!(usual.packets, full.packets);
    prop_assert_eq!(usual.messages, full.messages);
    Ok(super::count(&a, "full_decode") == 0)
}

#[test]
fn plain_packets_take_the_hot_way() {
    for seed in seeds() {
        assert!(same(&frame(1, &seed)).unwrap(), "declined: {seed:02x?}");
        assert!(matches!(one_fate(&seed), Fate::Received { .. }));
    }
}

fn one_fate(data: &[u8]) -> Fate {
    decoder(Tunnels::Inner).handle_frame(&frame(1, data), &mut Keep::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn damaged_packets_are_read_alike(
        seed in 0..11_usize,
        damage in proptest::collection::vec((0..100_usize, any::<u8>()), 0..4),
        cut in proptest::option::of(0..120_usize),
        missing in 0..40_u32,
    ) {
        let mut data = seeds().swap_remove(seed);
        for (at, value) in damage {
            if let Some(byte) = data.get_mut(at) {
                *byte = value;
            }
        }
        let wire_len = data.len() as u32 + missing;
        data.truncate(cut.unwrap_or(data.len()));
        same(&Frame { wire_len, ..frame(1, &data) })?;
        if data.len() > 14 {
            same(&Frame { wire_len, ..frame(101, &data[14..]) })?;
        }
    }
}
