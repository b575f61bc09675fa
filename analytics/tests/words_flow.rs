//! Flow words against Apache Spot's published behaviour.
#![allow(clippy::unwrap_used, reason = "tests")]

use analytics::words::flow::{FlowInput, FlowScheme, FlowWord, FlowWords};
use analytics::words::{Invalid, Scheme, TimeOfDay};
use proptest::prelude::*;

const NOON: TimeOfDay = TimeOfDay { hour: 12, minute: 0, second: 0 };

fn flow(src_port: i64, dst_port: i64) -> FlowInput<'static> {
    FlowInput {
        time: Some(NOON),
        src_ip: Some("10.0.0.1"),
        dst_ip: Some("10.0.0.2"),
        src_port: Some(src_port),
        dst_port: Some(dst_port),
        proto: 17,
        packets: Some(3),
        bytes: Some(222),
    }
}

fn words(input: FlowInput<'_>) -> (String, String) {
    let words = FlowWords::of(&input).unwrap();
    (words.src.to_string(), words.dst.to_string())
}

#[test]
fn spots_twelve_rows() {
    let rows = [
        (flow(2132, 23), "23_UDP_12_8_2", "-1_23_UDP_12_8_2"),
        (flow(23, 2132), "-1_23_UDP_12_8_2", "23_UDP_12_8_2"),
        (flow(8392, 9874), "333333_UDP_12_8_2", "333333_UDP_12_8_2"),
        (flow(80, 0), "-1_80_UDP_12_8_2", "80_UDP_12_8_2"),
        (flow(0, 43), "43_UDP_12_8_2", "-1_43_UDP_12_8_2"),
        (flow(1024, 80), "111111_UDP_12_8_2", "111111_UDP_12_8_2"),
        (flow(80, 1024), "111111_UDP_12_8_2", "111111_UDP_12_8_2"),
        (flow(0, 0), "0_UDP_12_8_2", "0_UDP_12_8_2"),
        (flow(0, 2435), "2435_UDP_12_8_2", "-1_2435_UDP_12_8_2"),
        (FlowInput { proto: 6, bytes: Some(0), ..flow(0, 0) }, "0_TCP_12_0_2", "0_TCP_12_0_2"),
        (FlowInput { proto: 6, packets: Some(0), ..flow(0, 0) }, "0_TCP_12_8_0", "0_TCP_12_8_0"),
        // 1026 bytes in 10 packets: bins 11 and 4, whatever Spot's web site says.
        (
            FlowInput { proto: 6, bytes: Some(1026), packets: Some(10), ..flow(301, 40000) },
            "-1_301_TCP_12_11_4",
            "301_TCP_12_11_4",
        ),
    ];
    for (input, src, dst) in rows {
        assert_eq!(words(input), (src.to_owned(), dst.to_owned()), "{input:?}");
    }
}

#[test]
fn invalid_is_the_complement_of_valid() {
    let good = flow(1, 2);
    let time = |hour, minute, second| FlowInput { time: Some(TimeOfDay { hour, minute, second }), ..good };
    // Spot's fifteen rows; null opkt and obyt (two of them) are not even looked at.
    let rows = [
        (time(24, 0, 0), Some(Invalid::Time)),
        (time(0, 0, 60), Some(Invalid::Time)),
        (time(0, 60, 0), Some(Invalid::Time)),
        (FlowInput { time: None, ..good }, Some(Invalid::Time)),
        (FlowInput { src_ip: None, ..good }, Some(Invalid::Address)),
        (FlowInput { dst_ip: None, ..good }, Some(Invalid::Address)),
        (FlowInput { src_port: None, ..good }, Some(Invalid::Port)),
        (FlowInput { dst_port: None, ..good }, Some(Invalid::Port)),
        (FlowInput { packets: None, ..good }, Some(Invalid::Counter)),
        (FlowInput { bytes: None, ..good }, Some(Invalid::Counter)),
        (good, None),
        (good, None),
        (time(0, 0, 0), None),
        (time(23, 59, 59), None),
        (FlowInput { bytes: Some(0), packets: Some(0), ..good }, None),
    ];
    for (input, expected) in rows {
        assert_eq!(FlowWords::of(&input).err(), expected, "{input:?}");
    }
    assert_eq!(rows.iter().filter(|(_, cause)| cause.is_some()).count(), 10);
    assert_eq!(FlowWords::of(&FlowInput { bytes: Some(-1), ..good }).err(), Some(Invalid::Counter));
}

#[test]
fn features_name_the_range_behind_a_bin() {
    let word = FlowWords::of(&flow(2132, 23)).unwrap().dst;
    let scheme = FlowScheme;
    let said: Vec<String> = (0..scheme.components().len()).map(|c| scheme.describe(c, word.code().get(c))).collect();
    assert_eq!(
        said,
        ["owner of the low port", "port 23", "UDP", "12:00 to 12:59 UTC", "128 to 255 bytes", "2 to 3 packets"]
    );
    assert_eq!(scheme.render(word.code()), "-1_23_UDP_12_8_2");
}

proptest! {
    #[test]
    fn no_record_panics_and_every_word_comes_back_from_its_code(
        time in any::<i64>(), src in any::<Option<i64>>(), dst in -2_i64..70_000, proto in any::<u8>(),
        packets in any::<Option<i64>>(), bytes in any::<i64>(),
    ) {
        let input = FlowInput {
            time: Some(TimeOfDay::from_micros(time)), src_port: src.map(|s| s % 70_000), dst_port: Some(dst), proto, packets,
            bytes: Some(bytes), ..flow(0, 0)
        };
        if let Ok(words) = FlowWords::of(&input) {
            for word in [words.src, words.dst] {
                prop_assert_eq!(FlowWord::from_code(word.code()), word);
                let text = word.to_string();
                let fields = text.trim_start_matches("-1_").split('_').count();
                prop_assert_eq!(fields, 5);
                for component in 0..8 {
                    prop_assert!(!FlowScheme.describe(component, word.code().get(component)).is_empty());
                }
            }
            // At most one side owns the low port, and the rest of the words is the same.
            prop_assert!(!(words.src.server_side && words.dst.server_side));
            prop_assert_eq!(words.src.code().with(0, 0), words.dst.code().with(0, 0));
        }
    }
}
