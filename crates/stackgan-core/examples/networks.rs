//! The networks on their own: Stage-I of both recipes at the paper's sizes, with random text, and
//! the number of their parameters.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use stackgan_core::generator::{Generator, Mode};
use stackgan_core::generator_noise::{Draw, Epsilon, GeneratorNoise, SAMPLING};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Device, NetConfig, Params, plain, residual};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (net, noise, device) = (NetConfig::default(), Noise::new(0), Device::Cpu);
    let text = noise.normal(Stream::Test, 0, 0, 2 * net.text_dim);
    let text = candle_core::Tensor::from_vec(text, (2, net.text_dim), &device)?;
    let of = Draw { net: &net, epsilon: Epsilon::Normal, device: &device };
    let draw = GeneratorNoise::draw(noise, SAMPLING, 0, &[0, 1], &of)?;

    let params = Params::fresh(noise, "g1", &device);
    let generator = residual::Stage1Generator::new(&net, &params.trained())?;
    let painted = generator.paint(&text, &draw, Mode::Eval)?;
    println!("residual: {} parameters, paints {:?}", params.count(), painted.image.dims());

    let params = Params::fresh(noise, "g1", &device);
    let generator = plain::Stage1Generator::new(&net, &params.trained())?;
    let painted = generator.paint(&text, &draw, Mode::Eval)?;
    println!("plain:    {} parameters, paints {:?}", params.count(), painted.image.dims());
    Ok(())
}
