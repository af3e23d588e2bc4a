//! Numbers by a formula that the generators of the fixtures also use, so that no file contains
//! them.

use stackgan_core::image::Picture;
use stackgan_eval::rows::Rows;

/// Returns `n` numbers in [-1, 1) of 24 bits: splitmix64 of a counter that starts at `key`.
pub(crate) fn uniform(key: u64, n: usize) -> impl Iterator<Item = f64> {
    (1..=n as u64).map(move |i| {
        let z = key.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let z = z ^ (z >> 31);
        (z >> 40) as f64 / f64::from(1 << 23) - 1.0
    })
}

/// `features` of `make_evaluation.py`.
pub(crate) fn features(key: u64, n: usize, width: usize, shift: f64) -> Rows {
    let u: Vec<f64> = uniform(key, n * width).collect();
    let value = |i: usize| {
        let (row, column) = (i / width, i % width);
        let next = u[row * width + (column + 1) % width];
        (1.0 + shift + u[i] + 0.5 * next + column as f64 / width as f64) as f32
    };
    Rows::from_values(width, (0..n * width).map(value).collect()).unwrap()
}

/// `picture` of `make_evaluation.py`.
pub(crate) fn picture(key: u64, side: usize) -> Picture {
    let rgb = uniform(key, 3 * side * side).enumerate().map(|(i, noise)| {
        let (c, x, y) = (i % 3, i / 3 % side, i / 3 / side);
        let base = (x * 3 + y * 2 + 40 * c + 7 * key as usize) % 200;
        (base as f64 + 25.0 + 25.0 * noise).floor() as u8
    });
    Picture { width: side, height: side, rgb: rgb.collect() }
}
