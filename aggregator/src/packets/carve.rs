//! Carving: the packets of a flow, or of a time, out of packet files into one that Wireshark opens.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use capture::file::{CaptureReader, FileError};
use capture::{
    AddressPair, Decoder, DecoderConfig, Fragment, Frame, Ip, LinkType, Message, Nanos, Packet, Sink, Tunnels,
};

use super::index::{self, Found};
use super::pair_hash;
use super::pcapng::PcapngWriter;
use crate::CommunityId;

/// Largest block of a packet that is believed.
const MAX_BLOCK: u32 = 2 << 20;

/// Which packets. What is absent does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Between these two, in either direction.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// With these ports, of the first and of the second address. ICMP: none.
    pub ports: Option<(u16, u16)>,
    /// IANA protocol number.
    pub proto: Option<u8>,
    /// Of the flow with this Community ID.
    pub community_id: Option<String>,
    /// From this time on.
    pub from: Option<Nanos>,
    /// Up to this time, inclusive.
    pub to: Option<Nanos>,
}

/// What was carved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Carved {
    /// Packets written.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files with such packets.
    pub files: u64,
    /// Files that were looked at.
    pub files_read: u64,
    /// Of those, files that had to be read from end to end.
    pub files_without_index: u64,
    /// Files that could not be read, or not to their end.
    pub files_damaged: u64,
}

/// Why nothing could be carved.
#[derive(Debug, thiserror::Error)]
pub enum CarveError {
    /// The result cannot be written.
    #[error("cannot write the packets: {0}")]
    Write(#[from] io::Error),
}

/// The packet files of a folder and those below, oldest first.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut left, mut found) = (vec![(dir.to_owned(), 0)], Vec::new());
    while let Some((dir, depth)) = left.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            match kind {
                Ok(kind) if kind.is_dir() && depth < 2 => left.push((path, depth + 1)),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|e| e == "pcapng") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    found
}

impl Selection {
    fn in_time(&self, ts: Nanos) -> bool {
        self.from.is_none_or(|from| ts >= from) && self.to.is_none_or(|to| ts <= to)
    }

    /// The one flow it is, if it is one.
    fn flow(&self) -> Option<AddressPair> {
        let ((a, b), proto) = (self.addresses?, self.proto?);
        let ((src, version), (dst, other)) = (Ip::from_ip_addr(a), Ip::from_ip_addr(b));
        let has_ports = matches!(proto, 6 | 17 | 132);
        let (src_port, dst_port) = match self.ports {
            Some(ports) => ports,
            None if has_ports || matches!(proto, 1 | 58) => return None,
            None => (0, 0),
        };
        (version == other && !matches!(proto, 1 | 58)).then_some(AddressPair {
            src,
            dst,
            src_port,
            dst_port,
            proto,
            version,
        })
    }

    fn takes(&self, packet: &Packet) -> bool {
        let pair = &packet.pair;
        let knows_ports = packet.fragment != (Fragment::Later { ports_known: false });
        let is = |pair: &AddressPair| {
            let addresses = (pair.src.to_ip_addr(pair.version), pair.dst.to_ip_addr(pair.version));
            self.addresses.is_none_or(|wanted| wanted == addresses)
                && (!knows_ports || self.ports.is_none_or(|wanted| wanted == (pair.src_port, pair.dst_port)))
        };
        self.proto.is_none_or(|proto| proto == pair.proto)
            && (is(pair) || is(&pair.reversed()))
            && self.community_id.as_deref().is_none_or(|id| CommunityId::new(pair).to_string() == id)
    }

    /// Anything but a time is asked for.
    fn asks_for_packets(&self) -> bool {
        self.addresses.is_some() || self.ports.is_some() || self.proto.is_some() || self.community_id.is_some()
    }
}

/// Reads frames as the records of the selection were read: the inner packet of a tunnel, or the outer one.
struct Reading(Vec<Decoder>);

impl Reading {
    fn new() -> Self {
        let decoder = |tunnels| Decoder::new(DecoderConfig { tunnels, ..DecoderConfig::default() });
        Self(vec![decoder(Tunnels::Inner), decoder(Tunnels::Outer)])
    }

    fn takes(&mut self, frame: &Frame<'_>, wanted: &Selection) -> bool {
        if !wanted.asks_for_packets() {
            return true;
        }
        self.0.iter_mut().any(|decoder| {
            let mut last = Last::default();
            decoder.handle_frame(frame, &mut last);
            last.0.is_some_and(|packet| wanted.takes(&packet))
        })
    }
}

/// The packet of a frame, last read.
#[derive(Default)]
struct Last(Option<Packet>);

impl Sink for Last {
    fn packet(&mut self, packet: &Packet) {
        self.0 = Some(*packet);
    }

    fn message(&mut self, _: Message) {}
}

/// Carves from the packet files of a store's folder, and from these captures (the originals of imports), into `to`.
///
/// # Errors
/// The result cannot be written. What cannot be read is counted.
pub fn carve(
    stores: &[PathBuf],
    captures: &[PathBuf],
    wanted: &Selection,
    to: impl Write,
) -> Result<Carved, CarveError> {
    let mut out = Out { to: Some(to), pcapng: None, links: Vec::new(), carved: Carved::default() };
    for path in stores.iter().flat_map(|dir| files(dir)) {
        from_store(&path, wanted, &mut out)?;
    }
    for path in captures {
        out.carved.files_read += 1;
        out.carved.files_without_index += 1;
        whole(path, wanted, &mut out)?;
    }
    out.finish()
}

/// Begun with the first packet, whose link type is that of the file; others are not mixed in.
struct Out<W: Write> {
    to: Option<W>,
    pcapng: Option<PcapngWriter<BufWriter<W>>>,
    links: Vec<u16>,
    carved: Carved,
}

/// Link types that a capture file may have in one carved file: all are declared at its start.
const LINKS: [LinkType; 5] = [LinkType::ETHERNET, LinkType::RAW, LinkType(113), LinkType(276), LinkType(127)];

impl<W: Write> Out<W> {
    fn packet(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let pcapng = match &mut self.pcapng {
            Some(pcapng) => pcapng,
            None => {
                let Some(to) = self.to.take() else { return Ok(()) };
                self.links = LINKS.iter().map(|link| link.0).collect();
                if !self.links.contains(&frame.link.0) {
                    self.links.push(frame.link.0);
                }
                let interfaces: Vec<_> = self.links.iter().map(|link| (format!("link type {link}"), *link)).collect();
                self.pcapng.insert(PcapngWriter::new(BufWriter::new(to), &interfaces, u32::MAX)?)
            }
        };
        let Some(interface) = self.links.iter().position(|link| *link == frame.link.0) else { return Ok(()) };
        let ts = frame.ts.unwrap_or_default().0;
        pcapng.packet(interface as u32, ts, frame.data, frame.wire_len)?;
        self.carved.packets += 1;
        self.carved.bytes += frame.data.len() as u64;
        Ok(())
    }

    /// A file without packets is a file all the same.
    fn finish(mut self) -> Result<Carved, CarveError> {
        if let Some(to) = self.to.take() {
            let interfaces = [("none".to_owned(), LinkType::ETHERNET.0)];
            self.pcapng = Some(PcapngWriter::new(BufWriter::new(to), &interfaces, u32::MAX)?);
        }
        if let Some(pcapng) = self.pcapng {
            pcapng.finish()?;
        }
        Ok(self.carved)
    }
}

/// By the index where there is a sound one: it also says between which times the packets are.
fn from_store<W: Write>(path: &Path, wanted: &Selection, out: &mut Out<W>) -> Result<(), CarveError> {
    let hash = wanted.flow().map(|pair| pair_hash(&pair));
    let found = File::open(path.with_extension("idx"))
        .and_then(|file| index::find(&mut BufReader::with_capacity(1 << 16, file), hash.unwrap_or(0)));
    out.carved.files_read += 1;
    match found {
        Ok(Found { first, last, .. })
            if wanted.to.is_some_and(|to| to.0 < first) || wanted.from.is_some_and(|from| from.0 > last) =>
        {
            Ok(())
        }
        Ok(Found { offsets, .. }) if hash.is_some() => by_index(path, &offsets, wanted, out),
        Ok(_) => whole(path, wanted, out),
        Err(_) => {
            out.carved.files_without_index += 1;
            whole(path, wanted, out)
        }
    }
}

fn by_index<W: Write>(path: &Path, offsets: &[u32], wanted: &Selection, out: &mut Out<W>) -> Result<(), CarveError> {
    if offsets.is_empty() {
        return Ok(());
    }
    let before = out.carved.packets;
    let Ok(mut file) = File::open(path) else {
        // It expired in this moment.
        out.carved.files_damaged += 1;
        return Ok(());
    };
    let (mut block, mut reading) = (Vec::new(), Reading::new());
    for offset in offsets {
        if read_block(&mut file, *offset, &mut block).is_err() {
            out.carved.files_damaged += 1;
            break;
        }
        let word =
            |at: usize| block.get(at..at + 4).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
        let ts = i64::try_from(u64::from(word(12)) << 32 | u64::from(word(16))).unwrap_or(i64::MAX);
        let data = block.get(28..28 + word(20) as usize).unwrap_or_default();
        let frame = Frame { ts: Some(Nanos(ts)), wire_len: word(24), data, link: LinkType::ETHERNET };
        if wanted.in_time(Nanos(ts)) && reading.takes(&frame, wanted) {
            out.packet(&frame)?;
        }
    }
    out.carved.files += u64::from(out.carved.packets > before);
    Ok(())
}

/// An Enhanced Packet Block.
fn read_block(file: &mut File, offset: u32, block: &mut Vec<u8>) -> io::Result<()> {
    let mut head = [0; 8];
    file.seek(SeekFrom::Start(offset.into()))?;
    file.read_exact(&mut head)?;
    let [a, b, c, d, e, f, g, h] = head;
    let (kind, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    if kind != 6 || !(32..=MAX_BLOCK).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no packet where the index says"));
    }
    block.clear();
    block.extend_from_slice(&head);
    file.take(u64::from(length) - 8).read_to_end(block)?;
    if block.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Reads a capture from end to end.
fn whole<W: Write>(path: &Path, wanted: &Selection, out: &mut Out<W>) -> Result<(), CarveError> {
    let before = out.carved.packets;
    let Ok(mut reader) = CaptureReader::open(path) else {
        out.carved.files_damaged += 1;
        return Ok(());
    };
    // One decoder for all: later fragments are known by their first.
    let (mut reading, mut is_damaged) = (Reading::new(), false);
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                let taken = reading.takes(&frame, wanted);
                if taken && wanted.in_time(frame.ts.unwrap_or_default()) {
                    out.packet(&frame)?;
                }
            }
            Ok(None) => break,
            // The file in work ends where its writer is.
            Err(FileError::Truncated { .. }) => {}
            Err(_) => is_damaged = true,
        }
    }
    out.carved.files_damaged += u64::from(is_damaged);
    out.carved.files += u64::from(out.carved.packets > before);
    Ok(())
}
