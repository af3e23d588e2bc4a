//! Measuring in your own program: two folders of pictures, the painted and the real ones, compared
//! by a network. Prints the table that `stackgan eval` prints.
//!
//!     cargo run --release -p stackgan-eval --example measure -- PAINTED REAL WEIGHTS
//!
//! WEIGHTS is a published file of EfficientNet-Lite0 (`efficientnet-lite0-57934424.pth`).
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use stackgan_core::digest::sha256;
use stackgan_core::image::Picture;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::crop::{MAX_FILE, decode};
use stackgan_data::formats::torch_pickle::{self, NamedTensor};
use stackgan_data::formats::{self, read_bounded};
use stackgan_eval::comparison::{BOOTSTRAP, Comparison, Measurer};
use stackgan_eval::features::{Extractor, Network};
use stackgan_eval::gathering::{Gathered, Gathering};
use stackgan_eval::report::{scarce, table, warnings};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [painted, real, weights] = &*args else {
        return Err("usage: measure PAINTED REAL WEIGHTS".into());
    };
    let measurer = network(weights)?;
    let (generated, real) = (features(painted, &measurer)?, features(real, &measurer)?);

    let noise = Noise::new(0); // draws the subsets, and the samples of the intervals
    let comparison = Comparison { measurer: &measurer, generated: &generated, noise };
    let distance = comparison.frechet((&real.moments, Some(&real.rows)), BOOTSTRAP)?;
    let mut measures = vec![distance, comparison.kernel(&real.rows)?];
    measures.extend(comparison.precision_recall(&real.rows)?);
    measures.extend(comparison.score());

    for row in table(&measures) {
        println!("{}", row.join(" | "));
    }
    let counts = (generated.moments.count() as usize, Some(real.moments.count()));
    let told = warnings(&measurer.judge, measurer.extractor.network(), counts, &measures);
    for warning in told.into_iter().chain(scarce(&measures)) {
        println!("warning: {warning}");
    }
    Ok(())
}

/// The network with its published weights.
fn network(file: &Path) -> Result<Measurer> {
    let bytes = read_bounded(file, formats::MAX_FILE)?;
    let tensor = |NamedTensor { name, array }: NamedTensor<'_>| {
        Ok((name, Tensor::from_vec(array.to_f32(), array.shape(), &Device::Cpu)?))
    };
    let published = torch_pickle::decode(&bytes, file)?.into_iter();
    let tensors = published.map(tensor).collect::<Result<_>>()?;
    let extractor = Extractor::new(Network::EfficientNetLite0, &tensors)?;
    Ok(Measurer::new(extractor, &sha256(&bytes)))
}

/// The features of a folder's pictures, sixteen at a time: memory does not grow with their number.
fn features(folder: &Path, measurer: &Measurer) -> Result<Gathered> {
    let entries = folder.read_dir()?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<_>>>()?;
    files.sort(); // whatever the order of the folder
    // Names often sort by class, and the splits of a score, or the first rows, are to hold all.
    Noise::new(0).branch("files").draws(Stream::Evaluation, 0, 0).shuffle(&mut files);
    let mut gathering = Gathering::scored(measurer.extractor.network(), files.len());
    for batch in files.chunks(16) {
        let pictures = batch.iter().map(|file| picture(file)).collect::<Result<Vec<_>>>()?;
        gathering.add(&measurer.extractor.extract(&pictures)?)?;
    }
    Ok(gathering.finish()?)
}

fn picture(file: &Path) -> Result<Picture> {
    let image = decode(&read_bounded(file, MAX_FILE)?, file)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(Picture { width, height, rgb: image.into_raw() })
}
