//! Transposition of rows of values into lanes, by which weights and planes are converted to blocks.

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
    #[cfg(target_arch = "x86_64")]
    if rows == LANES
        && from.len() >= (LANES - 1) * stride + LANES
        && out.len() >= LANES
        && std::is_x86_feature_detected!("avx512f")
    {
        // SAFETY: the CPU has the feature; sixteen values from the start of each of sixteen rows
        // are inside `from`, and sixteen lanes inside `out`, as checked above.
        return unsafe { sixteen(out.as_mut_ptr().cast(), from.as_ptr(), stride) };
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
unsafe fn sixteen(out: *mut f32, from: *const f32, stride: usize) {
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
