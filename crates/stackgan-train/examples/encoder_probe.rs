//! Trains the small text encoder on toy birds, and prints what its vectors contain.
//!
//! `cargo run --release -p stackgan-train --example encoder_probe -- [STEPS] [FOLDER] [PICTURES]`
//!
//! The folder keeps the drawn birds and the prepared file for the next call. The last table is from
//! a ridge regression that predicts the colours in a caption from its vector. It is fitted to the
//! captions of the training species and tested on those of unseen ones. A generator cannot paint
//! what the regression cannot read.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use stackgan_core::noise::Noise;
use stackgan_core::text::TextEncoder;
use stackgan_data::crop::{Fit, PictureSize, Preparation, Resizing, Stretch};
use stackgan_data::dataset::Split;
use stackgan_data::layouts::{Reading, cub};
use stackgan_data::prepared::{self, Damaged, ImportOptions, Prepared};
use stackgan_data::toy::{self, Colour, Named, ToyConfig, named_in};
use stackgan_train::text::{
    ImageInputs, TextEvent, TextRun, TextTrainConfig, TrainedEncoder, evaluate, train_encoder,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The colour that a caption names for one part.
type Part = fn(&Named) -> Option<Colour>;

/// Number of steps between printed lines.
const EVERY: u64 = 50;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let steps: u64 = args.next().map_or(Ok(1000), |arg| arg.parse())?;
    let folder = PathBuf::from(args.next().unwrap_or_else(|| "target/encoder-probe".to_owned()));
    let count = args.next().map_or(Ok(2880), |arg| arg.parse())?;
    let data = birds(&folder, count)?;
    let (train, test) = (data.indices(Split::Train), data.indices(Split::Test));
    println!("{} training pictures, {} of unseen species", train.len(), test.len());

    let config = TextTrainConfig::small();
    let noise = Noise::new(1);
    let run = TextRun {
        config: &config,
        source: &data,
        images: ImageInputs::Pixels,
        pictures: &train,
        noise,
        done: &|step| step as f64 / steps as f64,
    };
    let start = Instant::now();
    let mut sum = 0.0;
    let encoder = train_encoder(&run, &mut |TextEvent { step, loss, lr, .. }| {
        sum += loss;
        if step % EVERY == 0 {
            let seconds = start.elapsed().as_secs_f64() / step as f64;
            println!(
                "step {step}: mean loss {:.3}, lr {lr:.5}, {seconds:.4} s a step",
                sum / EVERY as f64
            );
            sum = 0.0;
        }
    })?;
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    let scores = evaluate(&encoder, (&data, ImageInputs::Pixels), &test, noise)?;
    println!(
        "{minutes:.2} min: R10 {:.3} one caption, {:.3} four; top-1 of {} {:.3}; AP@50 {:.3}",
        scores.r10_one.map_or(f64::NAN, |r| r.mean),
        scores.r10_four.map_or(f64::NAN, |r| r.mean),
        scores.classes,
        scores.top1,
        scores.ap50
    );
    read_out(&encoder, &data, (&train, &test))?;
    std::fs::write(folder.join("encoder.safetensors"), encoder.to_bytes()?)?;
    Ok(())
}

/// Returns the prepared birds, which are drawn first if they do not exist.
fn birds(folder: &Path, count: usize) -> Result<Prepared> {
    let (drawn, file) =
        (folder.join(format!("birds-{count}")), folder.join(format!("birds-{count}.safetensors")));
    if !drawn.exists() {
        eprintln!("drawing {count} birds");
        toy::write(&drawn, &ToyConfig { count, seed: 1 }, &|_, _| {})?;
    }
    if !file.exists() {
        let preparation = Preparation {
            size: PictureSize::Stage1,
            resizing: Resizing::Residual,
            stretch: Stretch::None,
            fit: Fit::Squeeze,
        };
        let dataset = cub::read(&drawn, Reading::default())?;
        prepared::import(
            &dataset,
            &file,
            &ImportOptions { preparation, damaged: Damaged::Refuse },
            &|_, _| {},
        )?;
    }
    Ok(Prepared::open(&file)?)
}

/// Prints for each part of a bird the fraction of unseen captions whose colour is predicted
/// correctly.
fn read_out(
    encoder: &TrainedEncoder,
    data: &Prepared,
    (train, test): (&[usize], &[usize]),
) -> Result<()> {
    let vectors = |pictures: &[usize], step: usize| -> Result<(Vec<Vec<f32>>, Vec<Named>)> {
        let captions: Vec<&str> = pictures
            .iter()
            .flat_map(|&i| data.captions(i))
            .step_by(step)
            .map(String::as_str)
            .collect();
        let start = Instant::now();
        let vectors = encoder.text.encode(&captions)?.to_vec2()?;
        println!("{:.2} ms a caption", 1e3 * start.elapsed().as_secs_f64() / captions.len() as f64);
        Ok((vectors, captions.iter().map(|caption| named_in(caption)).collect()))
    };
    let (train, test) = (vectors(train, 3)?, vectors(test, 1)?);
    let parts: [(&str, Part); 4] = [
        ("body", |n| n.body),
        ("wing", |n| n.wing),
        ("belly", |n| n.belly),
        ("crown", |n| n.crown),
    ];
    for (part, colour) in parts {
        let place = |named: &Named| {
            colour(named).and_then(|c| Colour::PLUMAGE.iter().position(|p| *p == c))
        };
        let pairs = |(vectors, named): &(Vec<Vec<f32>>, Vec<Named>)| -> Vec<(Vec<f64>, usize)> {
            let pairs = vectors.iter().zip(named);
            let pairs = pairs.filter_map(|(vector, named)| {
                let inputs = vector.iter().map(|&v| f64::from(v)).chain([1.0]).collect();
                Some((inputs, place(named)?))
            });
            pairs.collect()
        };
        let readers = ridge(&pairs(&train), Colour::PLUMAGE.len());
        let test = pairs(&test);
        let right = test.iter().filter(|(inputs, colour)| {
            let scores =
                readers.iter().map(|w| w.iter().zip(inputs).map(|(a, b)| a * b).sum::<f64>());
            scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
                == Some(*colour)
        });
        println!(
            "linear readout of {part}: {:.3} of {}",
            right.count() as f64 / test.len() as f64,
            test.len()
        );
    }
    Ok(())
}

/// Returns for each class the weights of a ridge regression of its indicator: `(XᵀX + λ) w = Xᵀy`,
/// by Cholesky.
fn ridge(pairs: &[(Vec<f64>, usize)], classes: usize) -> Vec<Vec<f64>> {
    let n = pairs.first().map_or(0, |(inputs, _)| inputs.len());
    let mut gram = vec![vec![0.0; n]; n];
    let mut sides = vec![vec![0.0; n]; classes];
    for (inputs, class) in pairs {
        for (row, a) in gram.iter_mut().zip(inputs) {
            row.iter_mut().zip(inputs).for_each(|(sum, b)| *sum += a * b);
        }
        sides[*class].iter_mut().zip(inputs).for_each(|(sum, a)| *sum += a);
    }
    for i in 0..n {
        gram[i][i] += 1e-3 * pairs.len() as f64;
        for j in 0..=i {
            let sum: f64 = gram[i][j] - (0..j).map(|k| gram[i][k] * gram[j][k]).sum::<f64>();
            gram[i][j] = if i == j { sum.max(1e-12).sqrt() } else { sum / gram[j][j] };
        }
    }
    for w in &mut sides {
        for i in 0..n {
            w[i] = (w[i] - (0..i).map(|k| gram[i][k] * w[k]).sum::<f64>()) / gram[i][i];
        }
        for i in (0..n).rev() {
            w[i] = (w[i] - (i + 1..n).map(|k| gram[k][i] * w[k]).sum::<f64>()) / gram[i][i];
        }
    }
    sides
}
