//! Measures the captions per second that a char-CNN-RNN with random weights encodes, at the full
//! width of the release (gated, 18 steps).
//!
//! `cargo run --release -p stackgan-core --example encode_rate -- CAPTIONS [COUNT]`
//!
//! CAPTIONS is a file with one caption per line. Prints only the rate, for
//! `docs/bench/text/compare.sh`.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::time::Instant;

use stackgan_core::noise::Noise;
use stackgan_core::text::{CharCnnRnn, CharCnnRnnConfig, CharCnnRnnEncoder, TextEncoder as _};
use stackgan_core::{Device, Params};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("encode_rate CAPTIONS [COUNT]")?;
    let text = std::fs::read_to_string(file)?;
    let count = args.next().map_or(Ok(usize::MAX), |count| count.parse())?;
    let captions: Vec<&str> = text.lines().take(count).collect();
    let config = CharCnnRnnConfig::default();
    let params = Params::fresh(Noise::new(0), "text", &Device::Cpu);
    CharCnnRnn::new(&config, &params.trained())?;
    let encoder = CharCnnRnnEncoder::new(config, params, None)?;
    encoder.encode(captions.get(..captions.len().min(1024)).unwrap_or_default())?; // warms up
    let started = Instant::now();
    let mut sum = 0.0;
    for chunk in captions.chunks(1024) {
        let vectors = encoder.encode(chunk)?.flatten_all()?.to_vec1::<f32>()?;
        sum += vectors.iter().map(|v| f64::from(v * v)).sum::<f64>();
    }
    if !sum.is_finite() {
        return Err("the vectors are not finite".into());
    }
    println!("{:.1}", captions.len() as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
