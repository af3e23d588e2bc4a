//! The layers that both recipes are made of. Names under a scope are those of the PyTorch release's state dict.
//!
//! No layer has options that only one caller uses: what differs between the recipes (initialisation, running
//! variance) is given once, as a [`Style`].

use candle_core::{Result, Tensor, Var};
use stackgan_kernels::{self as kernels, Activation, Filter, Maps, Norm, Statistics};

use crate::gan::Mode;
use crate::params::{Init, Scope};

/// Slope of every LeakyReLU of both releases.
pub const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// Epsilon of every batch norm of both releases.
pub const BATCH_NORM_EPS: f64 = 1e-5;

/// What a running variance takes from a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningVariance {
    /// The sum of squares over N, as TensorFlow.
    Biased,
    /// The sum of squares over N - 1, as PyTorch.
    Unbiased,
}

/// What the two releases do differently in every layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Initial weights of convolutions.
    pub conv: Init,
    /// Initial weights of linear layers.
    pub linear: Init,
    /// What a running variance takes from a batch.
    pub running_variance: RunningVariance,
}

/// A convolution without bias.
#[derive(Clone, Debug)]
pub struct Conv {
    weight: Tensor, // (out, in, k, k)
    filter: Filter,
}

/// Kernel size, stride and padding of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// 1x1, stride 1: keeps the size.
    Point,
    /// 3x3, stride 1, padding 1: keeps the size.
    Three,
    /// 4x4, stride 2, padding 1: halves the size.
    Halve,
    /// 4x4, stride 4: turns a 4x4 map into one value.
    Four,
}

impl Window {
    pub(crate) const fn numbers(self) -> (usize, usize, usize) {
        match self {
            Self::Point => (1, 1, 0),
            Self::Three => (3, 1, 1),
            Self::Halve => (4, 2, 1),
            Self::Four => (4, 4, 0),
        }
    }
}

impl Conv {
    /// A convolution of `input` to `output` channels.
    ///
    /// # Errors
    /// When the scope has no such tensor.
    pub fn new(
        input: usize,
        output: usize,
        window: Window,
        style: Style,
        scope: Scope,
    ) -> Result<Self> {
        let (k, stride, padding) = window.numbers();
        let weight = scope.weight("weight", (output, input, k, k), style.conv)?;
        Ok(Self { weight, filter: Filter::Plain { stride, padding: padding.into() } })
    }

    /// `(batch, in, h, w)` to `(batch, out, h / stride, w / stride)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Maps) -> Result<Maps> {
        x.conv(&self.weight, self.filter)
    }
}

/// Batch norm over everything but the channel, with the activation that follows it.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    gamma: Tensor,
    beta: Tensor,
    running_mean: Var,
    running_var: Var,
    running_variance: RunningVariance,
    activation: Activation,
}

impl BatchNorm {
    /// Gamma starts at N(1, 0.02), beta at 0 (both releases).
    ///
    /// # Errors
    /// When the scope has no such tensors.
    pub fn new(
        channels: usize,
        activation: Activation,
        style: Style,
        scope: Scope,
    ) -> Result<Self> {
        Ok(Self {
            gamma: scope.weight("weight", channels, Init::Normal { mean: 1.0, std: 0.02 })?,
            beta: scope.weight("bias", channels, Init::Constant(0.0))?,
            running_mean: scope.statistic("running_mean", channels, 0.0)?,
            running_var: scope.statistic("running_var", channels, 1.0)?,
            running_variance: style.running_variance,
            activation,
        })
    }

    /// `(batch, channels)`, same shape out. [`Mode::Train`] normalises with the batch and moves the running statistics by
    /// a tenth (new = 0.9 old + 0.1 batch).
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm().apply(x, statistics(mode))
    }

    fn norm(&self) -> Norm<'_> {
        Norm {
            gamma: &self.gamma,
            beta: &self.beta,
            running_mean: &self.running_mean,
            running_var: &self.running_var,
            momentum: 0.1,
            unbiased: self.running_variance == RunningVariance::Unbiased,
            eps: BATCH_NORM_EPS,
            activation: self.activation,
        }
    }
}

const fn statistics(mode: Mode) -> Statistics {
    match mode {
        Mode::Train => Statistics::OfBatch { parts: 1 },
        Mode::Joined { parts } => Statistics::OfBatch { parts },
        Mode::Eval => Statistics::Running,
    }
}

/// A convolution, batch norm and activation.
#[derive(Clone, Debug)]
pub struct ConvNorm {
    conv: Conv,
    norm: BatchNorm,
}

/// Where the two parts of a [`ConvNorm`] lie: the index of the convolution in the reference's `Sequential`; batch norm
/// is the next.
impl ConvNorm {
    /// A convolution named `index` under `scope`, and its batch norm named `index + 1`.
    ///
    /// # Errors
    /// When the scope has no such tensors.
    pub fn new(
        channels: (usize, usize),
        window: Window,
        activation: Activation,
        style: Style,
        (scope, index): (&Scope, usize),
    ) -> Result<Self> {
        let (input, output) = channels;
        Ok(Self {
            conv: Conv::new(input, output, window, style, scope.pp(index))?,
            norm: BatchNorm::new(output, activation, style, scope.pp(index + 1))?,
        })
    }

    /// `(batch, in, h, w)` to `(batch, out, h / stride, w / stride)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Maps, mode: Mode) -> Result<Maps> {
        let Conv { weight, filter } = &self.conv;
        x.conv_norm(weight, *filter, &self.norm.norm(), statistics(mode))
    }
}

/// Nearest x2 up-sampling, 3x3 convolution (`1`), batch norm (`2`) and activation: the paper's up-sampling block.
#[derive(Clone, Debug)]
pub struct UpBlock {
    weight: Tensor, // (out, in, 3, 3)
    norm: BatchNorm,
}

impl UpBlock {
    /// A block of `input` to `output` channels.
    ///
    /// # Errors
    /// When the scope has no such tensors.
    pub fn new(
        input: usize,
        output: usize,
        activation: Activation,
        style: Style,
        scope: Scope,
    ) -> Result<Self> {
        Ok(Self {
            weight: scope.pp(1).weight("weight", (output, input, 3, 3), style.conv)?,
            norm: BatchNorm::new(output, activation, style, scope.pp(2))?,
        })
    }

    /// `(batch, in, h, w)` to `(batch, out, 2h, 2w)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Maps, mode: Mode) -> Result<Maps> {
        x.conv_norm(&self.weight, Filter::Up, &self.norm.norm(), statistics(mode))
    }
}

/// Two 3x3 convolutions with batch norm around a short cut; ReLU after the addition. Names `block.0 … block.4`.
#[derive(Clone, Debug)]
pub struct ResidualBlock {
    first: ConvNorm,
    second: ConvNorm,
}

impl ResidualBlock {
    /// A block that keeps `channels`.
    ///
    /// # Errors
    /// When the scope has no such tensors.
    pub fn new(channels: usize, style: Style, scope: Scope) -> Result<Self> {
        let block = scope.pp("block");
        let same = (channels, channels);
        Ok(Self {
            first: ConvNorm::new(same, Window::Three, Activation::Relu, style, (&block, 0))?,
            second: ConvNorm::new(same, Window::Three, Activation::Identity, style, (&block, 3))?,
        })
    }

    /// `(batch, channels, h, w)`, same shape out.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Maps, mode: Mode) -> Result<Maps> {
        let inner = self.second.forward(&self.first.forward(x, mode)?, mode)?;
        x.add_activate(&inner, Activation::Relu)
    }
}

/// A linear layer with optional bias.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor, // (out, in)
    bias: Option<Tensor>,
}

impl Linear {
    /// With a bias that starts at zero.
    ///
    /// # Errors
    /// When the scope has no such tensors.
    pub fn new(input: usize, output: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self {
            weight: scope.weight("weight", (output, input), style.linear)?,
            bias: Some(scope.weight("bias", output, Init::Constant(0.0))?),
        })
    }

    /// Without bias.
    ///
    /// # Errors
    /// When the scope has no such tensor.
    pub fn no_bias(input: usize, output: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self { weight: scope.weight("weight", (output, input), style.linear)?, bias: None })
    }

    /// `(batch, in)` to `(batch, out)`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        kernels::linear(x, &self.weight, self.bias.as_ref())
    }
}

/// Refuses pictures that are not `(batch, 3, side, side)`: a discriminator of others would give several logits for each.
pub(crate) fn check_pictures(images: &Tensor, side: usize) -> Result<()> {
    match *images.dims() {
        [_, 3, height, width] if (height, width) == (side, side) => Ok(()),
        _ => candle_core::bail!(
            "this discriminator looks at pictures (batch, 3, {side}, {side}), found {:?}",
            images.dims()
        ),
    }
}

/// What `pass` makes of several batches of one size, each by itself as in [`Mode::Train`]: they are joined for one pass, which
/// prepares weights once and has more to do at once.
///
/// # Errors
/// When shapes do not fit.
pub(crate) fn of_each<const N: usize>(
    batches: [&Tensor; N],
    pass: impl Fn(&Tensor, Mode) -> Result<Tensor>,
) -> Result<[Tensor; N]> {
    let joined = pass(&Tensor::cat(&batches, 0)?, Mode::Joined { parts: N })?;
    joined.chunk(N, 0)?.try_into().map_err(|parts: Vec<Tensor>| {
        candle_core::Error::Msg(format!("{N} batches of one size gave {} results", parts.len()))
    })
}
