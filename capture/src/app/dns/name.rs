//! Domain names: from the wire, with compression (RFC 1035 4.1.4), to text (RFC 4343 escapes).
//!
//! A damaged name gives the labels that could be read and the damage; only where its end in the message
//! cannot be told, nothing after it can be read.

/// Octets of a name, its length octets and the root's included (RFC 1035 2.3.4).
const MAX_NAME: usize = 255;
/// Longer names are against the standard, are sent all the same, and are kept up to this many octets.
const MAX_KEPT: usize = 1_024;
/// A legal name has at most 127 labels, so at most that many pointers.
const MAX_POINTERS: u32 = 127;

/// A pointer that comes back to itself.
pub(super) const COMPRESSION_LOOP: &str = "compression_loop";
/// A pointer that does not lead to an earlier part of the message, as it must, but can be followed.
pub(super) const POINTER_FORWARD: &str = "pointer_forward";
/// A pointer past the end of the message.
pub(super) const POINTER_OUT_OF_BOUNDS: &str = "pointer_out_of_bounds";
/// A label type that nobody may use (RFC 6891 5).
pub(super) const BAD_LABEL: &str = "bad_label";
/// More octets than a name may have.
pub(super) const NAME_TOO_LONG: &str = "name_too_long";
/// The message ends within the name.
pub(super) const NAME_CUT: &str = "name_cut";

/// A name without compression: length octet and label, again and again, without the root.
pub(super) struct Name {
    labels: [u8; MAX_KEPT],
    len: usize,
}

/// Where a name ended and what was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// First octet after the name, where it was found.
    pub(super) next: Option<usize>,
    /// What was wrong.
    pub(super) damage: Option<&'static str>,
}

impl Name {
    pub(super) const fn new() -> Self {
        Self { labels: [0; MAX_KEPT], len: 0 }
    }

    /// Whether no label was read: the root, or nothing at all.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets it takes on the wire without compression, the root's included.
    pub(super) const fn wire_len(&self) -> usize {
        self.len + 1
    }

    /// Reads the name at `start` of `msg` in place of what is held.
    pub(super) fn read(&mut self, msg: &[u8], start: usize) -> End {
        self.len = 0;
        let (mut pos, mut segment, mut next, mut pointers) = (start, start, None, 0);
        let mut damage = None;
        // What is held when the first suspicious pointer is met: all there is to a name that loops.
        let mut before_suspicion = None;
        let fail = |next, damage| End { next, damage: Some(damage) };
        loop {
            let Some(&octet) = msg.get(pos) else { return fail(next, NAME_CUT) };
            match octet {
                0 => return End { next: next.or(Some(pos + 1)), damage },
                1..=63 => {
                    let label = pos..pos + 1 + usize::from(octet);
                    let Some(bytes) = msg.get(label.clone()) else { return fail(next, NAME_CUT) };
                    let kept = self.len + bytes.len();
                    let Some(room) = self.labels.get_mut(self.len..kept) else {
                        return self.over_long(msg, pos, next, before_suspicion);
                    };
                    room.copy_from_slice(bytes);
                    self.len = kept;
                    if kept >= MAX_NAME && damage.is_none() {
                        damage = Some(NAME_TOO_LONG);
                    }
                    pos = label.end;
                }
                0xc0.. => {
                    let Some(&low) = msg.get(pos + 1) else { return fail(next, NAME_CUT) };
                    next = next.or(Some(pos + 2));
                    let target = usize::from(octet & 0x3f) << 8 | usize::from(low);
                    if target >= msg.len() {
                        return fail(next, POINTER_OUT_OF_BOUNDS);
                    }
                    if target >= segment {
                        before_suspicion = before_suspicion.or(Some(self.len));
                        damage = damage.or(Some(POINTER_FORWARD));
                    }
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        self.len = before_suspicion.unwrap_or(self.len);
                        return fail(next, COMPRESSION_LOOP);
                    }
                    (pos, segment) = (target, target);
                }
                _ => return fail(next, BAD_LABEL),
            }
        }
    }

    /// The name does not fit. If a suspicious pointer was followed it goes round in circles; else the end
    /// is looked for by skipping what is left.
    fn over_long(&mut self, msg: &[u8], pos: usize, next: Option<usize>, before_suspicion: Option<usize>) -> End {
        if let Some(len) = before_suspicion {
            self.len = len;
            return End { next, damage: Some(COMPRESSION_LOOP) };
        }
        End { next: next.or_else(|| skip(msg, pos)), damage: Some(NAME_TOO_LONG) }
    }

    /// Appends the name as text, with the letters as they are. The root is ".", other names have no dot
    /// at the end.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let held = self.labels.get(..self.len).unwrap_or_default();
        if held.is_empty() {
            out.push(b'.');
            return;
        }
        out.reserve(held.len());
        let mut rest = held;
        while let Some((&len, tail)) = rest.split_first() {
            let (label, tail) = tail.split_at_checked(len.into()).unwrap_or((tail, &[]));
            if label.iter().all(|&b| is_plain(b)) {
                out.extend_from_slice(label);
            } else {
                label.iter().for_each(|&b| write_label_octet(b, out));
            }
            if !tail.is_empty() {
                out.push(b'.');
            }
            rest = tail;
        }
    }
}

/// First octet after the name at `pos`, which is not read.
pub(super) fn skip(msg: &[u8], mut pos: usize) -> Option<usize> {
    loop {
        match *msg.get(pos)? {
            0 => return Some(pos + 1),
            len @ 1..=63 => pos += 1 + usize::from(len),
            0xc0.. if pos + 2 <= msg.len() => return Some(pos + 2),
            _ => return None,
        }
    }
}

const fn is_plain(b: u8) -> bool {
    matches!(b, 0x21..=0x7e) && b != b'.' && b != b'\\'
}

/// RFC 4343 2.1.
pub(in crate::app) fn write_label_octet(b: u8, out: &mut Vec<u8>) {
    match b {
        b'.' | b'\\' => out.extend([b'\\', b]),
        0x21..=0x7e => out.push(b),
        _ => write_ddd(b, out),
    }
}

/// `\DDD` (RFC 1035 5.1).
pub(super) fn write_ddd(b: u8, out: &mut Vec<u8>) {
    out.extend([b'\\', b'0' + b / 100, b'0' + b / 10 % 10, b'0' + b % 10]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(msg: &[u8], start: usize) -> (String, End) {
        let mut name = Name::new();
        let end = name.read(msg, start);
        let mut out = Vec::new();
        name.write(&mut out);
        (String::from_utf8(out).expect("text is ASCII"), end)
    }

    fn whole(next: usize) -> End {
        End { next: Some(next), damage: None }
    }

    fn damaged(next: Option<usize>, damage: &'static str) -> End {
        End { next, damage: Some(damage) }
    }

    #[test]
    fn rfc_1035_4_1_4_example() {
        let mut msg = vec![0; 20];
        msg.extend(b"\x01F\x03ISI\x04ARPA\x00");
        msg.resize(40, 0);
        msg.extend(b"\x03FOO\xc0\x14");
        msg.resize(64, 0);
        msg.extend(b"\xc0\x1a");
        msg.resize(92, 0);
        msg.push(0);
        assert_eq!(text(&msg, 20), ("F.ISI.ARPA".into(), whole(32)));
        assert_eq!(text(&msg, 40), ("FOO.F.ISI.ARPA".into(), whole(46)));
        assert_eq!(text(&msg, 64), ("ARPA".into(), whole(66)));
        assert_eq!(text(&msg, 92), (".".into(), whole(93)));
    }

    #[test]
    fn rfc_4343_escapes() {
        // The RFC's own examples: a dot, a backslash and a control within a label.
        assert_eq!(text(b"\x06Donald\x09E\\astlake\x00", 0).0, "Donald.E\\\\astlake");
        assert_eq!(text(b"\x0fDonald.Eastlake\x00", 0).0, "Donald\\.Eastlake");
        assert_eq!(text(b"\x05a\x00\x7f \xff\x00", 0).0, "a\\000\\127\\032\\255");
    }

    #[test]
    fn pointers_that_lie() {
        assert_eq!(text(b"\xc0\x00", 0), (".".into(), damaged(Some(2), COMPRESSION_LOOP)));
        assert_eq!(text(b"\x01a\xc0\x00", 0), ("a".into(), damaged(Some(4), COMPRESSION_LOOP)));
        assert_eq!(text(b"\xc0\x02\xc0\x00", 0), (".".into(), damaged(Some(2), COMPRESSION_LOOP)));
        assert_eq!(text(b"\x01a\xc0\x04\x01b\x00", 0), ("a.b".into(), damaged(Some(4), POINTER_FORWARD)));
        assert_eq!(text(b"\x01a\xc0\xff", 0), ("a".into(), damaged(Some(4), POINTER_OUT_OF_BOUNDS)));
        assert_eq!(text(b"\x01a\x40b", 0), ("a".into(), damaged(None, BAD_LABEL)));
    }

    #[test]
    fn cut_names_keep_their_whole_labels() {
        assert_eq!(text(b"\x03www\x07examp", 0), ("www".into(), damaged(None, NAME_CUT)));
        assert_eq!(text(b"\x03www\xc0", 0), ("www".into(), damaged(None, NAME_CUT)));
        assert_eq!(text(b"", 0), (".".into(), damaged(None, NAME_CUT)));
    }

    #[test]
    fn the_longest_name_and_longer() {
        // 63 + 63 + 63 + 61 octets and their four length octets and the root's: 255.
        let name = |last: u8| {
            let mut msg = Vec::new();
            for len in [63, 63, 63, last] {
                msg.push(len);
                msg.extend(vec![b'x'; len.into()]);
            }
            msg.push(0);
            msg
        };
        assert_eq!(text(&name(61), 0).1, whole(255));
        assert_eq!(text(&name(62), 0).1, damaged(Some(256), NAME_TOO_LONG));
        assert_eq!(text(&name(62), 0).0.len(), 254);
        let mut very_long = [1, b'y'].repeat(1_000);
        very_long.push(0);
        let (kept, end) = text(&very_long, 0);
        assert_eq!(end, damaged(Some(2_001), NAME_TOO_LONG));
        assert_eq!(kept.len(), MAX_KEPT - 1);
    }
}
