//! Chores of the repository: `cargo xtask COMMAND`. Programs are run from here, and nothing here is part of the product.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of chores talks to the terminal"
)]

mod bench;
mod checks;
mod extract;
mod fetch;
mod golden;
mod manifest;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

mod flags {
    //! The commands, as they are typed.
    #![allow(unused, unreachable_pub, missing_docs, reason = "written by the macro")]

    use std::path::PathBuf;

    xflags::xflags! {
        /// Chores of the repository.
        cmd xtask {
            /// Downloads CUB-200-2011 into data/cub and unpacks it.
            cmd fetch-cub {
                /// The folder; data/cub unless told.
                optional --into dir: PathBuf
            }
            /// Downloads Oxford-102 flowers into data/oxford and unpacks it.
            cmd fetch-oxford {
                /// The folder; data/oxford unless told.
                optional --into dir: PathBuf
            }
            /// Downloads COCO 2014 into data/coco.
            cmd fetch-coco {
                /// The folder; data/coco unless told.
                optional --into dir: PathBuf
            }
            /// fmt, clippy, tests, docs, tidy: what continuous integration runs.
            cmd ci {}
            /// House rules that no other tool checks.
            cmd tidy {}
            /// Makes the golden fixtures again, where Python with torch is at hand.
            cmd golden {}
            /// Times steps, pictures, the loader and the program's start, beside PyTorch's and the machine's limit.
            cmd bench {
                /// A Python with torch, to time the peer (docs/bench/peer) in turns.
                optional --peer python: PathBuf
                /// Runs of each figure; 5 unless told.
                optional --runs n: u32
                /// Only the figures whose names contain this; COCO's sizes come with `coco`.
                optional --only name: String
                /// Two runs of one round each, to see that everything works.
                optional --quick
            }
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let flags = match flags::Xtask::from_env() {
        Ok(flags) => flags,
        Err(error) => error.exit(),
    };
    let root = root()?;
    let into =
        |dir: Option<PathBuf>, name: &str| dir.unwrap_or_else(|| root.join("data").join(name));
    match flags.subcommand {
        flags::XtaskCmd::FetchCub(f) => fetch::fetch(manifest::CUB, &into(f.into, "cub")),
        flags::XtaskCmd::FetchOxford(f) => fetch::fetch(manifest::OXFORD, &into(f.into, "oxford")),
        flags::XtaskCmd::FetchCoco(f) => fetch::fetch(manifest::COCO, &into(f.into, "coco")),
        flags::XtaskCmd::Ci(_) => checks::ci(&root),
        flags::XtaskCmd::Tidy(_) => tidy::tidy(&root),
        flags::XtaskCmd::Golden(_) => golden::golden(&root),
        flags::XtaskCmd::Bench(f) => {
            let flags::Bench { peer, runs, only, quick } = f;
            bench::bench(&root, &bench::Options { peer, runs, only, quick })
        }
    }
}

/// The root of the repository: the folder above this crate's.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("the xtask crate lies in the repository")
}
