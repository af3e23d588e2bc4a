//! What the image side reads: pixels, or features of a pretrained network, computed once for every picture and its mirror
//! image.

use std::path::Path;

use candle_core::{Device, Tensor};
use stackgan_data::crop::resize_square;
use stackgan_eval::features::efficientnet_lite;

use super::batches::{Direction, Row, check_side, push_crop};
use super::{ImageSide, PictureNetwork, SIDE, TextSource};
use crate::{Error, Result};

/// Pictures in one pass of the network.
const BATCH: usize = 8;

/// Features of the pictures of a dataset, and of their mirror images.
#[derive(Clone, Debug)]
pub struct PictureFeatures {
    /// The network, and the side of the pictures that it saw, as [`ImageSide::Features`] keeps them.
    network: (String, usize),
    /// `(pictures, 2, width)`: straight, mirrored.
    values: Tensor,
}

impl PictureFeatures {
    /// Features that were computed before, `(pictures, 2, width)`: straight, mirrored.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn new((network, side): (&str, usize), values: Tensor) -> Result<Self> {
        match values.dims() {
            [_, 2, _] => Ok(Self { network: (network.to_owned(), side), values }),
            found => Err(Error::Config {
                key: "features".to_owned(),
                expected: "(pictures, 2, width)".to_owned(),
                found: format!("{found:?}"),
                remedy: "compute them again".to_owned(),
            }),
        }
    }

    /// Computes the features of every picture of `source`, resized to the network's side.
    /// `progress` hears how many pictures are done.
    ///
    /// # Errors
    /// When a picture cannot be read.
    pub fn compute(
        source: &dyn TextSource,
        network: &PictureNetwork,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let side = network.side();
        let pictures: Vec<usize> = (0..source.classes().len()).collect();
        let mut parts = Vec::new();
        for chunk in pictures.chunks(BATCH) {
            let mut pixels = Vec::with_capacity(chunk.len() * 2 * 3 * side * side);
            for &i in chunk {
                let picture = resize_square(source.picture(i)?, side as u32, Path::new("picture"))?;
                for direction in [Direction::Straight, Direction::Mirrored] {
                    push_crop(&picture, (side, side), (0, 0), direction, &mut pixels);
                }
            }
            let pixels = Tensor::from_vec(pixels, (2 * chunk.len(), 3, side, side), &Device::Cpu)?;
            parts.push(network.features(&pixels)?.reshape((
                chunk.len(),
                2,
                efficientnet_lite::WIDTH,
            ))?);
            progress(chunk.last().map_or(0, |&i| i as u64 + 1));
        }
        Self::new((network.name(), side), Tensor::cat(&parts, 0)?)
    }

    /// All of them, `(pictures, 2, width)`: straight, mirrored.
    #[must_use]
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The image side that reads them.
    ///
    /// # Errors
    /// When the device fails.
    pub fn side(&self) -> Result<ImageSide> {
        let (_, _, width) = self.values.dims3()?;
        let (network, side) = self.network.clone();
        Ok(ImageSide::Features { width, network, side })
    }

    fn select(&self, which: &[(usize, Direction)]) -> Result<Tensor> {
        let place = |&(i, direction): &(usize, Direction)| {
            2 * i as u32 + u32::from(direction == Direction::Mirrored)
        };
        let places: Vec<u32> = which.iter().map(place).collect();
        let places = Tensor::from_vec(places, which.len(), &Device::Cpu)?;
        Ok(self.values.flatten(0, 1)?.index_select(&places, 0)?)
    }
}

/// What the image side of a training or an evaluation reads.
#[derive(Clone, Copy, Debug)]
pub enum ImageInputs<'a> {
    /// Crops of 64x64 pixels.
    Pixels,
    /// Features of every picture of the dataset.
    Features(&'a PictureFeatures),
}

impl ImageInputs<'_> {
    /// Whether these are what `side` reads, of `pictures` pictures.
    ///
    /// # Errors
    /// [`Error::Config`] when they are something else.
    pub(super) fn check(&self, side: &ImageSide, pictures: usize) -> Result<()> {
        let found = match (self, side) {
            (Self::Pixels, ImageSide::Convolutions { .. }) => return Ok(()),
            (Self::Pixels, ImageSide::Features { .. }) => "pixels".to_owned(),
            (Self::Features(features), side) => {
                let count = features.values.dim(0)?;
                if features.side()? == *side && count == pictures {
                    return Ok(());
                }
                format!("{:?} of {count} pictures", features.side()?)
            }
        };
        Err(Error::Config {
            key: "image".to_owned(),
            expected: format!("{side:?} of {pictures} pictures"),
            found,
            remedy: "give the features of the network that the encoder was trained with".to_owned(),
        })
    }

    /// The inputs of a batch.
    pub(super) fn batch(&self, source: &dyn TextSource, rows: &[Row]) -> Result<Tensor> {
        match self {
            Self::Features(features) => {
                let which = rows.iter().map(|row| (row.picture, row.direction));
                features.select(&which.collect::<Vec<_>>())
            }
            Self::Pixels => {
                let mut pixels = Vec::with_capacity(rows.len() * 3 * SIDE * SIDE);
                for row in rows {
                    row.push_pixels(source, &mut pixels)?;
                }
                Ok(Tensor::from_vec(pixels, (rows.len(), 3, SIDE, SIDE), &Device::Cpu)?)
            }
        }
    }

    /// The inputs for whole pictures, as they are: the middles of pixels.
    ///
    /// # Errors
    /// [`Error::Config`] when pictures are smaller than a crop; when one cannot be read.
    pub(super) fn of(&self, source: &dyn TextSource, pictures: &[usize]) -> Result<Tensor> {
        match self {
            Self::Features(features) => {
                let which = pictures.iter().map(|&i| (i, Direction::Straight));
                features.select(&which.collect::<Vec<_>>())
            }
            Self::Pixels => {
                check_side(source)?;
                let side = source.side();
                let corner = side.saturating_sub(SIDE) / 2;
                let mut pixels = Vec::with_capacity(pictures.len() * 3 * SIDE * SIDE);
                for &i in pictures {
                    let picture = source.picture(i)?;
                    let place = (corner, corner);
                    push_crop(&picture, (side, SIDE), place, Direction::Straight, &mut pixels);
                }
                Ok(Tensor::from_vec(pixels, (pictures.len(), 3, SIDE, SIDE), &Device::Cpu)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One picture of this side and no bytes.
    struct Empty(usize);

    impl TextSource for Empty {
        fn classes(&self) -> &[u32] {
            &[0]
        }

        fn captions(&self, _: usize) -> &[String] {
            &[]
        }

        fn side(&self) -> usize {
            self.0
        }

        fn picture(&self, _: usize) -> Result<Vec<u8>> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn pictures_without_a_crop_are_refused() {
        let refused = |side| ImageInputs::Pixels.of(&Empty(side), &[0]).unwrap_err().to_string();
        for side in [0, SIDE - 1] {
            let error = refused(side);
            assert!(error.contains(&format!("64 pixels a side or more, found {side}")), "{error}");
        }
        refused(usize::MAX);
    }
}
