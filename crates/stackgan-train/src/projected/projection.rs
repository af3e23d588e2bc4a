//! The frozen half of the projected discriminator: a pretrained network's maps at four scales, mixed
//! by fixed weights.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use stackgan_core::noise::Noise;
use stackgan_core::params::Init;
use stackgan_core::{Params, Stage};
use stackgan_eval::features::efficientnet_lite::SCALES;
use stackgan_eval::features::{EfficientNetLite0, Resample};
use stackgan_kernels::{Clamp, Filter, Maps, Padding};

use super::head::WIDTH;
use crate::Result;
use crate::text::PictureNetwork;

/// About the root mean squares of EfficientNet-Lite0's maps (published weights; a batch of Stage-II, most
/// of it photographs of flowers). Stage-II's mixed maps are divided by them, so that they are as large as
/// the texts: its heads have no norm.
const LARGE: [f64; 4] = [10.0, 9.0, 6.5, 2.3];

/// A 1x1 convolution.
const POINT: Filter = Filter::Plain { stride: 1, padding: Padding::symmetric(0, 0) };

/// From pictures to mixed maps at four scales. Nothing in it is ever trained.
#[derive(Clone, Debug)]
pub struct Projection {
    name: String,
    tensors: BTreeMap<String, Tensor>,
    net: EfficientNetLite0,
    /// From Stage-I's side to the network's.
    enlarge: Resample,
    /// `(WIDTH, channels, 1, 1)` for each scale, of Stage-I and of Stage-II.
    mixes: [Vec<Tensor>; 2],
    /// `(WIDTH)`: the convolutions have no bias.
    zeros: Tensor,
}

impl Projection {
    /// Through the network of an encoder or of `--features`. At which size that one is shown
    /// pictures does not matter here.
    ///
    /// # Errors
    /// When the device fails.
    pub fn of(network: &PictureNetwork, device: &Device) -> Result<Self> {
        Self::given(network.name(), network.tensors().clone(), device)
    }

    /// Through the network with this name and the published tensors.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub(crate) fn given(
        name: &str,
        tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let params = Params::fresh(Noise::new(0), "projection", device);
        let mix = |(i, &channels): (usize, &usize)| {
            let std = 1.0 / (channels as f64).sqrt();
            let shape = (WIDTH, channels, 1, 1);
            params.frozen().pp("mix").weight(&i.to_string(), shape, Init::Normal { mean: 0.0, std })
        };
        let mixes: Vec<Tensor> =
            SCALES.iter().enumerate().map(mix).collect::<candle_core::Result<_>>()?;
        let even = mixes.iter().zip(LARGE).map(|(mix, large)| mix / large);
        let even = even.collect::<candle_core::Result<_>>()?;
        Ok(Self {
            name: name.to_owned(),
            net: EfficientNetLite0::new(&tensors, device)?,
            tensors,
            enlarge: Resample::new((Stage::One.side(), 1), side(Stage::One), device)?,
            mixes: [mixes, even],
            zeros: Tensor::zeros(WIDTH, candle_core::DType::F32, device)?,
        })
    }

    /// The network and its weights.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The tensors that the network was made from.
    pub(crate) const fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// The sides of the maps of a stage's pictures.
    pub(crate) fn sides(stage: Stage) -> [usize; 4] {
        [4, 8, 16, 32].map(|fraction| side(stage) / fraction)
    }

    /// Mixed maps `(n, WIDTH, side / 4, side / 4)` to `(n, WIDTH, side / 32, side / 32)` of
    /// pictures `(n, 3, 64, 64)` or `(n, 3, 256, 256)` in [-1, 1], with the gradient of the
    /// pictures.
    pub(crate) fn maps(&self, pictures: &Tensor) -> Result<Vec<Maps>> {
        let [as_they_are, even] = &self.mixes;
        let (scales, mixes) = if pictures.dim(3)? == Stage::One.side() {
            (self.net.scales(&self.enlarge.apply(pictures)?)?, as_they_are)
        } else {
            (self.net.scales(pictures)?, even)
        };
        let mixed = |(maps, mix): (&Maps, &Tensor)| {
            let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
            Ok(maps.conv_clamp(mix, POINT, Clamp { bias: &self.zeros, low, high })?)
        };
        scales.iter().zip(mixes).map(mixed).collect()
    }
}

/// The side at which the network is shown pictures of a stage. It was trained with 224; at 64 its
/// last maps would be of 2x2.
pub(crate) const fn side(stage: Stage) -> usize {
    match stage {
        Stage::One => 128,
        Stage::Two => 256,
    }
}
