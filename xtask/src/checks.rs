//! `cargo xtask ci`: the checks of continuous integration, cheapest first.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::{stand_in, tidy};

/// Runs every check; stops at the first that fails.
pub(crate) fn ci(root: &Path) -> Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    cmd!(sh, "cargo fmt --all --check").run()?;
    tidy::tidy(root)?;
    cmd!(sh, "cargo clippy --workspace --all-targets -- -D warnings").run()?;
    cmd!(sh, "cargo test --workspace").run()?;
    if stand_in::RUNS_HERE {
        stand_in::test(root, "target")?; // where most of it is built already
    }
    // Each library by itself, as others depend on it: in the workspace its features are all on.
    for library in ["noise", "kernels", "core", "data", "eval", "serve", "train"] {
        cmd!(sh, "cargo clippy --package stackgan-{library} -- -D warnings").run()?;
    }
    cmd!(sh, "cargo doc --no-deps --workspace").env("RUSTDOCFLAGS", "-D warnings").run()?;
    cmd!(sh, "cargo package --workspace --exclude xtask --no-verify --allow-dirty --quiet")
        .run()?;
    println!("everything passes");
    Ok(())
}
