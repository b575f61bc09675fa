//! One direction of a TCP connection: segments in, bytes in order out.
//!
//! Overlaps: bytes that were given out once are never given out again, so the first copy wins; of two
//! waiting segments the one that begins earlier wins, then the one that came first. A hole is waited for
//! until more than [`MAX_WAITING`] segments or [`MAX_WAITING_BYTES`] wait behind it, until the other side
//! acknowledges what is behind it, or until the stream ends; then it is given out as missing. What the other
//! side acknowledged was on the wire: it is told from what may never have been (the kernel program counts
//! most of a long transfer without handing it up).

use crate::Nanos;

const MAX_WAITING: usize = 64;
const MAX_WAITING_BYTES: usize = 128 << 10;

/// What comes next in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Piece<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// Bytes that were on the wire and not captured (snaplen).
    Cut(u32),
    /// Bytes that the other side received and that did not come here.
    Passed(u32),
    /// Bytes that were never seen.
    Lost(u32),
}

/// A TCP segment's place and bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Segment<'a> {
    pub(in crate::app) ts: Nanos,
    /// Sequence number of its first byte.
    pub(in crate::app) seq: u32,
    /// What was captured of it.
    pub(in crate::app) data: &'a [u8],
    /// Bytes it had on the wire.
    pub(in crate::app) len: u32,
}

#[derive(Debug)]
struct Waiting {
    ts: Nanos,
    seq: u32,
    data: Box<[u8]>,
    len: u32,
}

/// State of one direction.
#[derive(Debug, Default)]
pub(in crate::app) struct Half {
    /// Sequence number of the first byte that could have been given out.
    first: u32,
    /// Sequence number of the next byte; not known before the first segment.
    next: Option<u32>,
    /// In order of sequence number, all beyond `next`.
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    /// Sequence number after the last byte, once a FIN was seen.
    fin: Option<u32>,
    /// When the latest of what was given out could be: bytes that waited for others are as late as these.
    clock: Option<Nanos>,
    /// What the other side has, as far as it said.
    acked: Option<u32>,
}

/// `a - b` in sequence space (RFC 9293 3.4).
pub(in crate::app) const fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Half {
    /// Where the stream begins, if that is not known yet.
    pub(in crate::app) fn begin(&mut self, seq: u32) {
        if self.next.is_none() {
            (self.first, self.next) = (seq, Some(seq));
        }
    }

    /// Whether it is known to begin elsewhere than at `seq`.
    pub(in crate::app) fn begun_elsewhere(&self, seq: u32) -> bool {
        self.next.is_some() && self.first != seq
    }

    /// Sequence number after what was given out.
    pub(in crate::app) fn next(&self) -> Option<u32> {
        self.next
    }

    /// Bytes held back.
    pub(in crate::app) fn buffered(&self) -> usize {
        self.waiting_bytes
    }

    /// All bytes up to a FIN were given out.
    pub(in crate::app) fn is_ended(&self) -> bool {
        matches!((self.fin, self.next), (Some(fin), Some(next)) if distance(next, fin) >= 0)
    }

    /// A FIN after the byte before `seq`.
    pub(in crate::app) fn fin(&mut self, seq: u32) {
        self.fin.get_or_insert(seq);
    }

    /// Takes a segment and gives out what it makes complete.
    pub(in crate::app) fn segment(&mut self, segment: Segment<'_>, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        self.begin(segment.seq);
        let next = self.next.unwrap_or(segment.seq);
        let ahead = distance(segment.seq, next);
        if ahead <= 0 {
            self.give_from(segment, give);
            self.drain(give);
        } else {
            self.hold(segment);
            self.skip_acknowledged(give);
            while self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
                self.skip_hole(give);
            }
        }
    }

    /// The other side has everything before `ack`: holes below were lost by the capture, not on the wire.
    pub(in crate::app) fn acknowledged(&mut self, ack: u32, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        if self.acked.is_none_or(|acked| distance(ack, acked) > 0) {
            self.acked = Some(ack);
        }
        self.skip_acknowledged(give);
    }

    fn skip_acknowledged(&mut self, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        while let (Some(acked), Some(first)) = (self.acked, self.waiting.first())
            && distance(acked, first.seq) >= 0
        {
            self.skip_hole(give);
        }
        if let Some(fin) = self.fin
            && self.has_acknowledged(fin)
        {
            self.skip_to_fin(give);
        }
    }

    fn has_acknowledged(&self, seq: u32) -> bool {
        self.acked.is_some_and(|acked| distance(acked, seq) >= 0)
    }

    /// Nothing more comes: gives out all that waits, with the holes between, and the one before a FIN.
    pub(in crate::app) fn flush(&mut self, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        while !self.waiting.is_empty() {
            self.skip_hole(give);
        }
        self.skip_to_fin(give);
    }

    fn skip_to_fin(&mut self, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        if let (Some(fin), Some(clock)) = (self.fin, self.clock)
            && self.waiting.is_empty()
        {
            self.skip_to(fin, clock, give);
        }
    }

    /// Gives out what of a segment, which begins at or before `next`, is new.
    fn give_from(&mut self, segment: Segment<'_>, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        let next = self.next.unwrap_or(segment.seq);
        let known = next.wrapping_sub(segment.seq);
        if known >= segment.len {
            return;
        }
        let ts = self.clock.map_or(segment.ts, |clock| clock.max(segment.ts));
        self.clock = Some(ts);
        let captured = u32::try_from(segment.data.len()).unwrap_or(u32::MAX).min(segment.len);
        let new = segment.data.get(known as usize..captured as usize).unwrap_or_default();
        if !new.is_empty() {
            give(ts, Piece::Data(new));
        }
        let cut = segment.len - captured.max(known);
        if cut > 0 {
            give(ts, Piece::Cut(cut));
        }
        self.next = Some(segment.seq.wrapping_add(segment.len));
    }

    fn hold(&mut self, segment: Segment<'_>) {
        if segment.len == 0 {
            return;
        }
        let len = segment.data.len().min(segment.len as usize);
        let data: Box<[u8]> = segment.data.get(..len).unwrap_or_default().into();
        let at = self.waiting.partition_point(|w| distance(w.seq, segment.seq) <= 0);
        self.waiting_bytes += data.len();
        self.waiting.insert(at, Waiting { ts: segment.ts, seq: segment.seq, data, len: segment.len });
    }

    /// Gives out what waits and follows without a hole.
    fn drain(&mut self, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        while let (Some(next), Some(first)) = (self.next, self.waiting.first())
            && distance(first.seq, next) <= 0
        {
            let Waiting { ts, seq, data, len } = self.waiting.remove(0);
            self.waiting_bytes -= data.len();
            self.give_from(Segment { ts, seq, data: &data, len }, give);
        }
    }

    fn skip_hole(&mut self, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        let Some((seq, ts)) = self.waiting.first().map(|first| (first.seq, first.ts)) else { return };
        self.skip_to(seq, ts, give);
        self.drain(give);
    }

    /// Gives out as missing what is before `seq`.
    fn skip_to(&mut self, seq: u32, ts: Nanos, give: &mut dyn FnMut(Nanos, Piece<'_>)) {
        let Some(next) = self.next else { return };
        if let Ok(hole @ 1..) = u32::try_from(distance(seq, next)) {
            give(ts, if self.has_acknowledged(seq) { Piece::Passed(hole) } else { Piece::Lost(hole) });
            self.next = Some(seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(pieces: &[String]) -> String {
        pieces.concat()
    }

    fn run(half: &mut Half, out: &mut Vec<String>, seq: u32, data: &[u8], len: u32) {
        let segment = Segment { ts: Nanos(0), seq, data, len };
        half.segment(segment, &mut |_, piece| out.push(show(piece)));
    }

    fn show(piece: Piece<'_>) -> String {
        match piece {
            Piece::Data(d) => String::from_utf8_lossy(d).into_owned(),
            Piece::Cut(n) => format!("<cut {n}>"),
            Piece::Passed(n) => format!("<passed {n}>"),
            Piece::Lost(n) => format!("<lost {n}>"),
        }
    }

    #[test]
    fn order_overlap_cut_and_loss() {
        let (mut half, mut out) = (Half::default(), Vec::new());
        let start = u32::MAX - 2; // the sequence wraps within the first segment
        for (at, data, len) in [
            (0, "abcde", 5),
            (10, "klm", 3),
            (0, "XXXXX", 5),
            (3, "YYfgh", 5),
            (8, "ij", 2),
            (13, "no", 6),
            (30, "z", 1),
        ] {
            run(&mut half, &mut out, start.wrapping_add(at), data.as_bytes(), len);
        }
        assert_eq!(text(&out), "abcdefghijklmno<cut 4>");
        half.flush(&mut |_, piece| out.push(show(piece)));
        assert_eq!(text(&out), "abcdefghijklmno<cut 4><lost 11>z");
        assert_eq!(half.buffered(), 0);
    }

    #[test]
    fn an_acknowledged_hole_is_not_waited_for() {
        let (mut half, mut out) = (Half::default(), Vec::new());
        run(&mut half, &mut out, 0, b"a", 1);
        run(&mut half, &mut out, 5, b"f", 1);
        half.acknowledged(4, &mut |_, piece| out.push(show(piece)));
        assert_eq!(text(&out), "a");
        half.acknowledged(6, &mut |_, piece| out.push(show(piece)));
        assert_eq!(text(&out), "a<passed 4>f");
    }

    #[test]
    fn a_hole_before_a_fin_has_passed_once_it_is_acknowledged() {
        let (mut half, mut out) = (Half::default(), Vec::new());
        run(&mut half, &mut out, 0, b"a", 1);
        half.fin(100);
        half.acknowledged(50, &mut |_, piece| out.push(show(piece)));
        assert!(!half.is_ended());
        half.acknowledged(101, &mut |_, piece| out.push(show(piece)));
        assert_eq!(text(&out), "a<passed 99>");
        assert!(half.is_ended());
        let (mut half, mut out) = (Half::default(), Vec::new());
        run(&mut half, &mut out, 0, b"a", 1);
        half.fin(100);
        half.flush(&mut |_, piece| out.push(show(piece)));
        assert_eq!(text(&out), "a<lost 99>");
    }

    #[test]
    fn a_hole_acknowledged_before_is_not_waited_for() {
        let (mut half, mut out) = (Half::default(), Vec::new());
        run(&mut half, &mut out, 0, b"a", 1);
        half.acknowledged(5, &mut |_, piece| out.push(show(piece)));
        run(&mut half, &mut out, 5, b"f", 1);
        assert_eq!(text(&out), "a<passed 4>f");
        // What the other side has not acknowledged may still come.
        run(&mut half, &mut out, 8, b"i", 1);
        run(&mut half, &mut out, 6, b"gh", 2);
        assert_eq!(text(&out), "a<passed 4>fghi");
    }

    proptest! {
        /// Whatever the segmentation, order and repetition: the same bytes come out, once.
        #[test]
        fn any_segmentation_gives_the_stream(
            stream in proptest::collection::vec(any::<u8>(), 1..400),
            cuts in proptest::collection::vec((0_usize..400, 1_usize..60), 0..50),
            start in any::<u32>(),
        ) {
            let (mut half, mut out) = (Half::default(), Vec::new());
            half.begin(start);
            let all = (0..stream.len()).step_by(40).map(|at| (at, 40));
            for (at, len) in cuts.into_iter().chain(all) {
                let at = at.min(stream.len());
                let data = &stream[at..(at + len).min(stream.len())];
                let segment = Segment { ts: Nanos(0), seq: start.wrapping_add(at as u32), data, len: data.len() as u32 };
                half.segment(segment, &mut |_, piece| {
                    assert!(matches!(piece, Piece::Data(_)), "nothing is missing: {piece:?}");
                    if let Piece::Data(data) = piece {
                        out.extend_from_slice(data);
                    }
                });
            }
            prop_assert_eq!(out, stream);
            prop_assert_eq!(half.buffered(), 0);
        }
    }
}
