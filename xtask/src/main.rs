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
mod stand_in;
mod testing;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use fetch::Options;

mod flags {
    //! The commands, as they are typed.
    #![allow(unused, unreachable_pub, missing_docs, reason = "written by the macro")]

    use std::path::PathBuf;

    use crate::bench::Where;

    xflags::xflags! {
        /// Tasks of the repository.
        cmd xtask {
            /// Fetches CUB-200-2011 into data/cub, checks it, unpacks it and imports it.
            cmd fetch-cub {
                /// The folder; default: data/cub
                optional --into dir: PathBuf
                /// A mirror: an address or a folder with the set's files, or a folder with the
                /// unpacked set
                optional --from mirror: String
                /// Fetch nothing; check the existing files again
                optional --verify
            }
            /// Fetches Oxford-102 flowers into data/oxford, checks it, unpacks it and imports it.
            cmd fetch-oxford {
                /// The folder; default: data/oxford
                optional --into dir: PathBuf
                /// A mirror: an address or a folder with the set's files, or a folder with the
                /// unpacked set
                optional --from mirror: String
                /// Fetch nothing; check the existing files again
                optional --verify
            }
            /// Fetches COCO 2014 into data/coco, checks it, unpacks it and imports it.
            cmd fetch-coco {
                /// The folder; default: data/coco
                optional --into dir: PathBuf
                /// A mirror: an address or a folder with the set's files, or a folder with the
                /// unpacked set
                optional --from mirror: String
                /// Fetch nothing; check the existing files again
                optional --verify
            }
            /// Fetches the packages for an NVIDIA GPU build from PyPI, and prints lines for the
            /// shell.
            cmd cuda-toolkit {
                /// The folder; default: target/cuda
                optional --to dir: PathBuf
                /// A folder or an address with the packages
                optional --from mirror: String
                /// The GPU's compute capability, 90 for 9.0; default: that of this GPU, else 80
                optional --compute-cap n: u32
            }
            /// Runs the tests of GPU code on a stand-in for a GPU (tests/gpu-stand-in).
            cmd gpu-stand-in {}
            /// fmt, clippy, tests, docs, tidy, as in continuous integration.
            cmd ci {}
            /// House rules that no other tool checks.
            cmd tidy {}
            /// Runs the tests that count what they do, and writes docs/testing.md.
            cmd testing {
                /// Run no tests; only write the page again
                optional --page-only
            }
            /// Times steps, pictures, the loader and the program's start, against PyTorch and the
            /// machine.
            cmd bench {
                /// The device: `cpu`, or `cuda` for the first NVIDIA GPU; default: `cpu`
                optional --device name: Where
                /// A Python with torch, to time PyTorch (docs/bench/peer) in turns
                optional --peer python: PathBuf
                /// Seconds for each of PyTorch's GPU measurements, compiling included; default: 900
                optional --patience seconds: u32
                /// Number of runs of each measurement; default: 5
                optional --runs n: u32
                /// Only the measurements whose names contain this; those of COCO need `coco`
                optional --only name: String
                /// Time a step by batch, width and threads instead, for docs/performance.md and its
                /// drawings
                optional --curves
                /// Two runs of one round each, as a check; with --curves one run with fewer points
                optional --quick
            }
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

fn run() -> Result<ExitCode> {
    let flags = match flags::Xtask::from_env() {
        Ok(flags) => flags,
        Err(error) => error.exit(),
    };
    let root = root()?;
    match flags.subcommand {
        flags::XtaskCmd::FetchCub(f) => {
            let options = Options { into: f.into, from: f.from, verify: f.verify };
            return fetch::fetch(&root, "cub", options);
        }
        flags::XtaskCmd::FetchOxford(f) => {
            let options = Options { into: f.into, from: f.from, verify: f.verify };
            return fetch::fetch(&root, "oxford", options);
        }
        flags::XtaskCmd::FetchCoco(f) => {
            let options = Options { into: f.into, from: f.from, verify: f.verify };
            return fetch::fetch(&root, "coco", options);
        }
        flags::XtaskCmd::CudaToolkit(f) => {
            let flags::CudaToolkit { to, from, compute_cap } = f;
            cuda::toolkit(&root, &cuda::Options { to, from, compute_cap })
        }
        flags::XtaskCmd::GpuStandIn(_) => stand_in::test(&root, stand_in::TARGET),
        flags::XtaskCmd::Ci(_) => checks::ci(&root),
        flags::XtaskCmd::Tidy(_) => tidy::tidy(&root),
        flags::XtaskCmd::Testing(f) => testing::testing(&root, f.page_only),
        flags::XtaskCmd::Bench(f) => {
            let flags::Bench { device, peer, patience, runs, only, curves, quick } = f;
            let gpu = device == Some(bench::Where::Gpu);
            bench::bench(&root, &bench::Options { gpu, peer, patience, runs, only, curves, quick })
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the exit code, as that of the program (docs/training.md).
fn code(error: &anyhow::Error) -> u8 {
    use stackgan_data::Error as E;
    match error.chain().find_map(|cause| cause.downcast_ref::<E>()) {
        Some(E::Config { .. }) => 2,
        Some(E::Malformed { .. } | E::Read { .. }) => 3,
        Some(E::Missing { .. } | E::Unreachable { .. }) => 4,
        Some(E::Write { .. } | E::Storage { .. }) => 6,
        _ => 1,
    }
}

/// Returns the root of the repository: the parent folder of this crate.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("the xtask crate lies in the repository")
}
