//! A discriminator on maps of a pretrained network: to the side of the deepest maps, then, with the
//! text, logits of overlapping parts of the picture.
//!
//! It has no batch norm. A norm by the statistics of the painted pictures takes from their maps what
//! all of them have, so that G could cover every picture with the same strokes, and no head would see
//! them (`docs/experiments.md`).

use candle_core::{Result, Tensor};
use stackgan_core::Scope;
use stackgan_core::layers::{Conv, LEAKY, Linear, Style, Window};
use stackgan_core::params::Init;
use stackgan_core::residual::STYLE;
use stackgan_kernels::{Maps, activate};

/// Channels of the mixed maps, and of all layers of a head.
pub(crate) const WIDTH: usize = 64;

/// A discriminator on maps of [`WIDTH`] channels. The text is tiled over its last maps, as in both
/// releases.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    encode: Vec<Conv>,
    text_net: Linear,
    joint: Conv,
    logit: Conv,
    end: usize,
}

impl Head {
    /// Builds a head on maps of `side` pixels, which it halves until they have `end`. Both are powers
    /// of two, of which `end` is not the larger one.
    pub(crate) fn new((side, end): (usize, usize), text_dim: usize, scope: &Scope) -> Result<Self> {
        let halvings = (side / end.max(1)).max(1).ilog2() as usize;
        let of = |i| scope.pp("encode").pp(i);
        let encode = match halvings {
            0 => vec![Conv::new(WIDTH, WIDTH, Window::Three, kept(9 * WIDTH), of(0))?],
            _ => (0..halvings)
                .map(|i| Conv::new(WIDTH, WIDTH, Window::Halve, kept(16 * WIDTH), of(i)))
                .collect::<Result<_>>()?,
        };
        let text_net = scope.pp("text_net.0");
        let (joint, logit) = (scope.pp("outlogits.0"), scope.pp("outlogits.2"));
        Ok(Self {
            encode,
            text_net: Linear::new(text_dim, WIDTH, kept(text_dim), text_net)?,
            joint: Conv::new(2 * WIDTH, WIDTH, Window::Point, kept(2 * WIDTH), joint)?,
            logit: Conv::new(WIDTH, 1, Window::Halve, STYLE, logit)?,
            end,
        })
    }

    /// Maps `(n, WIDTH, side, side)` to `(n, WIDTH, end, end)`.
    pub(crate) fn encode(&self, maps: &Maps) -> Result<Tensor> {
        let mut x = maps.clone();
        for layer in &self.encode {
            x = layer.forward(&x)?.activate(LEAKY)?;
        }
        match x.sizes()? {
            (_, _, h, w) if (h, w) == (self.end, self.end) => x.leave(),
            found => candle_core::bail!(
                "a head ends with maps of {0}x{0}, found {found:?}: pictures of the other stage",
                self.end
            ),
        }
    }

    /// Returns logits `(n (end / 2)²,)` of encoded pictures with embeddings `(n, text_dim)`: those of a
    /// picture lie together.
    pub(crate) fn logits(&self, encoded: &Tensor, text: &Tensor) -> Result<Tensor> {
        let text = activate(&self.text_net.forward(text)?, LEAKY)?;
        let joined = Maps::enter(encoded)?.append_tiled(&text)?;
        let x = self.joint.forward(&joined)?.activate(LEAKY)?;
        self.logit.forward(&x)?.leave()?.flatten_all()
    }
}

/// Initial weights of layers of `inputs` numbers, after which a `LeakyReLU` leaves numbers as large as
/// it finds them (He et al. 2015, equation 15).
fn kept(inputs: usize) -> Style {
    let slope: f64 = 0.2;
    let std = (2.0 / ((1.0 + slope * slope) * inputs as f64)).sqrt();
    let init = Init::Normal { mean: 0.0, std };
    Style { conv: init, linear: init, ..STYLE }
}
