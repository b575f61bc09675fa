//! A vector that never moves what is in it: values of a column pile up by the hundred thousand, and doubling a vector
//! copies them, into memory that is new to the process, again and again.

/// Values of a block. The first grows up to it, so that few values take little.
const BLOCK: usize = 4_096;

/// See the [module](self).
pub(super) struct Pile<T> {
    full: Vec<Vec<T>>,
    last: Vec<T>,
}

impl<T> Default for Pile<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new() }
    }
}

impl<T: Copy> Pile<T> {
    #[inline]
    pub(super) fn push(&mut self, value: T) {
        if self.last.len() == BLOCK {
            self.next_block();
        }
        self.last.push(value);
    }

    #[cold]
    fn next_block(&mut self) {
        let full = std::mem::replace(&mut self.last, Vec::with_capacity(BLOCK));
        self.full.push(full);
    }

    pub(super) const fn len(&self) -> usize {
        self.full.len() * BLOCK + self.last.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a place below [`len`](Self::len).
    #[inline]
    pub(super) fn get(&self, at: u32) -> T {
        let at = at as usize;
        self.full.get(at / BLOCK).unwrap_or(&self.last)[at % BLOCK]
    }

    /// All values, in the order they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.full.iter().flatten().chain(&self.last)
    }

    pub(super) fn clear(&mut self) {
        self.full.clear();
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_vector() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 5] {
            let mut pile = Pile::default();
            (0..len as u64).for_each(|value| pile.push(value * value));
            assert_eq!((pile.len(), pile.is_empty()), (len, len == 0));
            assert!((0..len as u32).all(|at| pile.get(at) == u64::from(at).pow(2)));
            assert!(pile.iter().copied().eq((0..len as u64).map(|value| value * value)));
            pile.clear();
            assert_eq!(pile.len(), 0);
        }
    }
}
