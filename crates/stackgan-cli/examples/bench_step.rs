//! Times whole training steps as `stackgan train` takes them: loader, both players, both optimisers. `cargo xtask bench`.
//!
//! One JSON line for each configuration on stdout. Pictures are toy birds, embeddings are noise: neither changes the time.
#![allow(clippy::print_stdout, reason = "an example talks to the terminal")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use candle_core::Device;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::crop::{Preparation, Resizing, Stretch};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::layouts::cub;
use stackgan_data::prepared::{ImportOptions, Prepared, import};
use stackgan_data::toy::{self, ToyConfig};
use stackgan_train::config::{TrainConfig, preset};
use stackgan_train::event::TrainEvent;
use stackgan_train::run::{Resume, Setup, train};
use stackgan_train::run_dir::RunDir;

fn main() -> Result<()> {
    stackgan_kernels::memory::keep();
    let args: Vec<String> = std::env::args().collect();
    let after = args.iter().position(|a| a == "--steps").and_then(|i| args.get(i + 1));
    let steps: u64 = after.map_or(Ok(20), |n| n.parse()).context("--steps takes a number")?;
    let folder = tempfile::tempdir()?;
    toy::write(&folder.path().join("birds"), &ToyConfig { count: 240, seed: 0 }, &|_, _| {})?;
    let mut names = vec!["toy-stage1"];
    if args.iter().any(|a| a == "--paper") {
        names.extend(["cub-stage1", "coco-stage1"]);
    }
    for name in names {
        bench(name, steps, folder.path())?;
    }
    Ok(())
}

fn bench(name: &str, steps: u64, folder: &Path) -> Result<()> {
    let mut config = TrainConfig::from_toml(preset(name).context("a preset of this program")?)?;
    (config.optim.batch, config.optim.steps, config.optim.epochs) = (16, steps + 2, 0);
    (config.run.report_every, config.run.sample_every) = (1, steps + 2);
    config.run.checkpoint_every = steps + 2;

    let size = config.stage.picture_size();
    let file = folder.join(format!("{name}.safetensors"));
    let preparation = Preparation { size, resizing: Resizing::default(), stretch: Stretch::None };
    import(&cub::read(&folder.join("birds"))?, &file, &ImportOptions { preparation }, &|_, _| {})?;
    let dataset = Arc::new(Prepared::open(&file)?);
    let embeddings = noise_embeddings(
        &dataset,
        config.net.text_dim,
        &folder.join(format!("{name}-text.safetensors")),
    )?;

    let (net, batch) = (config.net, config.optim.batch);
    let setup = Setup {
        config,
        dataset,
        embeddings: Arc::new(embeddings),
        encoder: None,
        stage1: None,
        device: Device::Cpu,
    };
    let dir = RunDir::open(&folder.join(format!("{name}-run")))?;
    let (mut seconds, mut last) = (Vec::new(), Instant::now());
    train(setup, &dir, Resume::Never, &|| None, &mut |event| {
        if matches!(event, TrainEvent::Step { .. }) {
            seconds.push(last.elapsed().as_secs_f64());
        }
        last = Instant::now();
    })?;
    // The first two steps start threads and fill caches.
    let mut timed: Vec<f64> = seconds.iter().skip(2).map(|s| s * 1000.0).collect();
    timed.sort_by(f64::total_cmp);
    let at = |fraction: f64| {
        timed.get(((timed.len() - 1) as f64 * fraction) as usize).copied().unwrap_or(0.0)
    };
    let line = serde_json::json!({
        "config": name, "recipe": net.recipe, "gf": net.gf, "df": net.df, "batch": batch, "steps": timed.len(),
        "threads": rayon::current_num_threads(),
        "ms_min": at(0.0), "ms_median": at(0.5), "ms_p90": at(0.9), "img_per_s": 1000.0 * batch as f64 / at(0.5),
    });
    println!("{line}");
    Ok(())
}

fn noise_embeddings(data: &Prepared, dim: usize, file: &Path) -> Result<Embeddings> {
    let rows = data.caption_count();
    let mut writer = Embeddings::create(file, dim, rows, "noise", data.fingerprint())?;
    for row in 0..rows as u64 {
        writer.append(&Noise::new(0).normal(Stream::Test, 0, row, dim))?;
    }
    writer.finish()?;
    Ok(Embeddings::open(file)?)
}
