//! `cargo xtask golden`: regenerates the golden fixtures that can be regenerated, and lists all.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// The scripts that make the fixtures of the feature networks and of the measures, and their
/// imports. The fixtures of the GAN's networks were computed outside of the repository.
const SCRIPTS: [(&str, &str); 2] = [
    ("features.py", "import torch, safetensors, efficientnet_lite_pytorch, pytorch_fid"),
    ("make_evaluation.py", "import torch, pytorch_fid, torch_fidelity, pytorch_msssim"),
];

/// Regenerates the fixtures whose scripts can run, and lists all fixtures.
pub(crate) fn golden(root: &Path) -> Result<()> {
    let folder = root.join("tests/golden");
    let sh = Shell::new()?;
    for (name, wanted) in SCRIPTS {
        let script = folder.join(name);
        if cmd!(sh, "python3 -c {wanted}").quiet().ignore_stderr().run().is_ok() {
            cmd!(sh, "python3 {script} {folder}").run()?;
        } else {
            println!("{name} needs python3 and packages that are not here: its head names them.");
        }
    }
    let mut found = 0;
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "safetensors" || e == "json") {
            found += 1;
            println!("{:>9} bytes  {}", path.metadata()?.len(), path.display());
        }
    }
    if found == 0 {
        bail!("there are no fixtures in {}", folder.display());
    }
    Ok(())
}
