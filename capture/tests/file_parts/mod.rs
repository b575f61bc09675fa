//! Parts of capture files, for the tests.

pub(crate) fn order_bytes(big: bool, value: u32) -> [u8; 4] {
    if big { value.to_be_bytes() } else { value.to_le_bytes() }
}

fn order_bytes_16(big: bool, value: u16) -> [u8; 2] {
    if big { value.to_be_bytes() } else { value.to_le_bytes() }
}

/// A pcap file header of version 2.4.
pub(crate) fn pcap_header(big: bool, magic: u32, link: u32) -> Vec<u8> {
    let mut header = order_bytes(big, magic).to_vec();
    header.extend(order_bytes_16(big, 2));
    header.extend(order_bytes_16(big, 4));
    for value in [0, 0, 65_535, link] {
        header.extend(order_bytes(big, value));
    }
    header
}

/// A pcap record.
pub(crate) fn record(big: bool, second: u32, fraction: u32, wire: u32, data: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    for value in [second, fraction, data.len() as u32, wire] {
        record.extend(order_bytes(big, value));
    }
    record.extend(data);
    record
}

/// A little-endian Ethernet capture, one frame a second.
pub(crate) fn pcap(frames: &[&[u8]]) -> Vec<u8> {
    let mut file = pcap_header(false, 0xa1b2_c3d4, 1);
    for (second, data) in (1_000..).zip(frames) {
        file.extend(record(false, second, 7, data.len() as u32, data));
    }
    file
}

/// A pcapng block; the body is padded.
pub(crate) fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let length = body.len().next_multiple_of(4);
    let total = order_bytes(big, length as u32 + 12);
    let mut block = order_bytes(big, kind).to_vec();
    block.extend(total);
    block.extend(body);
    block.resize(8 + length, 0);
    block.extend(total);
    block
}

pub(crate) fn section(big: bool) -> Vec<u8> {
    let mut body = order_bytes(big, 0x1a2b_3c4d).to_vec();
    body.extend(order_bytes_16(big, 1));
    body.extend(order_bytes_16(big, 0));
    body.extend([0xff; 8]);
    block(big, 0x0a0d_0d0a, &body)
}

pub(crate) fn interface(big: bool, link: u16, snaplen: u32, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = order_bytes_16(big, link).to_vec();
    body.extend([0, 0]);
    body.extend(order_bytes(big, snaplen));
    for (code, value) in options {
        body.extend(order_bytes_16(big, *code));
        body.extend(order_bytes_16(big, value.len() as u16));
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(big, 1, &body)
}

pub(crate) fn enhanced(big: bool, interface: u32, stamp: u64, wire: u32, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for value in [interface, (stamp >> 32) as u32, stamp as u32, data.len() as u32, wire] {
        body.extend(order_bytes(big, value));
    }
    body.extend(data);
    block(big, 6, &body)
}

pub(crate) fn simple(big: bool, wire: u32, data: &[u8]) -> Vec<u8> {
    let mut body = order_bytes(big, wire).to_vec();
    body.extend(data);
    block(big, 3, &body)
}
