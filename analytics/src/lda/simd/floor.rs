//! What a sweep costs at least: its loads and multiply-adds, and nothing else.

use super::sweep::Vector;
use super::{LANES, Unit};

/// For every pair of the unit the row's blocks are loaded and take part in two multiply-adds each, as in a sweep; but there are no sums over lanes, no
/// quotients, no documents. For rows of 1 to 4 blocks. The value means nothing.
///
/// # Safety
/// As for [`super::sweep::unit`].
#[inline(always)]
pub(super) unsafe fn floor<V: Vector>(unit: &Unit<'_>) -> f32 {
    // SAFETY: handed on.
    unsafe {
        match unit.stride / LANES {
            1 => rows::<V, 1>(unit),
            2 => rows::<V, 2>(unit),
            3 => rows::<V, 3>(unit),
            _ => rows::<V, 4>(unit),
        }
    }
}

#[inline(always)]
unsafe fn rows<V: Vector, const BLOCKS: usize>(unit: &Unit<'_>) -> f32 {
    let (words, phi) = (unit.words.as_ptr(), unit.phi.as_ptr());
    let (from, to) = (unit.offsets[0], unit.offsets[unit.offsets.len() - 1]);
    // SAFETY: every word has a row of `stride` ≥ BLOCKS · LANES f32.
    unsafe {
        let (theta, r) = (V::splat(1e-3), V::splat(1e-6));
        let mut sums = [[V::splat(0.0); BLOCKS]; 4];
        let mut at = from;
        while at + 2 <= to {
            for half in 0..2 {
                let row = phi.add(*words.add(at + half) as usize * unit.stride);
                for block in 0..BLOCKS {
                    let phi = V::load(row.add(block * LANES));
                    sums[half][block] = theta.mul_add(phi, sums[half][block]);
                    sums[2 + half][block] = r.mul_add(phi, sums[2 + half][block]);
                }
            }
            at += 2;
        }
        let mut out = [0.0; LANES];
        for sum in sums.iter().flatten() {
            sum.store(out.as_mut_ptr());
            out[0] += out[LANES - 1];
        }
        out[0]
    }
}
