//! `stackgan config`: the settings of a run, and the origin of each.

use anyhow::{Context as _, Result};
use stackgan_train::config::{PRESETS, TrainConfig, preset};

use crate::args;
use crate::config::{Layers, environment, read_toml};
use crate::exit::Problem;
use crate::output::print;

/// Shows, checks or lists settings.
pub(super) fn run(args: args::Config) -> Result<()> {
    match args {
        args::Config::Show { stage, settings, origin } => {
            let layers = Layers::new(stage, &settings, environment()?)?;
            let config = layers.resolve()?;
            if !origin {
                return print(config.to_toml()?.trim_end());
            }
            let lines: Vec<(String, String)> = layers
                .iter()
                .map(|(key, value, origin)| (format!("{key} = {value}"), origin.to_string()))
                .collect();
            let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
            lines.iter().try_for_each(|(line, origin)| print(format!("{line:width$}  # {origin}")))
        }
        args::Config::Check { file } => {
            let text = read_toml(&file)?;
            TrainConfig::from_toml(&text).with_context(|| {
                format!("the configuration cannot be used\n  file: {}", file.display())
            })?;
            print(format!("{}: complete, every value in its range", file.display()))
        }
        args::Config::Presets { print: None } => PRESETS.iter().try_for_each(|(name, text)| {
            let first = text.lines().next().unwrap_or_default().trim_start_matches("# ");
            print(format!("{name:14}  {first}"))
        }),
        args::Config::Presets { print: Some(name) } => match preset(&name) {
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
