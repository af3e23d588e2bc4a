//! `cargo xtask bench`: whole training steps, timed. The work is an example of the program's crate, so that it is built
//! as users build it; here it is only started, in release mode.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

/// Times `steps` steps of each configuration; one JSON line each on stdout.
pub(crate) fn bench(root: &Path, steps: u32, paper: bool) -> Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let steps = steps.to_string();
    let paper = paper.then_some("--paper");
    cmd!(sh, "cargo run --quiet --release -p stackgan-cli --example bench_step -- --steps {steps} {paper...}").run()?;
    Ok(())
}
