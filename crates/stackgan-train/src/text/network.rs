//! A pretrained network whose features an image side reads.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use stackgan_data::crop::PictureSize;
use stackgan_eval::features::{EfficientNetLite0, Resample};

use crate::Result;

/// EfficientNet-Lite0 with weights that have a name, and the size at which it is shown pictures.
#[derive(Clone, Debug)]
pub struct PictureNetwork {
    name: String,
    side: usize,
    tensors: BTreeMap<String, Tensor>,
    net: EfficientNetLite0,
    /// From the sides of what is painted to the network's.
    painted: BTreeMap<usize, Resample>,
}

impl PictureNetwork {
    /// The network on `device`, from the tensors of the published file; `name` and `side` are as [`super::ImageSide::Features`] keeps
    /// them.
    ///
    /// # Errors
    /// When a tensor lacks or has another shape.
    pub fn new(
        (name, side): (&str, usize),
        tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let net = EfficientNetLite0::new(&tensors, device)?;
        let sides = [PictureSize::Stage1, PictureSize::Stage2].map(PictureSize::crop);
        let sized = |from| Ok((from, Resample::new(from, side, device)?));
        let painted = sides.into_iter().map(sized).collect::<Result<_>>()?;
        Ok(Self { name: name.to_owned(), side, tensors, net, painted })
    }

    /// The network and its weights.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The side of the pictures that it is shown, in pixels.
    #[must_use]
    pub const fn side(&self) -> usize {
        self.side
    }

    /// How many numbers it was made from.
    pub(crate) fn count(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.elem_count() as u64).sum()
    }

    /// The tensors that it was made from.
    pub(crate) const fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// Features `(n, 1280)` of pictures `(n, 3, h, w)` in [-1, 1]. What either stage paints is shown at the network's size, other
    /// pictures as they are. The pictures have a gradient.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn features(&self, pictures: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = pictures.dims4()?;
        Ok(match self.painted.get(&width).filter(|_| height == width) {
            Some(sized) => self.net.features(&sized.apply(pictures)?)?,
            None => self.net.features(pictures)?,
        })
    }
}
