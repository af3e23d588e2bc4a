//! Weights by a formula that `tests/golden/features.py` also uses, so that none need to be
//! committed.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

/// Returns values in [-0.5, 0.5) as a function of key and index.
pub(crate) fn noise(key: u32, count: usize) -> impl Iterator<Item = f64> {
    (0..count as u32).map(move |i| {
        let mut x = i
            .wrapping_mul(2_654_435_761)
            .wrapping_add(key.wrapping_mul(40_503).wrapping_add(12_345));
        x ^= x >> 15;
        x = x.wrapping_mul(2_246_822_519);
        x ^= x >> 13;
        f64::from(x) / f64::from(2u32).powi(32) - 0.5
    })
}

/// Returns tensors with these names and shapes. The position of a name in the sorted order is the
/// key of its values.
pub(crate) fn weights(shapes: BTreeMap<String, Vec<usize>>) -> BTreeMap<String, Tensor> {
    let tensor = |(key, (name, shape)): (usize, (String, Vec<usize>))| {
        let fan_in: usize = shape.iter().skip(1).product();
        let (offset, factor) = match shape.len() {
            _ if name.ends_with("running_var") => (1.0, 0.5),
            1 if name.ends_with("weight") => (1.0, 0.2),
            1 => (0.0, 0.2),
            _ => (0.0, 2.0 * (6.0 / fan_in as f64).sqrt()),
        };
        let values: Vec<f32> = noise(key as u32, shape.iter().product())
            .map(|u| (offset + factor * u) as f32)
            .collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (name, tensor)
    };
    shapes.into_iter().enumerate().map(tensor).collect()
}

/// The same for variables of TensorFlow, whose weights have their inputs before their outputs
/// (`tests/golden/tensorflow_inception.py`).
#[allow(dead_code, reason = "one of the two programs of tests has variables")]
pub(crate) fn variables(shapes: BTreeMap<String, Vec<usize>>) -> BTreeMap<String, Tensor> {
    let tensor = |(key, (name, shape)): (usize, (String, Vec<usize>))| {
        let fan_in: usize = shape.iter().rev().skip(1).product();
        let (offset, factor) = match shape.len() {
            _ if name.contains("moving_variance") => (1.0, 0.5),
            1 => (0.0, 0.2),
            _ => (0.0, 2.0 * (6.0 / fan_in as f64).sqrt()),
        };
        let values = noise(key as u32, shape.iter().product());
        let values: Vec<f32> = values.map(|u| (offset + factor * u) as f32).collect();
        (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    };
    shapes.into_iter().enumerate().map(tensor).collect()
}
