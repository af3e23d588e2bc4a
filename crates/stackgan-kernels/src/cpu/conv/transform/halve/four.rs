//! F(4, 2): four outputs from five pixels and two taps, with five products, at the points 0, 1, -1,
//! 2 and infinity.
//!
//! ```text
//! m_0 = (2 (p_0 - p_2) - (p_1 - p_3)) a / 2        m_1 = (p_3 - p_2 - 2 p_1) -(a + b) / 2
//! m_2 = (p_3 - 3 p_2 + 2 p_1) (b - a) / 6          m_3 = (p_3 - p_1) (a + 2 b) / 6
//! m_4 = (2 (p_1 - p_3) - (p_2 - p_4)) b
//! y_0 = m_0 + (m_1 + m_2) + m_3                    y_1 = (m_1 - m_2) + 2 m_3
//! y_2 = (m_1 + m_2) + 4 m_3                        y_3 = (m_1 - m_2) + 8 m_3 + m_4
//! ```

use super::super::{Along, Places};
use super::phases::{of_phases, to_phases};
use crate::cpu::lane::Lane;

/// The factors of 4x4 taps.
pub(super) struct Factors;

impl Places<16> for Factors {
    #[inline(always)]
    fn of(taps: [f32; 16], put: impl FnMut(usize, f32)) {
        of_phases(taps, put, |[a, b]| {
            let half = a * 0.5;
            [half, b * -0.5 - half, (b - a) * (1. / 6.), (a + b * 2.) * (1. / 6.), b]
        });
    }
}

/// The adjoint of [`Factors`].
pub(super) struct Folded;

impl Places<100> for Folded {
    #[inline(always)]
    fn of(factors: [f32; 100], put: impl FnMut(usize, f32)) {
        to_phases(factors, put, |f: [f32; 5]| {
            let (sum, difference) = ((f[3] + f[2]) * (1. / 6.), (f[3] - f[2]) * (1. / 6.));
            [(f[0] - f[1]) * 0.5 + difference, sum + f[3] * (1. / 6.) - f[1] * 0.5 + f[4]]
        });
    }
}

/// The transform of five pixels in a line.
pub(super) struct Inputs;

impl Along<5, 5> for Inputs {
    #[inline(always)]
    fn of(p: [Lane; 5]) -> [Lane; 5] {
        let (two, odd) = (p[1] * 2., p[3] - p[1]);
        [
            (p[0] - p[2]) * 2. + odd,
            p[3] - p[2] - two,
            p[3] - p[2] * 3. + two,
            odd,
            p[4] - p[2] - odd * 2.,
        ]
    }
}

/// The adjoint of [`Inputs`].
pub(super) struct Taken;

impl Along<5, 5> for Taken {
    #[inline(always)]
    fn of(m: [Lane; 5]) -> [Lane; 5] {
        let (both, two) = (m[1] + m[2], m[4] * 2.);
        [
            m[0] * 2.,
            (m[2] - m[1]) * 2. - m[0] - m[3] + two,
            -(m[0] * 2.) - both - m[2] * 2. - m[4],
            m[0] + both + m[3] - two,
            m[4],
        ]
    }
}

/// The transform of five products in a line to four outputs.
pub(super) struct Outputs;

impl Along<5, 4> for Outputs {
    #[inline(always)]
    fn of(m: [Lane; 5]) -> [Lane; 4] {
        let (sum, difference) = (m[1] + m[2], m[1] - m[2]);
        [m[0] + sum + m[3], difference + m[3] * 2., sum + m[3] * 4., difference + m[3] * 8. + m[4]]
    }
}

/// The adjoint of [`Outputs`].
pub(super) struct Given;

impl Along<4, 5> for Given {
    #[inline(always)]
    fn of(y: [Lane; 4]) -> [Lane; 5] {
        let (even, odd) = (y[0] + y[2], y[1] + y[3]);
        [y[0], even + odd, even - odd, y[0] + y[1] * 2. + y[2] * 4. + y[3] * 8., y[3]]
    }
}
