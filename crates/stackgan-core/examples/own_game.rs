//! Your own training: Stage-I's networks with another loss (hinge) and another optimiser (plain
//! descent), on noise instead of pictures.
//! `cargo run --release -p stackgan-core --example own_game`
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use stackgan_core::candle::{Result, Tensor, backprop::GradStore};
use stackgan_core::generator::{Generator, Mode};
use stackgan_core::generator_noise::{Draw, Epsilon, GeneratorNoise, SAMPLING};
use stackgan_core::kernels::backward;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Device, NetConfig, Params, residual};

const BATCH: usize = 4;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let net =
        NetConfig { gf: 8, df: 8, text_dim: 16, cond_dim: 8, z_dim: 8, ..NetConfig::default() };
    let (noise, device) = (Noise::new(0), Device::Cpu);

    // Variables are created, and filled from the seed, when a network requests them.
    let (g, d) = (Params::fresh(noise, "g1", &device), Params::fresh(noise, "d1", &device));
    let generator = residual::Stage1Generator::new(&net, &g.trained())?;
    let discriminator = residual::Discriminator::stage1(&net, &d.trained())?;
    // The same discriminator with frozen weights, for the generator's gradient.
    let judge = residual::Discriminator::stage1(&net, &d.frozen())?;

    // Replace these by your pictures in [-1, 1] and your sentences' vectors; here both are noise.
    let draw = |sample, n| noise.normal(Stream::Test, 0, sample, n);
    let real =
        Tensor::from_vec(draw(0, BATCH * 3 * 64 * 64), (BATCH, 3, 64, 64), &device)?.tanh()?;
    let text = Tensor::from_vec(draw(1, BATCH * net.text_dim), (BATCH, net.text_dim), &device)?;

    for step in 0..10 {
        let samples: Vec<u64> = (0..BATCH as u64).collect();
        let of = Draw { net: &net, epsilon: Epsilon::Truncated, device: &device };
        let z = GeneratorNoise::draw(noise, SAMPLING, step, &samples, &of)?;

        let painted = generator.paint(&text, &z, Mode::Train)?;
        let of_real = discriminator.logits(&real, &text, Mode::Train)?;
        let of_fake = discriminator.logits(&painted.image.detach(), &text, Mode::Train)?;
        let d_loss = ((1.0 - of_real)?.relu()? + (of_fake + 1.0)?.relu()?)?.mean_all()?;
        descend(&d, &backward(&d_loss)?, 0.01)?;

        let score = judge.logits(&painted.image, &text, Mode::Train)?.mean_all()?;
        let g_loss = (painted.conditioning.kl()? - score)?;
        descend(&g, &backward(&g_loss)?, 0.01)?;
        let [d_loss, g_loss] = [d_loss, g_loss].map(|loss| loss.to_scalar::<f32>());
        println!("step {step}: d {:.4}, g {:.4}", d_loss?, g_loss?);
    }
    Ok(())
}

/// Takes a step of plain gradient descent for the variables of one network.
fn descend(params: &Params, grads: &GradStore, lr: f64) -> Result<()> {
    for (_, variable) in params.trainable() {
        if let Some(gradient) = grads.get(&variable) {
            variable.set(&(variable.as_tensor() - (gradient * lr)?)?)?;
        }
    }
    Ok(())
}
