//! `stackgan demo`.

use std::path::PathBuf;

use clap::Args;

use super::parsers::positive;

/// Draw toy birds, train on them, paint, and write one report: offline, on a CPU, in minutes.
#[derive(Args, Clone, Debug)]
#[command(before_help = "Examples:\n  stackgan demo\n  stackgan demo --minutes 30 --out my-demo")]
pub(crate) struct Demo {
    /// Time limit in minutes, without the drawing of sheets and the scores; default: 10, or as it
    /// began
    #[arg(long, value_name = "M", value_parser = positive)]
    pub minutes: Option<f64>,
    /// Take less than a minute, with few pictures and hardly any training: shows that everything
    /// works
    #[arg(long, conflicts_with = "minutes")]
    pub quick: bool,
    /// The folder to write, or to go on in
    #[arg(long, alias = "output", default_value = "demo", value_name = "DIR")]
    pub out: PathBuf,
    /// The random seed, below 2^63 as in the settings of a run; default: 0, or as it began
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 63))]
    pub seed: Option<u64>,
}
