//! From captions to pictures: encode, draw noise, run Stage-I and Stage-II, convert to bytes.

use candle_core::Tensor;

use crate::generator::Mode;
use crate::generator_noise::{Draw, GeneratorNoise, Scales};
use crate::image::Picture;
use crate::model::{Model, check_scale};
use crate::{Error, Result, Stage};

/// Options of sampling. The default is the model's last stage and the model's own noise scales.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// The stage that generates the pictures; `None` for the model's last.
    pub stage: Option<Stage>,
    /// Scale of `z`, 0 to 100; `None` for the model's default.
    pub z_scale: Option<f64>,
    /// Scale of epsilon, 0 to 100; `None` for the model's default. 0 uses the mean of the text's
    /// Gaussian.
    pub eps_scale: Option<f64>,
    /// Number of pictures generated at once, which limits the memory.
    pub chunk: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { stage: None, z_scale: None, eps_scale: None, chunk: 16 }
    }
}

/// [`Sampling`] with the model's defaults filled in: what determines a picture besides model, text
/// and seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resolved {
    /// The stage that generates the pictures.
    pub stage: Stage,
    /// Scale of `z`, 0 to 100.
    pub z_scale: f64,
    /// Scale of epsilon, 0 to 100.
    pub eps_scale: f64,
}

/// A picture that is wanted. The same model, caption and seed give the same pixels, whatever else is
/// generated in the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The caption.
    pub caption: &'a str,
    /// The seed of all its noise.
    pub seed: u64,
}

/// A picture and the Stage-I picture that it is based on.
#[derive(Clone, Debug)]
pub struct Painting {
    /// The picture of the requested stage.
    pub picture: Picture,
    /// The 64x64 picture from which Stage-II computed its picture.
    pub low: Option<Picture>,
}

impl Model {
    /// Fills in the model's defaults.
    ///
    /// # Errors
    /// A stage that the model does not have, or a scale out of its range.
    pub fn resolve(&self, sampling: Sampling) -> Result<Resolved> {
        let stage = sampling.stage.unwrap_or_else(|| self.last_stage());
        let info = self.stage_info(stage)?;
        let z_scale = sampling.z_scale.unwrap_or(info.sample_z);
        let eps_scale = sampling.eps_scale.unwrap_or(info.sample_eps);
        check_scale("z_scale", z_scale)?;
        check_scale("eps_scale", eps_scale)?;
        Ok(Resolved { stage, z_scale, eps_scale })
    }

    /// Generates one picture for each caption, all with the noise of one seed: [`Model::paint`]
    /// without the Stage-I pictures.
    ///
    /// # Errors
    /// [`crate::Error::Model`] if the model has no text encoder or not the requested stage.
    pub fn generate(
        &self,
        captions: &[&str],
        seed: u64,
        sampling: Sampling,
    ) -> Result<Vec<Picture>> {
        let requests: Vec<_> = captions.iter().map(|caption| Request { caption, seed }).collect();
        Ok(self.paint(&requests, sampling)?.into_iter().map(|p| p.picture).collect())
    }

    /// Generates one painting for each request.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn paint(&self, requests: &[Request<'_>], sampling: Sampling) -> Result<Vec<Painting>> {
        let mut paintings = Vec::with_capacity(requests.len());
        for chunk in requests.chunks(sampling.chunk.max(1)) {
            let captions: Vec<&str> = chunk.iter().map(|request| request.caption).collect();
            let seeds: Vec<u64> = chunk.iter().map(|request| request.seed).collect();
            paintings.extend(self.paint_embeddings(&self.encode(&captions)?, &seeds, sampling)?);
        }
        Ok(paintings)
    }

    /// Generates one painting for each row of embeddings `(n, text_dim)` and each of `n` seeds.
    ///
    /// The embeddings are the input of the networks: from [`Model::encode`], or from another encoder
    /// by way of [`Model::standardised`].
    ///
    /// # Errors
    /// A width other than the model's, a number of seeds other than that of rows, a scale out of
    /// its range, or a stage that the model does not have.
    pub fn paint_embeddings(
        &self,
        text: &Tensor,
        seeds: &[u64],
        sampling: Sampling,
    ) -> Result<Vec<Painting>> {
        let (rows, width) = text.dims2()?;
        let dim = self.info().stage1.net.text_dim;
        if (rows, width) != (seeds.len(), dim) {
            return Err(Error::Shape {
                what: "embeddings do not fit",
                expected: format!("({}, {dim}): a row for each seed", seeds.len()),
                found: format!("({rows}, {width})"),
            });
        }
        let mut paintings = Vec::with_capacity(rows);
        let chunk = sampling.chunk.max(1);
        for (i, seeds) in seeds.chunks(chunk).enumerate() {
            let noise = self.noise(seeds, sampling)?;
            let text = text.narrow(0, i * chunk, seeds.len())?;
            paintings.extend(self.paint_noise(&text, &noise, sampling.stage)?);
        }
        Ok(paintings)
    }

    /// Returns the noise of the given seeds: a row of `z` and of both epsilons for each, scaled for
    /// sampling.
    ///
    /// Rows of two results can be combined, for example to keep a sentence's `c` and change only
    /// `z`, or to interpolate between two of them.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn noise(&self, seeds: &[u64], sampling: Sampling) -> Result<GeneratorNoise> {
        let Resolved { stage, z_scale, eps_scale } = self.resolve(sampling)?;
        let info = self.stage_info(stage)?;
        let of = Draw { net: &info.net, epsilon: info.epsilon(), device: self.device() };
        let noise = GeneratorNoise::of_seeds(seeds, &of)?;
        Ok(noise.scaled(Scales { z: z_scale, eps: eps_scale })?)
    }

    /// Generates one painting for each row of embeddings `(n, text_dim)` and of noise, all at once.
    ///
    /// `stage` is the last stage if `None`.
    ///
    /// # Errors
    /// Shapes that do not match, or a stage that the model does not have.
    pub fn paint_noise(
        &self,
        text: &Tensor,
        noise: &GeneratorNoise,
        stage: Option<Stage>,
    ) -> Result<Vec<Painting>> {
        let generator = self.generator(stage.unwrap_or_else(|| self.last_stage()))?;
        let painted = generator.paint(text, noise, Mode::Eval)?;
        let pictures = Picture::from_batch(&painted.image)?;
        let lows = match &painted.low {
            Some(low) => Picture::from_batch(low)?.into_iter().map(Some).collect(),
            None => vec![None; pictures.len()],
        };
        Ok(pictures.into_iter().zip(lows).map(|(picture, low)| Painting { picture, low }).collect())
    }
}
