//! Superframes that the host sends, cut into the segments that the device makes of them: so user space sees what the wire
//! does. The kernel program counts them the same way (`Size::of` in `ebpf/src/packet.rs`).

use probe_common::protocol::{TCP, UDP};
use probe_common::{Shape, shape_ethernet};

const FIN_PSH: u8 = 0x01 | 0x08;
const CWR: u8 = 0x80;

/// One segment: its captured bytes, and its length on the wire.
pub(super) type Segment<'a> = (&'a [u8], u32);

/// Hands over the segments of a superframe, each with headers of its own; `frame` may be cut, `wire_len` is its length. `buffer`
/// is used again from call to call. What is not a superframe is handed over as it is. How many there were.
pub(super) fn cut(
    frame: &[u8],
    wire_len: u32,
    segment: u16,
    buffer: &mut Vec<u8>,
    mut each: impl FnMut(Segment<'_>),
) -> u32 {
    let step = u32::from(segment);
    let shape = match shape_ethernet(frame) {
        Ok(shape) if step > 0 && shape.payload_bytes > step && matches!(shape.proto, TCP | UDP) => shape,
        _ => {
            each((frame, wire_len));
            return 1;
        }
    };
    let headers = u32::from(shape.payload_offset);
    let count = shape.payload_bytes.div_ceil(step);
    for number in 0..count {
        let start = headers + number * step;
        let length = if number + 1 == count { wire_len.saturating_sub(start) } else { step };
        let payload = (start.min(frame.len() as u32) as usize, (start + length).min(frame.len() as u32) as usize);
        buffer.clear();
        buffer.extend_from_slice(frame.get(..headers as usize).unwrap_or_default());
        adjust(buffer, &shape, number, number + 1 == count, step, length);
        buffer.extend_from_slice(frame.get(payload.0..payload.1).unwrap_or_default());
        each((buffer, headers + length));
    }
    count
}

/// What differs from segment to segment: lengths, identification, sequence number, flags. Checksums are left as they are:
/// the device makes them.
fn adjust(headers: &mut [u8], shape: &Shape, number: u32, last: bool, step: u32, length: u32) {
    let ip = usize::from(shape.ip_offset);
    let transport = usize::from(shape.transport_offset);
    let ip_headers = u32::from(shape.payload_offset - shape.ip_offset);
    let mut put16 = |at: usize, value: u32| {
        if let Some(place) = headers.get_mut(at..at + 2) {
            place.copy_from_slice(&(value as u16).to_be_bytes());
        }
    };
    if shape.version == 4 {
        put16(ip + 2, ip_headers + length);
    } else {
        put16(ip + 4, ip_headers + length - 40);
    }
    if shape.proto == UDP {
        put16(transport + 4, 8 + length);
    }
    let add = |place: Option<&mut [u8]>, amount: u32| match place {
        Some([a, b]) => [*a, *b] = u16::from_be_bytes([*a, *b]).wrapping_add(amount as u16).to_be_bytes(),
        Some([a, b, c, d]) => {
            [*a, *b, *c, *d] = u32::from_be_bytes([*a, *b, *c, *d]).wrapping_add(amount).to_be_bytes();
        }
        _ => {}
    };
    if shape.version == 4 {
        add(headers.get_mut(ip + 4..ip + 6), number);
    }
    if shape.proto == TCP {
        add(headers.get_mut(transport + 4..transport + 8), number * step);
        if let Some(flags) = headers.get_mut(transport + 13) {
            *flags &= !(if last { 0 } else { FIN_PSH } | if number == 0 { 0 } else { CWR });
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};

    use super::*;

    fn superframe(payload: usize) -> Vec<u8> {
        let bytes: Vec<u8> = (0..payload).map(|n| n as u8).collect();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 80, 7_000, 500)
            .ack(1)
            .psh()
            .fin();
        let mut frame = Vec::new();
        builder.write(&mut frame, &bytes).expect("written");
        frame
    }

    #[test]
    fn segments_are_what_a_device_sends() {
        let frame = superframe(3_500);
        let (mut seen, mut payload, mut wire) = (0, Vec::new(), 0);
        let count = cut(&frame, frame.len() as u32, 1_448, &mut Vec::new(), |(data, wire_len)| {
            assert_eq!(data.len(), wire_len as usize);
            wire += wire_len;
            let packet = SlicedPacket::from_ethernet(data).expect("readable");
            let tcp = packet.transport.and_then(|t| if let TransportSlice::Tcp(tcp) = t { Some(tcp) } else { None });
            let tcp = tcp.expect("TCP");
            let ip = packet.net.expect("IP").ip_payload_ref().expect("payload").payload.len();
            assert_eq!(ip, data.len() - 34);
            assert_eq!(tcp.sequence_number(), 7_000 + seen * 1_448);
            assert_eq!((tcp.psh(), tcp.fin(), tcp.ack()), (seen == 2, seen == 2, true));
            payload.extend_from_slice(tcp.payload());
            seen += 1;
        });
        assert_eq!((count, seen), (3, 3));
        assert_eq!(payload, frame[54..]);
        assert_eq!(wire, frame.len() as u32 + 2 * 54);
    }

    #[test]
    fn what_was_not_copied_is_missing_from_the_segments_not_from_their_length() {
        let frame = superframe(3_500);
        let mut lengths = Vec::new();
        cut(&frame[..2_000], frame.len() as u32, 1_448, &mut Vec::new(), |(data, wire_len)| {
            lengths.push((data.len(), wire_len));
        });
        assert_eq!(lengths, [(54 + 1_448, 54 + 1_448), (54 + 498, 54 + 1_448), (54, 54 + 604)]);
    }

    #[test]
    fn other_frames_stay_whole() {
        for (frame, segment) in [(superframe(900), 1_448), (superframe(3_000), 0), (vec![0xff; 3_000], 1_448)] {
            let mut seen = Vec::new();
            let count = cut(&frame, frame.len() as u32, segment, &mut Vec::new(), |(data, _)| seen.push(data.to_vec()));
            assert_eq!((count, seen), (1, vec![frame]));
        }
    }
}
