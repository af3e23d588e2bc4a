//! Prepares a folder in the CUB layout and reads some batches of it, with the rates of both:
//! `cargo run --release -p stackgan-data --example prepare -- FOLDER OUT.safetensors [76|304]`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use stackgan_data::crop::{PictureSize, Preparation, Resizing};
use stackgan_data::dataset::Split;
use stackgan_data::loader::{Loader, LoaderConfig};
use stackgan_data::plan::{Captions, CropOffsets, Flip, Plan, PlanConfig, WrongPairs};
use stackgan_data::prepared::{Damaged, ImportOptions, Prepared, import};
use stackgan_data::{layouts, noise::Noise};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out, rest @ ..] = arguments.as_slice() else {
        return Err("give a folder and the file to make".into());
    };
    let size = match rest.first().map(String::as_str) {
        Some("304") => PictureSize::Stage2,
        _ => PictureSize::Stage1,
    };
    let started = Instant::now();
    let dataset = layouts::cub::read(Path::new(folder), layouts::Reading::default())?;
    println!("read {} pictures in {:.1?}", dataset.items.len(), started.elapsed());

    let started = Instant::now();
    let preparation = Preparation::squeezed(size, Resizing::Residual);
    let options = ImportOptions { preparation, damaged: Damaged::Refuse };
    let report = import(&dataset, Path::new(out), &options, &|_, _| {})?;
    println!("prepared in {:.1?}: {report:?}", started.elapsed());

    let data = Arc::new(Prepared::open(Path::new(out))?);
    let rules = PlanConfig {
        batch: 32,
        size,
        offsets: CropOffsets::AsReleased,
        captions: Captions { min: 4, max: 4 },
        wrong: WrongPairs::None,
        flip: Flip::Half,
    };
    let plan = Plan::over(&data, data.indices(Split::Train), rules, Noise::new(0))?;
    let mut loader = Loader::start(data, None, plan, LoaderConfig::default())?;
    let (started, batches) = (Instant::now(), 200);
    for _ in 0..batches {
        loader.next()?;
    }
    let rate = f64::from(batches * 32) / started.elapsed().as_secs_f64();
    println!("{rate:.0} pictures/s from the prepared file");
    Ok(())
}
