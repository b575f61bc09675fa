//! Captures made to exhaust their reader: each kind aims at one table or buffer. Small, or as large as one likes.

use std::io::{self, BufWriter, Write};

use super::pcap;

/// What is aimed at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hostile {
    /// The flow table: UDP datagrams, each a flow of its own.
    OnePacketFlows,
    /// The stream table and its buffers: TCP streams, each with the beginning of a request that never ends.
    EndlessHeads,
    /// The stream buffers: TCP streams, each with segments after a hole that is never filled.
    Holes,
    /// Waiting questions: DNS queries that differ in nothing but their names, which are as long as names can be.
    Questions,
    /// Rows: DNS answers that nobody asked for, whose texts unpack to much more than their bytes.
    Answers,
    /// Reassembly: first fragments of datagrams that are never complete.
    Fragments,
}

impl Hostile {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::OnePacketFlows, Self::EndlessHeads, Self::Holes, Self::Questions, Self::Answers, Self::Fragments];

    /// The name on a command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnePacketFlows => "one-packet-flows",
            Self::EndlessHeads => "endless-heads",
            Self::Holes => "holes",
            Self::Questions => "questions",
            Self::Answers => "answers",
            Self::Fragments => "fragments",
        }
    }
}

impl std::str::FromStr for Hostile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| format!("{name}: expected one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// Writes so many attempts of a kind, a microsecond apart; how many packets that were.
///
/// # Errors
/// The writer's.
pub fn write_hostile(kind: Hostile, count: u32, out: impl Write) -> io::Result<u64> {
    let mut out = Out { out: BufWriter::with_capacity(1 << 20, out), now: 1_700_000_000_000_000_000, packets: 0 };
    out.out.write_all(&pcap::file_header(262_144))?;
    for n in 0..count {
        match kind {
            Hostile::OnePacketFlows => out.packet(&udp(n, 40_000, 9, b"x"))?,
            Hostile::EndlessHeads => {
                out.packet(&tcp(n, 0, SYN, b""))?;
                out.packet(&tcp(n, 1, ACK, &[b"GET / HTTP/1.1\r\nX-Filler: ".as_slice(), &[b'a'; 1_300]].concat()))?;
            }
            Hostile::Holes => {
                out.packet(&tcp(n, 0, SYN, b""))?;
                out.packet(&tcp(n, 1, ACK, b"GET / HT"))?;
                for hole in 1..=8 {
                    out.packet(&tcp(n, 2_000 * hole, ACK, &[b'h'; 1_300]))?;
                }
            }
            Hostile::Questions => out.packet(&udp(0, 5_353 + 1, 53, &dns(0x0100, n, 0)))?,
            Hostile::Answers => out.packet(&udp(n, 53, 40_000, &dns(0x8180, n, 100)))?,
            Hostile::Fragments => out.packet(&fragment(n))?,
        }
    }
    out.out.flush()?;
    Ok(out.packets)
}

const SYN: u8 = 2;
const ACK: u8 = 16;

struct Out<W: Write> {
    out: BufWriter<W>,
    now: u64,
    packets: u64,
}

impl<W: Write> Out<W> {
    fn packet(&mut self, frame: &[u8]) -> io::Result<()> {
        self.now += 1_000;
        self.packets += 1;
        let length = frame.len() as u32;
        let (second, fraction) = ((self.now / 1_000_000_000) as u32, (self.now % 1_000_000_000) as u32);
        for word in [second, fraction, length, length] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(frame)
    }
}

/// Ethernet and IPv4, from host `n` of 10.0.0.0/8. No checksums: nobody judges them.
fn ip(n: u32, proto: u8, id: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend(((20 + payload.len()) as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend(flags.to_be_bytes());
    frame.extend([64, proto, 0, 0, 10]);
    frame.extend(&n.to_be_bytes()[1..]);
    frame.extend([192, 0, 2, (n >> 24) as u8]);
    frame.extend(payload);
    frame
}

fn udp(n: u32, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let header = [from, to, length, 0].map(u16::to_be_bytes);
    ip(n, 17, 0, 0, &[header.as_flattened(), payload].concat())
}

fn tcp(n: u32, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x9c, 0x40, 0, 80];
    header.extend(seq.to_be_bytes());
    header.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    ip(n, 6, 0, 0, &[header.as_slice(), payload].concat())
}

/// A message with the longest name there is, of which `n` is a part, and so many NS records whose names are as long, by
/// pointers.
fn dns(flags: u16, n: u32, answers: u16) -> Vec<u8> {
    let mut message = [7, flags, 1, answers, 0, 0].map(u16::to_be_bytes).concat();
    let digits = format!("{n:010}");
    message.push(10);
    message.extend(digits.as_bytes());
    for length in [63, 63, 63, 50] {
        message.push(length);
        message.extend(std::iter::repeat_n(b'n', length.into()));
    }
    message.extend([0, 0, 2, 0, 1]);
    for _ in 0..answers {
        message.extend([0xc0, 12, 0, 2, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
    }
    message
}

/// The first 1,400 bytes of a datagram to port 53.
fn fragment(n: u32) -> Vec<u8> {
    const MORE: u16 = 0x2000;
    let header = [40_000, 53, 4_000, 0].map(u16::to_be_bytes);
    ip(n, 17, n as u16, MORE, &[header.as_flattened(), &[b'f'; 1_392]].concat())
}
