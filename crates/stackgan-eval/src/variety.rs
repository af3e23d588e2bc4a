//! Variety: how much the pictures of one caption differ if only the noise does, as the mean
//! similarity of their pairs.
//!
//! Near 1 the model generates the same picture for a caption, whatever the noise.

use rayon::prelude::*;
use stackgan_core::image::Picture;
use stackgan_core::noise::Noise;

use crate::bootstrap::{self, Interval};
use crate::ms_ssim::ms_ssim;
use crate::report::Measured;
use crate::{Error, Result};

/// Measured variety.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variety {
    /// The mean over captions of the mean MS-SSIM over the pairs of a caption's pictures. Lower
    /// means more variety.
    pub similarity: f64,
    /// 95 % interval over captions.
    pub interval: Option<Interval>,
    /// Number of captions.
    pub captions: usize,
    /// Number of pairs per caption.
    pub pairs: usize,
}

impl Variety {
    /// A line of a report. Each caption had `pictures` pictures, compared at `scales` scales.
    #[must_use]
    pub fn measured(&self, pictures: usize, scales: usize) -> Measured {
        let Self { similarity, interval, captions, pairs } = *self;
        let plural = if captions == 1 { "" } else { "s" };
        Measured {
            key: "variety",
            name: "MS-SSIM within a caption".to_owned(),
            value: similarity,
            interval,
            std: None,
            count: pictures.saturating_mul(captions),
            real: 0,
            how: format!("{captions} caption{plural}, {pairs} pairs each; 1 is no variety"),
            by: format!("{scales} scales"),
        }
    }
}

/// Returns the mean similarity of all pairs of `pictures`, which belong to one caption.
///
/// # Errors
/// [`Error::Input`] for fewer than two pictures, or pictures of different sizes.
pub fn of_caption(pictures: &[Picture]) -> Result<f64> {
    let pairs = pictures
        .iter()
        .enumerate()
        .flat_map(|(i, a)| pictures.iter().skip(i + 1).map(move |b| (a, b)));
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return Err(unfit("a caption with two pictures or more", pictures.len()));
    }
    let similarities = pairs.into_par_iter().map(|(a, b)| ms_ssim(a, b));
    let similarities: Vec<f64> = similarities.collect::<Result<_>>()?;
    Ok(bootstrap::mean_and_std(&similarities).0)
}

/// Returns the variety given the similarities of some captions with `pictures` pictures each.
///
/// # Errors
/// [`Error::Input`] if there are no captions, or more pictures than have pairs that can be counted.
pub fn variety(of_captions: &[f64], pictures: usize, noise: Noise) -> Result<Variety> {
    if of_captions.is_empty() {
        return Err(unfit("a caption or more", 0));
    }
    let Some(ordered) = pictures.checked_mul(pictures.saturating_sub(1)) else {
        return Err(unfit("pictures whose pairs can be counted", pictures));
    };
    Ok(Variety {
        similarity: bootstrap::mean_and_std(of_captions).0,
        interval: bootstrap::of_mean(of_captions, noise),
        captions: of_captions.len(),
        pairs: ordered / 2,
    })
}

fn unfit(expected: &str, found: usize) -> Error {
    Error::Input {
        measure: "the variety of a caption's pictures",
        expected: expected.to_owned(),
        found: found.to_string(),
        remedy: "paint each caption with several seeds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_ignores_its_noise_has_none() -> Result<()> {
        let picture = |by: u8| Picture::filled(16, 16, [by, 10, 200]);
        let same = of_caption(&[picture(9), picture(9), picture(9)])?;
        assert!((same - 1.0).abs() < 1e-12);
        let other = of_caption(&[picture(9), picture(250)])?;
        let measured = variety(&[same, other], 3, Noise::new(0))?;
        assert!(other < 0.8 && (measured.similarity - (1.0 + other) / 2.0).abs() < 1e-12);
        assert_eq!((measured.captions, measured.pairs), (2, 3));
        assert!(of_caption(&[picture(9)]).is_err() && variety(&[], 3, Noise::new(0)).is_err());
        assert!(variety(&[same], usize::MAX, Noise::new(0)).is_err());
        assert_eq!(measured.measured(usize::MAX, 3).count, usize::MAX);
        Ok(())
    }
}
