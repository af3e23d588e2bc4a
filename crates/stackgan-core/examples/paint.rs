//! Paints a sentence in three lines: `cargo run --example paint -- model.safetensors "a small red
//! bird"`.

use stackgan_core::{Device, Model, Sampling};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(caption)) = (args.next(), args.next()) else {
        return Err("usage: paint MODEL SENTENCE".into());
    };
    let model = Model::from_bytes(&std::fs::read(file)?, &Device::Cpu)?;
    let images = model.generate(&[caption.as_str()], 7, Sampling::default())?;
    std::fs::write("bird.png", images[0].encode_png()?)?;
    Ok(())
}
