//! Measures how well a model follows the words at several noise scales, and which colours it
//! confuses, on toy birds of unseen species. With a trained encoder, also measures R-precision
//! among ten captions: `cargo run --release -p stackgan-train --example agreement -- MODEL
//! PREPARED-76 [STAGE [ENCODER]]`.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::collections::BTreeMap;

use candle_core::Tensor;
use stackgan_core::noise::Noise;
use stackgan_core::{Device, Model, Request, Sampling, Stage};
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::{Judge, SIDE, named_in};
use stackgan_eval::r_precision::{owned, r_precision};
use stackgan_train::text::TrainedEncoder;

/// Scales of z and epsilon to try; the model's own are printed, too.
const SCALES: [(f64, f64); 5] = [(1.0, 1.0), (0.7, 0.5), (0.5, 0.25), (0.5, 0.0), (0.25, 0.0)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, data, rest @ ..] = &args[..] else {
        return Err("usage: agreement MODEL PREPARED [STAGE [ENCODER]]".into());
    };
    let stage = rest.first().map_or(Ok(Stage::One), |s| s.parse())?;
    let encoder = match rest.get(1) {
        None => None,
        Some(file) => Some(TrainedEncoder::from_bytes(&std::fs::read(file)?)?),
    };
    let model = Model::from_bytes(&std::fs::read(model)?, &Device::Cpu)?;
    let data = Prepared::open(data.as_ref())?;
    let judge = Judge::new(11)?;
    let unseen: Vec<usize> = data.indices(Split::Test).into_iter().step_by(2).collect();
    let classes: Vec<u32> = unseen.iter().map(|&i| data.class(i).unwrap_or_default()).collect();
    let captions: Vec<&str> = unseen
        .iter()
        .enumerate()
        .filter_map(|(k, &i)| data.captions(i).get(k % 10).map(String::as_str))
        .collect();
    let seeded = captions.iter().zip(1000..);
    let requests: Vec<_> = seeded.map(|(caption, seed)| Request { caption, seed }).collect();
    for (z, eps) in SCALES {
        let sampling = Sampling {
            stage: Some(stage),
            z_scale: Some(z),
            eps_scale: Some(eps),
            ..Sampling::default()
        };
        let mut pictures = Vec::new();
        for painting in model.paint(&requests, sampling)? {
            let picture = painting.picture;
            pictures.push(picture.reduced(picture.width / SIDE).rgb);
        }
        let mut confused: BTreeMap<String, usize> = BTreeMap::new();
        for (rgb, caption) in pictures.iter().zip(&captions) {
            let (judged, named) = (judge.parts(rgb)?, named_in(caption));
            if let Some(body) = named.body.filter(|body| *body != judged.body) {
                *confused.entry(format!("{body:?} as {:?}", judged.body)).or_default() += 1;
            }
        }
        let named = captions.iter().map(|caption| named_in(caption));
        let a = judge.agreement(pictures.iter().cloned().zip(named))?;
        let [body, wing, belly, crown] = a.rates().map(Option::unwrap_or_default);
        println!(
            "z {z} eps {eps}: body {:.2} belly {:.2} wing {:.2} crown {:.2} ({:?} named)",
            body,
            belly,
            wing,
            crown,
            a.counts()
        );
        if let Some(encoder) = &encoder {
            let images = encoder.image_features(&tensor(&pictures)?)?;
            let texts = encoder.text_features(&captions, 1)?;
            let r = r_precision(&images, &texts, &owned(&classes, &captions), 10, Noise::new(0))?;
            println!("  R-precision of 10: {:.3} ({} captions)", r.mean, r.count);
        }
        let mut confused: Vec<_> = confused.into_iter().collect();
        confused.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        println!("  body: {:?}", confused.into_iter().take(10).collect::<Vec<_>>());
    }
    Ok(())
}

/// Converts pictures to `(n, 3, 64, 64)` in [-1, 1].
fn tensor(pictures: &[Vec<u8>]) -> Result<Tensor, candle_core::Error> {
    let pixels: Vec<f32> = pictures.iter().flatten().map(|&v| f32::from(v) / 127.5 - 1.0).collect();
    let tensor = Tensor::from_vec(pixels, (pictures.len(), 64, 64, 3), &Device::Cpu)?;
    tensor.permute((0, 3, 1, 2))?.contiguous()
}
