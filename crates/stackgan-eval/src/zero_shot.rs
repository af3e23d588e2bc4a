//! Reed's evaluation of a text encoder.
//!
//! Pictures of unseen classes are compared, by dot product, with one text vector per class, which
//! is the mean over all its captions.
//!
//! Source: reedscot/cvpr2016, `eval_txt_{cls,retrieval}.lua`; Reed et al., CVPR 2016, section 5.

use candle_core::{DType, Tensor};
use stackgan_kernels::product;

use crate::{Error, Result};

/// The scores of all pictures with all classes.
#[derive(Clone, Debug)]
pub struct ZeroShot {
    /// For each class, the score of each picture.
    scores: Vec<Vec<f32>>,
    /// For each picture, the index of its class.
    own: Vec<usize>,
}

impl ZeroShot {
    /// Computes the scores of `images (n, dim)`, whose classes are `classes`, with
    /// `texts (m, dim)`, one for each of the m different `names`.
    ///
    /// # Errors
    /// [`Error::Input`] if the sizes differ, there are fewer than two classes, or a picture's class
    /// has no text.
    pub fn new(images: &Tensor, classes: &[u32], texts: &Tensor, names: &[u32]) -> Result<Self> {
        let own: Option<Vec<usize>> =
            classes.iter().map(|class| names.iter().position(|name| name == class)).collect();
        let sizes_fit = matches!((images.dims(), texts.dims()), (&[n, a], &[m, b])
            if n == classes.len() && n > 0 && m == names.len() && m > 1 && a == b);
        match own {
            Some(own) if sizes_fit => {
                let scores = product(texts, &images.t()?)?.to_dtype(DType::F32)?.to_vec2()?;
                Ok(Self { scores, own })
            }
            _ => Err(Error::Input {
                measure: "zero-shot accuracy",
                expected: "a text for the class of every picture, and two classes or more"
                    .to_owned(),
                found: format!(
                    "pictures {:?} and texts {:?} of {} classes",
                    images.dims(),
                    texts.dims(),
                    names.len()
                ),
                remedy: "measure on pictures of more classes, all with captions",
            }),
        }
    }

    /// Returns the fraction of pictures that match the text of their own class best. Among equal
    /// scores the first class wins.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = self.own.iter().enumerate().filter(|&(picture, &own)| {
            let score = |class: &Vec<f32>| class.get(picture).copied().unwrap_or(f32::NEG_INFINITY);
            let mut best = (0, f32::NEG_INFINITY);
            for (place, class) in self.scores.iter().enumerate() {
                if score(class) > best.1 {
                    best = (place, score(class));
                }
            }
            best.0 == own
        });
        right.count() as f64 / self.own.len() as f64
    }

    /// Returns the average precision at `k`: the fraction of the `k` pictures that best match a
    /// class's text that belong to the class, averaged over classes. A class with fewer pictures is
    /// evaluated with that number.
    ///
    /// Differs from the release, where every class had at least `k` pictures.
    #[must_use]
    pub fn average_precision(&self, k: usize) -> f64 {
        let of_class = self.scores.iter().enumerate().map(|(class, scores)| {
            let mut ranked: Vec<(f32, bool)> =
                scores.iter().zip(&self.own).map(|(&score, &own)| (score, own == class)).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            let k = k.min(ranked.iter().filter(|(_, own)| *own).count());
            let found = ranked.iter().take(k).filter(|(_, own)| *own).count();
            found as f64 / k.max(1) as f64
        });
        of_class.sum::<f64>() / self.scores.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Two classes, three pictures; the second picture of the first class resembles the other
    /// class.
    #[test]
    fn figures_of_a_small_case() -> Result<()> {
        let device = Device::Cpu;
        let images = Tensor::new(&[[1f32, 0.0], [0.4, 0.5], [0.1, 1.0]], &device)?;
        let texts = Tensor::new(&[[1f32, 0.0], [0.0, 1.0]], &device)?;
        let measured = ZeroShot::new(&images, &[7, 7, 9], &texts, &[7, 9])?;
        assert!((measured.accuracy() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(measured.average_precision(50), 1.0);
        assert_eq!(measured.average_precision(1), 1.0);
        let swapped = ZeroShot::new(&images, &[7, 9, 7], &texts, &[7, 9])?;
        assert!((swapped.accuracy() - 2.0 / 3.0).abs() < 1e-12);
        assert!((swapped.average_precision(50) - 0.25).abs() < 1e-12); // 1 of 2, and 0 of 1
        Ok(())
    }

    #[test]
    fn a_class_without_text_is_refused() -> Result<()> {
        let images = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
        for (classes, names) in [([1, 2], [1, 3]), ([1, 1], [1, 1])] {
            let ok = ZeroShot::new(&images, &classes, &images, &names).is_ok();
            assert_eq!(ok, names == [1, 1]);
        }
        assert!(ZeroShot::new(&images, &[1], &images, &[1, 2]).is_err());
        Ok(())
    }
}
