//! Packets that a mirror port delivers twice: a switch that mirrors what comes in *and* what goes out of ports shows most
//! packets two times within microseconds.
//!
//! A copy is told by what no hop changes: of the IP header all but TTL, TOS and checksum, and the first bytes behind it, with
//! ports, sequence numbers, transport checksum and the start of the payload; seen again within [`WINDOW`]. MAC addresses, VLAN tags
//! and MPLS labels are left out: the copies of a routed packet differ in them.
//!
//! What hosts themselves send twice must not be taken for a copy. A retransmission has another IP identification. Where there is
//! none (IPv6; IPv4 with 0, as many stacks send with DF), only TCP segments that carry data or SYN, FIN or RST are
//! judged as they stand: the same bytes again within a millisecond come from no retransmission timer. Bare ACKs (duplicate ACKs are alike)
//! and datagrams without an identification (some applications say things twice) are *unclear*: they count as
//! copies only while the clear ones show that this input is mirrored twice.
//!
//! Sans-IO. Memory is fixed: a table of the packets of the last millisecond; when more come than it holds, the oldest give way, and
//! that is counted ([`Counts::forgotten`]).

use crate::{Frame, LinkType, Nanos};

/// Within this time the same packet again is a copy.
pub const WINDOW: i64 = 1_000_000;

/// Places of the table, in pairs. 1 MiB.
const PLACES: usize = 1 << 16;

/// Bytes behind the IP header that are compared.
const COMPARED: usize = 128;

/// Clear packets after which the share is looked at, and halved.
const SPAN: u32 = 4_096;

/// The input is mirrored twice while at least one in so many clear packets is a copy.
const SHARE: u32 = 20;

/// Clear copies that it takes to believe it.
const LEAST: u32 = 16;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// What a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not seen in the last millisecond.
    New,
    /// A copy of one that was.
    Copy,
    /// Looks like a copy, but hosts send such things twice, and nothing else says that this input is mirrored twice.
    Unclear,
    /// No IP header, or no time; or not in the sample.
    NotJudged,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Packets that were judged.
    pub judged: u64,
    /// Copies among them.
    pub copies: u64,
    /// Unclear ones.
    pub unclear: u64,
    /// Packets that gave way before their millisecond was over.
    pub forgotten: u64,
}

impl Counts {
    /// Adds others.
    pub const fn add(&mut self, other: &Self) {
        let Self { judged, copies, unclear, forgotten } = other;
        self.judged += *judged;
        self.copies += *copies;
        self.unclear += *unclear;
        self.forgotten += *forgotten;
    }

    /// Names in the ledger, and values.
    pub const fn counters(&self) -> [(&'static str, u64); 4] {
        let Self { judged, copies, unclear, forgotten } = *self;
        [
            ("duplicates.judged", judged),
            ("duplicates.copies", copies),
            ("duplicates.unclear", unclear),
            ("duplicates.forgotten", forgotten),
        ]
    }

    /// Copies in a hundred packets, rounded.
    pub const fn share(&self) -> u64 {
        match (100 * self.copies + self.judged / 2).checked_div(self.judged) {
            Some(share) => share,
            None => 0,
        }
    }

    /// Whether so many copies are worth a warning: at least one in a hundred, and not by chance.
    pub const fn is_worth_a_warning(&self) -> bool {
        self.copies >= 20 && self.copies >= self.judged / 100
    }
}

/// What is done with copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Duplicates {
    /// Count them, and leave them in.
    #[default]
    Count,
    /// Count them, and leave them out.
    Remove,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    ts: i64,
}

/// A packet as it is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Print {
    hash: u64,
    clear: bool,
}

/// Tells copies. See the [module](self).
#[derive(Clone, Debug)]
pub struct Detector {
    seeds: [u64; 2],
    /// Of the hashes, those without these bits are judged.
    skip: u64,
    places: Box<[[Place; 2]]>,
    clear: u32,
    clear_copies: u32,
}

impl Detector {
    /// Nothing seen yet. The seed keeps others from making packets that look alike. To count copies one packet in eight is
    /// judged, by its hash: it costs less, and the share is the same.
    pub fn new(seed: u64, what: Duplicates) -> Self {
        let empty = Place { hash: 0, ts: i64::MIN };
        Self {
            seeds: [seed ^ 0x9e37_79b9_7f4a_7c15, seed.rotate_left(32) ^ 0xd1b5_4a32_d192_ed03],
            skip: if what == Duplicates::Count { 7 } else { 0 },
            places: vec![[empty; 2]; PLACES / 2].into_boxed_slice(),
            clear: 0,
            clear_copies: 0,
        }
    }

    /// The next frame, in the order of time.
    #[inline]
    pub fn look(&mut self, frame: &Frame<'_>, counts: &mut Counts) -> Verdict {
        let Some(Nanos(ts)) = frame.ts else { return Verdict::NotJudged };
        let Some(print) = self.print(frame) else { return Verdict::NotJudged };
        if print.hash & self.skip != 0 {
            return Verdict::NotJudged;
        }
        counts.judged += 1;
        let at = (print.hash >> 32) as usize % self.places.len();
        let Some(pair) = self.places.get_mut(at) else { return Verdict::NotJudged };
        let age = |place: &Place| ts.saturating_sub(place.ts);
        let found =
            pair.iter_mut().find(|place| place.hash == print.hash && age(place).unsigned_abs() <= WINDOW as u64);
        let Some(place) = found else {
            // The older of the two gives way.
            let place = if pair[0].ts <= pair[1].ts { &mut pair[0] } else { &mut pair[1] };
            counts.forgotten += u64::from((0..=WINDOW).contains(&age(place)));
            *place = Place { hash: print.hash, ts };
            if print.clear {
                self.saw_clear(0);
            }
            return Verdict::New;
        };
        if print.clear {
            self.saw_clear(1);
            counts.copies += 1;
            return Verdict::Copy;
        }
        // Two alike and their two copies are two packets.
        place.ts = i64::MIN;
        if self.is_mirrored_twice() {
            counts.copies += 1;
            return Verdict::Copy;
        }
        counts.unclear += 1;
        Verdict::Unclear
    }

    /// Half of what is seen in a mirror of both directions are copies.
    const fn is_mirrored_twice(&self) -> bool {
        self.clear_copies >= LEAST && self.clear_copies >= self.clear / SHARE
    }

    const fn saw_clear(&mut self, copies: u32) {
        self.clear += 1;
        self.clear_copies += copies;
        if self.clear >= SPAN {
            self.clear /= 2;
            self.clear_copies /= 2;
        }
    }

    fn print(&self, frame: &Frame<'_>) -> Option<Print> {
        let packet = ip_of(frame)?;
        match packet.first()? >> 4 {
            4 => self.print_v4(packet),
            6 => self.print_v6(packet),
            _ => None,
        }
    }

    fn print_v4(&self, packet: &[u8]) -> Option<Print> {
        let header = packet.get(..20)?;
        let length = usize::from(header[0] & 0xf) * 4;
        let behind = packet.get(length.max(20)..)?;
        // Padding of short frames is no part of the packet.
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let behind = behind.get(..total.saturating_sub(length)).unwrap_or(behind);
        // Length, identification, fragment, protocol, addresses; all but TOS, TTL and checksum.
        let mut words = [0; 16];
        words[..6].copy_from_slice(&header[2..8]);
        words[6] = header[9];
        words[7..15].copy_from_slice(&header[12..20]);
        let has_id = header[4..6] != [0, 0];
        let is_later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
        let clear = has_id || !is_later && is_clear_tcp(header[9], behind);
        Some(Print { hash: self.hash(&[&words, beginning(behind)]), clear })
    }

    fn print_v6(&self, packet: &[u8]) -> Option<Print> {
        let header = packet.get(..40)?;
        let behind = packet.get(40..)?;
        let total = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let behind = if total == 0 { behind } else { behind.get(..total).unwrap_or(behind) };
        // Length, next header, addresses; a fragment's identification is in what follows. The flow label may be set on the way.
        let (mut words, mut more) = ([0; 16], [0; 32]);
        words[..3].copy_from_slice(&header[4..7]);
        words[3] = 6;
        more.copy_from_slice(&header[8..40]);
        let is_fragment = header[6] == 44;
        let clear = is_fragment || is_clear_tcp(header[6], behind);
        Some(Print { hash: self.hash(&[&words, &more, beginning(behind)]), clear })
    }

    /// A keyed hash: multiplications folded, as in wyhash.
    #[inline]
    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let [seed, mut state] = self.seeds;
        let mut mix = |a: u64, b: u64| {
            let product = u128::from(a ^ seed) * u128::from(b ^ state);
            state = (product as u64) ^ (product >> 64) as u64 ^ state.rotate_left(23);
        };
        for part in parts {
            let mut blocks = part.chunks_exact(16);
            for block in &mut blocks {
                let (a, b) = block.split_at(8);
                mix(word(a), word(b));
            }
            let mut last = [0; 16];
            let rest = blocks.remainder();
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            let (a, b) = last.split_at(8);
            mix(word(a), word(b) ^ (part.len() as u64) << 56);
        }
        mix(0, 0);
        // 0 is an empty place.
        state.max(1)
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn beginning(bytes: &[u8]) -> &[u8] {
    bytes.get(..COMPARED).unwrap_or(bytes)
}

/// A TCP segment with data, SYN, FIN or RST.
fn is_clear_tcp(proto: u8, behind: &[u8]) -> bool {
    if proto != 6 {
        return false;
    }
    match (behind.get(12), behind.get(13)) {
        (Some(offset), Some(flags)) => flags & 0b111 != 0 || behind.len() > usize::from(offset >> 4) * 4,
        _ => false,
    }
}

/// The outermost IP packet of a frame, behind VLAN tags, MPLS labels and PPPoE.
fn ip_of<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    let data = frame.data;
    match frame.link {
        LinkType::ETHERNET => behind_ethertype(u16_at(data, 12)?, data.get(14..)?),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Some(data),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn behind_ethertype(mut ethertype: u16, mut rest: &[u8]) -> Option<&[u8]> {
    // Two tags, a stack of labels, PPPoE: more is no mirror port's.
    for _ in 0..12 {
        match ethertype {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Some(rest),
            0x8100 | 0x88a8 | 0x9100 => (ethertype, rest) = (u16_at(rest, 2)?, rest.get(4..)?),
            0x8847 | 0x8848 => {
                let is_last = rest.get(2)? & 1 == 1;
                rest = rest.get(4..)?;
                if is_last {
                    return matches!(rest.first()? >> 4, 4 | 6).then_some(rest);
                }
            }
            0x8864 => {
                return matches!(u16_at(rest, 6)?, 0x21 | 0x57).then(|| rest.get(8..)).flatten();
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests;
