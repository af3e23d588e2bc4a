//! `stackgan runs`.

use std::path::PathBuf;

use clap::Subcommand;

/// Runs.
#[derive(Subcommand, Debug)]
pub(crate) enum Runs {
    /// List the runs, one per line
    #[command(before_help = "Examples:\n  stackgan runs ls\n  stackgan runs ls --json")]
    Ls {
        /// The folder of run folders
        #[arg(long, value_name = "DIR", default_value = "runs")]
        folder: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show one run: numbers, checkpoints, files, and the command to resume it
    #[command(before_help = "Examples:\n  stackgan runs show\n  stackgan runs show 12 --json")]
    Show {
        /// A run folder, or its name or number; default: the newest
        run: Option<PathBuf>,
        /// The folder of run folders
        #[arg(long, value_name = "DIR", default_value = "runs")]
        folder: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Watch a run in progress: live curves on a terminal, with a key for a soft stop; elsewhere
    /// one line per report
    #[command(
        before_help = "Examples:\n  stackgan runs watch\n  stackgan runs watch runs/00012-cub-stage1"
    )]
    Watch {
        /// A run folder, or its name or number; default: the newest
        run: Option<PathBuf>,
        /// The folder of run folders
        #[arg(long, value_name = "DIR", default_value = "runs")]
        folder: PathBuf,
    },
}
