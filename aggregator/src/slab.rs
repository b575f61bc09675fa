//! Where the flows are: numbered places, in chunks that never move, so growing copies nothing.

use crate::flow::Flow;

const CHUNK: usize = 1024;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Slab {
    chunks: Vec<Box<[Flow]>>,
    vacant: Vec<u32>,
    /// Places used so far; those above were never used.
    used: u32,
}

impl Slab {
    /// Flows in it.
    pub(crate) fn len(&self) -> usize {
        self.used as usize - self.vacant.len()
    }

    /// A place for the flow; the one vacated last is taken first, for it is still in the cache.
    pub(crate) fn insert(&mut self, flow: Flow) -> u32 {
        let place = self.vacant.pop().unwrap_or_else(|| {
            let place = self.used;
            if place as usize == self.chunks.len() * CHUNK {
                self.chunks.push(vec![Flow::VACANT; CHUNK].into_boxed_slice());
            }
            self.used += 1;
            place
        });
        *self.get(place) = flow;
        place
    }

    /// The place is free again.
    pub(crate) fn remove(&mut self, place: u32) {
        self.vacant.push(place);
    }

    /// The flow at a place that [`insert`](Self::insert) gave.
    #[inline]
    pub(crate) fn peek(&self, place: u32) -> &Flow {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn get(&mut self, place: u32) -> &mut Flow {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }
}
