//! Estimates the memory and the time of a run before its first step.

use std::path::Path;

use anyhow::Result;
use candle_core::Device;
use serde::Serialize;
use stackgan_core::NetConfig;
use stackgan_data::counted;
use stackgan_kernels::gpu;
use stackgan_train::Pretrained;
use stackgan_train::config::TrainConfig;
use stackgan_train::estimate::{Memory, Timed, seconds_a_step};
use stackgan_train::guard::Undo;

use crate::device::{gpu_facts, name};
use crate::exit::Problem;
use crate::progress::{brief, duration};
use crate::run::checkpoints;

/// What a run holds besides its own networks: Stage-I with these sizes for Stage-II, and the
/// networks through which its losses look.
pub(super) type Beside<'a> = (Option<&'a NetConfig>, &'a Pretrained);

/// What a run needs of the machine.
#[derive(Serialize)]
pub(super) struct Estimate {
    memory: Needed,
    /// Why the memory may not suffice, and settings that fit.
    warning: Option<String>,
    time: Option<Time>,
}

/// Memory in bytes, in f32.
#[derive(Serialize)]
struct Needed {
    /// Whose memory: `cpu` or `cuda:N`.
    device: String,
    /// All that is needed of it at one time.
    peak_bytes: u64,
    /// Networks and optimisers.
    networks_bytes: u64,
    /// What is kept of a batch.
    batch_bytes: u64,
    /// On a CPU: what is held while a layer is computed.
    layer_bytes: u64,
    /// What is loaded ahead, into the host's memory.
    loading_bytes: u64,
    /// The host's memory while checkpoint and model are written.
    saving_bytes: u64,
}

/// The speed, measured on some pictures, and what it means for the run.
#[derive(Serialize)]
struct Time {
    seconds_a_step: f64,
    pictures_a_second: f64,
    /// Number of steps that the run has left; known once the data are.
    steps_left: Option<u64>,
    seconds_left: Option<f64>,
}

impl Estimate {
    /// Estimates memory and time on `device`. `left` is the number of remaining steps, which is
    /// known once the data are; `measured`: seconds of a step, if that is known already.
    pub(super) fn of(
        cfg: &TrainConfig,
        beside: Beside,
        left: Option<u64>,
        measured: Option<f64>,
        device: &Device,
    ) -> Self {
        let (low, pretrained) = (beside.0.unwrap_or(&cfg.net), beside.1);
        let memory = Memory::of(cfg, low, pretrained, Undo::on(device));
        let warning = has(device).and_then(|has| short_of_memory(cfg, beside, has));
        // A CPU that cannot take six pictures, or a GPU that cannot take the batch, reports it in
        // the training.
        let seconds =
            measured.or_else(|| seconds_a_step(&Timed { cfg, low, pretrained, device }).ok());
        Self {
            memory: Needed::of(&memory, device),
            warning,
            time: seconds.map(|seconds| Time::of(seconds, cfg.optim.batch, left)),
        }
    }

    /// The lines for a person.
    pub(super) fn lines(&self) -> Vec<String> {
        let warning = self.warning.iter().map(|warning| format!("warning: {warning}"));
        let memory = [self.memory.line()].into_iter();
        memory.chain(warning).chain(self.time.iter().map(Time::line)).collect()
    }
}

impl Needed {
    fn of(memory: &Memory, device: &Device) -> Self {
        Self {
            device: name(device),
            peak_bytes: if device.is_cpu() { memory.peak() } else { memory.on_gpu() },
            networks_bytes: memory.variables,
            batch_bytes: memory.pictures + if device.is_cpu() { 0 } else { memory.beside },
            layer_bytes: memory.working,
            loading_bytes: memory.loading,
            saving_bytes: memory.saving,
        }
    }

    fn line(&self) -> String {
        let [peak, networks, batch, layer] =
            [self.peak_bytes, self.networks_bytes, self.batch_bytes, self.layer_bytes].map(size);
        let [loading, saving] = [self.loading_bytes, self.saving_bytes].map(size);
        if self.device == "cpu" {
            return format!(
                "memory     about {peak} at its peak: {networks} of networks and optimisers, {batch} kept of a batch, \
                 {layer} while a layer is computed, {loading} loaded ahead"
            );
        }
        format!(
            "memory     about {peak} of the GPU's, in f32 and without cuDNN's buffers: {networks} of networks and optimisers, \
             {batch} kept of a batch; of the host's {loading} loaded ahead ({saving} while saving)"
        )
    }
}

impl Time {
    fn of(seconds: f64, batch: usize, left: Option<u64>) -> Self {
        Self {
            seconds_a_step: seconds,
            pictures_a_second: batch as f64 / seconds.max(1e-9),
            steps_left: left,
            seconds_left: left.map(|left| seconds * left as f64),
        }
    }

    fn line(&self) -> String {
        let whole = self.steps_left.zip(self.seconds_left).map(|(steps, seconds)| {
            format!("; {} in about {}", counted(steps as usize, "step"), duration(seconds))
        });
        let (step, whole) = (brief(self.seconds_a_step), whole.unwrap_or_default());
        format!(
            "time       about {step} a step, {:.1} pictures a second{whole}",
            self.pictures_a_second
        )
    }
}

/// Returns how many of `steps` steps a run has left after its newest checkpoint.
pub(super) fn left(steps: u64, run: Option<&Path>) -> u64 {
    let newest = run.and_then(|run| checkpoints(run).last().map(|(step, _)| *step));
    steps.saturating_sub(newest.unwrap_or(0))
}

/// Refuses a run that the machine cannot hold even if nothing else runs on it.
///
/// # Errors
/// Code 2, with the parts or the batch that would fit.
pub(super) fn check(cfg: &TrainConfig, beside: Beside, device: &Device) -> Result<()> {
    let all = if device.is_cpu() {
        host_memory(&["MemTotal", "SwapTotal"]).map(Has::All)
    } else {
        has(device)
    };
    match all.and_then(|all| too_much(cfg, beside, all)) {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

fn too_much(cfg: &TrainConfig, beside: Beside, has: Has) -> Option<Problem> {
    let needed = has.needed(cfg, beside);
    (needed > has.bytes()).then(|| {
        let expected = format!("at most {}, which is {}", size(has.bytes()), has.whose());
        let parts = (expected, format!("about {} for {}", size(needed), batch(cfg)));
        let what = "a training step does not fit into memory";
        Problem::usage(what, "key: optim.batch", parts, has.remedy(cfg, beside))
    })
}

fn batch(cfg: &TrainConfig) -> String {
    match (cfg.optim.batch, cfg.knobs.micro_batch) {
        (batch, 0) => format!("a batch of {batch}"),
        (batch, n) => format!("a batch of {batch} in parts of {n}"),
    }
}

/// An amount of memory to compare with.
#[derive(Clone, Copy)]
enum Has {
    /// The host's free memory.
    Free(u64),
    /// All of the host's memory, including swap.
    All(u64),
    /// All memory of a GPU.
    Gpu(u64),
}

fn has(device: &Device) -> Option<Has> {
    if device.is_cpu() {
        return host_memory(&["MemAvailable"]).map(Has::Free);
    }
    gpu_facts(device).map(|(_, bytes)| Has::Gpu(bytes as u64))
}

impl Has {
    const fn bytes(self) -> u64 {
        match self {
            Self::Free(bytes) | Self::All(bytes) | Self::Gpu(bytes) => bytes,
        }
    }

    const fn whose(self) -> &'static str {
        match self {
            Self::Free(_) => "what is free",
            Self::All(_) => "all that this machine has",
            Self::Gpu(_) => "all that the GPU has",
        }
    }

    /// Returns the memory that a run needs at its peak.
    fn needed(self, cfg: &TrainConfig, (low, pretrained): Beside) -> u64 {
        let undo = match self {
            Self::Free(_) | Self::All(_) => Undo::Held,
            Self::Gpu(_) => Undo::Copied,
        };
        let mut memory = Memory::of(cfg, low.unwrap_or(&cfg.net), pretrained, undo);
        if gpu::precision() == gpu::Precision::Bf16 {
            memory.pictures /= 2;
        }
        match self {
            Self::Free(_) | Self::All(_) => memory.peak(),
            Self::Gpu(_) => memory.on_gpu(),
        }
    }

    /// Returns the largest parts of the batch that fit, and the largest batch.
    fn remedy(self, cfg: &TrainConfig, beside: Beside) -> String {
        let fits = |batch, n| {
            let mut other = cfg.clone();
            (other.optim.batch, other.knobs.micro_batch) = (batch, n);
            self.needed(&other, beside) <= self.bytes()
        };
        let batch = cfg.optim.batch;
        let mut parts = (2..cfg.micro_batch()).rev().filter(|n| batch.is_multiple_of(*n));
        let part = parts.find(|n| fits(batch, *n)).map(|n| {
            format!("`--micro-batch {n}` would fit: the same batch, but batch norm sees {n} pictures at a time")
        });
        let smaller = largest(batch, |batch| fits(batch, 0));
        let smaller = smaller.map(|batch| format!("`--set optim.batch={batch}` would fit"));
        match [part, smaller].into_iter().flatten().collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => {
                "no batch fits: choose smaller networks (`net.gf`, `net.df`)".to_owned()
            }
            some => some,
        }
    }
}

/// Returns the largest number from 2 to below `from` that fits. If a number fits, all smaller ones
/// must also fit.
fn largest(from: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (2, from);
    if from <= 2 || !fits(2) {
        return None;
    }
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if fits(middle) { low = middle } else { high = middle }
    }
    Some(low)
}

/// Returns a warning if the run needs more memory than there is, with settings that fit.
fn short_of_memory(cfg: &TrainConfig, beside: Beside, has: Has) -> Option<String> {
    (has.needed(cfg, beside) > has.bytes()).then(|| {
        let (bytes, remedy) = (size(has.bytes()), has.remedy(cfg, beside));
        format!("{bytes} is {}, which is less; {remedy}", has.whose())
    })
}

/// Sums lines of the host's `/proc/meminfo`, which only Linux has. `MemAvailable` is the memory
/// that is available without taking any from other programs.
fn host_memory(names: &[&str]) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |name: &&str| {
        let line = text.lines().find_map(|line| line.strip_prefix(*name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    };
    names.iter().map(bytes).sum()
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1000.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use stackgan_train::config::preset;

    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!([size(3 << 20), size(5 << 29)], ["3 MiB", "2.5 GiB"]);
        assert_eq!(
            Time::of(0.5, 8, Some(7200)).line(),
            "time       about 500 ms a step, 16.0 pictures a second; 7200 steps in about 1h00m"
        );
        assert_eq!(
            Time::of(0.5, 8, None).line(),
            "time       about 500 ms a step, 16.0 pictures a second"
        );
    }

    #[test]
    fn a_batch_that_cannot_fit_gets_a_smaller_one_proposed() {
        let mut cfg = TrainConfig::from_toml(preset("cub-stage2").unwrap()).unwrap();
        cfg.optim.batch = 1_000_000;
        let net = cfg.net;
        let none = Pretrained::default();
        let beside = (Some(&net), &none);
        let text = short_of_memory(&cfg, beside, Has::Free(1 << 33)).unwrap();
        assert!(text.starts_with("8.0 GiB is what is free, which is less"), "{text}");
        let text = short_of_memory(&cfg, beside, Has::Gpu(80 << 30)).unwrap();
        assert!(text.starts_with("80.0 GiB is all that the GPU has"), "{text}");
        assert!(text.contains("`--set optim.batch="), "{text}");
        let text = short_of_memory(&cfg, beside, Has::Gpu(1 << 20)).unwrap();
        assert!(text.contains("no batch fits"), "{text}");
        cfg.optim.batch = 2;
        (cfg.net.gf, cfg.net.df, cfg.run.prefetch) = (4, 2, 0);
        assert_eq!(short_of_memory(&cfg, beside, Has::Free(1 << 33)), None);
    }

    /// The largest divisor of the batch that fits is suggested, and the next larger one is refused.
    #[test]
    fn what_the_machine_cannot_hold_is_refused_with_the_parts_that_fit() {
        let mut cfg = TrainConfig::from_toml(preset("cub-stage2").unwrap()).unwrap();
        let (net, all) = (cfg.net, Has::All(8 << 30));
        let none = Pretrained::default();
        let beside = (Some(&net), &none);
        let problem = too_much(&cfg, beside, all).unwrap();
        assert!(problem.found.ends_with("for a batch of 64"), "{}", problem.found);
        assert!(problem.expected.contains("8.0 GiB"), "{}", problem.expected);
        let offered = problem.remedy.split_once("`--micro-batch ").unwrap().1;
        let n: usize = offered.split_once('`').unwrap().0.parse().unwrap();
        assert!(problem.remedy.contains("batch norm sees"), "{}", problem.remedy);
        cfg.knobs.micro_batch = n;
        cfg.check().unwrap();
        assert!(too_much(&cfg, beside, all).is_none());
        cfg.knobs.micro_batch = 2 * n;
        let problem = too_much(&cfg, beside, all).unwrap();
        assert!(problem.found.ends_with(&format!("in parts of {}", 2 * n)), "{}", problem.found);
        assert!(problem.remedy.starts_with(&format!("`--micro-batch {n}`")), "{}", problem.remedy);
    }

    #[test]
    fn a_run_that_goes_on_has_fewer_steps_left() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!([left(9, None), left(9, Some(run.path()))], [9, 9]);
        std::fs::create_dir(run.path().join("checkpoints")).unwrap();
        for step in ["0000000", "0000004"] {
            let name = format!("checkpoints/step-{step}.safetensors");
            std::fs::write(run.path().join(name), "").unwrap();
        }
        assert_eq!(left(9, Some(run.path())), 5);
        assert!(Time::of(0.5, 8, Some(1)).line().contains("; 1 step in about "));
    }

    #[test]
    fn on_a_gpu_it_is_said_whose_memory_is_meant() {
        let needed = Needed {
            device: "cuda:0".to_owned(),
            peak_bytes: 3 << 30,
            networks_bytes: 1 << 30,
            batch_bytes: 1 << 31,
            layer_bytes: 0,
            loading_bytes: 1 << 20,
            saving_bytes: 0,
        };
        let text = needed.line();
        assert!(text.starts_with("memory     about 3.0 GiB of the GPU's, in f32"), "{text}");
        assert!(text.contains("of the host's 1 MiB"), "{text}");
    }
}
