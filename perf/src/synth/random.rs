//! Chance that is the same on every machine.
//!
//! xoshiro256** (Blackman and Vigna, <https://prng.di.unimi.it/>) seeded through SplitMix64, and the few
//! distributions the generator needs. Logarithm and exponential are computed here from the four basic
//! operations, which IEEE 754 fixes to the last bit; the platform's `libm` is not so bound.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random([u64; 4]);

impl Random {
    /// The stream numbered `stream` of `seed`: streams do not overlap in practice, so an actor's chance does not
    /// depend on what other actors do.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut x = seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self([next(), next(), next(), next()])
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let Self(s) = self;
        let out = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in `0..n`; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform index into something of `len` entries.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Uniform in `low..=high`.
    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Uniform in `(0, 1]`, 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() <= p
    }

    /// Exponential with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -ln(self.unit()) * mean
    }

    /// One of the entries, evenly.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// One of the entries, by weight.
    pub(crate) fn weighted<'a, T>(&mut self, from: &'a [(u32, T)]) -> &'a T {
        let total: u64 = from.iter().map(|(w, _)| u64::from(*w)).sum();
        let mut at = self.below(total);
        for (w, value) in from {
            if at < u64::from(*w) {
                return value;
            }
            at -= u64::from(*w);
        }
        &from[from.len() - 1].1
    }

    /// A value from a quantile table `(probability, value)`, rising in both, first probability 0 and last 1;
    /// between two entries geometrically (sizes and durations are spread over decades).
    pub(crate) fn quantile(&mut self, table: &[(f64, f64)]) -> f64 {
        let u = self.unit();
        for pair in table.windows(2) {
            let ((p0, v0), (p1, v1)) = (pair[0], pair[1]);
            if u <= p1 {
                return v0 * exp(ln(v1 / v0) * (u - p0) / (p1 - p0));
            }
        }
        table[table.len() - 1].1
    }

    /// `n` characters of an alphabet.
    pub(crate) fn text(&mut self, alphabet: &[u8], n: usize) -> String {
        (0..n).map(|_| char::from(*self.pick(alphabet))).collect()
    }
}

/// Lower-case letters.
pub(crate) const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
/// Lower-case letters and digits.
pub(crate) const ALPHANUMERIC: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Lower-case hexadecimal digits.
pub(crate) const HEX: &[u8] = b"0123456789abcdef";

/// Natural logarithm of a positive, normal number: exponent plus the series of atanh on the mantissa.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut e = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        e += 1;
    }
    let z = (m - 1.0) / (m + 1.0);
    let z2 = z * z;
    let (mut sum, mut power) = (0.0, z);
    for k in 0..12 {
        sum += power / f64::from(2 * k + 1);
        power *= z2;
    }
    2.0 * sum + e as f64 * std::f64::consts::LN_2
}

/// e to the power of x, for |x| under 700.
fn exp(x: f64) -> f64 {
    let k = (x / std::f64::consts::LN_2 + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let r = x - k as f64 * std::f64::consts::LN_2;
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..16 {
        term *= r / f64::from(n);
        sum += term;
    }
    sum * f64::from_bits(((1023 + k.clamp(-1000, 1000)) as u64) << 52)
}

/// Draws indexes with probability falling as 1/rank (Zipf with exponent 1).
#[derive(Clone, Debug)]
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    /// Over `n` ranks.
    pub(crate) fn new(n: usize) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=n)
                .map(|rank| {
                    sum += 1.0 / rank as f64;
                    sum
                })
                .collect(),
        )
    }

    /// A rank from 0.
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|&edge| edge < at).min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_exponential_agree_with_the_standard_library() {
        for i in 1..2000 {
            let x = f64::from(i) * 0.037;
            assert!((ln(x) - x.ln()).abs() < 1e-12, "ln {x}");
            let y = x - 37.0;
            assert!((exp(y) / y.exp() - 1.0).abs() < 1e-12, "exp {y}");
        }
    }

    #[test]
    fn the_first_numbers_are_fixed_for_ever() {
        // xoshiro256** with state 1, 2, 3, 4: the reference implementation's first outputs.
        let mut r = Random([1, 2, 3, 4]);
        assert_eq!([r.bits(), r.bits(), r.bits()], [11520, 0, 1_509_978_240]);
    }

    #[test]
    fn means_are_what_was_asked_for() {
        let mut r = Random::new(1, 1);
        let n = 200_000;
        let mean = (0..n).map(|_| r.exponential(3.0)).sum::<f64>() / f64::from(n);
        assert!((mean - 3.0).abs() < 0.03, "{mean}");
        let low = (0..n).filter(|_| r.quantile(&[(0.0, 1.0), (0.5, 10.0), (1.0, 1000.0)]) < 10.0).count();
        assert!((low as f64 / f64::from(n) - 0.5).abs() < 0.01, "{low}");
        let zipf = Zipf::new(10);
        let first = (0..n).filter(|_| zipf.draw(&mut r) == 0).count() as f64 / f64::from(n);
        assert!((first - 1.0 / 2.928_968).abs() < 0.01, "{first}");
    }
}
