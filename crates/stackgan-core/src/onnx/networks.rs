//! The generators as nodes: a second implementation of their forward functions, in the same order.
//!
//! Batch norm always uses running statistics, as in [`Mode::Eval`](crate::Mode).

use candle_core::Result;
use stackgan_kernels::Activation;

use super::graph::{Graph, Setting};
use super::layers::Layers;
use crate::layers::{LEAKY, Window};
use crate::model::no_such_stage;
use crate::{Model, NetConfig, Recipe, Stage};

/// The names of a generator's inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a> {
    /// `(n, text_dim)`, after standardisation.
    pub text: &'a str,
    /// `(n, z_dim)`.
    pub z: &'a str,
    /// `(n, cond_dim)`.
    pub eps1: &'a str,
    /// `(n, cond_dim)`; Stage-I does not read it.
    pub eps2: &'a str,
}

/// The names of a generator's outputs.
#[derive(Clone, Debug)]
pub(super) struct Painted {
    /// `(n, 3, 64, 64)` or `(n, 3, 256, 256)` in [-1, 1].
    pub image: String,
    /// The Stage-I image from which Stage-II computes its image.
    pub low: Option<String>,
}

/// Adds the generator of `stage`, as [`Model::generator`] builds it.
///
/// # Errors
/// A stage that the model does not have.
pub(super) fn generator(
    graph: &mut Graph,
    model: &Model,
    stage: Stage,
    inputs: Inputs<'_>,
) -> crate::Result<Painted> {
    let (info, recipe) = (model.info(), model.info().stage1.net.recipe);
    let Inputs { text, z, eps1, eps2 } = inputs;
    let mut low = Layers::new(graph, model.stage1(), "stage1.");
    let image = match recipe {
        Recipe::Residual => residual_stage1(&mut low, &info.stage1.net, (text, z, eps1))?,
        Recipe::Plain => plain_stage1(&mut low, &info.stage1.net, (text, z, eps1))?,
    };
    match (stage, model.stage2(), &info.stage2) {
        (Stage::One, ..) => Ok(Painted { image, low: None }),
        (Stage::Two, Some(params), Some(info)) => {
            let mut high = Layers::new(graph, params, "stage2.");
            let c = match recipe {
                Recipe::Residual => log_sigma_augmentation(&mut high, text, eps2)?,
                Recipe::Plain => log_variance_augmentation(&mut high, text, eps2)?,
            };
            let low = image;
            let image = refiner(&mut high, &info.net, (&low, &c))?;
            Ok(Painted { image, low: Some(low) })
        }
        (Stage::Two, ..) => Err(no_such_stage()),
    }
}

/// Adds [`crate::cond_aug::Augmentation::log_variance`].
fn log_variance_augmentation(s: &mut Layers<'_>, text: &str, epsilon: &str) -> Result<String> {
    let x = s.linear(text, "ca_net.fc")?;
    let x = s.activate(x, Activation::Relu);
    let [mu, logvar] = s.graph.nodes("Split", &[&x], &[("axis", Setting::Int(1))]);
    let half = s.graph.numbers(&[0.5]);
    let log_sigma = s.graph.node("Mul", &[&logvar, &half], &[]);
    Ok(draw(s, &mu, &log_sigma, epsilon))
}

/// Adds [`crate::cond_aug::Augmentation::log_sigma`].
fn log_sigma_augmentation(s: &mut Layers<'_>, text: &str, epsilon: &str) -> Result<String> {
    let x = s.linear(text, "ca_net.fc")?;
    let x = s.activate(x, LEAKY);
    let [mu, log_sigma] = s.graph.nodes("Split", &[&x], &[("axis", Setting::Int(1))]);
    Ok(draw(s, &mu, &log_sigma, epsilon))
}

/// Adds `mu + sigma * epsilon`.
fn draw(s: &mut Layers<'_>, mu: &str, log_sigma: &str, epsilon: &str) -> String {
    let sigma = s.graph.node("Exp", &[log_sigma], &[]);
    let noise = s.graph.node("Mul", &[&sigma, epsilon], &[]);
    s.graph.node("Add", &[mu, &noise], &[])
}

/// Adds [`crate::residual::Stage1Generator`].
fn residual_stage1(
    s: &mut Layers<'_>,
    cfg: &NetConfig,
    (text, z, eps1): (&str, &str, &str),
) -> Result<String> {
    let c = log_sigma_augmentation(s, text, eps1)?;
    let x = s.graph.node("Concat", &[&c, z], &[("axis", Setting::Int(1))]); // text first
    let x = s.linear(&x, "fc.0")?;
    let x = s.norm(&x, "fc.1", Activation::Identity)?;
    let x = small_maps(s, cfg, &x);
    let x = s.bottleneck(&x, "residual1")?;
    let x = s.up(&x, "upsample1", Activation::Identity)?; // 8x8
    let x = s.bottleneck(&x, "residual2")?;
    let x = s.up(&x, "upsample2", Activation::Relu)?; // 16x16
    let x = s.up(&x, "upsample3", Activation::Relu)?; // 32x32
    let x = s.twice(&x);
    let x = s.conv(&x, "img.1", Window::Three)?; // 64x64
    Ok(s.graph.node("Tanh", &[&x], &[]))
}

/// Adds [`crate::plain::Stage1Generator`].
fn plain_stage1(
    s: &mut Layers<'_>,
    cfg: &NetConfig,
    (text, z, eps1): (&str, &str, &str),
) -> Result<String> {
    let c = log_variance_augmentation(s, text, eps1)?;
    let x = s.graph.node("Concat", &[z, &c], &[("axis", Setting::Int(1))]); // noise first
    let x = s.linear(&x, "fc.0")?;
    let x = s.norm(&x, "fc.1", Activation::Relu)?;
    let mut x = small_maps(s, cfg, &x);
    for name in ["upsample1", "upsample2", "upsample3", "upsample4"] {
        x = s.up(&x, name, Activation::Relu)?; // 8x8, 16x16, 32x32, 64x64
    }
    let x = s.conv(&x, "img.0", Window::Three)?;
    Ok(s.graph.node("Tanh", &[&x], &[]))
}

/// Reshapes `(n, ngf * 16)` to `(n, ngf, 4, 4)`.
fn small_maps(s: &mut Layers<'_>, cfg: &NetConfig, x: &str) -> String {
    let shape = s.graph.ints(&[0, 8 * cfg.gf as i64, 4, 4]); // 0 keeps n
    s.graph.node("Reshape", &[x, &shape], &[])
}

/// Adds the refining network of [`crate::stage2::Stage2Generator`].
fn refiner(s: &mut Layers<'_>, cfg: &NetConfig, (low, c): (&str, &str)) -> Result<String> {
    let relu = Activation::Relu;
    let x = s.conv(low, "encoder.0", Window::Three)?;
    let x = s.activate(x, relu); // 64x64
    let x = s.conv_norm(&x, ("encoder", 2), Window::Halve, relu)?; // 32x32
    let x = s.conv_norm(&x, ("encoder", 5), Window::Halve, relu)?; // 16x16
    let x = append_tiled(s, cfg, &x, c);
    let mut x = s.conv_norm(&x, ("hr_joint", 0), Window::Three, relu)?;
    for i in 0..cfg.residual_blocks {
        x = s.residual_block(&x, &format!("residual.{i}"))?;
    }
    for name in ["upsample1", "upsample2", "upsample3", "upsample4"] {
        x = s.up(&x, name, relu)?; // 32x32, 64x64, 128x128, 256x256
    }
    let x = s.conv(&x, "img.0", Window::Three)?;
    Ok(s.graph.node("Tanh", &[&x], &[]))
}

/// Appends `c` to the channels of `x` at each of the 16x16 pixels.
fn append_tiled(s: &mut Layers<'_>, cfg: &NetConfig, x: &str, c: &str) -> String {
    let (point, tiled) =
        (s.graph.ints(&[0, cfg.cond_dim as i64, 1, 1]), s.graph.ints(&[1, 1, 16, 16]));
    let c = s.graph.node("Reshape", &[c, &point], &[]);
    let c = s.graph.node("Expand", &[&c, &tiled], &[]);
    s.graph.node("Concat", &[x, &c], &[("axis", Setting::Int(1))])
}
