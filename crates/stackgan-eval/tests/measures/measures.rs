//! Each measure equals its reference for the same features: pytorch-fid, torch-fidelity,
//! pytorch-msssim or numpy.

use std::path::Path;

use serde_json::Value;
use stackgan_eval::fid::{Reference, frechet};
use stackgan_eval::inception_score::inception_score;
use stackgan_eval::kid::polynomial_mmd;
use stackgan_eval::moments::Moments;
use stackgan_eval::ms_ssim::ms_ssim;
use stackgan_eval::precision_recall::precision_recall;
use stackgan_eval::rows::Rows;

use crate::formula::{features, picture, uniform};

pub(crate) fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/evaluation.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn near(found: f64, expected: &Value, relative: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= relative * expected.abs(), "{found}, expected {expected}");
}

/// pytorch-fid takes the root of the product of both covariances, which is not symmetric. Because
/// of its rounding errors, the tolerance of the distance is wider, above all if a covariance is
/// singular.
#[test]
fn distances_and_moments_are_those_of_pytorch_fid_and_numpy() {
    let golden = golden();
    let a = Moments::of(&features(1, 400, 64, 0.0)).unwrap();
    let b = Moments::of(&features(2, 300, 64, 0.1)).unwrap();
    near(frechet(&a, &b).unwrap(), &golden["fid"], 1e-6);
    near(frechet(&b, &a).unwrap(), &golden["fid"], 1e-6);
    let few = features(3, 40, 64, 0.1);
    let moments = Moments::of(&few).unwrap();
    near(frechet(&a, &moments).unwrap(), &golden["fid_few"], 1e-4);
    near(Reference::of_rows(&few).unwrap().distance(&a).unwrap(), &golden["fid_few"], 1e-4);
    near(frechet(&moments, &a).unwrap(), &golden["fid_few"], 1e-4);
    for (i, expected) in golden["mean"].as_array().unwrap().iter().enumerate() {
        near(a.mean()[i], expected, 1e-9);
    }
    for (i, expected) in golden["covariance"].as_array().unwrap().iter().enumerate() {
        near(a.covariance()[64 * (i / 3) + i % 3], expected, 1e-9);
    }
}

#[test]
fn the_kernel_distance_is_that_of_torch_fidelity() {
    let first: Vec<u32> = (0..300).collect();
    let a = features(1, 400, 64, 0.0).picked(&first);
    near(polynomial_mmd(&a, &features(2, 300, 64, 0.1)).unwrap(), &golden()["mmd"], 1e-6);
}

#[test]
fn the_inception_score_is_that_of_torch_fidelity() {
    let logits: Vec<f32> = uniform(4, 1003 * 37).map(|u| (6.0 * u) as f32).collect();
    let score = inception_score(&Rows::from_values(37, logits).unwrap(), 10).unwrap();
    near(score.mean, &golden()["isc"][0], 1e-6);
    near(score.std, &golden()["isc"][1], 1e-6);
}

#[test]
fn precision_and_recall_are_those_of_torch_fidelity() {
    let (c, d) = (features(5, 260, 12, 0.0), features(6, 310, 12, 0.25));
    let found = precision_recall(&c, &d, 3).unwrap();
    near(found.precision, &golden()["precision_recall"][0], 1e-6);
    near(found.recall, &golden()["precision_recall"][1], 1e-6);
}

/// Checks three scales, five with odd sides and five with even sides. The reference has the weights
/// of the scales in f32.
#[test]
fn structural_similarity_is_that_of_pytorch_msssim() {
    for side in [64, 175, 256] {
        let found = ms_ssim(&picture(1, side), &picture(2, side)).unwrap();
        near(found, &golden()[format!("ms_ssim_{side}")], 1e-6);
    }
}
