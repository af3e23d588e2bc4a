//! What a run will want of the machine, said before its first step.

use candle_core::Device;
use stackgan_core::NetConfig;
use stackgan_kernels::gpu;
use stackgan_train::config::TrainConfig;
use stackgan_train::estimate::{Memory, seconds_a_step};

use crate::commands::device::gpu_facts;
use crate::progress::duration;

/// Lines about memory and time on `device`. `steps` is known once the data is; `low` is Stage-I under Stage-II.
pub(super) fn lines(
    cfg: &TrainConfig,
    low: Option<&NetConfig>,
    steps: Option<u64>,
    device: &Device,
) -> Vec<String> {
    let low = low.unwrap_or(&cfg.net);
    let wanted = Memory::of(cfg, low);
    let mut lines = vec![if device.is_cpu() { memory(&wanted) } else { gpu_memory(&wanted) }];
    lines.extend(has(device).and_then(|has| short_of_memory(cfg, low, has)));
    // A machine that cannot take six pictures, or a GPU that cannot take the batch, says so when it trains.
    if let Ok(seconds) = seconds_a_step(cfg, low, device) {
        lines.push(time(seconds, cfg.optim.batch, steps));
    }
    lines
}

fn memory(memory: &Memory) -> String {
    let Memory { variables, pictures, loading, saving } = *memory;
    let [peak, variables, pictures, loading, saving] =
        [memory.peak(), variables, pictures, loading, saving].map(size);
    format!(
        "memory     about {peak} at its peak: {variables} of networks and optimisers, {pictures} kept of a batch \
         ({saving} while saving), {loading} loaded ahead"
    )
}

fn gpu_memory(memory: &Memory) -> String {
    let Memory { variables, pictures, loading, saving } = *memory;
    let [all, variables, pictures, loading, saving] =
        [memory.on_gpu(), variables, pictures, loading, saving].map(size);
    format!(
        "memory     about {all} of the GPU's, in f32 and without cuDNN's buffers: {variables} of networks and optimisers, \
         {pictures} kept of a batch; of the host's {loading} loaded ahead ({saving} while saving)"
    )
}

fn time(seconds: f64, batch: usize, steps: Option<u64>) -> String {
    let speed = batch as f64 / seconds.max(1e-9);
    let whole = steps.map_or_else(String::new, |steps| {
        format!("; {steps} steps in about {}", duration(seconds * steps as f64))
    });
    format!("time       about {} a step, {speed:.1} pictures a second{whole}", short(seconds))
}

/// Memory to compare with.
#[derive(Clone, Copy)]
enum Has {
    /// Free, of the host's.
    Free(u64),
    /// All of a GPU's.
    Gpu(u64),
}

fn has(device: &Device) -> Option<Has> {
    if device.is_cpu() {
        return free_memory().map(Has::Free);
    }
    gpu_facts(device).map(|(_, bytes)| Has::Gpu(bytes as u64))
}

/// A warning where the machine has less free than the run wants, with the largest batch that fits.
fn short_of_memory(cfg: &TrainConfig, low: &NetConfig, has: Has) -> Option<String> {
    let fits = |cfg: &TrainConfig| {
        let mut memory = Memory::of(cfg, low);
        if gpu::precision() == gpu::Precision::Bf16 {
            memory.pictures /= 2;
        }
        match has {
            Has::Free(bytes) => memory.peak() <= bytes,
            Has::Gpu(bytes) => memory.on_gpu() <= bytes,
        }
    };
    if fits(cfg) {
        return None;
    }
    let smaller = (2..cfg.optim.batch).rev().find(|batch| {
        let mut smaller = cfg.clone();
        smaller.optim.batch = *batch;
        fits(&smaller)
    });
    let remedy = match smaller {
        Some(batch) => format!("`--set optim.batch={batch}` would fit"),
        None => "no batch fits: choose smaller networks (`net.gf`, `net.df`)".to_owned(),
    };
    Some(match has {
        Has::Free(bytes) => {
            format!("warning: {} of memory are free, which is less; {remedy}", size(bytes))
        }
        Has::Gpu(bytes) => format!("warning: the GPU has {}, which is less; {remedy}", size(bytes)),
    })
}

/// Memory that can be had without others losing theirs; Linux says.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1000.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

fn short(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1000.0 * seconds) } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use stackgan_train::config::preset;

    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!([size(3 << 20), size(5 << 29)], ["3 MiB", "2.5 GiB"]);
        assert_eq!([short(0.0124), short(2.04)], ["12 ms", "2.0 s"]);
        assert_eq!(
            time(0.5, 8, Some(7200)),
            "time       about 500 ms a step, 16.0 pictures a second; 7200 steps in about 1h00m"
        );
        assert_eq!(time(0.5, 8, None), "time       about 500 ms a step, 16.0 pictures a second");
    }

    #[test]
    fn a_batch_that_cannot_fit_gets_a_smaller_one_proposed() {
        let mut cfg = TrainConfig::from_toml(preset("cub-stage2").unwrap()).unwrap();
        cfg.optim.batch = 1_000_000;
        let net = cfg.net;
        let text = short_of_memory(&cfg, &net, Has::Free(1 << 33)).unwrap();
        assert!(text.starts_with("warning: 8.0 GiB of memory are free"), "{text}");
        let text = short_of_memory(&cfg, &net, Has::Gpu(80 << 30)).unwrap();
        assert!(text.starts_with("warning: the GPU has 80.0 GiB"), "{text}");
        assert!(text.contains("`--set optim.batch="), "{text}");
        let text = short_of_memory(&cfg, &net, Has::Gpu(1 << 20)).unwrap();
        assert!(text.contains("no batch fits"), "{text}");
        cfg.optim.batch = 2;
        (cfg.net.gf, cfg.net.df, cfg.run.prefetch) = (4, 2, 0);
        assert_eq!(short_of_memory(&cfg, &net, Has::Free(1 << 33)), None);
    }

    #[test]
    fn on_a_gpu_it_is_said_whose_memory_is_meant() {
        let memory = Memory { variables: 1 << 30, pictures: 1 << 31, loading: 1 << 20, saving: 0 };
        let text = gpu_memory(&memory);
        assert!(text.starts_with("memory     about 3.0 GiB of the GPU's, in f32"), "{text}");
        assert!(text.contains("of the host's 1 MiB"), "{text}");
    }
}
