//! Which rows have a value, and which values belong to one row.

use std::ops::Range;

use super::hybrid;

/// Definition levels of a column that may be null. While all rows have a value, or none has, they cost nothing.
#[derive(Default)]
pub(super) struct Levels {
    /// 1 = there is a value; empty while all rows are the same.
    bytes: Vec<u8>,
    len: usize,
    nulls: usize,
}

impl Levels {
    #[inline]
    pub(super) fn value(&mut self) {
        if self.nulls > 0 {
            self.mixed(1);
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn null(&mut self) {
        if self.nulls < self.len {
            self.mixed(0);
        }
        self.len += 1;
        self.nulls += 1;
    }

    fn mixed(&mut self, level: u8) {
        if self.bytes.is_empty() {
            self.bytes.resize(self.len, 1 - level);
        }
        self.bytes.push(level);
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn nulls(&self) -> usize {
        self.nulls
    }

    /// Values among the levels of `range`.
    pub(super) fn values(&self, range: Range<usize>) -> usize {
        match self.nulls {
            0 => range.len(),
            all if all == self.len => 0,
            _ => self.bytes.get(range).unwrap_or_default().iter().map(|b| usize::from(*b)).sum(),
        }
    }

    pub(super) fn encode(&self, range: Range<usize>, out: &mut Vec<u8>) {
        match self.nulls {
            0 => push_run(range.len(), 1, out),
            all if all == self.len => push_run(range.len(), 0, out),
            _ => push(self.bytes.get(range).unwrap_or_default(), out),
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.len, self.nulls) = (0, 0);
    }
}

/// Levels of a list that is never null, of structs that are never null.
#[derive(Default)]
pub(in crate::lake) struct Repeats {
    /// 1 = goes on with the list of the one before.
    repetition: Vec<u8>,
    /// 0 = the list is empty.
    definition: Vec<u8>,
    /// Levels before each cut.
    cuts: Vec<usize>,
}

impl Repeats {
    /// Adds a list.
    pub(in crate::lake) fn push(&mut self, elements: usize) {
        if elements == 0 {
            self.repetition.push(0);
            self.definition.push(0);
        }
        for element in 0..elements {
            self.repetition.push(u8::from(element > 0));
            self.definition.push(1);
        }
    }

    /// Ends a page.
    pub(in crate::lake) fn cut(&mut self) {
        self.cuts.push(self.repetition.len());
    }

    /// Levels of each page.
    pub(super) fn pages(&self) -> &[usize] {
        &self.cuts
    }

    pub(super) fn empties(&self) -> usize {
        self.definition.iter().filter(|level| **level == 0).count()
    }

    pub(super) fn values(&self, range: Range<usize>) -> usize {
        self.definition.get(range).unwrap_or_default().iter().map(|b| usize::from(*b)).sum()
    }

    pub(super) fn encode(&self, range: Range<usize>, out: &mut Vec<u8>) {
        push(self.repetition.get(range.clone()).unwrap_or_default(), out);
        push(self.definition.get(range).unwrap_or_default(), out);
    }

    /// Begins again.
    pub(in crate::lake) fn clear(&mut self) {
        self.repetition.clear();
        self.definition.clear();
        self.cuts.clear();
    }
}

/// Levels of one bit, after their length in bytes.
fn push(levels: &[u8], out: &mut Vec<u8>) {
    with_length(out, |out| hybrid::encode(levels, 1, out));
}

/// The same, of equal levels.
pub(super) fn push_run(length: usize, level: u32, out: &mut Vec<u8>) {
    with_length(out, |out| hybrid::push_run(length, level, 1, out));
}

fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}
