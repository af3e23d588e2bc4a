//! Where things lie in a run folder, and of which step a file is, by its name or its header.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use candle_core::Device;
use serde_json::Value;
use stackgan_core::Model;
use stackgan_core::archive::KEY;

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
        let files = self.0.read_dir().ok()?.flatten().map(|entry| entry.path());
        files.filter_map(|path| Some((step_in(&path, BUNDLE)?, path))).max()
    }
}

const BUNDLE: &str = "nonfinite-step-";
const CHECKPOINT: &str = "step-";
const TENSORS: &str = ".safetensors";

/// Largest header that is read, in bytes: that of a prepared file holds less.
const HEADER: u64 = 64 << 20;

/// The name of the checkpoint after `step` steps.
pub(crate) fn checkpoint_name(step: u64) -> String {
    format!("{CHECKPOINT}{step:07}{TENSORS}")
}

/// The step in the name of a checkpoint; `None` for another file.
#[must_use]
pub fn checkpoint_step(file: &Path) -> Option<u64> {
    step_in(file, CHECKPOINT)
}

/// The step in a name that begins with `before`; `None` for another name.
fn step_in(file: &Path, before: &str) -> Option<u64> {
    let digits = file.file_name()?.to_str()?.strip_prefix(before)?.strip_suffix(TENSORS)?;
    let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    digits?.parse().ok()
}

/// What a file of this program says of itself in its header, whether the rest of it is sound or not.
#[must_use]
pub fn about(file: &Path) -> Option<String> {
    let (header, ..) = header(file)?;
    Some(header.get("__metadata__")?.get(KEY)?.as_str()?.to_owned())
}

/// The number of steps that made the last stage of a model, by the header of its file. `None` for a file
/// that is cut off, or that is no model.
#[must_use]
pub fn steps_of_model(model: &Path) -> Option<u64> {
    let (header, start, found) = header(model)?;
    let ends = header.as_object()?.values().filter_map(|entry| entry["data_offsets"][1].as_u64());
    let length = start.saturating_add(ends.max().unwrap_or_default());
    if found != length {
        return None;
    }
    let about: Value = serde_json::from_str(header["__metadata__"][KEY].as_str()?).ok()?;
    ["stage2", "stage1"].into_iter().find_map(|stage| about[stage]["steps"].as_u64())
}

/// The same of a model whose whole file is sound; `None` for any other.
#[must_use]
pub fn steps_of_sound_model(model: &Path) -> Option<u64> {
    let model = Model::from_bytes(&std::fs::read(model).ok()?, &Device::Cpu).ok()?;
    model.stage_info(model.last_stage()).ok().map(|info| info.steps)
}

/// The header of a file of tensors, where their values start, and the file's length.
fn header(file: &Path) -> Option<(Value, u64, u64)> {
    if !file.is_file() {
        return None; // a pipe is not waited for
    }
    let (mut file, mut length, mut header) = (File::open(file).ok()?, [0; 8], Vec::new());
    let whole = file.metadata().ok()?.len();
    file.read_exact(&mut length).ok()?;
    let length = Some(u64::from_le_bytes(length)).filter(|length| *length <= HEADER)?;
    file.take(length).read_to_end(&mut header).ok()?;
    Some((serde_json::from_slice(&header).ok()?, 8 + length, whole))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    #[test]
    fn a_checkpoint_is_known_by_its_name() {
        for step in [0, 12, 12_345_678] {
            assert_eq!(checkpoint_step(Path::new(&checkpoint_name(step))), Some(step));
        }
        for name in [
            "step-.safetensors",
            "step-12.txt",
            "step-1a.safetensors",
            "step-+5.safetensors",
            ".tmp-step-0000005.safetensors",
            "other",
        ] {
            assert_eq!(checkpoint_step(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn a_model_says_of_which_step_it_is_unless_it_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let stages = |last: Value| json!({ "stage1": { "steps": 7 }, "stage2": last }).to_string();
        let entry = json!({ "dtype": "F32", "shape": [1], "data_offsets": [0, 4] });
        let whole = |about: String| {
            let header = json!({ "__metadata__": { KEY: about }, "a": entry }).to_string();
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()
        };
        let (first, second) = (whole(stages(Value::Null)), whole(stages(json!({ "steps": 9 }))));
        for (bytes, steps) in [
            (&first[..], Some(7)),
            (&second[..], Some(9)),
            (&first[..first.len() - 1], None),
            (&first[..20], None),
            (&first[..0], None),
            (&whole("{}".to_owned())[..], None),
        ] {
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(steps_of_model(&file), steps, "{} bytes", bytes.len());
        }
        assert_eq!(steps_of_model(folder.path()), None);
    }
}
