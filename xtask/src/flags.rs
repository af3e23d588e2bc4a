//! The commands, as they are typed.
#![allow(unused, unreachable_pub, missing_docs, reason = "written by the macro")]

use std::path::PathBuf;
use std::str::FromStr;

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
        /// What continuous integration runs: .ci/run.
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

/// The device to measure on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    Cpu,
    Gpu,
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Gpu),
            _ => Err(format!("expected cpu or cuda, found `{text}`")),
        }
    }
}
