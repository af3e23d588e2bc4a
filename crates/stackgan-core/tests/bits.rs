//! The same bits on every CPU with fused multiply-adds (x86-64 with AVX2 or AVX-512, 64-bit ARM), in
//! debug and release: text vectors, and pictures before they are rounded to bytes.

#[allow(dead_code, reason = "shared with the tests of ONNX files")]
#[path = "onnx/models.rs"]
mod models;

use candle_core::{Device, Tensor};
use models::{Standardised, encoder, model};
use stackgan_core::digest::Sum;
use stackgan_core::text::{Recurrence, TextEncoder};
use stackgan_core::{Mode, Recipe, Sampling, Stage};

const CAPTIONS: [&str; 3] =
    ["a red bird with a yellow belly", "", "this bird has a 2-inch beak, and é wings"];

/// A change must be noted in the changelog.
const VECTORS: [(Recurrence, &str); 2] = [
    (Recurrence::Gru, "7d8503c4ee390e7bc65c48e27424588f41af22e1d7a5e95ef7b0279dcc1bb43d"),
    (Recurrence::Rnn, "cef6d7440424cd5c827b40a0b0a68eaf71d22af03a9f55d730cb47e97b33c36c"),
];
/// Stage-I and Stage-II of three seeds.
const PICTURES: [(Recipe, &str); 2] = [
    (Recipe::Residual, "415ad54cd06cc97446c868b405df2b159091e69f84b129da99ebba415b7371d3"),
    (Recipe::Plain, "3654e9ae9baae4688d55ce47e2fdf60350a3dc2bb2bf7ee8f941f1ed80c15852"),
];

fn is_recorded() -> bool {
    let recorded = stackgan_kernels::arithmetic(&Device::Cpu) != "cpu portable";
    if !recorded {
        eprintln!("skipped: no bits are recorded for CPUs without fused multiply-adds");
    }
    recorded
}

fn add(sum: &mut Sum, tensor: &Tensor) {
    for value in tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
        sum.add(&value.to_le_bytes());
    }
}

#[test]
fn text_vectors_have_the_recorded_bits() {
    for (recurrence, expected) in VECTORS.into_iter().filter(|_| is_recorded()) {
        let mut sum = Sum::default();
        add(&mut sum, &encoder(recurrence, 12).encode(&CAPTIONS).unwrap());
        assert_eq!(sum.finish(), expected, "{recurrence:?}");
    }
}

#[test]
fn pictures_have_the_recorded_bits() {
    for (recipe, expected) in PICTURES.into_iter().filter(|_| is_recorded()) {
        let model = model(recipe, Standardised::ByTheModel);
        let vectors = model.encode(&CAPTIONS).unwrap();
        let noise = model.noise(&[0, 1, 2], Sampling::default()).unwrap();
        let mut sum = Sum::default();
        let generator = model.generator(Stage::Two).unwrap();
        let painted = generator.paint(&vectors, &noise, Mode::Eval).unwrap();
        add(&mut sum, &painted.low.unwrap());
        add(&mut sum, &painted.image);
        assert_eq!(sum.finish(), expected, "{recipe:?}");
    }
}
