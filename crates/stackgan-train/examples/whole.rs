//! The whole way in your own program: a folder of captioned pictures, a text encoder, Stage-I, and a
//! picture of a new sentence. `cargo run --release -p stackgan-train --example whole -- OUT [FOLDER]`
//!
//! OUT is where everything is written; FOLDER is a dataset folder. Without FOLDER birds are drawn.
//! The networks and the training are small: it takes a minute, and the picture is a blur. What more
//! steps and wider networks give: docs/results.md.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stackgan_core::noise::Noise;
use stackgan_core::{Device, Model, Sampling, Stage};
use stackgan_data::crop::{Fit, Preparation, Resizing, Stretch};
use stackgan_data::dataset::Split;
use stackgan_data::layouts::{self, Reading};
use stackgan_data::prepared::{Damaged, ImportOptions, Prepared};
use stackgan_data::sources::Sources;
use stackgan_data::toy::{self, ToyConfig};
use stackgan_train::Pretrained;
use stackgan_train::config::{TrainConfig, picture_size, preset};
use stackgan_train::encoding::encoded;
use stackgan_train::event::TrainEvent;
use stackgan_train::policy::Policy;
use stackgan_train::run::{Setup, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::start::Start;
use stackgan_train::text::{
    ImageInputs, TextEvent, TextRun, TextTrainConfig, TrainedEncoder, train_encoder,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let out = args.next().ok_or("usage: whole OUT [FOLDER]")?;
    std::fs::create_dir_all(&out)?;
    let folder = match args.next() {
        Some(folder) => folder,
        None => drawn(&out.join("birds"))?,
    };

    let data = Arc::new(prepared(&folder, &out.join("prepared.safetensors"))?);
    let encoder = text_encoder(&data)?.text.unstandardised(&Device::Cpu)?;
    let file = out.join("embeddings.safetensors");
    let embeddings = Arc::new(encoded(&encoder, &data, &file, &mut |_| {})?);

    let mut config = TrainConfig::from_toml(preset("toy-stage1").ok_or("no such preset")?)?;
    (config.net.gf, config.net.df, config.net.text_dim) = (16, 16, embeddings.dim());
    (config.optim.batch, config.optim.epochs, config.optim.steps) = (16, 0, 200);
    config.loss.matching = 0.0; // for the term, keep the trained encoder and give its `Matcher`
    let setup = Setup {
        config,
        dataset: data,
        embeddings,
        encoder: Some(encoder), // becomes part of the model
        encoder_source: None,
        pretrained: Pretrained::default(),
        stage1: None,
        device: Device::Cpu,
        start: Start::default(),
        shown: None,
    };
    // Stopped at any point, the same program goes on where it was.
    let run = RunDir::open(&out.join("stage1"))?;
    let outcome = train(setup, &run, Policy::default(), &|| None, &mut |event| {
        if let TrainEvent::Report { step, terms, .. } = event {
            println!("step {step}: {terms:.3?}");
        }
    })?;

    let model = Model::from_bytes(&std::fs::read(outcome.model)?, &Device::Cpu)?;
    let pictures = model.generate(&["a red bird with a yellow belly"], 7, Sampling::default())?;
    let picture = out.join("bird.png");
    std::fs::write(&picture, pictures.first().ok_or("no picture")?.encode_png()?)?;
    println!("{}", picture.display());
    Ok(())
}

/// A folder of birds, which is drawn once.
fn drawn(folder: &Path) -> Result<PathBuf> {
    if !toy::is_toy(folder) {
        toy::write(folder, &ToyConfig { count: 480, seed: 1 }, &|_, _| {})?;
    }
    Ok(folder.to_path_buf())
}

/// The pictures of a folder for Stage-I, prepared again only if the folder has changed.
fn prepared(folder: &Path, file: &Path) -> Result<Prepared> {
    let dataset = layouts::read(folder, layouts::detect(folder)?, Reading::default())?;
    let preparation = Preparation {
        size: picture_size(Stage::One),
        resizing: Resizing::Residual,
        stretch: Stretch::None,
        fit: Fit::Centre,
    };
    let sources = Sources::of(&dataset, ImportOptions { preparation, damaged: Damaged::LeaveOut });
    match sources.found(file) {
        Some(found) => Ok(found),
        None => Ok(sources.import(file, &|_, _| {})?.0),
    }
}

/// A text encoder that was trained on the captions with the pictures.
fn text_encoder(data: &Prepared) -> Result<TrainedEncoder> {
    let steps = 150;
    let run = TextRun {
        config: &TextTrainConfig { batch: 16, ..TextTrainConfig::small() },
        source: data,
        images: ImageInputs::Pixels,
        pictures: &data.indices(Split::Train),
        noise: Noise::new(0),
        done: &|step| step as f64 / f64::from(steps),
    };
    Ok(train_encoder(&run, &mut |TextEvent { step, loss, .. }| {
        if step % 50 == 0 {
            println!("text encoder, step {step}: loss {loss:.3}");
        }
    })?)
}
