//! Sixteen channels of a pixel: the unit of memory and of arithmetic for maps on a CPU.
#![allow(unsafe_code, reason = "lanes as their values, and assembly without instructions")]

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// Number of channels of a lane.
pub(crate) const LANES: usize = 16;

/// Sixteen values, one cache line. Operations on it compile to one or a few vector instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Lane(pub(crate) [f32; LANES]);

impl Lane {
    pub(crate) const ZERO: Self = Self([0.; LANES]);

    /// Returns a lane of the same value sixteen times.
    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    /// Applies `f` to the values of two lanes, element by element.
    #[inline(always)]
    pub(crate) fn zip(mut self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        self
    }
}

impl Add for Lane {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl AddAssign for Lane {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Lane {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for Lane {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl Mul<f32> for Lane {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        self * Self::splat(factor)
    }
}

impl Neg for Lane {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        self.zip(self, |a, _| -a)
    }
}

/// Does nothing, inside a loop over pixels.
///
/// Without it the compiler processes several pixels at once and gathers and scatters their values
/// one by one, instead of processing the sixteen values of one pixel.
#[inline(always)]
pub(crate) fn one_pixel() {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: the assembly contains no instruction.
    unsafe {
        std::arch::asm!("", options(nomem, nostack, preserves_flags));
    }
}

/// Returns the values of lanes, one lane after the other.
pub(crate) fn floats(lanes: &[Lane]) -> &[f32] {
    // SAFETY: a lane is sixteen f32 and nothing else (`repr(C)`, its size is its alignment), so n
    // lanes are 16 n of them.
    unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
}

/// Returns the values as [`floats`] does, for writing.
pub(crate) fn floats_mut(lanes: &mut [Lane]) -> &mut [f32] {
    // SAFETY: as in `floats`; the borrow is unique.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len() * LANES) }
}
