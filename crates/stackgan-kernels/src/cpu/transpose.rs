//! Transposition of rows of values into lanes, by which weights and planes are converted to blocks.
#![allow(unsafe_code, reason = "a prefetch, and functions compiled for newer CPUs")]

use super::lane::{LANES, Lane};

/// Prefetches `lines` cache lines of `values` from index `at` on. Lines after the end are skipped.
#[inline(always)]
pub(super) fn fetch(values: &[f32], at: usize, lines: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..lines {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        if let Some(value) = values.get(at + line * LANES) {
            // SAFETY: every x86-64 CPU has the instruction, which reads nothing; the address is
            // that of a value.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at, lines);
}

/// Sets `out[j][i] = from[i * stride + j]` for `rows` i and `columns` j, at most sixteen of each.
/// The values of a lane after the last row are 0.
pub(super) fn across(
    out: &mut [Lane],
    from: &[f32],
    stride: usize,
    (rows, columns): (usize, usize),
) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if rows == LANES && from.len() >= (LANES - 1) * stride + LANES && out.len() >= LANES {
        let (to, from) = (out.as_mut_ptr().cast(), from.as_ptr());
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the feature; sixteen values from the start of each of sixteen rows
            // are inside `from`, and sixteen lanes inside `out`, as checked above.
            return unsafe { avx512(to, from, stride) };
        }
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") {
            // SAFETY: likewise.
            return unsafe { avx2(to, from, stride) };
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            // SAFETY: likewise.
            return unsafe { neon(to, from, stride) };
        }
    }
    for (j, out) in out[..columns].iter_mut().enumerate() {
        let mut values = [0.; LANES];
        for (i, value) in values[..rows].iter_mut().enumerate() {
            *value = from[i * stride + j];
        }
        *out = Lane(values);
    }
}

/// # Safety
/// `from` has sixteen rows of sixteen values, `stride` apart; `out` has sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(out: *mut f32, from: *const f32, stride: usize) {
    use std::arch::x86_64::{
        _mm512_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_shuffle_ps,
        _mm512_storeu_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
    };
    // SAFETY: the caller's promise.
    let row = |i: usize| unsafe { _mm512_loadu_ps(from.add(i * stride)) };
    // Transpose squares of 2x2, then of 4x4 within each quarter of a vector, then exchange whole
    // quarters.
    let mut a = [_mm512_setzero_ps(); LANES];
    for i in 0..LANES / 4 {
        let (r0, r1, r2, r3) = (row(4 * i), row(4 * i + 1), row(4 * i + 2), row(4 * i + 3));
        let (low01, high01) = (_mm512_unpacklo_ps(r0, r1), _mm512_unpackhi_ps(r0, r1));
        let (low23, high23) = (_mm512_unpacklo_ps(r2, r3), _mm512_unpackhi_ps(r2, r3));
        a[4 * i] = _mm512_shuffle_ps::<0b01_00_01_00>(low01, low23);
        a[4 * i + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(low01, low23);
        a[4 * i + 2] = _mm512_shuffle_ps::<0b01_00_01_00>(high01, high23);
        a[4 * i + 3] = _mm512_shuffle_ps::<0b11_10_11_10>(high01, high23);
    }
    // Now quarter q of a[4 i + j] holds column 4 q + j of rows 4 i to 4 i + 3.
    for j in 0..4 {
        let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(a[j], a[4 + j]);
        let odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(a[j], a[4 + j]);
        let even2 = _mm512_shuffle_f32x4::<0b10_00_10_00>(a[8 + j], a[12 + j]);
        let odd2 = _mm512_shuffle_f32x4::<0b11_01_11_01>(a[8 + j], a[12 + j]);
        let columns = [
            _mm512_shuffle_f32x4::<0b10_00_10_00>(even, even2),
            _mm512_shuffle_f32x4::<0b10_00_10_00>(odd, odd2),
            _mm512_shuffle_f32x4::<0b11_01_11_01>(even, even2),
            _mm512_shuffle_f32x4::<0b11_01_11_01>(odd, odd2),
        ];
        for (q, column) in columns.into_iter().enumerate() {
            // SAFETY: lane 4 q + j is one of sixteen.
            unsafe { _mm512_storeu_ps(out.add((4 * q + j) * LANES), column) };
        }
    }
}

/// # Safety
/// As [`avx512`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(out: *mut f32, from: *const f32, stride: usize) {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm256_set_m128, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps,
        _mm256_unpacklo_ps,
    };
    // Eight rows of four columns at a time: a vector has a row in its low half and the fourth row after it
    // in its high half, so that squares of 4x4 within each half are transposed, and no half is exchanged.
    for row in [0, 8] {
        for column in [0, 4, 8, 12] {
            // SAFETY: four values from `column` on in a row, both below sixteen: the caller's promise.
            let four = |i: usize| unsafe { _mm_loadu_ps(from.add((row + i) * stride + column)) };
            let pair = |i: usize| _mm256_set_m128(four(4 + i), four(i));
            let (r0, r1, r2, r3) = (pair(0), pair(1), pair(2), pair(3));
            let (low01, high01) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
            let (low23, high23) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
            let columns = [
                _mm256_shuffle_ps::<0b01_00_01_00>(low01, low23),
                _mm256_shuffle_ps::<0b11_10_11_10>(low01, low23),
                _mm256_shuffle_ps::<0b01_00_01_00>(high01, high23),
                _mm256_shuffle_ps::<0b11_10_11_10>(high01, high23),
            ];
            for (j, values) in columns.into_iter().enumerate() {
                // SAFETY: eight values from `row` on in lane `column + j`, which is one of sixteen.
                unsafe { _mm256_storeu_ps(out.add((column + j) * LANES + row), values) };
            }
        }
    }
}

/// # Safety
/// `from` has sixteen rows of sixteen values, `stride` apart; `out` has sixteen lanes.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn neon(out: *mut f32, from: *const f32, stride: usize) {
    use std::arch::aarch64::{
        vld1q_f32, vreinterpretq_f32_f64, vreinterpretq_f64_f32, vst1q_f32, vtrn1q_f32, vtrn1q_f64,
        vtrn2q_f32, vtrn2q_f64,
    };
    let low = |a, b| {
        vreinterpretq_f32_f64(vtrn1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))
    };
    let high = |a, b| {
        vreinterpretq_f32_f64(vtrn2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))
    };
    for row in [0, 4, 8, 12] {
        for column in [0, 4, 8, 12] {
            // SAFETY: four values from `column` on in a row, both below sixteen: the caller's promise.
            let four = |i: usize| unsafe { vld1q_f32(from.add((row + i) * stride + column)) };
            let (r0, r1, r2, r3) = (four(0), four(1), four(2), four(3));
            let (even01, odd01) = (vtrn1q_f32(r0, r1), vtrn2q_f32(r0, r1));
            let (even23, odd23) = (vtrn1q_f32(r2, r3), vtrn2q_f32(r2, r3));
            let columns =
                [low(even01, even23), low(odd01, odd23), high(even01, even23), high(odd01, odd23)];
            for (j, values) in columns.into_iter().enumerate() {
                // SAFETY: four values from `row` on in lane `column + j`, which is one of sixteen.
                unsafe { vst1q_f32(out.add((column + j) * LANES + row), values) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LANES, Lane, across};

    #[test]
    fn rows_become_places_in_lanes() {
        for (rows, columns, stride, length) in [
            (16, 16, 16, 256),
            (16, 16, 37, 600),
            (16, 9, 9, 144),
            (16, 9, 9, 200),
            (3, 16, 20, 60),
            (1, 1, 1, 1),
        ] {
            let from: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let mut out = [Lane::splat(f32::NAN); LANES];
            across(&mut out, &from, stride, (rows, columns));
            for (j, lane) in out[..columns].iter().enumerate() {
                for i in 0..LANES {
                    let expected = if i < rows { from[i * stride + j] } else { 0. };
                    assert_eq!(lane.0[i], expected, "{rows} {columns} {stride}: {i} {j}");
                }
            }
        }
    }
}
