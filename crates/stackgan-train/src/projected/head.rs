//! A discriminator on maps of a pretrained network: to 4x4, then, with the text, one logit.

use candle_core::{Result, Tensor};
use stackgan_core::Scope;
use stackgan_core::layers::{Conv, ConvNorm, LEAKY, Linear, Window};
use stackgan_core::residual::STYLE;
use stackgan_kernels::{Maps, Statistics, activate};

/// Channels of the mixed maps, and of all layers of a head.
pub(crate) const WIDTH: usize = 64;

/// A discriminator on maps of [`WIDTH`] channels and a side of 4, 8, 16, 32 or 64. It ends as both
/// releases' do: the text is tiled over 4x4 maps.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    encode: Vec<ConvNorm>,
    text_net: Linear,
    joint: ConvNorm,
    logit: Conv,
}

impl Head {
    /// Builds a head on maps of `side` pixels.
    pub(crate) fn new(side: usize, text_dim: usize, scope: &Scope) -> Result<Self> {
        let (encode, channels) = (scope.pp("encode"), (WIDTH, WIDTH));
        let layer = |window, i| ConvNorm::new(channels, window, LEAKY, STYLE, (&encode, 3 * i));
        let encode = match side {
            4 => vec![layer(Window::Three, 0)?],
            // Halved to 4x4.
            _ => (2..side.ilog2() as usize)
                .map(|i| layer(Window::Halve, i - 2))
                .collect::<Result<_>>()?,
        };
        let outlogits = scope.pp("outlogits");
        let joint = (2 * WIDTH, WIDTH);
        Ok(Self {
            encode,
            text_net: Linear::new(text_dim, WIDTH, STYLE, scope.pp("text_net.0"))?,
            joint: ConvNorm::new(joint, Window::Point, LEAKY, STYLE, (&outlogits, 0))?,
            logit: Conv::new(WIDTH, 1, Window::Four, STYLE, outlogits.pp(3))?,
        })
    }

    /// Maps `(parts n, WIDTH, side, side)` to `(parts n, WIDTH, 4, 4)`. Each of the `parts` is
    /// normalised with its own statistics.
    pub(crate) fn encode(&self, maps: &Maps, parts: usize) -> Result<Tensor> {
        let mut x = maps.clone();
        for layer in &self.encode {
            x = layer.forward(&x, Statistics::OfBatch { parts })?;
        }
        match x.sizes()? {
            // Of other pictures there would be several logits each.
            (_, _, 4, 4) => x.leave(),
            found => candle_core::bail!(
                "a head ends with maps of 4x4, found {found:?}: pictures of the other stage"
            ),
        }
    }

    /// Returns logits `(parts n,)` of encoded pictures with embeddings `(parts n, text_dim)`.
    pub(crate) fn logits(&self, encoded: &Tensor, text: &Tensor, parts: usize) -> Result<Tensor> {
        let text = activate(&self.text_net.forward(text)?, LEAKY)?;
        let joined = Maps::enter(encoded)?.append_tiled(&text)?;
        let x = self.joint.forward(&joined, Statistics::OfBatch { parts })?;
        self.logit.forward(&x)?.leave()?.flatten_all()
    }
}
