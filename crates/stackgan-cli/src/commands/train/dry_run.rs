//! `train --dry-run`: describes what a run would do.

use std::path::Path;

use anyhow::Result;
use stackgan_core::noise::Noise;
use stackgan_core::{Model, Stage};
use stackgan_data::counted;
use stackgan_data::dataset::{Dataset, Split};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::plan::Plan;
use stackgan_data::prepared::Prepared;
use stackgan_train::config::TrainConfig;
use stackgan_train::matching::Matcher;
use stackgan_train::run::plan_over;

use super::evaluation::Evaluation;
use super::inputs::{belongs, fit_width, folder, stage1, stay_as_given};
use super::reading::{Text, matcher, small_config};
use super::{estimate, start};
use crate::args::Train;
use crate::config::Layers;
use crate::context::Context;
use crate::datasets::{FolderOptions, home, read};
use crate::encoders::SMALL_STEPS;
use crate::exit::{Exit, Problem};
use crate::output::print;
use crate::progress::duration;
use crate::run::{RUNS, Record};

/// Prints the description. What a run would refuse is refused.
pub(super) fn run(
    args: &Train,
    (mut config, layers): (TrainConfig, &Layers),
    mut wanted: Record,
    (resumed, context): (Option<&Path>, &Context),
) -> Result<Exit> {
    let (net, optim) = (&config.net, &config.optim);
    let length = match (optim.steps, optim.epochs) {
        (0, epochs) => counted(epochs, "epoch"),
        (steps, _) => counted(steps, "step"),
    };
    let pixels = config.stage.side();
    print(
        format!("train      stage {}: {pixels}x{pixels}, recipe {:?}", args.stage, net.recipe)
            .to_lowercase(),
    )?;
    print(format!("sizes      gf {}, df {}, c {}, z {}", net.gf, net.df, net.cond_dim, net.z_dim))?;
    let parts = match config.knobs.micro_batch {
        0 => String::new(),
        n => format!(" in parts of {n}"),
    };
    let batch = counted(optim.batch, "picture");
    print(format!("length     {length} of {batch}{parts}, seed {}", config.seed))?;
    let stage1 = match config.stage {
        Stage::One => None,
        Stage::Two => Some(stage1(&mut wanted, context)?),
    };
    let (data, pictures) = planned_data(&wanted, &config)?;
    print(format!("data       {data}"))?;
    Evaluation::check(&wanted)?;
    let (text, matcher) = planned_text(&wanted, stage1.as_ref(), (&mut config, layers), context)?;
    print(text)?;
    if let Some(model) = &wanted.stage1 {
        print(format!("stage-I    {}", model.display()))?;
    }
    let low = stage1.map(|model| model.info().stage1.net);
    if let Some(low) = &low {
        config.check_over(low)?;
    }
    start::find(&wanted, &config, (resumed, context))?.generator(&config)?;
    print(match (resumed, &args.run) {
        (Some(run), _) => format!("goes on    in {}", run.display()),
        (None, Some(run)) => format!("run        {}", run.display()),
        (None, None) => format!("run        a new folder under {RUNS}"),
    })?;
    if let Some(hours) = args.max_hours {
        print(format!("at most    {}", duration(hours * 3600.0)))?;
    }
    let beside = (low.as_ref(), matcher.as_ref());
    estimate::check(&config, beside, &context.device)?;
    let steps = pictures.map(|n| config.total_steps((n / config.optim.batch) as u64));
    let steps = wanted.steps.or(steps).or(Some(config.optim.steps)).filter(|n| *n > 0);
    let left = steps.map(|steps| estimate::left(steps, resumed));
    for line in estimate::lines(&config, beside, left, &context.device) {
        print(line)?;
    }
    Ok(Exit::Done)
}

/// Describes the data for a dry run, and counts the training pictures if the data exist already.
///
/// # Errors
/// Code 4 if there are no data; the faults of the data.
fn planned_data(wanted: &Record, config: &TrainConfig) -> Result<(String, Option<usize>)> {
    let (path, own) = match &wanted.data {
        Some(path) => (path.clone(), false),
        None => (home().join(&wanted.dataset), true),
    };
    let shown = path.display();
    let pictures = if path.is_file() {
        let data = Prepared::open(&path)?;
        drop(plan_over(config, &data)?);
        data.indices(Split::Train).len()
    } else if path.is_dir() {
        let data = read(&path, FolderOptions::kept(&path).layout)?;
        check_batches(config, &data)?;
        data.count(Split::Train)
    } else if own && wanted.dataset == "toy" {
        return Ok((format!("{shown}, which is drawn first"), None));
    } else {
        let place = format!("path: {shown}");
        let remedy = "name a dataset folder: `--data DIR`";
        return Err(Problem::missing("there is no data", place, "a dataset folder", remedy).into());
    };
    Ok((format!("{shown}, {} to train on", counted(pictures, "picture")), Some(pictures)))
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

/// Describes the text for a dry run, and returns the matcher. Adapts the settings as a run does.
///
/// # Errors
/// Code 4 if nothing can read the text, and those by which a run refuses it.
fn planned_text(
    wanted: &Record,
    stage1: Option<&Model>,
    (config, layers): (&mut TrainConfig, &Layers),
    context: &Context,
) -> Result<(String, Option<Matcher>)> {
    let text = Text::choose(wanted, &folder(wanted), stage1, context)?;
    let (said, made) = match (text, &wanted.encoder) {
        (Text::Encoder(encoder), named) => {
            let named = named.as_ref().map(|name| name.display().to_string());
            let said = named.unwrap_or_else(|| "that of Stage-I".to_owned());
            let encoder = encoder.text();
            (format!("encoder    {said}"), Some((encoder.dim(), encoder.fingerprint())))
        }
        (Text::Imported(file), _) => {
            let embeddings = Embeddings::open(&file)?;
            stay_as_given(config, layers, context.manner)?;
            let made = (embeddings.dim(), embeddings.encoder().to_owned());
            (format!("embeddings {}", file.display()), Some(made))
        }
        (Text::Small, _) => {
            let steps = "steps that are not in the estimate";
            let said = format!(
                "encoder    trained on the data's captions first, {SMALL_STEPS} {steps}, or found"
            );
            (said, None)
        }
    };
    let Some((dim, fingerprint)) = made else {
        let small = small_config(config, layers);
        fit_width(config, layers, small.encoder.dim)?;
        let matched = config.loss.matching > 0.0;
        let fresh = matched.then(|| Matcher::fresh(&small, &context.device));
        return Ok((said, fresh.transpose()?));
    };
    let matcher = matcher(None, wanted, (config, layers), context)?;
    fit_width(config, layers, dim)?;
    if let Some(model) = stage1 {
        belongs(model, &fingerprint)?;
    }
    Ok((said, matcher))
}
