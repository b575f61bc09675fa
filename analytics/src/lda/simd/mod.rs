//! The inner loops of EM: what every document does with its words' topics, eight f32 lanes at a time.
//!
//! One algorithm ([`sweep`]) over one vector type of eight lanes; lane order, the order of sums and every fused multiply-add are
//! part of it, and the portable lanes compute a fused multiply-add exactly. So AVX2, AVX-512 and portable code give the same bits
//! (a test holds them against each other). The only module of the crate with `unsafe`: intrinsics and rows reached by pointer,
//! behind [`Unit::run`], which checks every index first.

#![expect(unsafe_code, reason = "vector intrinsics, and rows without a bounds check for each of them")]
#![expect(clippy::needless_range_loop, reason = "one index into rows, registers and memory alike")]

mod floor;
mod portable;
mod sweep;
#[cfg(target_arch = "x86_64")]
mod x86;

use sweep::Rows;

/// f32 lanes of a block.
pub(super) const LANES: usize = 8;

/// Topics, rounded up to whole blocks: the length of a row.
pub(super) const fn stride(topics: usize) -> usize {
    topics.div_ceil(LANES) * LANES
}

/// Which instructions the loops use. Not a promise of different results: all give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instructions {
    /// Plain Rust.
    Portable,
    /// x86-64 AVX2 and FMA.
    Avx2,
    /// x86-64 AVX-512 F and VL: 32 registers, and 16 lanes at once where a row is long.
    Avx512,
}

impl Instructions {
    /// The best this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// All that this processor has, the plainest first.
    pub fn available() -> Vec<Self> {
        let best = Self::detect();
        [Self::Portable, Self::Avx2, Self::Avx512].into_iter().filter(|i| *i as u8 <= best as u8).collect()
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// Documents that lie one after the other, and what is done with them.
pub(super) struct Unit<'a> {
    /// Row length, whole blocks.
    pub(super) stride: usize,
    /// φ by word, padding 0.
    pub(super) phi: &'a [f32],
    /// Where each document's words begin, and where the last one's end.
    pub(super) offsets: &'a [usize],
    /// Words, of all the documents.
    pub(super) words: &'a [u32],
    /// Counts, beside the words.
    pub(super) counts: &'a [f32],
    /// How many equal documents each stands for.
    pub(super) weights: &'a [f32],
    /// Document offset a.
    pub(super) a: f32,
    /// Sweeps over each document, at least 1.
    pub(super) sweeps: usize,
}

impl Unit<'_> {
    /// Sweeps each document `sweeps` times: `rows` (N_dk, a row a document) is read and replaced. During the last sweep `sums`, if there, takes up
    /// Σ r·θ by word: a row a word, as long as φ.
    ///
    /// Does nothing where the slices do not fit each other or a word has no row; the return value says so.
    #[must_use]
    pub(super) fn run(&self, instructions: Instructions, rows: &mut [f32], sums: Option<&mut [f32]>) -> bool {
        if !self.fits()
            || rows.len() != self.weights.len() * self.stride
            || sums.as_ref().is_some_and(|sums| sums.len() != self.phi.len())
        {
            return false;
        }
        if self.phi.is_empty() {
            rows.fill(0.0);
            return true;
        }
        let sums = sums.map(|sums| sums.as_mut_ptr());
        let rows = Rows { rows: rows.as_mut_ptr(), sums };
        // SAFETY: `fits` and the line after it: every offset is within `words`, every word has a row in φ and in the sums, every document one in `rows`.
        unsafe { self.dispatch(instructions, rows) };
        true
    }

    /// What a sweep of these documents costs at least: see [`floor`]. The value means nothing; `None` where the slices do not fit each other or rows
    /// are of more than four blocks.
    pub(super) fn floor(&self, instructions: Instructions) -> Option<f32> {
        if !self.fits() || !(1..=4).contains(&(self.stride / LANES)) || self.phi.is_empty() {
            return None;
        }
        // SAFETY: as in `run`; x86 functions are called only where the processor has what they need.
        Some(unsafe {
            match (instructions, Instructions::detect()) {
                #[cfg(target_arch = "x86_64")]
                (Instructions::Avx512, Instructions::Avx512) => x86::floor_avx512(self),
                #[cfg(target_arch = "x86_64")]
                (Instructions::Avx2 | Instructions::Avx512, Instructions::Avx2 | Instructions::Avx512) => {
                    x86::floor_avx2(self)
                }
                _ => floor::floor::<portable::Lanes>(self),
            }
        })
    }

    /// Whether the slices fit each other and every word has a row.
    fn fits(&self) -> bool {
        let documents = self.weights.len();
        let vocabulary = self.phi.len().checked_div(self.stride).unwrap_or(0);
        let own = match (self.offsets.first(), self.offsets.last()) {
            (Some(from), Some(to)) => self.words.get(*from..*to),
            _ => None,
        };
        self.stride.is_multiple_of(LANES)
            && self.offsets.len() == documents + 1
            && self.offsets.is_sorted()
            && self.counts.len() == self.words.len()
            && own.is_some_and(|own| own.is_empty() || (most(own) as usize) < vocabulary)
    }

    /// # Safety
    /// [`Self::fits`], and `rows` too.
    unsafe fn dispatch(&self, instructions: Instructions, rows: Rows) {
        // SAFETY: the caller's; x86 functions are called only where the processor has what they need.
        unsafe {
            match (instructions, Instructions::detect()) {
                #[cfg(target_arch = "x86_64")]
                (Instructions::Avx512, Instructions::Avx512) => x86::unit_avx512(self, rows),
                #[cfg(target_arch = "x86_64")]
                (Instructions::Avx2 | Instructions::Avx512, Instructions::Avx2 | Instructions::Avx512) => {
                    x86::unit_avx2(self, rows)
                }
                _ => sweep::unit::<portable::Lanes>(self, rows),
            }
        }
    }
}

/// The largest word. Eight at a time, so that it costs next to nothing.
fn most(words: &[u32]) -> u32 {
    let (eights, rest) = words.as_chunks::<LANES>();
    let mut most = [0; LANES];
    for words in eights {
        for (most, word) in most.iter_mut().zip(words) {
            *most = (*most).max(*word);
        }
    }
    most.iter().chain(rest).fold(0, |most, word| most.max(*word))
}
