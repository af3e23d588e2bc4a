//! How well a model follows the words at several noise scales, and which colours it takes for which:
//! `cargo run --release -p stackgan-train --example agreement -- MODEL PREPARED-76 [STAGE]`, on toy birds of unseen species.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::collections::BTreeMap;

use stackgan_core::{Device, Model, Sampling};
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::{Judge, box_reduce, named_in};

/// Scales of z and epsilon that are tried; the model's own are printed too.
const SCALES: [(f64, f64); 5] = [(1.0, 1.0), (0.7, 0.5), (0.5, 0.25), (0.5, 0.0), (0.25, 0.0)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, data, rest @ ..] = &args[..] else {
        return Err("usage: agreement MODEL PREPARED [STAGE]".into());
    };
    let stage = rest.first().map_or(Ok(1), |s| s.parse())?;
    let model = Model::from_bytes(&std::fs::read(model)?, &Device::Cpu)?;
    let data = Prepared::open(data.as_ref())?;
    let judge = Judge::new(11)?;
    let captions: Vec<&str> = data
        .indices(Split::Test)
        .into_iter()
        .step_by(2)
        .enumerate()
        .filter_map(|(k, i)| data.captions(i).get(k % 10).map(String::as_str))
        .collect();
    let requests: Vec<(&str, u64)> = captions.iter().copied().zip(1000..).collect();
    for (z, eps) in SCALES {
        let sampling = Sampling {
            stage: Some(stage),
            z_scale: Some(z),
            eps_scale: Some(eps),
            ..Sampling::default()
        };
        let mut pictures = Vec::new();
        for painting in model.paint(&requests, sampling)? {
            let rgb = painting.picture.rgb;
            pictures.push(if stage == 2 { box_reduce(&rgb).ok_or("not 256x256")? } else { rgb });
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
        println!(
            "z {z} eps {eps}: body {:.2} belly {:.2} wing {:.2} crown {:.2} ({:?} named)",
            a.body.unwrap_or_default(),
            a.belly.unwrap_or_default(),
            a.wing.unwrap_or_default(),
            a.crown.unwrap_or_default(),
            a.n
        );
        let mut confused: Vec<_> = confused.into_iter().collect();
        confused.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        println!("  body: {:?}", confused.into_iter().take(10).collect::<Vec<_>>());
    }
    Ok(())
}
