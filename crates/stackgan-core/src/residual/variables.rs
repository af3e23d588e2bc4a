//! Models from the variables of the TensorFlow release's checkpoints, the published ones for birds
//! and flowers among them.
//!
//! The release gives its layers no names. prettytensor numbers those of a kind in the order in which
//! they are made, within `g_net` (Stage-I's generator) and `hr_g_net` (Stage-II's): the weights of
//! the fourth convolution are `custom_conv2d_3/custom_conv2d_3/w`. So the order here is that of
//! `stageI/model.py` and `stageII/model.py`. The names were taken from the graph that TensorFlow
//! 0.12.1 and prettytensor 0.7.2 build (`tests/golden/tensorflow_release.py`), whose pictures are
//! compared with those of the model that is made here.
//!
//! Variables of TensorFlow have their channels last. A checkpoint of training also holds the
//! discriminators and Adam's moments; they are not read.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};

use crate::shapes::{self, Shapes, differences, first_names, listed, wrong_sizes};
use crate::text::CharCnnRnnEncoder;
use crate::{Error, Model, NetConfig, Parts, Recipe, Result, Stage, StagePart, TextPart};

/// The scope of Stage-I's generator.
const STAGE1: &str = "g_net";
/// The scope of Stage-II's generator.
const STAGE2: &str = "hr_g_net";
/// Convolutions of Stage-II's generator outside its residual blocks, which have two each.
const OTHERS: usize = 9;
/// The sides of the first maps of Stage-I.
const FIRST: usize = 4;

/// Returns the sizes of the generators whose variables are among these: of Stage-I, and of Stage-II
/// if there is one.
///
/// Call this before reading the values. The width of the discriminators is taken as half that of
/// the generators, as released.
///
/// # Errors
/// [`Error::Model`] with the first five names or shapes that differ from those of such generators.
pub fn sizes(shapes: &Shapes) -> Result<(NetConfig, Option<NetConfig>)> {
    let two = shapes.keys().any(|name| name.starts_with(STAGE2));
    let net = guess(shapes)?;
    let stage = if two { Stage::Two } else { Stage::One };
    let expected = layout(&net, stage).map(|v| (v.variable, v.shape)).collect();
    let differences = differences(&expected, shapes);
    if differences.is_empty() {
        return Ok((NetConfig { residual_blocks: 1, ..net }, two.then_some(net)));
    }
    Err(not_the_release(listed(differences)))
}

/// Returns the names of the variables that [`from_variables`] needs, of a checkpoint with these.
///
/// # Errors
/// As [`sizes`].
pub fn needed(shapes: &Shapes) -> Result<BTreeSet<String>> {
    let (low, high) = sizes(shapes)?;
    let last = if high.is_some() { Stage::Two } else { Stage::One };
    Ok(layout(&high.unwrap_or(low), last).map(|v| v.variable).collect())
}

/// Creates a model from the variables of a checkpoint.
///
/// A checkpoint does not contain the text `encoder` of the training embeddings, if that is at hand,
/// nor the name of the `dataset`. Sampling uses full noise, as released.
///
/// # Errors
/// As [`sizes`].
pub fn from_variables(
    mut variables: BTreeMap<String, Tensor>,
    encoder: Option<CharCnnRnnEncoder>,
    dataset: &str,
    device: &Device,
) -> Result<Model> {
    let (low, high) = sizes(&shapes::of(&variables))?;
    let mut part = |net, layers: Layers| {
        let mut tensors = BTreeMap::new();
        for Layer { name, variable, order, .. } in layers.all {
            let Some(values) = variables.remove(&variable) else { continue };
            tensors.insert(name, order.channels_first(&values)?);
        }
        StagePart::imported(net, tensors, dataset, device)
    };
    let stage1 = part(low, stage1(&low))?;
    let stage2 = high.map(|net| part(net, stage2(&net))).transpose()?;
    let text = encoder.map_or_else(TextPart::unknown, TextPart::Inside);
    Model::new(Parts { text, stage1, stage2 })
}

/// A tensor of a network here, and the variable that holds its numbers.
struct Layer {
    name: String,
    variable: String,
    /// The variable's shape.
    shape: Vec<usize>,
    order: Order,
}

/// How the numbers of a variable lie.
#[derive(Clone, Copy)]
enum Order {
    /// A vector, one number a channel.
    Channels,
    /// `(in, out)`.
    Product,
    /// `(y, x, in, out)`.
    Convolution,
    /// A vector whose numbers are those of a map, `(y, x, channel)`.
    Map,
    /// `(in, (y, x, channel))`.
    ProductOfMap,
}

impl Order {
    /// The same numbers in this crate's order, in which channels come before places.
    fn channels_first(self, values: &Tensor) -> candle_core::Result<Tensor> {
        let units = values.dims().last().copied().unwrap_or(0);
        let map = (FIRST, FIRST, units / (FIRST * FIRST));
        match self {
            Self::Channels => Ok(values.clone()),
            Self::Product => values.t()?.contiguous(),
            Self::Convolution => values.permute((3, 2, 0, 1))?.contiguous(),
            Self::Map => values.reshape(map)?.permute((2, 0, 1))?.flatten_all(),
            Self::ProductOfMap => {
                let inputs = values.dim(0)?;
                let maps = values.reshape((inputs, map.0, map.1, map.2))?;
                maps.permute((3, 1, 2, 0))?.reshape((units, inputs))
            }
        }
    }
}

/// The layers of one scope, in the order in which the release makes them.
struct Layers {
    scope: &'static str,
    products: usize,
    convolutions: usize,
    norms: usize,
    all: Vec<Layer>,
}

impl Layers {
    const fn new(scope: &'static str) -> Self {
        Self { scope, products: 0, convolutions: 0, norms: 0, all: Vec::new() }
    }

    fn put(&mut self, name: String, variable: &str, shape: &[usize], order: Order) {
        let variable = format!("{}/{variable}", self.scope);
        self.all.push(Layer { name, variable, shape: shape.to_vec(), order });
    }

    fn product(&mut self, name: &str, [from, to]: [usize; 2], [matrix, bias]: [Order; 2]) {
        let layer = numbered("custom_fully_connected", &mut self.products);
        let part = |part| format!("{layer}/Linear/{part}");
        self.put(format!("{name}.weight"), &part("Matrix"), &[from, to], matrix);
        self.put(format!("{name}.bias"), &part("bias"), &[to], bias);
    }

    fn convolution(&mut self, name: &str, [side, from, to]: [usize; 3]) {
        let layer = numbered("custom_conv2d", &mut self.convolutions);
        let shape = [side, side, from, to];
        let variable = format!("{layer}/{layer}/w");
        self.put(format!("{name}.weight"), &variable, &shape, Order::Convolution);
    }

    fn norm(&mut self, name: &str, variable: &str, width: usize, order: Order) {
        let parts = [
            ("running_mean", "mean"),
            ("running_var", "variance"),
            ("weight", "gamma"),
            ("bias", "beta"),
        ];
        for (ours, theirs) in parts {
            self.put(format!("{name}.{ours}"), &format!("{variable}/{theirs}"), &[width], order);
        }
    }

    /// A convolution, `name.at`, and the norm behind it, `name.(at + 1)`.
    fn normed(&mut self, name: &str, at: usize, shape: [usize; 3]) {
        self.convolution(&format!("{name}.{at}"), shape);
        let layer = numbered("conv_batch_norm", &mut self.norms);
        let name = format!("{name}.{}", at + 1);
        self.norm(&name, &format!("{layer}/{layer}"), shape[2], Order::Channels);
    }

    fn bottleneck(&mut self, name: &str, wide: usize) {
        let (block, narrow) = (format!("{name}.block"), wide / 4);
        self.normed(&block, 0, [1, wide, narrow]);
        self.normed(&block, 3, [3, narrow, narrow]);
        self.normed(&block, 6, [3, narrow, wide]);
    }

    fn conditioning(&mut self, net: &NetConfig) {
        let orders = [Order::Product, Order::Channels];
        self.product("ca_net.fc", [net.text_dim, 2 * net.cond_dim], orders);
    }
}

/// The name of the next layer of a kind.
fn numbered(kind: &str, made: &mut usize) -> String {
    *made += 1;
    match *made - 1 {
        0 => kind.to_owned(),
        n => format!("{kind}_{n}"),
    }
}

fn stage1(net: &NetConfig) -> Layers {
    let mut g = Layers::new(STAGE1);
    let wide = 8 * net.gf;
    let units = FIRST * FIRST * wide;
    g.conditioning(net);
    let orders = [Order::ProductOfMap, Order::Map];
    g.product("fc.0", [net.cond_dim + net.z_dim, units], orders);
    g.norm("fc.1", "fc_batch_norm/batch_norm", units, Order::Map);
    g.bottleneck("residual1", wide);
    g.normed("upsample1", 1, [3, wide, wide / 2]);
    g.bottleneck("residual2", wide / 2);
    g.normed("upsample2", 1, [3, wide / 2, wide / 4]);
    g.normed("upsample3", 1, [3, wide / 4, wide / 8]);
    g.convolution("img.1", [3, wide / 8, 3]);
    g
}

fn stage2(net: &NetConfig) -> Layers {
    let mut g = Layers::new(STAGE2);
    let (gf, wide) = (net.gf, 4 * net.gf);
    g.conditioning(net);
    g.convolution("encoder.0", [3, 3, gf]);
    g.normed("encoder", 2, [4, gf, 2 * gf]);
    g.normed("encoder", 5, [4, 2 * gf, wide]);
    g.normed("hr_joint", 0, [3, wide + net.cond_dim, wide]);
    for i in 0..net.residual_blocks {
        let block = format!("residual.{i}.block");
        g.normed(&block, 0, [3, wide, wide]);
        g.normed(&block, 3, [3, wide, wide]);
    }
    for up in 1..=4 {
        g.normed(&format!("upsample{up}"), 1, [3, wide >> (up - 1), wide >> up]);
    }
    g.convolution("img.0", [3, wide >> 4, 3]);
    g
}

/// The layers of the generators up to that of `last`.
fn layout(net: &NetConfig, last: Stage) -> impl Iterator<Item = Layer> {
    let high = match last {
        Stage::One => Vec::new(),
        Stage::Two => stage2(net).all,
    };
    stage1(net).all.into_iter().chain(high)
}

/// Derives the sizes from the shapes of the two products of Stage-I and the number of Stage-II's
/// convolutions.
fn guess(shapes: &Shapes) -> Result<NetConfig> {
    let product = |layer: &str| {
        let name = format!("{STAGE1}/{layer}/Linear/Matrix");
        match shapes.get(&name).map(Vec::as_slice) {
            Some(&[from, to]) => Ok((from, to)),
            Some(shape) => Err(not_the_release(format!("`{name}` of shape {shape:?}"))),
            None => Err(not_the_release(format!("no `{name}`, but {}", first_names(shapes)))),
        }
    };
    let (text_dim, twice_cond) = product("custom_fully_connected")?;
    let (inputs, units) = product("custom_fully_connected_1")?;
    let (cond_dim, gf) = (twice_cond / 2, units / (FIRST * FIRST * 8));
    let kind = format!("{STAGE2}/custom_conv2d");
    let convolution = |name: &&String| name.starts_with(&kind) && name.ends_with("/w");
    let convolutions = shapes.keys().filter(convolution).count();
    let blocks = if convolutions == 0 { 1 } else { convolutions.saturating_sub(OTHERS) / 2 };
    let net = NetConfig {
        recipe: Recipe::Residual,
        gf,
        df: (gf / 2).max(1),
        text_dim,
        cond_dim,
        z_dim: inputs.saturating_sub(cond_dim),
        residual_blocks: blocks,
        channel_floor: 0,
    };
    net.check().map_err(|e| not_the_release(wrong_sizes(&e)))?;
    Ok(net)
}

fn not_the_release(found: String) -> Error {
    Error::Model {
        what: "no generator of the TensorFlow release".to_owned(),
        expected: format!("its variables, such as `{STAGE1}/custom_conv2d/custom_conv2d/w`"),
        found,
        remedy: "give a checkpoint of stageI or stageII of StackGAN's TensorFlow release"
            .to_owned(),
    }
}
