//! `stackgan demo`: from nothing to a painted bird, with what the other commands use.

mod pace;
mod pages;
mod phases;
mod scale;
mod score;
mod sheets;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use stackgan_core::Stage;
use stackgan_core::gan::Scales;
use stackgan_data::counted;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::toy::ToyConfig;
use stackgan_train::text::ImageInputs;

use crate::args::Demo;
use crate::context::Context;
use crate::datasets::{draw_toy, open};
use crate::encoders::{describe_scores, encode, scores};
use crate::exit::{Exit, Problem};
use crate::models::load;
use crate::output::{aligned, print, write_file};
use crate::progress::duration;
use crate::signals::Stopper;
use pages::{Results, Took};
use phases::{GanPhase, train_encoder};
use scale::Scale;

/// Draws, prepares, trains, paints, scores and reports.
pub(super) fn run(args: &Demo, context: &Context) -> Result<Exit> {
    let (scale, out, started) = (Scale::of(args), args.out.as_path(), Instant::now());
    refuse_occupied(out)?;
    let stopper = Stopper::listen()?;
    let mut clock = Clock { last: Instant::now(), took: Vec::new() };

    let birds = out.join("data");
    let manner = context.manner;
    let drawn = draw_toy(&birds, ToyConfig { count: scale.pictures, seed: args.seed }, manner)?;
    let small = open(&birds, (PictureSize::Stage1, Resizing::Residual), manner)?;
    let large = open(&birds, (PictureSize::Stage2, Resizing::Residual), manner)?;
    clock.took(format!(
        "drawing and preparing {} birds of {} species",
        scale.pictures,
        drawn.train_species + drawn.test_species
    ));

    // If drawing took long (on a busy machine), training still gets most of its time.
    let began = started.max(
        Instant::now().checked_sub(Duration::from_secs_f64(0.4 * scale.seconds)).unwrap_or(started),
    );
    let left = || scale.seconds - began.elapsed().as_secs_f64();
    let (encoder, text_losses) =
        train_encoder(&small, 0.27 * left(), drawn.train_species, (args.seed, manner))?;
    let raw = encoder.text.unstandardised(&context.device)?;
    let embeddings = Arc::new(encode(&raw, &small, &out.join("embeddings.safetensors"), manner)?);
    write_file(&out.join("encoder.safetensors"), &encoder.to_bytes()?)?;
    clock.took(format!("text encoder, {}", counted(text_losses.len(), "step")));

    let stage = GanPhase {
        scale: &scale,
        seed: args.seed,
        embeddings: &embeddings,
        encoder: &encoder,
        stopper: &stopper,
        context,
    };
    let (exit, steps) = stage.train(Stage::One, &small, 0.64 * left(), &out.join("stage1"))?;
    clock.took(format!("Stage-I, {steps}"));
    if exit != Exit::Done {
        return Ok(exit);
    }
    let (exit, steps) = stage.train(Stage::Two, &large, left(), &out.join("stage2"))?;
    clock.took(format!("Stage-II, {steps}"));
    if exit != Exit::Done {
        return Ok(exit);
    }

    let model_file = out.join("model.safetensors");
    std::fs::copy(out.join("stage2").join("model.safetensors"), &model_file)
        .map_err(|e| Problem::storage(&model_file, &e))?;
    let model = load(&model_file, context)?.model;
    let sheets = sheets::paint(&model, out, manner)?;
    let scored = score::all(&model, &encoder, &small, scale.scored, (args.seed, manner))?;
    let text_scores = scores(&encoder, (&small, ImageInputs::Pixels), args.seed)?
        .map(|scores| describe_scores(&scores));
    clock.took("painting sheets, scoring".to_owned());

    let sampled = model.stage_info(Stage::Two)?;
    let noise = Scales { z: sampled.sample_z, eps: sampled.sample_eps };
    let results =
        Results { took: clock.took, text_losses, text_scores, scores: scored, sheets, noise };
    let report = out.join("report.html");
    write_file(&report, pages::report(args, &results, (out, &context.device)).as_bytes())?;
    manner.say(format!("demo: all done in {}", duration(started.elapsed().as_secs_f64())));
    for line in aligned(&score::table(&results.scores)) {
        print(line)?;
    }
    print(model_file.display())?;
    print(report.display())?;
    Ok(Exit::Done)
}

fn refuse_occupied(out: &Path) -> Result<()> {
    let occupied = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if !occupied {
        return Ok(());
    }
    let place = format!("folder: {}", out.display());
    let remedy = "name another folder with `--out`, or remove this one";
    Err(Problem::usage(
        "the folder is not empty",
        place,
        ("a new or empty folder", "files"),
        remedy,
    )
    .into())
}

/// Records the duration of each phase.
struct Clock {
    last: Instant,
    took: Vec<Took>,
}

impl Clock {
    fn took(&mut self, what: String) {
        self.took.push(Took { what, seconds: self.last.elapsed().as_secs_f64() });
        self.last = Instant::now();
    }
}
