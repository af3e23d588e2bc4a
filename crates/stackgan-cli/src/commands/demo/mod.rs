//! `stackgan demo`: from nothing to a painted bird. A table of contents: every step is done by what the other commands use.

mod pace;
mod pages;
mod phases;
mod score;
mod sheets;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use stackgan_data::counted;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::ToyConfig;
use stackgan_train::config::Stage;
use stackgan_train::text::ImageInputs;

use super::{Context, aligned, load, print, sources, text, write_file};
use crate::args::Demo;
use crate::exit::{Exit, Problem};
use crate::progress::duration;
use crate::signals::Stopper;
use phases::{GanPhase, train_encoder};

/// How large a demo is.
pub(crate) struct Scale {
    /// Pictures that are drawn.
    pub pictures: usize,
    /// Seconds from the start to the end of Stage-II.
    pub seconds: f64,
    /// Steps that are timed before a stage.
    pub timed: u64,
    /// Grids painted while Stage-I and Stage-II train.
    pub grids: [u64; 2],
    /// Captions of unseen species that are scored.
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

/// What a phase took: for the report.
pub(crate) struct Took {
    /// What was done.
    pub what: String,
    /// Seconds.
    pub seconds: f64,
}

/// Everything that the report shows.
pub(crate) struct Results {
    /// What each phase took.
    pub took: Vec<Took>,
    /// The encoder's loss over steps.
    pub text_losses: Vec<(f64, f64)>,
    /// The encoder on real pictures of unseen species.
    pub text_scores: Option<String>,
    /// Rows of the table of scores.
    pub scores: Vec<score::Scored>,
    /// Painted prompts.
    pub sheets: Vec<sheets::Sheet>,
    /// Scales of z and epsilon at which pictures were painted.
    pub noise: (f64, f64),
}

/// Draws, prepares, trains, paints, scores, reports.
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

    // Where drawing took long (a busy machine), training still gets most of the time that was promised.
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

    let sampled = model.stage_info(2);
    let noise = (sampled.sample_z, sampled.sample_eps);
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

/// Writes down what each phase took.
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
