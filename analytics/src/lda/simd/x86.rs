//! Eight lanes as one AVX register.

use std::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_cmpgt_epi32,
    _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_epi32, _mm256_maskload_ps, _mm256_max_ps,
    _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
};

use super::floor::floor;
use super::sweep::{Rows, Vector, unit};
use super::{LANES, Unit};

#[derive(Clone, Copy)]
struct Avx(__m256);

/// # Safety
/// As [`unit`]; the processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn unit_avx2(of: &Unit<'_>, rows: Rows) {
    // SAFETY: handed on.
    unsafe { unit::<Avx>(of, rows) }
}

/// # Safety
/// As [`unit`]; the processor has AVX-512 F and VL.
#[target_feature(enable = "avx2,fma,avx512f,avx512vl")]
pub(super) unsafe fn unit_avx512(of: &Unit<'_>, rows: Rows) {
    // SAFETY: handed on.
    unsafe { unit::<Avx>(of, rows) }
}

/// [a0+a2, b0+b2, a1+a3, b1+b3 | the same of lanes 4 to 7].
#[inline]
#[target_feature(enable = "avx2,fma")]
fn two(a: Avx, b: Avx) -> __m256 {
    _mm256_add_ps(_mm256_unpacklo_ps(a.0, b.0), _mm256_unpackhi_ps(a.0, b.0))
}

/// [a, b, c, d | the same of the upper lanes], of two pairs.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn four(ab: __m256, cd: __m256) -> __m256 {
    let (ab, cd) = (_mm256_castps_pd(ab), _mm256_castps_pd(cd));
    let (low, high) = (_mm256_unpacklo_pd(ab, cd), _mm256_unpackhi_pd(ab, cd));
    _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high))
}

/// # Safety
/// As [`floor`]; the processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn floor_avx2(of: &Unit<'_>) -> f32 {
    // SAFETY: handed on.
    unsafe { floor::<Avx>(of) }
}

/// # Safety
/// As [`floor`]; the processor has AVX-512 F and VL.
#[target_feature(enable = "avx2,fma,avx512f,avx512vl")]
pub(super) unsafe fn floor_avx512(of: &Unit<'_>) -> f32 {
    // SAFETY: handed on.
    unsafe { floor::<Avx>(of) }
}

impl Vector for Avx {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's, here and below.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: see `load`.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: see `load`.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: see `load`.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: see `load`.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: see `load`.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn sums(v: [Self; LANES]) -> Self {
        // SAFETY: see `load`.
        unsafe {
            let first = four(two(v[0], v[1]), two(v[2], v[3]));
            let last = four(two(v[4], v[5]), two(v[6], v[7]));
            let (low, high) =
                (_mm256_permute2f128_ps::<0x20>(first, last), _mm256_permute2f128_ps::<0x31>(first, last));
            Self(_mm256_add_ps(low, high))
        }
    }

    #[inline(always)]
    unsafe fn ratios(counts: Self, sums: Self, smallest: f32) -> Self {
        // SAFETY: see `load`. Of equal or unordered operands `max` gives the second, as the portable lanes do.
        Self(unsafe { _mm256_div_ps(counts.0, _mm256_max_ps(sums.0, _mm256_set1_ps(smallest))) })
    }

    #[inline(always)]
    unsafe fn some(
        words: *const u32,
        counts: *const f32,
        length: usize,
        to_words: &mut [u32; LANES],
        to_counts: &mut [f32; LANES],
    ) {
        // SAFETY: masked lanes are neither read nor can they fault; the arrays take eight.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(length as i32), lanes);
            _mm256_storeu_si256(to_words.as_mut_ptr().cast(), _mm256_maskload_epi32(words.cast(), mask));
            _mm256_storeu_ps(to_counts.as_mut_ptr(), _mm256_maskload_ps(counts, mask));
        }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: prefetching touches no memory that the program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}
