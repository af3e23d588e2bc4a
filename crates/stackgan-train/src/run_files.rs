//! Where things lie in a run folder.

use std::path::{Path, PathBuf};

/// The name of a model's file in the folder of a run, of a demo and of the Hugging Face Hub.
pub const MODEL: &str = "model.safetensors";

/// The files of a run folder, by what they are. Nothing is opened: the folder need not exist.
#[derive(Clone, Copy, Debug)]
pub struct RunFiles<'a>(&'a Path);

impl<'a> RunFiles<'a> {
    /// The files of this folder.
    #[must_use]
    pub const fn of(run: &'a Path) -> Self {
        Self(run)
    }

    /// The lock, which the process that trains here holds. It is made when the run begins, and never
    /// written to.
    #[must_use]
    pub fn lock(self) -> PathBuf {
        self.0.join("LOCK")
    }

    /// The file whose presence asks the run to stop.
    #[must_use]
    pub fn stop(self) -> PathBuf {
        self.0.join("STOP")
    }

    /// The resolved configuration.
    #[must_use]
    pub fn config(self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The trained model: complete, with the encoder and the stages that exist.
    #[must_use]
    pub fn model(self) -> PathBuf {
        self.0.join(MODEL)
    }

    /// The Stage-I model that Stage-II was begun on. It stays when that one is trained on, or goes.
    #[must_use]
    pub fn stage1(self) -> PathBuf {
        self.0.join("stage1.safetensors")
    }

    /// The text encoder that came with the model that the run started from.
    #[must_use]
    pub fn encoder(self) -> PathBuf {
        self.0.join("encoder.safetensors")
    }

    /// The reports, one JSON line each.
    #[must_use]
    pub fn stats(self) -> PathBuf {
        self.0.join("stats.jsonl")
    }

    /// What was measured while training, one JSON line each time.
    #[must_use]
    pub fn measured(self) -> PathBuf {
        self.0.join("eval.jsonl")
    }

    /// The folder of checkpoints.
    #[must_use]
    pub fn checkpoints(self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The folder of the grids that are painted on the way.
    #[must_use]
    pub fn samples(self) -> PathBuf {
        self.0.join("samples")
    }

    /// The grid painted after `step` steps.
    #[must_use]
    pub fn sample(self, step: u64) -> PathBuf {
        self.samples().join(format!("{step:06}.png"))
    }

    /// The grids' captions, one per line, in the order of the rows. Those below the dataset's own say
    /// that they have no real picture.
    #[must_use]
    pub fn captions(self) -> PathBuf {
        self.samples().join("captions.txt")
    }

    /// The sentences of one's own among them, one per line, if there are any.
    #[must_use]
    pub fn sentences(self) -> PathBuf {
        self.samples().join("sentences.txt")
    }

    /// The grid of real pictures.
    #[must_use]
    pub fn reals(self) -> PathBuf {
        self.0.join("reals.png")
    }

    /// The bundle of a non-finite step (counted from 0).
    #[must_use]
    pub fn bundle(self, step: u64) -> PathBuf {
        self.0.join(format!("{BUNDLE}{step:07}{TENSORS}"))
    }

    /// The bundle of the last non-finite step that has one, and that step. The folder is listed.
    #[must_use]
    pub fn last_bundle(self) -> Option<(u64, PathBuf)> {
        let step = |path: &Path| {
            let name = path.file_name()?.to_str()?.strip_prefix(BUNDLE)?;
            name.strip_suffix(TENSORS)?.parse().ok()
        };
        let files = self.0.read_dir().ok()?.flatten().map(|entry| entry.path());
        files.filter_map(|path| Some((step(&path)?, path))).max()
    }
}

const BUNDLE: &str = "nonfinite-step-";
const TENSORS: &str = ".safetensors";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bundle_is_that_of_the_latest_step() {
        let run = tempfile::tempdir().unwrap();
        let files = RunFiles::of(run.path());
        assert_eq!(files.last_bundle(), None);
        for path in [files.bundle(7), files.bundle(12_345_678), files.model()] {
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(run.path().join("nonfinite-step-x.safetensors"), "").unwrap();
        assert_eq!(files.last_bundle(), Some((12_345_678, files.bundle(12_345_678))));
    }
}
