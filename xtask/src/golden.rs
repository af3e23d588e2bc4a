//! `cargo xtask golden`: where the golden fixtures come from, and whether they are still what was committed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// A script beside the fixtures, once there is one for these networks.
const SCRIPT: &str = "tests/golden/make.py";

/// Makes the fixtures again where that is possible, else says what they are.
pub(crate) fn golden(root: &Path) -> Result<()> {
    let folder = root.join("tests/golden");
    let sh = Shell::new()?;
    let script = root.join(SCRIPT);
    if !script.exists() {
        println!(
            "The fixtures were computed outside this repository; tests/golden/README.md says how."
        );
    } else if cmd!(sh, "python3 -c 'import torch'").quiet().ignore_stderr().run().is_ok() {
        cmd!(sh, "python3 {script} {folder}").run()?;
    } else {
        println!("{SCRIPT} needs python3 with torch, which is not here.");
    }
    let mut found = 0;
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            found += 1;
            println!("{:>9} bytes  {}", path.metadata()?.len(), path.display());
        }
    }
    if found == 0 {
        bail!("there are no fixtures in {}", folder.display());
    }
    Ok(())
}
