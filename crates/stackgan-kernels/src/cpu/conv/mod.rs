//! Convolutions of maps: which way is taken for which shape. Each way has its forward pass and both gradients.
//!
//! A way is chosen by the sizes of one image, never by the batch: a picture's bits do not depend on what is painted beside it.

mod deep;
mod few;
mod microkernel;
mod pictures;
mod products;
mod scatter;
mod three;
mod transform;
mod up;
mod weights;
mod work;

use candle_core::{Result, Tensor, bail};

use super::blocks::Blocks;
use super::{Grad, Values};
use crate::fast;
use crate::geometry::{Conv2dShape, planes};
use crate::maps::Filter;
pub(super) use pictures::CHANNELS as PICTURE_CHANNELS;
use scatter::Scatter;

/// Which gradients are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) input: bool,
    pub(super) weight: bool,
}

/// The gradients of a convolution; that of the weight in its order of values.
pub(super) struct Gradients<I = Blocks> {
    pub(super) input: Option<I>,
    pub(super) weight: Option<Vec<f32>>,
}

/// Most taps of a kernel.
const MOST_TAPS: usize = 64;

/// A convolution of some maps, in its way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Up,
    Few,
    Three,
    Scatter(Scatter),
    Deep(Conv2dShape),
    Pictures(Conv2dShape),
}

impl Way {
    /// The way for `x` and `weight`, and the channels of the result.
    pub(super) fn new(x: &Values, weight: &Tensor, filter: Filter) -> Result<(Self, usize)> {
        let (_, channels, _, _) = x.sizes().dims();
        let (out, expected, kh, kw) = planes(weight, "weight")?;
        let (stride, padding) = match filter {
            Filter::Up if channels == expected && (kh, kw) == (3, 3) => return Ok((Self::Up, out)),
            Filter::Up => bail!(
                "up-sampling convolution: weight {:?} does not fit maps {:?}; expected (out, {channels}, 3, 3)",
                weight.dims(),
                <[usize; 4]>::from(x.sizes().dims())
            ),
            Filter::Plain { stride, padding } => (stride, padding),
        };
        if kh * kw > MOST_TAPS {
            bail!("maps: kernels of at most {MOST_TAPS} taps, found {:?}", weight.dims());
        }
        let (n, c, h, w) = x.sizes().dims();
        let s = Conv2dShape::of(&[n, c, h, w], weight, stride, padding.into())?;
        let way = if matches!(x, Values::Pictures { .. }) {
            Self::Pictures(s)
        } else if (kh, kw, stride, padding) == (3, 3, 1, 1) && out <= few::CHANNELS {
            Self::Few
        } else if (kh, kw, stride, padding) == (3, 3, 1, 1) && three::applies(x.sizes()) {
            Self::Three
        } else if deep::applies(&s) {
            Self::Deep(s)
        } else {
            Self::Scatter(Scatter::new(s))
        };
        Ok((way, out))
    }

    /// The convolution.
    pub(super) fn forward(&self, x: &Values, weight: &Tensor) -> Result<Blocks> {
        let out = weight.dim(0)?;
        let (storage, layout) = weight.storage_and_layout();
        let weight = fast::locked(&storage, layout)?;
        match (self, x) {
            (Self::Up, Values::Blocks(x)) => Ok(up::forward(x, weight, out)),
            (Self::Few, Values::Blocks(x)) => Ok(few::forward(x, weight, out)),
            (Self::Three, Values::Blocks(x)) => Ok(three::forward(x, weight, out)),
            (Self::Scatter(way), Values::Blocks(x)) => Ok(way.forward(x, weight)),
            (Self::Deep(s), Values::Blocks(x)) => Ok(deep::forward(x, weight, s)),
            (Self::Pictures(s), Values::Pictures { planes, .. }) => {
                let (storage, layout) = planes.storage_and_layout();
                Ok(pictures::forward(fast::locked(&storage, layout)?, weight, s))
            }
            _ => bail!("convolution of maps: {self:?} of other maps"),
        }
    }

    /// The gradients.
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
            (Self::Up, Values::Blocks(x)) => up::backward(x, weight, dy, wanted),
            (Self::Few, Values::Blocks(x)) => few::backward(x, weight, dy, wanted),
            (Self::Three, Values::Blocks(x)) => three::backward(x, weight, dy, wanted),
            (Self::Scatter(way), Values::Blocks(x)) => way.backward(x, weight, dy, wanted),
            (Self::Deep(s), Values::Blocks(x)) => deep::backward(x, weight, dy, s, wanted),
            (Self::Pictures(s), Values::Pictures { planes, .. }) => {
                let (storage, layout) = planes.storage_and_layout();
                let x = fast::locked(&storage, layout)?;
                let gradients = pictures::backward(x, weight, dy, s, wanted);
                let input = gradients.input.map(|dx| Grad::Planes(dx.into()));
                return Ok(Gradients { input, weight: gradients.weight });
            }
            _ => bail!("convolution of maps: {self:?} of other maps"),
        };
        let input = gradients.input.map(|dx| Grad::Blocks(dx.into()));
        Ok(Gradients { input, weight: gradients.weight })
    }
}
