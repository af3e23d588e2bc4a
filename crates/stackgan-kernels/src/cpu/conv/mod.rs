//! Convolutions of maps: chooses the algorithm by the shape. Each algorithm has a forward pass and
//! both gradients.
//!
//! The choice depends on the sizes of one image, never on the batch, so that a picture's bits do
//! not depend on the others in its batch.

mod deep;
mod depthwise;
mod factors;
mod few;
mod finish;
mod gradients;
mod matrix;
mod microkernel;
mod packed;
mod pictures;
mod products;
mod scatter;
mod sums;
mod three;
mod transform;
mod weights;
mod work;

use candle_core::{Result, Tensor, bail};

use super::blocks::Blocks;
use super::map::{Grad, Values};
use crate::geometry::{Conv2dShape, planes};
use crate::{Filter, fast};
pub(super) use finish::{Finish, UNFINISHED};
use gradients::Gradients;
pub(super) use gradients::Wanted;
pub(crate) use matrix::{Matrix, Right, Stored};
use scatter::Scatter;
use three::Three;

/// Maximum number of taps of a kernel.
const MOST_TAPS: usize = 64;

/// The algorithm for a convolution of some maps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Few,
    Three(Three),
    Scatter(Scatter),
    Deep(Conv2dShape),
    Pictures(Conv2dShape),
    Depthwise(Conv2dShape),
}

impl Way {
    /// Chooses the algorithm for `x` and `weight`.
    pub(super) fn new(x: &Values, weight: &Tensor, filter: Filter) -> Result<Self> {
        let (n, channels, h, w) = x.sizes().dims();
        let (out, expected, kh, kw) = planes(weight, "weight")?;
        let (stride, padding) = match filter {
            Filter::Up if channels == expected && (kh, kw) == (3, 3) => {
                return Ok(Self::Scatter(Scatter::up(x.sizes(), out)));
            }
            Filter::Up => bail!(
                "up-sampling convolution: weight {:?} does not fit maps {:?}; expected (out, {channels}, 3, 3)",
                weight.dims(),
                <[usize; 4]>::from(x.sizes().dims())
            ),
            Filter::Depthwise { stride, padding } => {
                let s = Conv2dShape::depthwise(&[n, channels, h, w], weight, stride, padding)?;
                return Ok(Self::Depthwise(s));
            }
            Filter::Plain { stride, padding } => (stride, padding),
        };
        if kh * kw > MOST_TAPS {
            bail!("maps: kernels of at most {MOST_TAPS} taps, found {:?}", weight.dims());
        }
        let s = Conv2dShape::new(&[n, channels, h, w], weight, stride, padding)?;
        Ok(if matches!(x, Values::Pictures { .. }) {
            Self::Pictures(s)
        } else if (kh, kw, stride, padding) == (3, 3, 1, 1.into()) && out <= few::CHANNELS {
            Self::Few
        } else if let Some(three) = Three::new(s) {
            Self::Three(three)
        } else if deep::applies(&s) {
            Self::Deep(s)
        } else {
            Self::Scatter(Scatter::new(s))
        })
    }

    /// Computes the convolution and applies `finish` to it.
    pub(super) fn forward(
        &self,
        x: &Values,
        weight: &Tensor,
        finish: Finish<'_>,
    ) -> Result<Blocks> {
        let out = weight.dim(0)?;
        let (storage, layout) = weight.storage_and_layout();
        let weight = fast::locked(&storage, layout)?;
        match (self, x) {
            (Self::Few, Values::Blocks(x)) => Ok(few::forward(x, weight, out, finish)),
            (Self::Three(way), Values::Blocks(x)) => Ok(way.forward(x, weight, finish)),
            (Self::Scatter(way), Values::Blocks(x)) => Ok(way.forward(x, weight, finish)),
            (Self::Deep(s), Values::Blocks(x)) => Ok(deep::forward(x, weight, s, finish)),
            (Self::Depthwise(s), Values::Blocks(x)) => Ok(depthwise::forward(x, weight, s, finish)),
            (Self::Pictures(s), Values::Pictures { planes, .. }) => {
                let (storage, layout) = planes.storage_and_layout();
                Ok(pictures::forward(fast::locked(&storage, layout)?, weight, s, finish))
            }
            _ => bail!("convolution of maps: {self:?} of other maps"),
        }
    }

    /// Computes the wanted gradients.
    pub(super) fn backward(
        &self,
        x: &Values,
        weight: &Tensor,
        dy: &Blocks,
        wanted: Wanted,
    ) -> Result<Gradients<Grad>> {
        let (storage, layout) = weight.storage_and_layout();
        let weight = fast::locked(&storage, layout)?;
        let gradients = match (self, x) {
            (Self::Few, Values::Blocks(x)) => few::backward(x, weight, dy, wanted),
            (Self::Three(way), Values::Blocks(x)) => way.backward(x, weight, dy, wanted),
            (Self::Scatter(way), Values::Blocks(x)) => way.backward(x, weight, dy, wanted),
            (Self::Deep(s), Values::Blocks(x)) => deep::backward(x, weight, dy, s, wanted),
            (Self::Pictures(s), Values::Pictures { planes, .. }) => {
                let (storage, layout) = planes.storage_and_layout();
                let x = fast::locked(&storage, layout)?;
                let gradients = pictures::backward(x, weight, dy, s, wanted);
                let input = gradients.input.map(|dx| Grad::Planes(dx.into()));
                return Ok(Gradients { input, weight: gradients.weight });
            }
            (Self::Depthwise(_), _) if wanted.weight => {
                bail!("the weight of a depthwise convolution of maps has no gradient")
            }
            (Self::Depthwise(s), _) => {
                Gradients { input: Some(depthwise::backward(weight, dy, s)), weight: None }
            }
            _ => bail!("convolution of maps: {self:?} of other maps"),
        };
        let input = gradients.input.map(|dx| Grad::Blocks(dx.into()));
        Ok(Gradients { input, weight: gradients.weight })
    }
}
