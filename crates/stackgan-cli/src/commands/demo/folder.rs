//! The folder of a demo: one process holds it, notes in it what is done, and leaves alone what is
//! not of the demo.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::Stage;
use stackgan_data::whole_file::TEMPORARY;
use stackgan_train::estimate::Plan;

use super::notes::{FILE, Notes, Part, Took};
use super::wanted::Wanted;
use crate::args::Demo;
use crate::context::Context;
use crate::exit::{Exit, Problem};
use crate::output::quoted;
use crate::progress::duration;
use crate::signals::Stopper;

/// The file that is locked for as long as a process is at work.
const LOCK: &str = "LOCK";
/// What is said when a signal stops a demo.
const STOPPED: &str = "stopped; the same command goes on from there";

/// The folder, held until the value is dropped, and what all parts need.
pub(super) struct Folder<'a> {
    /// Its path.
    pub path: PathBuf,
    /// What is done.
    pub notes: Notes,
    /// Conditions for stopping.
    pub stopper: Stopper,
    /// Device and progress.
    pub context: &'a Context,
    _lock: File,
}

impl<'a> Folder<'a> {
    /// Begins a demo, or goes on with the one that is there.
    ///
    /// # Errors
    /// Code 2 for a folder with something else in it, or a demo that was asked for otherwise; 3 for a
    /// damaged record; 6 while another process holds the folder.
    pub(super) fn open(args: &Demo, context: &'a Context) -> Result<Self> {
        let path = args.out.clone();
        if Notes::find(&path)?.is_none() {
            refuse_occupied(&path)?;
        }
        let lock = hold(&path)?;
        sweep(&path);
        let notes = Notes::find(&path)?.unwrap_or_else(|| Notes::new(Wanted::of(args)));
        notes.wanted.check(args)?;
        let stopper = Stopper::listen()?.or_end(context.manner, farewell(STOPPED, &path));
        let mut folder = Self { path, notes, stopper, context, _lock: lock };
        if folder.notes.sittings > 0 {
            folder.say_what_is_done();
        }
        folder.notes.sittings += 1;
        folder.notes.write(&folder.path)?;
        Ok(folder)
    }

    fn say_what_is_done(&self) {
        let manner = self.context.manner;
        let took = &self.notes.took;
        let colon = if took.is_empty() { "" } else { "; done so far:" };
        manner.say(format!("demo: goes on in {}{colon}", self.path.display()));
        for Took { what, seconds, .. } in took {
            manner.say(format!("  {what} ({})", duration(*seconds)));
        }
    }

    /// The path of a file or folder in it.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The run folder of a stage.
    pub(super) fn stage(&self, stage: Stage) -> PathBuf {
        self.at(&format!("stage{}", stage.number()))
    }

    /// Notes that a part is done, and what was done in how many seconds, unless it was noted before.
    ///
    /// # Errors
    /// [`Stopped`](crate::exit::Stopped) if a signal came meanwhile; when the storage refuses.
    pub(super) fn done(&mut self, part: Part, what: String, seconds: f64) -> Result<()> {
        if !self.notes.has(part) {
            self.notes.took.push(Took { part, what, seconds });
            self.notes.write(&self.path)?;
        }
        self.stopper.check_signal(STOPPED)
    }

    /// Notes the plan of a stage.
    ///
    /// # Errors
    /// When the storage refuses.
    pub(super) fn plan(&mut self, stage: Stage, plan: Plan) -> Result<()> {
        self.notes.plans[usize::from(stage == Stage::Two)] = Some(plan);
        self.notes.write(&self.path)
    }
}

/// What is said when a demo is stopped, with the command that goes on with the one in `folder`.
pub(super) fn farewell(said: &str, folder: &Path) -> String {
    format!("demo: {said}:\n  stackgan demo --out {}", quoted(folder))
}

fn refuse_occupied(folder: &Path) -> Result<()> {
    let is_ours = |name: &std::ffi::OsStr| {
        name == LOCK || name == FILE || name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
    };
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    if entries.all(|entry| is_ours(&entry.file_name())) {
        return Ok(());
    }
    let (what, place) = ("the folder is not empty", format!("folder: {}", folder.display()));
    let parts = (format!("a new or empty folder, or a demo's with its {FILE}"), "other files");
    let remedy = "name another folder with `--out`, or remove this one";
    Err(Problem::usage(what, place, parts, remedy).into())
}

/// Locks a folder, which is made if need be, for as long as the file is open.
fn hold(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).map_err(|e| Problem::storage(folder, &e))?;
    let file = folder.join(LOCK);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&file);
    let lock = lock.map_err(|e| Problem::storage(&file, &e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::Error(e)) => Err(Problem::storage(&file, &e).into()),
        Err(TryLockError::WouldBlock) => {
            let what = "another process is at work on the demo; nothing was changed";
            let place = format!("file: {}", file.display());
            let parts = ("a folder that no process holds", "one that is held");
            let remedy = "wait for that process, stop it, or name another folder with `--out`";
            let held = Problem::usage(what, place, parts, remedy);
            Err(Problem { exit: Exit::Storage, ..held }.into())
        }
    }
}

/// Removes what was being written when the program was killed. What cannot be removed does no harm.
fn sweep(folder: &Path) {
    for folder in [folder.to_path_buf(), folder.join("sheets")] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_left =
            |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes());
        for path in entries.filter(|entry| is_left(&entry.file_name())).map(|entry| entry.path()) {
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_new_or_empty_or_only_just_begun() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("demo");
        refuse_occupied(&folder).unwrap();
        let lock = hold(&folder).unwrap();
        refuse_occupied(&folder).unwrap();
        let held = hold(&folder).unwrap_err();
        assert_eq!(crate::exit::code(&held), Exit::Storage, "{held}");
        drop(lock);
        hold(&folder).unwrap();
        fs::write(folder.join(".tmp-demo.json"), "").unwrap();
        refuse_occupied(&folder).unwrap();
        fs::write(folder.join("letter.txt"), "").unwrap();
        let error = refuse_occupied(&folder).unwrap_err().to_string();
        assert!(error.contains("not empty") && error.contains("--out"), "{error}");
    }

    #[test]
    fn only_what_was_being_written_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at(".tmp-timing/checkpoints")).unwrap();
        fs::create_dir_all(at("sheets")).unwrap();
        fs::create_dir_all(at("data")).unwrap();
        let (left, kept) = (
            [".tmp-demo.json", "sheets/.tmp-x"],
            ["demo.json", "sheets/64.png", "data/.tmp-theirs", "letter.txt"],
        );
        left.iter().chain(&kept).for_each(|name| fs::write(at(name), "").unwrap());
        sweep(dir.path());
        assert!(left.iter().all(|name| !at(name).exists()) && !at(".tmp-timing").exists());
        assert!(kept.iter().all(|name| at(name).exists()));
    }
}
