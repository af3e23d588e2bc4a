//! Pictures by a formula that `tests/golden/features.py` also uses.

use candle_core::{Device, Tensor};

use crate::weights::noise;

/// Returns pictures in [-1, 1]: broad waves with a little noise.
pub(crate) fn pictures((n, c, h, w): (usize, usize, usize, usize)) -> Tensor {
    let mut values = Vec::with_capacity(n * c * h * w);
    let mut noise = noise(1000, n * c * h * w);
    for (i, j) in (0..n * c).map(|plane| ((plane / c) as f64, (plane % c) as f64)) {
        for (y, x) in (0..h * w).map(|p| ((p / w) as f64, (p % w) as f64)) {
            let wave = (0.05 * (i + 1.) * x + 0.07 * (j + 1.) * y + i - j).sin();
            values.push((0.7 * wave + 0.6 * noise.next().unwrap()).clamp(-1., 1.) as f32);
        }
    }
    Tensor::from_vec(values, (n, c, h, w), &Device::Cpu).unwrap()
}
