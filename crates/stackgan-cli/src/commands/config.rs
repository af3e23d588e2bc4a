//! `stackgan config`: the settings of a run, and the origin of each.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use stackgan_core::Stage;
use stackgan_train::config::{PRESETS, TrainConfig, preset};

use crate::args;
use crate::config::{Base, Layers, environment, read_toml};
use crate::exit::Problem;
use crate::output::{Answer, Form, aligned, path_text, print, quoted};

/// Shows, checks or lists settings.
pub(super) fn run(args: args::Config) -> Result<()> {
    match args {
        args::Config::Show { stage, settings, origin, json } => {
            let layers = Layers::over(&Base::Preset, stage, &settings, environment()?)?;
            let config = layers.resolve()?;
            match origin {
                true => Form::from(json).show(&Origins::of(&layers)),
                false => Form::from(json).show(&Settings { toml: config.to_toml()?, config }),
            }
        }
        args::Config::Check { file, json } => Form::from(json).show(&check(&file)?),
        args::Config::Presets { print: None, json } => Form::from(json).show(&Presets::all()),
        args::Config::Presets { print: Some(name), .. } => match preset(&name) {
            Some(text) => print(text.trim_end()),
            None => {
                let known: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
                let parts = (known.join(", "), format!("`{}`", name.escape_debug()));
                let remedy = "take one of these names";
                Err(Problem::usage("there is no such preset", "option: --print", parts, remedy)
                    .into())
            }
        },
    }
}

/// The settings of a run: in JSON with the names and tables that TOML has.
#[derive(Serialize)]
#[serde(transparent)]
struct Settings {
    config: TrainConfig,
    #[serde(skip)]
    toml: String,
}

impl Answer for Settings {
    fn lines(&self) -> Vec<String> {
        vec![self.toml.trim_end().to_owned()]
    }
}

/// Every setting with its origin, sorted by key.
#[derive(Serialize)]
struct Origins(Vec<Setting>);

#[derive(Serialize)]
struct Setting {
    key: String,
    value: toml::Value,
    origin: String,
}

impl Origins {
    fn of(layers: &Layers) -> Self {
        let setting = |(key, value, origin): (&str, &toml::Value, &crate::config::Origin)| {
            Setting { key: key.to_owned(), value: value.clone(), origin: origin.to_string() }
        };
        Self(layers.iter().map(setting).collect())
    }
}

impl Answer for Origins {
    fn lines(&self) -> Vec<String> {
        let settings = || self.0.iter().map(|s| (format!("{} = {}", s.key, s.value), &s.origin));
        let width = settings().map(|(setting, _)| setting.len()).max().unwrap_or(0);
        settings().map(|(setting, origin)| format!("{setting:width$}  # {origin}")).collect()
    }
}

/// A file of settings that can be used.
#[derive(Serialize)]
struct Checked {
    file: String,
    settings: TrainConfig,
}

fn check(file: &Path) -> Result<Checked> {
    let read = TrainConfig::from_toml(&read_toml(file)?);
    // A pipe cannot be read again.
    if let Err(error) = &read
        && file.is_file()
        && let Some(stage) = stage_over(file)
    {
        return Err(incomplete(file, error, stage).into());
    }
    let settings = read
        .with_context(|| format!("the configuration cannot be used\n  file: {}", file.display()))?;
    Ok(Checked { file: path_text(file), settings })
}

/// The stage over whose preset a file of some settings can be used, if there is one.
fn stage_over(file: &Path) -> Option<Stage> {
    let settings = args::Settings { config: Some(file.to_path_buf()), ..args::Settings::default() };
    let fits = |stage: &Stage| {
        let layers = Layers::over(&Base::Preset, *stage, &settings, Vec::new());
        layers.and_then(|layers| layers.resolve()).is_ok()
    };
    [Stage::One, Stage::Two].into_iter().find(fits)
}

/// The error for a file that has some settings, which is all that `train --config` needs.
fn incomplete(file: &Path, error: &stackgan_train::Error, stage: Stage) -> Problem {
    let found = match error {
        stackgan_train::Error::Config { found, .. } => found.clone(),
        other => other.to_string(),
    };
    let of = match stage {
        Stage::One => String::new(),
        Stage::Two => format!("--stage {stage} "),
    };
    let remedy = format!(
        "a part is complete only as a layer over a preset: `stackgan config show {of}--config {}` checks it so, \
         as `train --config` takes it",
        quoted(file)
    );
    let (what, place) = ("the configuration is not complete", format!("file: {}", file.display()));
    Problem::usage(what, place, ("every setting", found), remedy)
}

impl Answer for Checked {
    fn lines(&self) -> Vec<String> {
        vec![format!("{}: complete, every value in its range", self.file)]
    }
}

/// The built-in presets.
#[derive(Serialize)]
struct Presets(Vec<Preset>);

#[derive(Serialize)]
struct Preset {
    name: &'static str,
    /// The first line of its file.
    about: &'static str,
}

impl Presets {
    fn all() -> Self {
        let about = |text: &'static str| text.lines().next().unwrap_or_default();
        let preset = |(name, text): &(&'static str, &'static str)| Preset {
            name,
            about: about(text).trim_start_matches("# "),
        };
        Self(PRESETS.iter().map(preset).collect())
    }
}

impl Answer for Presets {
    fn lines(&self) -> Vec<String> {
        let row = |preset: &Preset| [preset.name, preset.about].map(str::to_owned);
        aligned(&self.0.iter().map(row).collect::<Vec<_>>())
    }
}
