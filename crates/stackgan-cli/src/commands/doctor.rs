//! `stackgan doctor`: the capabilities of this machine, and checks of essential parts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use candle_core::{Device, Tensor};
use serde_json::json;
use stackgan_core::image::Picture;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::counted;

use crate::context::Context;
use crate::datasets::home;
use crate::device;
use crate::output::{Form, path_text, print};

/// Sides of the matrices that are multiplied to measure a CPU and a GPU.
const SIDES: [usize; 2] = [768, 4096];

/// Prints facts and checks; the first check that fails becomes the error.
pub(super) fn run(form: Form, context: &Context) -> Result<()> {
    let threads = rayon::current_num_threads();
    let side = if context.device.is_cpu() { SIDES[0] } else { SIDES[1] };
    let rate = products_per_second(side, &context.device)?;
    let (at, gpu) = (device::name(&context.device), device::gpu_facts(&context.device));
    let precision = context.precision.name();
    let checks = [
        ("random numbers are the same everywhere", noise()),
        ("pictures can be written and read", picture()),
        ("the data folder can be written", writable(&home())),
        ("the current folder can be written", writable(Path::new("."))),
    ];
    let facts = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "device": at,
        "gpu": gpu.as_ref().map(|(name, bytes)| json!({ "name": name, "memory_bytes": bytes })),
        "precision": precision,
        "threads": threads,
        "features": features(),
        "gflops": (rate / 1e8).round() / 10.0,
        "home": path_text(&home()),
        "checks": checks.iter().map(|(name, ok)| json!({ "name": name, "ok": ok.is_ok() })).collect::<Vec<_>>(),
    });
    if form == Form::Json {
        print(serde_json::to_string_pretty(&facts)?)?;
    } else {
        let threads = counted(threads, "thread");
        print(format!("stackgan   {}", env!("CARGO_PKG_VERSION")))?;
        print(format!("system     {} {}", std::env::consts::OS, std::env::consts::ARCH))?;
        match &gpu {
            Some((name, bytes)) => {
                let gib = *bytes as f64 / f64::from(1 << 30);
                print(format!("device     {at}, {name}, {gib:.0} GiB"))?;
                print(format!("host       {threads}, {}", features().join(" ")))?;
            }
            None => {
                print(format!("device     {at}, {threads}, {}", features().join(" ")))?;
            }
        }
        let rate = rate / 1e9;
        print(format!("speed      {rate:.1} GFLOP/s in {precision} matrix products of {side}"))?;
        print(format!("home       {}", home().display()))?;
        for (name, ok) in &checks {
            let mark = if ok.is_ok() { "ok  " } else { "BAD " };
            print(format!("{mark}       {name}"))?;
        }
    }
    checks.into_iter().try_for_each(|(name, ok)| ok.context(format!("check failed: {name}")))
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

fn noise() -> Result<()> {
    let draw = || Noise::new(7).normal(Stream::Test, 3, 5, 64);
    let (first, again) = (draw(), draw());
    ensure!(first == again, "two draws differ");
    ensure!(first.iter().all(|v| v.is_finite()), "a draw is no number");
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
