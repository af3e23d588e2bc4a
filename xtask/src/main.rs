//! Tasks of the repository: `cargo xtask COMMAND`. Nothing here is part of the product.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of chores talks to the terminal"
)]

mod bench;
mod cuda;
mod fetch;
mod flags;
mod stand_in;
mod testing;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use fetch::Options;

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
        flags::XtaskCmd::FetchCub(flags::FetchCub { into, from, verify }) => {
            return fetch::fetch(&root, "cub", Options { into, from, verify });
        }
        flags::XtaskCmd::FetchOxford(flags::FetchOxford { into, from, verify }) => {
            return fetch::fetch(&root, "oxford", Options { into, from, verify });
        }
        flags::XtaskCmd::FetchCoco(flags::FetchCoco { into, from, verify }) => {
            return fetch::fetch(&root, "coco", Options { into, from, verify });
        }
        flags::XtaskCmd::CudaToolkit(f) => cuda::toolkit(&root, &f),
        flags::XtaskCmd::GpuStandIn(_) => stand_in::test(&root),
        flags::XtaskCmd::Ci(_) => ci(&root),
        flags::XtaskCmd::Tidy(_) => tidy::tidy(&root),
        flags::XtaskCmd::Testing(f) => testing::testing(&root, f.page_only),
        flags::XtaskCmd::Bench(f) => bench::bench(&root, &f),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Runs what continuous integration runs, with the incremental builds of this checkout.
fn ci(root: &Path) -> Result<()> {
    let (sh, checks) = (xshell::Shell::new()?, root.join(".ci/run"));
    let incremental = std::env::var("CARGO_INCREMENTAL").unwrap_or_else(|_| "1".to_owned());
    Ok(xshell::cmd!(sh, "bash {checks}").env("CARGO_INCREMENTAL", incremental).run()?)
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
