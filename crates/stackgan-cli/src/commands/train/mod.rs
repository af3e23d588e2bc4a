//! `stackgan train`: from settings and data to a run folder with a model.

mod asked;
mod dry_run;
mod estimate;
mod evaluation;
mod hours;
mod inputs;
mod kept;
mod preset;
mod pretrained;
mod reading;
mod sentences;
mod stage1;
mod start;
mod trained;
mod writable;

use std::path::Path;

use anyhow::Result;
use stackgan_data::dataset::Split;
use stackgan_train::config::TrainConfig;
use stackgan_train::policy::{Policy, Resume};
use stackgan_train::run::Setup;
use stackgan_train::run_dir::RunDir;

use crate::args::{Resuming, Train};
use crate::context::Context;
use crate::encoders::weights_of;
use crate::exit::{Exit, out_of_memory};
use crate::output::Form;
use crate::progress::Manner;
use crate::run::{RUNS, Record, Training, train_stage};
use crate::signals::{Stopper, in_hours};
use asked::Asked;
use estimate::Estimate;
use evaluation::Evaluation;
use hours::Timing;
use inputs::{Before, Inputs};
use kept::Kept;
use trained::Trained;

/// Trains one stage, or describes what would be done.
pub(super) fn run(args: &Train, context: &Context) -> Result<Exit> {
    // A network is recorded by its file, which is found from any folder.
    let features = args.features.as_deref().map(weights_of).transpose()?;
    let args = &Train { features, ..args.clone() };
    let asked = Asked::of(args, context)?;
    if args.dry_run {
        let Asked { resumed, wanted, layers, config, hours, note, sentences } = asked;
        let folder = resumed.as_deref();
        let more = (hours, &sentences);
        let plan = dry_run::plan(args, (config, &layers), wanted, (folder, context), more)?;
        note.iter().for_each(|note| context.manner.say(note));
        Form::from(args.json).show(&plan)?;
        return Ok(Exit::Done);
    }
    train(args, asked, context)
}

/// From the inputs to a model in a run folder.
fn train(args: &Train, asked: Asked, context: &Context) -> Result<Exit> {
    let Asked { resumed, mut wanted, layers, mut config, hours, note, sentences } = asked;
    let end = args.max_hours.map(in_hours); // what is made before the first step counts, too
    let farewell = reading::STOPPED.to_owned();
    let stopper = Stopper::listen()?.until(end).or_end(context.manner, farewell);
    // Minutes may pass until a new run begins, but one that goes on can be refused at once.
    let held = resumed.as_deref().map(RunDir::open).transpose()?;
    let begun = start::begun(resumed.as_deref(), &config, args)?;
    let note = note.as_deref();
    let kept = Kept::of(args, resumed.as_deref());
    let before = Before {
        origins: begun.as_ref().map(|b| &b.origins),
        note,
        sentences: &sentences,
        kept: &kept,
    };
    let inputs = Inputs::gather(&mut wanted, (&mut config, &layers), (before, &stopper), context)?;
    let Inputs { data, embeddings, encoder, encoder_source, brought, pretrained, stage1, shown } =
        inputs;
    let start = start::find(&wanted, &config, (resumed.as_deref(), context))?;
    let low = stage1.as_ref().map(|model| model.info().stage1.net);
    estimate::check(&config, (low.as_ref(), &pretrained), &context.device)?;
    let mut setup = Setup {
        config,
        dataset: data,
        embeddings,
        encoder,
        encoder_source,
        pretrained,
        stage1,
        device: context.device.clone(),
        start,
        shown,
    };
    setup.check()?; // a refused setup makes no run folder
    let mut evaluation = match wanted.data.as_deref() {
        Some(path) => {
            // As `eval` does it: a model that holds its encoder reads the captions.
            let rows = setup.encoder.is_none().then(|| setup.embeddings.path());
            Evaluation::of(&wanted, (path, &setup.dataset, rows), context)?
        }
        None => None,
    };
    wanted.check_paths()?; // also those that were found
    let name = format!("{}-stage{}", wanted.preset, args.stage);
    let (batch, pictures) = (setup.config.optim.batch, setup.dataset.indices(Split::Train).len());
    let needed = |(config, pretrained): (&TrainConfig, _), steps, measured| {
        if context.manner != Manner::Quiet {
            let (beside, left) =
                ((low.as_ref(), pretrained), estimate::left(steps, resumed.as_deref()));
            let estimate = Estimate::of(config, beside, Some(left), measured, &context.device);
            estimate.lines().iter().for_each(|line| context.manner.say(line));
        }
    };
    // A run folder is made when nothing is refused any more, and a checkpoint is timed in it.
    let timing = match hours {
        Some(hours) => {
            let beside = (low.as_ref(), &setup.pretrained);
            Some(Timing::begin((hours, sentences.len()), &setup.config, beside, context)?)
        }
        None => {
            let steps = setup.config.total_steps((pictures / batch) as u64);
            wanted.steps = Some(steps);
            needed((&setup.config, &setup.pretrained), steps, None);
            None
        }
    };
    let dir = match (held, &args.run) {
        (Some(dir), _) => dir,
        (None, Some(path)) => RunDir::open(path)?,
        (None, None) => RunDir::create(Path::new(RUNS), &name)?,
    };
    if let Some(timing) = timing {
        let config = &mut setup.config;
        let plan = timing.fit(config, (&layers, Some(pictures)), Some(dir.path()))?;
        needed((config, &setup.pretrained), plan.steps, Some(plan.seconds_a_step));
        hours::lines(&plan, &wanted).iter().for_each(|line| context.manner.say(line));
        (wanted.steps, wanted.plan) = (Some(plan.steps), Some(plan));
    }
    if let Some(evaluation) = &mut evaluation {
        evaluation.begin(&dir);
    }
    let encoder = setup.encoder.as_ref().filter(|_| brought);
    kept::keep(setup.stage1.as_ref(), encoder, &dir)?;
    context.manner.say(format!("run folder {}", dir.path().display()));
    let policy = policy(args, &wanted);
    let outcome = stopper.carefully(|stopper| {
        let training = Training {
            setup,
            dir: &dir,
            record: &mut wanted,
            policy,
            stopper,
            manner: context.manner,
            name: &name,
        };
        train_stage(training, &mut |event| evaluation.as_mut()?.on(event, &dir))
    });
    let outcome = outcome.map_err(|error| out_of_memory(error, Some(batch)))?;
    let trained = Trained::of(&outcome, args.stage, &dir, wanted.plan);
    if let Err(error) = Form::from(args.json).show(&trained) {
        context.manner.say(format!("warning: {error:#}")); // the training has ended nevertheless
    }
    if let Some(next) = &trained.next {
        context.manner.say(format!("saved at step {}; go on with:\n  {next}", trained.step));
    }
    Ok(outcome.reason.into())
}

/// What to do with the run's checkpoints, and with a bad number.
fn policy(args: &Train, wanted: &Record) -> Policy {
    let resume = match args.resume {
        Resuming::Auto if args.strict => Resume::Strict,
        Resuming::Auto => Resume::Auto,
        Resuming::Never => Resume::Never,
    };
    let allow_change = args.allow_change.clone();
    let on_nonfinite = wanted.on_nonfinite.unwrap_or_default();
    Policy { resume, allow_change, on_nonfinite, checks: None }
}
