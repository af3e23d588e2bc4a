//! The multi-scale structural similarity of two pictures, which is 1 for equal ones.
//!
//! Between pictures of one caption with different noise it measures how much variety the noise
//! causes (lower means more).
//!
//! Source: Wang, Simoncelli and Bovik, "Multi-scale structural similarity" (2003); Odena et al.
//! (2017) use it for variety; reference: pytorch-msssim (window 11, sigma 1.5, K 0.01 and 0.03, no
//! padding, each channel separately).

use stackgan_core::image::Picture;

use crate::{Error, Result};

/// The weights of the five scales, finest first.
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// Side of the window.
const WINDOW: usize = 11;
/// Standard deviation of the window, in pixels.
const SIGMA: f64 = 1.5;
/// Stabilising constants for values from 0 to 255.
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// Returns the number of the five scales that a picture has: those at which the window fits. A
/// 64x64 picture has three.
#[must_use]
pub fn scales(width: usize, height: usize) -> usize {
    let mut side = width.min(height);
    let mut scales = 0;
    while scales < WEIGHTS.len() && side >= WINDOW {
        scales += 1;
        side = side / 2 + side % 2; // odd sides are padded
    }
    scales
}

/// Returns the similarity of two pictures, from 0 to 1.
///
/// If fewer than five scales fit, their weights are scaled to a sum of 1.
///
/// # Errors
/// [`Error::Input`] if the sizes differ, are smaller than the window, or are not those of the pixels.
pub fn ms_ssim(a: &Picture, b: &Picture) -> Result<f64> {
    let scales = scales(a.width, a.height);
    let bytes = |p: &Picture| p.width.checked_mul(p.height)?.checked_mul(3);
    let are_whole = [a, b].iter().all(|p| bytes(p) == Some(p.rgb.len()));
    if (a.width, a.height) != (b.width, b.height) || scales == 0 || !are_whole {
        return Err(Error::Input {
            measure: "a structural similarity",
            expected: format!("two pictures of one size, {WINDOW} pixels or more"),
            found: format!("{}x{} and {}x{}", a.width, a.height, b.width, b.height),
            remedy: "compare pictures of one stage of one model",
        });
    }
    // The published weights sum to 1.0001; all five together are used unchanged.
    let all = if scales == WEIGHTS.len() { 1.0 } else { WEIGHTS.iter().take(scales).sum() };
    let window = window();
    let mut sum = 0.0;
    for channel in 0..3 {
        let (mut x, mut y) = (Plane::of(a, channel), Plane::of(b, channel));
        let mut product = 1.0;
        for (scale, weight) in WEIGHTS.iter().enumerate().take(scales) {
            let (similarity, contrast) = similarity(&x, &y, &window);
            let factor = if scale + 1 == scales { similarity } else { contrast };
            product *= factor.max(0.0).powf(weight / all);
            (x, y) = (x.halved(), y.halved());
        }
        sum += product / 3.0;
    }
    Ok(sum)
}

/// One channel of a picture.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<f64>,
}

impl Plane {
    fn of(picture: &Picture, channel: usize) -> Self {
        let values = picture.rgb.iter().skip(channel).step_by(3).map(|&v| f64::from(v)).collect();
        Self { width: picture.width, height: picture.height, values }
    }

    fn at(&self, y: usize, x: usize) -> f64 {
        self.values.get(y * self.width + x).copied().unwrap_or_default()
    }

    /// Returns the means of 2x2 squares. An odd side is padded by one zero at the start and one at
    /// the end, as in the reference.
    fn halved(&self) -> Self {
        let half = |side: usize| side / 2 + side % 2;
        let (width, height) = (half(self.width), half(self.height));
        let (dx, dy) = (self.width % 2, self.height % 2);
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let mut sum = 0.0;
                for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let (yy, xx) = ((2 * y + i).wrapping_sub(dy), (2 * x + j).wrapping_sub(dx));
                    if yy < self.height && xx < self.width {
                        sum += self.at(yy, xx);
                    }
                }
                values.push(sum / 4.0);
            }
        }
        Self { width, height, values }
    }

    /// Filters with the window in both directions, only where it lies inside the picture.
    fn filtered(&self, window: &[f64; WINDOW]) -> Self {
        let (width, height) = (self.width + 1 - WINDOW, self.height + 1 - WINDOW);
        let rows = self.values.chunks_exact(self.width).flat_map(|row| {
            row.windows(WINDOW).map(|part| part.iter().zip(window).map(|(v, w)| v * w).sum::<f64>())
        });
        let across = Self { width, height: self.height, values: rows.collect() };
        let mut values = vec![0.0; width * height];
        for (y, row) in values.chunks_exact_mut(width).enumerate() {
            for (i, w) in window.iter().enumerate() {
                let source = across.values.iter().skip((y + i) * width);
                row.iter_mut().zip(source).for_each(|(sum, v)| *sum += v * w);
            }
        }
        Self { width, height, values }
    }

    fn with(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a * b).collect();
        Self { values, ..*self }
    }
}

/// Returns the means over the map of the whole similarity and of its factor for contrast and
/// structure.
fn similarity(x: &Plane, y: &Plane, window: &[f64; WINDOW]) -> (f64, f64) {
    let [mx, my] = [x, y].map(|p| p.filtered(window).values);
    let [xx, yy, xy] = [x.with(x), y.with(y), x.with(y)].map(|p| p.filtered(window).values);
    let (mut all, mut contrast) = (0.0, 0.0);
    for ((((mx, my), xx), yy), xy) in mx.iter().zip(&my).zip(&xx).zip(&yy).zip(&xy) {
        let (vx, vy, vxy) = (xx - mx * mx, yy - my * my, xy - mx * my);
        let cs = (2.0 * vxy + C2) / (vx + vy + C2);
        contrast += cs;
        all += (2.0 * mx * my + C1) / (mx * mx + my * my + C1) * cs;
    }
    let n = mx.len() as f64;
    (all / n, contrast / n)
}

fn window() -> [f64; WINDOW] {
    let mut window = [0.0; WINDOW];
    for (i, w) in window.iter_mut().enumerate() {
        let x = i as f64 - (WINDOW / 2) as f64;
        *w = (-x * x / (2.0 * SIGMA * SIGMA)).exp();
    }
    let sum: f64 = window.iter().sum();
    window.map(|w| w / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(side: usize, of: impl Fn(usize) -> u8) -> Picture {
        Picture { width: side, height: side, rgb: (0..3 * side * side).map(of).collect() }
    }

    #[test]
    fn equal_pictures_are_one_and_noise_lowers_it() -> Result<()> {
        let plain = picture(64, |i| (i / 3 % 64 * 4) as u8);
        assert!((ms_ssim(&plain, &plain)? - 1.0).abs() < 1e-12);
        let noisy =
            |by: usize| picture(64, move |i| (i / 3 % 64 * 4) as u8 / 2 + (i * 7919 % by) as u8);
        let (little, much) = (ms_ssim(&plain, &noisy(9))?, ms_ssim(&plain, &noisy(101))?);
        assert!(1.0 > little && little > much && much > 0.0, "{little} {much}");
        Ok(())
    }

    #[test]
    fn scales_are_those_that_fit() {
        assert_eq!([10, 11, 64, 76, 161, 256].map(|side| scales(side, side)), [0, 1, 3, 3, 5, 5]);
        let (a, b) = (picture(64, |_| 0), picture(32, |_| 0));
        assert!(ms_ssim(&a, &b).is_err());
        assert!(ms_ssim(&picture(8, |_| 0), &picture(8, |_| 0)).is_err());
        let empty = Picture { width: 64, height: 64, rgb: Vec::new() };
        assert!(ms_ssim(&empty, &empty).is_err());
        let side = 1usize << (usize::BITS / 2); // whose square is 0
        let vast = Picture { width: side, height: side, rgb: Vec::new() };
        assert!(ms_ssim(&vast, &vast).is_err());
    }
}
