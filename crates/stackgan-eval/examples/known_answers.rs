//! Compares sets of pictures whose order is known: halves of a real set with each other, and with
//! pictures that are blurred, noisy, of other hues, or of few classes. Prints the table of
//! docs/evaluation.md.
//!
//!     cargo run --release -p stackgan-eval --example known_answers -- PREPARED WEIGHTS [N]
//!
//! N is the number of pictures per half; the default is half of the set. PREPARED is a prepared
//! file of 304 pixels. WEIGHTS is the file that `stackgan model import` wrote for
//! EfficientNet-Lite0.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use candle_core::Device;
use image::{RgbImage, imageops};
use stackgan_core::archive::Archive;
use stackgan_core::image::Picture;
use stackgan_core::noise::{Noise, Stream};
use stackgan_data::prepared::Prepared;
use stackgan_eval::bootstrap::Interval;
use stackgan_eval::features::{Extractor, Network};
use stackgan_eval::fid::Reference;
use stackgan_eval::inception_score::inception_score;
use stackgan_eval::kid::kid;
use stackgan_eval::moments::Moments;
use stackgan_eval::precision_recall::{NEIGHBOUR, precision_recall};
use stackgan_eval::rows::Rows;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Number of times that the set is halved.
const HALVINGS: u64 = 5;

fn main() -> Result<()> {
    stackgan_kernels::memory::keep();
    let mut args = std::env::args().skip(1);
    let (Some(prepared), Some(weights)) = (args.next(), args.next()) else {
        return Err("usage: known_answers PREPARED WEIGHTS [N]".into());
    };
    let data = Prepared::open(Path::new(&prepared))?;
    let half = args.next().map_or(Ok(data.len() / 2), |text| text.parse())?;
    let archive = Archive::from_bytes(&std::fs::read(weights)?, &Device::Cpu)?;
    let extractor = Extractor::new(Network::EfficientNetLite0, &archive.tensors)?;
    let bench = Bench { data, extractor };

    // Random pictures, then those of the largest classes.
    let mut chosen: Vec<u32> = (0..bench.data.len() as u32).collect();
    Noise::new(0).draws(Stream::Test, 3, 0).shuffle(&mut chosen);
    chosen.truncate(2 * half);
    let classes = bench.classes();
    let few: Vec<u32> = classes.iter().take(MOST).flatten().copied().collect();
    let more: Vec<u32> = few.iter().copied().filter(|i| !chosen.contains(i)).collect();
    let whole = bench.measured(&[&chosen[..], &more].concat(), &|picture, _| picture)?;
    let places: BTreeMap<u32, u32> = chosen.iter().chain(&more).copied().zip(0..).collect();
    let at = |indices: &[u32]| -> Vec<u32> {
        indices.iter().filter_map(|i| places.get(i).copied()).collect()
    };

    println!("| set | N | FD | KD x 1000 | precision | recall | class score |");
    println!("|---|---|---|---|---|---|---|");
    for halving in 0..HALVINGS {
        let (a, b) = halves(&chosen, halving);
        let name = format!("the other half, {}", halving + 1);
        compare(&name, &whole.features.picked(&at(&a)), &whole.picked(&at(&b)))?;
    }
    let (a, b) = halves(&chosen, 0);
    let real = whole.features.picked(&at(&a));
    for (name, change) in changes() {
        compare(name, &real, &bench.measured(&b, &*change)?)?;
    }
    for n in [MOST, 1] {
        let few: Vec<u32> = classes.iter().take(n).flatten().copied().collect();
        let rest: Vec<u32> = a.iter().copied().filter(|i| !few.contains(i)).collect();
        let name = if n == 1 { "of one class".to_owned() } else { format!("of {n} classes") };
        compare(&name, &whole.features.picked(&at(&rest)), &whole.picked(&at(&few)))?;
    }
    Ok(())
}

/// Number of classes in the set of few classes.
const MOST: usize = 5;

/// Shuffles the pictures and splits them into two halves.
fn halves(chosen: &[u32], halving: u64) -> (Vec<u32>, Vec<u32>) {
    let mut order = chosen.to_vec();
    Noise::new(halving).draws(Stream::Test, 4, 0).shuffle(&mut order);
    let b = order.split_off(order.len() / 2);
    (order, b)
}

struct Bench {
    data: Prepared,
    extractor: Extractor,
}

struct Made {
    features: Rows,
    logits: Rows,
}

type Change = Box<dyn Fn(Picture, u64) -> Picture>;

fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("blurred, sigma 1", Box::new(|p, _| with_image(p, |i| imageops::blur(i, 1.0)))),
        ("blurred, sigma 3", Box::new(|p, _| with_image(p, |i| imageops::blur(i, 3.0)))),
        ("noise, sigma 10", Box::new(|p, i| noisy(p, i, 10.0))),
        ("noise, sigma 40", Box::new(|p, i| noisy(p, i, 40.0))),
        ("hue turned by 30°", Box::new(|p, _| with_image(p, |i| imageops::huerotate(i, 30)))),
        ("hue turned by 180°", Box::new(|p, _| with_image(p, |i| imageops::huerotate(i, 180)))),
    ]
}

fn with_image(picture: Picture, change: impl Fn(&RgbImage) -> RgbImage) -> Picture {
    let (width, height) = (picture.width, picture.height);
    match RgbImage::from_raw(width as u32, height as u32, picture.rgb) {
        Some(image) => Picture { width, height, rgb: change(&image).into_raw() },
        None => Picture::filled(width, height, [0; 3]),
    }
}

fn noisy(mut picture: Picture, i: u64, sigma: f32) -> Picture {
    let noise = Noise::new(0).normal(Stream::Test, 2, i, picture.rgb.len());
    for (v, n) in picture.rgb.iter_mut().zip(noise) {
        *v = (f32::from(*v) + sigma * n).round().clamp(0.0, 255.0) as u8;
    }
    picture
}

impl Bench {
    fn picture(&self, i: usize) -> Result<Picture> {
        let (side, crop) = (self.data.size().prepared(), self.data.size().crop());
        let from = (side - crop) / 2;
        let rgb = self.data.image(i)?;
        let rows = rgb.chunks_exact(3 * side).skip(from).take(crop);
        let rgb = rows.flat_map(|row| row.iter().skip(3 * from).take(3 * crop)).copied().collect();
        Ok(Picture { width: crop, height: crop, rgb })
    }

    fn measured(&self, indices: &[u32], change: &dyn Fn(Picture, u64) -> Picture) -> Result<Made> {
        let network = self.extractor.network();
        let (mut features, mut logits) = (Rows::new(network.width()), Rows::new(1000));
        for batch in indices.chunks(16) {
            let pictures = batch
                .iter()
                .map(|&i| Ok(change(self.picture(i as usize)?, u64::from(i))))
                .collect::<Result<Vec<_>>>()?;
            let made = self.extractor.extract(&pictures)?;
            made.features.iter().try_for_each(|row| features.push(row))?;
            made.logits.iter().try_for_each(|row| logits.push(row))?;
            eprint!("\r{} of {} ", features.len(), indices.len());
        }
        Ok(Made { features, logits })
    }

    /// Returns the pictures of each class, the largest class first.
    fn classes(&self) -> Vec<Vec<u32>> {
        let mut classes = BTreeMap::<u32, Vec<u32>>::new();
        for (i, &class) in self.data.classes().iter().enumerate() {
            classes.entry(class).or_default().push(i as u32);
        }
        let mut classes: Vec<Vec<u32>> = classes.into_values().collect();
        classes.sort_by_key(|pictures| std::cmp::Reverse(pictures.len()));
        classes
    }
}

impl Made {
    fn picked(&self, rows: &[u32]) -> Self {
        Self { features: self.features.picked(rows), logits: self.logits.picked(rows) }
    }
}

fn compare(name: &str, real: &Rows, set: &Made) -> Result<()> {
    let Made { features: set, logits } = set;
    // There are fewer rows than features: the rows are a root of their covariance.
    let distance = Reference::of_rows(real)?.distance(&Moments::of(set)?)?;
    let kernel = kid(real, set, 100, Noise::new(0))?;
    let pr = precision_recall(set, real, NEIGHBOUR)?;
    let score = inception_score(logits, 1)?; // one split: a tenth of hundreds says little
    let span = |i: Option<Interval>, scale: f64| {
        i.map_or_else(String::new, |i| format!(" ({:.2} to {:.2})", i.low * scale, i.high * scale))
    };
    println!(
        "| {name} | {} | {distance:.2} | {:.3}{} | {:.2}{} | {:.2}{} | {:.1} |",
        set.len(),
        kernel.mean * 1000.0,
        span(kernel.interval, 1000.0),
        pr.precision,
        span(pr.precision_interval, 1.0),
        pr.recall,
        span(pr.recall_interval, 1.0),
        score.mean
    );
    Ok(())
}
