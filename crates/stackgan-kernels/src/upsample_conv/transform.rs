//! Differences of pixels into kinds, and kinds into pixels. All loops run along rows of the small image.
//!
//! Rows are short: each function is compiled again for the widths of the networks, where the loops become a few
//! vector operations.

use crate::vectorised::vectorised;

/// Calls a function whose last argument is the width with a literal, for the widths worth it.
macro_rules! by_width {
    ($function:ident($($arg:expr),*), $width:expr) => {
        match $width {
            4 => $function($($arg),*, 4),
            8 => $function($($arg),*, 8),
            16 => $function($($arg),*, 16),
            32 => $function($($arg),*, 32),
            64 => $function($($arg),*, 64),
            width => $function($($arg),*, width),
        }
    };
}

vectorised! {
    /// The three horizontal kinds of `rows` of one small plane, for one vertical kind: `out[h]` gets its rows, dense.
    ///
    /// `line` is scratch of `width + 2`.
    pub(super) fn input_kinds(
        out: [&mut [f32]; 3],
        plane: &[f32],
        rows: std::ops::Range<usize>,
        vertical: usize,
        line: &mut [f32],
        width: usize,
    ) {
        by_width!(input_kinds_of(out, plane, rows, vertical, line), width);
    }

    /// Rows of one large plane from the nine products of its channel, whose rows are dense.
    pub(super) fn output_rows(plane: &mut [f32], products: [&[f32]; 9], width: usize) {
        by_width!(output_rows_of(plane, products), width);
    }

    /// The nine kinds of the gradient `dy` of one large plane, for `rows` of the small one.
    ///
    /// Kind `k` goes to `out[k * stride..]`, dense. `lines` is scratch of `2 * width + 2`.
    pub(super) fn gradient_kinds(
        out: &mut [f32],
        stride: usize,
        dy: &[f32],
        rows: std::ops::Range<usize>,
        lines: &mut [f32],
        width: usize,
    ) {
        by_width!(gradient_kinds_of(out, stride, dy, rows, lines), width);
    }
}

#[inline(always)]
fn input_kinds_of(
    out: [&mut [f32]; 3],
    plane: &[f32],
    rows: std::ops::Range<usize>,
    vertical: usize,
    line: &mut [f32],
    width: usize,
) {
    let [out_s, out_a, out_c] = out;
    let line = &mut line[..width + 2];
    line[0] = 0.;
    line[width + 1] = 0.;
    let outs = out_s
        .chunks_exact_mut(width)
        .zip(out_a.chunks_exact_mut(width))
        .zip(out_c.chunks_exact_mut(width));
    for (row, ((s, a), c)) in rows.zip(outs) {
        let here = row_of(plane, row, width);
        let above = row.checked_sub(1).and_then(|row| row_of(plane, row, width));
        match vertical {
            0 => difference(&mut line[1..=width], here, None),
            1 => difference(&mut line[1..=width], here, above),
            _ => difference(&mut line[1..=width], row_of(plane, row + 1, width), here),
        }
        let (left, middle, right) = (&line[..width], &line[1..=width], &line[2..width + 2]);
        s.copy_from_slice(middle);
        for j in 0..width {
            a[j] = middle[j] - left[j];
            c[j] = right[j] - middle[j];
        }
    }
}

#[inline(always)]
fn output_rows_of(plane: &mut [f32], products: [&[f32]; 9], width: usize) {
    for (i, two) in plane.chunks_exact_mut(4 * width).enumerate() {
        let p = products.map(|product| &product[i * width..(i + 1) * width]);
        let (even, odd) = two.split_at_mut(2 * width);
        output_row(even, [p[0], p[1], p[2]], [p[3], p[4], p[5]]);
        output_row(odd, [p[0], p[1], p[2]], [p[6], p[7], p[8]]);
    }
}

#[inline(always)]
fn gradient_kinds_of(
    out: &mut [f32],
    stride: usize,
    dy: &[f32],
    rows: std::ops::Range<usize>,
    lines: &mut [f32],
    width: usize,
) {
    let (even, odd) = lines[..2 * width + 2].split_at_mut(width + 1);
    // What is left of the first and right of the last column.
    even[width] = 0.;
    odd[0] = 0.;
    let large = |row: usize| row_of(dy, row, 2 * width);
    for (i, row) in rows.enumerate() {
        for vertical in 0..3 {
            match vertical {
                0 => split(even, odd, large(2 * row), large(2 * row + 1), 1.),
                1 => split(even, odd, large(2 * row), large(2 * row + 2), -1.),
                _ => {
                    let above = (2 * row).checked_sub(1).and_then(large);
                    split(even, odd, above, large(2 * row + 1), -1.);
                }
            }
            let mut kinds = out[3 * vertical * stride..].chunks_mut(stride);
            let mut next = || kinds.next().map(|kind| &mut kind[i * width..(i + 1) * width]);
            if let (Some(s), Some(a), Some(c)) = (next(), next(), next()) {
                let (e, e_next) = (&even[..width], &even[1..=width]);
                let (o_before, o) = (&odd[..width], &odd[1..=width]);
                for j in 0..width {
                    s[j] = e[j] + o[j];
                    a[j] = e[j] - e_next[j];
                    c[j] = o_before[j] - o[j];
                }
            }
        }
    }
}

/// Row `row` of a plane, if it has one.
#[inline(always)]
fn row_of(plane: &[f32], row: usize, width: usize) -> Option<&[f32]> {
    plane.get(row * width..(row + 1) * width)
}

/// `out = a - b`, with 0 for what is missing.
#[inline(always)]
fn difference(out: &mut [f32], a: Option<&[f32]>, b: Option<&[f32]>) {
    match (a, b) {
        (Some(a), Some(b)) => {
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                *out = a - b;
            }
        }
        (Some(a), None) => out.copy_from_slice(a),
        (None, Some(b)) => out.iter_mut().zip(b).for_each(|(out, b)| *out = -b),
        (None, None) => out.fill(0.),
    }
}

/// One large row: `s` and `r` are the products of the vertical kinds S and of the row's parity.
#[inline(always)]
fn output_row(out: &mut [f32], s: [&[f32]; 3], r: [&[f32]; 3]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    let width = pairs.len();
    let [s0, s1, s2] = s.map(|line| &line[..width]);
    let [r0, r1, r2] = r.map(|line| &line[..width]);
    for (j, pair) in pairs.iter_mut().enumerate() {
        let both = s0[j] + r0[j];
        *pair = [both + (s1[j] + r1[j]), both + (s2[j] + r2[j])];
    }
}

/// Even columns of `a + sign * b` to `even[0..]`, odd ones to `odd[1..]`; 0 for rows that are missing.
#[inline(always)]
fn split(even: &mut [f32], odd: &mut [f32], a: Option<&[f32]>, b: Option<&[f32]>, sign: f32) {
    let outs = even.iter_mut().zip(&mut odd[1..]);
    match (a, b) {
        (Some(a), Some(b)) => {
            let pairs = a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0);
            for ((even, odd), (a, b)) in outs.zip(pairs) {
                *even = a[0] + sign * b[0];
                *odd = a[1] + sign * b[1];
            }
        }
        (Some(a), None) => {
            for ((even, odd), a) in outs.zip(a.as_chunks::<2>().0) {
                (*even, *odd) = (a[0], a[1]);
            }
        }
        (None, Some(b)) => {
            for ((even, odd), b) in outs.zip(b.as_chunks::<2>().0) {
                (*even, *odd) = (sign * b[0], sign * b[1]);
            }
        }
        (None, None) => outs.for_each(|(even, odd)| (*even, *odd) = (0., 0.)),
    }
}
