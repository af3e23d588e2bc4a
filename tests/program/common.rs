//! Runs the program, and makes a small dataset with an encoder that all tests share.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::{self, Output};
use std::sync::LazyLock;

use assert_cmd::Command;
use candle_core::Device;
use serde_json::Value;
use stackgan_core::archive::Archive;

/// Settings for such small networks and short runs that a run takes seconds.
pub(crate) const TINY: &[&str] = &[
    "net.gf=4",
    "net.df=4",
    "net.cond_dim=4",
    "net.z_dim=4",
    "net.channel_floor=4",
    "optim.batch=2",
    "run.report_every=1",
    "run.sample_every=100",
    "run.checkpoint_every=2",
    "run.prefetch=1",
];

/// With these settings two steps are enough for pictures that words and noise change. After two steps
/// of two pictures, all come out alike.
pub(crate) const TELLING: [&str; 4] = ["--set", "optim.lr_g=0.1", "--set", "optim.batch=4"];

/// Returns the program in its own folder, without the settings of the user who runs the tests. It is
/// started by the command `other`, which takes it as its last arguments, unless that is empty.
pub(crate) fn program(dir: &Path, other: &[&str]) -> process::Command {
    let binary = assert_cmd::cargo::cargo_bin!("stackgan").as_os_str();
    let mut words = other.iter().map(OsStr::new).chain([binary]);
    let mut command = process::Command::new(words.next().unwrap());
    command.args(words);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"STACKGAN_") {
            command.env_remove(name);
        }
    }
    command.env("HF_HUB_OFFLINE", "1").current_dir(dir); // tests need no network
    command
}

/// Returns [`program`] with arguments, for its output and what it reads from stdin.
pub(crate) fn stackgan(dir: &Path, args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::from_std(program(dir, &[]));
    command.args(args);
    command
}

/// Runs a command that must exit with code 0, and returns its stdout.
pub(crate) fn done(dir: &Path, args: &[impl AsRef<OsStr> + Debug]) -> String {
    let output = stackgan(dir, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    slashes(text(&output.stdout))
}

/// Runs a command that must answer in JSON with code 0.
pub(crate) fn json(dir: &Path, args: &[impl AsRef<OsStr> + Debug]) -> Value {
    serde_json::from_str(&done(dir, args)).unwrap()
}

/// Runs a command, and returns its exit code and stderr.
pub(crate) fn failed(dir: &Path, args: &[impl AsRef<OsStr>]) -> (i32, String) {
    let Output { status, stderr, .. } = stackgan(dir, args).output().unwrap();
    (status.code().unwrap_or(-1), slashes(text(&stderr)))
}

/// Runs a training whose time is used up after one step, and returns its stderr.
pub(crate) fn one_step(dir: &Path, args: &[String]) -> String {
    let (code, said) = failed(dir, &with(args, &["--max-hours", "1e-9"]));
    assert_eq!(code, 75, "{said}");
    said
}

/// What was said, with `/` between the names of paths on every system.
pub(crate) fn slashes(said: String) -> String {
    match said.get(..1) {
        _ if cfg!(unix) => said,
        Some("{" | "[") => said.replace(r"\\", "/"), // JSON
        _ => said.replace('\\', "/"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns `--set` for each of `settings`.
pub(crate) fn set<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings.iter().flat_map(|s| ["--set", s]).collect()
}

/// A prepared toy dataset with a tiny encoder, made once for all tests.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn birds(&self) -> PathBuf {
        self.folder.path().join("birds")
    }

    pub(crate) fn prepared(&self, size: u32) -> PathBuf {
        self.birds().join("prepared").join(format!("prepared-{size}.safetensors"))
    }

    pub(crate) fn encoder(&self) -> PathBuf {
        self.folder.path().join("encoder.safetensors")
    }

    /// Returns the folder with the dataset and the encoder.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }
}

/// The shared dataset.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    done(dir, &["data", "toy", "--out", "birds", "--count", "36", "--seed", "3", "-q"]);
    done(dir, &["data", "import", "birds", "-q"]);
    let train = ["text", "train", "--data", "birds", "--steps", "2", "--batch", "2", "-q"];
    done(dir, &train);
    World { folder }
});

/// Writes `given.npy`, rows of `width` values, and the list of their captions beside it.
pub(crate) fn write_given(dir: &Path, width: usize, values: &[f32], captions: &str) {
    let shape = (values.len() / width, width);
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape:?}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let file = [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), &values].concat();
    std::fs::write(dir.join("given.npy"), file).unwrap();
    std::fs::write(dir.join("given.txt"), captions).unwrap();
}

/// Returns the arguments of a tiny training run of `stage` with `steps` steps.
pub(crate) fn training(stage: &str, steps: &str, run: &Path) -> Vec<String> {
    let mut args: Vec<String> =
        ["train", "--stage", stage, "-q", "--run"].map(str::to_owned).to_vec();
    args.push(run.display().to_string());
    args.extend(["--data".to_owned(), WORLD.birds().display().to_string()]);
    args.extend(["--encoder".to_owned(), WORLD.encoder().display().to_string()]);
    args.extend(set(TINY).into_iter().map(str::to_owned));
    args.extend(["--set".to_owned(), format!("optim.steps={steps}")]);
    args
}

/// Returns arguments with `more` of them.
pub(crate) fn with(args: &[String], more: &[&str]) -> Vec<String> {
    args.iter().cloned().chain(more.iter().map(|&arg| arg.to_owned())).collect()
}

/// Returns arguments without an option and its value.
pub(crate) fn without(mut args: Vec<String>, option: &str) -> Vec<String> {
    let at = args.iter().position(|arg| arg == option).unwrap();
    args.drain(at..at + 2);
    args
}

/// Returns the record in a run's folder.
pub(crate) fn record(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap()
}

/// Returns the path of a file that other programs made.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// Reads a file of tensors.
pub(crate) fn archive(path: &Path) -> Archive {
    Archive::from_bytes(&std::fs::read(path).unwrap(), &Device::Cpu).unwrap()
}

/// Returns the commands and subcommands that the help lists: `data`, `data import`, and so on.
pub(crate) fn commands(dir: &Path, of: &str) -> Vec<String> {
    let args: Vec<&str> = of.split_whitespace().chain(["--help"]).collect();
    let help = done(dir, &args);
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let list = list.split("\n\n").next().unwrap_or_default();
    let name = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    let names = list.lines().filter_map(name).filter(|name| !name.is_empty() && name != "help");
    let all = names.flat_map(|name| {
        let command = format!("{of} {name}").trim().to_owned();
        let below = commands(dir, &command);
        std::iter::once(command).chain(below)
    });
    all.collect()
}
