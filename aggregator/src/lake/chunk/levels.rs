//! Which rows have a value, and which values belong to one row.

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

    /// How many values come before each row; empty where each row has one, or none has.
    pub(super) fn ranks(&self, ranks: &mut Vec<u32>) {
        ranks.clear();
        let mut before = 0;
        ranks.extend(self.bytes.iter().map(|level| {
            let rank = before;
            before += u32::from(*level);
            rank
        }));
    }

    /// Appends the levels of these rows, and puts where their values are to `at`.
    pub(super) fn encode(
        &self,
        rows: &[u32],
        ranks: &[u32],
        levels: &mut Vec<u8>,
        at: &mut Vec<u32>,
        out: &mut Vec<u8>,
    ) {
        if self.nulls == self.len {
            return push_run(rows.len(), 0, out);
        }
        levels.clear();
        for row in rows.iter().map(|row| *row as usize) {
            let level = self.bytes[row];
            levels.push(level);
            if level == 1 {
                at.push(ranks[row]);
            }
        }
        push(levels, out);
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.len, self.nulls) = (0, 0);
    }
}

/// Lists that are never null, of structs that are never null.
#[derive(Default)]
pub(in crate::lake) struct Repeats {
    /// Elements up to the end of each row's list.
    ends: Vec<u32>,
    empties: usize,
}

impl Repeats {
    /// Adds a list.
    pub(in crate::lake) fn push(&mut self, elements: usize) {
        let before = self.ends.last().copied().unwrap_or_default();
        self.ends.push(before.saturating_add(u32::try_from(elements).unwrap_or(u32::MAX)));
        self.empties += usize::from(elements == 0);
    }

    pub(super) const fn empties(&self) -> usize {
        self.empties
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Appends the levels of these rows, and puts where their elements are to `at`; how many levels there are.
    pub(super) fn encode(&self, rows: &[u32], levels: &mut Vec<u8>, at: &mut Vec<u32>, out: &mut Vec<u8>) -> usize {
        let list = |row: &u32| {
            let row = *row as usize;
            let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
            start..self.ends[row]
        };
        // Whether a level goes on with the list of the one before.
        levels.clear();
        for row in rows {
            let list = list(row);
            levels.push(0);
            levels.resize(levels.len() + list.len().saturating_sub(1), 1);
            at.extend(list);
        }
        push(levels, out);
        let count = levels.len();
        // Whether it has an element.
        levels.clear();
        for row in rows {
            let elements = list(row).len();
            levels.resize(levels.len() + elements.max(1), u8::from(elements > 0));
        }
        push(levels, out);
        count
    }

    /// Begins again.
    pub(in crate::lake) fn clear(&mut self) {
        self.ends.clear();
        self.empties = 0;
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
