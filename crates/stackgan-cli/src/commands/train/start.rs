//! The weights that a run's networks start from, if they are not fresh: `--init-from`, and
//! Stage-I's discriminator for fine-tuning Stage-I with Stage-II. Stage-I's weights themselves must
//! have been trained with the run's conditioning.

use std::path::Path;

use anyhow::Result;
use candle_core::Device;
use stackgan_core::Stage;
use stackgan_core::archive::Archive;
use stackgan_train::config::TrainConfig;
use stackgan_train::knobs::Conditioning;
use stackgan_train::run_files::RunFiles;
use stackgan_train::start::Start;
use stackgan_train::store::Store;

use super::preset::run_of;
use crate::context::Context;
use crate::exit::Problem;
use crate::models::load;
use crate::run::Record;

/// Loads what the record and the settings name. A resumed run can also use its own checkpoint,
/// because the named files may no longer exist.
///
/// # Errors
/// Code 4 if something does not exist, 3 if it is damaged, 2 for another conditioning.
pub(super) fn find(
    wanted: &Record,
    config: &TrainConfig,
    (resumed, context): (Option<&Path>, &Context),
) -> Result<Start> {
    let device = &context.device;
    let own = || resumed.map_or(Ok(None), |run| newest(run, device));
    if let (Some(stage1), None) = (&wanted.stage1, resumed) {
        check_conditioning(stage1, config)?;
    }
    let generator = match &wanted.init_from {
        Some(model) if model.exists() || own()?.is_none() => Some(load(model, context)?.model),
        _ => None,
    };
    let stage1_discriminator = match &wanted.stage1 {
        Some(run) if config.knobs.finetune_stage1 > 0.0 => Some(match newest(run, device)? {
            Some(archive) => archive.part("d."),
            None => match own()? {
                Some(archive) => archive.part("tune.d."),
                None => return Err(no_discriminator(run)),
            },
        }),
        _ => None,
    };
    Ok(Start { generator, stage1_discriminator })
}

/// Checks that Stage-II conditions on the text as its Stage-I did, if that run's settings are beside
/// its model: without augmentation Stage-I's sigma was not trained, and would be drawn with now.
fn check_conditioning(stage1: &Path, config: &TrainConfig) -> Result<()> {
    let settings = run_of(stage1).map(|run| RunFiles::of(run).config());
    let Some(file) = settings.filter(|file| file.is_file()) else { return Ok(()) };
    let Ok(low) = TrainConfig::from_toml(&std::fs::read_to_string(&file).unwrap_or_default())
    else {
        return Ok(());
    };
    let (trained, asked) = (low.knobs.conditioning, config.knobs.conditioning);
    if low.stage != Stage::One || trained == asked {
        return Ok(());
    }
    let named = |conditioning| match conditioning {
        Conditioning::Augmented => "augmented",
        Conditioning::Mean => "mean",
    };
    let parts = (format!("`{}`, as in {}", named(trained), file.display()), named(asked));
    let remedy = format!("give `--set knobs.conditioning={}`", named(trained));
    let what = "the Stage-I model was trained with another conditioning";
    Err(Problem::usage(what, "key: knobs.conditioning", parts, remedy).into())
}

/// Reads the newest valid checkpoint of a run folder.
fn newest(run: &Path, device: &Device) -> Result<Option<Archive>> {
    let folder = RunFiles::of(run).checkpoints();
    let found = if folder.is_dir() { Store::reading(&folder).newest(device)?.found } else { None };
    Ok(found.map(|(_, archive)| archive))
}

fn no_discriminator(run: &Path) -> anyhow::Error {
    let place = format!("folder: {}", RunFiles::of(run).checkpoints().display());
    let remedy = "name the run folder of Stage-I, with its checkpoints: `--stage1 RUN`; \
                  or leave Stage-I as it is: `--set knobs.finetune_stage1=0`";
    let what = "tuning Stage-I needs its discriminator";
    Problem::missing(what, place, "a checkpoint of Stage-I's run", remedy).into()
}
