//! The command line: every command, option and help text. Each help begins with two commands that
//! can be run as they are.

mod config;
mod data;
mod demo;
mod eval;
mod global;
mod model;
mod paint;
mod parsers;
mod runs;
mod serve;
mod text;
mod train;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::version::BUILD;

pub(crate) use config::Config;
pub(crate) use data::{
    Contrast, Damaged, Data, Fetch, FetchSet, Fit, Import, Kind, Layout, Recipe, Sizes,
    Uncaptioned, Unpack,
};
pub(crate) use demo::Demo;
pub(crate) use eval::{Eval, Metric, Nearest, PainterOptions, Part};
pub(crate) use global::{Global, Precision};
pub(crate) use model::{Model, Onnx};
pub(crate) use paint::{Edit, Generate, Interpolate, NoiseScales, Painting, Repro, Seeds};
pub(crate) use runs::Runs;
pub(crate) use serve::Serve;
pub(crate) use text::{EncoderSize, LetterCase, Text, TextEncode, TextImport, TextTrain, Unknown};
pub(crate) use train::{Evaluation, MOST_ROLLBACKS, Resuming, Settings, Train};

/// Draws a 256x256 picture from a sentence, and trains the model for it: StackGAN (Zhang et al.,
/// 2017).
#[derive(Parser, Debug)]
#[command(
    name = "stackgan",
    version = BUILD,
    before_help = "Examples:\n  stackgan demo\n  stackgan generate -m runs/00001-toy-stage2 -p \"a small red bird\"",
    after_help = "Exit codes: 0 done; 1 failed while running; 2 usage or configuration; 3 data or weights damaged; \
                  4 something needed is missing; 5 a gate said no; 6 storage; 7 training became non-finite; \
                  75 time budget used; 101 fault of the program; 129, 130, 143 stopped by a signal after a checkpoint."
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
    /// Paint birds with a model trained from nothing: offline, on a CPU, in minutes. Stopped, it goes on
    /// with the same command
    Demo(Demo),
    /// Datasets: fetch, draw, unpack, import, check, preview
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
        #[arg(long, alias = "output", default_value = "man", value_name = "DIR")]
        out: PathBuf,
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
            let joined = help.replace("\\\n", ""); // lines that go on
            let examples: Vec<&str> = joined.lines().skip(1).map(str::trim).collect();
            assert_eq!(examples.len(), 2, "{name}: {help}");
            for example in examples {
                let parsed = Cli::try_parse_from(words(example));
                assert!(parsed.is_ok(), "{example}: {:?}", parsed.err());
                checked += 1;
            }
        }
        assert!(checked >= 30, "{checked}");
    }

    /// Nobody has to remember which command calls it `--out`, and which `--output`.
    #[test]
    fn what_a_command_writes_has_one_of_two_names_and_takes_the_other() {
        let (mut open, mut checked) = (vec![Cli::command()], 0);
        while let Some(command) = open.pop() {
            open.extend(command.get_subcommands().cloned());
            for argument in command.get_arguments() {
                let also = argument.get_all_aliases().unwrap_or_default();
                let names: Vec<&str> = argument.get_long().into_iter().chain(also).collect();
                if ["out", "output", "into"].iter().any(|name| names.contains(name)) {
                    let both = names.contains(&"out") && names.contains(&"output");
                    assert!(both, "{}: {names:?}", command.get_name());
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 19);
    }

    #[test]
    fn the_captions_of_class_names_are_all_said() {
        use clap::ValueEnum as _;
        let value = Uncaptioned::ClassName.to_possible_value().unwrap();
        let help = value.get_help().unwrap().to_string();
        for caption in ["`sunflower`", "`a sunflower`", "a photo of a", "a picture of a"] {
            assert!(help.contains(caption), "{caption}: {help}");
        }
    }

    #[test]
    fn the_space_around_a_sentence_is_dropped_wherever_one_is_typed() {
        let encode = ["text", "encode", "--encoder", "e", "--output", "v"];
        for (command, option) in [
            (&["generate", "-m", "demo"][..], "-p"),
            (&["edit", "-m", "demo"], "--prompt"),
            (&["interpolate", "-m", "demo", "--seeds", "0,1"], "-p"),
            (&["interpolate", "-m", "demo", "--to", "b"], "--from"),
            (&["interpolate", "-m", "demo", "--from", "b"], "--to"),
            (&encode, "-p"),
        ] {
            let parsed = |said: &str| {
                let typed = [&["stackgan"], command, &[option, said]].concat();
                format!("{:?}", Cli::try_parse_from(typed).unwrap())
            };
            let bare = parsed("a  red bird");
            assert_eq!(parsed(" a  red bird\u{a0}\n"), bare, "{command:?} {option}");
            assert!(bare.contains("\"a  red bird\""), "{bare}");
        }
        let empty = Cli::try_parse_from(["stackgan", "generate", "-m", "demo", "-p", " "]);
        assert!(empty.is_ok(), "it is refused later, with what to do");
    }

    /// A run's settings are kept as TOML, whose integers end at 2^63.
    #[test]
    fn a_demo_takes_the_seeds_that_a_run_can_have() {
        let demo = |seed: u64| {
            Cli::try_parse_from(["stackgan", "demo", "--seed", &seed.to_string()]).is_ok()
        };
        assert_eq!([0, i64::MAX as u64].map(demo), [true; 2]);
        assert_eq!([1 << 63, u64::MAX].map(demo), [false; 2]);
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
