//! The verifier takes the program in every setting that it can be loaded with: each leaves other code for it to follow.

use capture::probe::{Probe, ProbeClock, ProbeOptions, Verdicts};

use crate::support::load;

#[test]
fn the_verifier_takes_the_program_in_every_setting() {
    // Says where nothing can be loaded at all.
    if load(&ProbeOptions::default()).is_none() {
        return;
    }
    let mut loaded = 0;
    for verdicts in [Verdicts::TapRedirect, Verdicts::TapCopy, Verdicts::Inline] {
        for bits in 0..32_u32 {
            let has = |bit: u32| bits >> bit & 1 == 1;
            let options = ProbeOptions {
                verdicts,
                frags: has(0),
                area_is_cpu: has(1),
                clock: if has(2) { ProbeClock::Metadata } else { ProbeClock::Monotonic },
                sample: if has(3) { 10 } else { 1 },
                vlan_in_key: has(4),
                // Half of them, each other setting in both.
                enters_vxlan: bits.count_ones() % 2 == 0,
                stores_in_order: bits.count_ones() % 2 == 1,
                egress_areas: u32::from(verdicts == Verdicts::Inline),
                slots4_shift: 4,
                slots6_shift: 4,
                ring_bytes: 4_096,
                copy_ring_bytes: 65_536,
                ..ProbeOptions::default()
            };
            let probe = Probe::load(&options);
            assert!(probe.is_ok(), "{options:?}: {:?}", probe.err().map(|error| error.into_io()));
            loaded += 1;
        }
    }
    assert_eq!(loaded, 96);
}
