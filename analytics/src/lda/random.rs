//! A small seeded generator of our own (SplitMix64: Steele, Lea and Flood, OOPSLA 2014), so that a seed means the same for ever.

use super::math::ln;

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

/// The step of the stream.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's function of one state: a step, and its bits mixed.
pub(super) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of a seed and a place (a pair, a document): streams of different places do not depend on who draws first.
    pub(super) fn at(seed: u64, place: u64) -> Self {
        let mut stream = Self(seed ^ place.wrapping_mul(0xd1b5_4a32_d192_ed03));
        // One step apart from the neighbours.
        let state = stream.next_u64();
        Self(state)
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        let next = mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        next
    }

    /// In (0, 1): never 0, never 1.
    pub(super) fn open01(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Standard normal (Marsaglia's polar method, 1964).
    fn normal(&mut self) -> f64 {
        // Each round succeeds with a chance of π/4; the bound only says that it ends.
        for _ in 0..1000 {
            let (u, v) = (2.0 * self.open01() - 1.0, 2.0 * self.open01() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                return u * (-2.0 * ln(s) / s).sqrt();
            }
        }
        0.0
    }

    /// Gamma with shape ≥ 1 and scale 1 (Marsaglia and Tsang, 2000).
    pub(super) fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        // Each round succeeds with a chance above 0.95; the bound only says that it ends.
        for _ in 0..1000 {
            let x = self.normal();
            let v = 1.0 + c * x;
            let v = v * v * v;
            if v > 0.0 && ln(self.open01()) < 0.5 * x * x + d - d * v + d * ln(v) {
                return d * v;
            }
        }
        shape
    }

    /// A number below `n`; 0 for n = 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }
}
