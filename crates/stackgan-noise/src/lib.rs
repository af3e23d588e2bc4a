//! Counter-based random numbers.
//!
//! Every random number of the workspace is a pure function of four integers:
//! `(seed, stream, step, sample)`. There is no generator state to save and no call order to
//! preserve, so neither the number of threads nor the depth of a prefetch queue can change a
//! result. The four integers form the 256-bit key of a ChaCha8 generator (Bernstein 2008), and its
//! output words are the draws. `rand_chacha` guarantees that this output is stable.
//!
//! Normal numbers come from the Box-Muller transform, evaluated with `libm` so that they are equal
//! on every platform.
//!
//! ```
//! use stackgan_noise::{Noise, Stream};
//! let noise = Noise::new(7);
//! let z = noise.normal(Stream::Z, 0, 3, 100); // step 0, sample 3, 100 numbers
//! assert_eq!(z, Noise::new(7).normal(Stream::Z, 0, 3, 100));
//! assert_ne!(z, noise.normal(Stream::Z, 0, 4, 100));
//! ```
#![forbid(unsafe_code)]

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// The purpose of a draw. Two streams never share numbers.
///
/// The discriminants are part of the reproducibility promise: never renumber them, only append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Stream {
    /// The generator's noise vector `z` in the discriminator's step, and in sampling.
    Z = 1,
    /// Conditioning augmentation of Stage-I in the discriminator's step, and in sampling.
    CondAug1 = 2,
    /// Conditioning augmentation of Stage-II in the discriminator's step, and in sampling.
    CondAug2 = 3,
    /// `z` in the generator's step, for which the residual recipe draws new noise.
    GeneratorZ = 4,
    /// Conditioning augmentation of Stage-I in the generator's step.
    GeneratorCondAug1 = 5,
    /// Conditioning augmentation of Stage-II in the generator's step.
    GeneratorCondAug2 = 6,
    /// Initial weights; `sample` is a hash of the tensor's name ([`name_key`]).
    Init = 7,
    /// The order of samples within an epoch; `step` is the epoch.
    Order = 8,
    /// Position of the random crop.
    Crop = 9,
    /// Horizontal flip.
    Flip = 10,
    /// The choice of captions whose embeddings are averaged.
    Caption = 11,
    /// The choice of the mismatched image.
    WrongPair = 12,
    /// Crop and flip of the mismatched image.
    WrongCrop = 13,
    /// The drawing of the toy birds.
    Toy = 14,
    /// The wording of the toy birds' captions.
    ToyCaption = 15,
    /// Class-disjoint splits of a data set.
    Split = 16,
    /// Batches of the text encoder's training.
    TextBatch = 17,
    /// Candidate captions of R-precision.
    RPrecision = 18,
    /// Instance noise and other regularisers.
    Regulariser = 19,
    /// Random numbers used in tests.
    Test = 20,
    /// The transformations of DiffAugment.
    DiffAugment = 21,
    /// `z` for the discriminator's step when Stage-I is tuned during Stage-II's training.
    TuneZ = 22,
    /// Conditioning augmentation for the discriminator's step of that tuning.
    TuneCondAug = 23,
    /// `z` for the generator's step of that tuning.
    TuneGeneratorZ = 24,
    /// Conditioning augmentation for the generator's step of that tuning.
    TuneGeneratorCondAug = 25,
    /// Resampling for bootstrap intervals.
    Bootstrap = 31,
    /// The choice and the order of the captions and images in an evaluation.
    Evaluation = 32,
    /// Seeds of the sources that [`Noise::branch`] returns.
    Branch = 33,
}

/// The source of all randomness for one seed. It has no state, so it can be copied freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    seed: u64,
}

impl Noise {
    /// Returns the source for `seed`. Every `u64` is equally suitable as a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Returns the seed given to [`Noise::new`].
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns an independent source for draws that this workspace does not define itself.
    ///
    /// It is a function of the seed and the name. It shares no stream with `self`, nor with the
    /// branches of other names.
    ///
    /// ```
    /// use stackgan_noise::{Noise, Stream};
    /// let mixup = Noise::new(7).branch("mixup");
    /// let lambda = mixup.draws(Stream::Regulariser, 0, 3).uniform(); // step 0, sample 3
    /// assert_ne!(lambda, Noise::new(7).draws(Stream::Regulariser, 0, 3).uniform());
    /// ```
    #[must_use]
    pub fn branch(&self, name: &str) -> Self {
        Self::new(self.draws(Stream::Branch, name_key(name), 0).word())
    }

    /// Returns the endless sequence of draws of one `(stream, step, sample)`.
    #[must_use]
    pub fn draws(&self, stream: Stream, step: u64, sample: u64) -> Draws {
        let mut key = [0u8; 32];
        for (slot, word) in key.chunks_exact_mut(8).zip([self.seed, stream as u64, step, sample]) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        Draws { rng: ChaCha8Rng::from_seed(key), spare: None }
    }

    /// Draws `n` numbers from N(0, 1).
    ///
    /// # Panics
    /// As any vector, if memory cannot hold so many.
    #[must_use]
    pub fn normal(&self, stream: Stream, step: u64, sample: u64, n: usize) -> Vec<f32> {
        let mut draws = self.draws(stream, step, sample);
        (0..n).map(|_| draws.normal()).collect()
    }

    /// Draws `n` numbers from N(0, 1) truncated to [-2, 2] by rejection, as TensorFlow's truncated
    /// normal does.
    ///
    /// # Panics
    /// As [`Self::normal`].
    #[must_use]
    pub fn truncated_normal(&self, stream: Stream, step: u64, sample: u64, n: usize) -> Vec<f32> {
        let mut draws = self.draws(stream, step, sample);
        (0..n).map(|_| draws.truncated_normal()).collect()
    }

    /// Returns a uniformly random permutation of `0..n` (Fisher-Yates).
    #[must_use]
    pub fn permutation(&self, stream: Stream, step: u64, n: usize) -> Vec<u32> {
        let mut draws = self.draws(stream, step, 0);
        let mut order: Vec<u32> = (0..n as u32).collect();
        draws.shuffle(&mut order);
        order
    }
}

/// The endless sequence of draws of one `(seed, stream, step, sample)`.
#[derive(Clone, Debug)]
pub struct Draws {
    rng: ChaCha8Rng,
    spare: Option<f32>,
}

impl Draws {
    /// Draws a uniform 64-bit word.
    pub fn word(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Draws a number uniformly from [0, 1), with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.word() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Draws a number uniformly from [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Draws an integer uniformly from `0..n`, without bias (Lemire's method). Returns 0 if `n` is
    /// 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.word()) * u128::from(n);
            if (wide as u64) >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Returns true with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Draws one element of a slice uniformly, or returns `None` if the slice is empty.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// Shuffles a slice into a uniformly random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }

    /// Draws one number from N(0, 1).
    pub fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let u = 1.0 - self.uniform(); // in (0, 1], so the logarithm is finite
        let angle = core::f64::consts::TAU * self.uniform();
        let radius = libm::sqrt(-2.0 * libm::log(u));
        self.spare = Some((radius * libm::sin(angle)) as f32);
        (radius * libm::cos(angle)) as f32
    }

    /// Draws one number from N(0, 1) truncated to [-2, 2] by rejection.
    pub fn truncated_normal(&mut self) -> f32 {
        loop {
            let x = self.normal();
            if x.abs() <= 2.0 {
                return x;
            }
        }
    }
}

/// Returns the 64-bit FNV-1a hash of a name, which gives every tensor its own `sample` in
/// [`Stream::Init`].
#[must_use]
pub fn name_key(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_a_pure_function_of_the_key() {
        let noise = Noise::new(1);
        let reference = noise.normal(Stream::Z, 2, 3, 64);
        assert_eq!(reference, noise.normal(Stream::Z, 2, 3, 64));
        for other in [
            Noise::new(2).normal(Stream::Z, 2, 3, 64),
            noise.normal(Stream::CondAug1, 2, 3, 64),
            noise.normal(Stream::Z, 3, 3, 64),
            noise.normal(Stream::Z, 2, 4, 64),
        ] {
            assert_ne!(reference, other);
        }
        assert_eq!(reference[..10], noise.normal(Stream::Z, 2, 3, 10)[..]);
    }

    #[test]
    fn branches_are_sources_of_their_own() {
        let noise = Noise::new(3);
        let branch = noise.branch("mixup");
        assert_eq!(branch, Noise::new(3).branch("mixup"));
        let others =
            [noise, noise.branch("cutmix"), Noise::new(4).branch("mixup"), branch.branch("mixup")];
        assert!(others.iter().all(|other| *other != branch));
        assert_eq!(branch.seed(), BRANCH, "a branch of a name is pinned as every draw is");
    }
    const BRANCH: u64 = 15_942_560_838_523_654_322;

    /// Pins the exact bits. A change here changes every seeded result and must be noted in
    /// CHANGELOG.md.
    #[test]
    fn first_draws_are_pinned() {
        let mut draws = Noise::new(0).draws(Stream::Test, 0, 0);
        let words: Vec<u64> = (0..2).map(|_| draws.word()).collect();
        let normals = Noise::new(0).normal(Stream::Test, 0, 0, 2);
        assert_eq!(
            (words, normals),
            (vec![WORDS.0, WORDS.1], vec![f32::from_bits(NORMALS.0), f32::from_bits(NORMALS.1)])
        );
    }
    const WORDS: (u64, u64) = (3375780814538990303, 13462712293357140292);
    const NORMALS: (u32, u32) = (0xbda4b2c3, 0xbf2174d6);

    #[test]
    fn normals_have_the_right_moments() {
        let x = Noise::new(5).normal(Stream::Test, 0, 0, 200_000);
        let n = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let var = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n - mean * mean;
        let kurtosis = x.iter().map(|&v| f64::from(v).powi(4)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((var - 1.0).abs() < 0.02, "{var}");
        assert!((kurtosis - 3.0).abs() < 0.15, "{kurtosis}");
    }

    #[test]
    fn truncated_normals_stay_within_two() {
        let x = Noise::new(5).truncated_normal(Stream::Test, 0, 0, 50_000);
        assert!(x.iter().all(|v| v.abs() <= 2.0));
        // The variance of a normal distribution truncated at two standard deviations is 0.7737.
        let var = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / x.len() as f64;
        assert!((var - 0.7737).abs() < 0.02, "{var}");
    }

    #[test]
    fn permutations_are_permutations_and_below_is_uniform() {
        let mut order = Noise::new(9).permutation(Stream::Order, 1, 1000);
        assert_ne!(order, Noise::new(9).permutation(Stream::Order, 2, 1000));
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        let mut counts = [0u32; 7];
        let mut draws = Noise::new(1).draws(Stream::Test, 0, 0);
        for _ in 0..70_000 {
            counts[draws.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|&c| (9_600..10_400).contains(&c)), "{counts:?}");
        assert_eq!(draws.below(0), 0);
    }
}
