//! Frames made for tests.

use etherparse::PacketBuilder;

/// Who sends to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) src: [u8; 4],
    pub(crate) dst: [u8; 4],
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
}

impl Way {
    pub(crate) fn new(host: u8, port: u16) -> Self {
        Self { src: [10, 0, 0, host], dst: [192, 0, 2, 1], src_port: port, dst_port: 9_000 }
    }

    pub(crate) fn back(self) -> Self {
        Self { src: self.dst, dst: self.src, src_port: self.dst_port, dst_port: self.src_port }
    }

    fn macs(self) -> ([u8; 6], [u8; 6]) {
        ([2, 0, 0, 0, 0, self.src[3]], [2, 0, 0, 0, 0, self.dst[3]])
    }
}

/// `PacketBuilder` writes the frame.
pub(crate) fn udp(way: Way, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = way.macs();
    let builder = PacketBuilder::ethernet2(src, dst).ipv4(way.src, way.dst, 64).udp(way.src_port, way.dst_port);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// As [`udp`], over IPv6.
pub(crate) fn udp6(way: Way, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = way.macs();
    let ip = |v4: [u8; 4]| {
        let mut ip = [0; 16];
        ip[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        ip[12..].copy_from_slice(&v4);
        ip
    };
    let builder = PacketBuilder::ethernet2(src, dst).ipv6(ip(way.src), ip(way.dst), 64).udp(way.src_port, way.dst_port);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// A TCP segment with these flags.
pub(crate) fn tcp(way: Way, flags: u8, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = way.macs();
    let mut builder =
        PacketBuilder::ethernet2(src, dst).ipv4(way.src, way.dst, 64).tcp(way.src_port, way.dst_port, 1, 1000);
    if flags & 1 != 0 {
        builder = builder.fin();
    }
    if flags & 2 != 0 {
        builder = builder.syn();
    }
    if flags & 4 != 0 {
        builder = builder.rst();
    }
    if flags & 16 != 0 {
        builder = builder.ack(1);
    }
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}
