//! The same bits on every CPU with fused multiply-adds (x86-64 with AVX2 or AVX-512, 64-bit ARM), in
//! debug and release: text vectors, and pictures before they are rounded to bytes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, in helper functions too")]

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
    (Recurrence::Gru, "7f75711c12b40d5e09f008d02b9842b3901f95dc9424986fd0c49dfc22bd5943"),
    (Recurrence::Rnn, "cef6d7440424cd5c827b40a0b0a68eaf71d22af03a9f55d730cb47e97b33c36c"),
];
/// Stage-I and Stage-II of three seeds.
const PICTURES: [(Recipe, &str); 2] = [
    (Recipe::Residual, "5f4743b9fdfbab84ca0b57fa060319ad0bcd02f5555d99b792c28258aa3ec05f"),
    (Recipe::Plain, "566da83acfb4b992dec01bd11eaec33cac7ae7a2f91a9e95fb634252dd0c7d8d"),
];

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
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
