//! Whether values are finite, without branches.

/// The exponent bits of an `f32`. All of them are set in NaN and in both infinities.
const EXPONENT: u32 = 0x7f80_0000;

/// Returns 1 for NaN and infinities, and 0 for finite values. A sum of these runs at the speed of
/// memory.
#[inline(always)]
#[must_use]
pub fn non_finite(value: f32) -> u32 {
    u32::from(value.to_bits() & EXPONENT == EXPONENT)
}
