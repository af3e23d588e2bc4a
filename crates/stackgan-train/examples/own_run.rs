//! Training in your own program: drawn birds, vectors from elsewhere, and a run that is stopped and
//! resumed. `cargo run --release -p stackgan-train --example own_run -- FOLDER`
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stackgan_core::candle::Tensor;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Device, Stage};
use stackgan_data::crop::{Preparation, Resizing};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::layouts::{Reading, cub};
use stackgan_data::prepared::{Damaged, ImportOptions, Prepared, import};
use stackgan_data::toy::{self, ToyConfig};
use stackgan_train::config::{TrainConfig, picture_size, preset};
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::policy::Policy;
use stackgan_train::run::{Setup, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::start::Start;
use stackgan_train::{Pretrained, Shown};

/// Length of a sentence's vector.
const DIM: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(|| "own-run".into(), PathBuf::from);
    let data = pictures(&folder)?;
    let embeddings = vectors(&folder.join("embeddings.safetensors"), &data)?;

    let mut config = TrainConfig::from_toml(preset("toy-stage1").ok_or("no such preset")?)?;
    (config.net.gf, config.net.df, config.net.text_dim) = (4, 4, DIM);
    (config.optim.batch, config.optim.steps, config.run.report_every) = (4, 20, 5);
    config.loss.matching = 0.0; // it needs an encoder with an image side

    // A sentence that is no caption has a row in the grids, too.
    let sentences = vec!["a red bird on the moon".to_owned()];
    let vectors = Noise::new(2).normal(Stream::Test, 1, 0, DIM);
    let vectors = Tensor::from_vec(vectors, (1, DIM), &Device::Cpu)?;
    let shown = Shown { sentences, vectors };

    let run = RunDir::open(&folder.join("run"))?;
    // Stops after every eighth step, as a button could, until all steps are taken. Each call
    // resumes from the checkpoint.
    loop {
        let setup = Setup {
            config: config.clone(),
            dataset: Arc::clone(&data),
            embeddings: Arc::clone(&embeddings),
            encoder: None,
            encoder_source: None,
            pretrained: Pretrained::default(),
            stage1: None,
            device: Device::Cpu,
            start: Start::default(),
            shown: Some(shown.clone()),
        };
        let taken = std::cell::Cell::new(0);
        let stop = || {
            taken.set(taken.get() + 1);
            (taken.get() == 8).then_some(StopReason::Requested)
        };
        let outcome = train(setup, &run, Policy::default(), &stop, &mut |event| {
            if let TrainEvent::Report { step, terms, .. } = event {
                println!("step {step}: {terms:.3?}");
            }
        })?;
        println!("{:?} at step {} of {}", outcome.reason, outcome.step, outcome.steps);
        if outcome.reason == StopReason::Done {
            println!("{}", outcome.model.display());
            return Ok(());
        }
    }
}

/// Draws birds and prepares them for Stage-I. For your own pictures: `layouts::read`.
fn pictures(folder: &Path) -> Result<Arc<Prepared>, Box<dyn std::error::Error>> {
    let (drawn, file) = (folder.join("birds"), folder.join("prepared.safetensors"));
    if !file.is_file() {
        toy::write(&drawn, &ToyConfig { count: 60, seed: 1 }, &|_, _| {})?;
        let size = picture_size(Stage::One);
        let preparation = Preparation::squeezed(size, Resizing::Residual);
        let options = ImportOptions { preparation, damaged: Damaged::Refuse };
        import(&cub::read(&drawn, Reading::default())?, &file, &options, &|_, _| {})?;
    }
    Ok(Arc::new(Prepared::open(&file)?))
}

/// Writes a vector for each caption, in the order of `Prepared::all_captions`: here noise, in your
/// program an encoder's.
fn vectors(file: &Path, data: &Prepared) -> Result<Arc<Embeddings>, Box<dyn std::error::Error>> {
    let mut writer = Embeddings::create(file, DIM, "an encoder of mine", data)?;
    for row in 0..data.caption_count() {
        writer.append(&Noise::new(2).normal(Stream::Test, 0, row as u64, DIM))?;
    }
    writer.finish()?;
    Ok(Arc::new(Embeddings::open(file)?))
}
