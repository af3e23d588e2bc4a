//! The taps of a 4x4 convolution by phase.

/// Number of phases.
pub(crate) const PHASES: usize = 4;

/// Returns the positions of a phase's two taps along an axis.
const fn taps_of(parity: usize) -> [usize; 2] {
    [parity, parity + 2]
}

/// Applies `of` to the two taps of each phase along both axes. The K values of a line become
/// `K * K * phase + K * vertical + horizontal`.
#[inline(always)]
pub(super) fn of_phases<const K: usize>(
    g: [f32; 16],
    mut put: impl FnMut(usize, f32),
    of: impl Fn([f32; 2]) -> [f32; K],
) {
    for phase in 0..PHASES {
        let ([top, bottom], [left, right]) = (taps_of(phase / 2), taps_of(phase % 2));
        let first = of([g[4 * top + left], g[4 * top + right]]);
        let second = of([g[4 * bottom + left], g[4 * bottom + right]]);
        for h in 0..K {
            let column = of([first[h], second[h]]);
            for v in 0..K {
                put(K * K * phase + K * v + h, column[v]);
            }
        }
    }
}

/// The inverse mapping of [`of_phases`], from values of the phases to taps.
#[inline(always)]
pub(super) fn to_phases<const K: usize, const ALL: usize>(
    f: [f32; ALL],
    mut put: impl FnMut(usize, f32),
    to: impl Fn([f32; K]) -> [f32; 2],
) {
    for phase in 0..PHASES {
        let (vertical, horizontal) = (taps_of(phase / 2), taps_of(phase % 2));
        let mut rows = [[0.; 2]; K];
        for v in 0..K {
            let mut row = [0.; K];
            row.copy_from_slice(&f[K * (K * phase + v)..][..K]);
            rows[v] = to(row);
        }
        for j in 0..2 {
            let mut column = [0.; K];
            for v in 0..K {
                column[v] = rows[v][j];
            }
            let taps = to(column);
            for i in 0..2 {
                put(4 * vertical[i] + horizontal[j], taps[i]);
            }
        }
    }
}
