//! Interpolation: along a line between the embeddings of two sentences, along an arc between two
//! draws of noise.
//!
//! The paper interpolates linearly between the embeddings of two sentences and keeps the noise
//! fixed (section 4.3), so that all changes come from the text.
//!
//! Between two draws of noise, a straight line is wrong. A draw of n normal numbers has a length of
//! about √n, whatever its direction, and two of them are nearly at a right angle. The point halfway
//! between them has a length of √(n/2), shorter than any draw that a network has been trained on.
//! Along an arc the length stays the same: at a right angle the squares of both weights sum to 1,
//! and each point is distributed as a draw is (White 2016, "Sampling generative networks", section
//! 2.1). Values of epsilons truncated at two can reach 2√2 on such an arc.

use candle_core::Tensor;

use crate::generator_noise::GeneratorNoise;
use crate::{Error, Result};

/// If the sine of the angle between two vectors is below this, they are treated as collinear: there
/// is no arc, or no unique one, between them.
const STRAIGHT: f64 = 1e-6;

/// Returns points on the straight line between two rows `(1, width)`, as `(at.len(), width)`.
///
/// There is one row for each fraction of the way in `at`, from 0 to 1. At 0 and 1 the result is
/// exactly `from` and `to`, to the bit.
///
/// # Errors
/// Tensors that are not two rows of the same width.
pub fn lerp(from: &Tensor, to: &Tensor, at: &[f64]) -> Result<Tensor> {
    rows(from, to, at, |_, _, t| (1.0 - t, t))
}

/// Returns points on the arc between two rows `(1, width)`, as `(at.len(), width)`.
///
/// There is one row for each fraction of the angle in `at`, from 0 to 1. At 0 and 1 the result is
/// exactly `from` and `to`, to the bit. If no unique arc joins the vectors (one of them is zero, or
/// they are collinear), the points lie on the straight line between them.
///
/// # Errors
/// Tensors that are not two rows of the same width.
pub fn slerp(from: &Tensor, to: &Tensor, at: &[f64]) -> Result<Tensor> {
    rows(from, to, at, |from, to, t| {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let lengths = (product(from, from) * product(to, to)).sqrt();
        let angle = libm::acos((product(from, to) / lengths).clamp(-1.0, 1.0));
        let sine = libm::sin(angle);
        if sine > STRAIGHT {
            (libm::sin((1.0 - t) * angle) / sine, libm::sin(t * angle) / sine)
        } else {
            (1.0 - t, t) // also if a length is 0 and the angle is NaN
        }
    })
}

impl GeneratorNoise {
    /// Returns noise on the way from `self` to `to`, which are one sample each.
    ///
    /// There is one sample for each fraction of the way in `at`, from 0 to 1. `z` and both epsilons
    /// move along arcs ([`slerp`]). At 0 and 1 the result is exactly `self` and `to`, to the bit.
    ///
    /// # Errors
    /// Noise that is not one sample each, or of different widths.
    pub fn toward(&self, to: &Self, at: &[f64]) -> Result<Self> {
        Ok(Self {
            z: slerp(&self.z, &to.z, at)?,
            eps1: slerp(&self.eps1, &to.eps1, at)?,
            eps2: slerp(&self.eps2, &to.eps2, at)?,
        })
    }
}

/// Returns one row for each of `at`: the end points themselves, and between them their sum weighted
/// by `weights`.
fn rows(
    from: &Tensor,
    to: &Tensor,
    at: &[f64],
    weights: impl Fn(&[f32], &[f32], f64) -> (f64, f64),
) -> Result<Tensor> {
    let (a, b) = (row(from)?, row(to)?);
    if a.len() != b.len() {
        return Err(apart(&format!("(1, {})", a.len()), to));
    }
    let mut values = Vec::with_capacity(at.len() * a.len());
    for &t in at {
        if t <= 0.0 {
            values.extend_from_slice(&a);
        } else if t >= 1.0 {
            values.extend_from_slice(&b);
        } else {
            let (first, second) = weights(&a, &b, t);
            let between =
                |(a, b): (&f32, &f32)| (first * f64::from(*a) + second * f64::from(*b)) as f32;
            values.extend(a.iter().zip(&b).map(between));
        }
    }
    Ok(Tensor::from_vec(values, (at.len(), a.len()), from.device())?)
}

fn row(tensor: &Tensor) -> Result<Vec<f32>> {
    match tensor.dims() {
        [1, _] => Ok(tensor.flatten_all()?.to_vec1()?),
        _ => Err(apart("(1, width)", tensor)),
    }
}

fn apart(expected: &str, found: &Tensor) -> Error {
    let (what, found) = ("there is no way between these", format!("{:?}", found.dims()));
    Error::Shape { what, expected: expected.to_owned(), found }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use stackgan_noise::{Noise, Stream};

    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap()
    }

    fn draw(sample: u64, width: usize) -> Tensor {
        tensor(&Noise::new(5).normal(Stream::Test, 0, sample, width))
    }

    fn values(tensor: &Tensor) -> Vec<Vec<f32>> {
        tensor.to_vec2().unwrap()
    }

    fn length(row: &[f32]) -> f64 {
        row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn both_ways_begin_and_end_in_the_very_bits() {
        let (a, b) = (draw(0, 100), draw(1, 100));
        for way in [lerp, slerp] {
            let rows = values(&way(&a, &b, &[0.0, 0.3, 1.0]).unwrap());
            let bits = |row: &[f32]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&rows[0]), bits(&values(&a)[0]));
            assert_eq!(bits(&rows[2]), bits(&values(&b)[0]));
            assert!(rows[1] != rows[0] && rows[1] != rows[2]);
        }
    }

    #[test]
    fn a_line_is_even_and_an_arc_keeps_length_and_angle() {
        let at: Vec<f64> = (0..=8).map(|i| f64::from(i) / 8.0).collect();
        let line = values(&lerp(&tensor(&[1.0, 4.0]), &tensor(&[3.0, -4.0]), &at).unwrap());
        assert_eq!((&line[2][..], &line[4][..]), (&[1.5, 2.0][..], &[2.0, 0.0][..]));
        let arc = values(&slerp(&tensor(&[2.0, 0.0]), &tensor(&[0.0, 2.0]), &at).unwrap());
        for (point, t) in arc.iter().zip(&at) {
            let angle = t * std::f64::consts::FRAC_PI_2;
            assert!((length(point) - 2.0).abs() < 1e-6, "{point:?}");
            assert!((f64::from(point[0]) - 2.0 * angle.cos()).abs() < 1e-6, "{point:?}");
        }
    }

    #[test]
    fn halfway_between_draws_an_arc_is_as_long_as_they_are_and_a_line_is_not() {
        for sample in 0..20 {
            let (a, b) = (draw(2 * sample, 100), draw(2 * sample + 1, 100));
            let mean = f64::midpoint(length(&values(&a)[0]), length(&values(&b)[0]));
            let half = |way: fn(&Tensor, &Tensor, &[f64]) -> Result<Tensor>| {
                length(&values(&way(&a, &b, &[0.5]).unwrap())[0]) / mean
            };
            assert!((half(slerp) - 1.0).abs() < 0.02, "{}", half(slerp));
            assert!(half(lerp) < 0.83, "{}", half(lerp));
        }
    }

    #[test]
    fn vectors_of_one_line_give_numbers() {
        let (a, zero) = (tensor(&[3.0, -4.0]), tensor(&[0.0, 0.0]));
        let half = |a: &Tensor, b: &Tensor| values(&slerp(a, b, &[0.5]).unwrap()).remove(0);
        assert_eq!(half(&a, &zero), [1.5, -2.0]);
        assert_eq!(half(&zero, &zero), [0.0, 0.0]);
        assert_eq!(half(&a, &tensor(&[-3.0, 4.0])), [0.0, 0.0]);
        assert_eq!(half(&a, &a), [3.0, -4.0]);
        assert_eq!(half(&a, &tensor(&[6.0, -8.0])), [4.5, -6.0]);
    }

    #[test]
    fn what_is_not_two_rows_of_one_width_is_refused() {
        let two = Tensor::cat(&[draw(0, 4), draw(1, 4)], 0).unwrap();
        for (a, b) in [(draw(0, 4), draw(0, 5)), (two.clone(), draw(0, 4)), (draw(0, 4), two)] {
            let error = slerp(&a, &b, &[0.5]).unwrap_err().to_string();
            assert!(error.contains("no way between"), "{error}");
        }
    }

    #[test]
    fn noise_goes_part_by_part() {
        let noise =
            |i: u64| GeneratorNoise { z: draw(i, 8), eps1: draw(i + 1, 4), eps2: draw(i + 2, 4) };
        let (from, to) = (noise(0), noise(10));
        let way = from.toward(&to, &[0.0, 0.5, 1.0]).unwrap();
        assert_eq!(
            (way.z.dims(), way.eps1.dims(), way.eps2.dims()),
            (&[3, 8][..], &[3, 4][..], &[3, 4][..])
        );
        assert_eq!(values(&way.eps2)[2], values(&to.eps2)[0]);
        assert_eq!(
            values(&way.eps1),
            values(&slerp(&from.eps1, &to.eps1, &[0.0, 0.5, 1.0]).unwrap())
        );
    }
}
