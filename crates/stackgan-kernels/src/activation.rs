//! Activations, with the derivatives of `torch` at 0.

use candle_core::{Result, bail};

/// The activation that follows a layer.
///
/// The derivative at 0 is that of `torch`: 0 for `Relu`, and the slope for `LeakyRelu`. (candle
/// 0.11.1 uses 1 for relu and the mean of both slopes for leaky relu.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The identity, `x`.
    Identity,
    /// `x` if positive, otherwise 0.
    Relu,
    /// `x` if positive, otherwise this slope times `x`. [`crate::Maps::activate`] takes no negative
    /// one.
    LeakyRelu(f32),
}

impl Activation {
    /// Returns the factor for values that are not positive.
    #[inline(always)]
    pub(crate) fn slope(self) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => 0.0,
            Self::LeakyRelu(slope) => slope,
        }
    }

    /// Checks that results have the sign of what was activated. Maps take the gradient from them.
    ///
    /// # Errors
    /// A negative slope, or NaN.
    pub(crate) fn check_sign(self) -> Result<()> {
        let slope = self.slope();
        if slope < 0.0 || slope.is_nan() {
            bail!("activation of maps: expected a slope of 0 or more, found {slope}");
        }
        Ok(())
    }
}

/// Returns `slope * v` if `x <= 0`, otherwise `v`, so NaN is preserved. A slope of 0 gives 0 for
/// every `v`.
#[inline(always)]
pub(crate) fn select(x: f32, v: f32, slope: f32) -> f32 {
    let low = if slope == 0.0 { 0.0 } else { slope * v };
    if x <= 0.0 { low } else { v }
}
