//! What a run will want of the machine, said before its first step.

use stackgan_core::NetConfig;
use stackgan_train::config::TrainConfig;
use stackgan_train::estimate::{Memory, seconds_a_step};

use crate::progress::duration;

/// Lines about memory and time. `steps` is known once the data is; `low` is Stage-I under Stage-II.
pub(super) fn lines(cfg: &TrainConfig, low: Option<&NetConfig>, steps: Option<u64>) -> Vec<String> {
    let low = low.unwrap_or(&cfg.net);
    let mut lines = vec![memory(&Memory::of(cfg, low))];
    lines.extend(short_of_memory(cfg, low));
    // A machine that cannot take six pictures says so when it trains.
    if let Ok(seconds) = seconds_a_step(cfg, low) {
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

fn time(seconds: f64, batch: usize, steps: Option<u64>) -> String {
    let speed = batch as f64 / seconds.max(1e-9);
    let whole = steps.map_or_else(String::new, |steps| {
        format!("; {steps} steps in about {}", duration(seconds * steps as f64))
    });
    format!("time       about {} a step, {speed:.1} pictures a second{whole}", short(seconds))
}

/// A warning where the machine has less free than the run wants, with the largest batch that fits.
fn short_of_memory(cfg: &TrainConfig, low: &NetConfig) -> Option<String> {
    let free = free_memory()?;
    if Memory::of(cfg, low).peak() <= free {
        return None;
    }
    let fits = (2..cfg.optim.batch).rev().find(|batch| {
        let mut smaller = cfg.clone();
        smaller.optim.batch = *batch;
        Memory::of(&smaller, low).peak() <= free
    });
    let remedy = match fits {
        Some(batch) => format!("`--set optim.batch={batch}` would fit"),
        None => "no batch fits: choose smaller networks (`net.gf`, `net.df`)".to_owned(),
    };
    Some(format!("warning: {} of memory are free, which is less; {remedy}", size(free)))
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
        if free_memory().is_some() {
            let text = short_of_memory(&cfg, &net).unwrap();
            assert!(text.starts_with("warning: ") && text.contains("MiB") | text.contains("GiB"));
        }
        cfg.optim.batch = 2;
        (cfg.net.gf, cfg.net.df, cfg.run.prefetch) = (4, 2, 0);
        assert_eq!(short_of_memory(&cfg, &net), None);
    }
}
