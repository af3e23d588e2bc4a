//! The layers of both recipes.
//!
//! Names under a scope are those of the PyTorch release's state dict. The differences between the
//! recipes (initialisation, running variance) are given once, as a [`Style`].

use candle_core::{Result, Tensor, Var};
use stackgan_kernels::{self as kernels, Activation, Filter, Maps, Norm, Statistics};

use crate::params::{Init, Scope};

/// Slope of every LeakyReLU of both releases.
pub const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// Epsilon of every batch norm of both releases.
pub const BATCH_NORM_EPS: f64 = 1e-5;

/// How a running variance is computed from a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningVariance {
    /// The sum of squares divided by N, as in TensorFlow.
    Biased,
    /// The sum of squares divided by N - 1, as in PyTorch.
    Unbiased,
}

/// The differences between the two releases that affect every layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Initial weights of convolutions.
    pub conv: Init,
    /// Initial weights of linear layers.
    pub linear: Init,
    /// How a running variance is computed from a batch.
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
    /// 4x4, stride 4: reduces a 4x4 map to one value.
    Four,
}

impl Window {
    /// Returns side, stride and padding.
    #[must_use]
    pub const fn geometry(self) -> (usize, usize, usize) {
        match self {
            Self::Point => (1, 1, 0),
            Self::Three => (3, 1, 1),
            Self::Halve => (4, 2, 1),
            Self::Four => (4, 4, 0),
        }
    }
}

impl Conv {
    /// Creates a convolution from `input` to `output` channels.
    ///
    /// # Errors
    /// A tensor that the scope does not have.
    pub fn new(
        input: usize,
        output: usize,
        window: Window,
        style: Style,
        scope: Scope,
    ) -> Result<Self> {
        let (k, stride, padding) = window.geometry();
        let weight = scope.weight("weight", (output, input, k, k), style.conv)?;
        Ok(Self { weight, filter: Filter::Plain { stride, padding: padding.into() } })
    }

    /// Maps `(batch, in, h, w)` to `(batch, out, h / stride, w / stride)`.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, x: &Maps) -> Result<Maps> {
        x.conv(&self.weight, self.filter)
    }
}

/// Batch norm over all axes except the channel, with the activation that follows it.
///
/// Differs from the release: TensorFlow 0.12 corrects the first steps of the running statistics
/// (`zero_debias`), of which nothing remains after a few dozen. Here they begin at 0 and 1, as in
/// PyTorch.
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
    /// Creates a batch norm. Gamma is initialised from N(1, 0.02) and beta to 0, as in both
    /// releases.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
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

    /// Normalises `x` `(batch, channels)`; the result has the same shape.
    ///
    /// [`Mode::Train`](crate::generator::Mode::Train) normalises with the statistics of the batch and moves the running statistics
    /// by a tenth (new = 0.9 old + 0.1 batch).
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, x: &Tensor, by: impl Into<Statistics>) -> Result<Tensor> {
        self.norm().apply(x, by.into())
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

/// A convolution, batch norm and activation.
#[derive(Clone, Debug)]
pub struct ConvNorm {
    conv: Conv,
    norm: BatchNorm,
}

impl ConvNorm {
    /// Creates a convolution named `index` under `scope` and its batch norm named `index + 1`.
    ///
    /// `index` is the position of the convolution in the reference's `Sequential`.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
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

    /// Maps `(batch, in, h, w)` to `(batch, out, h / stride, w / stride)`.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, x: &Maps, by: impl Into<Statistics>) -> Result<Maps> {
        let Conv { weight, filter } = &self.conv;
        x.conv_norm(weight, *filter, &self.norm.norm(), by.into())
    }
}

/// The paper's up-sampling block: nearest x2 up-sampling, 3x3 convolution (`1`), batch norm (`2`)
/// and activation.
#[derive(Clone, Debug)]
pub struct UpBlock {
    weight: Tensor, // (out, in, 3, 3)
    norm: BatchNorm,
}

impl UpBlock {
    /// Creates a block from `input` to `output` channels.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
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

    /// Maps `(batch, in, h, w)` to `(batch, out, 2h, 2w)`.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, x: &Maps, by: impl Into<Statistics>) -> Result<Maps> {
        x.conv_norm(&self.weight, Filter::Up, &self.norm.norm(), by.into())
    }
}

/// Two 3x3 convolutions with batch norm and a skip connection, with ReLU after the addition. Names
/// `block.0 … block.4`.
#[derive(Clone, Debug)]
pub struct ResidualBlock {
    first: ConvNorm,
    second: ConvNorm,
}

impl ResidualBlock {
    /// Creates a block that keeps the number of channels.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
    pub fn new(channels: usize, style: Style, scope: Scope) -> Result<Self> {
        let block = scope.pp("block");
        let same = (channels, channels);
        Ok(Self {
            first: ConvNorm::new(same, Window::Three, Activation::Relu, style, (&block, 0))?,
            second: ConvNorm::new(same, Window::Three, Activation::Identity, style, (&block, 3))?,
        })
    }

    /// Maps `(batch, channels, h, w)` to the same shape.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, x: &Maps, by: impl Into<Statistics>) -> Result<Maps> {
        let by = by.into();
        let inner = self.second.forward(&self.first.forward(x, by)?, by)?;
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
    /// Creates a layer with a bias that is initialised to zero.
    ///
    /// # Errors
    /// Tensors that the scope does not have.
    pub fn new(input: usize, output: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self {
            weight: scope.weight("weight", (output, input), style.linear)?,
            bias: Some(scope.weight("bias", output, Init::Constant(0.0))?),
        })
    }

    /// Creates a layer without bias.
    ///
    /// # Errors
    /// A tensor that the scope does not have.
    pub fn no_bias(input: usize, output: usize, style: Style, scope: Scope) -> Result<Self> {
        Ok(Self { weight: scope.weight("weight", (output, input), style.linear)?, bias: None })
    }

    /// Maps `(batch, in)` to `(batch, out)`.
    ///
    /// # Errors
    /// Shapes that do not match.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        kernels::linear(x, &self.weight, self.bias.as_ref())
    }
}

/// Applies `pass` to one or more batches of the same shape, each normalised separately as in
/// [`Mode::Train`](crate::generator::Mode::Train).
///
/// The batches are concatenated for a single pass, which prepares the weights only once and has
/// more parallel work.
///
/// # Errors
/// Shapes that do not match.
pub(crate) fn of_each<const N: usize>(
    batches: [&Tensor; N],
    pass: impl Fn(&Tensor, Statistics) -> Result<Tensor>,
) -> Result<[Tensor; N]> {
    let sizes = batches.map(Tensor::dims);
    if sizes.iter().any(|size| *size != sizes[0]) {
        candle_core::bail!("expected batches of one shape, found {sizes:?}");
    }
    let joined = pass(&Tensor::cat(&batches, 0)?, Statistics::OfBatch { parts: N })?;
    joined.chunk(N, 0)?.try_into().map_err(|parts: Vec<Tensor>| {
        candle_core::Error::Msg(format!("{N} batches of one size gave {} results", parts.len()))
    })
}
