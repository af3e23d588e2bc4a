//! The weights of the nine kinds, and their gradients folded back to nine taps.

use rayon::prelude::*;

use super::KINDS;

/// The taps of one kernel as the nine kinds.
#[inline(always)]
fn kinds(taps: &[f32; 9]) -> [f32; KINDS] {
    let line = |a: f32, b: f32, c: f32| [a + b + c, -a, c];
    let mut rows = [[0.; 3]; 3];
    for column in 0..3 {
        let vertical = line(taps[column], taps[3 + column], taps[6 + column]);
        for kind in 0..3 {
            rows[kind][column] = vertical[kind];
        }
    }
    let mut out = [0.; KINDS];
    for (row, out) in rows.iter().zip(out.as_chunks_mut::<3>().0) {
        *out = line(row[0], row[1], row[2]);
    }
    out
}

/// The adjoint of [`kinds`].
#[inline(always)]
fn taps(kinds: &[f32; KINDS]) -> [f32; 9] {
    let line = |s: f32, a: f32, c: f32| [s - a, s, s + c];
    let mut rows = [[0.; 3]; 3];
    for column in 0..3 {
        let vertical = line(kinds[column], kinds[3 + column], kinds[6 + column]);
        for tap in 0..3 {
            rows[tap][column] = vertical[tap];
        }
    }
    let mut out = [0.; 9];
    for (row, out) in rows.iter().zip(out.as_chunks_mut::<3>().0) {
        *out = line(row[0], row[1], row[2]);
    }
    out
}

/// The weight `(Cout, Cin, 3, 3)` as `(Cout, kind, Cin)`.
pub(super) fn by_output(weight: &[f32], in_channels: usize) -> Vec<f32> {
    let mut out = vec![0.; weight.len()];
    out.par_chunks_mut(KINDS * in_channels).zip(weight.par_chunks(9 * in_channels)).for_each(
        |(out, weight)| {
            for (channel, kernel) in weight.as_chunks::<9>().0.iter().enumerate() {
                for (kind, value) in kinds(kernel).into_iter().enumerate() {
                    out[kind * in_channels + channel] = value;
                }
            }
        },
    );
    out
}

/// The weight `(Cout, Cin, 3, 3)` as `(Cin, Cout, kind)`.
pub(super) fn by_input(weight: &[f32], in_channels: usize) -> Vec<f32> {
    let kernels = weight.as_chunks::<9>().0;
    let out_channels = kernels.len() / in_channels;
    let mut out = vec![0.; weight.len()];
    out.par_chunks_mut(out_channels * KINDS).enumerate().for_each(|(channel, out)| {
        let kernels = kernels[channel..].iter().step_by(in_channels);
        for (out, kernel) in out.as_chunks_mut::<KINDS>().0.iter_mut().zip(kernels) {
            *out = kinds(kernel);
        }
    });
    out
}

/// Gradients `(channels, kind, Cin)` as those of the taps, `(channels, Cin, 3, 3)`.
pub(super) fn fold(out: &mut [f32], gradients: &[f32], in_channels: usize) {
    let rows = gradients.chunks_exact(KINDS * in_channels);
    for (out, gradients) in out.chunks_exact_mut(9 * in_channels).zip(rows) {
        for (channel, out) in out.as_chunks_mut::<9>().0.iter_mut().enumerate() {
            *out = taps(&std::array::from_fn(|kind| gradients[kind * in_channels + channel]));
        }
    }
}
