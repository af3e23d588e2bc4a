//! Starts the measured programs, one process for each value, and reads their output.
//!
//! Both sides run as users run them: the peer with its default allocator, this program with the
//! settings of `kernels::memory`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::figures::{Figure, Kind, Pace};
use super::sample::{Sample, last_object, parse, peak_rss_mib};

/// Memory layouts of the peer; the faster one counts.
pub(crate) const LAYOUTS: [&str; 2] = ["channels_last", "contiguous"];

/// The built programs and the folders that they may write to.
pub(crate) struct Programs {
    release: PathBuf,
    peer: Option<(PathBuf, PathBuf)>, // python, script
    scratch: tempfile::TempDir,
}

/// The machine's limits in GF/s.
#[derive(Clone, Debug)]
pub(crate) struct Peak {
    pub(crate) instructions: String,
    pub(crate) rates: [f64; 4],
}

/// The names of the four rates of [`Peak`].
pub(crate) const RATES: [&str; 4] = ["fma_one", "fma_all", "gemm_one", "gemm_all"];

/// The folder of cargo's builds. A relative one is relative to `root`, where cargo is started.
pub(super) fn target_folder(root: &Path) -> PathBuf {
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// What a program prints, which must succeed.
pub(super) fn output(mut command: Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}\nended with {}:\n{said}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

impl Programs {
    /// Builds this program in release mode and checks that the peer starts.
    pub(crate) fn prepare(root: &Path, peer: Option<PathBuf>) -> Result<Self> {
        let sh = Shell::new()?;
        sh.change_dir(root);
        cmd!(
            sh,
            "cargo build --release --locked --workspace --bin stackgan --example bench --example peak"
        )
        .run()?;
        let target = target_folder(root);
        let script = root.join("docs/bench/peer/time_peer.py");
        let programs = Self {
            release: target.join("release"),
            peer: peer.map(|python| (python, script)),
            scratch: tempfile::tempdir_in(&target)?,
        };
        if let Some(peer) = programs.peer("contiguous", &["about"]) {
            output(peer).context("the peer needs a Python with torch")?;
        }
        Ok(programs)
    }

    /// The versions that the peer reports.
    pub(crate) fn peer_versions(&self) -> Result<Option<Value>> {
        let about = self.peer("contiguous", &["about"]);
        about.map(|command| last_object(&output(command)?)).transpose()
    }

    /// The machine's limits, measured now.
    pub(crate) fn peak(&self) -> Result<Peak> {
        let facts = last_object(&output(self.ours("examples/peak"))?)?;
        let rate = |key| {
            facts
                .get(key)
                .and_then(Value::as_f64)
                .with_context(|| format!("no rate `{key}` in {facts}"))
        };
        let [a, b, c, d] = RATES;
        let instructions =
            facts.get("instructions").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Peak { instructions, rates: [rate(a)?, rate(b)?, rate(c)?, rate(d)?] })
    }

    /// Measures one value of this program.
    pub(crate) fn measure_ours(&self, figure: &Figure, pace: Pace) -> Result<Sample> {
        if let Some(arguments) = figure.arguments(pace) {
            let mut command = self.ours("examples/bench");
            command.args(arguments);
            return parse(&output(command)?, figure.unit());
        }
        let model = self.scratch.path().join(format!("{}.safetensors", figure.net));
        if !model.exists() {
            let mut command = self.ours("examples/bench");
            command.args(["model", figure.net]).arg(&model);
            output(command)?;
        }
        let mut command = self.ours("stackgan");
        command.args(["generate", "-p", "a small red bird with a short beak", "-m"]).arg(&model);
        command.arg("--out").arg(self.scratch.path().join("painted"));
        self.first_line(command)
    }

    /// Measures a training step of this program on `threads` threads.
    pub(crate) fn step(&self, arguments: &[String], threads: u64) -> Result<Sample> {
        let mut command = self.ours("examples/bench");
        command.args(arguments).env("RAYON_NUM_THREADS", threads.to_string());
        let sample = parse(&output(command)?, "ms")?;
        if sample.threads != threads {
            bail!("expected a step on {threads} threads, found {} ({arguments:?})", sample.threads);
        }
        Ok(sample)
    }

    /// Measures one value of the peer in a layout; `None` without a peer, and for figures of this
    /// program only.
    pub(crate) fn measure_peer(
        &self,
        figure: &Figure,
        layout: &str,
        pace: Pace,
    ) -> Result<Option<Sample>> {
        if matches!(figure.kind, Kind::Loader { .. }) {
            return Ok(None);
        }
        if let Some(arguments) = figure.arguments(pace) {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let command = self.peer(layout, &words);
            return command.map(|c| parse(&output(c)?, figure.unit())).transpose();
        }
        let weights = self.scratch.path().join(format!("{}-{layout}.pth", figure.net));
        if !weights.exists()
            && let Some(mut command) = self.peer(layout, &["model", figure.net])
        {
            command.arg(&weights);
            output(command)?;
        }
        let start = self.peer(layout, &["start", figure.net]);
        start
            .map(|mut command| {
                command.arg(&weights).arg(self.scratch.path().join("painted.ppm"));
                self.first_line(command)
            })
            .transpose()
    }

    fn ours(&self, program: &str) -> Command {
        Command::new(self.release.join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
    }

    fn peer(&self, layout: &str, arguments: &[&str]) -> Option<Command> {
        let (python, script) = self.peer.as_ref()?;
        let mut command = Command::new(python);
        command.arg(script).arg(layout).args(arguments);
        command.env("PYTHONPYCACHEPREFIX", self.scratch.path().join("pycache"));
        Some(command)
    }

    /// The time from starting a process to its first line, which it prints once its picture is on
    /// the disk.
    fn first_line(&self, mut command: Command) -> Result<Sample> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let (done, watched) = (AtomicBool::new(false), AtomicU64::new(0));
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let (line, elapsed) = thread::scope(|scope| {
            scope.spawn(|| watch(&status, &done, &watched));
            let line = lines.next();
            let elapsed = started.elapsed();
            done.store(true, Ordering::Relaxed);
            (line, elapsed)
        });
        let line = line.transpose()?.unwrap_or_default();
        let status = child.wait()?;
        if line.is_empty() || !status.success() {
            bail!("{command:?}\nended with {status} and no picture");
        }
        let own = last_object(&line).ok(); // the peer reports its memory
        let watched =
            Some(watched.into_inner()).filter(|kib| *kib > 0).map(|kib| kib as f64 / 1024.0);
        let threads = own.as_ref().and_then(|facts| facts.get("threads")?.as_u64()).unwrap_or(0);
        Ok(Sample {
            value: elapsed.as_secs_f64() * 1e3,
            peak_rss_mib: own.as_ref().and_then(peak_rss_mib).or(watched),
            threads,
        })
    }
}

/// Reads a process's memory peak every millisecond until it is done, because it cannot be read
/// after the process has ended.
fn watch(status: &Path, done: &AtomicBool, peak_kib: &AtomicU64) {
    while !done.load(Ordering::Relaxed) {
        if let Ok(text) = std::fs::read_to_string(status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
            peak_kib.fetch_max(kib.unwrap_or(0), Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(1));
    }
}
