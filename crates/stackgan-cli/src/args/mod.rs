//! The command line: every command, option and help text. Each help begins with two commands that
//! can be run as they are.

mod data;
mod eval;
mod global;
mod onnx;
mod paint;
mod positive;
mod serve;
mod text;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use stackgan_core::Stage;

pub(crate) use data::{
    Contrast, Damaged, Data, Fetch, FetchSet, Import, Kind, Layout, Recipe, Sizes, Uncaptioned,
};
pub(crate) use eval::{Eval, Metric, Nearest, Part};
pub(crate) use global::{Global, Precision};
pub(crate) use onnx::Onnx;
pub(crate) use paint::{Edit, Generate, Interpolate, Painting, Repro, Seeds};
pub(crate) use serve::Serve;
pub(crate) use text::{EncoderSize, LetterCase, Text, TextEncode, TextImport, TextTrain, Unknown};
pub(crate) use train::{Resuming, Settings, Train};

use positive::positive;

/// Draws a 256x256 picture from a sentence, and trains the model for it: StackGAN (Zhang et al.,
/// 2017).
#[derive(Parser, Debug)]
#[command(
    name = "stackgan",
    version,
    before_help = "Examples:\n  stackgan demo\n  stackgan generate -m runs/00001-toy-stage2 -p \"a small red bird\"",
    after_help = "Exit codes: 0 done; 1 failed while running; 2 usage or configuration; 3 data or weights damaged; \
                  4 something needed is missing; 5 a gate said no; 6 storage; 7 training became non-finite; \
                  75 time budget used; 129, 130, 143 stopped by a signal after a checkpoint."
)]
pub(crate) struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Paint birds with a model trained from nothing: offline, on a CPU, in minutes
    Demo(Demo),
    /// Datasets: fetch, draw, import, check, preview
    #[command(subcommand)]
    Data(Data),
    /// The text encoder: train or import one, encode captions
    #[command(subcommand)]
    Text(Text),
    /// Train Stage-I or Stage-II
    Train(Train),
    /// Repeat a training step that became non-finite
    #[command(
        before_help = "Examples:\n  stackgan replay runs/00003-toy-stage1/nonfinite-step-0000120.safetensors\n  \
                             stackgan replay --json nonfinite-step-0000120.safetensors"
    )]
    Replay {
        /// The `nonfinite-step-….safetensors` of a run folder
        bundle: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Paint pictures from sentences
    Generate(Generate),
    /// Paint many sentences with one noise: how a picture changes with its words
    ///
    /// Alternatives are written in braces. Every combination is painted with the same noise as a
    /// separate picture. A sheet, `edit.png`, shows all: the last alternatives as columns, the
    /// others and the seeds as rows.
    Edit(Edit),
    /// Animate the way between two sentences, or between seeds of one sentence
    ///
    /// Goes between two sentences with the same noise, or from seed to seed of one sentence. Writes
    /// an animated PNG, `interpolation.png`, and some of its frames side by side, `sheet.png`.
    Interpolate(Interpolate),
    /// Paint pictures again from the metadata in their files, and compare the pixels
    ///
    /// Exit code 5 if a picture differs; 3 or 4 if all pictures that could be compared are the
    /// same, but one could not be compared: it has no metadata, another model painted it, or its
    /// embeddings are missing.
    Repro(Repro),
    /// Serve a web page and an HTTP API: type a sentence, see the pictures
    Serve(Serve),
    /// Measure how well a model paints: FID, KID, inception score, precision, R-precision, each
    /// with its conditions
    Eval(Box<Eval>),
    /// Find the training pictures closest to what a model paints: does it copy?
    Nearest(Nearest),
    /// Model files: show, import, export, verify, compare
    #[command(subcommand)]
    Model(Model),
    /// Runs: list them, show one, watch one
    #[command(subcommand)]
    Runs(Runs),
    /// Settings: show, check, list the presets
    #[command(subcommand)]
    Config(Config),
    /// Show what this machine offers, and check that everything works on it
    #[command(before_help = "Examples:\n  stackgan doctor\n  stackgan doctor --json")]
    Doctor {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell
    #[command(before_help = "Examples:\n  stackgan completions bash\n  stackgan completions zsh")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one for each command, into a folder
    #[command(
        before_help = "Examples:\n  stackgan man\n  stackgan man --out ~/.local/share/man/man1"
    )]
    Man {
        /// The folder
        #[arg(long, default_value = "man", value_name = "DIR")]
        out: PathBuf,
    },
}

/// Draw toy birds, train on them, paint, and write one report: offline, on a CPU, in minutes.
#[derive(Args, Clone, Debug)]
#[command(before_help = "Examples:\n  stackgan demo\n  stackgan demo --minutes 30 --out my-demo")]
pub(crate) struct Demo {
    /// Time limit in minutes, without the drawing of sheets and the scores
    #[arg(long, default_value_t = 10.0, value_name = "M", value_parser = positive)]
    pub minutes: f64,
    /// Take less than a minute, with few pictures and hardly any training: shows that everything
    /// works
    #[arg(long, conflicts_with = "minutes")]
    pub quick: bool,
    /// The folder to write
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub out: PathBuf,
    /// The random seed
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
}

/// Model files.
#[derive(Subcommand, Debug)]
pub(crate) enum Model {
    /// Show recipe, stages, sizes, text encoder, training and SHA-256
    #[command(before_help = "Examples:\n  stackgan model info demo/model.safetensors\n  \
                             stackgan model info runs/00000-toy-stage1 --json")]
    Info {
        /// A model file, a run folder or `hub:OWNER/NAME`
        model: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Import published or trained generators: of the TensorFlow release (a checkpoint), of the
    /// PyTorch release (a state dict); or a network for measurements
    #[command(
        before_help = "Examples:\n  stackgan model import birds_model_164000.ckpt --encoder cub.safetensors --out birds.safetensors\n  \
                             stackgan model import netG_epoch_90.pth --out coco.safetensors"
    )]
    Import {
        /// A checkpoint of TensorFlow (also named by its .index), a .pth of any version of torch, a
        /// .t7 with a table of tensors by name, or safetensors
        file: PathBuf,
        /// The model file to write
        #[arg(long, value_name = "FILE", default_value = "model.safetensors")]
        out: PathBuf,
        /// The text encoder whose embeddings it was trained with; without one it paints from
        /// embeddings only
        #[arg(long, value_name = "FILE")]
        encoder: Option<PathBuf>,
        /// The name of the dataset that it was trained on; default: coco for a state dict, unknown
        /// for a checkpoint
        #[arg(long)]
        dataset: Option<String>,
    },
    /// Export the generator for PyTorch's `load_state_dict` (plain recipe), the model as a folder
    /// for the hub, or files for ONNX runtimes
    #[command(
        before_help = "Examples:\n  stackgan model export coco.safetensors --out netG.safetensors\n  \
                             stackgan model export runs/00001-toy-stage2 --onnx birds.onnx"
    )]
    Export {
        /// A model file, a run folder or `hub:OWNER/NAME`
        model: PathBuf,
        /// The safetensors file to write
        #[arg(long, value_name = "FILE", default_value = "netG.safetensors")]
        out: PathBuf,
        /// Write a folder for the Hugging Face hub instead: model.safetensors, config.json,
        /// README.md
        #[arg(long, value_name = "DIR", conflicts_with = "out")]
        hub: Option<PathBuf>,
        /// Files for ONNX runtimes
        #[command(flatten)]
        onnx: Onnx,
    },
    /// Check that a model has every tensor, that all values are finite, and that it can paint (exit
    /// code 3 if the file is damaged, 5 if a value is not finite)
    #[command(before_help = "Examples:\n  stackgan model verify runs/00001-toy-stage2\n  \
                             stackgan model verify demo/model.safetensors")]
    Verify {
        /// A model file, a run folder or `hub:OWNER/NAME`
        model: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Compare the tensors of two models (exit code 5 if they differ)
    #[command(
        before_help = "Examples:\n  stackgan model diff runs/00000-toy-stage1 runs/00001-toy-stage1\n  \
                             stackgan model diff before.safetensors after.safetensors"
    )]
    Diff {
        /// A model file, a run folder or `hub:OWNER/NAME`
        a: PathBuf,
        /// Another one
        b: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

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
    },
    /// Check a complete configuration file
    #[command(before_help = "Examples:\n  stackgan config check my-birds.toml\n  \
                             stackgan config check runs/00000-toy-stage1/config.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// List the built-in presets
    #[command(before_help = "Examples:\n  stackgan config presets\n  \
                             stackgan config presets --print cub-stage1")]
    Presets {
        /// Print the commented file of a preset
        #[arg(long, value_name = "NAME")]
        print: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_opens_its_help_with_two_examples_that_parse() {
        let mut checked = 0;
        let mut open = vec![Cli::command()];
        while let Some(command) = open.pop() {
            if command.has_subcommands() && command.get_name() != "stackgan" {
                open.extend(command.get_subcommands().cloned());
                continue; // a noun: its verbs have the examples
            }
            open.extend(command.get_subcommands().cloned());
            let name = command.get_name().to_owned();
            let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help.lines().skip(1).map(str::trim).collect();
            assert_eq!(examples.len(), 2, "{name}: {help}");
            for example in examples {
                let parsed = Cli::try_parse_from(words(example));
                assert!(parsed.is_ok(), "{example}: {:?}", parsed.err());
                checked += 1;
            }
        }
        assert!(checked >= 30, "{checked}");
    }

    /// Splits words as a shell would, with double quotes only.
    fn words(line: &str) -> Vec<String> {
        let quoted = line.split('"').enumerate();
        let words = quoted.flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            _ => vec![part.to_owned()],
        });
        words.collect()
    }
}
