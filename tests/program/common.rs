//! Runs the program, and makes a small dataset with an encoder that all tests share.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use assert_cmd::Command;

/// Settings for such small networks and short runs that a run takes seconds. The batch of Stage-II
/// is set where it is needed.
pub(crate) const TINY: &[&str] = &[
    "net.gf=4",
    "net.df=4",
    "net.cond_dim=4",
    "net.z_dim=4",
    "net.channel_floor=4",
    "optim.batch=4",
    "run.report_every=1",
    "run.sample_every=100",
    "run.checkpoint_every=2",
    "run.prefetch=1",
];

/// Returns the program in its own folder, without the settings of the user who runs the tests.
pub(crate) fn stackgan(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("stackgan"));
    for name in ["STACKGAN_HOME", "STACKGAN_CONFIG", "STACKGAN_DEVICE", "STACKGAN_THREADS"] {
        command.env_remove(name);
    }
    command.env("HF_HUB_OFFLINE", "1"); // tests need no network
    command.current_dir(dir).args(args);
    command
}

/// Runs a command that must exit with code 0, and returns its stdout.
pub(crate) fn done(dir: &Path, args: &[&str]) -> String {
    let output = stackgan(dir, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    slashes(text(&output.stdout))
}

/// Runs a command, and returns its exit code and stderr.
pub(crate) fn failed(dir: &Path, args: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = stackgan(dir, args).output().unwrap();
    (status.code().unwrap_or(-1), slashes(text(&stderr)))
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

/// As `done`, for owned arguments.
pub(crate) fn train(dir: &Path, args: &[String]) -> String {
    done(dir, &args.iter().map(String::as_str).collect::<Vec<_>>())
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
