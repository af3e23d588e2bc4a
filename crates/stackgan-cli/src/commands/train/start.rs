//! What a run starts from: the checkpoint that it goes on from, the weights of `--init-from`, and
//! Stage-I's discriminator for fine-tuning Stage-I with Stage-II. Stage-I's weights themselves must
//! have trained the sigma that the run draws with.

use std::path::Path;

use anyhow::{Error, Result};
use candle_core::Device;
use stackgan_core::Stage;
use stackgan_train::config::TrainConfig;
use stackgan_train::identity::check_settings;
use stackgan_train::knobs::Conditioning;
use stackgan_train::run_files::RunFiles;
use stackgan_train::start::Start;
use stackgan_train::store::{Header, Newest, Store};

use super::preset::run_of;
use crate::args::Train;
use crate::context::Context;
use crate::exit::Problem;
use crate::models::load;
use crate::run::{Record, checkpoints};

/// The header of the checkpoint that a run goes on from, with whose settings these are compared.
///
/// # Errors
/// Code 2 for settings that are not allowed to change, 3 if no checkpoint is whole.
pub(super) fn begun(
    run: Option<&Path>,
    config: &TrainConfig,
    args: &Train,
) -> Result<Option<Header>> {
    let Some(run) = run else { return Ok(None) };
    let Newest { found, passed_over } = newest(run, &Device::Cpu)?;
    let Some((header, _)) = found else { return Ok(None) };
    // The strict are told of a damaged checkpoint, which the run finds.
    if passed_over.is_empty() || !args.strict {
        check_settings(&header, config, &args.allow_change)?;
    }
    Ok(Some(header))
}

/// Loads what the record and the settings name. A run that goes on has its generator in its own
/// checkpoint, and can have Stage-I's discriminator from there, because the named files may no longer
/// exist.
///
/// # Errors
/// Code 4 if something does not exist, 3 if it is damaged, 2 for a sigma that was not trained.
pub(super) fn find(
    wanted: &Record,
    config: &TrainConfig,
    (resumed, context): (Option<&Path>, &Context),
) -> Result<Start> {
    let device = &context.device;
    let archive = |run| Ok::<_, Error>(newest(run, device)?.found.map(|(_, archive)| archive));
    let own = || resumed.map_or(Ok(None), archive);
    if let (Some(stage1), None) = (&wanted.stage1, resumed) {
        check_conditioning(stage1, config)?;
    }
    let generator = match &wanted.init_from {
        Some(model) if resumed.is_none_or(|run| checkpoints(run).is_empty()) => {
            Some(load(model, context)?.model)
        }
        _ => None,
    };
    let stage1_discriminator = match &wanted.stage1 {
        Some(run) if config.knobs.finetune_stage1 > 0.0 => Some(match own()? {
            Some(archive) => archive.part("tune.d."),
            None => match archive(run)? {
                Some(archive) => archive.part("d."),
                None => return Err(no_discriminator(run)),
            },
        }),
        _ => None,
    };
    Ok(Start { generator, stage1_discriminator })
}

/// Checks that Stage-II does not draw with a sigma that its Stage-I has not trained, because it was
/// trained without augmentation, if that run's settings are beside its model.
fn check_conditioning(stage1: &Path, config: &TrainConfig) -> Result<()> {
    let settings = run_of(stage1).map(|run| RunFiles::of(run).config());
    let Some(file) = settings.filter(|file| file.is_file()) else { return Ok(()) };
    let Ok(low) = TrainConfig::from_toml(&std::fs::read_to_string(&file).unwrap_or_default())
    else {
        return Ok(());
    };
    let (trained, asked) = (low.knobs.conditioning, config.knobs.conditioning);
    if low.stage != Stage::One || (trained, asked) != (Conditioning::Mean, Conditioning::Augmented)
    {
        return Ok(());
    }
    let parts = (format!("`mean`, as in {}", file.display()), "`augmented`");
    let remedy = "give `--set knobs.conditioning=mean`, or train on another Stage-I";
    let what = "the Stage-I model was trained without conditioning augmentation";
    Err(Problem::usage(what, "key: knobs.conditioning", parts, remedy).into())
}

/// Reads the newest valid checkpoint of a run folder, which may have none.
fn newest(run: &Path, device: &Device) -> Result<Newest> {
    let folder = RunFiles::of(run).checkpoints();
    Ok(match folder.is_dir() {
        true => Store::reading(&folder).newest(device)?,
        false => Newest { found: None, passed_over: Vec::new() },
    })
}

fn no_discriminator(run: &Path) -> Error {
    let place = format!("folder: {}", RunFiles::of(run).checkpoints().display());
    let remedy = "name the run folder of Stage-I, with its checkpoints: `--stage1 RUN`; \
                  or leave Stage-I as it is: `--set knobs.finetune_stage1=0`";
    let what = "tuning Stage-I needs its discriminator";
    Problem::missing(what, place, "a checkpoint of Stage-I's run", remedy).into()
}
