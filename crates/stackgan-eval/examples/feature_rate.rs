//! Measures the pictures per second of a network, including the resize: the counterpart of
//! `docs/bench/peer/feature_rate.py`.
//!
//!     cargo run --release -p stackgan-eval --example feature_rate -- NETWORK WEIGHTS [ROUNDS]
//!
//! WEIGHTS is a safetensors file with the tensors of the network's state dict. Prints the seconds
//! of each round of 32 pictures of 256x256, after one round that is not counted.
#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::time::Instant;

use candle_core::Device;
use stackgan_core::archive::Archive;
use stackgan_core::image::Picture;
use stackgan_core::noise::{Noise, Stream};
use stackgan_eval::features::{Extractor, Network};

/// Number of pictures in a batch, as in `stackgan eval`.
const BATCH: usize = 16;
/// Number of pictures in a round.
const ROUND: usize = 32;
const SIDE: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    stackgan_kernels::memory::keep();
    rayon::scope(|_| rate().map_err(|error| error.to_string()))?; // as the program does
    Ok(())
}

fn rate() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(network), Some(weights)) = (args.next(), args.next()) else {
        return Err("usage: feature_rate NETWORK WEIGHTS [ROUNDS]".into());
    };
    let rounds: usize = args.next().map_or(Ok(5), |text| text.parse())?;
    let network = Network::of_name(&network).ok_or("no such network")?;
    let archive = Archive::from_bytes(&std::fs::read(weights)?, &Device::Cpu)?;
    let extractor = Extractor::new(network, &archive.tensors)?;
    let picture = |i: u64| {
        let mut draws = Noise::new(0).draws(Stream::Test, 9, i);
        let rgb = (0..3 * SIDE * SIDE).map(|_| draws.word() as u8).collect();
        Picture { width: SIDE, height: SIDE, rgb }
    };
    let pictures: Vec<Picture> = (0..ROUND as u64).map(picture).collect();
    for round in 0..=rounds {
        let start = Instant::now();
        for batch in pictures.chunks(BATCH) {
            extractor.extract(batch)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        if round > 0 {
            println!("{seconds:.3}");
        }
    }
    Ok(())
}
