//! The model named by `-m`: a file, a run folder, a folder in the Hub's layout, or
//! `hub:OWNER/NAME`.

use std::ffi::OsStr;
use std::fs::{File, FileType};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use candle_core::Device;
use rayon::prelude::*;
use stackgan_core::{Model, Stage};
use stackgan_data::fetch::hub::{Layout, Wanted};
use stackgan_data::positional::read_exact_at;
use stackgan_train::run::model_at;
use stackgan_train::run_files::{MODEL, checkpoint_step};
use stackgan_train::store::Store;

use crate::context::Context;
use crate::exit::Problem;
use crate::run::is_run;
use crate::weights::{Expected, foreign, of_tensorflow};
use crate::{encoders, hub};

/// Maximum size of a model file in bytes.
const LARGEST: u64 = 8 << 30;
/// The files to fetch from a repository: the model file contains everything.
const LAYOUT: Layout<'static> = Layout {
    files: &[Wanted { name: MODEL, most: LARGEST, needed: true }],
    expected: "a repository of this program's models, as `stackgan model export --hub` lays them out",
    remedy: "check the name; sentence encoders go to `--encoder`",
};

/// A model with facts about its file.
pub(crate) struct Loaded {
    pub(crate) model: Model,
    /// SHA-256 of its file.
    pub(crate) sha256: String,
    pub(crate) file: PathBuf,
    /// The display name: its file, folder or repository.
    pub(crate) name: String,
}

/// Reads the model called `named`.
///
/// # Errors
/// Code 4 when it does not exist or cannot be fetched, 3 when it is damaged or another program's.
pub(crate) fn load(named: &Path, context: &Context) -> Result<Loaded> {
    let (folder, name) = match hub::repository(named) {
        None => (named.to_path_buf(), called(named)),
        Some(repository) => {
            let (repository, folder) = hub::fetch(repository, &LAYOUT, context.manner)?;
            (folder, repository.to_string().replace('/', "-"))
        }
    };
    let file = file_of(&folder);
    let (model, sha256) = read(&file, named, &context.device)?;
    Ok(Loaded { model, sha256, file, name })
}

/// The file that is read for a model: the one named, or the one in a folder.
pub(crate) fn file_of(named: &Path) -> PathBuf {
    if named.is_dir() { named.join(MODEL) } else { named.to_path_buf() }
}

fn read(file: &Path, named: &Path, device: &Device) -> Result<(Model, String)> {
    let place = format!("file: {}", file.display());
    let Ok(facts) = file.metadata() else {
        if let Some(problem) = of_tensorflow(file, Expected::Model) {
            return Err(problem.into());
        }
        let remedy = match (named.is_dir(), is_run(named)) {
            (true, true) => {
                "the run has not finished; go on with `stackgan train --run` and this folder"
            }
            (true, false) if named.join("demo.json").is_file() => {
                "the demo has not finished; go on with `stackgan demo --out` and this folder"
            }
            (true, false) => {
                "this is no run's folder: name a model file, or a folder with model.safetensors in it; datasets go to `--data`"
            }
            (false, _) => {
                "check the path; `stackgan train` and `stackgan demo` make models, `hub:OWNER/NAME` fetches one"
            }
        };
        return Err(Problem::missing("there is no model", place, "a model file", remedy).into());
    };
    if is_pipe(facts.file_type()) && file.canonicalize().is_ok() {
        // It would be waited for. A pipe without a name, such as /dev/stdin's, is open already.
        let parts = ("a file, or the pipe of another command", "a named pipe");
        let what = "the model cannot be read";
        return Err(Problem::data(what, file, parts, "name the model's file").into());
    }
    if facts.len() > LARGEST {
        let parts = (format!("at most {LARGEST} bytes"), format!("{} bytes", facts.len()));
        return Err(Problem::data("not a model", file, parts, "check the path").into());
    }
    let bytes = File::open(file).and_then(|file| whole(&file, LARGEST)).map_err(|e| {
        let parts = ("a readable file", e.to_string());
        Problem::data("the model cannot be read", file, parts, "check its path and permissions")
    })?;
    let (model, hash) =
        rayon::join(|| Model::from_bytes(&bytes, device), || stackgan_core::digest::sha256(&bytes));
    let cannot = || format!("cannot use the model\n  {place}");
    let error = match model {
        Ok(model) => return Ok((model, hash)),
        Err(error) => error,
    };
    match other_kind(&bytes, file) {
        Some(problem) => match of_checkpoint(file, device) {
            Some(model) => Ok((model.with_context(cannot)?, hash)),
            None => Err(problem.into()),
        },
        None => match foreign(&bytes, file, Expected::Model) {
            Some(problem) => Err(problem.into()),
            None => Err(anyhow::Error::from(error).context(cannot())),
        },
    }
}

/// The stage that is asked for, by default the model's last. `path` is the model's.
///
/// # Errors
/// Code 2 for a stage that the model does not have.
pub(crate) fn stage_of(model: &Model, asked: Option<Stage>, path: &Path) -> Result<Stage> {
    let stage = asked.unwrap_or_else(|| model.last_stage());
    if stage <= model.last_stage() {
        return Ok(stage);
    }
    let parts = ("a model with Stage-II", "one with Stage-I alone");
    let remedy = "take Stage-I: `--stage 1`; `stackgan train --stage 2` makes the other";
    let place = format!("file: {}", path.display());
    Err(Problem::usage("no such stage", place, parts, remedy).into())
}

/// Reads the model that a run had at a checkpoint; `None` if `file` is not a checkpoint in a run's
/// folder. Encoder and description are those of the run's newest model.
fn of_checkpoint(file: &Path, device: &Device) -> Option<Result<Model>> {
    let folder = file.parent()?;
    let newest = folder.parent()?.join(MODEL);
    if checkpoint_step(file).is_none() || !newest.is_file() {
        return None;
    }
    let read = || -> Result<Model> {
        let (header, archive) = Store::reading(folder).load(file, device)?;
        let (run, _) = read(&newest, &newest, device)?;
        Ok(model_at(run, (&header, &archive))?)
    };
    Some(read())
}

/// Returns the name of a file without its extension, or of a folder, whose name has no extension:
/// `v1.1`.
fn called(path: &Path) -> String {
    let name = if path.is_dir() {
        // `.` and `..` have a name elsewhere.
        let real = path.file_name().is_none().then(|| path.canonicalize().ok()).flatten();
        real.as_deref().unwrap_or(path).file_name().map(OsStr::to_owned)
    } else {
        path.file_stem().map(OsStr::to_owned)
    };
    name.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The error for one of our files that contains something other than a model.
fn other_kind(bytes: &[u8], file: &Path) -> Option<Problem> {
    let (found, remedy) = match encoders::kind(bytes)?.as_str() {
        "encoder" | "char-cnn-rnn" => (
            "a text encoder",
            "train a model with it: `stackgan train --stage 1 --encoder` and this file; or name a model that was",
        ),
        "prepared" => ("prepared pictures and captions", "name it with `--data`, and a model here"),
        "embeddings" => {
            ("embeddings of captions", "name them with `--embeddings`, and a model here")
        }
        checkpoint if checkpoint.starts_with("stackgan-checkpoint/") => (
            "a checkpoint of a run",
            "name it where it was written, RUN/checkpoints, beside RUN/model.safetensors; or name the run's folder",
        ),
        step if step.starts_with("stackgan-step/") => {
            ("a step that became non-finite", "`stackgan replay` and this file takes it again")
        }
        _ => return None,
    };
    Some(Problem::data("this is no model", file, ("a model file", found), remedy))
}

/// Reads an open file with all threads, because touching new memory takes longer than reading. The
/// file is opened once, because a trainer may replace it in the meantime. A pipe has no length: at
/// most `most` bytes are accepted.
fn whole(file: &File, most: u64) -> io::Result<Vec<u8>> {
    const PIECE: usize = 8 << 20;
    let refused = |found: &str| Err(io::Error::new(io::ErrorKind::InvalidData, found));
    let facts = file.metadata()?;
    let mut bytes = Vec::new();
    if facts.is_file() {
        bytes = vec![0; facts.len() as usize]; // zeroed by the system, not written
        bytes
            .par_chunks_mut(PIECE)
            .enumerate()
            .try_for_each(|(i, piece)| read_exact_at(file, piece, (i * PIECE) as u64))?;
    } else if is_pipe(facts.file_type()) {
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return refused(&format!("a pipe of more than {most} bytes"));
        }
    } else {
        return refused("a device, which may have no end");
    }
    Ok(bytes)
}

fn is_pipe(kind: FileType) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::FileTypeExt::is_fifo(&kind);
    #[cfg(not(unix))]
    return !kind.is_file() && !kind.is_dir();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_while_it_is_read_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("model"), folder.path().join("other"));
        std::fs::write(&path, vec![1; 20 << 20]).unwrap();
        std::fs::write(&other, vec![2; 20 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::rename(other, path).unwrap();
        assert!(whole(&file, LARGEST).unwrap() == vec![1; 20 << 20]);
    }

    #[test]
    fn folders_have_no_ending() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("v1.1")).unwrap();
        for (path, name) in [
            ("v1.1", "v1.1"),
            ("v1.1/", "v1.1"),
            ("v1.1/.", "v1.1"),
            ("v1.1/../v1.1/..", folder.path().file_name().unwrap().to_str().unwrap()),
            ("v1.1/birds.v2.safetensors", "birds.v2"),
            ("none", "none"),
        ] {
            assert_eq!(called(&at(path)), name, "{path}");
        }
        assert_eq!(called(Path::new("/")), "model");
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_length_is_read_up_to_a_bound() {
        use std::io::Write as _;
        for (most, fits) in [(99, false), (100, true)] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(&[7; 100]).unwrap();
            drop(writer);
            let reader = File::from(std::os::fd::OwnedFd::from(reader));
            let read = whole(&reader, most);
            assert_eq!(read.is_ok_and(|bytes| bytes == [7; 100]), fits, "{most}");
        }
        let zeros = File::open("/dev/zero").unwrap();
        assert!(whole(&zeros, 10).unwrap_err().to_string().contains("device"));
    }
}
