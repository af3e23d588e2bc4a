//! R-precision: is a picture's own caption the best match among a few?
//!
//! Each picture is compared, by dot product, with its own text and with `candidates - 1` texts of pictures of other
//! classes. The measure is the part of the pictures whose own text wins; chance is one over `candidates`. It is only as
//! good as its judge: vectors from the encoder that conditions the generator make it optimistic.
//!
//! Source: Xu et al., `AttnGAN` (CVPR 2018), section 4, with candidates from other classes.

use candle_core::{DType, Tensor};
use stackgan_core::noise::{Noise, Stream};

use crate::{Error, Result};

/// A measured R-precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RPrecision {
    /// Part of the pictures that were matched right, 0 to 1.
    pub mean: f64,
    /// Standard error of the mean: `sqrt(p (1 - p) / n)`.
    pub standard_error: f64,
    /// Pictures.
    pub count: usize,
    /// Texts among which each had to find its own.
    pub candidates: usize,
}

/// R-precision of `images (n, dim)` whose own texts are the rows of `texts (n, dim)`; `classes` has n labels. Vectors are
/// compared by dot products: give unit vectors to compare directions. Equal scores do not win.
///
/// # Errors
/// [`Error::Input`] when sizes differ, `candidates` is below 2, or a picture has fewer than `candidates - 1` texts of other
/// classes.
pub fn r_precision(
    images: &Tensor,
    texts: &Tensor,
    classes: &[u32],
    candidates: usize,
    noise: Noise,
) -> Result<RPrecision> {
    let count = classes.len();
    let fits =
        matches!(images.dims(), &[n, _] if n == count && n > 0) && images.dims() == texts.dims();
    if !fits || candidates < 2 {
        return Err(input(
            "as many pictures, texts and classes, and two candidates or more".to_owned(),
            format!("{:?}, {:?}, {count}, and {candidates}", images.dims(), texts.dims()),
        ));
    }
    let images = images.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let texts = texts.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let mut right = 0;
    for (i, (image, (own, class))) in images.iter().zip(texts.iter().zip(classes)).enumerate() {
        let mut others: Vec<&Vec<f32>> = texts
            .iter()
            .zip(classes)
            .filter(|(_, other)| *other != class)
            .map(|(text, _)| text)
            .collect();
        if others.len() < candidates - 1 {
            return Err(input(
                format!("{} texts of other classes", candidates - 1),
                others.len().to_string(),
            ));
        }
        let mut draws = noise.draws(Stream::RPrecision, 0, i as u64);
        for j in 0..candidates - 1 {
            let left = (others.len() - j) as u64;
            others.swap(j, j + draws.below(left) as usize);
        }
        let score = dot(image, own);
        right +=
            usize::from(others.iter().take(candidates - 1).all(|other| score > dot(image, other)));
    }
    let mean = right as f64 / count as f64;
    Ok(RPrecision {
        mean,
        standard_error: (mean * (1.0 - mean) / count as f64).sqrt(),
        count,
        candidates,
    })
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn input(expected: String, found: String) -> Error {
    Error::Input {
        measure: "R-precision",
        expected,
        found,
        remedy: "measure on more pictures of more classes",
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn random(sample: u64, n: usize) -> Result<Tensor> {
        let values = Noise::new(8).normal(Stream::Test, 0, sample, n * 16);
        Ok(Tensor::from_vec(values, (n, 16), &Device::Cpu)?)
    }

    fn classes(n: u32) -> Vec<u32> {
        (0..n).map(|i| i / 4).collect()
    }

    #[test]
    fn a_perfect_judge_has_one_and_a_blind_one_has_chance() -> Result<()> {
        let (images, classes) = (random(0, 2000)?, classes(2000));
        let perfect = r_precision(&images, &(&images * 4.0)?, &classes, 2, Noise::new(1))?;
        assert!(perfect.mean > 0.97, "{perfect:?}");
        let blind = r_precision(&images, &random(1, 2000)?, &classes, 10, Noise::new(1))?;
        assert!((blind.mean - 0.1).abs() < 4.0 * blind.standard_error, "{blind:?}");
        assert!((blind.standard_error - 0.0067).abs() < 0.001);
        // Vectors that say nothing win nothing.
        let same = Tensor::ones((2000, 16), DType::F32, &Device::Cpu)?;
        assert_eq!(r_precision(&same, &same, &classes, 10, Noise::new(1))?.mean, 0.0);
        Ok(())
    }

    /// The texts of one's own class are no candidates: here they are all better than one's own.
    #[test]
    fn candidates_are_of_other_classes() -> Result<()> {
        let device = Device::Cpu;
        let images = Tensor::new(&[[1f32, 0.0], [1.0, 0.0], [0.0, 1.0]], &device)?;
        let texts = Tensor::new(&[[1f32, 0.0], [9.0, 0.0], [0.0, 1.0]], &device)?;
        let measured = r_precision(&images, &texts, &[5, 5, 6], 2, Noise::new(0))?;
        assert_eq!((measured.mean, measured.count), (1.0, 3));
        Ok(())
    }

    #[test]
    fn too_few_classes_or_other_sizes_are_refused() -> Result<()> {
        let images = random(0, 8)?;
        for (classes, candidates) in
            [(vec![1; 8], 2), (classes(8), 6), (classes(8), 1), (classes(4), 2)]
        {
            let error =
                r_precision(&images, &images, &classes, candidates, Noise::new(0)).unwrap_err();
            assert!(error.to_string().contains("do: "), "{error}");
        }
        Ok(())
    }
}
