//! Paints from given tensors and compares the result:
//! `cargo run --example paint_tensors -- MODEL TENSORS`.
//!
//! TENSORS is a safetensors file with `text` (n, width), `z`, `eps1`, `eps2` and the expected
//! `picture` (n, 3, S, S), as written by `tests/golden/load_in_torch.py`. Fails if a value differs
//! by more than 1e-4 of the picture's largest one.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use candle_core::{Result as TensorResult, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::generator::Mode;
use stackgan_core::generator_noise::GeneratorNoise;
use stackgan_core::{Device, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(tensors)) = (args.next(), args.next()) else {
        return Err("usage: paint_tensors MODEL TENSORS".into());
    };
    let model = Model::from_bytes(&std::fs::read(model)?, &Device::Cpu)?;
    let given = Archive::from_bytes(&std::fs::read(tensors)?, &Device::Cpu)?.tensors;
    let part = |name: &str| given.get(name).cloned().ok_or(format!("no tensor `{name}`"));
    let noise = GeneratorNoise { z: part("z")?, eps1: part("eps1")?, eps2: part("eps2")? };
    let generator = model.generator(model.last_stage())?;
    let painted = generator.paint(&part("text")?, &noise, Mode::Eval)?;
    let expected = part("picture")?;
    let largest = |t: Tensor| -> TensorResult<f32> { t.abs()?.flatten_all()?.max(0)?.to_scalar() };
    let (off, size) = (largest((painted.image - &expected)?)?, largest(expected)?);
    println!("off by {off:.2e} at most, where values reach {size:.2e}");
    if off > 1e-4 * size {
        return Err("the pictures differ".into());
    }
    Ok(())
}
