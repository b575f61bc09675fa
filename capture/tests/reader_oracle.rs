//! The readers of pcap and pcapng against pcap-parser: the same frames, byte for byte, of every capture of
//! the shared test data that both can read.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

use std::fs::{self, File};
use std::path::Path;

use capture::file::CaptureReader;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

/// Wire length and data.
type Seen = (u32, Vec<u8>);
/// Each frame; the second value says whether the end was reached without error.
type Frames = (Vec<Seen>, bool);

fn oracle(path: &Path) -> Option<Frames> {
    let mut reader = create_reader(1 << 20, File::open(path).unwrap()).ok()?;
    let mut frames = Vec::new();
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                match block {
                    PcapBlockOwned::Legacy(b) => frames.push((b.origlen, b.data.to_vec())),
                    PcapBlockOwned::NG(Block::EnhancedPacket(b)) => {
                        frames.push((b.orig_len(), b.packet_data().to_vec()));
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(b)) => {
                        frames.push((b.orig_len(), b.packet_data().to_vec()));
                    }
                    PcapBlockOwned::LegacyHeader(_) | PcapBlockOwned::NG(_) => {}
                }
                reader.consume(offset);
            }
            Err(PcapError::Eof) => return Some((frames, true)),
            Err(PcapError::Incomplete(_)) => {
                if reader.reader_exhausted() {
                    return Some((frames, false));
                }
                reader.refill().unwrap();
            }
            Err(_) => return Some((frames, false)),
        }
    }
}

fn ours(path: &Path) -> Option<Frames> {
    let mut reader = CaptureReader::open(path).ok()?;
    let (mut frames, mut whole) = (Vec::new(), true);
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push((frame.wire_len, frame.data.to_vec())),
            Ok(None) => return Some((frames, whole)),
            Err(_) => whole = false,
        }
    }
}

#[test]
fn the_same_frames_as_pcap_parser() {
    let shared = std::env::var_os("SPOTTER_SHARED").map_or_else(|| Path::new("../../shared").to_owned(), Into::into);
    let Ok(captures) = fs::read_dir(shared.join("data/pcap")) else {
        println!("skipped: no test data in {} (set SPOTTER_SHARED)", shared.display());
        return;
    };
    let (mut compared, mut frames) = (0, 0);
    for entry in captures {
        let path = entry.unwrap().path();
        let (Some(theirs), Some(ours)) = (oracle(&path), ours(&path)) else { continue };
        if theirs.1 && ours.1 {
            let same = |(a, b): (&Seen, &Seen)| {
                // The oracle ignores the interface's limit for simple packets and so includes their padding.
                a.0 == b.0
                    && b.1.starts_with(&a.1)
                    && (a.1.len() == b.1.len() || b.1.len() - a.1.len() < 4 && b.1.len() % 4 == 0)
            };
            assert_eq!(ours.0.len(), theirs.0.len(), "{}: frames", path.display());
            assert!(ours.0.iter().zip(&theirs.0).all(same), "{}: data", path.display());
            compared += 1;
            frames += ours.0.len();
        }
    }
    println!("{compared} captures, {frames} frames");
    assert!(compared > 250, "{compared} captures compared");
}
