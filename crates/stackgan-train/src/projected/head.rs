//! A discriminator on maps of a pretrained network, which are halved and joined with the text.
//!
//! In Stage-I it ends as D does: batch norm, 4x4 maps, one logit. In Stage-II it ends at 8x8, with logits
//! of 4x4 overlapping parts, and has no batch norm. With it, G covered every picture with the same
//! strokes; the likely reason is that a norm by the statistics of the painted pictures takes from their
//! maps the means that all of them share. Stage-I learnt shapes sooner with the norm
//! (`docs/experiments.md`: one seed each, by eye).

use candle_core::{Result, Tensor};
use stackgan_core::layers::{Conv, ConvNorm, LEAKY, Linear, Style, Window};
use stackgan_core::params::Init;
use stackgan_core::residual::STYLE;
use stackgan_core::{Scope, Stage};
use stackgan_kernels::{Maps, Statistics, activate};

/// Channels of the mixed maps, and of all layers of a head.
pub(crate) const WIDTH: usize = 64;

/// A discriminator on maps of [`WIDTH`] channels and a side of 4, 8, 16 or 32 (Stage-I), or of 8, 16,
/// 32 or 64 (Stage-II). The text is tiled over its last maps, as in both releases.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    encode: Vec<Layer>,
    text_net: Linear,
    joint: Layer,
    logit: Conv,
    end: usize,
}

/// A convolution with a `LeakyReLU`.
#[derive(Clone, Debug)]
enum Layer {
    /// With batch norm between them.
    Norm(ConvNorm),
    Bare(Conv),
}

impl Layer {
    fn forward(&self, x: &Maps, parts: usize) -> Result<Maps> {
        match self {
            Self::Norm(layer) => layer.forward(x, Statistics::OfBatch { parts }),
            Self::Bare(conv) => conv.forward(x)?.activate(LEAKY),
        }
    }
}

/// The side of the maps at which a stage's heads end.
pub(crate) const fn end(stage: Stage) -> usize {
    match stage {
        Stage::One => 4,
        Stage::Two => 8,
    }
}

impl Head {
    /// Builds a stage's head on maps of `side` pixels.
    pub(crate) fn new(
        (stage, side): (Stage, usize),
        text_dim: usize,
        scope: &Scope,
    ) -> Result<Self> {
        let layer = |input, window: Window, (scope, i): (&Scope, usize)| match stage {
            Stage::One => {
                let channels = (input, WIDTH);
                Ok(Layer::Norm(ConvNorm::new(channels, window, LEAKY, STYLE, (scope, i))?))
            }
            Stage::Two => {
                let (k, ..) = window.geometry();
                let style = kept(input * k * k);
                Ok(Layer::Bare(Conv::new(input, WIDTH, window, style, scope.pp(i))?))
            }
        };
        let (encode, outlogits) = (scope.pp("encode"), scope.pp("outlogits"));
        let encode = match (side / end(stage)).max(1).ilog2() as usize {
            0 => vec![layer(WIDTH, Window::Three, (&encode, 0))?],
            halvings => (0..halvings)
                .map(|i| layer(WIDTH, Window::Halve, (&encode, 3 * i)))
                .collect::<Result<_>>()?,
        };
        let (texts, last) = match stage {
            Stage::One => (STYLE, Window::Four),
            Stage::Two => (kept(text_dim), Window::Halve),
        };
        Ok(Self {
            encode,
            text_net: Linear::new(text_dim, WIDTH, texts, scope.pp("text_net.0"))?,
            joint: layer(2 * WIDTH, Window::Point, (&outlogits, 0))?,
            logit: Conv::new(WIDTH, 1, last, STYLE, outlogits.pp(3))?,
            end: end(stage),
        })
    }

    /// Maps `(parts n, WIDTH, side, side)` to `(parts n, WIDTH, end, end)`. Batch norm takes each of
    /// the `parts` by its own statistics.
    pub(crate) fn encode(&self, maps: &Maps, parts: usize) -> Result<Tensor> {
        let mut x = maps.clone();
        for layer in &self.encode {
            x = layer.forward(&x, parts)?;
        }
        match x.sizes()? {
            (_, _, h, w) if (h, w) == (self.end, self.end) => x.leave(),
            found => candle_core::bail!(
                "a head ends with maps of {0}x{0}, found {found:?}: pictures of the other stage",
                self.end
            ),
        }
    }

    /// Returns logits `(parts n,)`, in Stage-II `(parts n 16,)`, of encoded pictures with embeddings
    /// `(parts n, text_dim)`. Those of a picture lie together.
    pub(crate) fn logits(&self, encoded: &Tensor, text: &Tensor, parts: usize) -> Result<Tensor> {
        let text = activate(&self.text_net.forward(text)?, LEAKY)?;
        let x = self.joint.forward(&Maps::enter(encoded)?.append_tiled(&text)?, parts)?;
        self.logit.forward(&x)?.leave()?.flatten_all()
    }
}

/// Initial weights of layers of `inputs` numbers, after which a `LeakyReLU` leaves numbers as large as
/// it finds them (He et al. 2015, equation 15).
fn kept(inputs: usize) -> Style {
    const SLOPE: f64 = 0.2; // of LEAKY
    let std = (2.0 / ((1.0 + SLOPE * SLOPE) * inputs as f64)).sqrt();
    let init = Init::Normal { mean: 0.0, std };
    Style { conv: init, linear: init, ..STYLE }
}
