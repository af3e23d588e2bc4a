//! Tasks of the repository: `cargo xtask COMMAND`. Nothing here is part of the product.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of chores talks to the terminal"
)]

mod bench;
mod checks;
mod cuda;
mod fetch;
mod golden;
mod testing;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use fetch::{NotImported, Options};
use stackgan_data::fetch::manifest;

mod flags {
    //! The commands, as they are typed.
    #![allow(unused, unreachable_pub, missing_docs, reason = "written by the macro")]

    use std::path::PathBuf;

    use crate::bench::Where;

    xflags::xflags! {
        /// Chores of the repository.
        cmd xtask {
            /// Fetches CUB-200-2011 into data/cub, checks it, unpacks it and imports it.
            cmd fetch-cub {
                /// The folder; data/cub unless told.
                optional --into dir: PathBuf
                /// A mirror: an address or folder with the set's files, or a folder with the set unpacked
                optional --from mirror: String
                /// Fetch nothing: check again what is there
                optional --verify
            }
            /// Fetches Oxford-102 flowers into data/oxford, checks it, unpacks it and imports it.
            cmd fetch-oxford {
                /// The folder; data/oxford unless told.
                optional --into dir: PathBuf
                /// A mirror: an address or folder with the set's files, or a folder with the set unpacked
                optional --from mirror: String
                /// Fetch nothing: check again what is there
                optional --verify
            }
            /// Fetches COCO 2014 into data/coco, checks it, unpacks it and imports it.
            cmd fetch-coco {
                /// The folder; data/coco unless told.
                optional --into dir: PathBuf
                /// A mirror: an address or folder with the set's files, or a folder with the set unpacked
                optional --from mirror: String
                /// Fetch nothing: check again what is there
                optional --verify
            }
            /// Fetches what a build for an NVIDIA GPU needs from PyPI, and prints the lines for a shell to build with it.
            cmd cuda-toolkit {
                /// The folder; target/cuda unless told.
                optional --to dir: PathBuf
                /// A folder or an address with the packages
                optional --from mirror: String
                /// The GPUs' compute capability, as 90 for 9.0; that of the GPU here, or else 80, unless told
                optional --compute-cap n: u32
            }
            /// fmt, clippy, tests, docs, tidy: what continuous integration runs.
            cmd ci {}
            /// House rules that no other tool checks.
            cmd tidy {}
            /// Runs the tests that count what they do, and writes docs/testing.md.
            cmd testing {
                /// Run no test: only write the page again
                optional --page-only
            }
            /// Makes the golden fixtures again, where Python with torch is at hand.
            cmd golden {}
            /// Times steps, pictures, the loader and the program's start, beside PyTorch's and the machine's limit.
            cmd bench {
                /// Where: `cpu`, or `cuda` for the first NVIDIA GPU; `cpu` unless told.
                optional --device name: Where
                /// A Python with torch, to time the peer (docs/bench/peer) in turns.
                optional --peer python: PathBuf
                /// Seconds that PyTorch gets for a figure on a GPU in all of its modes, compiling included; 900 unless told
                optional --patience seconds: u32
                /// Runs of each figure; 5 unless told.
                optional --runs n: u32
                /// Only the figures whose names contain this; COCO's sizes come with `coco`.
                optional --only name: String
                /// One step against batch, width and threads instead: docs/performance.md and its drawings are written
                optional --curves
                /// Two runs of one round each, to see that everything works. With --curves one run of fewer points
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
            ExitCode::from(code(&error))
        }
    }
}

fn run() -> Result<()> {
    let flags = match flags::Xtask::from_env() {
        Ok(flags) => flags,
        Err(error) => error.exit(),
    };
    let root = root()?;
    match flags.subcommand {
        flags::XtaskCmd::FetchCub(f) => {
            let options = Options { into: f.into, from: f.from, verify: f.verify };
            fetch::fetch(&root, &manifest::CUB, &options)
        }
        flags::XtaskCmd::FetchOxford(f) => {
            let options = Options { into: f.into, from: f.from, verify: f.verify };
            fetch::fetch(&root, &manifest::OXFORD, &options)
        }
        flags::XtaskCmd::FetchCoco(f) => {
            let options = Options { into: f.into, from: f.from, verify: f.verify };
            fetch::fetch(&root, &manifest::COCO, &options)
        }
        flags::XtaskCmd::CudaToolkit(f) => {
            let flags::CudaToolkit { to, from, compute_cap } = f;
            cuda::toolkit(&root, &cuda::Options { to, from, compute_cap })
        }
        flags::XtaskCmd::Ci(_) => checks::ci(&root),
        flags::XtaskCmd::Tidy(_) => tidy::tidy(&root),
        flags::XtaskCmd::Testing(f) => testing::testing(&root, f.page_only, &tidy::sources(&root)?),
        flags::XtaskCmd::Golden(_) => golden::golden(&root),
        flags::XtaskCmd::Bench(f) => {
            let flags::Bench { device, peer, patience, runs, only, curves, quick } = f;
            let gpu = device == Some(bench::Where::Gpu);
            bench::bench(&root, &bench::Options { gpu, peer, patience, runs, only, curves, quick })
        }
    }
}

/// The exit code, as that of the program (docs/training.md).
fn code(error: &anyhow::Error) -> u8 {
    use stackgan_data::Error as E;
    if let Some(NotImported(code)) = error.downcast_ref() {
        return code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<E>()) {
        Some(E::Config { .. }) => 2,
        Some(E::Malformed { .. } | E::Read { .. }) => 3,
        Some(E::Missing { .. } | E::Unreachable { .. }) => 4,
        Some(E::Write { .. } | E::Storage { .. }) => 6,
        _ => 1,
    }
}

/// The root of the repository: the folder above this crate's.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("the xtask crate lies in the repository")
}
