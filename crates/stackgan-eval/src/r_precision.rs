//! R-precision: whether a picture's own caption is its best match among several.
//!
//! Each picture is compared, by dot product, with its own text and with `candidates - 1` texts of
//! pictures of other classes. All of these texts are different: a text equal to the picture's own
//! is not a rival, and none is a rival twice. Chance is therefore one over `candidates`, however
//! often captions are repeated. The measure is the fraction of pictures whose own text wins.
//!
//! It depends on the encoder that compares: vectors from the encoder that conditions the generator
//! make it optimistic.
//!
//! Source: Xu et al., `AttnGAN` (CVPR 2018), section 4, with candidates from other classes.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Tensor};
use stackgan_core::noise::{Draws, Noise, Stream};

use crate::bootstrap::{self, Interval};
use crate::report::Measured;
use crate::{Error, Result};

/// Number of folds of a reported R-precision.
const FOLDS: usize = 10;

/// A measured R-precision.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct RPrecision {
    /// Fraction of the pictures that were matched correctly, 0 to 1.
    pub mean: f64,
    /// Its 95 % interval ([`bootstrap::of_share`]); `None` for fewer than five pictures.
    pub interval: Option<Interval>,
    /// Number of pictures.
    pub count: usize,
    /// Number of texts among which each picture's own must win.
    pub candidates: usize,
}

/// The class and identity of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The class of its picture.
    pub class: u32,
    /// A number that is equal for equal texts.
    pub text: u32,
}

/// Numbers `texts`, of which there is one for each of `classes`. Case and surrounding white space
/// are ignored.
#[must_use]
pub fn owned<S: AsRef<str>>(classes: &[u32], texts: impl IntoIterator<Item = S>) -> Vec<Owned> {
    let mut numbers = BTreeMap::<String, u32>::new();
    let number = |text: S| {
        let next = numbers.len() as u32;
        *numbers.entry(text.as_ref().trim().to_lowercase()).or_insert(next)
    };
    let texts = texts.into_iter().map(number);
    classes.iter().zip(texts).map(|(&class, text)| Owned { class, text }).collect()
}

/// Returns the R-precision of `images (n, dim)` whose own texts are the rows of `texts (n, dim)`.
///
/// `owners` has n elements. Vectors are compared by dot products; pass unit vectors to compare
/// directions. Equal scores do not win.
///
/// # Errors
/// [`Error::Input`] if the sizes differ, `candidates` is below 2, or a picture has fewer than
/// `candidates - 1` different texts of other classes.
pub fn r_precision(
    images: &Tensor,
    texts: &Tensor,
    owners: &[Owned],
    candidates: usize,
    noise: Noise,
) -> Result<RPrecision> {
    let right = matched(images, texts, owners, candidates, noise)?;
    let (count, won) = (right.len(), right.iter().filter(|right| **right).count());
    let (mean, interval) = (won as f64 / count as f64, bootstrap::of_share(won, count));
    Ok(RPrecision { mean, interval, count, candidates })
}

/// Returns for each picture whether its own text won. The arguments are those of [`r_precision`].
///
/// # Errors
/// As [`r_precision`].
pub fn matched(
    images: &Tensor,
    texts: &Tensor,
    owners: &[Owned],
    candidates: usize,
    noise: Noise,
) -> Result<Vec<bool>> {
    let count = owners.len();
    let fits =
        matches!(images.dims(), &[n, _] if n == count && n > 0) && images.dims() == texts.dims();
    if !fits || candidates < 2 {
        return Err(input(
            "as many pictures, texts and owners, and two candidates or more".to_owned(),
            format!("{:?}, {:?}, {count}, and {candidates}", images.dims(), texts.dims()),
        ));
    }
    let images = images.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let texts = texts.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let rivals = rivals(owners, candidates, noise)?;
    let won = |((image, own), rivals): ((&Vec<f32>, &Vec<f32>), Vec<usize>)| {
        let score = dot(image, own);
        let beaten = |other: usize| texts.get(other).is_some_and(|text| score > dot(image, text));
        rivals.into_iter().all(beaten)
    };
    Ok(images.iter().zip(&texts).zip(rivals).map(won).collect())
}

/// Draws, for each of `owners`, the indices of the `candidates - 1` texts that its own text must
/// beat.
///
/// Called before any pictures exist, it tells whether there are enough texts.
///
/// # Errors
/// [`Error::Input`] if there are fewer different texts of other classes; it contains their number.
pub fn rivals(owners: &[Owned], candidates: usize, noise: Noise) -> Result<Vec<Vec<usize>>> {
    let mut members = BTreeMap::<u32, Vec<usize>>::new();
    for (i, owner) in owners.iter().enumerate() {
        members.entry(owner.class).or_default().push(i);
    }
    let wanted = candidates.saturating_sub(1);
    let of = |(i, owner): (usize, &Owned)| {
        let own = members.get(&owner.class).map_or(&[][..], Vec::as_slice);
        let mut said = BTreeSet::from([owner.text]);
        let found: Vec<usize> = Others { own, count: owners.len() }
            .shuffled(noise.draws(Stream::RPrecision, 0, i as u64))
            .filter(|&other| owners.get(other).is_some_and(|other| said.insert(other.text)))
            .take(wanted)
            .collect();
        if found.len() < wanted {
            let expected = format!("{wanted} different texts of other classes");
            return Err(input(expected, found.len().to_string()));
        }
        Ok(found)
    };
    owners.iter().enumerate().map(of).collect()
}

/// Returns the mean and standard deviation (divided by the number of folds) of the fractions
/// matched correctly in `folds` equal folds of a random order.
///
/// R-precision is usually reported in this way, with ten folds of 3,000 pictures. The remainder
/// that does not fill a fold is left out. Returns `None` if there are fewer pictures than folds.
///
/// Source: the evaluation of `AttnGAN` and `DM-GAN`.
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
    Some(bootstrap::mean_and_std(&parts))
}

/// A line of a report: R-precision with its interval, and its deviation over folds if there are
/// enough pictures. `right`: for each picture, whether its own text won among `candidates`
/// ([`matched`]); `by` says by which encoder.
#[must_use]
pub fn measured(right: &[bool], candidates: usize, by: &str, noise: Noise) -> Measured {
    let count = right.iter().filter(|right| **right).count();
    let folds = in_folds(right, FOLDS, noise);
    let folded = if folds.is_some() { format!("{FOLDS} folds, ") } else { String::new() };
    let chance = 1.0 / candidates as f64;
    Measured {
        key: "rp",
        name: "R-precision".to_owned(),
        value: count as f64 / right.len().max(1) as f64,
        interval: bootstrap::of_share(count, right.len()),
        std: folds.map(|(_, std)| std),
        count: right.len(),
        real: 0,
        how: format!(
            "{folded}1 of {candidates} captions, chance {chance:.0$}",
            if chance < 0.1 { 4 } else { 2 }
        ),
        by: by.to_owned(),
    }
}

/// The texts of all classes but one, without a list of them.
struct Others<'a> {
    /// Indices of the texts of the picture's own class, ascending.
    own: &'a [usize],
    /// Number of texts of all classes.
    count: usize,
}

impl Others<'_> {
    fn len(&self) -> usize {
        self.count - self.own.len()
    }

    /// Returns the index of the `k`-th text of another class.
    fn place(&self, k: usize) -> usize {
        let (mut low, mut high) = (0, self.own.len());
        while low < high {
            let middle = low.midpoint(high);
            // `own - middle` is the number of texts of other classes before this one of the own
            // class.
            if self.own.get(middle).is_some_and(|own| own - middle <= k) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        k + low
    }

    /// Returns all of them in random order: a lazy Fisher-Yates shuffle that stores only the moved
    /// elements.
    fn shuffled(&self, mut draws: Draws) -> impl Iterator<Item = usize> {
        let mut moved = BTreeMap::<usize, usize>::new();
        (0..self.len()).map(move |j| {
            let pick = j + draws.below((self.len() - j) as u64) as usize;
            let here = moved.get(&j).copied().unwrap_or(j);
            self.place(moved.insert(pick, here).unwrap_or(pick))
        })
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
        remedy: "measure on more pictures of more classes, whose captions differ",
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

    /// Four pictures per class, each with a different text.
    fn owners(n: u32) -> Vec<Owned> {
        (0..n).map(|i| Owned { class: i / 4, text: i }).collect()
    }

    #[test]
    fn a_perfect_judge_has_one_and_a_blind_one_has_chance() -> Result<()> {
        let (images, owners) = (random(0, 2000)?, owners(2000));
        let perfect = r_precision(&images, &(&images * 4.0)?, &owners, 2, Noise::new(1))?;
        assert!(perfect.mean > 0.97, "{perfect:?}");
        let blind = r_precision(&images, &random(1, 2000)?, &owners, 10, Noise::new(1))?;
        assert!((blind.mean - 0.1).abs() < 0.027, "{blind:?}"); // four standard errors
        let Interval { low, high } = blind.interval.unwrap();
        assert!((high - low - 0.0263).abs() < 0.004, "{blind:?}");
        // Vectors without information win nothing.
        let same = Tensor::ones((2000, 16), DType::F32, &Device::Cpu)?;
        let none = r_precision(&same, &same, &owners, 10, Noise::new(1))?;
        assert_eq!((none.mean, none.interval), (0.0, bootstrap::of_share(0, 2000)));
        Ok(())
    }

    /// Texts of the picture's own class are not candidates. Here all of them match better than the
    /// own text.
    #[test]
    fn candidates_are_of_other_classes() -> Result<()> {
        let device = Device::Cpu;
        let images = Tensor::new(&[[1f32, 0.0], [1.0, 0.0], [0.0, 1.0]], &device)?;
        let texts = Tensor::new(&[[1f32, 0.0], [9.0, 0.0], [0.0, 1.0]], &device)?;
        let owners = owned(&[5, 5, 6], ["a", "b", "c"]);
        let measured = r_precision(&images, &texts, &owners, 2, Noise::new(0))?;
        assert_eq!((measured.mean, measured.count), (1.0, 3));
        Ok(())
    }

    /// A set of few different texts, each repeated many times: chance is still one over the
    /// candidates.
    #[test]
    fn texts_that_say_the_same_are_one_candidate() -> Result<()> {
        let texts = random(1, 12)?;
        let said: Vec<u32> = (0..3000).map(|i| i % 12).collect();
        let of = |text: &u32| Owned { class: 1000 + text, text: *text };
        let owners: Vec<Owned> = said.iter().map(of).collect();
        let rows = Tensor::from_slice(&said, said.len(), &Device::Cpu)?;
        let (images, texts) = (random(0, said.len())?, texts.index_select(&rows, 0)?);
        let blind = r_precision(&images, &texts, &owners, 10, Noise::new(1))?;
        assert!((blind.mean - 0.1).abs() < 0.022, "{blind:?}"); // four standard errors
        let error = r_precision(&images, &texts, &owners, 13, Noise::new(1)).unwrap_err();
        assert!(error.to_string().contains("12 different texts of other classes"), "{error}");
        // A text equal to the picture's own is not a rival, even in another class.
        let others: Vec<Owned> =
            owners.iter().enumerate().map(|(i, o)| Owned { class: i as u32, ..*o }).collect();
        assert_eq!(r_precision(&images, &texts, &others, 10, Noise::new(1))?.count, 3000);
        assert!(r_precision(&images, &texts, &others, 13, Noise::new(1)).is_err());
        Ok(())
    }

    #[test]
    fn texts_are_the_same_whatever_their_capitals() {
        let texts: Vec<u32> =
            owned(&[1, 1, 2, 3], ["a red bird", "blue", " A Red Bird\n", "blue "])
                .into_iter()
                .map(|owned| owned.text)
                .collect();
        assert_eq!(texts, [0, 1, 0, 1]);
    }

    /// Although no list of the others is built, the candidates are the first ones of a shuffled
    /// list.
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
            let draws = Noise::new(3).draws(Stream::Test, 0, sample);
            assert_eq!(others.shuffled(draws).take(5).collect::<Vec<_>>(), expected[..5]);
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
        let alone = (0..8).map(|text| Owned { class: 1, text }).collect();
        for (owners, candidates) in [(alone, 2), (owners(8), 6), (owners(8), 1), (owners(4), 2)] {
            let error =
                r_precision(&images, &images, &owners, candidates, Noise::new(0)).unwrap_err();
            assert!(error.to_string().contains("do: "), "{error}");
        }
        Ok(())
    }
}
