//! `stackgan config`.

use std::path::PathBuf;

use clap::Subcommand;
use stackgan_core::Stage;

use super::train::Settings;

/// Settings.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Show the settings that a training run would have
    #[command(before_help = "Examples:\n  stackgan config show --preset cub --stage 1\n  \
                             stackgan config show --stage 2 --set optim.batch=8 --origin")]
    Show {
        /// The stage
        #[arg(long, default_value_t = Stage::One)]
        stage: Stage,
        /// Where the settings come from
        #[command(flatten)]
        settings: Settings,
        /// Also print where each setting comes from
        #[arg(long)]
        origin: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check a complete configuration file
    #[command(before_help = "Examples:\n  stackgan config check my-birds.toml\n  \
                             stackgan config check runs/00000-toy-stage1/config.toml")]
    Check {
        /// The file
        file: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List the built-in presets
    #[command(before_help = "Examples:\n  stackgan config presets\n  \
                             stackgan config presets --print cub-stage1")]
    Presets {
        /// Print the commented file of a preset
        #[arg(long, value_name = "NAME")]
        print: Option<String>,
        /// Print one JSON document
        #[arg(long, conflicts_with = "print")]
        json: bool,
    },
}
