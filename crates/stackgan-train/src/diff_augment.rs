//! `DiffAugment` (Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training").
//!
//! Every picture that D sees, real or generated, is augmented at random in the steps of both
//! players, and the gradient passes through the augmentation. It is an option for small datasets,
//! which D would otherwise memorise.
//!
//! The ranges are those of the authors' `DiffAugment_pytorch.py`: brightness -0.5 to 0.5;
//! saturation 0 to 2; contrast 0.5 to 1.5; translation by up to an eighth of the side, padded with
//! zeros; cutout of a square of half the side. The random values are a function of (seed, step,
//! pass, sample), so checkpoints need not store them. They enter a step as its noise does, as a
//! tensor on the device, so that a GPU can record the step.

use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};
use stackgan_core::noise::{Draws, Noise, Stream};
use stackgan_kernels::{cut_out, repeat_each, sum_each, translate};

use crate::ranges::LARGEST_BATCH;

/// Which augmentations are applied. As text: any of `"colour,translation,cutout"`; the empty string
/// applies none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augmentations {
    /// Random brightness, saturation and contrast.
    pub colour: bool,
    /// Random translation, padded with zeros.
    pub translation: bool,
    /// A random square is set to zero.
    pub cutout: bool,
}

impl Augmentations {
    /// Whether any is applied.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl TryFrom<String> for Augmentations {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Self, String> {
        let mut policy = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "colour" | "color" => policy.colour = true,
                "translation" => policy.translation = true,
                "cutout" => policy.cutout = true,
                _ => {
                    let all = "any of `colour`, `translation` and `cutout`, parted by commas";
                    return Err(format!("unknown augmentation `{name}`, expected {all}"));
                }
            }
        }
        Ok(policy)
    }
}

impl From<Augmentations> for String {
    fn from(policy: Augmentations) -> Self {
        let parts = [
            ("colour", policy.colour),
            ("translation", policy.translation),
            ("cutout", policy.cutout),
        ];
        parts.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect::<Vec<_>>().join(",")
    }
}

/// The pass of D in which a picture is seen. Each pass has its own random values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Real pictures with their text.
    Real = 0,
    /// Real pictures that do not match the text.
    Wrong = 1,
    /// Generated pictures, in D's step.
    Fake = 2,
    /// Generated pictures, in G's step.
    Generator = 3,
}

impl Pass {
    const ALL: [Self; 4] = [Self::Real, Self::Wrong, Self::Fake, Self::Generator];
}

/// The random values for one picture, in the order of their columns.
const VALUES: usize = 7;
const SHIFT: usize = 0; // right, down; in pixels
const CORNER: usize = 2; // column, row; of the square that is set to zero
const BRIGHTNESS: usize = 4;
const SATURATION: usize = 5;
const CONTRAST: usize = 6;

/// Largest side of a picture: larger places are not exact in `f32`.
const LARGEST_SIDE: usize = 1 << 24;

/// Draws the random values of a step for `batch` pictures, at most 65536, of `side` pixels, at most
/// 2^24: `(batch, 4, 7)`, for each sample a row for each [`Pass`].
///
/// # Errors
/// When there are more or larger pictures, or the tensor cannot be created.
pub fn draw(
    noise: Noise,
    step: u64,
    (batch, side): (usize, usize),
    device: &Device,
) -> Result<Tensor> {
    if batch > LARGEST_BATCH || side > LARGEST_SIDE {
        candle_core::bail!(
            "an augmentation: expected at most {LARGEST_BATCH} pictures of {LARGEST_SIDE} pixels a side, found {batch} of {side}"
        );
    }
    let row = |i: usize, pass: Pass| {
        let sample = (pass as u64) << 32 | i as u64;
        values(&mut noise.draws(Stream::DiffAugment, step, sample), side as i64)
    };
    let rows = (0..batch).flat_map(|i| Pass::ALL.map(|pass| row(i, pass)));
    let all = rows.flatten().collect::<Vec<f32>>();
    Tensor::from_vec(all, (batch, Pass::ALL.len(), VALUES), device)
}

fn values(draws: &mut Draws, side: i64) -> [f32; VALUES] {
    let (reach, cut) = (rounded(side, 0.125), rounded(side, 0.5));
    let mut whole = |low: i64, high: i64| (low + draws.below((high - low) as u64) as i64) as f32;
    let [right, down] = [(); 2].map(|()| whole(-reach, reach + 1));
    let half = (cut / 2) as f32;
    let [column, row] = [(); 2].map(|()| whole(0, side + 1 - cut % 2) - half);
    let brightness = draws.uniform() - 0.5;
    let (saturation, contrast) = (draws.uniform() * 2.0, draws.uniform() + 0.5);
    let colour = [brightness, saturation, contrast].map(|value| value as f32);
    [right, down, column, row, colour[0], colour[1], colour[2]]
}

fn rounded(side: i64, ratio: f64) -> i64 {
    (side as f64 * ratio + 0.5) as i64
}

/// The augmentations of one step, or of a part of its batch.
#[derive(Clone, Debug)]
pub(crate) struct DiffAugment {
    /// Which augmentations are applied.
    pub(crate) policy: Augmentations,
    /// The random values for these pictures, from [`draw`]. Not needed if nothing is applied.
    pub(crate) values: Option<Tensor>,
}

impl DiffAugment {
    /// Augments the pictures `(batch, 3, size, size)`. The result has the same shape and is
    /// differentiable.
    ///
    /// # Errors
    /// When the shape is another, there is no picture, or the random values are missing.
    pub(crate) fn see(&self, pass: Pass, images: &Tensor) -> Result<Tensor> {
        if !self.policy.any() {
            return Ok(images.clone());
        }
        let Some(values) = &self.values else {
            candle_core::bail!("expected the random values of `knobs.diff_augment`, found none");
        };
        let (batch, _, _, side) = images.dims4()?;
        if batch == 0 {
            candle_core::bail!("an augmentation: expected one picture or more, found none");
        }
        let values = values.narrow(1, pass as usize, 1)?.squeeze(1)?;
        let mut x = images.clone();
        if self.policy.colour {
            let column =
                |at| values.narrow(1, at, 1)?.reshape((batch, 1, 1, 1))?.to_dtype(x.dtype());
            let columns = [column(BRIGHTNESS)?, column(SATURATION)?, column(CONTRAST)?];
            x = coloured(&x, &columns)?;
        }
        if self.policy.translation {
            x = translate(&x, &values.narrow(1, SHIFT, 2)?)?;
        }
        if self.policy.cutout {
            let cut = rounded(side as i64, 0.5) as usize;
            x = cut_out(&x, &values.narrow(1, CORNER, 2)?, cut)?;
        }
        Ok(x)
    }
}

fn coloured(x: &Tensor, [brightness, saturation, contrast]: &[Tensor; 3]) -> Result<Tensor> {
    let about = |x: &Tensor, mean: &Tensor, factor: &Tensor| {
        x.broadcast_sub(mean)?.broadcast_mul(factor)?.broadcast_add(mean)
    };
    let x = x.broadcast_add(brightness)?;
    let x = about(&x, &x.mean_keepdim(1)?, saturation)?;
    let count = x.elem_count() / x.dim(0)?;
    let mean = (sum_each(&x)? * (1.0 / count as f64))?;
    about(&x, &repeat_each(&mean, x.shape())?, contrast)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    const SIDE: usize = 16;

    fn augment(policy: &str, step: u64, batch: usize) -> DiffAugment {
        let policy = Augmentations::try_from(policy.to_owned()).unwrap();
        let values = draw(Noise::new(3), step, (batch, SIDE), &Device::Cpu).unwrap();
        DiffAugment { policy, values: Some(values) }
    }

    fn pictures(batch: usize) -> Tensor {
        let values = Noise::new(1).normal(Stream::Test, 0, 0, batch * 3 * SIDE * SIDE);
        Tensor::from_vec(values, (batch, 3, SIDE, SIDE), &Device::Cpu).unwrap()
    }

    fn values(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn off_is_the_same_picture_and_draws_depend_on_step_pass_and_sample_alone() {
        let x = pictures(4);
        assert_eq!(values(&augment("", 0, 4).see(Pass::Real, &x).unwrap()), values(&x));
        let all = "colour,translation,cutout";
        let seen = |step, pass, x: &Tensor| {
            values(&augment(all, step, x.dim(0).unwrap()).see(pass, x).unwrap())
        };
        let reference = seen(5, Pass::Real, &x);
        assert_eq!(reference, seen(5, Pass::Real, &x));
        assert_ne!(reference, seen(6, Pass::Real, &x));
        assert_ne!(reference, seen(5, Pass::Fake, &x));
        // A sample does not depend on the rest of the batch.
        let first = seen(5, Pass::Real, &x.narrow(0, 0, 1).unwrap());
        assert_eq!(first[..], reference[..first.len()]);
        let mut second = augment(all, 5, 2);
        second.values = second.values.map(|values| values.narrow(0, 1, 1).unwrap());
        let second = values(&second.see(Pass::Real, &x.narrow(0, 1, 1).unwrap()).unwrap());
        assert_eq!(second[..], reference[first.len()..2 * first.len()]);
    }

    /// A pixel at a known place moves by the drawn shift, or leaves the picture.
    #[test]
    fn translation_moves_whole_pixels_by_at_most_an_eighth() {
        let mut moves = std::collections::BTreeSet::new();
        for step in 0..200 {
            let mut values = vec![0f32; 3 * SIDE * SIDE];
            values[8 * SIDE + 8] = 1.0;
            let x = Tensor::from_vec(values, (1, 3, SIDE, SIDE), &Device::Cpu).unwrap();
            let y = self::values(&augment("translation", step, 1).see(Pass::Fake, &x).unwrap());
            let at = y.iter().position(|v| *v == 1.0).unwrap() as i64;
            assert_eq!(y.iter().filter(|v| **v != 0.0).count(), 1);
            moves.insert((at % 16 - 8, at / 16 - 8));
        }
        let axis = |of: fn(&(i64, i64)) -> i64| {
            (moves.iter().map(of).min().unwrap(), moves.iter().map(of).max().unwrap())
        };
        assert_eq!((axis(|m| m.0), axis(|m| m.1)), ((-2, 2), (-2, 2)));
        assert_eq!(moves.len(), 25, "all shifts happen");
    }

    #[test]
    fn without_its_random_values_nothing_is_augmented_in_silence() {
        let augment = DiffAugment { values: None, ..augment("cutout", 0, 4) };
        let error = augment.see(Pass::Real, &pictures(4)).unwrap_err().to_string();
        assert!(error.contains("random values of `knobs.diff_augment`"), "{error}");
    }

    #[test]
    fn no_pictures_and_too_many_or_too_large_ones_are_refused() {
        for policy in ["colour", "translation", "cutout"] {
            let error = augment(policy, 0, 0).see(Pass::Real, &pictures(0)).unwrap_err();
            assert!(error.to_string().contains("found none"), "{policy}: {error}");
        }
        let of = |batch, side| draw(Noise::new(3), 0, (batch, side), &Device::Cpu);
        for (batch, side) in [(1, i64::MAX as usize), (1, usize::MAX), (usize::MAX, SIDE)] {
            let error = of(batch, side).unwrap_err().to_string();
            assert!(error.contains(&format!("found {batch} of {side}")), "{error}");
        }
        of(1, LARGEST_SIDE).unwrap();
    }

    #[test]
    fn cutout_takes_a_square_of_half_the_side_or_what_of_it_is_inside() {
        let ones = Tensor::ones((64, 3, SIDE, SIDE), DType::F32, &Device::Cpu).unwrap();
        let y = augment("cutout", 0, 64).see(Pass::Real, &ones).unwrap();
        let kept = y.sum((1, 2, 3)).unwrap().to_vec1::<f32>().unwrap();
        let gone: Vec<f32> = kept.iter().map(|kept| (768.0 - kept) / 3.0).collect();
        assert!(gone.iter().all(|g| (16.0..=64.0).contains(g)), "{gone:?}");
        assert!(gone.contains(&64.0), "a whole square of 8 x 8: {gone:?}");
    }

    /// Compares with the definitions, pixel by pixel.
    #[test]
    fn colour_is_brightness_then_saturation_then_contrast() {
        let x = pictures(2);
        let y = values(&augment("colour", 9, 2).see(Pass::Wrong, &x).unwrap());
        for sample in 0..2usize {
            let key = 1 << 32 | sample as u64;
            let mut draws = Noise::new(3).draws(Stream::DiffAugment, 9, key);
            let change = super::values(&mut draws, SIDE as i64).map(f64::from);
            let pixels = SIDE * SIDE;
            let from = sample * 3 * pixels;
            let mut p: Vec<f64> =
                values(&x)[from..from + 3 * pixels].iter().map(|v| f64::from(*v)).collect();
            for v in &mut p {
                *v += change[BRIGHTNESS];
            }
            for i in 0..pixels {
                let mean = (p[i] + p[pixels + i] + p[2 * pixels + i]) / 3.0;
                for c in 0..3 {
                    p[c * pixels + i] = (p[c * pixels + i] - mean) * change[SATURATION] + mean;
                }
            }
            let mean = p.iter().sum::<f64>() / p.len() as f64;
            for (v, y) in p.iter().zip(&y[from..]) {
                let expected = (v - mean) * change[CONTRAST] + mean;
                assert!((expected - f64::from(*y)).abs() < 1e-5, "{expected} {y}");
            }
        }
    }

    #[test]
    fn the_gradient_passes_through_every_change() {
        let augment = augment("colour,translation,cutout", 2, 2);
        let x = pictures(2).to_dtype(DType::F64).unwrap();
        let weights = pictures(2).to_dtype(DType::F64).unwrap().sqr().unwrap();
        let loss = |x: &Tensor| -> f64 {
            let y = augment.see(Pass::Generator, x).unwrap();
            (y * &weights).unwrap().sum_all().unwrap().to_scalar().unwrap()
        };
        let var = Var::from_tensor(&x).unwrap();
        let y = augment.see(Pass::Generator, &var).unwrap();
        let grads = (y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let flat = x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for i in (0..flat.len()).step_by(37) {
            let at = |by: f64| {
                let mut flat = flat.clone();
                flat[i] += by;
                loss(&Tensor::from_vec(flat, x.dims(), &Device::Cpu).unwrap())
            };
            let difference = (at(1e-4) - at(-1e-4)) / 2e-4;
            assert!((gradient[i] - difference).abs() < 1e-6 * difference.abs().max(1.0), "{i}");
        }
    }
}
