//! `cargo xtask golden`: where the golden fixtures come from, and whether they are still what was committed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// Makes the fixtures of the feature networks. Those of the GAN's networks were computed outside the repository.
const SCRIPT: &str = "tests/golden/features.py";

/// Makes again the fixtures that can be made, and lists all.
pub(crate) fn golden(root: &Path) -> Result<()> {
    let folder = root.join("tests/golden");
    let sh = Shell::new()?;
    let script = root.join(SCRIPT);
    let wanted = "import torch, safetensors, efficientnet_lite_pytorch";
    if cmd!(sh, "python3 -c {wanted}").quiet().ignore_stderr().run().is_ok() {
        cmd!(sh, "python3 {script} {folder}").run()?;
    } else {
        println!("{SCRIPT} needs python3 and packages that are not here: its head names them.");
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
