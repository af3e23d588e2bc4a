//! Exit codes, the program's own error type, and the only place where errors are printed.
//!
//! The codes are a public interface: `docs` and `stackgan --help` list them, `tests/program` checks
//! them.

use std::fmt;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use stackgan_kernels::gpu;
use stackgan_train::event::StopReason;

/// How the program ends. The value is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Success.
    Done = 0,
    /// Failed while running.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Input data, weights or an archive are malformed, damaged or unsafe.
    Data = 3,
    /// A required file or folder is missing.
    Missing = 4,
    /// A check failed: models or pictures differ, or a model is invalid.
    Gate = 5,
    /// The storage is full, read-only or in use.
    Storage = 6,
    /// Training became non-finite; the last good checkpoint is kept.
    NonFinite = 7,
    /// The time budget was used up; the run can be resumed.
    TimeBudget = 75,
    /// A fault of the program itself: a panic.
    Fault = 101,
    /// Stopped by SIGHUP after a checkpoint.
    HungUp = 129,
    /// Stopped by SIGINT after a checkpoint.
    Interrupted = 130,
    /// Stopped by SIGTERM after a checkpoint.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<StopReason> for Exit {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Done | StopReason::StopFile | StopReason::Requested => Self::Done,
            StopReason::TimeBudget => Self::TimeBudget,
            StopReason::Signal(15) => Self::Terminated,
            StopReason::Signal(1) => Self::HungUp,
            StopReason::Signal(_) => Self::Interrupted,
        }
    }
}

/// An error that the program itself detects, in four parts.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong, in a few words.
    pub what: String,
    /// The file, key or argument with its kind: `file: a.toml`.
    pub place: String,
    /// The expected content.
    pub expected: String,
    /// The content that was found.
    pub found: String,
    /// What the user can do.
    pub remedy: String,
}

impl Problem {
    /// Wrong usage or configuration at `place`.
    pub(crate) fn usage(
        what: impl Into<String>,
        place: impl Into<String>,
        (expected, found): (impl Into<String>, impl Into<String>),
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            exit: Exit::Usage,
            what: what.into(),
            place: place.into(),
            expected: expected.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    /// A required file or folder is missing at `place`.
    pub(crate) fn missing(
        what: impl Into<String>,
        place: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { exit: Exit::Missing, ..Self::usage(what, place, (expected, "nothing"), remedy) }
    }

    /// A file that is read does not exist.
    pub(crate) fn no_file(file: &std::path::Path, expected: &str, remedy: &str) -> Self {
        let place = format!("file: {}", file.display());
        Self::missing("there is no such file", place, expected, remedy)
    }

    /// A storage operation on `file` failed.
    pub(crate) fn storage(file: &std::path::Path, source: &io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                "a file is where a folder is wanted: choose another name, or move the file"
            }
            _ => "check the free space and the permissions of the folder, or choose another one",
        };
        let place = format!("file: {}", file.display());
        let parts = ("a writable place", source.to_string());
        Self { exit: Exit::Storage, ..Self::usage("cannot write", place, parts, remedy) }
    }

    /// The contents of `file` cannot be used.
    pub(crate) fn data(
        what: impl Into<String>,
        file: &std::path::Path,
        parts: (impl Into<String>, impl Into<String>),
        remedy: impl Into<String>,
    ) -> Self {
        let place = format!("file: {}", file.display());
        Self { exit: Exit::Data, ..Self::usage(what, place, parts, remedy) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, place, expected, found, remedy, .. } = self;
        write!(f, "{what}\n  {place}\n  expected {expected}, found {found}\n  do: {remedy}")
    }
}

impl std::error::Error for Problem {}

/// Work that was stopped before its end.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// Why; decides the exit code.
    pub reason: StopReason,
    /// What is stopped, in one sentence.
    pub message: String,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Stopped {}

/// The exit code for an error: that of the first cause that has one.
pub(crate) fn code(error: &anyhow::Error) -> Exit {
    error.chain().find_map(known).unwrap_or(Exit::Failed)
}

fn known(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    let problem = cause.downcast_ref::<Problem>().map(|problem| problem.exit);
    problem
        .or_else(|| cause.downcast_ref::<Stopped>().map(|stopped| Exit::from(stopped.reason)))
        .or_else(|| cause.downcast_ref().map(of_training))
        .or_else(|| cause.downcast_ref().map(of_data))
        .or_else(|| cause.downcast_ref().map(of_eval))
        .or_else(|| cause.downcast_ref().map(of_serving))
        .or_else(|| cause.downcast_ref().map(of_core))
}

fn of_eval(error: &stackgan_eval::Error) -> Exit {
    use stackgan_eval::Error as E;
    match error {
        E::Weights { .. } => Exit::Data,
        E::Input { .. } => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn of_serving(error: &stackgan_serve::Error) -> Exit {
    use stackgan_serve::Error as E;
    match error {
        E::Exposed(_) | E::Host(_) | E::Token(_) | E::Model { .. } => Exit::Usage,
        E::Core(error) => of_core(error),
        _ => Exit::Failed,
    }
}

fn of_training(error: &stackgan_train::Error) -> Exit {
    use stackgan_train::Error as E;
    match error {
        E::Config { .. } => Exit::Usage,
        E::Checkpoint { .. } => Exit::Data,
        E::Storage { .. } => Exit::Storage,
        E::NonFinite { .. } => Exit::NonFinite,
        E::Data(error) => of_data(error),
        E::Core(error) => of_core(error),
        E::Eval(error) => of_eval(error),
        _ => Exit::Failed,
    }
}

fn of_data(error: &stackgan_data::Error) -> Exit {
    use stackgan_data::Error as E;
    match error {
        E::Malformed { .. } | E::Read { .. } => Exit::Data,
        E::Missing { .. } | E::Unreachable { .. } => Exit::Missing,
        E::Config { .. } => Exit::Usage,
        E::Write { .. } | E::Storage { .. } => Exit::Storage,
        _ => Exit::Failed,
    }
}

fn of_core(error: &stackgan_core::Error) -> Exit {
    use stackgan_core::Error as E;
    match error {
        E::Model { .. } | E::Shape { .. } | E::NotFinite { .. } | E::Provenance { .. } => {
            Exit::Data
        }
        E::Config { .. } => Exit::Usage,
        _ => Exit::Failed,
    }
}

/// Adds a remedy to an error of a GPU whose memory is full; other errors are unchanged. `batch` is
/// the batch size of training.
pub(crate) fn out_of_memory(error: anyhow::Error, batch: Option<usize>) -> anyhow::Error {
    if error.is::<Problem>() || !gpu::memory_is_full(error.as_ref()) {
        return error;
    }
    let (place, found, remedy) = match batch {
        Some(batch) if batch > 1 => (
            "key: optim.batch",
            format!("a batch of {batch}"),
            format!("train with a smaller batch: `--set optim.batch={}`", batch / 2),
        ),
        _ => (
            "option: --device",
            "all of it in use".to_owned(),
            "see with `nvidia-smi` what else uses it, or use `--device cpu`".to_owned(),
        ),
    };
    let parts = ("what fits into the GPU's memory", found);
    let problem = Problem::usage("the GPU's memory is full", place, parts, remedy);
    error.context(Problem { exit: Exit::Failed, ..problem })
}

/// Whether the reader of our output has closed it, which counts as success.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

/// Prints an error and its causes once, on stderr, and returns the exit code.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Done;
    }
    let because: String =
        causes(error).iter().map(|cause| format!("  because: {cause}\n")).collect();
    let text = format!("error: {error}\n{because}");
    let _ = io::stderr().write_all(text.as_bytes()); // stderr is closed
    code(error)
}

/// The causes of an error, without those that it says itself, or a cause before them.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let (mut said, mut causes) = (error.to_string(), Vec::new());
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said.push_str(&cause);
            causes.push(cause);
        }
    }
    causes
}

/// An error with its causes, each once: those of the storage say theirs themselves.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    std::iter::once(error.to_string()).chain(causes(error)).collect::<Vec<_>>().join(": ")
}

/// The lines of a text in one.
pub(crate) fn in_a_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// Runs the program. A panic, of which the system has said where and what, ends it with what to do.
pub(crate) fn guarded(run: impl FnOnce() -> anyhow::Result<Exit>) -> Exit {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => report(&error),
        Err(_) => {
            let text = concat!(
                "error: a fault of the program\n  program: stackgan ",
                env!("STACKGAN_BUILD"),
                "\n  expected an error that says what to do, found a panic (above)\n  do: report it with the command and \
                 these lines (",
                env!("CARGO_PKG_REPOSITORY"),
                "); a run goes on from its last checkpoint with the same command\n"
            );
            let _ = io::stderr().write_all(text.as_bytes()); // stderr is closed
            Exit::Fault
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_panic_has_an_exit_code_of_its_own() {
        assert_eq!(guarded(|| panic!("a fault")), Exit::Fault);
        assert_eq!(guarded(|| anyhow::bail!("no idea")), Exit::Failed);
        assert_eq!(guarded(|| Ok(Exit::Gate)), Exit::Gate);
    }

    #[test]
    fn the_cause_decides_the_code_however_deep_it_lies() {
        let missing = stackgan_data::Error::Missing {
            what: "no pictures".into(),
            file: "a".into(),
            expected: "b".into(),
            remedy: "c".into(),
        };
        let wrapped = Err::<(), _>(stackgan_train::Error::from(missing)).context("while importing");
        assert_eq!(code(&wrapped.unwrap_err()), Exit::Missing);
        assert_eq!(code(&anyhow::anyhow!("no idea")), Exit::Failed);
        let usage = Problem::usage("w", "key: k", ("e", "f"), "r");
        assert_eq!(usage.to_string(), "w\n  key: k\n  expected e, found f\n  do: r");
        assert_eq!(code(&usage.into()), Exit::Usage);
    }

    #[test]
    fn a_cause_is_told_once() {
        let full = || stackgan_train::Error::Storage {
            action: "write",
            file: "best".into(),
            source: io::Error::other("no space"),
            remedy: "make room".to_owned(),
        };
        let said = with_causes(&full().into());
        assert_eq!(said, "cannot write\n  file: best\n  no space\n  do: make room");
        assert_eq!(in_a_line(&said), "cannot write; file: best; no space; do: make room");
        let said = with_causes(&anyhow::Error::from(full()).context("painting"));
        assert!(
            said.starts_with("painting: cannot write") && said.matches("no space").count() == 1
        );
    }

    #[test]
    fn a_full_gpu_names_the_batch_and_a_smaller_one() {
        let full = || anyhow::anyhow!("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        let training = out_of_memory(full().context("step 3"), Some(64));
        assert_eq!(code(&training), Exit::Failed);
        let text = training.to_string();
        assert!(text.contains("a batch of 64") && text.contains("optim.batch=32"), "{text}");
        let again = out_of_memory(training, None);
        assert_eq!(again.to_string(), text, "said once");
        let one = out_of_memory(full(), Some(1)).to_string();
        assert!(one.contains("--device cpu") && !one.contains("optim.batch"), "{one}");
        assert_eq!(out_of_memory(anyhow::anyhow!("no idea"), Some(64)).to_string(), "no idea");
    }

    #[test]
    fn a_closed_pipe_is_success() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(report(&anyhow::Error::from(gone).context("printing")), Exit::Done);
    }

    #[test]
    fn signals_and_budgets_have_their_own_codes() {
        assert_eq!(Exit::from(StopReason::Signal(2)) as u8, 130);
        assert_eq!(Exit::from(StopReason::Signal(15)) as u8, 143);
        assert_eq!(Exit::from(StopReason::TimeBudget) as u8, 75);
    }
}
