//! `stackgan doctor`: the capabilities of this machine, and checks of essential parts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use candle_core::{Device, Tensor};
use serde::Serialize;
use stackgan_core::digest::sha256;
use stackgan_core::image::Picture;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::counted;

use crate::context::Context;
use crate::datasets::home;
use crate::device;
use crate::output::{Answer, Form, path_text};
use crate::version::{BUILD, COMMIT, VERSION};

/// Sides of the matrices that are multiplied to measure a CPU and a GPU.
const SIDES: [usize; 2] = [768, 4096];

/// Shows facts and checks; the first check that fails becomes the error.
pub(super) fn run(form: Form, context: &Context) -> Result<()> {
    let side = if context.device.is_cpu() { SIDES[0] } else { SIDES[1] };
    let rate = products_per_second(side, &context.device)?;
    let gpu = device::gpu_facts(&context.device);
    let checks = [
        ("random numbers are the same everywhere", noise()),
        ("pictures can be written and read", picture()),
        ("the data folder can be written", writable(&home())),
        ("the current folder can be written", writable(Path::new("."))),
    ];
    form.show(&Machine {
        version: VERSION,
        commit: COMMIT,
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: device::name(&context.device),
        gpu: gpu.map(|(name, memory_bytes)| Gpu { name, memory_bytes }),
        precision: context.precision.name(),
        threads: rayon::current_num_threads(),
        features: features(),
        gflops: (rate / 1e8).round() / 10.0,
        gflops_side: side,
        home: path_text(&home()),
        checks: checks.iter().map(|(name, ok)| Check { name, ok: ok.is_ok() }).collect(),
    })?;
    checks.into_iter().try_for_each(|(name, ok)| ok.context(format!("check failed: {name}")))
}

/// What a machine offers.
#[derive(Serialize)]
struct Machine {
    /// The program's.
    version: &'static str,
    /// The commit that it was built from, if that is known.
    commit: Option<&'static str>,
    system: String,
    device: String,
    gpu: Option<Gpu>,
    precision: &'static str,
    threads: usize,
    /// Instruction sets.
    features: Vec<&'static str>,
    /// Measured in products of square matrices, in GFLOP/s.
    gflops: f64,
    /// Side of those matrices.
    gflops_side: usize,
    home: String,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Gpu {
    name: String,
    memory_bytes: usize,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
}

impl Answer for Machine {
    fn lines(&self) -> Vec<String> {
        let Self { system, device, precision, gflops, gflops_side: side, home, .. } = self;
        let threads = counted(self.threads, "thread");
        let features = self.features.join(" ");
        let mut lines = vec![format!("stackgan   {BUILD}"), format!("system     {system}")];
        match &self.gpu {
            Some(Gpu { name, memory_bytes }) => {
                let gib = *memory_bytes as f64 / f64::from(1 << 30);
                lines.push(format!("device     {device}, {name}, {gib:.0} GiB"));
                lines.push(format!("host       {threads}, {features}"));
            }
            None => lines.push(format!("device     {device}, {threads}, {features}")),
        }
        lines.extend([
            format!("speed      {gflops:.1} GFLOP/s in {precision} matrix products of {side}"),
            format!("home       {home}"),
        ]);
        lines.extend(self.checks.iter().map(|Check { name, ok }| {
            let mark = if *ok { "ok  " } else { "BAD " };
            format!("{mark}       {name}")
        }));
        lines
    }
}

/// The instruction sets that the fast kernels use.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let all = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    all.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
}

/// The instruction sets that the fast kernels use.
#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    if cfg!(target_arch = "aarch64") { vec!["neon"] } else { Vec::new() }
}

fn products_per_second(side: usize, device: &Device) -> Result<f64> {
    let a = Tensor::full(0.5f32, (side, side), device)?;
    let product = || {
        stackgan_kernels::product(&a, &a)?;
        device.synchronize() // a GPU works asynchronously
    };
    product()?; // starts the threads
    let start = Instant::now();
    let mut rounds = 0.0;
    while start.elapsed().as_secs_f64() < 0.3 {
        product()?;
        rounds += 1.0;
    }
    Ok(rounds * 2.0 * (side as f64).powi(3) / start.elapsed().as_secs_f64())
}

/// SHA-256 of the bytes of 64 normal numbers, as every machine draws them.
const DRAWN: &str = "be71b5caeb0ad7c9c645b1ae98d1c6655e8e84be0c4fea203d0224317ffed5e8";

fn noise() -> Result<()> {
    let drawn = Noise::new(7).normal(Stream::Test, 3, 5, 64);
    let bytes: Vec<u8> = drawn.iter().flat_map(|number| number.to_le_bytes()).collect();
    let found = sha256(&bytes);
    ensure!(found == DRAWN, "the draws have the SHA-256 {found}, those of other machines {DRAWN}");
    Ok(())
}

fn picture() -> Result<()> {
    let drawn = Picture { width: 3, height: 2, rgb: (0..18).map(|i| i * 10).collect() };
    let file = drawn.encode_png()?;
    let read = image::load_from_memory(&file)?.to_rgb8();
    ensure!(read.into_raw() == drawn.rgb, "a PNG came back with other pixels");
    Ok(())
}

fn writable(folder: &Path) -> Result<()> {
    let there = folder.ancestors().find(|p| p.is_dir()).unwrap_or_else(|| Path::new("."));
    tempfile::tempfile_in(there).with_context(|| format!("cannot write in {}", there.display()))?;
    Ok(())
}
