//! `DiffAugment` (Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training").
//!
//! Every picture that D sees, real or generated, is augmented at random in the steps of both
//! players, and the gradient passes through the augmentation. It is an option for small datasets,
//! which D would otherwise memorise.
//!
//! The ranges are those of the authors' `DiffAugment_pytorch.py`: brightness -0.5 to 0.5;
//! saturation 0 to 2; contrast 0.5 to 1.5; translation by up to an eighth of the side, padded with
//! zeros; cutout of a square of half the side. The random values are a function of (seed, step,
//! pass, sample), so checkpoints need not store them.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use stackgan_core::noise::{Draws, Noise, Stream};

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

impl TryFrom<String> for Augmentations {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Self, String> {
        let mut policy = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "colour" | "color" => policy.colour = true,
                "translation" => policy.translation = true,
                "cutout" => policy.cutout = true,
                _ => return Err(format!("expected colour, translation, cutout; found `{name}`")),
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

/// The augmentations of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiffAugment {
    /// Which augmentations are applied.
    pub policy: Augmentations,
    /// The source of the random values.
    pub noise: Noise,
    /// The step, counted from 0.
    pub step: u64,
    /// The index in the batch of the first picture that is passed in.
    pub first: usize,
}

/// The random values for one picture; offsets are in pixels.
struct Change {
    brightness: f64,
    saturation: f64,
    contrast: f64,
    shift: (i64, i64),  // right, down
    centre: (i64, i64), // of the square that is set to zero
}

impl Change {
    fn draw(draws: &mut Draws, side: i64) -> Self {
        let (reach, cut) = (rounded(side, 0.125), rounded(side, 0.5));
        let mut whole = |low: i64, high: i64| low + draws.below((high - low) as u64) as i64;
        let shift = (whole(-reach, reach + 1), whole(-reach, reach + 1));
        let end = side + 1 - cut % 2;
        let centre = (whole(0, end), whole(0, end));
        let brightness = draws.uniform() - 0.5;
        let (saturation, contrast) = (draws.uniform() * 2.0, draws.uniform() + 0.5);
        Self { brightness, saturation, contrast, shift, centre }
    }
}

fn rounded(side: i64, ratio: f64) -> i64 {
    (side as f64 * ratio + 0.5) as i64
}

impl DiffAugment {
    /// Augments the pictures `(batch, 3, size, size)`. The result has the same shape and is
    /// differentiable.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn see(&self, pass: Pass, images: &Tensor) -> Result<Tensor> {
        if self.policy == Augmentations::default() {
            return Ok(images.clone());
        }
        let (batch, _, _, side) = images.dims4()?;
        let of = |i: usize| {
            let sample = (pass as u64) << 32 | (self.first + i) as u64;
            let mut draws = self.noise.draws(Stream::DiffAugment, self.step, sample);
            Change::draw(&mut draws, side as i64)
        };
        let changes: Vec<Change> = (0..batch).map(of).collect();
        let mut x = images.clone();
        if self.policy.colour {
            x = coloured(&x, &changes)?;
        }
        if self.policy.translation {
            x = translated(&x, &changes)?;
        }
        if self.policy.cutout {
            x = cut_out(&x, &changes)?;
        }
        Ok(x)
    }
}

fn coloured(x: &Tensor, changes: &[Change]) -> Result<Tensor> {
    let column = |of: fn(&Change) -> f64| {
        let values: Vec<f32> = changes.iter().map(|change| of(change) as f32).collect();
        Tensor::from_vec(values, (changes.len(), 1, 1, 1), x.device())?.to_dtype(x.dtype())
    };
    let about = |x: &Tensor, mean: &Tensor, factor: &Tensor| {
        x.broadcast_sub(mean)?.broadcast_mul(factor)?.broadcast_add(mean)
    };
    let x = x.broadcast_add(&column(|c| c.brightness)?)?;
    let x = about(&x, &x.mean_keepdim(1)?, &column(|c| c.saturation)?)?;
    about(&x, &x.mean_keepdim((1, 2, 3))?, &column(|c| c.contrast)?)
}

fn translated(x: &Tensor, changes: &[Change]) -> Result<Tensor> {
    let moved = |(i, change): (usize, &Change)| {
        let picture = shifted(&x.narrow(0, i, 1)?, 3, change.shift.0)?;
        shifted(&picture, 2, change.shift.1)
    };
    let pictures: Vec<Tensor> = changes.iter().enumerate().map(moved).collect::<Result<_>>()?;
    Tensor::cat(&pictures, 0)
}

/// Shifts along `dim` towards higher indices by `by`, padded with zeros.
fn shifted(x: &Tensor, dim: usize, by: i64) -> Result<Tensor> {
    let (size, by, gap) = (x.dim(dim)?, by, by.unsigned_abs() as usize);
    match by {
        0 => Ok(x.clone()),
        1.. => x.narrow(dim, 0, size - gap)?.pad_with_zeros(dim, gap, 0),
        _ => x.narrow(dim, gap, size - gap)?.pad_with_zeros(dim, 0, gap),
    }
}

fn cut_out(x: &Tensor, changes: &[Change]) -> Result<Tensor> {
    let (batch, _, height, width) = x.dims4()?;
    let cut = rounded(width as i64, 0.5);
    let mut mask = Vec::with_capacity(batch * height * width);
    for change in changes {
        let within = |at: usize, centre: i64| {
            let from = centre - cut / 2;
            (from..from + cut).contains(&(at as i64))
        };
        for row in 0..height {
            let rows = within(row, change.centre.1);
            mask.extend(
                (0..width).map(
                    |column| {
                        if rows && within(column, change.centre.0) { 0f32 } else { 1.0 }
                    },
                ),
            );
        }
    }
    let mask = Tensor::from_vec(mask, (batch, 1, height, width), x.device())?;
    x.broadcast_mul(&mask.to_dtype(x.dtype())?)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    const SIDE: usize = 16;

    fn augment(policy: &str, step: u64) -> DiffAugment {
        let policy = Augmentations::try_from(policy.to_owned()).unwrap();
        DiffAugment { policy, noise: Noise::new(3), step, first: 0 }
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
        assert_eq!(values(&augment("", 0).see(Pass::Real, &x).unwrap()), values(&x));
        let seen = |step, pass, x: &Tensor| {
            values(&augment("colour,translation,cutout", step).see(pass, x).unwrap())
        };
        let reference = seen(5, Pass::Real, &x);
        assert_eq!(reference, seen(5, Pass::Real, &x));
        assert_ne!(reference, seen(6, Pass::Real, &x));
        assert_ne!(reference, seen(5, Pass::Fake, &x));
        // A sample does not depend on the rest of the batch.
        let first = seen(5, Pass::Real, &x.narrow(0, 0, 1).unwrap());
        assert_eq!(first[..], reference[..first.len()]);
        let second = DiffAugment { first: 1, ..augment("colour,translation,cutout", 5) };
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
            let y = self::values(&augment("translation", step).see(Pass::Fake, &x).unwrap());
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
    fn cutout_takes_a_square_of_half_the_side_or_what_of_it_is_inside() {
        let ones = Tensor::ones((64, 3, SIDE, SIDE), DType::F32, &Device::Cpu).unwrap();
        let y = augment("cutout", 0).see(Pass::Real, &ones).unwrap();
        let kept = y.sum((1, 2, 3)).unwrap().to_vec1::<f32>().unwrap();
        let gone: Vec<f32> = kept.iter().map(|kept| (768.0 - kept) / 3.0).collect();
        assert!(gone.iter().all(|g| (16.0..=64.0).contains(g)), "{gone:?}");
        assert!(gone.contains(&64.0), "a whole square of 8 x 8: {gone:?}");
    }

    /// Compares with the definitions, pixel by pixel.
    #[test]
    fn colour_is_brightness_then_saturation_then_contrast() {
        let x = pictures(2);
        let y = values(&augment("colour", 9).see(Pass::Wrong, &x).unwrap());
        for sample in 0..2usize {
            let key = 1 << 32 | sample as u64;
            let mut draws = Noise::new(3).draws(Stream::DiffAugment, 9, key);
            let change = Change::draw(&mut draws, SIDE as i64);
            let pixels = SIDE * SIDE;
            let from = sample * 3 * pixels;
            let mut p: Vec<f64> =
                values(&x)[from..from + 3 * pixels].iter().map(|v| f64::from(*v)).collect();
            for v in &mut p {
                *v += change.brightness;
            }
            for i in 0..pixels {
                let mean = (p[i] + p[pixels + i] + p[2 * pixels + i]) / 3.0;
                for c in 0..3 {
                    p[c * pixels + i] = (p[c * pixels + i] - mean) * change.saturation + mean;
                }
            }
            let mean = p.iter().sum::<f64>() / p.len() as f64;
            for (v, y) in p.iter().zip(&y[from..]) {
                let expected = (v - mean) * change.contrast + mean;
                assert!((expected - f64::from(*y)).abs() < 1e-5, "{expected} {y}");
            }
        }
    }

    #[test]
    fn the_gradient_passes_through_every_change() {
        let augment = augment("colour,translation,cutout", 2);
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
