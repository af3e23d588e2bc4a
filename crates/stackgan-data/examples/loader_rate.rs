//! Measures the samples per second from a prepared file, with embeddings of width 1,024, on two
//! threads by default: `cargo run --release -p stackgan-data --example loader_rate -- PREPARED
//! SAMPLES [THREADS]`
//!
//! The batches of 64 are those of `docs/bench/loader/dataloader.py`: the training split in random
//! order, random crops, mirrored with probability one half, and the embedding of one caption each.
//! The first two batches are not timed.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use stackgan_data::dataset::Split;
use stackgan_data::embeddings::Embeddings;
use stackgan_data::loader::{Loader, LoaderConfig};
use stackgan_data::noise::Noise;
use stackgan_data::plan::{Captions, CropOffsets, Flip, Plan, PlanConfig, WrongPairs};
use stackgan_data::prepared::Prepared;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const BATCH: usize = 64;
const WIDTH: usize = 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, samples, rest @ ..] = arguments.as_slice() else {
        return Err("give a prepared file and a number of samples".into());
    };
    let samples: usize = samples.parse()?;
    let threads: usize = rest.first().map_or(Ok(2), |n| n.parse())?;
    let data = Arc::new(Prepared::open(Path::new(file))?);

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("embeddings.safetensors");
    let mut writer = Embeddings::create(&path, WIDTH, "none", &data)?;
    for _ in 0..data.caption_count() {
        writer.append(&[0.0; WIDTH])?;
    }
    writer.finish()?;
    let embeddings = Arc::new(Embeddings::open(&path)?);

    let rules = PlanConfig {
        batch: BATCH,
        size: data.size(),
        offsets: CropOffsets::Inclusive,
        captions: Captions { min: 1, max: 1 },
        wrong: WrongPairs::None,
        flip: Flip::Half,
    };
    let plan = Plan::over(&data, data.indices(Split::Train), rules, Noise::new(0))?;
    let cfg = LoaderConfig { threads, prefetch: 2 * threads, ..LoaderConfig::default() };
    let mut loader = Loader::start(data, Some(embeddings), plan, cfg)?;
    for _ in 0..2 {
        loader.next()?;
    }
    let (started, mut taken) = (Instant::now(), 0);
    while taken < samples {
        taken += loader.next()?.indices.len();
    }
    println!("{:.0}", taken as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
