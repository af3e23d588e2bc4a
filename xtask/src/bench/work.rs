//! Number of multiply-adds of the networks by the direct algorithm, computed from their shapes
//! alone (docs/recipes.md; `stackgan-core`).
//!
//! Convolutions and linear layers are counted; norms, activations, losses and optimisers are not.
//! An up-sampling block counts its 3x3 convolution at the size after up-sampling. A program that
//! needs fewer multiplications may therefore exceed 100 %.

/// Sizes of the networks, as in `NetConfig` of the core crate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    pub(crate) recipe: Recipe,
    pub(crate) gf: u64,
    pub(crate) df: u64,
    pub(crate) text: u64,
    pub(crate) cond: u64,
    pub(crate) z: u64,
    pub(crate) residual_blocks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    Plain,
    Residual,
}

/// The input of a layer, which decides whether it has a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Features,
    Picture,
    Text,
}

/// The multiply-adds of a layer for one picture.
#[derive(Clone, Copy, Debug)]
struct Layer {
    input: Input,
    macs: u64,
}

const fn linear(input: Input, from: u64, to: u64) -> Layer {
    Layer { input, macs: from * to }
}

/// A convolution with a `k` x `k` window whose output is a map of `size` x `size`.
const fn conv((from, to): (u64, u64), k: u64, size: u64) -> Layer {
    Layer { input: Input::Features, macs: from * to * k * k * size * size }
}

const fn of_picture(layer: Layer) -> Layer {
    Layer { input: Input::Picture, ..layer }
}

fn bottleneck(c: u64, size: u64) -> [Layer; 3] {
    [conv((c, c / 4), 1, size), conv((c / 4, c / 4), 3, size), conv((c / 4, c), 3, size)]
}

fn stage1_generator(net: &Net) -> Vec<Layer> {
    let n = 8 * net.gf;
    let mut layers = vec![
        linear(Input::Text, net.text, 2 * net.cond),
        linear(Input::Features, net.cond + net.z, 16 * n),
    ];
    match net.recipe {
        Recipe::Plain => {
            layers.extend([1, 2, 4, 8].map(|d| conv((n / d, n / d / 2), 3, 8 * d)));
            layers.push(conv((n / 16, 3), 3, 64));
        }
        Recipe::Residual => {
            layers.extend(bottleneck(n, 4));
            layers.push(conv((n, n / 2), 3, 8));
            layers.extend(bottleneck(n / 2, 8));
            layers.extend([conv((n / 2, n / 4), 3, 16), conv((n / 4, n / 8), 3, 32)]);
            layers.push(conv((n / 8, 3), 3, 64));
        }
    }
    layers
}

/// The layers of Stage-II without those of Stage-I.
fn stage2_generator(net: &Net) -> Vec<Layer> {
    let g = net.gf;
    let mut layers = vec![
        linear(Input::Text, net.text, 2 * net.cond),
        of_picture(conv((3, g), 3, 64)),
        conv((g, 2 * g), 4, 32),
        conv((2 * g, 4 * g), 4, 16),
        conv((4 * g + net.cond, 4 * g), 3, 16),
    ];
    layers.extend((0..2 * net.residual_blocks).map(|_| conv((4 * g, 4 * g), 3, 16)));
    layers.extend([1, 2, 4, 8].map(|d| conv((4 * g / d, 2 * g / d), 3, 32 * d)));
    layers.push(conv((g / 4, 3), 3, 256));
    layers
}

/// D's features of a picture; in the residual recipe all of D except its text layer and head.
fn encoder(net: &Net, stage: u8) -> Vec<Layer> {
    let n = net.df;
    let first = if stage == 1 { 32 } else { 128 };
    let halvings = if stage == 1 { 3 } else { 5 };
    let mut layers = vec![of_picture(conv((3, n), 4, first))];
    layers.extend((0..halvings).map(|i| conv((n << i, n << (i + 1)), 4, first >> (i + 1))));
    if stage == 2 {
        let k = if net.recipe == Recipe::Plain { 3 } else { 1 };
        layers.extend([conv((32 * n, 16 * n), k, 4), conv((16 * n, 8 * n), k, 4)]);
    }
    if net.recipe == Recipe::Residual {
        layers.extend(bottleneck(8 * n, 4));
    }
    layers
}

fn logit(net: &Net) -> Layer {
    conv((8 * net.df, 1), 4, 1)
}

/// The layers that join text and features and give a logit.
fn head(net: &Net) -> Vec<Layer> {
    let joint = (8 * net.df + net.cond, 8 * net.df);
    match net.recipe {
        Recipe::Plain => vec![conv(joint, 3, 4), logit(net)],
        Recipe::Residual => {
            vec![linear(Input::Text, net.text, net.cond), conv(joint, 1, 4), logit(net)]
        }
    }
}

fn forward(layers: &[Layer]) -> u64 {
    layers.iter().map(|layer| layer.macs).sum()
}

/// Forward pass, gradients of weights, and gradients of inputs that are features.
fn trained(layers: &[Layer]) -> u64 {
    2 * forward(layers) + inputs(layers, &[Input::Features])
}

/// Forward pass, and gradients of inputs down to the picture: D in G's step.
fn passed_through(layers: &[Layer]) -> u64 {
    forward(layers) + inputs(layers, &[Input::Features, Input::Picture])
}

fn inputs(layers: &[Layer], with_gradient: &[Input]) -> u64 {
    let counted = layers.iter().filter(|layer| with_gradient.contains(&layer.input));
    counted.map(|layer| layer.macs).sum()
}

/// Multiply-adds of `count` pictures of 256x256.
pub(crate) fn painting(net: &Net, count: u64) -> u64 {
    count * (forward(&stage1_generator(net)) + forward(&stage2_generator(net)))
}

/// Multiply-adds of one training step of both players. Source: `train/step/{plain,residual}.rs`.
pub(crate) fn step(net: &Net, stage: u8, batch: u64) -> u64 {
    let (low, generator) = match stage {
        1 => (0, stage1_generator(net)),
        _ => (forward(&stage1_generator(net)), stage2_generator(net)),
    };
    let (encoder, head) = (encoder(net, stage), head(net));
    match net.recipe {
        Recipe::Plain => {
            // Both pictures are encoded once. Real, wrong (one pair fewer) and fake are judged with
            // text, and in Stage-II also without.
            let alone = if stage == 2 { vec![logit(net)] } else { Vec::new() };
            let d = 2 * batch * (trained(&encoder) + trained(&alone))
                + (3 * batch - 1) * trained(&head);
            let through =
                [encoder, head, alone].iter().map(|part| passed_through(part)).sum::<u64>();
            d + batch * (low + trained(&generator) + through)
        }
        Recipe::Residual => {
            // A fake for D and three passes of D; then a fresh fake for G.
            let d = 3 * batch * (trained(&encoder) + trained(&head));
            let through = passed_through(&encoder) + passed_through(&head);
            d + batch * (2 * low + forward(&generator) + trained(&generator) + through)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::PAPER;
    use super::*;

    const RESIDUAL: Net = Net { recipe: Recipe::Residual, ..PAPER };

    fn close(macs: u64, billions: f64) {
        let found = macs as f64 * 1e-9;
        assert!((found - billions).abs() < 0.006, "{found} {billions}");
    }

    /// Source: computed by hand from the layer tables of both releases, in billions per picture.
    #[test]
    fn the_papers_sizes() {
        // 1024 * 256 + 228 * 16384 + four up-blocks with 1024 * 512 * 9 * 64 each + 64 * 3 * 9 * 64
        // * 64.
        assert_eq!(forward(&stage1_generator(&PAPER)), 1_219_035_136);
        close(forward(&stage1_generator(&RESIDUAL)), 1.03);
        close(forward(&stage2_generator(&PAPER)), 11.56);
        close(forward(&encoder(&PAPER, 1)) + forward(&head(&PAPER)), 0.15);
        close(forward(&encoder(&PAPER, 2)) + forward(&head(&PAPER)), 3.16);
        assert_eq!(painting(&PAPER, 16), 16 * painting(&PAPER, 1));
    }

    /// Both recipes at widths that can be computed by hand: gf 4, df 2, text 8, cond 4, z 2.
    #[test]
    fn layers_by_hand() {
        let net = Net { gf: 4, df: 2, text: 8, cond: 4, z: 2, residual_blocks: 1, ..PAPER };
        let macs = |layers: &[Layer]| layers.iter().map(|l| l.macs).collect::<Vec<_>>();
        let up = 32 * 16 * 9 * 64; // 294,912, the same in all four
        assert_eq!(macs(&stage1_generator(&net)), [64, 6 * 512, up, up, up, up, 2 * 3 * 9 * 4096]);
        let own = [
            64,
            3 * 4 * 9 * 4096,
            4 * 8 * 16 * 1024,
            8 * 16 * 16 * 256,
            20 * 16 * 9 * 256,
            16 * 16 * 9 * 256,
            16 * 16 * 9 * 256,
            16 * 8 * 9 * 1024,
            8 * 4 * 9 * 4096,
            4 * 2 * 9 * 16384,
            2 * 9 * 65536,
            3 * 9 * 65536,
        ];
        assert_eq!(macs(&stage2_generator(&net)), own);
        let d1 = [3 * 2 * 16 * 1024, 2 * 4 * 16 * 256, 4 * 8 * 16 * 64, 8 * 16 * 16 * 16];
        assert_eq!(macs(&encoder(&net, 1)), d1);
        assert_eq!(macs(&head(&net)), [20 * 16 * 9 * 16, 256]);

        let residual = Net { recipe: Recipe::Residual, ..net };
        let narrow = [16 * 4 * 16, 4 * 4 * 9 * 16, 4 * 16 * 9 * 16];
        assert_eq!(macs(&encoder(&residual, 1))[4..], narrow);
        assert_eq!(macs(&encoder(&residual, 2))[6..8], [64 * 32 * 16, 32 * 16 * 16]);
        assert_eq!(macs(&head(&residual)), [32, 20 * 16 * 16, 256]);
    }

    /// One step of Stage-I with batch 2, pass by pass.
    #[test]
    fn passes_of_a_step_by_hand() {
        let (g, d, h) = (stage1_generator(&PAPER), encoder(&PAPER, 1), head(&PAPER));
        let (fg, fd, fh) = (forward(&g), forward(&d), forward(&h));
        let (text, first) = (1024 * 256, 3 * 64 * 16 * 32 * 32);
        // G: forward pass, weights, and inputs except the text. D: 4 pictures without gradients of
        // the image; heads 2 + 1 + 2. Then the pass through D.
        let expected = 2 * (3 * fg - text) + 4 * (3 * fd - first) + 5 * 3 * fh + 2 * 2 * (fd + fh);
        assert_eq!(step(&PAPER, 1, 2), expected);

        let (g, d, h) = (stage1_generator(&RESIDUAL), encoder(&RESIDUAL, 1), head(&RESIDUAL));
        let (fg, fd, fh) = (forward(&g), forward(&d), forward(&h));
        let own_text = 1024 * 128;
        let through = 2 * (fd + fh) - own_text;
        let expected = 2 * (4 * fg - text) + 6 * (3 * fd - first + 3 * fh - own_text) + 2 * through;
        assert_eq!(step(&RESIDUAL, 1, 2), expected);
    }
}
