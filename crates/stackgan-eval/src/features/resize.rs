//! The resizing methods of the published protocols. An FID depends on the method.

use candle_core::{Device, Tensor};
use stackgan_core::image::Picture;
use stackgan_kernels::product;

use crate::{Error, Result};

/// Largest side of tensors and of results in pixels, far above that of any network.
const LARGEST: usize = 1 << 14;

/// A method to resize a picture to a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Bilinear between the four nearest pixels, with pixel centres aligned: PyTorch's
    /// `align_corners=False`.
    HalfPixel,
    /// Bilinear, with the upper left corners of pixels aligned: TensorFlow 1's default.
    Legacy,
    /// Pillow's bilinear filter on bytes. The filter becomes wider when a picture becomes smaller.
    ///
    /// This implementation is exact to the bit. `fast_image_resize` is not: its coefficients have
    /// fewer bits, so that it rounds some pixels differently.
    PillowBilinear,
}

impl Resize {
    /// Returns its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfPixel => "bilinear (align_corners=False)",
            Self::Legacy => "bilinear (TensorFlow 1)",
            Self::PillowBilinear => "bilinear (Pillow)",
        }
    }

    /// Returns three planes of `side * side` values in [0, 255].
    ///
    /// # Errors
    /// [`Error::Input`] if the picture is empty or has a wrong number of bytes, or if `side` is 0
    /// or above 16,384.
    pub fn planes(self, picture: &Picture, side: usize) -> Result<Vec<f32>> {
        let Picture { width, height, rgb } = picture;
        let bytes = width.checked_mul(*height).and_then(|pixels| pixels.checked_mul(3));
        if rgb.is_empty() || bytes != Some(rgb.len()) || !(1..=LARGEST).contains(&side) {
            let found = format!("{} bytes for {width}x{height} pixels, to {side}", rgb.len());
            return Err(unfit(found));
        }
        match self {
            Self::HalfPixel | Self::Legacy => Ok(self.bilinear(picture, side)),
            Self::PillowBilinear => Ok(pillow(picture, side)),
        }
    }

    /// Returns for each new pixel the index of the old pixel before it, of the one after it, and
    /// the weight of the second. Computes in f32 and in this order of operations, as the references
    /// do.
    fn taps(self, from: usize, to: usize) -> Vec<(usize, usize, f32)> {
        let place = |i: usize| {
            let scale = from as f32 / to as f32;
            match self {
                Self::HalfPixel => (scale * (i as f32 + 0.5) - 0.5).max(0.0),
                _ => i as f32 * scale,
            }
        };
        let tap = |i: usize| {
            let at = place(i);
            let low = (at as usize).min(from - 1);
            (low, (low + 1).min(from - 1), at - low as f32)
        };
        (0..to).map(tap).collect()
    }

    fn bilinear(self, picture: &Picture, side: usize) -> Vec<f32> {
        let (across, down) = (self.taps(picture.width, side), self.taps(picture.height, side));
        let mut planes = Vec::with_capacity(3 * side * side);
        for channel in 0..3 {
            // The picture's rows at the new width.
            let rows: Vec<f32> = picture
                .rgb
                .chunks_exact(3 * picture.width)
                .flat_map(|row| {
                    let at = move |x: usize| {
                        f32::from(row.get(3 * x + channel).copied().unwrap_or_default())
                    };
                    across.iter().map(move |&(a, b, t)| at(a) * (1.0 - t) + at(b) * t)
                })
                .collect();
            for &(a, b, t) in &down {
                let row = |y: usize| rows.get(y * side..(y + 1) * side).unwrap_or_default();
                planes.extend(row(a).iter().zip(row(b)).map(|(a, b)| a * (1.0 - t) + b * t));
            }
        }
        planes
    }
}

/// Number of fractional bits of Pillow's coefficients.
const BITS: u32 = 22;

/// For one new pixel: the first pixel under the filter, and the coefficients.
struct Window {
    from: usize,
    coefficients: Vec<i64>,
}

/// Computes Pillow's triangle filter. Source: Pillow, `Resample.c`, `precompute_coeffs` and
/// `normalize_coeffs_8bpc`.
fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    let window = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        let first = ((centre - support + 0.5) as usize).min(from);
        let end = ((centre + support + 0.5) as usize).min(from);
        let weight = |x: usize| (1.0 - ((x as f64 - centre + 0.5) / support).abs()).max(0.0);
        let sum: f64 = (first..end).map(weight).sum();
        let fixed = |x| (0.5 + weight(x) / sum * f64::from(1u32 << BITS)) as i64;
        Window { from: first, coefficients: (first..end).map(fixed).collect() }
    };
    (0..to).map(window).collect()
}

impl Window {
    /// Returns the filtered value of pixels at distance `step`; the first pixel of the line is at
    /// `start`.
    fn of(&self, bytes: &[u8], start: usize, step: usize) -> u8 {
        let pixels = bytes.iter().skip(start + self.from * step).step_by(step);
        let sum: i64 = pixels.zip(&self.coefficients).map(|(&v, k)| i64::from(v) * k).sum();
        ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
    }
}

/// [`Resize::PillowBilinear`] for tensors of square pictures. It does not round to bytes, and it
/// has a gradient. It can first reduce the pictures to means of squares.
#[derive(Clone, Debug)]
pub struct Resample {
    /// `(from, to)`: the weight of every old pixel of a line in every new one.
    filter: Tensor,
}

impl Resample {
    /// Resizes pictures `(from, from)` to `(to, to)`, after a reduction to means of
    /// `square * square` pixels.
    ///
    /// # Errors
    /// [`Error::Input`] if `from`, `to` or `square` is 0, a side is above 16,384, or `square` does
    /// not divide `from`.
    pub fn new((from, square): (usize, usize), to: usize, device: &Device) -> Result<Self> {
        let are_sides = [from, to].iter().all(|side| (1..=LARGEST).contains(side));
        if !are_sides || square == 0 || !from.is_multiple_of(square) {
            return Err(unfit(format!("{from} pixels in squares of {square}, to {to}")));
        }
        let mut filter = vec![0f32; from * to];
        for (i, window) in windows(from / square, to).iter().enumerate() {
            let weights = filter.iter_mut().skip(i).step_by(to).skip(window.from * square);
            let each = window.coefficients.iter().flat_map(|c| std::iter::repeat_n(c, square));
            for (weight, &coefficient) in weights.zip(each) {
                *weight = coefficient as f32 / (square << BITS) as f32;
            }
        }
        Ok(Self { filter: Tensor::from_vec(filter, (from, to), device)? })
    }

    /// Resizes pictures `(n, c, from, from)` of any range to `(n, c, to, to)`.
    ///
    /// # Errors
    /// If the side is not `from`.
    pub fn apply(&self, pictures: &Tensor) -> Result<Tensor> {
        let rows = self.lines(pictures)?;
        Ok(self.lines(&rows.transpose(2, 3)?)?.transpose(2, 3)?.contiguous()?)
    }

    /// Resizes every line of the last axis.
    fn lines(&self, x: &Tensor) -> Result<Tensor> {
        let (n, c, lines, from) = x.dims4()?;
        let to = self.filter.dim(1)?;
        let x = x.reshape((n * c * lines, from))?;
        Ok(product(&x, &self.filter)?.reshape((n, c, lines, to))?)
    }
}

/// Resizes rows first, then columns, with bytes in between.
fn pillow(picture: &Picture, side: usize) -> Vec<f32> {
    let (across, down) = (windows(picture.width, side), windows(picture.height, side));
    let mut planes = Vec::with_capacity(3 * side * side);
    for channel in 0..3 {
        let rows = picture.rgb.chunks_exact(3 * picture.width);
        let rows: Vec<u8> =
            rows.flat_map(|row| across.iter().map(move |w| w.of(row, channel, 3))).collect();
        for window in &down {
            planes.extend((0..side).map(|x| f32::from(window.of(&rows, x, side))));
        }
    }
    planes
}

fn unfit(found: String) -> Error {
    Error::Input {
        measure: "a picture that cannot be resized",
        expected: format!("RGB pixels, and sides of 1 to {LARGEST}"),
        found,
        remedy: "check how the picture was made",
    }
}

#[cfg(test)]
mod tests {
    use stackgan_core::losses::square_means;

    use super::*;

    fn waves(side: usize) -> Vec<u8> {
        (0..3 * side * side).map(|i| (127.5 + 127.0 * (i as f32 * 0.37).sin()) as u8).collect()
    }

    /// Tensors are resized as Pillow resizes bytes, to smaller and larger sides, within the
    /// rounding of its two passes.
    #[test]
    fn tensors_become_what_pillow_makes_of_bytes() {
        for (from, to) in [(64, 128), (64, 224), (76, 33), (5, 5), (1, 7)] {
            let rgb = waves(from);
            let values: Vec<f32> = rgb.iter().map(|&v| f32::from(v)).collect();
            let picture = Picture { width: from, height: from, rgb };
            let planes = Resize::PillowBilinear.planes(&picture, to).unwrap();
            let tensor = Tensor::from_vec(values, (1, from, from, 3), &Device::Cpu).unwrap();
            let tensor = tensor.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
            let found = Resample::new((from, 1), to, &Device::Cpu).unwrap().apply(&tensor).unwrap();
            assert_eq!(found.dims(), [1, 3, to, to]);
            let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (found, expected) in found.iter().zip(planes) {
                assert!((found - expected).abs() < 1.01, "{from} to {to}: {found} {expected}");
            }
        }
    }

    #[test]
    fn means_come_first() {
        let values: Vec<f32> = waves(12).into_iter().map(f32::from).collect();
        let pictures = Tensor::from_vec(values, (1, 3, 12, 12), &Device::Cpu).unwrap();
        let resample = |from| Resample::new(from, 16, &Device::Cpu).unwrap();
        let found = resample((12, 3)).apply(&pictures).unwrap();
        let expected = resample((4, 1)).apply(&square_means(&pictures, 4).unwrap()).unwrap();
        let apart = (found - expected).unwrap().abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-3, "{apart}");
        assert!(Resample::new((12, 5), 16, &Device::Cpu).is_err());
    }

    #[test]
    fn sides_that_no_network_has_are_refused() {
        let picture = Picture::filled(2, 2, [9; 3]);
        for side in [0, LARGEST + 1, usize::MAX] {
            for resize in [Resize::HalfPixel, Resize::Legacy, Resize::PillowBilinear] {
                assert!(resize.planes(&picture, side).is_err());
            }
            for (from, to) in [(side, 4), (4, side)] {
                assert!(Resample::new((from, 1), to, &Device::Cpu).is_err());
            }
        }
        let side = 1usize << (usize::BITS / 2); // whose square is 0
        let vast = Picture { width: side, height: side, rgb: Vec::new() };
        assert!(Resize::Legacy.planes(&vast, 4).is_err());
    }
}
