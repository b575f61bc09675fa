//! The algorithm, over any vector of eight lanes.
//!
//! Per document, θ = N + a. For eight words at once: s = Σ θφ (even and odd blocks summed apart, then together, then the lanes as a
//! balanced tree), r = c/s, and N′ += r·φ, words of even and of odd place summed apart. Then N = θ·N′. The last sweep adds w·r·θ to the
//! words' sums.

use super::{LANES, Unit};

/// Below this a pair's probability is taken as this, so that no quotient overflows.
const SMALLEST: f32 = 1e-28;

/// How many words ahead rows are asked for.
const AHEAD: usize = 24;

/// Rows that do not fit the caches are asked for ahead: φ of more bytes than this.
const CACHED: usize = 768 << 10;

/// Where results go.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) rows: *mut f32,
    pub(super) sums: Option<*mut f32>,
}

/// Eight lanes of f32.
pub(super) trait Vector: Copy {
    /// # Safety
    /// Eight f32 can be read at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// Eight f32 can be written at `to`.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// This and all below: the processor has the instructions of the type.
    unsafe fn splat(value: f32) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// self·factor + sum, rounded once.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// Lane i is the sum of vector i's lanes, ((0+2)+(1+3)) + ((4+6)+(5+7)).
    unsafe fn sums(vectors: [Self; LANES]) -> Self;
    /// counts / max(sums, smallest).
    unsafe fn ratios(counts: Self, sums: Self, smallest: f32) -> Self;
    /// Copies the first `length` words and counts, 1 to 7; the rest becomes 0.
    ///
    /// # Safety
    /// So many can be read.
    unsafe fn some(
        words: *const u32,
        counts: *const f32,
        length: usize,
        to_words: &mut [u32; LANES],
        to_counts: &mut [f32; LANES],
    );
    /// Asks for a row; harmless where there is none.
    unsafe fn prefetch(at: *const f32);
}

/// Sweeps all documents of a unit.
///
/// # Safety
/// `unit` was checked by [`Unit::run`]; the processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn unit<V: Vector>(unit: &Unit<'_>, rows: Rows) {
    // SAFETY: handed on.
    unsafe {
        match unit.stride / LANES {
            1 => documents::<V, 1>(unit, rows),
            2 => documents::<V, 2>(unit, rows),
            3 => documents::<V, 3>(unit, rows),
            4 => documents::<V, 4>(unit, rows),
            5 => documents::<V, 5>(unit, rows),
            6 => documents::<V, 6>(unit, rows),
            _ => long_rows::<V>(unit, rows),
        }
    }
}

/// Rows of a known number of blocks, held in registers.
#[inline(always)]
unsafe fn documents<V: Vector, const BLOCKS: usize>(unit: &Unit<'_>, rows: Rows) {
    let far = size_of_val(unit.phi) > CACHED;
    let mut row = rows.rows;
    for (ends, weight) in unit.offsets.windows(2).zip(unit.weights) {
        let (from, to) = (ends[0], ends[1]);
        for left in (0..unit.sweeps).rev() {
            // SAFETY: from..to lies within the words and counts, every word has a row, `row` is this document's.
            unsafe {
                let mut theta = [V::splat(unit.a); BLOCKS];
                for (block, theta) in theta.iter_mut().enumerate() {
                    *theta = theta.add(V::load(row.add(block * LANES)));
                }
                let sums = if left == 0 { rows.sums } else { None };
                let ahead = (far && left + 1 == unit.sweeps).then_some(rows.sums.map(<*mut f32>::cast_const));
                let next = match sums {
                    Some(sums) => sweep::<V, BLOCKS, true>(unit, (from, to), &theta, sums, *weight, ahead),
                    None => sweep::<V, BLOCKS, false>(unit, (from, to), &theta, row, *weight, ahead),
                };
                for (block, (theta, next)) in theta.into_iter().zip(next).enumerate() {
                    theta.mul(next).store(row.add(block * LANES));
                }
            }
        }
        // SAFETY: at most one past the last document's row.
        row = unsafe { row.add(BLOCKS * LANES) };
    }
}

/// One sweep of a document; `sums` is used only where `SUM`.
#[inline(always)]
unsafe fn sweep<V: Vector, const BLOCKS: usize, const SUM: bool>(
    unit: &Unit<'_>,
    (from, to): (usize, usize),
    theta: &[V; BLOCKS],
    sums: *mut f32,
    weight: f32,
    ahead: Option<Option<*const f32>>,
) -> [V; BLOCKS] {
    // SAFETY: see `documents`.
    unsafe {
        let mut sweep = Sweep { theta, next: [[V::splat(0.0); BLOCKS]; 2], sums, weight };
        let mut at = from;
        while at < to {
            if let Some(sums) = ahead {
                look_ahead::<V, BLOCKS>(unit, at, sums);
            }
            let mut tail = Tail::new();
            let group = Group::at::<V>(unit, at, to, &mut tail);
            // Words past the end change nothing: half of a group that has none in its second half.
            if group.length > LANES / 2 {
                sweep.group::<SUM, LANES>(unit, &group);
            } else {
                sweep.group::<SUM, { LANES / 2 }>(unit, &group);
            }
            at += LANES;
        }
        let [mut sum, other] = sweep.next;
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum = sum.add(other);
        }
        sum
    }
}

/// Asks for the rows of words to come.
///
/// # Safety
/// Every word has a row.
#[inline(always)]
unsafe fn look_ahead<V: Vector, const BLOCKS: usize>(unit: &Unit<'_>, at: usize, sums: Option<*const f32>) {
    let stride = BLOCKS * LANES;
    let phi = unit.phi.as_ptr();
    for place in at + AHEAD..(at + AHEAD + LANES).min(unit.words.len()) {
        // SAFETY: `place` is within the words.
        unsafe {
            let offset = *unit.words.get_unchecked(place) as usize * stride;
            V::prefetch(phi.add(offset));
            V::prefetch(phi.add(offset + stride - 1));
            if let Some(sums) = sums {
                V::prefetch(sums.add(offset));
                V::prefetch(sums.add(offset + stride - 1));
            }
        }
    }
}

/// A document's sweep so far.
struct Sweep<'t, V, const BLOCKS: usize> {
    theta: &'t [V; BLOCKS],
    /// Words of even and of odd place apart.
    next: [[V; BLOCKS]; 2],
    sums: *mut f32,
    weight: f32,
}

impl<V: Vector, const BLOCKS: usize> Sweep<'_, V, BLOCKS> {
    /// The first `WORDS` words of a group, which has no more.
    ///
    /// # Safety
    /// As [`sweep`].
    #[inline(always)]
    unsafe fn group<const SUM: bool, const WORDS: usize>(&mut self, unit: &Unit<'_>, group: &Group) {
        let Self { theta, next, sums, weight } = self;
        let phi = unit.phi.as_ptr();
        // SAFETY: see `documents`.
        unsafe {
            let mut row = [0; LANES];
            let mut products = [V::splat(0.0); LANES];
            for word in 0..WORDS {
                row[word] = *group.words.add(word) as usize * BLOCKS * LANES;
                products[word] = dot::<V, BLOCKS>(theta, phi.add(row[word]));
            }
            let ratios = V::ratios(V::load(group.counts), V::sums(products), SMALLEST);
            let mut r = [0.0_f32; LANES];
            ratios.store(r.as_mut_ptr());
            // Read again: 24 rows' blocks do not fit the registers beside the rest.
            let again = forget(phi);
            for word in 0..WORDS {
                let r = V::splat(r[word]);
                for block in 0..BLOCKS {
                    let into = &mut next[word % 2][block];
                    *into = r.mul_add(V::load(again.add(row[word] + block * LANES)), *into);
                }
            }
            if SUM {
                ratios.mul(V::splat(*weight)).store(r.as_mut_ptr());
                for word in 0..group.length {
                    let r = V::splat(r[word]);
                    let to = sums.add(row[word]);
                    for (block, theta) in theta.iter().enumerate() {
                        let to = to.add(block * LANES);
                        r.mul_add(*theta, V::load(to)).store(to);
                    }
                }
            }
        }
    }
}

/// The same pointer, of which the compiler knows nothing, so that it loads again what it has loaded through the other.
#[inline(always)]
fn forget(mut pointer: *const f32) -> *const f32 {
    // SAFETY: no instruction at all.
    unsafe { std::arch::asm!("/* {0} */", inout(reg) pointer, options(pure, readonly, nostack, preserves_flags)) };
    pointer
}

/// θ·φ lane by lane, even and odd blocks apart.
#[inline(always)]
unsafe fn dot<V: Vector, const BLOCKS: usize>(theta: &[V; BLOCKS], phi: *const f32) -> V {
    // SAFETY: `phi` is a whole row.
    unsafe {
        let mut even = theta[0].mul(V::load(phi));
        if BLOCKS == 1 {
            return even;
        }
        let mut odd = theta[1 % BLOCKS].mul(V::load(phi.add(LANES)));
        for block in 2..BLOCKS {
            let phi = V::load(phi.add(block * LANES));
            if block % 2 == 0 {
                even = theta[block].mul_add(phi, even);
            } else {
                odd = theta[block].mul_add(phi, odd);
            }
        }
        even.add(odd)
    }
}

/// Up to eight words of a document. Past its end stands word 0 with count 0, which changes nothing.
#[derive(Clone, Copy)]
struct Group {
    words: *const u32,
    counts: *const f32,
    length: usize,
}

/// Where the last words of a document are filled up to eight.
struct Tail {
    words: [u32; LANES],
    counts: [f32; LANES],
}

impl Tail {
    #[inline(always)]
    fn new() -> Self {
        Self { words: [0; LANES], counts: [0.0; LANES] }
    }
}

impl Group {
    /// # Safety
    /// `at < to`, and `to` is within the words and counts. The group points into `tail` or the unit.
    #[inline(always)]
    unsafe fn at<V: Vector>(unit: &Unit<'_>, at: usize, to: usize, tail: &mut Tail) -> Self {
        // SAFETY: `at` is within the words and counts; no more than `to - at` of them are read.
        unsafe {
            let (words, counts) = (unit.words.as_ptr().add(at), unit.counts.as_ptr().add(at));
            if at + LANES <= to {
                return Self { words, counts, length: LANES };
            }
            V::some(words, counts, to - at, &mut tail.words, &mut tail.counts);
            Self { words: tail.words.as_ptr(), counts: tail.counts.as_ptr(), length: to - at }
        }
    }
}

/// Rows of any number of blocks.
#[inline(always)]
unsafe fn long_rows<V: Vector>(unit: &Unit<'_>, rows: Rows) {
    let stride = unit.stride;
    let (mut theta, mut next) = (vec![0.0_f32; stride], vec![0.0_f32; 2 * stride]);
    let phi = unit.phi.as_ptr();
    for (document, (ends, weight)) in unit.offsets.windows(2).zip(unit.weights).enumerate() {
        let (from, to) = (ends[0], ends[1]);
        // SAFETY: as in `documents`; `theta` and `next` hold one and two rows.
        unsafe {
            let row = rows.rows.add(document * stride);
            for left in (0..unit.sweeps).rev() {
                for block in (0..stride).step_by(LANES) {
                    V::load(row.add(block)).add(V::splat(unit.a)).store(theta.as_mut_ptr().add(block));
                }
                next.fill(0.0);
                let mut at = from;
                while at < to {
                    let mut tail = Tail::new();
                    let group = Group::at::<V>(unit, at, to, &mut tail);
                    let mut word_rows = [phi; LANES];
                    let mut products = [V::splat(0.0); LANES];
                    for word in 0..LANES {
                        word_rows[word] = phi.add(*group.words.add(word) as usize * stride);
                        products[word] = long_dot(&theta, word_rows[word]);
                    }
                    let ratios = V::ratios(V::load(group.counts), V::sums(products), SMALLEST);
                    let mut quotients = [0.0_f32; LANES];
                    ratios.store(quotients.as_mut_ptr());
                    let mut r = [V::splat(0.0); LANES];
                    for (r, quotient) in r.iter_mut().zip(quotients) {
                        *r = V::splat(quotient);
                    }
                    for block in (0..stride).step_by(LANES) {
                        for half in 0..2 {
                            let into = next.as_mut_ptr().add(half * stride + block);
                            let mut sum = V::load(into);
                            for word in (half..LANES).step_by(2) {
                                sum = r[word].mul_add(V::load(word_rows[word].add(block)), sum);
                            }
                            sum.store(into);
                        }
                    }
                    if let (0, Some(sums)) = (left, rows.sums) {
                        for (word, r) in r.iter().enumerate().take(group.length) {
                            let r = r.mul(V::splat(*weight));
                            let to = sums.add(*group.words.add(word) as usize * stride);
                            for block in (0..stride).step_by(LANES) {
                                r.mul_add(V::load(theta.as_ptr().add(block)), V::load(to.add(block)))
                                    .store(to.add(block));
                            }
                        }
                    }
                    at += LANES;
                }
                for block in (0..stride).step_by(LANES) {
                    let next = next.as_ptr().add(block);
                    let sum = V::load(next).add(V::load(next.add(stride)));
                    V::load(theta.as_ptr().add(block)).mul(sum).store(row.add(block));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn long_dot<V: Vector>(theta: &[f32], phi: *const f32) -> V {
    let blocks = theta.len() / LANES;
    // SAFETY: `phi` is a row as long as `theta`, of at least two blocks.
    unsafe {
        let theta = theta.as_ptr();
        let mut even = V::load(theta).mul(V::load(phi));
        let mut odd = V::load(theta.add(LANES)).mul(V::load(phi.add(LANES)));
        let mut block = 2;
        while block < blocks {
            let (t, p) = (V::load(theta.add(block * LANES)), V::load(phi.add(block * LANES)));
            if block % 2 == 0 {
                even = t.mul_add(p, even);
            } else {
                odd = t.mul_add(p, odd);
            }
            block += 1;
        }
        even.add(odd)
    }
}
