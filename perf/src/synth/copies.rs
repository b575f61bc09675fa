//! A large day of flows, cheaply: the day of one organisation, and beside it sister organisations that live alike.
//!
//! Each sister has hosts of its own (10.21.0.0/16 and on) and meets the same Internet, so that what is popular stays popular. A sister's record is one of
//! the first organisation's, up to five minutes earlier or later, of other size, and each of its hosts is busier or idler than its model: no two hosts have
//! the same words. Attacks are the first organisation's alone.

use aggregator::lake::{Lake, SetKind, WriterOptions};
use aggregator::record::{Direction, FlowRecord, Micros};

use super::records::make_records;
use super::{Progress, SynthConfig, SynthError};

/// Flows of the day that is copied, at most.
const MODEL: u64 = 1_000_000;
/// Sisters at most: the second byte of their addresses tells them apart.
const SISTERS: u64 = 200;

/// Writes about `flows` flows of one day to a lake as one generated set, and says how many. No other table is written. Memory: the writer's limit, and
/// that of [`make_records`].
///
/// # Errors
/// The lake's; more than 200 million flows.
pub fn write_flows(
    flows: u64,
    lake: &Lake,
    options: WriterOptions,
    progress: &mut dyn Progress,
) -> Result<u64, SynthError> {
    let sisters = flows.div_ceil(MODEL).max(1) - 1;
    if sisters >= SISTERS {
        return Err(SynthError::OutOfRange { name: "flows", range: "1 to 200000000" });
    }
    let config = SynthConfig { volume: 0.0005, ..SynthConfig::for_flows(flows / (sisters + 1)) };
    let midnight = config.date.midnight() / 1000;
    let sensor = options.sensor.clone();
    let mut writer = lake.begin(SetKind::Generated, options)?;
    let (mut written, mut rows) = (0, Vec::new());
    make_records(&config, &sensor, progress, |records| {
        rows.clear();
        for record in records.flow {
            for sister in 1..=sisters {
                for copy in 0..copies(&record, sister) {
                    rows.push(moved(&record, sister, copy, midnight));
                }
            }
            rows.push(record);
        }
        written += rows.len() as u64;
        Ok(writer.flow(&rows)?)
    })?;
    writer.commit()?;
    Ok(written)
}

/// SplitMix64's finaliser.
const fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn chance_of(record: &FlowRecord, salt: u64) -> u64 {
    let [mut low, mut high] = [[0; 8]; 2];
    low.copy_from_slice(&record.record_id.0[..8]);
    high.copy_from_slice(&record.record_id.0[8..]);
    mix(u64::from_le_bytes(low) ^ u64::from_le_bytes(high).rotate_left(32) ^ mix(salt))
}

/// How often a sister's host does what its model did: 0 to 2 times, on average once.
fn copies(record: &FlowRecord, sister: u64) -> u64 {
    let mut host = mix(sister);
    for byte in record.src_ip.0 {
        host = mix(host ^ u64::from(byte));
    }
    let activity = (host % 2001) as f64 / 1000.0;
    let chance = (chance_of(record, sister) >> 11) as f64 / (1_u64 << 53) as f64;
    (activity + chance).floor() as u64
}

/// The record as a sister has it.
fn moved(record: &FlowRecord, sister: u64, copy: u64, midnight: i64) -> FlowRecord {
    const FIVE_MINUTES: i64 = 300_000_000;
    const DAY: i64 = 86_400_000_000;
    let chance = chance_of(record, sister << 8 | copy | 0x80);
    let mut sisters = record.clone();
    let spread = (chance % (2 * FIVE_MINUTES) as u64) as i64 - FIVE_MINUTES;
    // Within the day, so that one day is what is scored.
    let first = record.first_seen.0.saturating_add(spread).clamp(midnight, midnight + DAY - 1);
    let by = first - record.first_seen.0;
    for time in [&mut sisters.first_seen, &mut sisters.last_seen, &mut sisters.flow_start] {
        *time = Micros(time.0.saturating_add(by));
    }
    sisters.src = resized(record.src, chance);
    sisters.dst = record.dst.map(|back| resized(back, chance));
    for ip in [&mut sisters.src_ip, &mut sisters.dst_ip] {
        let bytes = &mut ip.0;
        match *bytes {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, net, ..] => bytes[13] = net.wrapping_add(sister as u8),
            [0xfd, ..] => bytes[5] = bytes[5].wrapping_add(sister as u8),
            _ => (),
        }
    }
    let id = &mut sisters.record_id.0;
    for (byte, other) in id.iter_mut().zip(mix(chance).to_le_bytes().iter().chain(&mix(!chance).to_le_bytes())) {
        *byte = *other;
    }
    sisters
}

/// Half to one and a half times the size; what has few packets has as many.
fn resized(d: Direction, chance: u64) -> Direction {
    let scale = |n: u64| n / 2 + ((u128::from(n) * u128::from(chance >> 32)) >> 32) as u64;
    if d.packets > 4 {
        return Direction { packets: scale(d.packets), bytes: scale(d.bytes), ..d };
    }
    Direction { bytes: d.bytes + d.packets * (chance % 24), ..d }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn sisters_live_alike_and_not_the_same() {
        let config = SynthConfig { hosts: 60, volume: 0.0005, activity: 0.3, ..SynthConfig::default() };
        let midnight = config.date.midnight() / 1000;
        let (mut own, mut all, mut ids) = (0, 0, HashSet::new());
        make_records(&config, "test", &mut (), |records| {
            for record in records.flow {
                own += 1;
                ids.insert(record.record_id);
                for sister in 1..=20 {
                    for copy in 0..copies(&record, sister) {
                        let moved = moved(&record, sister, copy, midnight);
                        assert_eq!(moved.first_seen.0.div_euclid(86_400_000_000) * 86_400_000_000, midnight);
                        assert!(moved.last_seen.0 - moved.first_seen.0 == record.last_seen.0 - record.first_seen.0);
                        let inside =
                            |ip: [u8; 16]| ip[..13] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10] && ip[13] != 255;
                        if inside(record.src_ip.0) {
                            assert_eq!(moved.src_ip.0[13], 20 + sister as u8, "{record:?}");
                        }
                        all += 1;
                        assert!(ids.insert(moved.record_id), "an identity twice");
                    }
                }
            }
            Ok(())
        })
        .unwrap();
        let share = f64::from(all) / f64::from(own) / 20.0;
        assert!(own > 500 && (0.7..1.3).contains(&share), "{own} {share}");
    }
}
