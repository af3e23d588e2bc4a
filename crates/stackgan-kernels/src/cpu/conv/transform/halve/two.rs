//! F(2, 2): two outputs from three pixels and two taps, with three products and no division.
//!
//! ```text
//! m_0 = (p_0 - p_1) a     m_1 = p_1 (a + b)     m_2 = (p_1 - p_2) b
//! y_0 = m_0 + m_1         y_1 = m_1 - m_2
//! ```

use super::super::{Along, Places};
use super::phases::{of_phases, to_phases};
use crate::cpu::lane::Lane;

/// The factors of 4x4 taps.
pub(super) struct Factors;

impl Places<16> for Factors {
    #[inline(always)]
    fn of(taps: [f32; 16], put: impl FnMut(usize, f32)) {
        of_phases(taps, put, |[a, b]| [a, a + b, b]);
    }
}

/// The adjoint of [`Factors`].
pub(super) struct Folded;

impl Places<36> for Folded {
    #[inline(always)]
    fn of(factors: [f32; 36], put: impl FnMut(usize, f32)) {
        to_phases(factors, put, |[a, both, b]: [f32; 3]| [a + both, both + b]);
    }
}

/// The transform of three pixels in a line.
pub(super) struct Inputs;

impl Along<3, 3> for Inputs {
    #[inline(always)]
    fn of([p0, p1, p2]: [Lane; 3]) -> [Lane; 3] {
        [p0 - p1, p1, p1 - p2]
    }
}

/// The adjoint of [`Inputs`].
pub(super) struct Taken;

impl Along<3, 3> for Taken {
    #[inline(always)]
    fn of([m0, m1, m2]: [Lane; 3]) -> [Lane; 3] {
        [m0, m1 - m0 + m2, -m2]
    }
}

/// The transform of three products in a line to two outputs.
pub(super) struct Outputs;

impl Along<3, 2> for Outputs {
    #[inline(always)]
    fn of([m0, m1, m2]: [Lane; 3]) -> [Lane; 2] {
        [m0 + m1, m1 - m2]
    }
}

/// The adjoint of [`Outputs`].
pub(super) struct Given;

impl Along<2, 3> for Given {
    #[inline(always)]
    fn of([y0, y1]: [Lane; 2]) -> [Lane; 3] {
        [y0, y0 + y1, -y1]
    }
}
