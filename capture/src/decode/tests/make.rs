//! Packets for the tests, layer by layer.

/// Bytes from hexadecimal digits; blanks are ignored.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn udp(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    join(&[&src_port.to_be_bytes(), &dst_port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload])
}

/// IPv4; `fragment` is the field with flags and offset.
pub(crate) fn ipv4(proto: u8, ends: [u8; 2], id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = 20 + payload.len() as u16;
    let [src, dst] = ends;
    join(&[
        &[0x45, 0],
        &length.to_be_bytes(),
        &id.to_be_bytes(),
        &fragment.to_be_bytes(),
        &[64, proto, 0, 0, 10, 0, 0, src, 10, 0, 0, dst],
        payload,
    ])
}

pub(crate) fn ipv6(next: u8, ends: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let address = |last| hex(&format!("20010db8 00000000 00000000 000000{last:02x}"));
    join(&[&[0x60, 0, 0, 0], &length.to_be_bytes(), &[next, 64], &address(ends[0]), &address(ends[1]), payload])
}

/// 10.0.0.1:1111 to 10.0.0.2:2222, 8 bytes of payload.
pub(crate) fn inner4() -> Vec<u8> {
    ipv4(17, [1, 2], 1, 0, &udp(1111, 2222, b"abcdefgh"))
}

/// 2001:db8::1 port 3333 to 2001:db8::2 port 4444, 8 bytes of payload.
pub(crate) fn inner6() -> Vec<u8> {
    ipv6(17, [1, 2], &udp(3333, 4444, b"abcdefgh"))
}

/// From 02:00:00:00:00:02 to 02:00:00:00:00:01.
pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&hex("020000000001 020000000002"), &ethertype.to_be_bytes(), payload])
}

pub(crate) fn snap(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&hex("aaaa03 000000"), &ethertype.to_be_bytes(), payload])
}

pub(crate) fn after(header: &str, payload: &[u8]) -> Vec<u8> {
    join(&[&hex(header), payload])
}

/// One MPLS label.
pub(crate) fn label(value: u32, bottom: bool) -> [u8; 4] {
    (value << 12 | u32::from(bottom) << 8 | 64).to_be_bytes()
}
