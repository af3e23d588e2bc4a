//! R-precision: is a picture's own caption the best match among a few?
//!
//! Each picture is compared, by dot product, with its own text and with `candidates - 1` texts of pictures of other
//! classes. The measure is the part of the pictures whose own text wins; chance is one over `candidates`. It is only as
//! good as its judge: vectors from the encoder that conditions the generator make it optimistic.
//!
//! Source: Xu et al., `AttnGAN` (CVPR 2018), section 4, with candidates from other classes.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use stackgan_core::noise::{Draws, Noise, Stream};

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
    let right = matched(images, texts, classes, candidates, noise)?;
    let count = right.len();
    let mean = right.iter().filter(|right| **right).count() as f64 / count as f64;
    let standard_error = (mean * (1.0 - mean) / count as f64).sqrt();
    Ok(RPrecision { mean, standard_error, count, candidates })
}

/// For each picture whether its own text won; arguments and errors as [`r_precision`]'s.
///
/// # Errors
/// As [`r_precision`].
pub fn matched(
    images: &Tensor,
    texts: &Tensor,
    classes: &[u32],
    candidates: usize,
    noise: Noise,
) -> Result<Vec<bool>> {
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
    let mut members = BTreeMap::<u32, Vec<usize>>::new();
    for (i, &class) in classes.iter().enumerate() {
        members.entry(class).or_default().push(i);
    }
    let mut right = Vec::with_capacity(count);
    for (i, (image, (own, class))) in images.iter().zip(texts.iter().zip(classes)).enumerate() {
        let others = Others { own: members.get(class).map_or(&[], Vec::as_slice), count };
        if others.len() < candidates - 1 {
            return Err(input(
                format!("{} texts of other classes", candidates - 1),
                others.len().to_string(),
            ));
        }
        let score = dot(image, own);
        let mut draws = noise.draws(Stream::RPrecision, 0, i as u64);
        let beaten = |other: usize| texts.get(other).is_some_and(|text| score > dot(image, text));
        right.push(others.draw(candidates - 1, &mut draws).into_iter().all(beaten));
    }
    Ok(right)
}

/// Mean and standard deviation (over the number of folds) of the parts matched right in `folds` equal folds of a random
/// order, as the field reports R-precision: ten folds of 3,000 pictures. What is left over of a fold is left out.
///
/// Source: the evaluation of `AttnGAN` and `DM-GAN`. `None` where there are fewer pictures than folds.
#[must_use]
pub fn in_folds(right: &[bool], folds: usize, noise: Noise) -> Option<(f64, f64)> {
    let size = right.len().checked_div(folds).filter(|size| *size > 0)?;
    let order = noise.permutation(Stream::RPrecision, 1, right.len());
    let parts: Vec<f64> = order
        .chunks_exact(size)
        .take(folds)
        .map(|fold| {
            let won = |i: &&u32| right.get(**i as usize).copied().unwrap_or_default();
            fold.iter().filter(won).count() as f64 / size as f64
        })
        .collect();
    Some(crate::bootstrap::mean_and_std(&parts))
}

/// The texts of all classes but one, without a list of them.
struct Others<'a> {
    /// Places of the texts of one's own class, rising.
    own: &'a [usize],
    /// Texts of all classes.
    count: usize,
}

impl Others<'_> {
    fn len(&self) -> usize {
        self.count - self.own.len()
    }

    /// The place of the `k`-th text of another class.
    fn place(&self, k: usize) -> usize {
        let (mut low, mut high) = (0, self.own.len());
        while low < high {
            let middle = low.midpoint(high);
            // So many texts of other classes lie before this one of our own.
            if self.own.get(middle).is_some_and(|own| own - middle <= k) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        k + low
    }

    /// `n` different ones: the beginning of a Fisher-Yates shuffle that remembers only what it moved.
    fn draw(&self, n: usize, draws: &mut Draws) -> Vec<usize> {
        let mut moved = BTreeMap::<usize, usize>::new();
        let mut drawn = Vec::with_capacity(n);
        for j in 0..n {
            let pick = j + draws.below((self.len() - j) as u64) as usize;
            let here = moved.get(&j).copied().unwrap_or(j);
            drawn.push(self.place(moved.insert(pick, here).unwrap_or(pick)));
        }
        drawn
    }
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

    /// Drawn without a list of the others, candidates are those that a shuffle of the list would begin with.
    #[test]
    fn candidates_are_those_of_a_shuffled_list() {
        let own = [1, 2, 6, 9];
        let others = Others { own: &own, count: 10 };
        let listed: Vec<usize> = (0..10).filter(|i| !own.contains(i)).collect();
        assert_eq!((0..6).map(|k| others.place(k)).collect::<Vec<_>>(), listed);
        for sample in 0..50 {
            let mut draws = Noise::new(3).draws(Stream::Test, 0, sample);
            let mut expected = listed.clone();
            for j in 0..5 {
                let pick = j + draws.below((6 - j) as u64) as usize;
                expected.swap(j, pick);
            }
            let mut draws = Noise::new(3).draws(Stream::Test, 0, sample);
            assert_eq!(others.draw(5, &mut draws), expected[..5]);
        }
    }

    #[test]
    fn folds_have_the_mean_and_spread_of_the_field() {
        let right: Vec<bool> = (0..3007).map(|i| i % 4 == 0).collect();
        let (mean, std) = in_folds(&right, 10, Noise::new(1)).unwrap();
        assert!((mean - 0.25).abs() < 0.002, "{mean}");
        assert!((0.01..0.05).contains(&std), "{std}"); // sqrt(0.25 * 0.75 / 300) is 0.025
        assert_eq!(in_folds(&right[..9], 10, Noise::new(1)), None);
        assert_eq!(in_folds(&[true; 20], 10, Noise::new(1)), Some((1.0, 0.0)));
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
