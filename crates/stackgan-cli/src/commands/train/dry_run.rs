//! `train --dry-run`: describes what a run would do.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use stackgan_core::noise::Noise;
use stackgan_core::{Model, Stage};
use stackgan_data::counted;
use stackgan_data::dataset::{Dataset, Split};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::plan::Plan;
use stackgan_data::prepared::{Damaged, Prepared};
use stackgan_train::Pretrained;
use stackgan_train::config::TrainConfig;
use stackgan_train::matching::Matcher;
use stackgan_train::origins::Origins;
use stackgan_train::run::plan_over;

use super::estimate::{self, Estimate};
use super::evaluation::Evaluation;
use super::inputs::{begun_on, check_sizes, fit_width, folder, say_other_encoder, stay_as_given};
use super::kept::Kept;
use super::pretrained::{matcher, projection};
use super::reading::{Text, small_config};
use super::sentences::{PlannedSentences, Sentences};
use super::{hours, stage1, start};
use crate::args::Train;
use crate::config::Layers;
use crate::context::Context;
use crate::datasets::{ANY_SIZE, FolderOptions, home, read, there};
use crate::encoders::SMALL_STEPS;
use crate::exit::Problem;
use crate::output::{Answer, path_text};
use crate::progress::duration;
use crate::run::{Planned, RUNS, Record};

/// What a run would do.
#[derive(Serialize)]
pub(super) struct DryRun {
    /// The settings that the run would have.
    settings: TrainConfig,
    data: Data,
    text: Source,
    /// Sentences of one's own for the grids, if there are any.
    sentences: Option<PlannedSentences>,
    /// The Stage-I model that the run would build on.
    stage1: Option<String>,
    /// The run folder; `None` for a new one.
    run: Option<String>,
    /// Whether the run is gone on with.
    goes_on: bool,
    /// What `--hours` comes to, or came to.
    plan: Option<Planned>,
    /// What that does not count.
    #[serde(skip)]
    uncounted: Option<String>,
    max_hours: Option<f64>,
    estimate: Estimate,
}

/// The data.
#[derive(Serialize)]
struct Data {
    path: String,
    /// Number of pictures to train on; `None` if they are drawn first.
    train_pictures: Option<usize>,
}

/// Where the embeddings would come from.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "from")]
enum Source {
    /// The given encoder.
    Encoder { encoder: String },
    /// The encoder of Stage-I.
    #[serde(rename = "stage1")]
    Stage1,
    /// The encoder of the model that Stage-I starts from.
    InitFrom,
    /// A file of imported embeddings.
    Embeddings { file: String },
    /// A small encoder, trained on the data's captions, or found.
    Captions,
}

/// Makes the plan. What a run would refuse is refused.
pub(super) fn plan(
    args: &Train,
    (mut config, layers): (TrainConfig, &Layers),
    mut wanted: Record,
    (resumed, context): (Option<&Path>, &Context),
    (hours, sentences): (Option<f64>, &Sentences),
) -> Result<DryRun> {
    let kept = Kept::of(args, resumed);
    let begun = start::begun(resumed, &config, args)?;
    let origins = begun.as_ref().map(|header| &header.origins);
    let stage1 = match config.stage {
        Stage::One => None,
        Stage::Two => Some(stage1::find(&mut wanted, kept.stage1.as_deref(), context)?),
    };
    if let (Some(origins), Some(model)) = (origins, &stage1) {
        origins.check_stage1(&model.sha256()?)?;
    }
    if let (Some(origins), Some(path)) = (origins, &wanted.data) {
        check_sizes(origins, path)?;
    }
    let data = planned_data(&wanted, &config)?;
    Evaluation::check(&wanted)?;
    let init = begun_on(&wanted, begun.is_none(), context)?;
    let models = (stage1.as_ref(), init.as_ref(), kept.encoder.as_deref());
    let (text, pretrained) =
        planned_text(&wanted, (models, origins), (&mut config, layers), (sentences, context))?;
    let low = stage1.map(|model| model.info().stage1.net);
    if let Some(low) = &low {
        config.check_over(low)?;
    }
    start::find(&wanted, &config, (resumed, context))?.check(&config)?;
    let beside = (low.as_ref(), &pretrained);
    estimate::check(&config, beside, &context.device)?;
    if let Some(hours) = hours {
        let timing = hours::Timing::begin((hours, sentences.len()), &config, beside, context)?;
        wanted.plan = Some(timing.fit(&mut config, (layers, data.train_pictures), None)?);
        wanted.steps = None;
    }
    let measured = wanted.plan.as_ref().filter(|_| hours.is_some()).map(|p| p.seconds_a_step);
    let steps = data.train_pictures.map(|n| config.total_steps((n / config.optim.batch) as u64));
    // Steps that are recorded are those of before an allowed change.
    let given = (config.optim.steps > 0).then_some(config.optim.steps);
    let steps = steps.or(given).or(wanted.steps).filter(|n| *n > 0);
    let left = steps.map(|steps| estimate::left(steps, resumed));
    let estimate = Estimate::of(&config, beside, left, measured, &context.device);
    Ok(DryRun {
        settings: config,
        data,
        text,
        sentences: sentences.planned(),
        stage1: wanted.stage1.as_deref().map(path_text),
        run: resumed.or(args.run.as_deref()).map(path_text),
        goes_on: resumed.is_some(),
        uncounted: wanted.plan.as_ref().and_then(|_| hours::uncounted(&wanted)),
        plan: wanted.plan,
        max_hours: args.max_hours,
        estimate,
    })
}

impl Answer for DryRun {
    fn lines(&self) -> Vec<String> {
        let TrainConfig { stage, net, optim, knobs, seed, .. } = &self.settings;
        let (pixels, recipe) = (stage.side(), net.recipe.name());
        let length = match (optim.steps, optim.epochs) {
            (0, epochs) => counted(epochs, "epoch"),
            (steps, _) => counted(steps, "step"),
        };
        let parts = match knobs.micro_batch {
            0 => String::new(),
            n => format!(" in parts of {n}"),
        };
        let batch = counted(optim.batch, "picture");
        let mut lines = vec![
            format!("train      stage {stage}: {pixels}x{pixels}, recipe {recipe}"),
            format!("sizes      gf {}, df {}, c {}, z {}", net.gf, net.df, net.cond_dim, net.z_dim),
            format!("length     {length} of {batch}{parts}, seed {seed}"),
            self.data.line(),
            self.text.line(),
        ];
        lines.extend(self.sentences.as_ref().map(PlannedSentences::line));
        lines.extend(self.stage1.iter().map(|model| format!("stage-I    {model}")));
        lines.push(match (&self.run, self.goes_on) {
            (Some(run), true) => format!("goes on    in {run}"),
            (Some(run), false) => format!("run        {run}"),
            (None, _) => format!("run        a new folder under {RUNS}"),
        });
        lines.extend(self.plan.iter().map(Planned::line));
        lines.extend(self.uncounted.clone());
        let hours = self.max_hours.iter();
        lines.extend(hours.map(|hours| format!("at most    {}", duration(hours * 3600.0))));
        lines.extend(self.estimate.lines());
        lines
    }
}

impl Data {
    fn line(&self) -> String {
        let pictures = self.train_pictures.map(|n| counted(n, "picture"));
        let pictures = pictures.map_or_else(
            || "which is drawn first".to_owned(),
            |pictures| format!("{pictures} to train on"),
        );
        format!("data       {}, {pictures}", self.path)
    }
}

impl Source {
    fn line(&self) -> String {
        match self {
            Self::Encoder { encoder } => format!("encoder    {encoder}"),
            Self::Stage1 => "encoder    that of Stage-I".to_owned(),
            Self::InitFrom => "encoder    that of the model to start from".to_owned(),
            Self::Embeddings { file } => format!("embeddings {file}"),
            Self::Captions => format!(
                "encoder    trained on the data's captions first, {SMALL_STEPS} steps that are not in the estimate, or found"
            ),
        }
    }
}

/// Finds the data, and counts the training pictures if the data exist already.
///
/// # Errors
/// Code 4 if there are no data; the faults of the data.
fn planned_data(wanted: &Record, config: &TrainConfig) -> Result<Data> {
    let (path, own) = match &wanted.data {
        Some(path) => (path.clone(), false),
        None => (home().join(&wanted.preset), true),
    };
    let options = path.is_dir().then(|| FolderOptions::kept(&path));
    let prepared = match options {
        // Only a prepared file knows which pictures were left out.
        Some(options) if options.damaged() == Damaged::LeaveOut => there(&path, ANY_SIZE)?,
        None if path.is_file() => Some(Prepared::open(&path)?),
        _ => None,
    };
    let train_pictures = match (prepared, options) {
        (Some(data), _) => {
            drop(plan_over(config, &data)?);
            Some(data.indices(Split::Train).len())
        }
        (None, Some(options)) => {
            let data = read(&path, options.layout)?;
            check_batches(config, &data)?;
            Some(data.count(Split::Train))
        }
        (None, None) if own && wanted.preset == "toy" => None,
        (None, None) => {
            let place = format!("path: {}", path.display());
            let (what, expected) = ("there is no data", "a dataset folder");
            let remedy = "name a dataset folder: `--data DIR`";
            return Err(Problem::missing(what, place, expected, remedy).into());
        }
    };
    Ok(Data { path: path_text(&path), train_pictures })
}

/// Checks that a dataset that is not prepared yet makes batches.
fn check_batches(config: &TrainConfig, data: &Dataset) -> Result<()> {
    let classes: Vec<u32> = data.items.iter().map(|item| item.class).collect();
    let captions: Vec<usize> = data.items.iter().map(|item| item.captions.len()).collect();
    let items = data.items.iter().enumerate();
    let train = items.filter(|(_, item)| item.split == Split::Train).map(|(i, _)| i).collect();
    Plan::new(&classes, &captions, train, config.plan(), Noise::new(config.seed))?;
    Ok(())
}

/// The models of Stage-I and of `--init-from`, and the encoder that the run keeps.
type Models<'a> = (Option<&'a Model>, Option<&'a Model>, Option<&'a Path>);

/// Finds where the text comes from, and the networks through which losses look. Adapts the settings as a run does.
///
/// # Errors
/// Code 4 if nothing can read the text, and those by which a run refuses it.
fn planned_text(
    wanted: &Record,
    ((stage1, init, kept), origins): (Models<'_>, Option<&Origins>),
    (config, layers): (&mut TrainConfig, &Layers),
    (sentences, context): (&Sentences, &Context),
) -> Result<(Source, Pretrained)> {
    let text = Text::choose(wanted, &folder(wanted), (stage1.or(init), kept), context)?;
    sentences.check(&text)?;
    let projection = projection(wanted, (config, layers), context)?;
    let (source, made) = match (text, &wanted.encoder) {
        (Text::Encoder(encoder), named) => {
            let source = match named {
                Some(name) => Source::Encoder { encoder: path_text(name) },
                None if stage1.is_some() => Source::Stage1,
                None => Source::InitFrom,
            };
            let encoder = encoder.text();
            let fingerprint = encoder.fingerprint();
            origins.map_or(Ok(()), |origins| origins.check_encoder(&fingerprint))?;
            (source, Some((encoder.dim(), fingerprint)))
        }
        (Text::Imported(file), _) => {
            let embeddings = Embeddings::open(&file)?;
            stay_as_given((config, layers), stage1, context.manner)?;
            let made = (embeddings.dim(), embeddings.encoder().to_owned());
            (Source::Embeddings { file: path_text(&file) }, Some(made))
        }
        (Text::Small, _) => (Source::Captions, None),
    };
    let Some((dim, fingerprint)) = made else {
        let small = small_config(config, layers);
        fit_width(config, layers, small.encoder.dim)?;
        let matched = config.loss.matching > 0.0;
        let fresh = matched.then(|| Matcher::fresh(&small, &context.device)).transpose()?;
        return Ok((source, Pretrained { matcher: fresh, projection }));
    };
    let matcher = matcher(None, wanted, (config, layers), context)?;
    fit_width(config, layers, dim)?;
    if let Some(model) = stage1 {
        stage1::belongs(model, &fingerprint)?;
    }
    if let Some(model) = init {
        say_other_encoder(model, &fingerprint, context.manner);
    }
    Ok((source, Pretrained { matcher, projection }))
}
