//! A pretrained network whose features an image side reads.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use stackgan_data::crop::PictureSize;
use stackgan_eval::features::{EfficientNetLite0, Resample};

use super::config::SIDES;
use crate::{Error, Result};

/// The squares of pixels of which a picture of either stage is shown the means.
///
/// A classifier's gradient is largest in the finest patterns, which mean nothing to an eye. In these
/// means they are gone, and a generator cannot please the network with them.
const SQUARES: [(PictureSize, usize); 2] = [(PictureSize::Stage1, 2), (PictureSize::Stage2, 4)];

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
    /// [`Error::Config`] when `side` is not from 32 to 1024; when a tensor is missing or has another shape.
    pub fn new(
        (name, side): (&str, usize),
        tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        if !SIDES.contains(&side) {
            return Err(Error::Config {
                key: "features".to_owned(),
                expected: format!("pictures of {} to {} pixels a side", SIDES.start(), SIDES.end()),
                found: side.to_string(),
                remedy: "show the network pictures of another side".to_owned(),
            });
        }
        let net = EfficientNetLite0::new(&tensors, device)?;
        let sized = |(size, square): (PictureSize, usize)| -> Result<_> {
            Ok((size.crop(), Resample::new((size.crop(), square), side, device)?))
        };
        let painted = SQUARES.into_iter().map(sized).collect::<Result<_>>()?;
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

    /// Features `(n, 1280)` of pictures `(n, 3, h, w)` in [-1, 1], as they are.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn features(&self, pictures: &Tensor) -> Result<Tensor> {
        Ok(self.net.features(pictures)?)
    }

    /// Features `(n, 1280)` of what Stage-I or Stage-II paints, `(n, 3, 64, 64)` or
    /// `(n, 3, 256, 256)` in [-1, 1], with the gradient of the pictures: of their means over 2x2 or
    /// 4x4 pixels, enlarged or reduced to the network's size.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn of_painted(&self, pictures: &Tensor) -> Result<Tensor> {
        let side = pictures.dim(3)?;
        let Some(sized) = self.painted.get(&side) else {
            let text = format!("no stage paints pictures of {side} pixels");
            return Err(candle_core::Error::Msg(text).into());
        };
        self.features(&sized.apply(pictures)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_out_of_range_is_refused() {
        for side in [0, 31, 1025, usize::MAX] {
            let network = PictureNetwork::new(("none", side), BTreeMap::new(), &Device::Cpu);
            let error = network.unwrap_err().to_string();
            assert!(error.contains("32 to 1024") && error.contains(&side.to_string()), "{error}");
        }
    }
}
