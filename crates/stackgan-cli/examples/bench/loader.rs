//! Times the loader alone: batches as planned by the CUB presets, of toy birds in a prepared file.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use stackgan_core::NetConfig;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::crop::{Preparation, Resizing};
use stackgan_data::dataset::Split;
use stackgan_data::embeddings::Embeddings;
use stackgan_data::layouts::{Reading, cub};
use stackgan_data::loader::{Loader, LoaderConfig};
use stackgan_data::plan::Plan;
use stackgan_data::prepared::{Damaged, ImportOptions, Prepared, import};
use stackgan_data::toy::{self, ToyConfig};

use crate::nets;

/// Measures the samples per second over `batches` batches of 64. A sample is a picture, a wrong
/// picture and the mean of four embeddings.
pub(crate) fn bench(side: usize, batches: usize) -> Result<Value> {
    let stage = match side {
        76 => 1,
        304 => 2,
        _ => bail!("expected pictures of 76 or 304, found {side}"),
    };
    let (net, folder) = (NetConfig::default(), tempfile::tempdir()?);
    let config = nets::training(&net, stage, 64)?;
    let birds = folder.path().join("birds");
    toy::write(&birds, &ToyConfig { count: 240, seed: 0 }, &|_, _| {})?;
    let file = folder.path().join("birds.safetensors");
    let size = stackgan_train::config::picture_size(config.stage);
    let preparation = Preparation::squeezed(size, Resizing::default());
    import(
        &cub::read(&birds, Reading::default())?,
        &file,
        &ImportOptions { preparation, damaged: Damaged::Refuse },
        &|_, _| {},
    )?;
    let data = Arc::new(Prepared::open(&file)?);
    let text = embeddings(&data, net.text_dim, &folder.path().join("text.safetensors"))?;

    let indices = data.indices(Split::Train);
    let plan = Plan::over(&data, indices, config.plan(), Noise::new(config.seed))?;
    let loading = LoaderConfig { prefetch: config.run.prefetch, ..LoaderConfig::default() };
    let mut loader = Loader::start(data, Some(Arc::new(text)), plan, loading)?;
    for _ in 0..=config.run.prefetch {
        loader.next()?;
    }
    let started = Instant::now();
    for _ in 0..batches {
        loader.next()?;
    }
    let rate = (batches * config.optim.batch) as f64 / started.elapsed().as_secs_f64();
    Ok(json!({ "samples_per_s": [rate] }))
}

fn embeddings(data: &Prepared, dim: usize, file: &Path) -> Result<Embeddings> {
    let mut writer = Embeddings::create(file, dim, "noise", data)?;
    for row in 0..data.caption_count() as u64 {
        writer.append(&Noise::new(0).normal(Stream::Test, 0, row, dim))?;
    }
    writer.finish()?;
    Ok(Embeddings::open(file)?)
}
