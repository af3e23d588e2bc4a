//! The choice of captions to paint: a function of the data, the seed and the index of the picture
//! alone.

use anyhow::Result;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::prepared::Prepared;

use crate::exit::Problem;

/// The step of [`Stream::Evaluation`] that chooses a picture's caption.
const CAPTION: u64 = 0;
/// The step of [`Stream::Evaluation`] that orders the pictures, with one sample for each pass over
/// them.
const PASS: u64 = 4;

/// A caption to paint.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub text: String,
    pub class: u32,
    /// Its row among all captions of the data.
    pub row: usize,
}

/// An endless sequence of captions to paint.
pub(crate) struct Questions {
    /// The pictures whose captions are used.
    captioned: Vec<usize>,
    seed: u64,
}

impl Questions {
    /// Creates a sequence of the captions of these pictures.
    ///
    /// # Errors
    /// Code 2 when they have no captions.
    pub(crate) fn of(data: &Prepared, mut indices: Vec<usize>, seed: u64) -> Result<Self> {
        indices.retain(|&i| !data.captions(i).is_empty());
        if indices.is_empty() {
            let place = format!("file: {}", data.path().display());
            let parts = ("pictures with captions", "none");
            let remedy = "name another part of the data, or other data";
            return Err(Problem::usage("there is nothing to paint", place, parts, remedy).into());
        }
        Ok(Self { captioned: indices, seed })
    }

    /// Captions `from..to`. Every picture is used once before any is used again, in a new order
    /// each time; which of its captions is used is drawn.
    ///
    /// Differs from the release: `eval_one_dataset` of the TensorFlow release paints only the first
    /// caption of each test picture, up to 16 times. Drawing reaches all captions (ten a picture in
    /// CUB), so the pictures show more of what the text encoder reads.
    pub(crate) fn asked(&self, data: &Prepared, from: usize, to: usize) -> Vec<Asked> {
        let n = self.captioned.len();
        let noise = Noise::new(self.seed);
        let mut order = (usize::MAX, Vec::new());
        let mut asked = Vec::with_capacity(to - from);
        for i in from..to {
            if order.0 != i / n {
                let mut indices = self.captioned.clone();
                noise.draws(Stream::Evaluation, PASS, (i / n) as u64).shuffle(&mut indices);
                order = (i / n, indices);
            }
            let Some(&picture) = order.1.get(i % n) else { continue };
            let rows = data.caption_range(picture);
            let mut draws = noise.draws(Stream::Evaluation, CAPTION, i as u64);
            let k = draws.below(rows.len() as u64) as usize;
            let text = data.captions(picture).get(k).cloned().unwrap_or_default();
            let class = data.class(picture).unwrap_or_default();
            asked.push(Asked { text, class, row: rows.start + k });
        }
        asked
    }
}
