//! `stackgan demo`: from nothing to a painted bird, with the functions of the other commands.

mod pace;
mod pages;
mod phases;
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
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::ToyConfig;
use stackgan_train::text::ImageInputs;

use super::{Context, aligned, load, print, sources, text, write_file};
use crate::args::Demo;
use crate::exit::{Exit, Problem};
use crate::progress::duration;
use crate::signals::Stopper;
use phases::{GanPhase, train_encoder};

/// The size of a demo.
pub(crate) struct Scale {
    /// Number of pictures to draw.
    pub pictures: usize,
    /// Seconds from the start to the end of Stage-II.
    pub seconds: f64,
    /// Number of steps that are timed before a stage.
    pub timed: u64,
    /// Number of grids painted while Stage-I and Stage-II train.
    pub grids: [u64; 2],
    /// Number of captions of unseen species that are scored.
    pub scored: usize,
}

impl Scale {
    fn of(args: &Demo) -> Self {
        if args.quick {
            return Self { pictures: 200, seconds: 24.0, timed: 3, grids: [1, 1], scored: 32 };
        }
        Self {
            pictures: 2880,
            seconds: args.minutes * 60.0,
            timed: 18,
            grids: [10, 5],
            scored: 240,
        }
    }
}

/// The duration of a phase, for the report.
pub(crate) struct Took {
    /// The phase.
    pub what: String,
    /// Its duration in seconds.
    pub seconds: f64,
}

/// The contents of the report.
pub(crate) struct Results {
    /// The duration of each phase.
    pub took: Vec<Took>,
    /// The encoder's loss by step.
    pub text_losses: Vec<(f64, f64)>,
    /// The encoder's scores on real pictures of unseen species.
    pub text_scores: Option<String>,
    /// Rows of the table of scores.
    pub scores: Vec<score::Scored>,
    /// The painted prompts.
    pub sheets: Vec<sheets::Sheet>,
    /// The scales of z and epsilon with which pictures were painted.
    pub noise: Scales,
}

/// Draws, prepares, trains, paints, scores and reports.
pub(super) fn run(args: &Demo, context: &Context) -> Result<Exit> {
    let (scale, out, started) = (Scale::of(args), args.out.as_path(), Instant::now());
    refuse_occupied(out)?;
    let stopper = Stopper::listen()?;
    let mut clock = Clock { last: Instant::now(), took: Vec::new() };

    let birds = out.join("data");
    let drawn =
        sources::draw_toy(&birds, ToyConfig { count: scale.pictures, seed: args.seed }, context)?;
    let (small, large) = (
        prepared(&birds, PictureSize::Stage1, context)?,
        prepared(&birds, PictureSize::Stage2, context)?,
    );
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
        train_encoder(&small, 0.27 * left(), drawn.train_species, (args.seed, context))?;
    let raw = encoder.text.unstandardised(&context.device)?;
    let embeddings =
        Arc::new(text::encode(&raw, &small, &out.join("embeddings.safetensors"), context.manner)?);
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
    let sheets = sheets::paint(&model, out, context)?;
    let scores = score::all(&model, &encoder, &small, &scale, (args.seed, context))?;
    let text_scores = text::scores(&encoder, (&small, ImageInputs::Pixels), args.seed)?
        .map(|s| text::describe(&s));
    clock.took("painting sheets, scoring".to_owned());

    let sampled = model.stage_info(Stage::Two)?;
    let noise = Scales { z: sampled.sample_z, eps: sampled.sample_eps };
    let results = Results { took: clock.took, text_losses, text_scores, scores, sheets, noise };
    let report = out.join("report.html");
    write_file(&report, pages::report(args, &results, (out, &context.device)).as_bytes())?;
    context.manner.say(format!("demo: all done in {}", duration(started.elapsed().as_secs_f64())));
    for line in aligned(&score::table(&results.scores)) {
        print(line)?;
    }
    print(model_file.display())?;
    print(report.display())?;
    Ok(Exit::Done)
}

fn prepared(birds: &Path, size: PictureSize, context: &Context) -> Result<Arc<Prepared>> {
    sources::open(birds, sources::preparation(size, Resizing::Residual), context)
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
